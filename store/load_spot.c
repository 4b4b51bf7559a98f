/* load_spot.c -- see load_spot.h. */
#include "store/load_spot.h"
#include "store/keyname.h"
#include "store/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void spot_set(struct loader *l, struct spot *s, uint32_t slot)
{
	s->slot = slot;
	s->target = slot ? tree_target(l->ks, slot) : 0;
	s->node = slot ? node_at(&l->ks->nodes, s->target) : NULL;
}

int spot_cut_loose(struct loader *l, struct spot *s)
{
	uint32_t slot;

	if (!l->displace || !tree_links(l->ks, s->target))
		return 0;
	int err = tree_cut_loose(l->ks, s->slot, &slot);
	if (!err)
		spot_set(l, s, slot);
	return err;
}

int spot_invalid(struct loader *l, const char *why)
{
	l->why = why;
	return -EINVAL;
}

/* *BUF has CAP bytes, which stay. */
static int scratch(char **buf, size_t cap)
{
	if (!*buf)
		*buf = malloc(cap);
	return *buf ? 0 : -ENOMEM;
}

/* *KEY, *LEN become the key's path. */
int spot_path_of_key(struct loader *l, const char **key, size_t *len)
{
	static const char too_long[] = "is too long: its path would have more than 65535 bytes";
	int64_t n;

	if (*len > KEYSPACE_KEY_MAX)
		return spot_invalid(l, too_long);
	if (keyname_is_path(*key, *len))
		return 0;
	if (scratch(&l->path, KEYSPACE_KEY_MAX) < 0)
		return -ENOMEM;
	n = keyname_to_path(*key, *len, false, l->path, KEYSPACE_KEY_MAX);
	if (n < 0)
		return spot_invalid(l, too_long);
	*key = l->path;
	*len = (size_t)n;
	return 0;
}

/* A path from a file: each name in it must be one that could have been made; for a DIRECTORY or link. */
int spot_check_path(struct loader *l, const char *path, size_t len, bool directory)
{
	enum keyname_kind kind;
	size_t ignored;

	if (len == 0 || len > KEYSPACE_KEY_MAX)
		return spot_invalid(l, len ? "is longer than 65535 bytes" : "is empty");
	if (keyname_is_path(path, len))
		return 0;
	if (scratch(&l->path, KEYSPACE_KEY_MAX) < 0)
		return -ENOMEM;
	if (keyname_to_key(path, len, l->path, &ignored, &kind) < 0 || (directory && kind == KEYNAME_BESIDE))
		return spot_invalid(l, "is no path");
	return 0;
}

struct op spot_op(const struct loader *l)
{
	return (struct op){ .uid = l->uid, .gid = l->gid, .now_ns = l->now_ns, .replayed = true };
}

/* ---- from a key to its place ---- */

int spot_make_directory(struct loader *l, uint32_t parent, const char *name, size_t len, uint32_t *ret_slot)
{
	struct keyspace *ks = l->ks;
	struct op by = spot_op(l);
	struct tree_birth b;

	int err = tree_birth_reserve(ks, &b, parent, name, len, S_IFDIR | l->dir_mode, &by);
	if (err)
		return err;
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

/* ---- making room ---- */

/* From the place of a name to that of the second name of its value, with the directories it takes. */
int spot_go_beside(struct loader *l, struct spot *s)
{
	struct keyspace *ks = l->ks;

	if (scratch(&l->beside, KEYNAME_BESIDE_MAX) < 0)
		return -ENOMEM;
	size_t len = tree_beside_name(s->name, s->len, l->beside);
	if ((size_t)tree_key_len(ks, s->dir) + 1 + len > KEYSPACE_KEY_MAX)
		return spot_invalid(l, "is too long: its path beside a directory would have more than 65535 bytes");
	const char *name = l->beside, *slash;
	while ((slash = memchr(name, '/', len))) {
		size_t part = (size_t)(slash - name);
		uint32_t child = tree_child(ks, s->dir, name, part);
		int err = !child ? spot_make_directory(l, s->dir, name, part, &child) : node_is_dir(node_at(&ks->nodes, child)) ? 0 : -ENOTDIR;
		if (err)
			return err;
		s->dir = child;
		name += part + 1;
		len -= part + 1;
	}
	s->name = name;
	s->len = len;
	spot_set(l, s, tree_child(ks, s->dir, name, len));
	return 0;
}

/* What stands at S, which is no directory, leaves its name to one. */
int spot_clear_way(struct loader *l, const struct spot *s)
{
	struct spot to = *s;

	if (S_ISREG(s->node->mode)) {
		int err = spot_go_beside(l, &to);
		if (!err && to.node)
			err = -EEXIST;
		return err ? err : tree_move(l->ks, s->slot, to.dir, to.name, to.len, 0, l->now_ns);
	}
	if (!l->displace)
		return -ENOTDIR;
	tree_detach(l->ks, s->slot, l->now_ns);
	l->links_gone++;
	return 0;
}

/* ---- finding ---- */

/* The directory NAME in *SLOT; MAKE: made if it is missing. */
static int enter(struct loader *l, uint32_t *slot, const char *name, size_t len, bool make)
{
	struct spot s = { .dir = *slot, .name = name, .len = len };
	int err = 0;

	spot_set(l, &s, tree_child(l->ks, *slot, name, len));
	if (!s.node || !node_is_dir(s.node)) {
		if (!make)
			return s.node ? -ENOTDIR : -ENOENT;
		if (s.node)
			err = spot_clear_way(l, &s);
		if (!err)
			err = spot_make_directory(l, *slot, name, len, &s.slot);
	}
	if (!err)
		*slot = s.slot;
	return err;
}

/* The directory at PATH; MAKE: with what is missing. */
static int find_directory(struct loader *l, const char *path, size_t len, bool make, uint32_t *ret_slot)
{
	uint32_t slot = ROOT_SLOT;

	if (len == 0) {
		*ret_slot = ROOT_SLOT;
		return 0;
	}
	if (l->last_dir && len == l->last_prefix_len && memcmp(path, l->last_prefix, len) == 0) {
		struct node *n = tree_node(l->ks, l->last_dir, ret_slot);
		if (n && (n->flags & NODE_NAMED))
			return 0;
	}
	*ret_slot = load_ahead_directory(&l->ahead, l->ks, path, len);
	if (*ret_slot)
		return remember(l, path, len, *ret_slot);
	for (size_t at = 0; at < len;) {
		const char *slash = memchr(path + at, '/', len - at);
		size_t part = slash ? (size_t)(slash - path) - at : len - at;
		int err = enter(l, &slot, path + at, part, make);
		if (err)
			return err;
		at += part + 1;
	}
	*ret_slot = slot;
	load_ahead_know(&l->ahead, l->ks, path, len, slot);
	return remember(l, path, len, slot);
}

/* The place at PATH, whose names are good. */
int spot_find(struct loader *l, const char *path, size_t len, bool make, struct spot *s)
{
	const char *slash = memrchr(path, '/', len);
	size_t dir_len = slash ? (size_t)(slash - path) : 0;

	s->name = slash ? slash + 1 : path;
	s->len = len - (size_t)(s->name - path);
	int err = find_directory(l, path, dir_len, make, &s->dir);
	if (err)
		return err;
	spot_set(l, s, tree_child(l->ks, s->dir, s->name, s->len));
	return 0;
}

static bool is_empty(const struct node *dir)
{
	return !dir->directory || dir->directory->count == 0;
}

/* Where the value of KEY is; with MAKE where it would be, if S->node is NULL. */
int spot_find_value(struct loader *l, const char *key, size_t len, bool make, struct spot *s)
{
	int err = spot_path_of_key(l, &key, &len);
	if (!err)
		err = spot_find(l, key, len, make, s);
	if (err)
		return err == -ENOTDIR && !make ? -ENOENT : err;
	if (s->node && S_ISREG(s->node->mode))
		return 0;
	uint32_t beside = tree_beside(l->ks, s->dir, s->name, s->len);
	if (beside) {
		spot_set(l, s, beside);
		return 0;
	}
	if (!make)
		return -ENOENT;
	if (!s->node)
		return 0;
	if (!node_is_dir(s->node) || !is_empty(s->node) || !l->displace)
		return spot_go_beside(l, s);
	tree_detach(l->ks, s->slot, l->now_ns);
	spot_set(l, s, 0);
	return 0;
}

/* The value of KEY; MAKE: created empty if missing. */
int spot_find_file(struct loader *l, const char *key, size_t len, bool make, struct spot *s)
{
	struct op by = spot_op(l);
	struct tree_birth b;

	int err = spot_find_value(l, key, len, make, s);
	if (err)
		return err;
	if (s->node)
		return make ? spot_cut_loose(l, s) : 0;
	err = tree_check_memory(l->ks, sizeof(struct node));
	if (!err)
		err = tree_birth_reserve(l->ks, &b, s->dir, s->name, s->len, S_IFREG | l->file_mode, &by);
	if (err)
		return err;
	tree_birth_apply(l->ks, &b, l->now_ns);
	spot_set(l, s, b.slot);
	return 0;
}

void spot_modified(struct loader *l, struct node *n)
{
	tree_modified(l->ks, n, l->now_ns);
}

uint64_t spot_id(const struct spot *s)
{
	return node_id(s->node, s->target);
}
