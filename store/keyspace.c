/* keyspace.c -- life of a keyspace and everything that only looks.  See keyspace.h; changes are in mutate.c, rename.c, expire.c. */
#include "store/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int keyspace_new(const struct keyspace_options *o, struct keyspace **ret)
{
	struct keyspace *ks = calloc(1, sizeof *ks);
	if (!ks)
		return -ENOMEM;
	ks->options = *o;
	ks->epoch = 1;
	node_table_init(&ks->nodes);
	if (names_init(&ks->names, o->hash_seed) < 0)
		goto err;
	uint32_t slot;
	struct node *root = node_new(&ks->nodes, &slot);
	if (!root)
		goto err;
	root->flags |= NODE_NAMED;
	root->mode = (uint16_t)(S_IFDIR | (o->root_mode & 07777));
	root->uid = o->root_uid;
	root->gid = o->root_gid;
	root->atime_ns = root->mtime_ns = root->ctime_ns = o->now_ns;
	root->nlookup = 1;
	root->epoch = ks->epoch;
	ks->directories = 1;
	pthread_mutexattr_t attr;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	pthread_mutex_init(&ks->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	*ret = ks;
	return 0;
err:
	names_fini(&ks->names);
	node_table_fini(&ks->nodes);
	free(ks);
	return -ENOMEM;
}

void keyspace_free(struct keyspace *ks)
{
	if (!ks)
		return;
	for (uint32_t slot = 1; slot < ks->nodes.top; slot++) {
		struct node *n = node_at(&ks->nodes, slot);
		if (!(n->flags & NODE_USED))
			continue;
		if (node_is_dir(n))
			directory_free(n->directory, &ks->directory_bytes);
		else
			value_unref(n->value);
	}
	expiry_fini(&ks->expiry);
	names_fini(&ks->names);
	node_table_fini(&ks->nodes);
	pthread_mutex_destroy(&ks->lock);
	free(ks);
}

void keyspace_set_observer(struct keyspace *ks, const struct observer *o)
{
	keyspace_lock(ks);
	ks->observer = *o;
	keyspace_unlock(ks);
}

void keyspace_set_memory_max(struct keyspace *ks, uint64_t bytes)
{
	keyspace_lock(ks);
	ks->options.memory_max = bytes;
	keyspace_unlock(ks);
}

void keyspace_lock(struct keyspace *ks)
{
	pthread_mutex_lock(&ks->lock);
}

void keyspace_unlock(struct keyspace *ks)
{
	pthread_mutex_unlock(&ks->lock);
}

static bool is_over(struct keyspace *ks, const struct node *n, int64_t now_ns)
{
	int64_t at_ms = expiry_of(&ks->expiry, n);
	return at_ms && at_ms <= now_ns / 1000000;
}

static void count_lookup(struct node *n)
{
	if (n->nlookup != UINT32_MAX)
		n->nlookup++;
}

int keyspace_lookup(struct keyspace *ks, uint64_t parent, const char *name, size_t len, int64_t now_ns, struct attr *ret)
{
	struct node *dir;
	uint32_t slot;
	int err = -ENAMETOOLONG;

	keyspace_lock(ks);
	if (len > KEYSPACE_NAME_MAX)
		goto out;
	err = tree_directory(ks, parent, &dir, &slot);
	if (err)
		goto out;
	err = -ENOENT;
	slot = tree_child(ks, slot, name, len);
	if (!slot)
		goto out;
	struct node *n = node_at(&ks->nodes, slot);
	if (is_over(ks, n, now_ns))
		goto out;
	count_lookup(n);
	tree_attr(ks, n, slot, ret);
	err = 0;
out:
	keyspace_unlock(ks);
	return err;
}

int keyspace_getattr(struct keyspace *ks, uint64_t id, struct attr *ret)
{
	keyspace_lock(ks);
	int err = keyspace_stat_locked(ks, id, ret);
	keyspace_unlock(ks);
	return err;
}

int keyspace_stat_locked(struct keyspace *ks, uint64_t id, struct attr *ret)
{
	uint32_t slot;
	struct node *n = tree_node(ks, id, &slot);
	if (!n)
		return -ESTALE;
	tree_attr(ks, n, slot, ret);
	return 0;
}

const struct value *keyspace_value_locked(struct keyspace *ks, uint64_t id)
{
	uint32_t slot;
	struct node *n = tree_node(ks, id, &slot);
	return n && !node_is_dir(n) ? n->value : NULL;
}

int64_t keyspace_expiry_locked(struct keyspace *ks, uint64_t id)
{
	uint32_t slot;
	struct node *n = tree_node(ks, id, &slot);
	return n ? expiry_of(&ks->expiry, n) : 0;
}

static int get_value(struct keyspace *ks, uint64_t id, bool link, struct value **ret, uint64_t *ret_size)
{
	uint32_t slot;
	int err = 0;

	keyspace_lock(ks);
	struct node *n = tree_node(ks, id, &slot);
	if (!n)
		err = -ESTALE;
	else if (link && !S_ISLNK(n->mode))
		err = -EINVAL;
	else if (node_is_dir(n))
		err = -EISDIR;
	if (!err) {
		*ret = value_ref(n->value);
		*ret_size = n->size;
	}
	keyspace_unlock(ks);
	return err;
}

int keyspace_get_value(struct keyspace *ks, uint64_t id, struct value **ret, uint64_t *ret_size)
{
	return get_value(ks, id, false, ret, ret_size);
}

int keyspace_readlink(struct keyspace *ks, uint64_t id, struct value **ret, uint64_t *ret_size)
{
	return get_value(ks, id, true, ret, ret_size);
}

/* "." and "..", as far as COOKIE has not passed them.  1: the reader has no room. */
static int list_dots(struct keyspace *ks, const struct node *dir, uint32_t slot, uint64_t cookie, keyspace_emit_fn *emit, void *ctx)
{
	struct attr a;

	if (cookie < 1) {
		tree_attr(ks, dir, slot, &a);
		if (emit(ctx, ".", 1, 1, &a))
			return 1;
	}
	if (cookie < 2) {
		uint32_t up = dir->parent ? dir->parent : slot;
		tree_attr(ks, node_at(&ks->nodes, up), up, &a);
		if (emit(ctx, "..", 2, 2, &a))
			return 1;
	}
	return 0;
}

int keyspace_readdir(struct keyspace *ks, uint64_t id, uint64_t cookie, bool count_lookups, int max, int64_t now_ns,
                     keyspace_emit_fn *emit, void *ctx, bool *ret_end)
{
	uint32_t slot;
	int err = 0;

	*ret_end = false;
	keyspace_lock(ks);
	struct node *dir = tree_node(ks, id, &slot);
	if (!dir)
		err = -ESTALE;
	else if (!node_is_dir(dir))
		err = -ENOTDIR;
	if (err || list_dots(ks, dir, slot, cookie, emit, ctx))
		goto out;
	if (!dir->directory) {
		*ret_end = true;
		goto out;
	}
	struct directory_cursor c;
	directory_seek(dir->directory, cookie < DIRECTORY_FIRST ? DIRECTORY_FIRST - 1 : cookie, &c);
	while (max > 0) {
		uint64_t at;
		uint32_t child = directory_next(dir->directory, &c, &at);
		if (!child) {
			*ret_end = true;
			break;
		}
		struct node *n = node_at(&ks->nodes, child);
		if (is_over(ks, n, now_ns))
			continue;       /* not counted in MAX: a call that shows nothing is at the end */
		struct attr a;
		tree_attr(ks, n, child, &a);
		if (emit(ctx, node_name(n), n->name_len, at, &a))
			break;
		if (count_lookups)
			count_lookup(n);
		max--;
	}
out:
	keyspace_unlock(ks);
	return err;
}

void keyspace_usage(struct keyspace *ks, struct usage *ret)
{
	keyspace_lock(ks);
	*ret = (struct usage){
		.keys = ks->keys,
		.directories = ks->directories,
		.symlinks = ks->symlinks,
		.unlinked = ks->unlinked,
		.expires = ks->expiry.count,
		.bytes_values = ks->value_bytes,
		.bytes_total = tree_bytes(ks),
		.bytes_max = ks->options.memory_max,
	};
	keyspace_unlock(ks);
}

int64_t keyspace_key_len_locked(struct keyspace *ks, uint64_t id)
{
	uint32_t slot;
	return tree_node(ks, id, &slot) ? tree_key_len(ks, slot) : -1;
}

const char *keyspace_key_locked(struct keyspace *ks, uint64_t id, char *buf, size_t cap, size_t *ret_len)
{
	int64_t len = keyspace_key_len_locked(ks, id);
	if (len < 0 || (size_t)len > cap)
		return NULL;
	*ret_len = (size_t)len;
	return tree_key_before(ks, (uint32_t)id, buf + cap);
}
