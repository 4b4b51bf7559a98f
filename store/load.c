/* load.c -- see load.h. */
#include "store/load.h"
#include "store/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int loader_init(struct loader *l, struct keyspace *ks, uint32_t uid, uint32_t gid, int64_t now_ns)
{
	*l = (struct loader){ .ks = ks, .uid = uid, .gid = gid, .file_mode = 0644, .dir_mode = 0755, .now_ns = now_ns };
	return 0;
}

void loader_fini(struct loader *l)
{
	free(l->last_prefix);
	l->last_prefix = NULL;
}

static int invalid(struct loader *l, const char *why)
{
	l->why = why;
	return -EINVAL;
}

static int check_part(struct loader *l, const char *part, size_t len)
{
	if (len == 0)
		return invalid(l, "has an empty part");
	if (len > KEYSPACE_NAME_MAX)
		return invalid(l, "has a part over 255 bytes");
	if (len == 1 && part[0] == '.')
		return invalid(l, "has a part \".\"");
	if (len == 2 && part[0] == '.' && part[1] == '.')
		return invalid(l, "has a part \"..\"");
	return 0;
}

int loader_check_key(struct loader *l, const char *key, size_t len)
{
	const char *end = key + len;

	if (len == 0)
		return invalid(l, "is empty");
	if (len > KEYSPACE_KEY_MAX)
		return invalid(l, "is longer than 65535 bytes");
	if (memchr(key, 0, len))
		return invalid(l, "has a NUL byte");
	for (const char *part = key; part <= end;) {
		const char *slash = memchr(part, '/', (size_t)(end - part));
		if (!slash)
			slash = end;
		int err = check_part(l, part, (size_t)(slash - part));
		if (err)
			return err;
		part = slash + 1;
	}
	return 0;
}

int loader_presize(struct loader *l, uint64_t keys)
{
	keyspace_lock(l->ks);
	int err = names_presize(&l->ks->names, keys);
	keyspace_unlock(l->ks);
	return err;
}

static struct op op_of(const struct loader *l)
{
	return (struct op){ .uid = l->uid, .gid = l->gid, .now_ns = l->now_ns };
}

/* ---- from a key to its place ---- */

struct spot {
	uint32_t dir;               /* slot of the directory */
	const char *name;
	size_t len;
	uint32_t slot;              /* of what is there; 0: nothing */
	struct node *node;
};

static int make_directory(struct loader *l, uint32_t parent, const char *name, size_t len, uint32_t *ret_slot)
{
	struct keyspace *ks = l->ks;
	struct tree_birth b;

	int err = tree_birth_reserve(ks, &b, parent, name, len, S_IFDIR | l->dir_mode);
	if (err)
		return err;
	b.node->uid = l->uid;
	b.node->gid = l->gid;
	b.node->atime_ns = b.node->mtime_ns = b.node->ctime_ns = l->now_ns;
	tree_birth_apply(ks, &b, l->now_ns);
	*ret_slot = b.slot;
	return 0;
}

static int remember(struct loader *l, const char *prefix, size_t len, uint32_t slot)
{
	if (len > l->last_prefix_cap) {
		char *p = realloc(l->last_prefix, len);
		if (!p)
			return -ENOMEM;
		l->last_prefix = p;
		l->last_prefix_cap = len;
	}
	memcpy(l->last_prefix, prefix, len);
	l->last_prefix_len = len;
	l->last_dir = node_id(node_at(&l->ks->nodes, slot), slot);
	return 0;
}

/* The directory of the first LEN bytes of KEY, which are checked; MAKE: with what is missing. */
static int find_directory(struct loader *l, const char *key, size_t len, bool make, uint32_t *ret_slot)
{
	struct keyspace *ks = l->ks;
	uint32_t slot = ROOT_SLOT;

	if (len == 0) {
		*ret_slot = ROOT_SLOT;
		return 0;
	}
	if (l->last_dir && len == l->last_prefix_len && memcmp(key, l->last_prefix, len) == 0) {
		struct node *n = tree_node(ks, l->last_dir, ret_slot);
		if (n && (n->flags & NODE_NAMED))
			return 0;
	}
	for (size_t at = 0; at < len;) {
		const char *slash = memchr(key + at, '/', len - at);
		size_t part = slash ? (size_t)(slash - key) - at : len - at;
		uint32_t child = tree_child(ks, slot, key + at, part);
		int err = 0;
		if (!child)
			err = make ? make_directory(l, slot, key + at, part, &child) : -ENOENT;
		else if (!node_is_dir(node_at(&ks->nodes, child)))
			err = -ENOTDIR;
		if (err)
			return err;
		slot = child;
		at += part + 1;
	}
	*ret_slot = slot;
	return remember(l, key, len, slot);
}

static int find_spot(struct loader *l, const char *key, size_t len, bool make, struct spot *s)
{
	int err = loader_check_key(l, key, len);
	if (err)
		return err;
	const char *slash = memrchr(key, '/', len);
	size_t dir_len = slash ? (size_t)(slash - key) : 0;
	s->name = slash ? slash + 1 : key;
	s->len = len - (size_t)(s->name - key);
	err = find_directory(l, key, dir_len, make, &s->dir);
	if (err)
		return err;
	s->slot = tree_child(l->ks, s->dir, s->name, s->len);
	s->node = s->slot ? node_at(&l->ks->nodes, s->slot) : NULL;
	return 0;
}

/* A regular file at the key; MAKE: created empty if missing. */
static int find_file(struct loader *l, const char *key, size_t len, bool make, struct spot *s)
{
	struct tree_birth b;

	int err = find_spot(l, key, len, make, s);
	if (err)
		return err;
	if (s->node)
		return S_ISREG(s->node->mode) ? 0 : node_is_dir(s->node) ? -EISDIR : -EEXIST;
	if (!make)
		return -ENOENT;
	err = tree_check_memory(l->ks, sizeof(struct node));
	if (!err)
		err = tree_birth_reserve(l->ks, &b, s->dir, s->name, s->len, S_IFREG | l->file_mode);
	if (err)
		return err;
	b.node->uid = l->uid;
	b.node->gid = l->gid;
	b.node->atime_ns = b.node->mtime_ns = b.node->ctime_ns = l->now_ns;
	tree_birth_apply(l->ks, &b, l->now_ns);
	s->slot = b.slot;
	s->node = b.node;
	return 0;
}

static int find_any(struct loader *l, const char *key, size_t len, struct spot *s)
{
	if (len == 0) {
		*s = (struct spot){ .slot = ROOT_SLOT, .node = node_at(&l->ks->nodes, ROOT_SLOT) };
		return 0;
	}
	int err = find_spot(l, key, len, false, s);
	return err ? err : s->node ? 0 : -ENOENT;
}

static void modified(struct loader *l, struct node *n)
{
	n->mtime_ns = n->ctime_ns = l->now_ns;
}

static uint64_t id_of(const struct spot *s)
{
	return node_id(s->node, s->slot);
}

/* ---- values ---- */

int loader_find(struct loader *l, const char *key, size_t len, uint64_t *ret_id)
{
	struct spot s;

	keyspace_lock(l->ks);
	int err = find_any(l, key, len, &s);
	if (!err)
		*ret_id = id_of(&s);
	keyspace_unlock(l->ks);
	return err;
}

static void replace_value(struct keyspace *ks, struct node *n, struct value *v, uint64_t size)
{
	ks->value_bytes -= value_memory(n->value, n->size);
	value_unref(n->value);
	n->value = v;
	n->size = size;
	ks->value_bytes += value_memory(v, size);
}

int loader_set(struct loader *l, const char *key, size_t len, const void *data, size_t n, uint64_t *ret_id)
{
	struct value_edit e;
	struct spot s;

	keyspace_lock(l->ks);
	int err = n > l->ks->options.value_max ? -EFBIG : 0;
	if (!err)
		err = value_edit_write(&e, NULL, 0, 0, n);
	if (err)
		goto out;
	err = tree_check_memory(l->ks, e.memory);
	if (err && find_file(l, key, len, false, &s) == 0)    /* what it replaces goes */
		err = tree_check_memory(l->ks, e.memory - (int64_t)value_memory(s.node->value, s.node->size));
	if (!err)
		err = find_file(l, key, len, true, &s);
	if (err) {
		value_edit_abort(&e);
		goto out;
	}
	replace_value(l->ks, s.node, value_edit_commit(&e, 0, data, n), n);
	expiry_set(&l->ks->expiry, &l->ks->nodes, s.slot, 0);
	modified(l, s.node);
	if (ret_id)
		*ret_id = id_of(&s);
out:
	keyspace_unlock(l->ks);
	return err;
}

int loader_write(struct loader *l, const char *key, size_t len, uint64_t off, const void *data, size_t n, uint64_t *ret_id)
{
	struct value_edit e;
	struct spot s;

	keyspace_lock(l->ks);
	uint64_t max = l->ks->options.value_max;
	int err = off > max || n > max - off ? -EFBIG : 0;
	if (!err)
		err = find_file(l, key, len, true, &s);
	if (err)
		goto out;
	if (n) {
		err = value_edit_write(&e, s.node->value, s.node->size, off, n);
		if (!err)
			err = tree_check_memory(l->ks, e.memory);
		if (err) {
			tree_abort_value(l->ks, &e);
			goto out;
		}
		tree_commit_value(l->ks, s.node, &e, off, data, n);
	}
	modified(l, s.node);
	if (ret_id)
		*ret_id = id_of(&s);
out:
	keyspace_unlock(l->ks);
	return err;
}

int loader_resize(struct loader *l, const char *key, size_t len, uint64_t size)
{
	struct value_edit e;
	struct spot s;

	keyspace_lock(l->ks);
	int err = size > l->ks->options.value_max ? -EFBIG : find_file(l, key, len, false, &s);
	if (err)
		goto out;
	err = value_edit_resize(&e, s.node->value, s.node->size, size);
	if (err) {
		tree_abort_value(l->ks, &e);
		goto out;
	}
	tree_commit_value(l->ks, s.node, &e, 0, NULL, 0);
	modified(l, s.node);
out:
	keyspace_unlock(l->ks);
	return err;
}

int loader_get(struct loader *l, const char *key, size_t len, struct value **ret_value, uint64_t *ret_size)
{
	struct spot s;

	keyspace_lock(l->ks);
	int err = find_file(l, key, len, false, &s);
	if (!err) {
		*ret_value = value_ref(s.node->value);
		*ret_size = s.node->size;
	}
	keyspace_unlock(l->ks);
	return err;
}

int loader_copy(struct loader *l, const char *from, size_t from_len, const char *to, size_t to_len)
{
	struct spot a, b;

	keyspace_lock(l->ks);
	int err = find_file(l, from, from_len, false, &a);
	if (!err)
		err = expiry_reserve(&l->ks->expiry);
	if (!err)
		err = find_file(l, to, to_len, true, &b);
	if (!err && a.slot != b.slot) {
		replace_value(l->ks, b.node, value_ref(a.node->value), a.node->size);
		expiry_set(&l->ks->expiry, &l->ks->nodes, b.slot, expiry_of(&l->ks->expiry, a.node));
		modified(l, b.node);
	}
	keyspace_unlock(l->ks);
	return err;
}

/* ---- names ---- */

/* Finds what is at the key and says by which ids the operations of keyspace.h reach it. */
static int find_parent(struct loader *l, const char *key, size_t len, bool make, struct spot *s, uint64_t *ret_parent)
{
	keyspace_lock(l->ks);
	int err = find_spot(l, key, len, make, s);
	if (!err)
		*ret_parent = node_id(node_at(&l->ks->nodes, s->dir), s->dir);
	keyspace_unlock(l->ks);
	return err;
}

int loader_remove(struct loader *l, const char *key, size_t len)
{
	struct op op = op_of(l);
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
	struct op op = op_of(l);
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

int loader_mkdir(struct loader *l, const char *key, size_t len, uint64_t *ret_id)
{
	struct spot s;
	int err;

	keyspace_lock(l->ks);
	if (len == 0)
		err = find_any(l, key, len, &s);
	else
		err = find_spot(l, key, len, true, &s);
	if (!err && s.node && !node_is_dir(s.node))
		err = -EEXIST;
	if (!err && !s.node) {
		err = make_directory(l, s.dir, s.name, s.len, &s.slot);
		if (!err)
			s.node = node_at(&l->ks->nodes, s.slot);
	}
	if (!err)
		*ret_id = id_of(&s);
	keyspace_unlock(l->ks);
	return err;
}

int loader_symlink(struct loader *l, const char *key, size_t len, const char *target, size_t target_len, uint64_t *ret_id)
{
	struct op op = op_of(l);
	struct attr a;
	struct spot s;
	uint64_t parent;

	int err = find_parent(l, key, len, true, &s, &parent);
	if (!err)
		err = keyspace_symlink(l->ks, &op, parent, s.name, s.len, target, target_len, &a);
	if (err)
		return err;
	keyspace_forget(l->ks, a.id, 1);
	*ret_id = a.id;
	return 0;
}

int loader_attr(struct loader *l, uint64_t id, const struct attr_change *c)
{
	uint32_t slot;

	keyspace_lock(l->ks);
	struct node *n = tree_node(l->ks, id, &slot);
	if (n) {
		if (c->mask & ATTR_MODE)
			n->mode = (uint16_t)((n->mode & S_IFMT) | (c->mode & 07777));
		if (c->mask & ATTR_UID)
			n->uid = c->uid;
		if (c->mask & ATTR_GID)
			n->gid = c->gid;
		if (c->mask & ATTR_ATIME)
			n->atime_ns = c->atime_ns;
		if (c->mask & ATTR_MTIME)
			n->mtime_ns = c->mtime_ns;
		if (c->mask & ATTR_CTIME)
			n->ctime_ns = c->ctime_ns;
	}
	keyspace_unlock(l->ks);
	return n ? 0 : -ESTALE;
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
		err = n->flags & NODE_NAMED ? expiry_reserve(&l->ks->expiry) : -ENOENT;
	if (!err)
		expiry_set(&l->ks->expiry, &l->ks->nodes, slot, at_ms);
	keyspace_unlock(l->ks);
	return err;
}

void loader_clear(struct loader *l)
{
	struct keyspace *ks = l->ks;

	keyspace_lock(ks);
	/* Leaves first. */
	for (uint32_t at = ROOT_SLOT;;) {
		uint32_t below = tree_first_child(ks, at);
		if (below) {
			at = below;
			continue;
		}
		if (at == ROOT_SLOT)
			break;
		uint32_t parent = node_at(&ks->nodes, at)->parent;
		tree_detach(ks, at, l->now_ns);
		at = parent;
	}
	l->last_dir = 0;
	keyspace_unlock(ks);
}
