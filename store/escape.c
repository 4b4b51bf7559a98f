/* escape.c -- which names may be made, so that each key has one place in the tree.  See keyname.h for the names, tree.h for the calls. */
#include "store/keyname.h"
#include "store/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool tree_is_piece(const struct node *n)
{
	return node_is_dir(n) && keyname_is_piece(node_name(n), n->name_len);
}

uint32_t tree_find(struct keyspace *ks, uint32_t slot, const char *path, size_t len)
{
	const char *end = path + len;

	while (slot && path < end) {
		const char *slash = memchr(path, '/', (size_t)(end - path));
		size_t n = (size_t)((slash ? slash : end) - path);

		slot = tree_child(ks, slot, path, n);
		path += n + 1;
	}
	return slot;
}

size_t tree_beside_name(const char *name, size_t len, char *out)
{
	if (!keyname_is_escaped(name, len))
		return keyname_of_part(name, len, true, out);
	memcpy(out, name, len);
	out[len++] = '%';
	out[len++] = '=';
	return len;
}

uint32_t tree_beside(struct keyspace *ks, uint32_t dir, const char *name, size_t len)
{
	char beside[KEYNAME_BESIDE_MAX];

	if (!ks->escaped)
		return 0;
	len = tree_beside_name(name, len, beside);
	return tree_find(ks, dir, beside, len);
}

static uint32_t find_value_at(struct keyspace *ks, const char *path, size_t len)
{
	const char *slash = memrchr(path, '/', len), *name = slash ? slash + 1 : path;
	uint32_t dir = tree_find(ks, ROOT_SLOT, path, slash ? (size_t)(slash - path) : 0);
	size_t name_len = len - (size_t)(name - path);
	uint32_t slot = dir ? tree_child(ks, dir, name, name_len) : 0;

	if (slot && S_ISREG(node_at(&ks->nodes, slot)->mode))
		return slot;
	return dir ? tree_beside(ks, dir, name, name_len) : 0;
}

uint32_t tree_find_value(struct keyspace *ks, const char *key, size_t len)
{
	if (len > KEYSPACE_KEY_MAX)
		return 0;
	if (keyname_is_path(key, len))
		return find_value_at(ks, key, len);
	char *path = ks->escaped ? malloc(KEYSPACE_KEY_MAX) : NULL;
	int64_t n = path ? keyname_to_path(key, len, false, path, KEYSPACE_KEY_MAX) : -1;
	uint32_t slot = n < 0 ? 0 : find_value_at(ks, path, (size_t)n);
	free(path);
	return slot;
}

/* The place beside which KEY's second name stands must be one that has no value: 0, -EEXIST, -EINVAL. */
static int check_own_place(struct keyspace *ks, const char *key, size_t len, uint32_t mover, char *path, size_t cap)
{
	int64_t n = keyname_to_path(key, len, false, path, cap);
	uint32_t own = n < 0 ? 0 : tree_find(ks, ROOT_SLOT, path, (size_t)n);

	if (!own || own == mover)
		return -EINVAL;
	return S_ISREG(node_at(&ks->nodes, own)->mode) ? -EEXIST : 0;
}

static int check_beside(struct keyspace *ks, struct op *op, uint32_t dir, const char *name, size_t len, uint32_t mover)
{
	uint32_t beside = tree_beside(ks, dir, name, len);

	return beside && beside != mover ? tree_remove_if_over(ks, op, beside) : 0;
}

/* A name that begins with ".%", or below one that goes on.  WORK has room for the path twice. */
static int check_escaped(struct keyspace *ks, struct op *op, uint32_t dir, const char *name, size_t len, uint32_t mode, uint32_t mover,
                         char *work, size_t path_len)
{
	char *path = work, *key = work + path_len;
	enum keyname_kind kind;
	size_t key_len;

	memcpy(path + path_len - len, name, len);
	if (path_len > len)
		path[path_len - len - 1] = '/';
	tree_key_before(ks, dir, path + path_len - len - (path_len > len));
	if (keyname_to_key(path, path_len, key, &key_len, &kind) < 0)
		return -EINVAL;
	switch (kind) {
	case KEYNAME_PIECE:
		return S_ISDIR(mode) && !mover ? 0 : -EINVAL;
	case KEYNAME_OWN:
		if (S_ISREG(mode))
			return check_beside(ks, op, dir, name, len, mover);
		return S_ISDIR(mode) ? 0 : -EINVAL;
	case KEYNAME_BESIDE:
		return S_ISREG(mode) ? check_own_place(ks, key, key_len, mover, path, path_len) : -EINVAL;
	}
	return -EINVAL;
}

int tree_check_place(struct keyspace *ks, struct op *op, uint32_t dir, const char *name, size_t len, uint32_t mode, uint32_t mover)
{
	if (!keyname_is_escaped(name, len) && !tree_is_piece(node_at(&ks->nodes, dir)))
		return S_ISREG(mode) && ks->escaped ? check_beside(ks, op, dir, name, len, mover) : 0;

	size_t dir_len = (size_t)tree_key_len(ks, dir), path_len = dir_len + (dir != ROOT_SLOT) + len;
	char *work = malloc(2 * path_len);
	if (!work)
		return -ENOMEM;
	int err = check_escaped(ks, op, dir, name, len, mode, mover, work, path_len);
	free(work);
	return err;
}
