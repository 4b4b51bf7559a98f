/* times.c -- see times.h. */
#include "store/times.h"
#include "store/memory.h"

#include <errno.h>
#include <stdlib.h>

enum { RECORDS = 64 };

struct record { int64_t atime_ns, ctime_ns; };

struct times_block {
	uint64_t free;              /* a bit each */
	uint32_t next, prev;        /* in the list of those with room */
	struct record record[RECORDS];
};

void times_fini(struct times *t)
{
	for (uint32_t i = 0; i < t->blocks; i++)
		free(t->block[i]);
	free(t->block);
	*t = (struct times){ 0 };
}

/* ---- records ---- */

static struct record *record_at(const struct times *t, uint64_t number)
{
	return &t->block[number / RECORDS]->record[number % RECORDS];
}

static void room_add(struct times *t, uint32_t i)
{
	t->block[i]->prev = 0;
	t->block[i]->next = t->room;
	if (t->room)
		t->block[t->room - 1]->prev = i + 1;
	t->room = i + 1;
}

static void room_remove(struct times *t, uint32_t i)
{
	const struct times_block *b = t->block[i];

	if (b->next)
		t->block[b->next - 1]->prev = b->prev;
	if (b->prev)
		t->block[b->prev - 1]->next = b->next;
	else
		t->room = b->next;
}

/* A number for one more block. */
static int new_number(struct times *t, uint32_t *ret)
{
	while (t->first_gone < t->blocks && t->block[t->first_gone])
		t->first_gone++;
	if (t->first_gone == t->cap) {
		uint32_t cap = t->cap ? t->cap * 2 : 16;
		struct times_block **block = realloc(t->block, cap * sizeof(struct times_block *));
		if (!block)
			return -ENOMEM;
		t->bytes += memory_of(cap * sizeof(struct times_block *)) - (t->cap ? memory_of(t->cap * sizeof(struct times_block *)) : 0);
		t->block = block;
		t->cap = cap;
	}
	*ret = t->first_gone;
	return 0;
}

static int grow(struct times *t)
{
	uint32_t i;

	struct times_block *b = malloc(sizeof *b);
	if (!b || new_number(t, &i) < 0) {
		free(b);
		return -ENOMEM;
	}
	b->free = UINT64_MAX;
	t->block[i] = b;
	if (i == t->blocks)
		t->blocks++;
	t->bytes += memory_of(sizeof *b);
	t->free += RECORDS;
	room_add(t, i);
	return 0;
}

int times_reserve(struct times *t)
{
	return t->free >= TIMES_RESERVE ? 0 : grow(t);
}

/* Whether there was one. */
static bool take(struct times *t, uint64_t *ret_number)
{
	if (!t->room && grow(t) < 0)
		return false;
	uint32_t i = t->room - 1;
	struct times_block *b = t->block[i];
	unsigned bit = (unsigned)__builtin_ctzll(b->free);
	b->free &= ~(1ull << bit);
	if (!b->free)
		room_remove(t, i);
	t->free--;
	*ret_number = (uint64_t)i * RECORDS + bit;
	return true;
}

static void give_back(struct times *t, uint64_t number)
{
	uint32_t i = (uint32_t)(number / RECORDS);
	struct times_block *b = t->block[i];

	if (!b->free)
		room_add(t, i);
	b->free |= 1ull << number % RECORDS;
	t->free++;
	if (b->free != UINT64_MAX || t->free < 2ull * RECORDS)
		return;
	room_remove(t, i);
	free(b);
	t->block[i] = NULL;
	t->free -= RECORDS;
	t->bytes -= memory_of(sizeof *b);
	if (i < t->first_gone)
		t->first_gone = i;
}

/* ---- times ---- */

void times_get(const struct times *t, const struct node *n, struct node_times *ret)
{
	if (n->flags & NODE_TIMES) {
		const struct record *r = record_at(t, n->atime);
		*ret = (struct node_times){ .atime_ns = r->atime_ns, .mtime_ns = n->mtime_ns, .ctime_ns = r->ctime_ns };
	} else {
		*ret = (struct node_times){ .atime_ns = (int64_t)n->atime << KEYSPACE_ATIME_SHIFT, .mtime_ns = n->mtime_ns, .ctime_ns = n->mtime_ns };
	}
}

static bool fits(const struct node_times *x)
{
	return x->ctime_ns == x->mtime_ns && x->atime_ns >= 0 && x->atime_ns >> KEYSPACE_ATIME_SHIFT < INT64_C(1) << NODE_ATIME_BITS &&
	       keyspace_atime_at(x->atime_ns) == x->atime_ns;
}

static uint64_t rounded(int64_t atime_ns)
{
	const int64_t max = (INT64_C(1) << NODE_ATIME_BITS) - 1;
	int64_t grid = atime_ns < 0 ? 0 : atime_ns >> KEYSPACE_ATIME_SHIFT;

	return (uint64_t)(grid < max ? grid : max);
}

void times_set(struct times *t, struct node *n, const struct node_times *x)
{
	uint64_t number;

	n->mtime_ns = x->mtime_ns;
	if (!fits(x) && ((n->flags & NODE_TIMES) || take(t, &number))) {
		if (!(n->flags & NODE_TIMES))
			n->atime = number;
		n->flags |= NODE_TIMES;
		*record_at(t, n->atime) = (struct record){ .atime_ns = x->atime_ns, .ctime_ns = x->ctime_ns };
		return;
	}
	times_drop(t, n);
	n->atime = rounded(x->atime_ns);
}

void times_drop(struct times *t, struct node *n)
{
	if (n->flags & NODE_TIMES)
		give_back(t, n->atime);
	n->flags &= (uint8_t)~NODE_TIMES;
}
