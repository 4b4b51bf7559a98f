/* load_path.c -- a loader's calls by path and by id.  See load.h. */
#include "store/keyname.h"
#include "store/load_spot.h"

#include <errno.h>

/* ---- by path ---- */

static int find_any(struct loader *l, const char *path, size_t len, struct spot *s)
{
	if (len == 0) {
		*s = (struct spot){ .slot = ROOT_SLOT, .target = ROOT_SLOT, .node = node_at(&l->ks->nodes, ROOT_SLOT) };
		return 0;
	}
	int err = spot_check_path(l, path, len, false);
	if (!err)
		err = spot_find(l, path, len, false, s);
	return err ? err : s->node ? 0 : -ENOENT;
}

int loader_find(struct loader *l, const char *path, size_t len, uint64_t *ret_id)
{
	struct spot s;

	keyspace_lock(l->ks);
	int err = find_any(l, path, len, &s);
	if (!err)
		*ret_id = spot_id(&s);
	keyspace_unlock(l->ks);
	return err;
}

/* Finds what is at the path and says by which ids the operations of keyspace.h reach it. */
static int find_parent(struct loader *l, const char *path, size_t len, bool make, struct spot *s, uint64_t *ret_parent)
{
	keyspace_lock(l->ks);
	int err = spot_check_path(l, path, len, false);
	if (!err)
		err = spot_find(l, path, len, make, s);
	if (!err)
		*ret_parent = node_id(node_at(&l->ks->nodes, s->dir), s->dir);
	keyspace_unlock(l->ks);
	return err;
}

int loader_remove(struct loader *l, const char *key, size_t len)
{
	struct op op = spot_op(l);
	struct spot s;
	uint64_t parent;

	int err = find_parent(l, key, len, false, &s, &parent);
	if (err)
		return err;
	if (!s.node)
		return -ENOENT;
	if (node_is_dir(s.node))
		return keyspace_rmdir(l->ks, &op, parent, s.name, s.len);
	return keyspace_unlink(l->ks, &op, parent, s.name, s.len);
}

int loader_rename(struct loader *l, const char *from, size_t from_len, const char *to, size_t to_len, unsigned flags)
{
	struct op op = spot_op(l);
	struct spot a, b;
	uint64_t a_parent, b_parent;

	int err = find_parent(l, from, from_len, false, &a, &a_parent);
	if (!err && !a.node)
		err = -ENOENT;
	if (!err)
		err = find_parent(l, to, to_len, true, &b, &b_parent);
	if (err)
		return err;
	l->last_dir = 0;    /* a directory may have moved */
	return keyspace_rename(l->ks, &op, a_parent, a.name, a.len, b_parent, b.name, b.len, flags);
}

static int make_at(struct loader *l, const char *path, size_t len, struct spot *s)
{
	uint32_t slot;
	int err = len ? spot_check_path(l, path, len, true) : find_any(l, path, len, s);

	if (!err && len)
		err = spot_find(l, path, len, true, s);
	if (err || (s->node && node_is_dir(s->node)))
		return err;
	if (s->node && !S_ISREG(s->node->mode))
		return -EEXIST;
	if (s->node)
		err = spot_clear_way(l, s);
	if (!err)
		err = spot_make_directory(l, s->dir, s->name, s->len, &slot);
	if (!err)
		spot_set(l, s, slot);
	return err;
}

int loader_mkdir(struct loader *l, const char *path, size_t len, uint64_t *ret_id)
{
	struct spot s;

	keyspace_lock(l->ks);
	int err = make_at(l, path, len, &s);
	if (!err)
		*ret_id = spot_id(&s);
	keyspace_unlock(l->ks);
	return err;
}

/* The place of what is no key, with a value that may stand there put beside it. */
static int find_free(struct loader *l, const char *path, size_t len, struct spot *s, uint64_t *ret_parent)
{
	int err = find_parent(l, path, len, true, s, ret_parent);

	if (!err && s->node && S_ISREG(s->node->mode) && !keyname_is_escaped(s->name, s->len)) {
		keyspace_lock(l->ks);
		err = spot_clear_way(l, s);
		keyspace_unlock(l->ks);
	}
	return err;
}

/* A is new, and nobody will look it up. */
static int made(struct loader *l, const struct attr *a, uint64_t *ret_id)
{
	keyspace_forget(l->ks, a->id, 1);
	*ret_id = a->id;
	return 0;
}

int loader_special(struct loader *l, const char *path, size_t len, uint32_t mode, uint32_t rdev, uint64_t *ret_id)
{
	struct op op = spot_op(l);
	struct attr a;
	struct spot s;
	uint64_t parent;

	int err = find_free(l, path, len, &s, &parent);
	if (!err)
		err = keyspace_mkspecial(l->ks, &op, parent, s.name, s.len, mode, rdev, &a);
	return err ? err : made(l, &a, ret_id);
}

int loader_symlink(struct loader *l, const char *path, size_t len, const char *target, size_t target_len, uint64_t *ret_id)
{
	struct op op = spot_op(l);
	struct attr a;
	struct spot s;
	uint64_t parent;

	int err = find_free(l, path, len, &s, &parent);
	if (!err)
		err = keyspace_symlink(l->ks, &op, parent, s.name, s.len, target, target_len, &a);
	return err ? err : made(l, &a, ret_id);
}

int loader_link(struct loader *l, uint64_t id, const char *path, size_t len)
{
	struct op op = spot_op(l);
	struct spot s;
	uint64_t parent;

	int err = find_parent(l, path, len, true, &s, &parent);
	return err ? err : keyspace_link(l->ks, &op, id, parent, s.name, s.len, NULL);
}

/* ---- by id ---- */

int loader_parent(struct loader *l, uint64_t id, uint64_t *ret_id)
{
	uint32_t slot;

	keyspace_lock(l->ks);
	struct node *n = tree_node(l->ks, id, &slot);
	if (n && n->parent)
		*ret_id = node_id(node_at(&l->ks->nodes, n->parent), n->parent);
	keyspace_unlock(l->ks);
	return n && n->parent ? 0 : -ESTALE;
}

/* The file ID, which is to have SIZE bytes. */
static int find_to_size(struct loader *l, uint64_t id, uint64_t size, struct node **ret)
{
	uint32_t slot;

	*ret = tree_node(l->ks, id, &slot);
	if (!*ret)
		return -ESTALE;
	if (!S_ISREG((*ret)->mode))
		return node_is_dir(*ret) ? -EISDIR : -EINVAL;
	return size > l->ks->options.value_max ? -EFBIG : 0;
}

int loader_resize(struct loader *l, uint64_t id, uint64_t size)
{
	struct value_edit e;
	struct node *n;

	keyspace_lock(l->ks);
	int err = find_to_size(l, id, size, &n);
	if (!err)
		err = value_edit_resize(&e, n->value, n->size, size);
	if (!err) {
		tree_commit_value(l->ks, n, &e, 0, NULL, 0);
		spot_modified(l, n);
	}
	keyspace_unlock(l->ks);
	return err;
}

int loader_copy_range(struct loader *l, uint64_t from_id, uint64_t from_off, uint64_t id, uint64_t off, uint64_t len)
{
	struct node *from, *n;
	struct value_edit e;

	keyspace_lock(l->ks);
	int err = off + len < off ? -EFBIG : find_to_size(l, from_id, 0, &from);
	if (!err)
		err = find_to_size(l, id, off + len, &n);
	if (!err && (from_off > from->size || len > from->size - from_off || (from == n && off < from_off + len && from_off < off + len)))
		err = -EINVAL;
	if (!err && len)
		err = value_edit_copy(&e, n->value, n->size, off, from->value, from->size, from_off, len);
	if (!err && len) {
		tree_commit_value(l->ks, n, &e, 0, NULL, 0);
		spot_modified(l, n);
	}
	keyspace_unlock(l->ks);
	return err;
}

int loader_zero(struct loader *l, uint64_t id, uint64_t off, uint64_t len)
{
	struct value_edit e;
	struct node *n;

	keyspace_lock(l->ks);
	int err = off + len < off ? -EFBIG : find_to_size(l, id, off + len, &n);
	if (!err)
		err = value_edit_zero(&e, n->value, n->size, off, len, off + len > n->size ? off + len : n->size);
	if (!err) {
		tree_commit_value(l->ks, n, &e, 0, NULL, 0);
		spot_modified(l, n);
	}
	keyspace_unlock(l->ks);
	return err;
}

static int set_attr(struct keyspace *ks, struct node *n, const struct attr_change *c)
{
	struct node_times times;
	uint32_t owner;

	int err = times_reserve(&ks->times);
	if (!err)
		err = owners_take(&ks->owners, c->mask & ATTR_UID ? c->uid : owners_uid(&ks->owners, n->owner),
		                  c->mask & ATTR_GID ? c->gid : owners_gid(&ks->owners, n->owner), &owner);
	if (err)
		return err;
	tree_set_owner(ks, n, owner);
	if (c->mask & ATTR_MODE)
		n->mode = (uint16_t)((n->mode & S_IFMT) | (c->mode & 07777));
	times_get(&ks->times, n, &times);
	if (c->mask & ATTR_ATIME)
		times.atime_ns = c->atime_ns;
	if (c->mask & ATTR_MTIME)
		times.mtime_ns = c->mtime_ns;
	if (c->mask & ATTR_CTIME)
		times.ctime_ns = c->ctime_ns;
	times_set(&ks->times, n, &times);
	return 0;
}

int loader_attr(struct loader *l, uint64_t id, const struct attr_change *c)
{
	uint32_t slot;

	keyspace_lock(l->ks);
	struct node *n = tree_node(l->ks, id, &slot);
	int err = n ? set_attr(l->ks, n, c) : -ESTALE;
	keyspace_unlock(l->ks);
	return err;
}

int loader_expire(struct loader *l, uint64_t id, int64_t at_ms)
{
	uint32_t slot;
	int err = -ESTALE;

	keyspace_lock(l->ks);
	struct node *n = tree_node(l->ks, id, &slot);
	if (n && !S_ISREG(n->mode))
		err = node_is_dir(n) ? -EISDIR : -EINVAL;
	else if (n)
		err = n->flags & NODE_NAMED ? expiry_reserve(&l->ks->expiry, slot) : -ENOENT;
	if (!err)
		tree_set_expiry(l->ks, slot, at_ms);
	keyspace_unlock(l->ks);
	return err;
}
