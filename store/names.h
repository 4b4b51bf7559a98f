/* names.h -- from (directory, name) to node: one hash table for the whole keyspace.
 *
 * Linear hashing (Litwin 1980): the table grows and shrinks by one bucket an operation, so no operation ever pays for a rehash.
 *
 *      buckets 0 .. split-1 and base .. base+split-1 are addressed by one bit more than the others
 *      [0][1] | [2] .. [base-1] | [base][base+1]
 *           split
 *
 * Buckets are chains of slots through node.hash_next; segments of buckets never move.  The hash is SipHash-1-3 (Aumasson, Bernstein) with a
 * random key: nobody can choose names that collide.  Private to store/.  All of it under S.                                                 */
#ifndef KVFS_STORE_NAMES_H
#define KVFS_STORE_NAMES_H

#include "store/node.h"

struct names {
	uint32_t **segment;
	uint32_t segments, segment_cap;
	uint32_t base, split;       /* base: a power of two; base + split buckets */
	uint64_t count;
	uint64_t seed[2];
	uint64_t bytes;
};

int names_init(struct names *t, const uint64_t seed[2]);
void names_fini(struct names *t);
uint32_t names_hash(const struct names *t, uint32_t parent, const char *name, size_t len);
/* Slot of NAME in the directory with slot PARENT; 0: none. */
uint32_t names_find(const struct names *t, const struct node_table *nodes, uint32_t parent, const char *name, size_t len, uint32_t hash);
/* Makes sure that the next insert finds memory to grow.  -ENOMEM. */
int names_reserve(struct names *t);
/* Takes the shape for COUNT entries at once; only while it is empty (a hint otherwise ignored).  -ENOMEM. */
int names_presize(struct names *t, uint64_t count);
/* The node knows parent and name; HASH is stored in it.  Cannot fail after names_reserve(). */
void names_insert(struct names *t, const struct node_table *nodes, uint32_t slot, uint32_t hash);
void names_remove(struct names *t, const struct node_table *nodes, uint32_t slot);

#endif
