/* load_ahead.c -- see load_ahead.h. */
#include "store/load_ahead.h"
#include "store/load.h"
#include "store/tree.h"

#include <string.h>

enum { STEP = LOADER_AHEAD / 4 };

/* ---- directories ---- */

static uint32_t path_hash(const struct keyspace *ks, const char *path, size_t len)
{
	return names_hash(&ks->names, 0, path, len);
}

static uint32_t known_slot(const struct load_ahead *a, uint32_t hash)
{
	uint64_t known = a->known[hash % LOADER_DIRECTORIES];
	return known >> 32 == hash ? (uint32_t)known : 0;
}

void load_ahead_know(struct load_ahead *a, const struct keyspace *ks, const char *path, size_t len, uint32_t slot)
{
	uint32_t hash = path_hash(ks, path, len);
	a->known[hash % LOADER_DIRECTORIES] = (uint64_t)hash << 32 | slot;
}

/* Whether the directory in SLOT has this path now. */
static bool is_at(const struct keyspace *ks, uint32_t slot, const char *path, size_t len)
{
	if (!node_is_dir(node_at(&ks->nodes, slot)))
		return false;
	for (;;) {
		const struct node *n = node_at(&ks->nodes, slot);
		if (!(n->flags & NODE_NAMED) || n->name_len > len || memcmp(path + len - n->name_len, node_name(n), n->name_len) != 0)
			return false;
		len -= n->name_len;
		slot = n->parent;
		if (slot == ROOT_SLOT || len == 0)
			return slot == ROOT_SLOT && len == 0;
		if (path[--len] != '/')
			return false;
	}
}

uint32_t load_ahead_directory(const struct load_ahead *a, const struct keyspace *ks, const char *path, size_t len)
{
	uint32_t slot = known_slot(a, path_hash(ks, path, len));
	return slot && is_at(ks, slot, path, len) ? slot : 0;
}

/* ---- keys ---- */

static const struct directory *order_of(const struct keyspace *ks, uint32_t slot)
{
	const struct node *n = slot ? node_at(&ks->nodes, slot) : NULL;
	return n && node_is_dir(n) ? n->directory : NULL;
}

static void fetch_directory(const struct load_ahead *a, const struct keyspace *ks, unsigned at)
{
	__builtin_prefetch(node_at(&ks->nodes, a->directory[at % LOADER_AHEAD]));
	const struct directory *d = order_of(ks, a->directory[(at - STEP) % LOADER_AHEAD]);
	if (d)
		__builtin_prefetch(d);
	d = order_of(ks, a->directory[(at - 2 * STEP) % LOADER_AHEAD]);
	if (d)
		directory_prefetch(d);
}

/* For a key of NAME_LEN bytes at NAME, whose directory's path are the DIR_LEN bytes at KEY. */
static void fetch(struct load_ahead *a, const struct keyspace *ks, const char *key, size_t dir_len, const char *name, size_t name_len)
{
	uint32_t dir = dir_len ? known_slot(a, path_hash(ks, key, dir_len)) : ROOT_SLOT;
	if (!dir)
		return;
	unsigned at = a->at++;
	a->directory[at % LOADER_AHEAD] = dir;
	a->hash[at % LOADER_AHEAD] = names_hash(&ks->names, dir, name, name_len);
	names_prefetch_bucket(&ks->names, a->hash[at % LOADER_AHEAD]);
	names_prefetch_first(&ks->names, &ks->nodes, a->hash[(at - STEP) % LOADER_AHEAD]);
	names_prefetch_second(&ks->names, &ks->nodes, a->hash[(at - 2 * STEP) % LOADER_AHEAD]);
	if (dir != ROOT_SLOT)
		fetch_directory(a, ks, at);
}

/* Without S: who may call it is the only one who changes anything. */
void loader_expect(struct loader *l, const char *key, size_t len)
{
	const char *slash = len && len <= KEYSPACE_KEY_MAX ? memrchr(key, '/', len) : NULL;
	const char *name = slash ? slash + 1 : key;
	size_t name_len = len - (size_t)(name - key);

	if (name_len <= KEYSPACE_NAME_MAX)
		fetch(&l->ahead, l->ks, key, slash ? (size_t)(slash - key) : 0, name, name_len);
}
