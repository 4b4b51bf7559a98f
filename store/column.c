/* column.c -- see column.h. */
#include "store/column.h"
#include "store/memory.h"
#include "store/node.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT, FIRST };      /* in a block: how many are not 0; then the numbers */

static const size_t block_bytes = (FIRST + NODE_BLOCK) * sizeof(uint32_t);

void column_fini(struct column *c)
{
	for (uint32_t i = 0; i < c->cap; i++)
		free(c->block[i]);
	free(c->block);
	*c = (struct column){ 0 };
}

static int grow(struct column *c, uint32_t need)
{
	uint32_t cap = c->cap ? c->cap : 16;

	while (cap <= need)
		cap *= 2;
	uint32_t **block = realloc(c->block, cap * sizeof *block);
	if (!block)
		return -ENOMEM;
	memset(block + c->cap, 0, (cap - c->cap) * sizeof *block);
	c->bytes += memory_of(cap * sizeof *block) - (c->cap ? memory_of(c->cap * sizeof *block) : 0);
	c->block = block;
	c->cap = cap;
	return 0;
}

int column_reserve(struct column *c, uint32_t slot)
{
	uint32_t i = slot / NODE_BLOCK;

	if (i >= c->cap && grow(c, i) < 0)
		return -ENOMEM;
	if (c->block[i])
		return 0;
	c->block[i] = calloc(1, block_bytes);
	if (!c->block[i])
		return -ENOMEM;
	c->bytes += memory_of(block_bytes);
	return 0;
}

uint32_t column_get(const struct column *c, uint32_t slot)
{
	uint32_t i = slot / NODE_BLOCK;

	return i < c->cap && c->block[i] ? c->block[i][FIRST + slot % NODE_BLOCK] : 0;
}

void column_set(struct column *c, uint32_t slot, uint32_t value)
{
	uint32_t i = slot / NODE_BLOCK;

	if (!value && (i >= c->cap || !c->block[i]))
		return;
	assert(i < c->cap && c->block[i]);
	uint32_t *block = c->block[i], *at = &block[FIRST + slot % NODE_BLOCK];
	block[COUNT] += (value != 0) - (*at != 0);
	*at = value;
	if (block[COUNT])
		return;
	free(block);
	c->block[i] = NULL;
	c->bytes -= memory_of(block_bytes);
}
