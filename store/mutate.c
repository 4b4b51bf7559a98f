/* mutate.c -- the operations that change one node: create, remove, write, set attributes.  See keyspace.h and tree.h. */
#include "store/acl_tree.h"

#include <errno.h>
#include <string.h>

int tree_new_place(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len, uint32_t mode, struct node **ret_dir,
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
	if (tree_key_len(ks, *ret_slot) + 1 + (int64_t)len > KEYSPACE_KEY_MAX)
		return -ENAMETOOLONG;
	return tree_check_place(ks, op, *ret_slot, name, len, mode, 0);
}

/* What a new node has beside its attributes: a symlink's target, a device's number. */
struct content {
	const char *target;
	size_t target_len;
	uint32_t rdev;
};

static int create(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len, uint32_t mode,
                  const struct content *content, struct attr *ret)
{
	const size_t target_len = content->target_len;
	struct value_edit e = { 0 };
	struct acl_change acl = { 0 };
	struct op by = *op;
	struct tree_birth b;
	struct node *dir;
	uint32_t slot;

	int err = tree_new_place(ks, op, parent, name, len, mode, &dir, &slot);
	if (!err)
		err = tree_check_memory(ks, (int64_t)(sizeof(struct node) + target_len));
	if (!err)
		err = tree_touch(ks, slot);
	if (!err)
		err = acl_of_new(ks, op, dir, slot, &mode, &acl);
	if (err)
		goto out;
	if (dir->mode & S_ISGID) {
		by.gid = owners_gid(&ks->owners, dir->owner);
		if (S_ISDIR(mode))
			mode |= S_ISGID;
	}
	err = tree_birth_reserve(ks, &b, slot, name, len, mode, &by);
	if (err)
		goto out;
	if (node_is_special(b.node))
		b.node->rdev = content->rdev;
	if (target_len)
		err = value_edit_write(&e, NULL, 0, 0, target_len);
	if (!err)
		err = tree_reserve_xattrs(ks, b.node, b.slot, acl.all);
	if (err)
		goto err_birth;

	struct mutation m = { .kind = MUTATION_CREATE, .has_name = true, .id = node_id(b.node, b.slot), .parent = node_id(dir, slot),
		              .name = name, .name_len = len, .target = content->target, .target_len = target_len,
		              .xattr = acl.xattr, .xattrs = acl.count };
	tree_attr(ks, b.node, b.slot, &m.node);
	if (!S_ISDIR(mode))
		m.node.size = target_len;
	m.node.nlink = S_ISDIR(mode) ? 2 : 1;
	err = tree_record(ks, op, &m);
	if (err)
		goto err_value;
	tree_birth_apply(ks, &b, op->now_ns);
	acl_apply(ks, b.node, b.slot, &acl);
	if (target_len)
		tree_commit_value(ks, b.node, &e, 0, content->target, target_len);
	if (ret) {
		b.node->nlookup = 1;
		tree_attr(ks, b.node, b.slot, ret);
	}
	goto out;

err_value:
	if (target_len)
		value_edit_abort(&e);
err_birth:
	tree_trim_extra(ks, b.node, b.slot);
	tree_birth_abort(ks, &b);
out:
	acl_change_fini(&acl);
	return err;
}

static int make(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len, uint32_t mode,
                const struct content *content, struct attr *ret)
{
	op->seq = 0;
	keyspace_lock(ks);
	int err = create(ks, op, parent, name, len, mode & (S_IFMT | 07777), content, ret);
	keyspace_unlock(ks);
	return err;
}

int keyspace_mknod(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len, uint32_t mode, struct attr *ret)
{
	op->seq = 0;
	return S_ISREG(mode) ? make(ks, op, parent, name, len, mode, &(struct content){ 0 }, ret) : -EPERM;
}

int keyspace_mkspecial(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len, uint32_t mode, uint32_t rdev,
                       struct attr *ret)
{
	const bool device = S_ISCHR(mode) || S_ISBLK(mode);

	op->seq = 0;
	if (!device && !S_ISFIFO(mode) && !S_ISSOCK(mode))
		return -EPERM;
	return make(ks, op, parent, name, len, mode, &(struct content){ .rdev = device ? rdev : 0 }, ret);
}

int keyspace_mkdir(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len, uint32_t mode, struct attr *ret)
{
	return make(ks, op, parent, name, len, S_IFDIR | (mode & 07777), &(struct content){ 0 }, ret);
}

int keyspace_symlink(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len, const char *target,
                     size_t target_len, struct attr *ret)
{
	op->seq = 0;
	if (target_len == 0)
		return -ENOENT;
	if (target_len > 4095)
		return -ENAMETOOLONG;
	return make(ks, op, parent, name, len, S_IFLNK | 0777, &(struct content){ .target = target, .target_len = target_len }, ret);
}

/* Keys whose time is over are in nobody's way: when there is nothing else in DIR they go.  Looks at RMDIR_OVER entries at most; more of them
 * are in the way until the clock has come to them. */
enum { RMDIR_OVER = 256 };

static int remove_overdue(struct keyspace *ks, struct op *op, uint32_t dir_slot)
{
	const struct node *dir = node_at(&ks->nodes, dir_slot);
	struct directory_cursor c;
	uint64_t cookie;
	int err = 0;

	if (!dir->directory || !dir->directory->count)
		return 0;
	if (dir->directory->count > RMDIR_OVER)
		return -ENOTEMPTY;
	directory_seek(dir->directory, DIRECTORY_FIRST - 1, &c);
	for (uint32_t slot; (slot = directory_next(dir->directory, &c, &cookie)) != 0;)
		if (!tree_is_over_for(ks, slot, op))
			return -ENOTEMPTY;
	/* One by one from the front: a node may take the place of another of its names. */
	for (uint32_t slot; !err && (slot = tree_first_child(ks, dir_slot)) != 0;)
		err = tree_remove(ks, op, slot, MUTATION_EXPIRED);
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
	if (tree_is_over_for(ks, child, op))
		return -ENOENT;
	if (want_dir)
		err = remove_overdue(ks, op, child);
	return err ? err : tree_remove(ks, op, child, MUTATION_REMOVE);
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
		if (c->size == 0)
			a->expire_at_ms = 0;
	}
	if (c->mask & ATTR_MTIME)
		a->mtime_ns = c->mtime_ns;
	a->ctime_ns = c->mask & ATTR_CTIME ? c->ctime_ns : now_ns;
}

static int set_attributes(struct keyspace *ks, struct op *op, uint64_t id, const struct attr_change *c, struct attr *ret)
{
	struct acl_change acl = { 0 };
	struct value_edit e = { 0 };
	uint32_t slot, owner;
	int err;

	struct node *n = tree_node(ks, id, &slot);
	if (!n)
		return -ESTALE;
	lru_use(&ks->lru, slot, ks->keys);
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
	if (!err && resize && c->size > n->size)
		err = tree_check_edit(ks, &e);
	if (!err && (c->mask & ATTR_MODE))
		err = acl_of_chmod(ks, n, slot, c->mode, &acl);
	struct mutation m = { .kind = MUTATION_SETATTR, .has_name = n->flags & NODE_NAMED, .id = id, .old_size = n->size, .change = c,
		              .xattr = acl.xattr, .xattrs = acl.count };
	tree_attr(ks, n, slot, &m.node);
	attr_after(c, op->now_ns, &m.node);
	if (!err)
		err = owners_take(&ks->owners, m.node.uid, m.node.gid, &owner);
	if (!err) {
		err = tree_record(ks, op, &m);
		if (err)
			owners_drop(&ks->owners, owner);
	}
	if (err) {
		if (resize)
			value_edit_abort(&e);
		goto out;
	}
	if (resize) {
		tree_commit_value(ks, n, &e, 0, NULL, 0);
		if (c->size == 0)
			tree_set_expiry(ks, slot, 0);
	}
	n->mode = (uint16_t)m.node.mode;
	tree_set_owner(ks, n, owner);
	times_set(&ks->times, n, &(struct node_times){ m.node.atime_ns, m.node.mtime_ns, m.node.ctime_ns });
	acl_apply(ks, n, slot, &acl);
	tree_attr(ks, n, slot, ret);
out:
	acl_change_fini(&acl);
	return err;
}

int keyspace_setattr(struct keyspace *ks, struct op *op, uint64_t id, const struct attr_change *c, struct attr *ret)
{
	op->seq = 0;
	keyspace_lock(ks);
	int err = set_attributes(ks, op, id, c, ret);
	keyspace_unlock(ks);
	return err;
}
