/* fake_persist.h -- a persist that answers as told and notes what it was asked: for tests of the commands without a disk.
 * Defines the functions of persist.h that the commands call; included by one file a program. */
#ifndef KVFS_TESTS_FAKE_PERSIST_H
#define KVFS_TESTS_FAKE_PERSIST_H

#include "persist/persist.h"

#include <string.h>

struct persist {
	int save, bgsave, bgsave_cancel, bgrewriteaof;      /* what these answer */
	bool scheduled;                      /* bgsave was asked to */
	bool parks;                          /* replies to changes have to wait */
	int resets;                          /* of its counters */
	struct persist_waiter *waiter;       /* of the last save or reply that was parked */
};

int persist_save(struct persist *p, struct persist_waiter *w)
{
	if (p->save == 1)
		p->waiter = w;
	return p->save;
}

int persist_wait_reply(struct persist *p, uint64_t seq, struct persist_waiter *w)
{
	(void)seq;
	if (p->parks)
		p->waiter = w;
	return p->parks;
}

int persist_bgsave(struct persist *p, bool schedule, struct persist_waiter *w)
{
	p->scheduled = schedule;
	if (p->bgsave == STARTED)
		p->waiter = w;
	return p->bgsave;
}

int persist_bgsave_cancel(struct persist *p)
{
	return p->bgsave_cancel;
}

int persist_bgrewriteaof(struct persist *p, struct persist_waiter *w)
{
	if (p->bgrewriteaof == STARTED)
		p->waiter = w;
	return p->bgrewriteaof;
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

void persist_reset_stats(struct persist *p)
{
	p->resets++;
}

#endif
