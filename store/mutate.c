/* mutate.c -- the operations that change one node: create, remove, write, set attributes.  See keyspace.h and tree.h. */
#include "store/tree.h"

#include <errno.h>
#include <string.h>

/* Finds the directory and makes sure NAME is free in it and short enough. */
static int find_place(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len, struct node **ret_dir,
                      uint32_t *ret_slot)
{
	int err = tree_check_name(name, len);
	if (err)
		return err;
	err = tree_directory(ks, parent, ret_dir, ret_slot);
	if (err)
		return err;
	uint32_t existing = tree_child(ks, *ret_slot, name, len);
	if (existing)
		err = tree_remove_if_over(ks, op, existing);
	if (err)
		return err;
	return tree_key_len(ks, *ret_slot) + 1 + (int64_t)len > KEYSPACE_KEY_MAX ? -ENAMETOOLONG : 0;
}

static int create(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len, uint32_t mode, const char *target,
                  size_t target_len, struct attr *ret)
{
	struct value_edit e = { 0 };
	struct tree_birth b;
	struct node *dir;
	uint32_t slot;

	int err = find_place(ks, op, parent, name, len, &dir, &slot);
	if (!err)
		err = tree_check_memory(ks, (int64_t)(sizeof(struct node) + target_len));
	if (!err)
		err = tree_touch(ks, slot);
	if (!err)
		err = tree_birth_reserve(ks, &b, slot, name, len, mode);
	if (err)
		return err;
	b.node->uid = op->uid;
	b.node->gid = op->gid;
	if (dir->mode & S_ISGID) {
		b.node->gid = dir->gid;
		if (S_ISDIR(mode))
			b.node->mode |= S_ISGID;
	}
	b.node->atime_ns = b.node->mtime_ns = b.node->ctime_ns = op->now_ns;
	if (target_len)
		err = value_edit_write(&e, NULL, 0, 0, target_len);
	if (err)
		goto err_birth;

	struct mutation m = { .kind = MUTATION_CREATE, .has_name = true, .id = node_id(b.node, b.slot), .parent = node_id(dir, slot),
		              .name = name, .name_len = len, .target = target, .target_len = target_len };
	tree_attr(ks, b.node, b.slot, &m.node);
	m.node.size = target_len;
	m.node.nlink = S_ISDIR(mode) ? 2 : 1;
	err = tree_record(ks, op, &m);
	if (err)
		goto err_value;
	tree_birth_apply(ks, &b, op->now_ns);
	if (target_len)
		tree_commit_value(ks, b.node, &e, 0, target, target_len);
	if (ret) {
		b.node->nlookup = 1;
		tree_attr(ks, b.node, b.slot, ret);
	}
	return 0;

err_value:
	if (target_len)
		tree_abort_value(ks, &e);
err_birth:
	tree_birth_abort(ks, &b);
	return err;
}

int keyspace_mknod(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len, uint32_t mode, struct attr *ret)
{
	op->seq = 0;
	if (!S_ISREG(mode))
		return -EPERM;
	keyspace_lock(ks);
	int err = create(ks, op, parent, name, len, mode & (S_IFMT | 07777), NULL, 0, ret);
	keyspace_unlock(ks);
	return err;
}

int keyspace_mkdir(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len, uint32_t mode, struct attr *ret)
{
	op->seq = 0;
	keyspace_lock(ks);
	int err = create(ks, op, parent, name, len, S_IFDIR | (mode & 07777), NULL, 0, ret);
	keyspace_unlock(ks);
	return err;
}

int keyspace_symlink(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len, const char *target,
                     size_t target_len, struct attr *ret)
{
	op->seq = 0;
	if (target_len == 0)
		return -ENOENT;
	if (target_len > 4095)
		return -ENAMETOOLONG;
	keyspace_lock(ks);
	int err = create(ks, op, parent, name, len, S_IFLNK | 0777, target, target_len, ret);
	keyspace_unlock(ks);
	return err;
}

static int remove_entry(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len, bool want_dir)
{
	struct node *dir;
	uint32_t slot;

	if (len > KEYSPACE_NAME_MAX)
		return -ENAMETOOLONG;
	int err = tree_directory(ks, parent, &dir, &slot);
	if (err)
		return err;
	uint32_t child = tree_child(ks, slot, name, len);
	if (!child)
		return -ENOENT;
	struct node *n = node_at(&ks->nodes, child);
	if (want_dir && !node_is_dir(n))
		return -ENOTDIR;
	if (!want_dir && node_is_dir(n))
		return -EISDIR;
	if (want_dir && n->directory && n->directory->count)
		return -ENOTEMPTY;
	err = tree_touch(ks, slot);
	if (!err)
		err = tree_touch(ks, child);
	if (err)
		return err;
	struct mutation m = { .kind = MUTATION_REMOVE, .has_name = true, .id = node_id(n, child), .parent = node_id(dir, slot),
		              .name = name, .name_len = len };
	tree_attr(ks, n, child, &m.node);
	err = tree_record(ks, op, &m);
	if (!err)
		tree_detach(ks, child, op->now_ns);
	return err;
}

int keyspace_unlink(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len)
{
	op->seq = 0;
	keyspace_lock(ks);
	int err = remove_entry(ks, op, parent, name, len, false);
	keyspace_unlock(ks);
	return err;
}

int keyspace_rmdir(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len)
{
	op->seq = 0;
	keyspace_lock(ks);
	int err = remove_entry(ks, op, parent, name, len, true);
	keyspace_unlock(ks);
	return err;
}

static int write_value(struct keyspace *ks, struct op *op, uint64_t id, uint64_t off, const void *data, size_t len)
{
	struct value_edit e;
	uint32_t slot;

	struct node *n = tree_node(ks, id, &slot);
	if (!n)
		return -ESTALE;
	if (!S_ISREG(n->mode))
		return node_is_dir(n) ? -EISDIR : -EINVAL;
	if (off > ks->options.value_max || len > ks->options.value_max - off)
		return -EFBIG;
	if (len == 0)
		return 0;
	/* The pre-image takes its reference first: then the edit copies what the snapshot still needs. */
	int err = tree_touch(ks, slot);
	if (err)
		return err;
	err = value_edit_write(&e, n->value, n->size, off, len);
	if (!err)
		err = tree_check_memory(ks, e.memory);
	if (!err) {
		struct mutation m = { .kind = MUTATION_WRITE, .has_name = n->flags & NODE_NAMED, .id = id, .old_size = n->size,
			              .off = off, .data = data, .len = len };
		tree_attr(ks, n, slot, &m.node);
		m.node.size = e.size;
		m.node.mtime_ns = m.node.ctime_ns = op->now_ns;
		err = tree_record(ks, op, &m);
	}
	if (err) {
		tree_abort_value(ks, &e);
		return err;
	}
	tree_commit_value(ks, n, &e, off, data, len);
	n->mtime_ns = n->ctime_ns = op->now_ns;
	return 0;
}

int keyspace_write(struct keyspace *ks, struct op *op, uint64_t id, uint64_t off, const void *data, size_t len)
{
	op->seq = 0;
	keyspace_lock(ks);
	int err = write_value(ks, op, id, off, data, len);
	keyspace_unlock(ks);
	return err;
}

/* What the attributes become. */
static void attr_after(const struct attr_change *c, int64_t now_ns, struct attr *a)
{
	if (c->mask & ATTR_MODE)
		a->mode = (a->mode & S_IFMT) | (c->mode & 07777);
	if (c->mask & ATTR_UID)
		a->uid = c->uid;
	if (c->mask & ATTR_GID)
		a->gid = c->gid;
	if (c->mask & ATTR_ATIME)
		a->atime_ns = c->atime_ns;
	if (c->mask & ATTR_SIZE) {
		a->size = c->size;
		a->mtime_ns = now_ns;
	}
	if (c->mask & ATTR_MTIME)
		a->mtime_ns = c->mtime_ns;
	a->ctime_ns = c->mask & ATTR_CTIME ? c->ctime_ns : now_ns;
}

static int set_attributes(struct keyspace *ks, struct op *op, uint64_t id, const struct attr_change *c, struct attr *ret)
{
	struct value_edit e = { 0 };
	uint32_t slot;
	int err;

	struct node *n = tree_node(ks, id, &slot);
	if (!n)
		return -ESTALE;
	bool resize = c->mask & ATTR_SIZE;
	if (resize && !S_ISREG(n->mode))
		return node_is_dir(n) ? -EISDIR : -EINVAL;
	if (resize && c->size > ks->options.value_max)
		return -EFBIG;
	err = tree_touch(ks, slot);
	if (err)
		return err;
	if (resize)
		err = value_edit_resize(&e, n->value, n->size, c->size);
	if (!err && resize)
		err = tree_check_memory(ks, e.memory);
	struct mutation m = { .kind = MUTATION_SETATTR, .has_name = n->flags & NODE_NAMED, .id = id, .old_size = n->size, .change = c };
	tree_attr(ks, n, slot, &m.node);
	attr_after(c, op->now_ns, &m.node);
	if (!err)
		err = tree_record(ks, op, &m);
	if (err) {
		if (resize)
			tree_abort_value(ks, &e);
		return err;
	}
	if (resize) {
		tree_commit_value(ks, n, &e, 0, NULL, 0);
		if (c->size == 0)
			expiry_set(&ks->expiry, &ks->nodes, slot, 0);
	}
	n->mode = (uint16_t)m.node.mode;
	n->uid = m.node.uid;
	n->gid = m.node.gid;
	n->atime_ns = m.node.atime_ns;
	n->mtime_ns = m.node.mtime_ns;
	n->ctime_ns = m.node.ctime_ns;
	tree_attr(ks, n, slot, ret);
	return 0;
}

int keyspace_setattr(struct keyspace *ks, struct op *op, uint64_t id, const struct attr_change *c, struct attr *ret)
{
	op->seq = 0;
	keyspace_lock(ks);
	int err = set_attributes(ks, op, id, c, ret);
	keyspace_unlock(ks);
	return err;
}
