/* tombs.h -- keys that the files hold and the keyspace can't: of another type, or without a place among paths.
 *
 * A key is noted when a load leaves it out and forgotten when a later command deletes or replaces it; what is left at the
 * end of the load is what has to be refused or counted.  Order of first noting is kept, so that a report names the same
 * keys each time.
 *
 * One thread.  Memory: the keys, and about 50 bytes each.                                                               */
#ifndef KVFS_PERSIST_TOMBS_H
#define KVFS_PERSIST_TOMBS_H

#include "persist/bytes.h"

#include <stdbool.h>
#include <stdint.h>

enum tomb_kind {
	TOMB_GONE,      /* was forgotten */
	TOMB_TYPE,      /* TEXT is the type: "list", "hash", ... */
	TOMB_NO_PATH,   /* TEXT says why it is no path */
};

struct tomb {
	size_t key_at, key_len;   /* in struct tombs: keys */
	enum tomb_kind kind;
	const char *text;         /* static */
	uint32_t hash;
};

/* {0} is a valid empty one. */
struct tombs {
	struct bytes keys;
	struct tomb *tomb;        /* owned, in the order of noting */
	size_t count, cap;
	uint32_t *bucket;         /* owned; index + 1, 0: free */
	size_t buckets;           /* a power of two, or 0 */
	uint64_t types, no_paths; /* not gone */
};

/* Notes KEY, or changes what is known of it.  TEXT is static.  0 or -ENOMEM. */
int tombs_add(struct tombs *t, const char *key, size_t len, enum tomb_kind kind, const char *text);
/* Forgets KEY; nothing happens when it is not there. */
void tombs_remove(struct tombs *t, const char *key, size_t len);
/* Borrowed until the next add; NULL when KEY is not there. */
const struct tomb *tombs_find(const struct tombs *t, const char *key, size_t len);
const char *tombs_key(const struct tombs *t, const struct tomb *tomb);
static inline bool tombs_empty(const struct tombs *t)
{
	return t->types + t->no_paths == 0;
}
/* Forgets all. */
void tombs_clear(struct tombs *t);
void tombs_fini(struct tombs *t);

#endif
