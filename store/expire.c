/* expire.c -- keys whose time is over.  See keyspace.h. */
#include "store/tree.h"

#include <errno.h>
#include <string.h>

int tree_expire(struct keyspace *ks, struct op *op, uint32_t slot)
{
	struct node *n = node_at(&ks->nodes, slot);
	struct node *dir = node_at(&ks->nodes, n->parent);

	int err = tree_touch(ks, n->parent);
	if (!err)
		err = tree_touch(ks, slot);
	if (err)
		return err;
	struct mutation m = { .kind = MUTATION_EXPIRED, .has_name = true, .id = node_id(n, slot), .parent = node_id(dir, n->parent),
		              .name = node_name(n), .name_len = n->name_len };
	tree_attr(ks, n, slot, &m.node);
	err = tree_record(ks, op, &m);
	if (!err)
		tree_detach(ks, slot, op->now_ns);
	return err;
}

int tree_remove_if_over(struct keyspace *ks, struct op *op, uint32_t slot)
{
	int64_t at_ms = expiry_of(&ks->expiry, node_at(&ks->nodes, slot));

	if (!at_ms || at_ms > op->now_ns / 1000000)
		return -EEXIST;
	return tree_expire(ks, op, slot);
}

int keyspace_expire_due(struct keyspace *ks, struct op *op, int max, keyspace_gone_fn *gone, void *ctx)
{
	int count = 0, err = 0;

	op->seq = 0;
	keyspace_lock(ks);
	while (count < max) {
		const struct expiry_entry *first = expiry_first(&ks->expiry);
		if (!first || first->at_ms > op->now_ns / 1000000)
			break;
		uint32_t slot = first->slot;
		struct node *n = node_at(&ks->nodes, slot);
		uint64_t parent = node_id(node_at(&ks->nodes, n->parent), n->parent);
		uint64_t id = node_id(n, slot);
		char name[KEYSPACE_NAME_MAX];
		size_t len = n->name_len;
		memcpy(name, node_name(n), len);
		err = tree_expire(ks, op, slot);
		if (err)
			break;
		gone(ctx, parent, name, len, id);
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

int keyspace_expire_at(struct keyspace *ks, struct op *op, uint64_t id, int64_t at_ms)
{
	uint32_t slot;
	int err = 0;

	op->seq = 0;
	keyspace_lock(ks);
	struct node *n = tree_node(ks, id, &slot);
	if (!n)
		err = -ESTALE;
	else if (!(n->flags & NODE_NAMED))
		err = -ENOENT;
	else if (!S_ISREG(n->mode))
		err = node_is_dir(n) ? -EISDIR : -EINVAL;
	if (!err)
		err = expiry_reserve(&ks->expiry);
	if (!err)
		err = tree_touch(ks, slot);
	if (!err) {
		struct mutation m = { .kind = MUTATION_EXPIRE, .has_name = true, .id = id, .expire_at_ms = at_ms };
		tree_attr(ks, n, slot, &m.node);
		err = tree_record(ks, op, &m);
	}
	if (!err)
		expiry_set(&ks->expiry, &ks->nodes, slot, at_ms);
	keyspace_unlock(ks);
	return err;
}
