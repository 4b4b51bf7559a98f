/* replay.h -- does to the keyspace what a command in an append-only file did to Redis's.
 *
 * Knows every command that Redis 7 logs for string keys.  A command that writes a key of another type leaves a note
 * (tombs.h), and so does a key that is no path; a later DEL, RENAME, COPY or SET of that key finds the note, so that what
 * is noted at the end is what Redis would hold and the keyspace does not.  replay_finish() turns that into one refusal.
 * Nothing expires during a replay.
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

struct verb;
struct replay_db;

struct replay {
	struct loader l;
	bool skip_non_strings;
	bool strict;             /* the commands are ours: one that finds no key, or whose key is no path, is an error */
	uint64_t db;             /* selected; each file of a Redis starts with 0 */
	uint64_t keys;           /* values set so far; for who watches */
	struct tombs tombs;      /* of the database entered, as L: replay_db.h */
	struct keyspace *ks;     /* C the caller's */
	uint64_t mount_db;       /* C */
	bool skip_other_dbs;     /* C keys in other databases are left out, else refused */
	uint64_t entered;        /* private, as what follows: the number of database[at] */
	struct replay_db *database;
	size_t at, dbs, dbs_cap;
	struct bytes scratch;    /* private: values in the making */
	const struct verb *verb; /* private: of the command before, as most logs repeat themselves; NULL */
	/* Called after each command or batch with the bytes done of the file being read; may be NULL. */
	void (*progress)(void *ctx, uint64_t done);
	void *progress_ctx;
};

/* KS is borrowed; what has no attributes of its own belongs to UID, GID and was made at NOW_NS.  -ENOMEM. */
int replay_init(struct replay *r, struct keyspace *ks, uint32_t uid, uint32_t gid, int64_t now_ns);
void replay_fini(struct replay *r);
/* Right after replay_init(): database DB (else 0) is the one that is wanted, and selected. */
void replay_mount(struct replay *r, uint64_t db, bool skip_other_dbs);

/* Applies one command.  0; or with E set: -EPROTO (a command or argument it can't follow), -ENOENT and -EINVAL (strict),
 * -EFBIG, -ENOSPC, -ENOMEM. */
int replay_command(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e);

/* Whether replay_command() knows a command of that name with that many arguments. */
bool replay_knows(const struct resp_arg *argv, size_t argc);

/* A path of a file that knows no ESCAPED (format.h) becomes the one of today: *PATH lies in R's scratch then, which holds two (WHICH 0 and 1)
 * until the next command.  0, -ENAMETOOLONG, -ENOMEM. */
int replay_escape(struct replay *r, int which, const char **path, size_t *len);
/* A key of an RDB file: a string with its expiry (0: none), or the name of its type.  The id of the file goes to *RET_ID, 0
 * when it was left out.  *MADE, if MADE is not NULL, is VALUE as the store has it; it is taken. */
int replay_string(struct replay *r, const struct resp_arg *key, const struct resp_arg *value, struct value **made, int64_t expire_at_ms,
                  uint64_t *ret_id, struct error *e);
/* KEY has become a value, by whatever way. */
void replay_has(struct replay *r, const struct resp_arg *key);
int replay_other_type(struct replay *r, const struct resp_arg *key, const char *type, struct error *e);
/* At the end of the last file: -EINVAL with E set when something can't be mounted.  Else 0; what was left out by
 * skip_non_strings and skip_other_dbs is a line each in REPORT. */
int replay_finish(struct replay *r, struct bytes *report, struct error *e);

#endif
