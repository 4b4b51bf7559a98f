/* expiry.h -- which key's time is over next: a binary heap by time.
 *
 * A node knows its place (node.expiry), so taking an expiry away or moving it is O(log n) in the number of keys that have one; keys
 * without one cost nothing.  Private to store/.  All of it under S.                                                                   */
#ifndef KVFS_STORE_EXPIRY_H
#define KVFS_STORE_EXPIRY_H

#include "store/node.h"

struct expiry_entry { int64_t at_ms; uint32_t slot; };

struct expiry {
	struct expiry_entry *heap;
	uint32_t count, cap;
	uint64_t bytes;
};

void expiry_fini(struct expiry *e);
/* Room for one more.  -ENOMEM. */
int expiry_reserve(struct expiry *e);
/* Sets or moves it; AT_MS 0 takes it away.  Cannot fail after expiry_reserve(). */
void expiry_set(struct expiry *e, const struct node_table *nodes, uint32_t slot, int64_t at_ms);
int64_t expiry_of(const struct expiry *e, const struct node *n);   /* ms; 0: none */
/* The earliest; NULL: none. */
const struct expiry_entry *expiry_first(const struct expiry *e);

#endif
