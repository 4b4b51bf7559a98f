/* lru.h -- how long each key was not used.
 *
 * Beside the node table, which does not grow for it: a stamp of 4 bytes a node (column.h).
 * Nothing is kept, and nothing done, but while a policy that goes by it is set.
 *
 * The clock counts uses, not time: it ticks when a thousandth of the keys (one of them, at least) was used.  So the order is exact where it
 * matters and does not wrap in years.  What was not used since the beginning is as old as that.
 *
 * pool: the oldest of the keys that samples came upon so far, the oldest last; as Redis has it, this makes a few samples a time nearly as good
 * as knowing all.  Private to store/.  All of it under S.                                                                                */
#ifndef KVFS_STORE_LRU_H
#define KVFS_STORE_LRU_H

#include "store/column.h"

#include <stdbool.h>
#include <stdint.h>

enum { LRU_POOL = 16 };

struct lru_candidate { uint64_t id; uint32_t stamp; };

struct lru {
	bool on;
	struct column stamp;        /* clock of the last use; 0: not used since the beginning */
	uint32_t clock;
	uint64_t uses;              /* since the clock's last tick */
	struct lru_candidate pool[LRU_POOL];
	int pooled;
};

void lru_start(struct lru *l);
void lru_stop(struct lru *l);
/* The node in SLOT is used, one of KEYS.  Without memory it is as if it were not. */
void lru_use(struct lru *l, uint32_t slot, uint64_t keys);
uint32_t lru_stamp(const struct lru *l, uint32_t slot);
/* In ticks. */
static inline uint32_t lru_age(const struct lru *l, uint32_t stamp)
{
	return l->clock - stamp;
}
/* ID was come upon: the pool takes it if it is old enough. */
void lru_offer(struct lru *l, uint64_t id);
/* Takes the oldest out of the pool; false: it is empty. */
bool lru_take(struct lru *l, struct lru_candidate *ret);

#endif
