/* expiry.h -- which key's time is over next: a binary heap by time.
 *
 * Where a node stands in it is kept beside the node (column.h), so taking an expiry away or moving it is O(log n) in the number of keys that
 * have one; keys without one cost nothing.  Private to store/.  All of it under S.                                                    */
#ifndef KVFS_STORE_EXPIRY_H
#define KVFS_STORE_EXPIRY_H

#include "store/column.h"
#include "store/node.h"

struct expiry_entry { int64_t at_ms; uint32_t slot; };

struct expiry {
	struct expiry_entry *heap;
	uint32_t count, cap;
	struct column place;        /* of a node in the heap, + 1 */
	uint64_t bytes;             /* memory of the heap */
};

void expiry_fini(struct expiry *e);
/* Room for that of the node in SLOT.  -ENOMEM. */
int expiry_reserve(struct expiry *e, uint32_t slot);
/* Sets or moves it; AT_MS 0 takes it away.  Cannot fail after expiry_reserve(). */
void expiry_set(struct expiry *e, const struct node_table *nodes, uint32_t slot, int64_t at_ms);
/* ms; 0: none.  N is the node in SLOT. */
int64_t expiry_of(const struct expiry *e, const struct node *n, uint32_t slot);
/* The earliest; NULL: none. */
const struct expiry_entry *expiry_first(const struct expiry *e);

#endif
