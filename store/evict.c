/* evict.c -- see evict.h. */
#include "store/evict.h"
#include "store/tree.h"

#include <string.h>

enum {
	TRIES = 16,                 /* slots looked at for each sample: some are free, or no key's */
	SCAN = 1024,                /* ... and one after the other when none of them was one */
	TTL_LOOKED = 64,            /* of the expiries that come next, when the first may not go */
};

/* What may not go this time. */
struct choice {
	const uint64_t *spared;
	int count;
	int64_t now_ns;
	bool is_volatile;
};

void keyspace_set_eviction(struct keyspace *ks, enum evict_policy policy, int samples)
{
	keyspace_lock(ks);
	if (ks->policy != policy)
		ks->lru.pooled = 0;
	ks->policy = policy;
	ks->samples = samples;
	if (policy == EVICT_VOLATILE_LRU || policy == EVICT_ALLKEYS_LRU)
		lru_start(&ks->lru);
	else
		lru_stop(&ks->lru);
	keyspace_unlock(ks);
}

/* xorshift64: chance enough for choosing keys. */
static uint32_t draw(struct keyspace *ks, uint32_t below)
{
	uint64_t x = ks->random ? ks->random : ks->options.hash_seed[0] | 1;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	ks->random = x;
	return (uint32_t)((x >> 32) * below >> 32);
}

static bool may_go(const struct keyspace *ks, const struct choice *c, uint32_t slot)
{
	const struct node *n = node_at(&ks->nodes, slot);
	struct node_times times;

	if (!(n->flags & NODE_USED) || !(n->flags & NODE_NAMED) || (n->flags & NODE_LINK) || !S_ISREG(n->mode))
		return false;
	if ((c->is_volatile && !(n->flags & NODE_EXPIRES)) || tree_links(ks, slot))
		return false;
	times_get(&ks->times, n, &times);
	if (n->size == 0 && times.ctime_ns <= c->now_ns && c->now_ns - times.ctime_ns < EVICT_FRESH_NS)
		return false;
	for (int i = 0; i < c->count; i++)
		if (c->spared[i] == node_id(n, slot))
			return false;
	return true;
}

/* Any slot that a key may have; 0: there is none. */
static uint32_t draw_slot(struct keyspace *ks, const struct choice *c)
{
	if (c->is_volatile)
		return ks->expiry.count ? ks->expiry.heap[draw(ks, ks->expiry.count)].slot : 0;
	return ks->nodes.top > 1 ? 1 + draw(ks, ks->nodes.top - 1) : 0;
}

static uint32_t draw_key(struct keyspace *ks, const struct choice *c)
{
	for (int i = 0; i < TRIES; i++) {
		uint32_t slot = draw_slot(ks, c);
		if (slot && may_go(ks, c, slot))
			return slot;
	}
	return 0;
}

/* Where keys are rare, the next one behind where the last look ended. */
static uint32_t scan_key(struct keyspace *ks, const struct choice *c)
{
	uint32_t count = c->is_volatile ? ks->expiry.count : ks->nodes.top;

	for (uint32_t i = 0; i < SCAN && i < count; i++) {
		uint32_t at = ks->scan_at++ % count;
		uint32_t slot = c->is_volatile ? ks->expiry.heap[at].slot : at;
		if (slot && may_go(ks, c, slot))
			return slot;
	}
	return 0;
}

static uint32_t any_key(struct keyspace *ks, const struct choice *c)
{
	uint32_t slot = draw_key(ks, c);

	return slot ? slot : scan_key(ks, c);
}

/* The oldest that is known, unless it was used since. */
static uint32_t oldest_key(struct keyspace *ks, const struct choice *c)
{
	struct lru_candidate known;
	uint32_t slot;

	for (int i = 0; i < ks->samples; i++) {
		slot = draw_key(ks, c);
		if (slot)
			lru_offer(&ks->lru, node_id(node_at(&ks->nodes, slot), slot));
	}
	while (lru_take(&ks->lru, &known))
		if (tree_node(ks, known.id, &slot) && may_go(ks, c, slot) && lru_stamp(&ks->lru, slot) == known.stamp)
			return slot;
	return scan_key(ks, c);
}

/* The first in the heap; else the soonest of those that stand next to it. */
static uint32_t soonest_key(const struct keyspace *ks, const struct choice *c)
{
	int64_t at_ms = INT64_MAX;
	uint32_t best = 0;

	for (uint32_t i = 0; i < ks->expiry.count && i < TTL_LOOKED; i++) {
		const struct expiry_entry *e = &ks->expiry.heap[i];
		if (e->at_ms >= at_ms || !may_go(ks, c, e->slot))
			continue;
		at_ms = e->at_ms;
		best = e->slot;
		if (i == 0)
			break;
	}
	return best;
}

static uint32_t choose(struct keyspace *ks, struct choice *c)
{
	c->is_volatile = ks->policy == EVICT_VOLATILE_LRU || ks->policy == EVICT_VOLATILE_RANDOM || ks->policy == EVICT_VOLATILE_TTL;
	switch (ks->policy) {
	case EVICT_NONE:
		return 0;
	case EVICT_VOLATILE_LRU:
	case EVICT_ALLKEYS_LRU:
		return oldest_key(ks, c);
	case EVICT_VOLATILE_RANDOM:
	case EVICT_ALLKEYS_RANDOM:
		return any_key(ks, c);
	case EVICT_VOLATILE_TTL:
		return soonest_key(ks, c);
	}
	return 0;
}

/* Nobody is asked to forget it first. */
static int remove_whole(struct keyspace *ks, struct op *op, uint32_t slot, struct keyspace_place *gone)
{
	struct node *n = node_at(&ks->nodes, slot);
	uint32_t nlookup = n->nlookup;

	tree_place(ks, slot, gone);
	n->nlookup = 0;
	int err = tree_remove(ks, op, slot, MUTATION_REMOVE);
	if (err)
		n->nlookup = nlookup;
	return err;
}

int keyspace_evict(struct keyspace *ks, struct op *op, const uint64_t *spared, int count, struct keyspace_place *gone, bool *ret_enough)
{
	struct choice c = { .spared = spared, .count = count, .now_ns = op->now_ns };
	int n = 0, err = 0;

	*ret_enough = false;
	keyspace_lock(ks);
	/* What is more than all keys together have is no reason to remove them. */
	bool possible = ks->policy != EVICT_NONE && ks->wanted <= tree_value_bytes(ks) + ks->keys * sizeof(struct node);
	while (possible && n < EVICT_BATCH && !err) {
		uint64_t max = tree_limit(ks);
		if (max == UINT64_MAX || tree_used(ks) + ks->wanted <= max) {
			*ret_enough = true;
			break;
		}
		uint32_t slot = choose(ks, &c);
		if (!slot)
			break;
		err = remove_whole(ks, op, slot, &gone[n]);
		if (!err)
			n++;
	}
	keyspace_unlock(ks);
	return n ? n : err;
}
