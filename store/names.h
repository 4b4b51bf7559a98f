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
/* Hints that names_find() will soon be asked for HASH: the first fetches its bucket into the CPU's cache; the second, some time later, the
 * node that the bucket names; the third the node behind that. */
void names_prefetch_bucket(const struct names *t, uint32_t hash);
void names_prefetch_first(const struct names *t, const struct node_table *nodes, uint32_t hash);
void names_prefetch_second(const struct names *t, const struct node_table *nodes, uint32_t hash);
/* Makes sure that the next insert finds memory to grow.  -ENOMEM. */
int names_reserve(struct names *t);
/* Takes the shape for COUNT entries at once; only while it is empty (a hint otherwise ignored).  -ENOMEM. */
int names_presize(struct names *t, uint64_t count);
/* The node knows parent and name; HASH is stored in it.  Cannot fail after names_reserve(). */
void names_insert(struct names *t, const struct node_table *nodes, uint32_t slot, uint32_t hash);
void names_remove(struct names *t, const struct node_table *nodes, uint32_t slot);

/* A walk over all entries that may grow and shrink the table between its steps.  An entry's POSITION is its hash with the bits the other way
 * round: it never changes, and a bucket is all entries of one run of positions, however many buckets there are.  Whoever goes on where a
 * bucket ended has seen every entry before that position and none behind it. */
static inline uint32_t names_position(uint32_t hash)
{
	hash = __builtin_bswap32(hash);
	hash = (hash & 0x0f0f0f0f) << 4 | (hash & 0xf0f0f0f0) >> 4;
	hash = (hash & 0x33333333) << 2 | (hash & 0xcccccccc) >> 2;
	return (hash & 0x55555555) << 1 | (hash & 0xaaaaaaaa) >> 1;
}
/* The first slot of the bucket that POSITION lies in, the others by hash_next; 0: it is empty.  *RET_NEXT: the first position behind the
 * bucket; 0: it was the last. */
uint32_t names_bucket(const struct names *t, uint32_t position, uint32_t *ret_next);

#endif
