/* expire.c -- when keys go, and what commands do to a key by its whole name.  See keyspace.h. */
#include "store/tree.h"

#include <errno.h>
#include <string.h>

int64_t tree_expiry(const struct keyspace *ks, uint32_t slot)
{
	return expiry_of(&ks->expiry, node_at(&ks->nodes, slot), slot);
}

bool tree_is_over(const struct keyspace *ks, uint32_t slot, int64_t now_ns)
{
	int64_t at_ms = tree_expiry(ks, tree_target(ks, slot));

	return at_ms && at_ms <= now_ns / 1000000;
}

bool tree_is_over_for(const struct keyspace *ks, uint32_t slot, const struct op *op)
{
	return !op->replayed && tree_is_over(ks, slot, op->now_ns);
}

int tree_remove_if_over(struct keyspace *ks, struct op *op, uint32_t slot)
{
	if (!tree_is_over_for(ks, slot, op))
		return -EEXIST;
	return tree_remove(ks, op, slot, MUTATION_EXPIRED);
}

int keyspace_expire_due(struct keyspace *ks, struct op *op, int max, struct keyspace_place *gone)
{
	int count = 0, err = 0;

	op->seq = 0;
	keyspace_lock(ks);
	while (count < max) {
		const struct expiry_entry *first = expiry_first(&ks->expiry);
		if (!first || first->at_ms > op->now_ns / 1000000)
			break;
		uint32_t slot = first->slot;
		tree_place(ks, slot, &gone[count]);
		err = tree_remove(ks, op, slot, MUTATION_EXPIRED);
		if (err)
			break;
		count++;
	}
	keyspace_unlock(ks);
	return count ? count : err;
}

int64_t keyspace_next_expiry(struct keyspace *ks)
{
	keyspace_lock(ks);
	const struct expiry_entry *first = expiry_first(&ks->expiry);
	int64_t at_ms = first ? first->at_ms : INT64_MAX;
	keyspace_unlock(ks);
	return at_ms;
}

/* SLOT is a file with a name. */
static int set_expiry(struct keyspace *ks, struct op *op, uint32_t slot, int64_t at_ms)
{
	struct node *n = node_at(&ks->nodes, slot);

	int err = expiry_reserve(&ks->expiry, slot);
	if (!err)
		err = tree_touch(ks, slot);
	if (err)
		return err;
	struct mutation m = { .kind = MUTATION_EXPIRE, .has_name = true, .id = node_id(n, slot), .expire_at_ms = at_ms };
	tree_attr(ks, n, slot, &m.node);
	m.node.expire_at_ms = at_ms;
	err = tree_record(ks, op, &m);
	if (!err)
		tree_set_expiry(ks, slot, at_ms);
	return err;
}

int keyspace_expire_at(struct keyspace *ks, struct op *op, uint64_t id, int64_t at_ms, struct keyspace_place *ret)
{
	uint32_t slot;
	int err = 0;

	op->seq = 0;
	keyspace_lock(ks);
	struct node *n = tree_node(ks, id, &slot);
	if (!n)
		err = -ESTALE;
	else if (!S_ISREG(n->mode))
		err = node_is_dir(n) ? -EISDIR : -EINVAL;
	else if (!(n->flags & NODE_NAMED) || tree_is_over(ks, slot, op->now_ns))
		err = -ENOENT;
	if (!err)
		err = set_expiry(ks, op, slot, at_ms);
	if (!err && ret)
		tree_place(ks, slot, ret);
	keyspace_unlock(ks);
	return err;
}

/* ---- by key ---- */

/* Slot of the name; 0: there is no such key. */
static uint32_t find_key(struct keyspace *ks, const char *key, size_t len, int64_t now_ns)
{
	uint32_t slot = tree_find_value(ks, key, len);

	return slot && !tree_is_over(ks, slot, now_ns) ? slot : 0;
}

int keyspace_find_key(struct keyspace *ks, const char *key, size_t len, int64_t now_ns, struct attr *ret)
{
	keyspace_lock(ks);
	uint32_t slot = find_key(ks, key, len, now_ns);
	if (slot)
		tree_attr(ks, node_at(&ks->nodes, slot), slot, ret);
	keyspace_unlock(ks);
	return slot ? 0 : -ENOENT;
}

static bool rules_allow(unsigned rules, int64_t was_ms, int64_t at_ms)
{
	if ((rules & EXPIRE_NX) && was_ms)
		return false;
	if ((rules & EXPIRE_XX) && !was_ms)
		return false;
	if ((rules & EXPIRE_GT) && (!was_ms || at_ms <= was_ms))
		return false;
	return !((rules & EXPIRE_LT) && was_ms && at_ms >= was_ms);
}

static int expire_key(struct keyspace *ks, struct op *op, uint32_t slot, int64_t at_ms, unsigned rules, struct keyspace_place *ret)
{
	uint32_t target = tree_target(ks, slot);

	if (!rules_allow(rules, tree_expiry(ks, target), at_ms))
		return EXPIRE_REFUSED;
	tree_place(ks, slot, ret);
	/* A node with several names is left to keyspace_expire_due(), which takes them all. */
	bool past = at_ms <= op->now_ns / 1000000 && !ret->linked;
	int err = past ? tree_remove(ks, op, slot, MUTATION_REMOVE) : set_expiry(ks, op, target, at_ms);
	if (err)
		return err;
	return past ? EXPIRE_REMOVED : EXPIRE_SET;
}

int keyspace_expire_key(struct keyspace *ks, struct op *op, const char *key, size_t len, int64_t at_ms, unsigned rules,
                        struct keyspace_place *ret)
{
	op->seq = 0;
	keyspace_lock(ks);
	uint32_t slot = find_key(ks, key, len, op->now_ns);
	int res = slot ? expire_key(ks, op, slot, at_ms, rules, ret) : -ENOENT;
	keyspace_unlock(ks);
	return res;
}

int keyspace_persist_key(struct keyspace *ks, struct op *op, const char *key, size_t len)
{
	int res = -ENOENT;

	op->seq = 0;
	keyspace_lock(ks);
	uint32_t slot = find_key(ks, key, len, op->now_ns);
	if (slot && !tree_expiry(ks, tree_target(ks, slot))) {
		res = 0;
	} else if (slot) {
		int err = set_expiry(ks, op, tree_target(ks, slot), 0);
		res = err ? err : 1;
	}
	keyspace_unlock(ks);
	return res;
}

int keyspace_remove_key(struct keyspace *ks, struct op *op, const char *key, size_t len, struct keyspace_place *ret)
{
	int err = -ENOENT;

	op->seq = 0;
	keyspace_lock(ks);
	uint32_t slot = find_key(ks, key, len, op->now_ns);
	if (slot) {
		tree_place(ks, slot, ret);
		err = tree_remove(ks, op, slot, MUTATION_REMOVE);
	}
	keyspace_unlock(ks);
	return err;
}
