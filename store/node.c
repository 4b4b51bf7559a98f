/* node.c -- see node.h. */
#include "store/node.h"
#include "store/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const size_t block_bytes = NODE_BLOCK * sizeof(struct node);

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

/* Where block I stands in the run; NULL: not there. */
static struct node *place_in_run(const struct node_table *t, uint32_t i)
{
	return t->run && i - t->run_first < t->run_blocks ? t->run + (size_t)(i - t->run_first) * NODE_BLOCK : NULL;
}

void node_table_fini(struct node_table *t)
{
	for (uint32_t slot = 1; slot < t->top; slot++)
		name_drop(t, node_at(t, slot));
	for (uint32_t i = 0; i < t->blocks; i++)
		if (t->block[i] != t->zeros && !place_in_run(t, i))
			free(t->block[i]);
	free(t->zeros);
	free(t->block);
	free(t->about);
	if (t->run)
		munmap(t->run, t->run_blocks * block_bytes);
}

int node_table_presize(struct node_table *t, uint64_t count)
{
	uint64_t blocks = count / NODE_BLOCK;

	if (t->run || blocks == 0 || blocks > UINT32_MAX / NODE_BLOCK)
		return 0;
	void *run = mmap(NULL, blocks * block_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (run == MAP_FAILED)
		return -ENOMEM;
	(void)madvise(run, blocks * block_bytes, MADV_HUGEPAGE);
	t->run = run;
	t->run_first = t->blocks;
	t->run_blocks = (uint32_t)blocks;
	return 0;
}

/* ---- blocks ---- */

static void room_add(struct node_table *t, uint32_t i)
{
	t->about[i].prev = 0;
	t->about[i].next = t->room;
	if (t->room)
		t->about[t->room - 1].prev = i + 1;
	t->room = i + 1;
}

static void room_remove(struct node_table *t, uint32_t i)
{
	const struct node_block *b = &t->about[i];

	if (b->next)
		t->about[b->next - 1].prev = b->prev;
	if (b->prev)
		t->about[b->prev - 1].next = b->next;
	else
		t->room = b->next;
}

static bool has_room(const struct node_block *b)
{
	return b->free || b->fresh < NODE_BLOCK;
}

/* Memory for block I, all zeros. */
static int block_fill(struct node_table *t, uint32_t i)
{
	struct node *block = place_in_run(t, i);

	if (!block)
		block = calloc(NODE_BLOCK, sizeof *block);
	if (!block)
		return -ENOMEM;
	t->block[i] = block;
	t->bytes += memory_of(block_bytes);
	t->idle += block_bytes;
	t->about[i].fresh = i == 0;     /* slot 0 is none */
	t->about[i].free = 0;
	room_add(t, i);
	return 0;
}

/* The pages of a block go back to the system, which malloc alone would do only at the end of its heap.  All of its nodes are free, so it does
 * not matter whether they come again as they were or as zeros. */
static void drop_pages(struct node *block)
{
	const uintptr_t page = 4096;
	uintptr_t from = ((uintptr_t)block + page - 1) & ~(page - 1), end = ((uintptr_t)block + block_bytes) & ~(page - 1);

	(void)madvise((void *)from, end - from, MADV_DONTNEED);
}

/* The memory of block I, which has no node, unless there is none for zeros. */
static void block_give_back(struct node_table *t, uint32_t i)
{
	struct node *block = t->block[i];

	if (!t->zeros) {
		t->zeros = calloc(NODE_BLOCK, sizeof *t->zeros);
		if (!t->zeros)
			return;
		t->bytes += memory_of(block_bytes);
	}
	room_remove(t, i);
	t->block[i] = t->zeros;
	drop_pages(block);
	if (!place_in_run(t, i))
		free(block);
	t->bytes -= memory_of(block_bytes);
	t->idle -= block_bytes;
	t->about[i].next = t->gone;
	t->gone = i + 1;
}

/* *ARRAY of *CAP members of SIZE bytes gets room for one more behind COUNT. */
static int grow_array(struct node_table *t, void **array, uint32_t *cap, uint32_t count, size_t size)
{
	if (count < *cap)
		return 0;
	uint32_t more = *cap ? *cap * 2 : 16;
	void *p = realloc(*array, more * size);
	if (!p)
		return -ENOMEM;
	t->bytes += memory_of(more * size) - (*cap ? memory_of(*cap * size) : 0);
	*array = p;
	*cap = more;
	return 0;
}

/* One more block with room. */
static int grow(struct node_table *t)
{
	if (t->gone) {
		uint32_t i = t->gone - 1, next = t->about[i].next;
		int err = block_fill(t, i);
		if (!err)
			t->gone = next;
		return err;
	}
	if (t->blocks == UINT32_MAX / NODE_BLOCK)
		return -ENOSPC;
	if (grow_array(t, (void **)&t->block, &t->block_cap, t->blocks, sizeof(struct node *)) < 0 ||
	    grow_array(t, (void **)&t->about, &t->about_cap, t->blocks, sizeof *t->about) < 0)
		return -ENOMEM;
	t->about[t->blocks] = (struct node_block){ 0 };
	int err = block_fill(t, t->blocks);
	if (!err)
		t->blocks++;
	return err;
}

struct node *node_new(struct node_table *t, uint32_t *ret_slot)
{
	if (!t->room && grow(t) < 0)
		return NULL;
	uint32_t i = t->room - 1, slot;
	struct node_block *b = &t->about[i];
	struct node *n;

	if (b->free) {
		slot = b->free;
		n = node_at(t, slot);
		b->free = n->hash_next;
	} else {
		slot = i * NODE_BLOCK + b->fresh++;
		n = node_at(t, slot);
		n->generation = b->generation;
		if (slot >= t->top)
			t->top = slot + 1;
	}
	b->used++;
	if (t->spare == i + 1)
		t->spare = 0;
	if (!has_room(b))
		room_remove(t, i);
	*n = (struct node){ .generation = n->generation, .flags = NODE_USED };
	t->idle -= sizeof *n;
	*ret_slot = slot;
	return n;
}

void node_free(struct node_table *t, uint32_t slot)
{
	struct node *n = node_at(t, slot);
	uint32_t i = slot / NODE_BLOCK, generation = n->generation + 1;
	struct node_block *b = &t->about[i];

	name_drop(t, n);
	*n = (struct node){ .generation = generation, .hash_next = b->free };
	if (generation > b->generation)
		b->generation = generation;
	t->idle += sizeof *n;
	if (!has_room(b))
		room_add(t, i);
	b->free = slot;
	if (--b->used)
		return;
	if (t->spare)
		block_give_back(t, i);
	else
		t->spare = i + 1;
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

void node_name_take(struct node_table *t, struct node *n, struct node *from)
{
	name_drop(t, n);
	n->name_len = from->name_len;
	memcpy(n->inline_name, from->inline_name, sizeof n->inline_name);    /* or the pointer */
	from->name_len = 0;
}
