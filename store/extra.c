/* extra.c -- see extra.h. */
#include "store/extra.h"
#include "store/memory.h"
#include "store/node.h"

#include <stdlib.h>
#include <string.h>

struct extra_block {
	uint32_t count;             /* entries that are set; with none the block goes */
	struct extra *entry[NODE_BLOCK];
};

void extras_init(struct extras *t)
{
	*t = (struct extras){ 0 };
}

void extras_fini(struct extras *t)
{
	for (uint32_t i = 0; i < t->cap; i++) {
		if (!t->block[i])
			continue;
		for (uint32_t j = 0; j < NODE_BLOCK; j++)
			free(t->block[i]->entry[j]);
		free(t->block[i]);
	}
	free(t->block);
	extras_init(t);
}

struct extra *extra_find(const struct extras *t, uint32_t slot)
{
	uint32_t i = slot / NODE_BLOCK;

	return i < t->cap && t->block[i] ? t->block[i]->entry[slot % NODE_BLOCK] : NULL;
}

static int grow(struct extras *t, uint32_t need)
{
	uint32_t cap = t->cap ? t->cap : 16;

	while (cap <= need)
		cap *= 2;
	struct extra_block **block = realloc(t->block, cap * sizeof(struct extra_block *));
	if (!block)
		return -1;
	memset(block + t->cap, 0, (cap - t->cap) * sizeof(struct extra_block *));
	t->bytes += memory_of(cap * sizeof(struct extra_block *)) - (t->cap ? memory_of(t->cap * sizeof(struct extra_block *)) : 0);
	t->block = block;
	t->cap = cap;
	return 0;
}

struct extra *extra_make(struct extras *t, uint32_t slot)
{
	uint32_t i = slot / NODE_BLOCK;
	struct extra *x = extra_find(t, slot);

	if (x)
		return x;
	if (i >= t->cap && grow(t, i) < 0)
		return NULL;
	x = calloc(1, sizeof *x);
	if (!x)
		return NULL;
	if (!t->block[i]) {
		t->block[i] = calloc(1, sizeof *t->block[i]);
		if (!t->block[i]) {
			free(x);
			return NULL;
		}
		t->bytes += memory_of(sizeof *t->block[i]);
	}
	t->block[i]->entry[slot % NODE_BLOCK] = x;
	t->block[i]->count++;
	t->bytes += memory_of(sizeof *x);
	return x;
}

void extra_drop(struct extras *t, uint32_t slot)
{
	uint32_t i = slot / NODE_BLOCK;

	if (!extra_find(t, slot))
		return;
	struct extra_block *b = t->block[i];
	free(b->entry[slot % NODE_BLOCK]);
	b->entry[slot % NODE_BLOCK] = NULL;
	t->bytes -= memory_of(sizeof(struct extra));
	if (--b->count)
		return;
	free(b);
	t->block[i] = NULL;
	t->bytes -= memory_of(sizeof *b);
}
