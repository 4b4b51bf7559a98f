/* names.c -- see names.h. */
#include "store/names.h"
#include "store/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENT = 4096, FIRST_BASE = SEGMENT };

/* ---- SipHash-1-3 ---- */

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define SIPROUND                                  \
	do {                                      \
		v0 += v1; v1 = ROTL(v1, 13);      \
		v1 ^= v0; v0 = ROTL(v0, 32);      \
		v2 += v3; v3 = ROTL(v3, 16);      \
		v3 ^= v2;                         \
		v0 += v3; v3 = ROTL(v3, 21);      \
		v3 ^= v0;                         \
		v2 += v1; v1 = ROTL(v1, 17);      \
		v1 ^= v2; v2 = ROTL(v2, 32);      \
	} while (0)

uint32_t names_hash(const struct names *t, uint32_t parent, const char *name, size_t len)
{
	uint64_t k0 = t->seed[0], k1 = t->seed[1];
	uint64_t v0 = k0 ^ 0x736f6d6570736575u, v1 = k1 ^ 0x646f72616e646f6du;
	uint64_t v2 = k0 ^ 0x6c7967656e657261u, v3 = k1 ^ 0x7465646279746573u;
	uint64_t m = parent;
	size_t at = 0;

	/* The message is the parent's slot as one word, then the name. */
	v3 ^= m;
	SIPROUND;
	v0 ^= m;
	for (; at + 8 <= len; at += 8) {
		memcpy(&m, name + at, 8);
		v3 ^= m;
		SIPROUND;
		v0 ^= m;
	}
	m = 0;
	memcpy(&m, name + at, len - at);
	m |= (uint64_t)len << 56;
	v3 ^= m;
	SIPROUND;
	v0 ^= m;
	v2 ^= 0xff;
	SIPROUND;
	SIPROUND;
	SIPROUND;
	m = v0 ^ v1 ^ v2 ^ v3;
	return (uint32_t)(m ^ m >> 32);
}

/* ---- buckets ---- */

static uint32_t *bucket_at(const struct names *t, uint32_t i)
{
	return &t->segment[i / SEGMENT][i % SEGMENT];
}

static uint32_t bucket_of(const struct names *t, uint32_t hash)
{
	uint32_t i = hash & (t->base - 1);
	return i < t->split ? hash & (t->base * 2 - 1) : i;
}

static int add_segment(struct names *t)
{
	if (t->segments == t->segment_cap) {
		uint32_t cap = t->segment_cap ? t->segment_cap * 2 : 16;
		uint32_t **s = realloc(t->segment, cap * sizeof *s);
		if (!s)
			return -ENOMEM;
		t->bytes += memory_of(cap * sizeof *s) - (t->segment_cap ? memory_of(t->segment_cap * sizeof *s) : 0);
		t->segment = s;
		t->segment_cap = cap;
	}
	t->segment[t->segments] = calloc(SEGMENT, sizeof(uint32_t));
	if (!t->segment[t->segments])
		return -ENOMEM;
	t->segments++;
	t->bytes += memory_of(SEGMENT * sizeof(uint32_t));
	return 0;
}

int names_init(struct names *t, const uint64_t seed[2])
{
	*t = (struct names){ .base = FIRST_BASE, .seed = { seed[0], seed[1] } };
	return add_segment(t);
}

void names_fini(struct names *t)
{
	for (uint32_t i = 0; i < t->segments; i++)
		free(t->segment[i]);
	free(t->segment);
}

uint32_t names_find(const struct names *t, const struct node_table *nodes, uint32_t parent, const char *name, size_t len, uint32_t hash)
{
	uint32_t slot = *bucket_at(t, bucket_of(t, hash));

	while (slot) {
		const struct node *n = node_at(nodes, slot);
		if (n->hash == hash && n->parent == parent && n->name_len == len && memcmp(node_name(n), name, len) == 0)
			break;
		slot = n->hash_next;
	}
	return slot;
}

void names_prefetch_bucket(const struct names *t, uint32_t hash)
{
	__builtin_prefetch(bucket_at(t, bucket_of(t, hash)));
}

void names_prefetch_first(const struct names *t, const struct node_table *nodes, uint32_t hash)
{
	uint32_t slot = *bucket_at(t, bucket_of(t, hash));

	if (slot)
		__builtin_prefetch(node_at(nodes, slot));
}

void names_prefetch_second(const struct names *t, const struct node_table *nodes, uint32_t hash)
{
	uint32_t slot = *bucket_at(t, bucket_of(t, hash));

	if (slot)
		slot = node_at(nodes, slot)->hash_next;
	if (slot)
		__builtin_prefetch(node_at(nodes, slot));
}

int names_reserve(struct names *t)
{
	/* One insert adds at most one bucket. */
	if ((t->base + t->split) / SEGMENT < t->segments)
		return 0;
	return add_segment(t);
}

int names_presize(struct names *t, uint64_t count)
{
	uint32_t base = FIRST_BASE;

	if (t->count || count <= (uint64_t)t->base + t->split)
		return 0;
	while ((uint64_t)base * 2 <= count && base < UINT32_MAX / 4)
		base *= 2;
	/* Empty buckets need no splitting: the table may begin anywhere between two powers of two. */
	uint32_t split = count - base < base ? (uint32_t)(count - base) : base - 1;
	while (t->segments <= (base + split) / SEGMENT)
		if (add_segment(t) < 0)
			return -ENOMEM;
	t->base = base;
	t->split = split;
	return 0;
}

/* Splits bucket `split` in two. */
static void grow(struct names *t, const struct node_table *nodes)
{
	if (t->base >= UINT32_MAX / 4 || (t->base + t->split) / SEGMENT >= t->segments)
		return;
	uint32_t slot = *bucket_at(t, t->split);
	uint32_t low = 0, high = 0;
	while (slot) {
		struct node *n = node_at(nodes, slot);
		uint32_t next = n->hash_next;
		uint32_t *to = (n->hash & t->base) ? &high : &low;
		n->hash_next = *to;
		*to = slot;
		slot = next;
	}
	*bucket_at(t, t->split) = low;
	*bucket_at(t, t->base + t->split) = high;
	if (++t->split == t->base) {
		t->base *= 2;
		t->split = 0;
	}
}

/* Joins the last bucket to its other half. */
static void shrink(struct names *t, const struct node_table *nodes)
{
	if (t->split == 0) {
		if (t->base == FIRST_BASE)
			return;
		t->base /= 2;
		t->split = t->base;
	}
	t->split--;
	uint32_t *last = bucket_at(t, t->base + t->split);
	uint32_t *home = bucket_at(t, t->split);
	while (*last) {
		struct node *n = node_at(nodes, *last);
		uint32_t slot = *last;
		*last = n->hash_next;
		n->hash_next = *home;
		*home = slot;
	}
	/* One spare segment stays, so that a table that goes up and down does not allocate each time. */
	if (t->segments > (t->base + t->split) / SEGMENT + 2) {
		free(t->segment[--t->segments]);
		t->bytes -= memory_of(SEGMENT * sizeof(uint32_t));
	}
}

void names_insert(struct names *t, const struct node_table *nodes, uint32_t slot, uint32_t hash)
{
	struct node *n = node_at(nodes, slot);
	uint32_t *bucket = bucket_at(t, bucket_of(t, hash));

	n->hash = hash;
	n->hash_next = *bucket;
	*bucket = slot;
	if (++t->count > (uint64_t)t->base + t->split)
		grow(t, nodes);
}

void names_remove(struct names *t, const struct node_table *nodes, uint32_t slot)
{
	struct node *n = node_at(nodes, slot);
	uint32_t *link = bucket_at(t, bucket_of(t, n->hash));

	while (*link != slot) {
		assert(*link);
		link = &node_at(nodes, *link)->hash_next;
	}
	*link = n->hash_next;
	n->hash_next = 0;
	/* Four buckets for an entry: at a quarter full that keeps the table at a quarter. */
	t->count--;
	for (int i = 0; i < 4 && t->count < ((uint64_t)t->base + t->split) / 4; i++)
		shrink(t, nodes);
}

uint32_t names_bucket(const struct names *t, uint32_t position, uint32_t *ret_next)
{
	uint32_t hash = names_position(position), buckets = t->base;

	if ((hash & (t->base - 1)) < t->split)
		buckets *= 2;
	/* A bucket is told by log2(buckets) bits of the hash: the upper ones of a position. */
	uint32_t run = UINT32_MAX / buckets + 1;
	*ret_next = (position & ~(run - 1)) + run;
	return *bucket_at(t, bucket_of(t, hash));
}
