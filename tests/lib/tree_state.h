/* tree_state.h -- everything that a remount promises of a keyspace, copied out and sorted by key, so that two can be compared.
 *
 * Names, types, content, size, mode, owner, link count, three times in ns, expiry, extended attributes; of the root too.  Aborts without memory.    */
#ifndef KVFS_TESTS_TREE_STATE_H
#define KVFS_TESTS_TREE_STATE_H

#include "store/keyspace.h"

#include <stdbool.h>
#include <stddef.h>

struct tree_entry {
	char *key;                   /* terminated; the root's is empty */
	size_t key_len;
	struct attr attr;
	int64_t expire_at_ms;
	struct xattrs *xattrs;       /* a reference; NULL: none */
	char *data;                  /* attr.size bytes of a value or target; NULL for a directory */
};

struct tree_state {
	struct tree_entry *entry;    /* owned */
	size_t count, cap;
};

/* Takes S.  Replaces what RET held ({0}: nothing). */
void tree_state_take(struct keyspace *ks, struct tree_state *ret);
void tree_state_fini(struct tree_state *t);
/* True when they are the same; else the first difference is a sentence in WHY. */
bool tree_state_same(const struct tree_state *got, const struct tree_state *want, char *why, size_t cap);
/* A copy of FROM without the keys whose time is over at NOW_MS, and without the times of directories: what there is to compare after a load
 * that leaves such keys out, which is no change of their directory. */
void tree_state_without_expired(const struct tree_state *from, int64_t now_ms, struct tree_state *ret);
/* NULL: no such key. */
const struct tree_entry *tree_state_find(const struct tree_state *t, const char *key, size_t len);

#endif
