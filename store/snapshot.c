/* snapshot.c -- see snapshot.h. */
#include "store/snapshot.h"
#include "store/cut_path.h"
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
	struct xattrs *xattrs;      /* likewise */
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
	struct cut_paths moved;     /* S: directories; nothing when AT has come to TOP */
	uint64_t memory;            /* S: of pre-images, as preimage_memory() has it, and of MOVED */
	uint64_t memory_peak;       /* S */
	struct preimage *yielded;   /* R: what the batch before lent out */
	struct value *lent[SNAPSHOT_BATCH];  /* R */
	struct xattrs *lent_xattrs[SNAPSHOT_BATCH];  /* R */
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
	*ret_totals = (struct snapshot_totals){ .keys = ks->keys, .expires = ks->expiry.count + ks->link_expires,
		                                .nodes = ks->keys + ks->directories + ks->symlinks + ks->specials,
		                                .escaped = ks->escaped };
	*ret = s;
	return 0;
}

static uint64_t preimage_memory(const struct preimage *p)
{
	uint64_t value = !p->value ? 0 : p->attr.size <= VALUE_CHUNK ? p->attr.size : VALUE_CHUNK;

	return sizeof *p + p->key_len + value + xattrs_memory(p->xattrs);
}

static bool is_wanted(const struct snapshot *s, const struct node *n)
{
	return (n->flags & NODE_NAMED) && n->epoch < s->cut;
}

/* ---- paths at the cut, of what is wanted ---- */

static size_t cut_key_len(const struct snapshot *s, uint32_t slot)
{
	size_t len = 0;

	while (slot != ROOT_SLOT) {
		const struct cut_path *moved = cut_paths_find(&s->moved, slot);
		if (moved)
			return len + moved->len;
		const struct node *n = node_at(&s->ks->nodes, slot);
		len += n->name_len + (n->parent != ROOT_SLOT);
		slot = n->parent;
	}
	return len;
}

/* Writes it so that it ends before END. */
static void cut_key_before(const struct snapshot *s, uint32_t slot, char *end)
{
	while (slot != ROOT_SLOT) {
		const struct cut_path *moved = cut_paths_find(&s->moved, slot);
		if (moved) {
			memcpy(end - moved->len, moved->path, moved->len);
			return;
		}
		const struct node *n = node_at(&s->ks->nodes, slot);
		end -= n->name_len;
		memcpy(end, node_name(n), n->name_len);
		if (n->parent != ROOT_SLOT)
			*--end = '/';
		slot = n->parent;
	}
}

static void count_memory(struct snapshot *s, uint64_t more)
{
	s->memory += more;
	if (s->memory > s->memory_peak)
		s->memory_peak = s->memory;
}

int tree_touch_place(struct keyspace *ks, uint32_t slot)
{
	struct snapshot *s = ks->snapshot;
	const struct node *n = node_at(&ks->nodes, slot);
	uint64_t before;

	if (!s || s->at >= s->top || !node_is_dir(n) || !n->directory || !n->directory->count || cut_paths_find(&s->moved, slot))
		return 0;
	struct cut_path *p = cut_path_new(slot, cut_key_len(s, slot));
	if (!p)
		return -ENOMEM;
	cut_key_before(s, slot, p->path + p->len);
	before = s->moved.bytes;
	if (cut_paths_add(&s->moved, p) < 0) {
		free(p);
		return -ENOMEM;
	}
	count_memory(s, s->moved.bytes - before);
	return 0;
}

static int touch_name(struct keyspace *ks, uint32_t slot)
{
	struct snapshot *s = ks->snapshot;
	struct node *n = node_at(&ks->nodes, slot);
	uint32_t target = tree_target(ks, slot);
	const struct node *t = node_at(&ks->nodes, target);

	if (!s || !is_wanted(s, n))
		return 0;
	size_t len = cut_key_len(s, slot);
	struct preimage *p = malloc(sizeof *p + len);
	if (!p)
		return -ENOMEM;
	p->next = NULL;
	tree_attr(ks, n, slot, &p->attr);
	p->expire_at_ms = tree_expiry(ks, target);
	p->value = node_has_value(t) ? value_ref(t->value) : NULL;
	p->xattrs = xattrs_ref(tree_xattrs(ks, t, target));
	p->key_len = len;
	cut_key_before(s, slot, p->key + len);
	*s->last = p;
	s->last = &p->next;
	count_memory(s, preimage_memory(p));
	n->epoch = s->cut;
	return 0;
}

int tree_touch(struct keyspace *ks, uint32_t slot)
{
	if (!ks->snapshot)
		return 0;
	slot = tree_target(ks, slot);
	int err = touch_name(ks, slot);
	for (uint32_t link = tree_first_link(ks, slot); link && !err; link = node_at(&ks->nodes, link)->link_next)
		err = touch_name(ks, link);
	return err;
}

static void preimages_free(struct preimage *p)
{
	while (p) {
		struct preimage *next = p->next;
		value_unref(p->value);
		xattrs_unref(p->xattrs);
		free(p);
		p = next;
	}
}

static void give_back(struct snapshot *s)
{
	preimages_free(s->yielded);
	s->yielded = NULL;
	for (int i = 0; i < s->lent_count; i++) {
		value_unref(s->lent[i]);
		xattrs_unref(s->lent_xattrs[i]);
	}
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
		s->memory -= preimage_memory(p);
		p->next = s->yielded;
		s->yielded = p;
		b->entry[b->count++] = (struct snapshot_entry){ .attr = p->attr, .expire_at_ms = p->expire_at_ms, .key = p->key,
			                                        .key_len = p->key_len, .value = p->value,
			                                        .xattrs = p->xattrs };
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
	uint32_t target = tree_target(ks, slot);
	const struct node *t = node_at(&ks->nodes, target);
	size_t len = cut_key_len(s, slot);

	if (arena_room(s, len) < 0)
		return -ENOMEM;
	cut_key_before(s, slot, s->arena + s->arena_len + len);
	s->offset[b->count] = s->arena_len;
	struct snapshot_entry *e = &b->entry[b->count++];
	*e = (struct snapshot_entry){ .expire_at_ms = tree_expiry(ks, target), .key_len = len };
	s->arena_len += len;
	tree_attr(ks, n, slot, &e->attr);
	e->value = node_has_value(t) ? value_ref(t->value) : NULL;
	e->xattrs = xattrs_ref(tree_xattrs(ks, t, target));
	s->lent[s->lent_count] = e->value;
	s->lent_xattrs[s->lent_count++] = e->xattrs;
	n->epoch = s->cut;
	return 0;
}

/* What the next call will look at is fetched before: the time under S is then that of its instructions, not of the memory's answers. */
static void prefetch_nodes(const struct snapshot *s)
{
	for (uint32_t slot = s->at; slot < s->top && slot - s->at < SNAPSHOT_BATCH; slot++) {
		const char *n = (const char *)node_at(&s->ks->nodes, slot);
		__builtin_prefetch(n);
		__builtin_prefetch(n + sizeof(struct node) - 1);
	}
}

static void prefetch_values(const struct snapshot *s)
{
	for (uint32_t slot = s->at; slot < s->top && slot - s->at < SNAPSHOT_BATCH; slot++)
		__builtin_prefetch(node_at(&s->ks->nodes, slot)->value, 1);
}

int snapshot_next(struct snapshot *s, struct snapshot_batch *b)
{
	struct cut_paths unused = { 0 };
	int err = 0, from;
	bool more = true;

	give_back(s);
	b->count = 0;
	while (b->count == 0 && more && !err) {
		keyspace_lock(s->ks);
		prefetch_values(s);
		yield_preimages(s, b);
		from = b->count;
		for (int looked = 0; s->at < s->top && b->count < SNAPSHOT_BATCH && looked < SNAPSHOT_SCAN && !err; looked++) {
			if (is_wanted(s, node_at(&s->ks->nodes, s->at)))
				err = yield_node(s, b, s->at);
			if (!err)
				s->at++;
		}
		more = s->at < s->top || s->first;
		if (s->at >= s->top) {
			unused = s->moved;
			s->moved = (struct cut_paths){ 0 };
			s->memory -= unused.bytes;
		}
		prefetch_nodes(s);
		keyspace_unlock(s->ks);
		cut_paths_fini(&unused);
		for (int i = from; i < b->count; i++)
			b->entry[i].key = s->arena + s->offset[i];
	}
	/* What was yielded counts even when memory ran out behind it: the caller comes back. */
	return b->count ? 0 : err;
}

uint64_t snapshot_memory(struct snapshot *s, uint64_t *ret_peak)
{
	keyspace_lock(s->ks);
	uint64_t bytes = s->memory;
	*ret_peak = s->memory_peak;
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
	cut_paths_fini(&s->moved);
	free(s->arena);
	free(s);
}
