/* snapshot.c -- see snapshot.h. */
#include "store/snapshot.h"
#include "store/tree.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct preimage {
	struct preimage *next;
	struct attr attr;
	int64_t expire_at_ms;
	struct value *value;        /* a reference */
	size_t key_len;
	char key[];
};

/*  C constant after begin   S keyspace lock   R the thread that calls snapshot_next()  */
struct snapshot {
	struct keyspace *ks;        /* C */
	uint32_t cut;               /* C: nodes with an epoch below it belong to the snapshot and were not yielded */
	uint32_t top;               /* C: slots that existed at the cut */
	uint32_t at;                /* S: the next slot to look at */
	struct preimage *first, **last;  /* S: handed over by changes, not yet yielded */
	uint64_t memory;            /* S: of these */
	struct preimage *yielded;   /* R: what the batch before lent out */
	struct value *lent[SNAPSHOT_BATCH];  /* R */
	int lent_count;             /* R */
	char *arena;                /* R: keys of the batch */
	size_t arena_len, arena_cap;
	size_t offset[SNAPSHOT_BATCH];  /* R: of an entry's key in the arena, which may still move */
};

int snapshot_begin_locked(struct keyspace *ks, struct snapshot **ret, struct snapshot_totals *ret_totals)
{
	if (ks->snapshot)
		return -EBUSY;
	struct snapshot *s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	s->ks = ks;
	s->cut = ++ks->epoch;
	s->top = ks->nodes.top;
	s->at = ROOT_SLOT;
	s->last = &s->first;
	ks->snapshot = s;
	*ret_totals = (struct snapshot_totals){ .keys = ks->keys, .expires = ks->expiry.count,
		                                .nodes = ks->keys + ks->directories + ks->symlinks };
	*ret = s;
	return 0;
}

static bool is_wanted(const struct snapshot *s, const struct node *n)
{
	return (n->flags & NODE_NAMED) && n->epoch < s->cut;
}

int tree_touch(struct keyspace *ks, uint32_t slot)
{
	struct snapshot *s = ks->snapshot;
	struct node *n = node_at(&ks->nodes, slot);

	if (!s || !is_wanted(s, n))
		return 0;
	size_t len = (size_t)tree_key_len(ks, slot);
	struct preimage *p = malloc(sizeof *p + len);
	if (!p)
		return -ENOMEM;
	p->next = NULL;
	tree_attr(ks, n, slot, &p->attr);
	p->expire_at_ms = expiry_of(&ks->expiry, n);
	p->value = node_is_dir(n) ? NULL : value_ref(n->value);
	p->key_len = len;
	tree_key_before(ks, slot, p->key + len);
	*s->last = p;
	s->last = &p->next;
	s->memory += sizeof *p + len;
	n->epoch = s->cut;
	return 0;
}

static void preimages_free(struct preimage *p)
{
	while (p) {
		struct preimage *next = p->next;
		value_unref(p->value);
		free(p);
		p = next;
	}
}

static void give_back(struct snapshot *s)
{
	preimages_free(s->yielded);
	s->yielded = NULL;
	for (int i = 0; i < s->lent_count; i++)
		value_unref(s->lent[i]);
	s->lent_count = 0;
	s->arena_len = 0;
}

static void yield_preimages(struct snapshot *s, struct snapshot_batch *b)
{
	while (s->first && b->count < SNAPSHOT_BATCH) {
		struct preimage *p = s->first;
		s->first = p->next;
		if (!s->first)
			s->last = &s->first;
		s->memory -= sizeof *p + p->key_len;
		p->next = s->yielded;
		s->yielded = p;
		b->entry[b->count++] = (struct snapshot_entry){ .attr = p->attr, .expire_at_ms = p->expire_at_ms, .key = p->key,
			                                        .key_len = p->key_len, .value = p->value };
	}
}

static int arena_room(struct snapshot *s, size_t len)
{
	if (s->arena && s->arena_len + len <= s->arena_cap)
		return 0;
	size_t cap = (s->arena_len + len) * 2 + 64;
	char *arena = realloc(s->arena, cap);
	if (!arena)
		return -ENOMEM;
	s->arena = arena;
	s->arena_cap = cap;
	return 0;
}

static int yield_node(struct snapshot *s, struct snapshot_batch *b, uint32_t slot)
{
	struct keyspace *ks = s->ks;
	struct node *n = node_at(&ks->nodes, slot);
	size_t len = (size_t)tree_key_len(ks, slot);

	if (arena_room(s, len) < 0)
		return -ENOMEM;
	tree_key_before(ks, slot, s->arena + s->arena_len + len);
	s->offset[b->count] = s->arena_len;
	struct snapshot_entry *e = &b->entry[b->count++];
	*e = (struct snapshot_entry){ .expire_at_ms = expiry_of(&ks->expiry, n), .key_len = len };
	s->arena_len += len;
	tree_attr(ks, n, slot, &e->attr);
	if (!node_is_dir(n)) {
		e->value = value_ref(n->value);
		s->lent[s->lent_count++] = e->value;
	}
	n->epoch = s->cut;
	return 0;
}

int snapshot_next(struct snapshot *s, struct snapshot_batch *b)
{
	int err = 0, from;
	bool more = true;

	give_back(s);
	b->count = 0;
	while (b->count == 0 && more && !err) {
		keyspace_lock(s->ks);
		yield_preimages(s, b);
		from = b->count;
		for (int looked = 0; s->at < s->top && b->count < SNAPSHOT_BATCH && looked < SNAPSHOT_SCAN && !err; looked++) {
			if (is_wanted(s, node_at(&s->ks->nodes, s->at)))
				err = yield_node(s, b, s->at);
			if (!err)
				s->at++;
		}
		more = s->at < s->top || s->first;
		keyspace_unlock(s->ks);
		for (int i = from; i < b->count; i++)
			b->entry[i].key = s->arena + s->offset[i];
	}
	/* What was yielded counts even when memory ran out behind it: the caller comes back. */
	return b->count ? 0 : err;
}

uint64_t snapshot_memory(struct snapshot *s)
{
	keyspace_lock(s->ks);
	uint64_t bytes = s->memory;
	keyspace_unlock(s->ks);
	return bytes;
}

void snapshot_end(struct snapshot *s)
{
	if (!s)
		return;
	keyspace_lock(s->ks);
	assert(s->ks->snapshot == s);
	s->ks->snapshot = NULL;
	keyspace_unlock(s->ks);
	give_back(s);
	preimages_free(s->first);
	free(s->arena);
	free(s);
}
