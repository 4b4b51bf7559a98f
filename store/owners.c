/* owners.c -- see owners.h. */
#include "store/owners.h"
#include "store/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 16 };

void owners_fini(struct owners *t)
{
	free(t->owner);
	free(t->bucket);
	*t = (struct owners){ 0 };
}

/* Neighbours in both numbers, as they come, go to different chains: odd factors, and the upper half of the product. */
static uint32_t *chain_of(const struct owners *t, uint32_t uid, uint32_t gid)
{
	uint64_t x = (uid * UINT64_C(0x9e3779b97f4a7c15)) ^ (gid * UINT64_C(0xc2b2ae3d27d4eb4f));

	return &t->bucket[(x >> 32) & (t->cap - 1)];
}

static void link_in(struct owners *t, uint32_t number)
{
	uint32_t *chain = chain_of(t, t->owner[number].uid, t->owner[number].gid);

	t->owner[number].next = *chain;
	*chain = number;
}

static int grow(struct owners *t)
{
	uint32_t cap = t->cap ? t->cap * 2 : FIRST_CAP;

	if (cap > 1u << OWNER_BITS)
		return -ENOSPC;
	uint32_t *bucket = calloc(cap, sizeof *bucket);
	if (!bucket)
		return -ENOMEM;
	struct owner *owner = realloc(t->owner, cap * sizeof *owner);
	if (!owner) {
		free(bucket);
		return -ENOMEM;
	}
	if (t->cap)
		t->bytes -= memory_of(t->cap * sizeof *owner) + memory_of(t->cap * sizeof *bucket);
	t->bytes += memory_of(cap * sizeof *owner) + memory_of(cap * sizeof *bucket);
	free(t->bucket);
	t->owner = owner;
	t->bucket = bucket;
	t->cap = cap;
	if (!t->top)
		t->top = 1;
	/* It grows when none is free: all below TOP are in use. */
	for (uint32_t i = 1; i < t->top; i++)
		link_in(t, i);
	return 0;
}

int owners_take(struct owners *t, uint32_t uid, uint32_t gid, uint32_t *ret)
{
	uint32_t number = 0;

	if (uid || gid) {
		for (number = t->cap ? *chain_of(t, uid, gid) : 0; number; number = t->owner[number].next)
			if (t->owner[number].uid == uid && t->owner[number].gid == gid)
				break;
		if (!number && !t->free && t->top == t->cap) {
			int err = grow(t);
			if (err)
				return err;
		}
		if (!number) {
			number = t->free ? t->free : t->top++;
			if (number == t->free)
				t->free = t->owner[number].next;
			t->owner[number] = (struct owner){ .uid = uid, .gid = gid };
			link_in(t, number);
		}
		t->owner[number].nodes++;
	}
	*ret = number;
	return 0;
}

void owners_share(struct owners *t, uint32_t number)
{
	if (number)
		t->owner[number].nodes++;
}

void owners_drop(struct owners *t, uint32_t number)
{
	if (!number)
		return;
	assert(t->owner[number].nodes);
	if (--t->owner[number].nodes)
		return;
	uint32_t *at = chain_of(t, t->owner[number].uid, t->owner[number].gid);
	while (*at != number)
		at = &t->owner[*at].next;
	*at = t->owner[number].next;
	t->owner[number].next = t->free;
	t->free = number;
}
