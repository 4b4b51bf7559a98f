/* replay.h -- does to the keyspace what a command in an append-only file did to Redis's.
 *
 * Knows every command that Redis 7 logs for string keys.  A command that writes a key of another type leaves a note
 * (tombs.h), and so does a key that is no path; a later DEL, RENAME, COPY or SET of that key finds the note, so that what
 * is noted at the end is what Redis would hold and the keyspace does not.  replay_finish() turns that into one refusal.
 * Nothing expires during a replay.  A key that names an empty directory takes its place: Redis has no directories.
 *
 * MULTI and EXEC are the reader's (aof_read.c): commands come here when they count.
 *
 * One thread.                                                                                                           */
#ifndef KVFS_PERSIST_REPLAY_H
#define KVFS_PERSIST_REPLAY_H

#include "persist/bytes.h"
#include "persist/error.h"
#include "persist/resp.h"
#include "persist/tombs.h"
#include "store/load.h"

struct replay {
	struct loader l;
	bool skip_non_strings;
	bool strict;             /* the commands are ours: one that finds no key, or whose key is no path, is an error */
	uint64_t db;             /* selected; each file starts with 0 */
	uint64_t keys;           /* values set so far; for who watches */
	uint64_t foreign_keys;   /* writes to databases other than 0 */
	uint64_t foreign_db;     /* the first of them */
	struct tombs tombs;
	struct bytes scratch;    /* private: values in the making */
	/* Called after each command or batch with the bytes done of the file being read; may be NULL. */
	void (*progress)(void *ctx, uint64_t done);
	void *progress_ctx;
};

/* KS is borrowed; what has no attributes of its own belongs to UID, GID and was made at NOW_NS.  -ENOMEM. */
int replay_init(struct replay *r, struct keyspace *ks, uint32_t uid, uint32_t gid, int64_t now_ns);
void replay_fini(struct replay *r);

/* Applies one command.  0; or with E set: -EPROTO (a command or argument it can't follow), -ENOENT and -EINVAL (strict),
 * -EFBIG, -ENOSPC, -ENOMEM. */
int replay_command(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e);

/* A key of an RDB file: a string with its expiry (0: none), or the name of its type.  The id of the file goes to *RET_ID, 0
 * when it was left out. */
int replay_string(struct replay *r, const struct resp_arg *key, const struct resp_arg *value, int64_t expire_at_ms, uint64_t *ret_id,
                  struct error *e);
int replay_other_type(struct replay *r, const struct resp_arg *key, const char *type, struct error *e);
/* A key in database DB, not 0. */
void replay_foreign(struct replay *r, uint64_t db);

/* At the end of the last file: -EINVAL with E set when something can't be mounted.  Else 0; what was left out by
 * skip_non_strings is a line in REPORT. */
int replay_finish(struct replay *r, struct bytes *report, struct error *e);

#endif
