/* load.c -- a loader's life, and its calls by key.  See load.h. */
#include "store/load_spot.h"
#include "store/value_inside.h"

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
	free(l->path);
	free(l->beside);
	l->last_prefix = l->path = l->beside = NULL;
}

int loader_presize(struct loader *l, uint64_t keys)
{
	keyspace_lock(l->ks);
	int err = names_presize(&l->ks->names, keys);
	if (!err)
		err = node_table_presize(&l->ks->nodes, keys);
	keyspace_unlock(l->ks);
	return err;
}

/* ---- values ---- */

int loader_find_value(struct loader *l, const char *key, size_t len, uint64_t *ret_id)
{
	struct spot s;

	keyspace_lock(l->ks);
	int err = spot_find_file(l, key, len, false, &s);
	if (!err)
		*ret_id = spot_id(&s);
	keyspace_unlock(l->ks);
	return err;
}

int loader_own_value(struct loader *l, const char *key, size_t len, uint64_t *ret_id)
{
	struct spot s;

	keyspace_lock(l->ks);
	int err = spot_find_file(l, key, len, false, &s);
	if (!err)
		err = spot_cut_loose(l, &s);
	if (!err)
		*ret_id = spot_id(&s);
	keyspace_unlock(l->ks);
	return err;
}

int loader_link_value(struct loader *l, uint64_t id, const char *key, size_t len)
{
	struct op op = spot_op(l);
	struct spot s;
	uint64_t dir = 0;

	keyspace_lock(l->ks);
	int err = spot_find_value(l, key, len, true, &s);
	if (!err && s.node)
		err = -EEXIST;
	if (!err)
		dir = node_id(node_at(&l->ks->nodes, s.dir), s.dir);
	keyspace_unlock(l->ks);
	return err ? err : keyspace_link(l->ks, &op, id, dir, s.name, s.len, NULL);
}

static void replace_value(struct keyspace *ks, struct node *n, struct value *v, uint64_t size)
{
	ks->flat_bytes -= value_flat_memory(n->value, n->size);
	value_unref(n->value);
	n->value = v;
	n->size = size;
	ks->flat_bytes += value_flat_memory(v, size);
}

/* Whether there is room for V of SIZE bytes, made and thus counted when it is mapped, in place of OLD (NULL: of nothing). */
static int check_made(struct keyspace *ks, const struct value *v, uint64_t size, const struct node *old)
{
	int64_t memory = (int64_t)value_memory(v, size), counted = memory - (int64_t)value_flat_memory(v, size);

	value_count_mapped(-counted);
	int err = tree_check_memory(ks, memory - (old ? (int64_t)value_memory(old->value, old->size) : 0));
	value_count_mapped(counted);
	return err;
}

int loader_put(struct loader *l, const char *key, size_t len, struct value *v, size_t n, uint64_t *ret_id)
{
	struct spot s;

	keyspace_lock(l->ks);
	int err = n > l->ks->options.value_max ? -EFBIG : check_made(l->ks, v, n, NULL);
	if (err == -ENOSPC && spot_find_file(l, key, len, false, &s) == 0)    /* what it replaces goes */
		err = check_made(l->ks, v, n, s.node);
	if (!err)
		err = spot_find_file(l, key, len, true, &s);
	if (!err) {
		replace_value(l->ks, s.node, v, n);
		tree_set_expiry(l->ks, s.target, 0);
		spot_modified(l, s.node);
		if (ret_id)
			*ret_id = spot_id(&s);
	}
	keyspace_unlock(l->ks);
	if (err)
		value_unref(v);
	return err;
}

int loader_set(struct loader *l, const char *key, size_t len, const void *data, size_t n, uint64_t *ret_id)
{
	if (n > l->ks->options.value_max)
		return -EFBIG;
	struct value *v = value_new(data, n);
	return n && !v ? -ENOMEM : loader_put(l, key, len, v, n, ret_id);
}

int loader_set_value(struct loader *l, const char *key, size_t len, struct value *v, uint64_t size, uint64_t *ret_id)
{
	struct spot s;

	keyspace_lock(l->ks);
	int err = tree_check_memory(l->ks, (int64_t)value_flat_memory(v, size));
	if (!err)
		err = spot_find_file(l, key, len, true, &s);
	if (!err) {
		replace_value(l->ks, s.node, value_ref(v), size);
		tree_set_expiry(l->ks, s.target, 0);
		spot_modified(l, s.node);
		*ret_id = spot_id(&s);
	}
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
		err = spot_find_file(l, key, len, true, &s);
	if (err)
		goto out;
	if (n) {
		err = value_edit_write(&e, s.node->value, s.node->size, off, n);
		if (!err)
			err = tree_check_edit(l->ks, &e);
		if (err) {
			value_edit_abort(&e);
			goto out;
		}
		tree_commit_value(l->ks, s.node, &e, off, data, n);
	}
	spot_modified(l, s.node);
	if (ret_id)
		*ret_id = spot_id(&s);
out:
	keyspace_unlock(l->ks);
	return err;
}

int loader_get(struct loader *l, const char *key, size_t len, struct value **ret_value, uint64_t *ret_size)
{
	struct spot s;

	keyspace_lock(l->ks);
	int err = spot_find_file(l, key, len, false, &s);
	if (!err) {
		*ret_value = value_ref(s.node->value);
		*ret_size = s.node->size;
	}
	keyspace_unlock(l->ks);
	return err;
}

int loader_copy(struct loader *l, const char *from, size_t from_len, const char *to, size_t to_len)
{
	struct value *v = NULL;
	bool linked = false;
	struct spot a, b = { 0 };

	keyspace_lock(l->ks);
	int err = spot_find_file(l, from, from_len, false, &a);
	if (!err)
		err = value_copy(a.node->value, a.node->size, &v);
	if (!err) {
		linked = tree_links(l->ks, a.target) != 0;
		err = spot_find_file(l, to, to_len, true, &b);
	}
	if (!err && linked)     /* what FROM names may have moved to another slot when TO was cut loose */
		err = spot_find_file(l, from, from_len, false, &a);
	if (!err)
		err = expiry_reserve(&l->ks->expiry, b.target);
	if (err || a.target == b.target) {
		value_unref(v);
	} else {
		replace_value(l->ks, b.node, v, a.node->size);
		tree_set_expiry(l->ks, b.target, tree_expiry(l->ks, a.target));
		spot_modified(l, b.node);
	}
	keyspace_unlock(l->ks);
	return err;
}

int loader_delete(struct loader *l, const char *key, size_t len)
{
	struct spot s;

	keyspace_lock(l->ks);
	int err = spot_find_file(l, key, len, false, &s);
	if (!err)
		tree_detach(l->ks, s.slot, l->now_ns);
	keyspace_unlock(l->ks);
	return err;
}

static void touched(struct loader *l, uint32_t dir)
{
	spot_modified(l, node_at(&l->ks->nodes, dir));
}

int loader_move(struct loader *l, const char *from, size_t from_len, const char *to, size_t to_len)
{
	char name[KEYSPACE_NAME_MAX];
	struct spot a, b;

	keyspace_lock(l->ks);
	int err = spot_find_file(l, from, from_len, false, &a);
	if (!err)
		err = spot_find_value(l, to, to_len, true, &b);   /* which may have put FROM's value beside a directory */
	if (!err && a.slot != b.slot) {
		const struct node *there = b.slot ? node_at(&l->ks->nodes, b.slot) : NULL;
		uint32_t old_dir = node_at(&l->ks->nodes, a.slot)->parent;
		uint32_t dir = there ? there->parent : b.dir;
		size_t len = there ? there->name_len : b.len;
		memcpy(name, there ? node_name(there) : b.name, len);   /* which goes with what has it */
		err = tree_move(l->ks, a.slot, dir, name, len, b.slot, l->now_ns);
		if (!err) {
			tree_changed(l->ks, a.node, l->now_ns);
			touched(l, old_dir);
			touched(l, dir);
		}
	}
	keyspace_unlock(l->ks);
	return err;
}

int loader_set_beside(struct loader *l, const char *key, size_t len)
{
	struct spot s, to;

	keyspace_lock(l->ks);
	int err = spot_path_of_key(l, &key, &len);
	if (!err)
		err = spot_find(l, key, len, false, &s);
	if (!err && s.node && S_ISREG(s.node->mode)) {
		to = s;
		err = spot_go_beside(l, &to);
		if (!err)
			err = to.node ? -EEXIST : tree_move(l->ks, s.slot, to.dir, to.name, to.len, 0, l->now_ns);
	}
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
