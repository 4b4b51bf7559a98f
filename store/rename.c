/* rename.c -- one node, or two, change their place.  See keyspace.h and tree.h. */
#include "store/tree.h"

#include <errno.h>
#include <string.h>

struct place {
	struct node *dir;
	uint32_t dir_slot;
	const char *name;
	size_t len;
	uint32_t slot;            /* of what is there; 0: nothing */
	struct node *node;
};

static int find(struct keyspace *ks, struct place *p, uint64_t parent, const char *name, size_t len)
{
	p->name = name;
	p->len = len;
	int err = tree_check_name(name, len);
	if (!err)
		err = tree_directory(ks, parent, &p->dir, &p->dir_slot);
	if (err)
		return err;
	p->slot = tree_child(ks, p->dir_slot, name, len);
	p->node = p->slot ? node_at(&ks->nodes, p->slot) : NULL;
	return 0;
}

/* The rules of rename(2) and renameat2(2). */
static int check(struct keyspace *ks, struct op *op, const struct place *from, struct place *to, unsigned flags)
{
	if (!from->node || ((flags & RENAME_SWAP) && !to->node))
		return -ENOENT;
	if (to->node && to->node != from->node && !(flags & RENAME_SWAP)) {
		int err = tree_remove_if_over(ks, op, to->slot);
		if (!err) {
			to->slot = 0;
			to->node = NULL;
		} else if (err != -EEXIST) {
			return err;
		}
	}
	if ((flags & RENAME_NO_REPLACE) && to->node)
		return -EEXIST;
	if (node_is_dir(from->node) && tree_is_below(ks, to->dir_slot, from->slot))
		return -EINVAL;
	if ((flags & RENAME_SWAP) && node_is_dir(to->node) && tree_is_below(ks, from->dir_slot, to->slot))
		return -EINVAL;
	if (!to->node || (flags & RENAME_SWAP) || to->node == from->node)
		return 0;
	if (node_is_dir(from->node) && !node_is_dir(to->node))
		return -ENOTDIR;
	if (!node_is_dir(from->node) && node_is_dir(to->node))
		return -EISDIR;
	if (node_is_dir(to->node) && to->node->directory && to->node->directory->count)
		return -ENOTEMPTY;
	return 0;
}

static int64_t key_len_at(struct keyspace *ks, const struct place *p)
{
	int64_t dir_len = p->dir_slot == ROOT_SLOT ? 0 : tree_key_len(ks, p->dir_slot) + 1;
	return dir_len + (int64_t)p->len;
}

/* A key must stay one that a loader accepts, also those below a directory that moves. */
static int check_length(struct keyspace *ks, const struct place *from, const struct place *to)
{
	int64_t old_len = tree_key_len(ks, from->slot);
	int64_t grow = key_len_at(ks, to) - old_len;
	if (old_len + grow > KEYSPACE_KEY_MAX)
		return -ENAMETOOLONG;
	if (grow <= 0 || !node_is_dir(from->node))
		return 0;
	for (uint32_t at = tree_walk_next(ks, from->slot, from->slot); at; at = tree_walk_next(ks, from->slot, at))
		if (tree_key_len(ks, at) + grow > KEYSPACE_KEY_MAX)
			return -ENAMETOOLONG;
	return 0;
}

static int touch_all(struct keyspace *ks, const struct place *from, const struct place *to, unsigned flags)
{
	int err = tree_touch(ks, from->dir_slot);
	if (!err)
		err = tree_touch(ks, to->dir_slot);
	if (!err)
		err = tree_touch(ks, from->slot);
	if (!err && node_is_dir(from->node))
		err = tree_touch_below(ks, from->slot);
	if (!err && to->node)
		err = tree_touch(ks, to->slot);
	if (!err && (flags & RENAME_SWAP) && node_is_dir(to->node))
		err = tree_touch_below(ks, to->slot);
	return err;
}

static void apply_swap(struct keyspace *ks, const struct place *from, const struct place *to)
{
	struct node *a = from->node, *b = to->node;
	struct node old_a = *a;

	names_remove(&ks->names, &ks->nodes, from->slot);
	names_remove(&ks->names, &ks->nodes, to->slot);
	directory_replace(from->dir->directory, a->cookie, to->slot);
	directory_replace(to->dir->directory, b->cookie, from->slot);
	if (node_is_dir(a) != node_is_dir(b)) {
		from->dir->directory->subdirectories += node_is_dir(b) ? 1 : -1ull;
		to->dir->directory->subdirectories += node_is_dir(a) ? 1 : -1ull;
	}
	uint32_t hash_a = a->hash, hash_b = b->hash;
	a->parent = b->parent;
	a->cookie = b->cookie;
	a->name_len = b->name_len;
	memcpy(a->inline_name, b->inline_name, sizeof a->inline_name);
	b->parent = old_a.parent;
	b->cookie = old_a.cookie;
	b->name_len = old_a.name_len;
	memcpy(b->inline_name, old_a.inline_name, sizeof b->inline_name);
	names_insert(&ks->names, &ks->nodes, from->slot, hash_b);
	names_insert(&ks->names, &ks->nodes, to->slot, hash_a);
}

/* Puts the mover in the place of what it replaces: a scan sees the new name once, whichever of the two it would have met first. */
static void take_place(struct keyspace *ks, const struct place *from, const struct place *to, int64_t now_ns)
{
	struct node *n = from->node, *gone = to->node;

	tree_leave_directory(ks, n, from->slot);
	names_remove(&ks->names, &ks->nodes, to->slot);
	directory_replace(to->dir->directory, gone->cookie, from->slot);
	n->parent = to->dir_slot;
	n->cookie = gone->cookie;
	tree_drop_name(ks, gone, to->slot, now_ns);
}

/* Within one directory a node keeps its cookie, so that a scan sees it once. */
static void apply_move(struct keyspace *ks, const struct place *from, const struct place *to, struct node_name *name, int64_t now_ns)
{
	struct node *n = from->node;
	uint32_t hash = names_hash(&ks->names, to->dir_slot, to->name, to->len);

	if (to->node) {
		take_place(ks, from, to, now_ns);
	} else if (from->dir_slot == to->dir_slot) {
		names_remove(&ks->names, &ks->nodes, from->slot);
	} else {
		tree_leave_directory(ks, n, from->slot);
		tree_enter_directory(ks, n, from->slot, to->dir_slot);
	}
	node_name_set(&ks->nodes, n, name);
	names_insert(&ks->names, &ks->nodes, from->slot, hash);
}

static int reserve(struct keyspace *ks, const struct place *from, const struct place *to, struct node_name *name)
{
	int err = 0;

	if (!to->node && from->dir != to->dir) {
		if (!to->dir->directory)
			to->dir->directory = directory_new(&ks->directory_bytes);
		if (!to->dir->directory)
			return -ENOMEM;
		err = directory_reserve(to->dir->directory, &ks->directory_bytes);
	}
	return err ? err : node_name_reserve(name, to->name, to->len);
}

static int move(struct keyspace *ks, struct op *op, struct place *from, struct place *to, unsigned flags)
{
	struct node_name name = { 0 };
	bool swap = flags & RENAME_SWAP;

	int err = check(ks, op, from, to, flags);
	if (err || from->node == to->node)
		return err;
	err = check_length(ks, from, to);
	if (!err && swap)
		err = check_length(ks, to, from);
	if (!err)
		err = touch_all(ks, from, to, flags);
	if (!err && !swap)
		err = reserve(ks, from, to, &name);
	if (err)
		return err;
	struct mutation m = { .kind = swap ? MUTATION_SWAP : MUTATION_RENAME, .has_name = true,
		              .id = node_id(from->node, from->slot), .replaced = to->node ? node_id(to->node, to->slot) : 0,
		              .parent = node_id(from->dir, from->dir_slot), .name = from->name, .name_len = from->len,
		              .new_parent = node_id(to->dir, to->dir_slot), .new_name = to->name, .new_name_len = to->len };
	tree_attr(ks, from->node, from->slot, &m.node);
	m.node.ctime_ns = op->now_ns;
	if (to->node)
		tree_attr(ks, to->node, to->slot, &m.other);
	if (swap)
		m.other.ctime_ns = op->now_ns;
	err = tree_record(ks, op, &m);
	if (err) {
		node_name_abort(&name);
		return err;
	}
	if (swap) {
		apply_swap(ks, from, to);
		to->node->ctime_ns = op->now_ns;
	} else {
		apply_move(ks, from, to, &name, op->now_ns);
	}
	from->node->ctime_ns = op->now_ns;
	from->dir->mtime_ns = from->dir->ctime_ns = op->now_ns;
	to->dir->mtime_ns = to->dir->ctime_ns = op->now_ns;
	return 0;
}

int keyspace_rename(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len, uint64_t new_parent,
                    const char *new_name, size_t new_len, unsigned flags)
{
	struct place from, to;

	op->seq = 0;
	if ((flags & ~(unsigned)(RENAME_NO_REPLACE | RENAME_SWAP)) || flags == (RENAME_NO_REPLACE | RENAME_SWAP))
		return -EINVAL;
	keyspace_lock(ks);
	int err = find(ks, &from, parent, name, len);
	if (!err)
		err = find(ks, &to, new_parent, new_name, new_len);
	if (!err)
		err = move(ks, op, &from, &to, flags);
	keyspace_unlock(ks);
	return err;
}
