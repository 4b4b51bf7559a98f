/* recover.h -- from files to keyspace, before anybody looks.
 *
 *      the manifest lists files           the append-only log, and only it:  base, then each incr in order
 *      appendonly.aof of Redis < 7        likewise; it becomes the base of a new manifest
 *      else dump.rdb                      also with `appendonly yes`: the caller makes it the first base
 *      else                               empty
 *
 * With `appendonly no` only dump.rdb counts, as in Redis, and a log that lies beside it is named in the report.
 * A last incr with a torn tail is cut (a copy is kept as <name>.torn-<offset>), and so is one that ends in at most
 * aof_load_corrupt_tail_max_size bytes of damage with nothing whole behind it; all other damage is refused with file and offset.
 * Keys that can't be shown as a path, and keys of other types, are named and refused (the first ten, and how many), or with
 * skip-non-strings (types only) left out and counted.
 *
 * Runs in one thread, before the observer is set.                                                                                    */
#ifndef KVFS_PERSIST_RECOVER_H
#define KVFS_PERSIST_RECOVER_H

#include "persist/manifest.h"
#include "persist/persist.h"
#include "persist/rdb.h"

enum recover_source { RECOVER_EMPTY, RECOVER_AOF, RECOVER_OLD_AOF, RECOVER_RDB };

struct recovery {
	enum recover_source source;
	struct manifest manifest;       /* AOF: as read; else empty.  Owned. */
	uint64_t lineage;               /* 0: the files have none (Redis wrote them) */
	uint64_t last_seq;              /* of the last batch that counts; 0: none */
	uint64_t db;                    /* the database that the log is in at its end */
	uint64_t last_incr_size;        /* bytes of the last incr after a cut */
	uint64_t base_size;             /* bytes of the base; old AOF: of that file */
	bool sealed;                    /* the last file ends in a stretch of ours: another batch may follow */
	bool log_beside;                /* there is a log, and it was not read: appendonly is no */
	uint64_t keys_loaded, keys_expired, keys_skipped;
	struct bytes report;            /* lines for the human: what was cut, what was left out */
};

/* DIR_FD is the data directory.  0; or a negative errno with E set, and the keyspace is to be thrown away. */
int recover(const struct persist_config *c, int dir_fd, struct keyspace *ks, const struct persist_port *port, struct recovery *ret,
            struct error *e);
void recovery_fini(struct recovery *r);
/* What dump.rdb says of itself in its first bytes.  0; -ENOENT; an error when it is no snapshot. */
int recover_peek_dump(const struct persist_config *c, int dir_fd, struct rdb_origin *ret);
/* What a snapshot has to do with a log of keyspace LINEAGE (0: Redis's) that ends with batch LAST_SEQ. */
enum recover_relation {
	RECOVER_OLDER,      /* the log has what it has, or nothing is known */
	RECOVER_NEWER,      /* it has what the log has, and more */
	RECOVER_FORKED,     /* each has what the other has not */
};
enum recover_relation recover_relate(const struct rdb_origin *dump, uint64_t lineage, uint64_t last_seq);
/* dump.rdb alone, instead of what KS holds already. */
int recover_dump(const struct persist_config *c, int dir_fd, struct keyspace *ks, const struct persist_port *port, struct recovery *ret,
                 struct error *e);

/* One log file in memory, for recover() and for whoever looks at a log offline.  Applies what counts through R; R NULL: only looks.  0 (see
 * TORN); -EBADMSG for damage, or what replay_command() says (R NULL: -EPROTO, a command that it would not know); E tells the offset. */
struct aof_result {
	uint64_t good;                  /* of the bytes given: up to the end of the last batch or command that counts */
	bool torn;                      /* what follows GOOD is a torn tail */
	bool corrupt_tail;              /* after -EBADMSG: nothing behind what can't be read is whole, so all from GOOD on is lost */
	uint64_t bad_at;                /* after an error: where what can't be read or applied begins */
	bool sealed;                    /* the file ends in a stretch of ours */
	uint64_t last_seq, lineage;     /* in: of the files before; out */
	uint64_t batches, commands;     /* that count; commands without seals */
	uint64_t first_seq;             /* of the first batch that counts; 0: none */
	bool continues;                 /* in: the bytes go on in a stretch of ours (a journal, not a file from its start) */
	uint64_t origin;                /* in: offset of the bytes in their file, for messages */
	int64_t until_ns;               /* in: what is later does not count, nor does what follows it; 0: all counts */
	bool stopped;                   /* something was later; STOP_NS is its time, GOOD is before it */
	int64_t stop_ns;
	int64_t time_ns;                /* in: of the files before; out: of the last that has a time (a seal, #TS:) and counts; 0: unknown */
	bool untimed;                   /* likewise: commands that count have no time and stand behind TIME_NS, the first at UNTIMED_AT */
	uint64_t untimed_at;
};
struct loader;
struct replay;                          /* replay.h: applies commands, counts what it skips */
int aof_read(const void *data, size_t len, struct replay *r, struct aof_result *res, struct error *e);

#endif
