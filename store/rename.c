/* rename.c -- one node, or two, change their place.  See keyspace.h and tree.h. */
#include "store/tree.h"

#include <assert.h>
#include <errno.h>

struct place {
	struct node *dir;
	uint32_t dir_slot;
	const char *name;
	size_t len;
	uint32_t slot;            /* of the name that is there; 0: nothing */
	struct node *node;
	struct node *target;      /* the node it is a name of */
	uint32_t target_slot;
};

static void set_slot(struct keyspace *ks, struct place *p, uint32_t slot)
{
	p->slot = slot;
	p->node = slot ? node_at(&ks->nodes, slot) : NULL;
	p->target_slot = slot ? tree_target(ks, slot) : 0;
	p->target = slot ? node_at(&ks->nodes, p->target_slot) : NULL;
}

static int find(struct keyspace *ks, struct place *p, uint64_t parent, const char *name, size_t len)
{
	p->name = name;
	p->len = len;
	int err = tree_check_name(name, len);
	if (!err)
		err = tree_directory(ks, parent, &p->dir, &p->dir_slot);
	if (err)
		return err;
	set_slot(ks, p, tree_child(ks, p->dir_slot, name, len));
	return 0;
}

/* The rules of rename(2) and renameat2(2). */
static int check(struct keyspace *ks, struct op *op, const struct place *from, struct place *to, unsigned flags)
{
	if (!from->node || tree_is_over_for(ks, from->slot, op))
		return -ENOENT;
	if ((flags & RENAME_SWAP) && (!to->node || tree_is_over_for(ks, to->slot, op)))
		return -ENOENT;
	if (to->node && to->node != from->node && !(flags & RENAME_SWAP)) {
		int err = tree_remove_if_over(ks, op, to->slot);
		if (!err) {
			set_slot(ks, to, 0);
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

/* Goes through all below a directory: only where paths of nearly KEYSPACE_KEY_MAX bytes are, or were, can that be needed. */
static uint32_t true_reach(struct keyspace *ks, uint32_t dir, int64_t dir_len)
{
	int64_t longest = dir_len + 1;

	for (uint32_t at = tree_walk_next(ks, dir, dir); at; at = tree_walk_next(ks, dir, at)) {
		int64_t len = tree_key_len(ks, at);
		if (len > longest)
			longest = len;
	}
	return (uint32_t)(longest - dir_len - 1);
}

/* A key must stay one that a loader accepts, also those below a directory that moves. */
static int check_length(struct keyspace *ks, const struct place *from, const struct place *to)
{
	int64_t old_len = tree_key_len(ks, from->slot);
	int64_t grow = key_len_at(ks, to) - old_len;
	if (old_len + grow > KEYSPACE_KEY_MAX)
		return -ENAMETOOLONG;
	if (grow <= 0 || !node_is_dir(from->node) || !from->node->directory)
		return 0;
	struct directory *d = from->node->directory;
	if (old_len + grow + 1 + d->reach > KEYSPACE_KEY_MAX)
		d->reach = true_reach(ks, from->slot, old_len);
	return d->reach && old_len + grow + 1 + d->reach > KEYSPACE_KEY_MAX ? -ENAMETOOLONG : 0;
}

/* Whether FROM's node may have TO's name.  What a directory holds of longer names is in its own name too: such a one stays what it is. */
static int check_name(struct keyspace *ks, struct op *op, const struct place *from, const struct place *to)
{
	if (tree_is_piece(from->node))
		return -EINVAL;
	return tree_check_place(ks, op, to->dir_slot, to->name, to->len, from->node->mode, from->slot);
}

static int touch_all(struct keyspace *ks, const struct place *from, const struct place *to, unsigned flags)
{
	int err = tree_touch(ks, from->dir_slot);
	if (!err)
		err = tree_touch(ks, to->dir_slot);
	if (!err)
		err = tree_touch(ks, from->slot);
	if (!err)
		err = tree_touch_place(ks, from->slot);
	if (!err && to->node)
		err = tree_touch(ks, to->slot);
	if (!err && (flags & RENAME_SWAP))
		err = tree_touch_place(ks, to->slot);
	return err;
}

/* Puts the mover in the place of what it replaces: a scan sees the new name once, whichever of the two it would have met first. */
static void take_place(struct keyspace *ks, const struct place *from, const struct place *to, int64_t now_ns)
{
	struct node *n = from->node, *gone = to->node;

	assert(n && gone);
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
	tree_set_name(ks, n, name);
	names_insert(&ks->names, &ks->nodes, from->slot, hash);
	tree_note_reach(ks, from->slot);
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

int tree_move(struct keyspace *ks, uint32_t slot, uint32_t dir, const char *name, size_t len, uint32_t replaced, int64_t now_ns)
{
	struct node *n = node_at(&ks->nodes, slot);
	struct place from = { .dir = node_at(&ks->nodes, n->parent), .dir_slot = n->parent };
	struct place to = { .dir = node_at(&ks->nodes, dir), .dir_slot = dir, .name = name, .len = len };
	struct node_name reserved = { 0 };

	set_slot(ks, &from, slot);
	set_slot(ks, &to, replaced);
	if (from.target == to.target) {     /* two names of one file: the one that moves is gone then */
		tree_detach(ks, slot, now_ns);
		return 0;
	}
	int err = reserve(ks, &from, &to, &reserved);
	if (!err)
		apply_move(ks, &from, &to, &reserved, now_ns);
	return err;
}

static int move(struct keyspace *ks, struct op *op, struct place *from, struct place *to, unsigned flags)
{
	struct node_name name = { 0 };
	bool swap = flags & RENAME_SWAP;

	int err = check(ks, op, from, to, flags);
	if (err || from->target == to->target)
		return err;      /* also two names of one file */
	err = check_length(ks, from, to);
	if (!err && swap)
		err = check_length(ks, to, from);
	if (!err)
		err = check_name(ks, op, from, to);
	if (!err && swap)
		err = check_name(ks, op, to, from);
	if (!err)
		err = touch_all(ks, from, to, flags);
	if (!err && !swap)
		err = reserve(ks, from, to, &name);
	if (err)
		return err;
	struct mutation m = { .kind = swap ? MUTATION_SWAP : MUTATION_RENAME, .has_name = true,
		              .id = node_id(from->target, from->target_slot),
		              .replaced = to->node ? node_id(to->target, to->target_slot) : 0,
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
		tree_swap_places(ks, from->slot, to->slot);
		tree_changed(ks, to->target, op->now_ns);
	} else {
		apply_move(ks, from, to, &name, op->now_ns);
	}
	tree_changed(ks, from->target, op->now_ns);
	tree_modified(ks, from->dir, op->now_ns);
	tree_modified(ks, to->dir, op->now_ns);
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
