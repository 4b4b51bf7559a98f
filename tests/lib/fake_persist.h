/* fake_persist.h -- a persist that answers as told and notes what it was asked: for tests of the commands without a disk.
 * Defines the functions of persist.h that the commands call; included by one file a program. */
#ifndef KVFS_TESTS_FAKE_PERSIST_H
#define KVFS_TESTS_FAKE_PERSIST_H

#include "persist/persist.h"

#include <string.h>

struct persist {
	int save, bgsave, bgrewriteaof;      /* what these answer */
	bool scheduled;                      /* bgsave was asked to */
	struct persist_waiter *waiter;       /* of the last save that was parked */
	struct save_rules rules;             /* as set last */
	enum fsync_policy appendfsync;
	int sets;
};

int persist_save(struct persist *p, struct persist_waiter *w)
{
	if (p->save == 1)
		p->waiter = w;
	return p->save;
}

int persist_bgsave(struct persist *p, bool schedule)
{
	p->scheduled = schedule;
	return p->bgsave;
}

int persist_bgrewriteaof(struct persist *p)
{
	return p->bgrewriteaof;
}

void persist_set_save(struct persist *p, const struct save_rules *r)
{
	p->rules = *r;
	p->sets++;
}

void persist_set_appendfsync(struct persist *p, enum fsync_policy f)
{
	p->appendfsync = f;
}

void persist_get_info(struct persist *p, struct persist_info *ret)
{
	(void)p;
	memset(ret, 0, sizeof(*ret));
	ret->rdb_last_save_time = 1700000000;
	ret->rdb_last_bgsave_ok = true;
	ret->aof_enabled = true;
	ret->aof_last_bgrewrite_ok = ret->aof_last_write_ok = true;
	ret->state = "ok";
}

#endif
