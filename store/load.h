/* load.h -- changing the keyspace by key instead of by node id: what a loader and a replay of commands need.
 *
 * For recovery only: before the observer is set, by one thread, nothing is told to anybody.  Missing parents of a key are
 * made with the defaults.  The last directory used is remembered, so that keys that come in any order by directory cost one
 * lookup.
 *
 * Errors of every call: -EINVAL and *l->why set (static text): the key is no path ("is empty", "has an empty part", "has a
 * part \".\"", "has a part over 255 bytes", "has a NUL byte", "is longer than 65535 bytes");  -EISDIR: the key names a
 * directory;  -EEXIST: a symlink;  -ENOTDIR: a part of the key is a value or a symlink;  -ENOENT;  -EFBIG, -ENOSPC, -ENOMEM.                          */
#ifndef KVFS_STORE_LOAD_H
#define KVFS_STORE_LOAD_H

#include "store/keyspace.h"

struct loader {
	struct keyspace *ks;      /* C borrowed */
	uint32_t uid, gid;        /* C for what is made without attributes */
	uint32_t file_mode, dir_mode;  /* C permission bits, likewise */
	int64_t now_ns;           /* time of the change being loaded: the caller sets it whenever it moves on */
	const char *why;          /* after -EINVAL */
	uint64_t last_dir;        /* private: directory of the key used last */
	char *last_prefix;        /* private */
	size_t last_prefix_len, last_prefix_cap;
};

int loader_init(struct loader *l, struct keyspace *ks, uint32_t uid, uint32_t gid, int64_t now_ns);
void loader_fini(struct loader *l);

/* 0 if KEY could be the name of something here; -EINVAL. */
int loader_check_key(struct loader *l, const char *key, size_t len);
/* Makes room for N keys at once (a hint). */
int loader_presize(struct loader *l, uint64_t keys);

int loader_find(struct loader *l, const char *key, size_t len, uint64_t *ret_id);  /* of any type; "" is the root */
/* SET: creates, or replaces the value and keeps mode and owner; clears the expiry.  RET_ID may be NULL. */
int loader_set(struct loader *l, const char *key, size_t len, const void *data, size_t n, uint64_t *ret_id);
/* Creates the file if missing; keeps the expiry.  n = 0 with off > size does not grow it (as SETRANGE). */
int loader_write(struct loader *l, const char *key, size_t len, uint64_t off, const void *data, size_t n, uint64_t *ret_id);
int loader_resize(struct loader *l, const char *key, size_t len, uint64_t size);
/* A reference to the value for the caller.  -ENOENT. */
int loader_get(struct loader *l, const char *key, size_t len, struct value **ret_value, uint64_t *ret_size);
int loader_remove(struct loader *l, const char *key, size_t len);  /* file, symlink or empty directory (-ENOTEMPTY) */
int loader_rename(struct loader *l, const char *from, size_t from_len, const char *to, size_t to_len, unsigned flags);
int loader_copy(struct loader *l, const char *from, size_t from_len, const char *to, size_t to_len);  /* shares the value; with expiry */
/* Creates it if missing, else only finds it (-ENOTDIR, -EEXIST when something else is there). */
int loader_mkdir(struct loader *l, const char *key, size_t len, uint64_t *ret_id);
int loader_symlink(struct loader *l, const char *key, size_t len, const char *target, size_t target_len, uint64_t *ret_id);
/* Sets exactly what the mask names, nothing else (no time of its own); not SIZE. */
int loader_attr(struct loader *l, uint64_t id, const struct attr_change *c);
int loader_expire(struct loader *l, uint64_t id, int64_t at_ms);
/* Everything goes but the root. */
void loader_clear(struct loader *l);

#endif
