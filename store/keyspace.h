/* keyspace.h -- the tree of keys in memory.
 *
 * A key is a path relative to the root (but for what can be no path: keyname.h), a value is the bytes of that file.
 * Every call below is one operation: it happens whole or, when it returns an error, not at all.
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
 * Names: bytes, 1 to KEYSPACE_NAME_MAX, without '/' and NUL, not "." and "..".  One that begins with ".%" stands for a part of a key that
 * is no name (keyname.h): who makes a name, or moves something to one, gets -EINVAL for such a one that is no key's, and -EEXIST where the
 * value of that key stands under its other name.                                          */
#ifndef KVFS_STORE_KEYSPACE_H
#define KVFS_STORE_KEYSPACE_H

#include "store/value.h"

#include <sys/types.h>

enum {
	KEYSPACE_ROOT = 1,
	KEYSPACE_NAME_MAX = 255,
	KEYSPACE_KEY_MAX = 65535,  /* bytes of a whole path at the time it is made */
	DIRECTORY_ENTRY_SIZE = 20, /* what each entry adds to the size of a directory that stat(2) shows */
	KEYSPACE_LINK_MAX = 1024,  /* names of a node: each is a key that a write changes, in one batch */
};

struct keyspace;
struct observer;
struct watcher;
struct xattrs;

struct keyspace_options {
	uint64_t hash_seed[2];    /* random, so that nobody can choose names that collide */
	uint64_t value_max;       /* bytes of the largest value; more is -EFBIG */
	uint64_t memory_max;      /* bytes; growing beyond is -ENOSPC (removing, moving, cutting and attributes never are); 0: no limit */
	uint32_t root_uid, root_gid, root_mode;  /* of the root directory; mode without the type */
	int64_t now_ns;           /* the root's times */
};

/* What stat(2) wants. */
struct attr {
	uint64_t id;
	uint64_t size;            /* of a value or target; of a directory DIRECTORY_ENTRY_SIZE an entry, "." and ".." too */
	int64_t atime_ns, mtime_ns, ctime_ns;
	uint32_t mode;            /* with the type */
	uint32_t uid, gid;
	uint32_t nlink;
	int64_t expire_at_ms;     /* 0: never */
	uint64_t memory;          /* bytes that the value takes; of what it shares with others, all */
	uint64_t rdev;            /* of a device: Linux's number for it, 32 bits; else 0 */
};

/* A name that changed without the kernel's doing: what it has to be told. */
struct keyspace_place {
	uint64_t parent, id;
	bool known;               /* it holds the node, so it may have an entry for the name */
	bool linked;              /* the node has other names */
	uint8_t len;
	char name[KEYSPACE_NAME_MAX];
};

/* Who asks, when, and what came of it. */
struct op {
	uint32_t uid, gid;        /* owner of what is created */
	int64_t now_ns;
	bool replayed;            /* it has happened before: no key's time is over for it */
	bool acl;                 /* new nodes get the default ACL of their directory, and without one UMASK is taken from their mode: acl.h */
	uint32_t umask;
	bool no_member;           /* setxattr of an ACL: not of the node's group, so it loses its set-group-ID bit */
	uint64_t seq;             /* out: the batch that makes the change last; 0: nothing to wait for */
};

int keyspace_new(const struct keyspace_options *o, struct keyspace **ret);
void keyspace_free(struct keyspace *ks);

/* Everything in A is in B afterwards, and the other way round; each root keeps its owner and mode, each keyspace its options.  Ids go with
 * what they name.  While one thread knows both, and before the observer of either is set.  -ENOMEM: nothing has changed. */
int keyspace_exchange(struct keyspace *a, struct keyspace *b);

/* Wires the journal.  Once, before the first operation of a second thread; until then nothing is told (recovery). */
void keyspace_set_observer(struct keyspace *ks, const struct observer *o);
/* WAKE is called, without S, when large values are to be freed that nobody has any more; somebody who serves no request then calls keyspace_reap(),
 * soon and one at a time.  Without one (NULL) the call that took the value away frees it.  Such memory counts as free from the beginning. */
void keyspace_set_reaper(struct keyspace *ks, void (*wake)(void *ctx), void *ctx);
void keyspace_reap(struct keyspace *ks);
/* At any time; when it returns, the one before is not called any more. */
void keyspace_set_watcher(struct keyspace *ks, const struct watcher *w);
/* May be changed while running; what is larger already stays. */
void keyspace_set_memory_max(struct keyspace *ks, uint64_t bytes);
/* The machine has only so many bytes more, counted from now, whatever memory_max says; INT64_MAX: it does not matter.  Below 0: not even
 * those that a write beside a snapshot copies; it gets -ENOSPC then.  Returns what is used (struct usage: bytes_total less bytes_idle). */
uint64_t keyspace_set_room(struct keyspace *ks, int64_t more);
void keyspace_set_value_max(struct keyspace *ks, uint64_t bytes);

/* ---- reading ---- */

/* Finds NAME in directory PARENT.  Counts as one lookup (keyspace_forget gives it back).  A key whose time is over is
 * not found.  -ENOENT, -ENOTDIR, -ENAMETOOLONG. */
int keyspace_lookup(struct keyspace *ks, uint64_t parent, const char *name, size_t len, int64_t now_ns, struct attr *ret);
void keyspace_forget(struct keyspace *ks, uint64_t id, uint64_t nlookup);
int keyspace_getattr(struct keyspace *ks, uint64_t id, struct attr *ret);
/* The value as it is now, with a reference for the caller; also a symlink's target.  *RET may be NULL: holes only.
 * -EISDIR; -EINVAL: a FIFO, socket or device. */
int keyspace_get_value(struct keyspace *ks, uint64_t id, struct value **ret, uint64_t *ret_size);

/* Access times that the clock sets, also that of a new node, tick in 4.2 ms, as those of tmpfs do at best: a node has room for no more.
 * (But that of a read within this after a change is exact, and takes a record of times.h.) */
enum { KEYSPACE_ATIME_SHIFT = 22 };
static inline int64_t keyspace_atime_at(int64_t now_ns)
{
	return now_ns & -(INT64_C(1) << KEYSPACE_ATIME_SHIFT);
}

/* The value, target or entries of ID were read: its atime becomes that of NOW_NS, if RULE says so.  The observer is not told, so this is not in a log,
 * but in snapshots and in the base of a log; a snapshot that runs may have it or not. */
enum atime_rule {
	ATIME_RELATIVE,           /* as relatime of Linux: when it is not later than mtime or ctime, or a day old */
	ATIME_ALWAYS,
	ATIME_NEVER,
};
void keyspace_accessed(struct keyspace *ks, uint64_t id, int64_t now_ns, enum atime_rule rule);
/* The value, and that it was read. */
int keyspace_read(struct keyspace *ks, uint64_t id, int64_t now_ns, enum atime_rule rule, struct value **ret, uint64_t *ret_size);
/* Likewise a symlink's target; -EINVAL when it is none. */
int keyspace_readlink(struct keyspace *ks, uint64_t id, int64_t now_ns, enum atime_rule rule, struct value **ret, uint64_t *ret_size);

/* The extended attributes as they are now, with a reference for the caller (xattr.h); *RET may be NULL: none. */
int keyspace_get_xattrs(struct keyspace *ks, uint64_t id, struct xattrs **ret);

/* Takes an entry; NAME and A are borrowed.  Returns 0, or 1 when there is no room for it (the scan stops before it). */
typedef int keyspace_emit_fn(void *ctx, const char *name, size_t len, uint64_t cookie, const struct attr *a);

/* Lists DIR from behind COOKIE (0: from the start), beginning with "." and "..".  Cookies are stable: a name that exists
 * throughout a scan is seen exactly once whatever comes and goes around it.  Seeking costs O(log n).  COUNT_LOOKUPS:
 * each entry taken but "." and ".." counts as a lookup (readdirplus).  At most MAX entries under one hold of S.
 * *RET_END is true when the directory has no more. */
int keyspace_readdir(struct keyspace *ks, uint64_t dir, uint64_t cookie, bool count_lookups, int max, int64_t now_ns,
                     keyspace_emit_fn *emit, void *ctx, bool *ret_end);

struct usage {
	uint64_t keys;            /* names of regular files: each is a key of Redis */
	uint64_t directories;     /* with the root */
	uint64_t symlinks;        /* names of them */
	uint64_t specials;        /* names of FIFOs, sockets and devices */
	uint64_t unlinked;        /* nodes without a name that the kernel still holds */
	uint64_t expires;         /* keys with an expiry */
	uint64_t bytes_values;    /* memory of values, as malloc rounds it, with what a snapshot or a reader keeps of large ones (value.h) */
	uint64_t bytes_total;     /* values, nodes, names, extended attributes, tables */
	uint64_t bytes_idle;      /* of these, what the next nodes will take: limits are about the rest */
	uint64_t bytes_max;       /* memory_max; 0: no limit */
	uint64_t bytes_limit;     /* what the rest may become, by memory_max and by keyspace_set_room(); UINT64_MAX: no limit */
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

/* Creates an empty regular file (MODE with S_IFREG; other types are -EPERM).  Counts a lookup.
 * -EEXIST, -ENOENT (PARENT was removed), -ENOTDIR, -ENAMETOOLONG, -ENOSPC, -ENOMEM. */
int keyspace_mknod(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len, uint32_t mode,
                   struct attr *ret);
int keyspace_mkdir(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len, uint32_t mode,
                   struct attr *ret);
int keyspace_symlink(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len,
                     const char *target, size_t target_len, struct attr *ret);
/* A FIFO, socket or device, as the type in MODE says (others are -EPERM); RDEV counts for a device.  Redis has no key for it. */
int keyspace_mkspecial(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len, uint32_t mode, uint32_t rdev,
                       struct attr *ret);
/* A further name for ID, which is no directory (-EPERM), has a name (-ENOENT) and fewer than KEYSPACE_LINK_MAX (-EMLINK).  All names are
 * equal: the node goes with the last one; a time to live is that of the node.  Counts a lookup, unless RET is NULL.  Errors of mknod. */
int keyspace_link(struct keyspace *ks, struct op *op, uint64_t id, uint64_t parent, const char *name, size_t len, struct attr *ret);
/* Takes the name away.  A key whose time is over is not there: -ENOENT; and it is in no directory's way. */
int keyspace_unlink(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len);
int keyspace_rmdir(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len);

enum rename_flags { RENAME_NO_REPLACE = 1, RENAME_SWAP = 2 };  /* as Linux's RENAME_NOREPLACE and RENAME_EXCHANGE */
int keyspace_rename(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len,
                    uint64_t new_parent, const char *new_name, size_t new_len, unsigned flags);
/* Makes sure that LEN bytes at OFF (not 0) have memory, so that writing there does not fail for want of it, and that the size is not less than
 * OFF + LEN unless KEEP_SIZE.  Takes S for a few MiB at a time.  -EFBIG, -ENOSPC: nothing is taken, and what was reserved before in that range
 * may be given back.  A log does not keep it: a reservation ends with the process. */
int keyspace_reserve(struct keyspace *ks, struct op *op, uint64_t id, uint64_t off, uint64_t len, bool keep_size);
/* LEN bytes at OFF (not 0) become zeros, whole chunks of them holes.  The size grows to OFF + LEN unless KEEP_SIZE. */
int keyspace_zero(struct keyspace *ks, struct op *op, uint64_t id, uint64_t off, uint64_t len, bool keep_size);
/* LEN bytes of ID at OFF become those of FROM at FROM_OFF, or less of them: *RET_LEN, 0 at the end of FROM.  Copied are 256 KiB at a time.  Where both
 * offsets are the same in a chunk, the chunks are shared: that takes no memory, and 64 MiB at a time or, with both the same in 4 MiB, a GiB.
 * -EINVAL: the ranges overlap. */
int keyspace_copy(struct keyspace *ks, struct op *op, uint64_t from_id, uint64_t from_off, uint64_t id, uint64_t off, uint64_t len, uint64_t *ret_len);
/* Writes all LEN bytes.  -EFBIG above value_max. */
int keyspace_write(struct keyspace *ks, struct op *op, uint64_t id, uint64_t off, const void *data, size_t len);

/* Sets the expiry (ms; 0 takes it away).  -ENOENT without a name or when its time is over, -EISDIR, -EINVAL: a symlink, FIFO, socket or
 * device.  *RET unless it is NULL. */
int keyspace_expire_at(struct keyspace *ks, struct op *op, uint64_t id, int64_t at_ms, struct keyspace_place *ret);

/* Sets extended attribute NAME of any node; FLAGS as of setxattr(2).  Bounds and their errors: xattrs_with().  -EEXIST, -ENODATA as FLAGS say;
 * -ENODATA: there is none to remove.  An access ACL (acl.h) sets the mode too, and is not kept when that says all of it; -EINVAL: it is none;
 * -EACCES: a default ACL for what is no directory. */
enum keyspace_xattr_flags { KEYSPACE_XATTR_CREATE = 1, KEYSPACE_XATTR_REPLACE = 2 };
int keyspace_setxattr(struct keyspace *ks, struct op *op, uint64_t id, const char *name, size_t len, const void *value, size_t size,
                      unsigned flags);
int keyspace_removexattr(struct keyspace *ks, struct op *op, uint64_t id, const char *name, size_t len);

/* ---- by key: for commands.  A key is a name: DEL takes that one away; a time to live is that of all names of the node.
 *      -ENOENT: no such key; what is no regular file and keys whose time is over are none ---- */

int keyspace_find_key(struct keyspace *ks, const char *key, size_t len, int64_t now_ns, struct attr *ret);

/* A key and what it names; KEY is borrowed.  With S held: it must not wait.  0; anything else ends the scan. */
typedef int keyspace_key_fn(void *ctx, const char *key, size_t len, const struct attr *a);

/* A walk over all keys, as Redis's SCAN: from cursor 0, step by step, until *RET_NEXT is 0.  Each key that is there throughout is seen, and
 * but once, whatever comes and goes; also one that is replaced meanwhile.  (Not one whose directory moves away, and another with such a key
 * comes to its place.)  A step looks at COUNT names or few more, S held for some at a time.  -ENOMEM, or what EMIT returned. */
int keyspace_scan(struct keyspace *ks, uint32_t cursor, uint32_t count, int64_t now_ns, keyspace_key_fn *emit, void *ctx,
                  uint32_t *ret_next);
/* Bytes that a key takes beside its value, about: a node, its name, its places in tables. */
enum { KEYSPACE_KEY_BYTES = 90 };

/* Conditions of EXPIRE: there is no expiry, there is one, the new one is later, sooner (none is for ever). */
enum expire_rules { EXPIRE_NX = 1, EXPIRE_XX = 2, EXPIRE_GT = 4, EXPIRE_LT = 8 };
/* Sets the expiry unless RULES say no; a time that is not to come removes the key.  EXPIRE_SET, EXPIRE_REMOVED, EXPIRE_REFUSED (nothing has
 * changed), or an error.  *RET is set with the first two. */
enum expire_result { EXPIRE_REFUSED, EXPIRE_SET, EXPIRE_REMOVED };
int keyspace_expire_key(struct keyspace *ks, struct op *op, const char *key, size_t len, int64_t at_ms, unsigned rules,
                        struct keyspace_place *ret);
/* Takes the expiry away: 1, or 0: there was none. */
int keyspace_persist_key(struct keyspace *ks, struct op *op, const char *key, size_t len);
int keyspace_remove_key(struct keyspace *ks, struct op *op, const char *key, size_t len, struct keyspace_place *ret);

/* ---- expiry ---- */

/* Removes at most MAX keys whose time is over (each name of a file is one), each an operation of its own, and notes them in GONE (room for MAX).  Returns how many, or
 * an error of the journal (then the rest stays until the next call). */
int keyspace_expire_due(struct keyspace *ks, struct op *op, int max, struct keyspace_place *gone);
/* ms since the epoch of the next expiry; INT64_MAX: none. */
int64_t keyspace_next_expiry(struct keyspace *ks);

/* ---- for the journal and the loader, with S held ---- */

void keyspace_lock(struct keyspace *ks);
void keyspace_unlock(struct keyspace *ks);
int keyspace_stat_locked(struct keyspace *ks, uint64_t id, struct attr *ret);
/* Borrowed. */
const struct value *keyspace_value_locked(struct keyspace *ks, uint64_t id);
int64_t keyspace_expiry_locked(struct keyspace *ks, uint64_t id);
/* Borrowed; NULL: none. */
struct xattrs *keyspace_xattrs_locked(struct keyspace *ks, uint64_t id);
/* The path of ID, by its first name, at the END of BUF (CAP bytes): returns a pointer into BUF and its length, or NULL: it has no name, or CAP is
 * too small.  The root's is empty. */
const char *keyspace_key_locked(struct keyspace *ks, uint64_t id, char *buf, size_t cap, size_t *ret_len);
/* The first further name of node ID, the next behind such a name; 0: no more.  Good for keyspace_key_locked() and keyspace_key_len_locked() alone. */
uint64_t keyspace_next_name_locked(struct keyspace *ks, uint64_t id);
/* How many names begin with ".%": with 0 each path is its key, else keyname_to_key() tells. */
uint64_t keyspace_escaped_locked(struct keyspace *ks);
/* Bytes of ID's path, -1 when it has no name. */
int64_t keyspace_key_len_locked(struct keyspace *ks, uint64_t id);

/* Calls VISIT for each name below DIR, parents before children; SUFFIX is the path from DIR.  VISIT returns 0 to go on;
 * anything else stops the walk and is returned. */
typedef int keyspace_visit_fn(void *ctx, const char *suffix, size_t len, const struct attr *a);
int keyspace_walk_locked(struct keyspace *ks, uint64_t dir, keyspace_visit_fn *visit, void *ctx);

#endif
