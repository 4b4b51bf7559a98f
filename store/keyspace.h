/* keyspace.h -- the tree of keys in memory.
 *
 * A key is a path relative to the root, a value is the bytes of that file.  Every call below is one operation: it
 * happens whole or, when it returns an error, not at all.
 *
 *      begin                reserve memory; may fail, nothing has changed
 *        |                  hand pre-images to a running snapshot (snapshot.h)
 *      observer.record()    the journal takes the change; may refuse, nothing has changed
 *        |
 *      apply                cannot fail
 *
 * Ids: a node id is slot + (generation << 32), never a pointer; the root is 1.  An id that the kernel holds stays valid
 * after its last name is gone (unlinked, but open) until keyspace_forget() gives back the last lookup.
 *
 * Errors: 0 or a negative errno, the one POSIX gives for the call.  -ESTALE: no such id.
 * Times: ns since the epoch, UTC.  Expiry: ms since the epoch, as Redis has it; 0 is none.
 * Locks: S, one mutex, taken inside each call; functions that end in _locked want it held (keyspace_lock).  No call
 * does I/O or waits for anything but S.  Functions of one struct keyspace may be called from any thread.
 * Names: bytes, 1 to KEYSPACE_NAME_MAX, without '/' and NUL, not "." and "..".                                          */
#ifndef KVFS_STORE_KEYSPACE_H
#define KVFS_STORE_KEYSPACE_H

#include "store/value.h"

#include <sys/types.h>

enum {
	KEYSPACE_ROOT = 1,
	KEYSPACE_NAME_MAX = 255,
	KEYSPACE_KEY_MAX = 65535,  /* bytes of a whole path at the time it is made */
};

struct keyspace;
struct observer;

struct keyspace_options {
	uint64_t hash_seed[2];    /* random, so that nobody can choose names that collide */
	uint64_t value_max;       /* bytes of the largest value; more is -EFBIG */
	uint64_t memory_max;      /* bytes; growing beyond is -ENOSPC; 0: no limit */
	uint32_t root_uid, root_gid, root_mode;  /* of the root directory; mode without the type */
	int64_t now_ns;           /* the root's times */
};

/* What stat(2) wants. */
struct attr {
	uint64_t id;
	uint64_t size;
	int64_t atime_ns, mtime_ns, ctime_ns;
	uint32_t mode;            /* with the type */
	uint32_t uid, gid;
	uint32_t nlink;
};

/* Who asks, when, and what came of it. */
struct op {
	uint32_t uid, gid;        /* owner of what is created */
	int64_t now_ns;
	uint64_t seq;             /* out: the batch that makes the change last; 0: nothing to wait for */
};

int keyspace_new(const struct keyspace_options *o, struct keyspace **ret);
void keyspace_free(struct keyspace *ks);

/* Wires the journal.  Once, before the first operation of a second thread; until then nothing is told (recovery). */
void keyspace_set_observer(struct keyspace *ks, const struct observer *o);
/* May be changed while running. */
void keyspace_set_memory_max(struct keyspace *ks, uint64_t bytes);

/* ---- reading ---- */

/* Finds NAME in directory PARENT.  Counts as one lookup (keyspace_forget gives it back).  A key whose time is over is
 * not found.  -ENOENT, -ENOTDIR, -ENAMETOOLONG. */
int keyspace_lookup(struct keyspace *ks, uint64_t parent, const char *name, size_t len, int64_t now_ns, struct attr *ret);
void keyspace_forget(struct keyspace *ks, uint64_t id, uint64_t nlookup);
int keyspace_getattr(struct keyspace *ks, uint64_t id, struct attr *ret);
/* The value as it is now, with a reference for the caller; also a symlink's target.  *RET may be NULL: holes only.
 * -EISDIR. */
int keyspace_get_value(struct keyspace *ks, uint64_t id, struct value **ret, uint64_t *ret_size);
/* -EINVAL when it is no symlink. */
int keyspace_readlink(struct keyspace *ks, uint64_t id, struct value **ret, uint64_t *ret_size);

/* Takes an entry; NAME and A are borrowed.  Returns 0, or 1 when there is no room for it (the scan stops before it). */
typedef int keyspace_emit_fn(void *ctx, const char *name, size_t len, uint64_t cookie, const struct attr *a);

/* Lists DIR from behind COOKIE (0: from the start), beginning with "." and "..".  Cookies are stable: a name that exists
 * throughout a scan is seen exactly once whatever comes and goes around it.  Seeking costs O(log n).  COUNT_LOOKUPS:
 * each entry taken but "." and ".." counts as a lookup (readdirplus).  At most MAX entries under one hold of S.
 * *RET_END is true when the directory has no more. */
int keyspace_readdir(struct keyspace *ks, uint64_t dir, uint64_t cookie, bool count_lookups, int max, int64_t now_ns,
                     keyspace_emit_fn *emit, void *ctx, bool *ret_end);

struct usage {
	uint64_t keys;            /* regular files with a name */
	uint64_t directories;     /* with the root */
	uint64_t symlinks;
	uint64_t unlinked;        /* nodes without a name that the kernel still holds */
	uint64_t expires;         /* keys with an expiry */
	uint64_t bytes_values;    /* memory of values, as malloc rounds it */
	uint64_t bytes_total;     /* values, nodes, names, tables */
	uint64_t bytes_max;       /* memory_max; 0: no limit */
};
void keyspace_usage(struct keyspace *ks, struct usage *ret);

/* ---- changing ---- */

enum attr_change_mask {
	ATTR_MODE = 1, ATTR_UID = 2, ATTR_GID = 4, ATTR_SIZE = 8, ATTR_ATIME = 16, ATTR_MTIME = 32, ATTR_CTIME = 64,
};
struct attr_change {
	uint32_t mask;            /* of enum attr_change_mask; CTIME is set to op->now_ns unless given */
	uint32_t mode;            /* permission bits */
	uint32_t uid, gid;
	uint64_t size;
	int64_t atime_ns, mtime_ns, ctime_ns;
};
/* One change of all that is named.  SIZE on a directory is -EISDIR, above value_max -EFBIG.  A cut to 0 is the first half
 * of a SET: it clears the expiry. */
int keyspace_setattr(struct keyspace *ks, struct op *op, uint64_t id, const struct attr_change *c, struct attr *ret);

/* Creates an empty regular file (MODE with S_IFREG; other types but directories are -EPERM).  Counts a lookup.
 * -EEXIST, -ENOENT (PARENT was removed), -ENOTDIR, -ENAMETOOLONG, -ENOSPC, -ENOMEM. */
int keyspace_mknod(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len, uint32_t mode,
                   struct attr *ret);
int keyspace_mkdir(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len, uint32_t mode,
                   struct attr *ret);
int keyspace_symlink(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len,
                     const char *target, size_t target_len, struct attr *ret);
int keyspace_unlink(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len);
int keyspace_rmdir(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len);

enum rename_flags { RENAME_NO_REPLACE = 1, RENAME_SWAP = 2 };  /* as Linux's RENAME_NOREPLACE and RENAME_EXCHANGE */
int keyspace_rename(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len,
                    uint64_t new_parent, const char *new_name, size_t new_len, unsigned flags);
/* Writes all LEN bytes.  -EFBIG above value_max. */
int keyspace_write(struct keyspace *ks, struct op *op, uint64_t id, uint64_t off, const void *data, size_t len);

/* Sets the expiry (ms; 0 takes it away).  -ENOENT without a name, -EISDIR. */
int keyspace_expire_at(struct keyspace *ks, struct op *op, uint64_t id, int64_t at_ms);

/* ---- expiry ---- */

/* Told of each key that went, under S: must only take note. */
typedef void keyspace_gone_fn(void *ctx, uint64_t parent, const char *name, size_t len, uint64_t id);
/* Removes at most MAX keys whose time is over, each an operation of its own.  Returns how many, or an error of the
 * journal (then the rest stays until the next call). */
int keyspace_expire_due(struct keyspace *ks, struct op *op, int max, keyspace_gone_fn *gone, void *ctx);
/* ms since the epoch of the next expiry; INT64_MAX: none. */
int64_t keyspace_next_expiry(struct keyspace *ks);

/* ---- for the journal and the loader, with S held ---- */

void keyspace_lock(struct keyspace *ks);
void keyspace_unlock(struct keyspace *ks);
int keyspace_stat_locked(struct keyspace *ks, uint64_t id, struct attr *ret);
/* Borrowed. */
const struct value *keyspace_value_locked(struct keyspace *ks, uint64_t id);
int64_t keyspace_expiry_locked(struct keyspace *ks, uint64_t id);
/* The key of ID at the END of BUF (CAP bytes): returns a pointer into BUF and its length, or NULL: it has no name, or CAP is
 * too small.  The root's is empty. */
const char *keyspace_key_locked(struct keyspace *ks, uint64_t id, char *buf, size_t cap, size_t *ret_len);
/* Bytes of ID's key, -1 when it has no name. */
int64_t keyspace_key_len_locked(struct keyspace *ks, uint64_t id);

/* Calls VISIT for each node below DIR, parents before children; SUFFIX is the path from DIR.  VISIT returns 0 to go on;
 * anything else stops the walk and is returned. */
typedef int keyspace_visit_fn(void *ctx, const char *suffix, size_t len, const struct attr *a);
int keyspace_walk_locked(struct keyspace *ks, uint64_t dir, keyspace_visit_fn *visit, void *ctx);

#endif
