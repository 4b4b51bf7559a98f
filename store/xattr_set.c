/* xattr_set.c -- the operations on extended attributes.  See keyspace.h and xattr.h. */
#include "store/acl_tree.h"
#include "store/load.h"

#include <errno.h>
#include <string.h>

struct xattrs *tree_xattrs(const struct keyspace *ks, const struct node *n, uint32_t slot)
{
	const struct extra *x = tree_extra(ks, n, slot);

	return x ? x->xattrs : NULL;
}

int tree_reserve_xattrs(struct keyspace *ks, struct node *n, uint32_t slot, const struct xattrs *x)
{
	int64_t more = (int64_t)xattrs_memory(x) - (int64_t)xattrs_memory(tree_xattrs(ks, n, slot));

	int err = tree_check_memory(ks, more);
	if (!err && x && !tree_make_extra(ks, n, slot))
		err = -ENOMEM;
	return err;
}

void tree_set_xattrs(struct keyspace *ks, struct node *n, uint32_t slot, struct xattrs *x)
{
	struct extra *e = tree_extra(ks, n, slot);

	if (!e)
		return;     /* and X is NULL: it was not reserved */
	ks->xattr_bytes += xattrs_memory(x) - xattrs_memory(e->xattrs);
	xattrs_unref(e->xattrs);
	e->xattrs = x;
	tree_trim_extra(ks, n, slot);
}

struct xattrs *keyspace_xattrs_locked(struct keyspace *ks, uint64_t id)
{
	uint32_t slot;
	struct node *n = tree_node(ks, id, &slot);

	return n ? tree_xattrs(ks, n, slot) : NULL;
}

int keyspace_get_xattrs(struct keyspace *ks, uint64_t id, struct xattrs **ret)
{
	uint32_t slot;

	keyspace_lock(ks);
	struct node *n = tree_node(ks, id, &slot);
	if (n)
		*ret = xattrs_ref(tree_xattrs(ks, n, slot));
	keyspace_unlock(ks);
	return n ? 0 : -ESTALE;
}

static int check_flags(const struct xattrs *x, const struct xattr *c, unsigned flags)
{
	struct xattr old;
	bool there = xattrs_find(x, c->name, c->name_len, &old);

	if (there && (flags & KEYSPACE_XATTR_CREATE))
		return -EEXIST;
	return !there && (flags & KEYSPACE_XATTR_REPLACE) ? -ENODATA : 0;
}

static int change_xattr(struct keyspace *ks, struct op *op, uint64_t id, struct xattr *c, unsigned flags)
{
	struct attr_change also = { 0 };
	struct xattrs *x;
	uint32_t slot;

	op->seq = 0;
	struct node *n = tree_node(ks, id, &slot);
	if (!n)
		return -ESTALE;
	uint32_t mode = n->mode;
	int err = check_flags(tree_xattrs(ks, n, slot), c, flags);
	if (!err)
		err = acl_of_xattr(op, n, c, &mode);
	if (!err)
		err = xattrs_with(tree_xattrs(ks, n, slot), c, &x);
	if (err)
		return err;
	if (mode != n->mode)
		also = (struct attr_change){ .mask = ATTR_MODE, .mode = mode & 07777 };
	err = tree_reserve_xattrs(ks, n, slot, x);
	if (!err)
		err = tree_touch(ks, slot);
	if (!err) {
		struct mutation m = { .kind = MUTATION_XATTR, .has_name = n->flags & NODE_NAMED, .id = id, .old_size = n->size,
			              .change = &also, .xattr = c, .xattrs = 1 };
		tree_attr(ks, n, slot, &m.node);
		m.node.mode = mode;
		m.node.ctime_ns = op->now_ns;
		err = tree_record(ks, op, &m);
	}
	if (err) {
		xattrs_unref(x);
		tree_trim_extra(ks, n, slot);
		return err;
	}
	tree_set_xattrs(ks, n, slot, x);
	n->mode = (uint16_t)mode;
	tree_changed(ks, n, op->now_ns);
	return 0;
}

int keyspace_setxattr(struct keyspace *ks, struct op *op, uint64_t id, const char *name, size_t len, const void *value, size_t size,
                      unsigned flags)
{
	struct xattr c = { .name = name, .name_len = len, .value = size ? value : "", .len = size };

	keyspace_lock(ks);
	int err = change_xattr(ks, op, id, &c, flags);
	keyspace_unlock(ks);
	return err;
}

int keyspace_removexattr(struct keyspace *ks, struct op *op, uint64_t id, const char *name, size_t len)
{
	struct xattr c = { .name = name, .name_len = len };

	keyspace_lock(ks);
	int err = change_xattr(ks, op, id, &c, KEYSPACE_XATTR_REPLACE);
	keyspace_unlock(ks);
	return err;
}

int loader_xattr(struct loader *l, uint64_t id, const struct xattr *change)
{
	struct xattrs *x;
	uint32_t slot;

	keyspace_lock(l->ks);
	struct node *n = tree_node(l->ks, id, &slot);
	int err = n ? xattrs_with(tree_xattrs(l->ks, n, slot), change, &x) : -ESTALE;
	if (err)
		goto out;
	err = tree_reserve_xattrs(l->ks, n, slot, x);
	if (err)
		xattrs_unref(x);
	else
		tree_set_xattrs(l->ks, n, slot, x);
out:
	keyspace_unlock(l->ks);
	return err;
}
