/* expiry.c -- see expiry.h. */
#include "store/expiry.h"
#include "store/memory.h"

#include <errno.h>
#include <stdlib.h>

void expiry_fini(struct expiry *e)
{
	free(e->heap);
}

int expiry_reserve(struct expiry *e)
{
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

static void put(struct expiry *e, const struct node_table *nodes, uint32_t i, struct expiry_entry x)
{
	e->heap[i] = x;
	node_at(nodes, x.slot)->expiry = i + 1;
}

/* Finds the place for X, starting from the hole at I. */
static void settle(struct expiry *e, const struct node_table *nodes, uint32_t i, struct expiry_entry x)
{
	while (i > 0 && e->heap[(i - 1) / 2].at_ms > x.at_ms) {
		put(e, nodes, i, e->heap[(i - 1) / 2]);
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
		put(e, nodes, i, e->heap[child]);
		i = child;
	}
	put(e, nodes, i, x);
}

void expiry_set(struct expiry *e, const struct node_table *nodes, uint32_t slot, int64_t at_ms)
{
	struct node *n = node_at(nodes, slot);
	struct expiry_entry x = { .at_ms = at_ms, .slot = slot };

	if (at_ms && n->expiry) {
		settle(e, nodes, n->expiry - 1, x);
	} else if (at_ms) {
		e->count++;
		settle(e, nodes, e->count - 1, x);
	} else if (n->expiry) {
		uint32_t hole = n->expiry - 1;
		n->expiry = 0;
		e->count--;
		if (hole != e->count)
			settle(e, nodes, hole, e->heap[e->count]);
	}
}

int64_t expiry_of(const struct expiry *e, const struct node *n)
{
	return n->expiry ? e->heap[n->expiry - 1].at_ms : 0;
}

const struct expiry_entry *expiry_first(const struct expiry *e)
{
	return e->count ? &e->heap[0] : NULL;
}
