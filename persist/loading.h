/* loading.h -- the files of one data set on their way into a keyspace, one after the other: what a start (recover.h) and a look at the past
 * (view.h) have in common.  One thread, before the observer is set. */
#ifndef KVFS_PERSIST_LOADING_H
#define KVFS_PERSIST_LOADING_H

#include "persist/mapped.h"
#include "persist/recover.h"
#include "persist/replay.h"

struct loading {
	const struct persist_config *c;     /* borrowed, as what follows */
	const struct persist_port *port;
	const struct disk *disk;
	struct error *e;
	struct keyspace *ks;
	struct replay r;
	struct aof_result aof;              /* last_seq, lineage and times go from file to file */
	uint64_t done, total;               /* bytes of the files before, of all; for who watches */
	uint64_t ticks;
	uint64_t keys_expired;              /* left out of a dump */
	bool had_rdb;                       /* the last file was an RDB, or began with one ... */
	int64_t rdb_ctime_s;                /* ... that was begun then, as it says; 0: it says nothing */
};

/* 0 or -ENOMEM with E set. */
int loading_init(struct loading *ld, const struct persist_config *c, const struct persist_port *port, struct keyspace *ks, struct error *e);
void loading_fini(struct loading *ld);

/* Each returns 0, or a negative errno with E set, without the name of the file. */

/* A dump: an RDB alone.  DROP_EXPIRED: without the keys whose time is over, as Redis does. */
int loading_dump(struct loading *ld, const struct mapped *m, bool drop_expired);
/* A file of the log: RDB, commands, or the one behind the other.  *RET_GOOD is up to where it counts, also after -EBADMSG for commands; see
 * ld->aof for why not further. */
int loading_log(struct loading *ld, const struct mapped *m, uint64_t *ret_good);
/* After the last file: refuses what can't be mounted, completes REPORT. */
int loading_finish(struct loading *ld, struct bytes *report);

#endif
