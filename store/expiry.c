/* expiry.c -- see expiry.h. */
#include "store/expiry.h"
#include "store/memory.h"

#include <errno.h>
#include <stdlib.h>

void expiry_fini(struct expiry *e)
{
	free(e->heap);
	column_fini(&e->place);
}

int expiry_reserve(struct expiry *e, uint32_t slot)
{
	if (column_reserve(&e->place, slot) < 0)
		return -ENOMEM;
	if (e->count < e->cap)
		return 0;
	uint32_t cap = e->cap ? e->cap * 2 : 16;
	struct expiry_entry *heap = realloc(e->heap, cap * sizeof *heap);
	if (!heap)
		return -ENOMEM;
	e->bytes += memory_of(cap * sizeof *heap) - (e->cap ? memory_of(e->cap * sizeof *heap) : 0);
	e->heap = heap;
	e->cap = cap;
	return 0;
}

static void put(struct expiry *e, uint32_t i, struct expiry_entry x)
{
	e->heap[i] = x;
	column_set(&e->place, x.slot, i + 1);
}

/* Finds the place for X, starting from the hole at I. */
static void settle(struct expiry *e, uint32_t i, struct expiry_entry x)
{
	while (i > 0 && e->heap[(i - 1) / 2].at_ms > x.at_ms) {
		put(e, i, e->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (;;) {
		uint32_t child = i * 2 + 1;
		if (child >= e->count)
			break;
		if (child + 1 < e->count && e->heap[child + 1].at_ms < e->heap[child].at_ms)
			child++;
		if (e->heap[child].at_ms >= x.at_ms)
			break;
		put(e, i, e->heap[child]);
		i = child;
	}
	put(e, i, x);
}

void expiry_set(struct expiry *e, const struct node_table *nodes, uint32_t slot, int64_t at_ms)
{
	struct node *n = node_at(nodes, slot);
	struct expiry_entry x = { .at_ms = at_ms, .slot = slot };
	uint32_t place = n->flags & NODE_EXPIRES ? column_get(&e->place, slot) : 0;

	if (at_ms && place) {
		settle(e, place - 1, x);
	} else if (at_ms) {
		n->flags |= NODE_EXPIRES;
		e->count++;
		settle(e, e->count - 1, x);
	} else {
		/* Also when it had none: what was reserved for it is given back. */
		n->flags &= (uint8_t)~NODE_EXPIRES;
		column_set(&e->place, slot, 0);
		if (!place)
			return;
		e->count--;
		if (place - 1 != e->count)
			settle(e, place - 1, e->heap[e->count]);
	}
}

int64_t expiry_of(const struct expiry *e, const struct node *n, uint32_t slot)
{
	return n->flags & NODE_EXPIRES ? e->heap[column_get(&e->place, slot) - 1].at_ms : 0;
}

const struct expiry_entry *expiry_first(const struct expiry *e)
{
	return e->count ? &e->heap[0] : NULL;
}
