/* owners.h -- who owns nodes: each pair of user and group once, however many nodes it has.
 *
 * A node keeps a number of OWNER_BITS for its owner.  Number 0 is root's (0, 0), always there and not counted; the others are counted, and go
 * with the last node.  Found by a hash table whose chains go through the entries.  Private to store/.  All of it under S.                 */
#ifndef KVFS_STORE_OWNERS_H
#define KVFS_STORE_OWNERS_H

#include <stdint.h>

enum { OWNER_BITS = 24 };

struct owner {
	uint32_t uid, gid;
	uint32_t nodes;
	uint32_t next;              /* in its chain, or of those that are free; 0: the end */
};

struct owners {
	struct owner *owner;        /* number 0 stands for itself: nothing is kept there */
	uint32_t *bucket;           /* as many as CAP */
	uint32_t top, cap;          /* numbers ever used are below TOP */
	uint32_t free;              /* list of those below it that are free again */
	uint64_t bytes;
};

void owners_fini(struct owners *t);
/* The number of (UID, GID), with one node more.  -ENOMEM; -ENOSPC: 2^OWNER_BITS others are in use. */
int owners_take(struct owners *t, uint32_t uid, uint32_t gid, uint32_t *ret);
/* One node more of a number that is in use. */
void owners_share(struct owners *t, uint32_t number);
/* One node less. */
void owners_drop(struct owners *t, uint32_t number);

static inline uint32_t owners_uid(const struct owners *t, uint32_t number)
{
	return number ? t->owner[number].uid : 0;
}

static inline uint32_t owners_gid(const struct owners *t, uint32_t number)
{
	return number ? t->owner[number].gid : 0;
}

#endif
