/* recover.h -- from files to keyspace, before anybody looks.
 *
 *      the manifest lists files           the append-only log, and only it:  base, then each incr in order
 *      appendonly.aof of Redis < 7        likewise; it becomes the base of a new manifest
 *      else dump.rdb                      also with `appendonly yes`: the caller makes it the first base
 *      else                               empty
 *
 * With `appendonly no` only dump.rdb counts, as in Redis, and a log that lies beside it is named in the report.
 * A last incr with a torn tail is cut (a copy is kept as <name>.torn-<offset>); all other damage is refused with file and offset.
 * Keys that can't be shown as a path, and keys of other types, are named and refused (the first ten, and how many), or with
 * skip-non-strings (types only) left out and counted.
 *
 * Runs in one thread, before the observer is set.                                                                                    */
#ifndef KVFS_PERSIST_RECOVER_H
#define KVFS_PERSIST_RECOVER_H

#include "persist/manifest.h"
#include "persist/persist.h"

enum recover_source { RECOVER_EMPTY, RECOVER_AOF, RECOVER_OLD_AOF, RECOVER_RDB };

struct recovery {
	enum recover_source source;
	struct manifest manifest;       /* AOF: as read; else empty.  Owned. */
	uint64_t lineage;               /* 0: the files have none (Redis wrote them) */
	uint64_t last_seq;              /* of the last batch that counts; 0: none */
	uint64_t last_incr_size;        /* bytes of the last incr after a cut */
	uint64_t base_size;             /* bytes of the base; old AOF: of that file */
	bool sealed;                    /* the last file ends in a stretch of ours: another batch may follow */
	uint64_t keys_loaded, keys_expired, keys_skipped;
	struct bytes report;            /* lines for the human: what was cut, what was left out */
};

/* DIR_FD is the data directory.  0; or a negative errno with E set, and the keyspace is to be thrown away. */
int recover(const struct persist_config *c, int dir_fd, struct keyspace *ks, const struct persist_port *port, struct recovery *ret,
            struct error *e);
void recovery_fini(struct recovery *r);

/* One log file in memory, for recover() and for whoever looks at a log offline.  Applies what counts through R.  0 (see TORN); -EBADMSG
 * for damage, or what replay_command() says; E tells the offset. */
struct aof_result {
	uint64_t good;                  /* of the bytes given: up to the end of the last batch or command that counts */
	bool torn;                      /* what follows GOOD is a torn tail */
	bool sealed;                    /* the file ends in a stretch of ours */
	uint64_t last_seq, lineage;     /* in: of the files before; out */
	uint64_t batches, commands;     /* applied */
	bool continues;                 /* in: the bytes go on in a stretch of ours (a journal, not a file from its start) */
	uint64_t origin;                /* in: offset of the bytes in their file, for messages */
};
struct loader;
struct replay;                          /* replay.h: applies commands, counts what it skips */
int aof_read(const void *data, size_t len, struct replay *r, struct aof_result *res, struct error *e);

#endif
