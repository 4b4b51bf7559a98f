/* load.h -- changing the keyspace by key or by path instead of by node id: what a loader and a replay of commands need.
 *
 * For recovery only: before the observer is set, by one thread, nothing is told to anybody.  Missing parents are made with the defaults.
 * The last directory used is remembered, so that keys that come in any order by directory cost one lookup.
 *
 * A KEY is Redis's: any bytes.  Its value stands at the key's path (keyname.h), or beside it when a directory or a symbolic link is there;
 * a value that stands where a directory has to be is put beside it.  So the order in which keys come makes no difference.  A PATH is the
 * tree's: it names one place, of any type.
 *
 * Errors of every call: -EINVAL and *l->why set (static text): a key whose path would be too long, or what is no path;  -EEXIST,
 * -ENOTDIR: something else is there, or on the way;  -ENOENT;  -EFBIG, -ENOSPC, -ENOMEM.                                                */
#ifndef KVFS_STORE_LOAD_H
#define KVFS_STORE_LOAD_H

#include "store/keyspace.h"
#include "store/load_ahead.h"
#include "store/xattr.h"

struct loader {
	struct keyspace *ks;      /* C borrowed */
	uint32_t uid, gid;        /* C for what is made without attributes */
	uint32_t file_mode, dir_mode;  /* C permission bits, likewise */
	int64_t now_ns;           /* time of the change being loaded: the caller sets it whenever it moves on */
	bool displace;            /* an empty directory gives way to a value, a symbolic link to the directory of a key below it: the
	                           * change is Redis's, which knows neither; nor links: a name it changes gets a node of its own */
	uint64_t links_gone;      /* symbolic links, FIFOs, sockets and devices that gave way */
	const char *why;          /* after -EINVAL */
	uint64_t last_dir;        /* private: the directory used last */
	char *last_prefix;        /* private: its path */
	size_t last_prefix_len, last_prefix_cap;
	char *path;               /* private: of a key that is none itself; NULL, or KEYSPACE_KEY_MAX bytes */
	char *beside;             /* private: a second name; NULL, or KEYNAME_BESIDE_MAX bytes */
	struct load_ahead ahead;  /* private */
};

int loader_init(struct loader *l, struct keyspace *ks, uint32_t uid, uint32_t gid, int64_t now_ns);
void loader_fini(struct loader *l);
/* Makes room for N keys at once (a hint). */
int loader_presize(struct loader *l, uint64_t keys);

/* A key that some later call will name: nothing changes, but what finding its place needs is fetched into the CPU's cache meanwhile.
 * Pays when keys are told about LOADER_AHEAD calls before their turn; harmless when they never come. */
void loader_expect(struct loader *l, const char *key, size_t len);

/* ---- by key ---- */

/* The value of KEY: -ENOENT when it has none. */
int loader_find_value(struct loader *l, const char *key, size_t len, uint64_t *ret_id);
/* Likewise, to change it: with DISPLACE it is no other key's any more. */
int loader_own_value(struct loader *l, const char *key, size_t len, uint64_t *ret_id);
/* SET: creates, or replaces the value and keeps mode and owner; clears the expiry.  RET_ID may be NULL. */
int loader_set(struct loader *l, const char *key, size_t len, const void *data, size_t n, uint64_t *ret_id);
/* Likewise with a value of N bytes that is made already (value_new()); takes it, also when it fails. */
int loader_put(struct loader *l, const char *key, size_t len, struct value *v, size_t n, uint64_t *ret_id);
/* Likewise, with V of SIZE bytes, of which it takes a reference: another keyspace may have it too. */
int loader_set_value(struct loader *l, const char *key, size_t len, struct value *v, uint64_t size, uint64_t *ret_id);
/* Creates the file if missing; keeps the expiry.  n = 0 with off > size does not grow it (as SETRANGE). */
int loader_write(struct loader *l, const char *key, size_t len, uint64_t off, const void *data, size_t n, uint64_t *ret_id);
/* A reference to the value for the caller. */
int loader_get(struct loader *l, const char *key, size_t len, struct value **ret_value, uint64_t *ret_size);
int loader_delete(struct loader *l, const char *key, size_t len);
int loader_move(struct loader *l, const char *from, size_t from_len, const char *to, size_t to_len);  /* over what TO has */
int loader_copy(struct loader *l, const char *from, size_t from_len, const char *to, size_t to_len);  /* shares the value; with expiry */
/* KEY, which has no value (-EEXIST), becomes a further name of ID. */
int loader_link_value(struct loader *l, uint64_t id, const char *key, size_t len);
/* The value of KEY gets the key's second name, whether that is necessary or not: there it was when the file was written. */
int loader_set_beside(struct loader *l, const char *key, size_t len);

/* ---- by path ---- */

int loader_find(struct loader *l, const char *path, size_t len, uint64_t *ret_id);  /* of any type; "" is the root */
int loader_remove(struct loader *l, const char *path, size_t len);  /* file, symlink or empty directory (-ENOTEMPTY) */
int loader_rename(struct loader *l, const char *from, size_t from_len, const char *to, size_t to_len, unsigned flags);
/* Creates it if missing, else only finds it (-ENOTDIR, -EEXIST when something else is there). */
int loader_mkdir(struct loader *l, const char *path, size_t len, uint64_t *ret_id);
int loader_symlink(struct loader *l, const char *path, size_t len, const char *target, size_t target_len, uint64_t *ret_id);
/* A further name for ID (keyspace_link). */
int loader_link(struct loader *l, uint64_t id, const char *path, size_t len);
/* A FIFO, socket or device: MODE with the type. */
int loader_special(struct loader *l, const char *path, size_t len, uint32_t mode, uint32_t rdev, uint64_t *ret_id);

/* ---- by id ---- */

/* The directory that holds it.  -ESTALE. */
int loader_parent(struct loader *l, uint64_t id, uint64_t *ret_id);
/* -EISDIR, -EINVAL: no file. */
int loader_resize(struct loader *l, uint64_t id, uint64_t size);
/* LEN bytes at OFF become zeros, and the size OFF + LEN if it is less.  Errors likewise. */
int loader_zero(struct loader *l, uint64_t id, uint64_t off, uint64_t len);
/* LEN bytes at OFF become those of FROM at FROM_OFF.  -EINVAL: FROM has less, or the ranges overlap; else likewise. */
int loader_copy_range(struct loader *l, uint64_t from, uint64_t from_off, uint64_t id, uint64_t off, uint64_t len);
/* Sets exactly what the mask names, nothing else (no time of its own); not SIZE. */
int loader_attr(struct loader *l, uint64_t id, const struct attr_change *c);
int loader_expire(struct loader *l, uint64_t id, int64_t at_ms);
/* Sets one extended attribute, or takes it away if it is there, and no time.  Errors besides: xattrs_with()'s. */
int loader_xattr(struct loader *l, uint64_t id, const struct xattr *change);

/* Everything goes but the root. */
void loader_clear(struct loader *l);

#endif
