/* node.c -- see node.h. */
#include "store/node.h"
#include "store/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void node_table_init(struct node_table *t)
{
	*t = (struct node_table){ .top = 1 };
}

static void name_drop(struct node_table *t, struct node *n)
{
	if (n->name_len > NODE_INLINE_NAME) {
		t->bytes -= memory_of(n->name_len);
		free(n->name);
	}
	n->name_len = 0;
}

void node_table_fini(struct node_table *t)
{
	for (uint32_t slot = 1; slot < t->top; slot++)
		name_drop(t, node_at(t, slot));
	for (uint32_t i = 0; i < t->blocks; i++)
		free(t->block[i]);
	free(t->block);
}

static int grow(struct node_table *t)
{
	if (t->blocks == UINT32_MAX / NODE_BLOCK)
		return -ENOSPC;
	if (t->blocks == t->block_cap) {
		uint32_t cap = t->block_cap ? t->block_cap * 2 : 16;
		struct node **block = realloc(t->block, cap * sizeof(struct node *));
		if (!block)
			return -ENOMEM;
		t->bytes += memory_of(cap * sizeof(struct node *)) - (t->block_cap ? memory_of(t->block_cap * sizeof(struct node *)) : 0);
		t->block = block;
		t->block_cap = cap;
	}
	t->block[t->blocks] = calloc(NODE_BLOCK, sizeof(struct node));
	if (!t->block[t->blocks])
		return -ENOMEM;
	t->blocks++;
	t->bytes += memory_of(NODE_BLOCK * sizeof(struct node));
	return 0;
}

struct node *node_new(struct node_table *t, uint32_t *ret_slot)
{
	uint32_t slot = t->free;
	struct node *n;

	if (slot) {
		n = node_at(t, slot);
		t->free = n->hash_next;
	} else {
		if (t->top / NODE_BLOCK >= t->blocks && grow(t) < 0)
			return NULL;
		slot = t->top++;
		n = node_at(t, slot);
	}
	*n = (struct node){ .generation = n->generation, .flags = NODE_USED };
	*ret_slot = slot;
	return n;
}

void node_free(struct node_table *t, uint32_t slot)
{
	struct node *n = node_at(t, slot);

	name_drop(t, n);
	*n = (struct node){ .generation = n->generation + 1, .hash_next = t->free };
	t->free = slot;
}

int node_name_reserve(struct node_name *r, const char *name, size_t len)
{
	*r = (struct node_name){ .bytes = name, .len = (uint8_t)len };
	if (len > NODE_INLINE_NAME) {
		r->heap = malloc(len);
		if (!r->heap)
			return -ENOMEM;
		memcpy(r->heap, name, len);
	}
	return 0;
}

void node_name_abort(struct node_name *r)
{
	free(r->heap);
	r->heap = NULL;
}

void node_name_set(struct node_table *t, struct node *n, struct node_name *r)
{
	name_drop(t, n);
	n->name_len = r->len;
	if (r->heap) {
		n->name = r->heap;
		t->bytes += memory_of(r->len);
	} else {
		memcpy(n->inline_name, r->bytes, r->len);
	}
	r->heap = NULL;
}
