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
	ks->room_until = UINT64_MAX;
	node_table_init(&ks->nodes);
	extras_init(&ks->extras);
	if (names_init(&ks->names, o->hash_seed) < 0)
		goto err;
	uint32_t slot;
	struct node *root = node_new(&ks->nodes, &slot);
	if (!root)
		goto err;
	root->flags |= NODE_NAMED;
	root->mode = (uint16_t)(S_IFDIR | (o->root_mode & 07777));
	uint32_t owner;
	if (owners_take(&ks->owners, o->root_uid, o->root_gid, &owner) < 0)
		goto err;
	tree_set_owner(ks, root, owner);
	tree_born(ks, root, o->now_ns);
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
	owners_fini(&ks->owners);
	times_fini(&ks->times);
	names_fini(&ks->names);
	node_table_fini(&ks->nodes);
	free(ks);
	return -ENOMEM;
}

void keyspace_free(struct keyspace *ks)
{
	if (!ks)
		return;
	value_limbo_free(&ks->limbo);
	for (uint32_t slot = 1; slot < ks->nodes.top; slot++) {
		struct node *n = node_at(&ks->nodes, slot);
		if (!(n->flags & NODE_USED))
			continue;
		if (node_is_dir(n))
			directory_free(n->directory, &ks->directory_bytes);
		else if (node_has_value(n))
			value_unref(n->value);
		xattrs_unref(tree_xattrs(ks, n, slot));
	}
	expiry_fini(&ks->expiry);
	extras_fini(&ks->extras);
	lru_stop(&ks->lru);
	owners_fini(&ks->owners);
	times_fini(&ks->times);
	names_fini(&ks->names);
	node_table_fini(&ks->nodes);
	pthread_mutex_destroy(&ks->lock);
	free(ks);
}

/* In KS the owner of the root of OF. */
static int take_root_owner(struct keyspace *ks, const struct keyspace *of, uint32_t *ret)
{
	uint32_t owner = node_at(&of->nodes, ROOT_SLOT)->owner;

	return owners_take(&ks->owners, owners_uid(&of->owners, owner), owners_gid(&of->owners, owner), ret);
}

#define EXCHANGE(member) \
	do { \
		__typeof__(a->member) was_ = a->member; \
		a->member = b->member; \
		b->member = was_; \
	} while (0)

int keyspace_exchange(struct keyspace *a, struct keyspace *b)
{
	struct node *root_a = node_at(&a->nodes, ROOT_SLOT), *root_b = node_at(&b->nodes, ROOT_SLOT);
	uint16_t mode_a = root_a->mode, mode_b = root_b->mode;
	uint32_t owner_a, owner_b;

	int err = take_root_owner(b, a, &owner_a);
	if (err)
		return err;
	err = take_root_owner(a, b, &owner_b);
	if (err) {
		owners_drop(&b->owners, owner_a);
		return err;
	}
	EXCHANGE(nodes);
	EXCHANGE(names);
	EXCHANGE(expiry);
	EXCHANGE(extras);
	EXCHANGE(owners);
	EXCHANGE(times);
	EXCHANGE(directory_bytes);
	EXCHANGE(flat_bytes);
	EXCHANGE(xattr_bytes);
	EXCHANGE(keys);
	EXCHANGE(directories);
	EXCHANGE(symlinks);
	EXCHANGE(specials);
	EXCHANGE(unlinked);
	EXCHANGE(link_expires);
	EXCHANGE(escaped);
	EXCHANGE(epoch);
	root_b->mode = mode_a;
	tree_set_owner(a, root_b, owner_a);
	root_a->mode = mode_b;
	tree_set_owner(b, root_a, owner_b);
	return 0;
}

void keyspace_set_observer(struct keyspace *ks, const struct observer *o)
{
	keyspace_lock(ks);
	ks->observer = *o;
	keyspace_unlock(ks);
}

void keyspace_set_watcher(struct keyspace *ks, const struct watcher *w)
{
	keyspace_lock(ks);
	ks->watcher = *w;
	keyspace_unlock(ks);
}

void keyspace_set_memory_max(struct keyspace *ks, uint64_t bytes)
{
	keyspace_lock(ks);
	ks->options.memory_max = bytes;
	keyspace_unlock(ks);
}

uint64_t keyspace_set_room(struct keyspace *ks, int64_t more)
{
	keyspace_lock(ks);
	uint64_t used = tree_used(ks);
	ks->no_copies = more < 0;
	ks->room_until = more == INT64_MAX ? UINT64_MAX : used + (uint64_t)(more > 0 ? more : 0);
	keyspace_unlock(ks);
	return used;
}

void keyspace_set_value_max(struct keyspace *ks, uint64_t bytes)
{
	keyspace_lock(ks);
	ks->options.value_max = bytes;
	keyspace_unlock(ks);
}

void keyspace_lock(struct keyspace *ks)
{
	pthread_mutex_lock(&ks->lock);
}

enum { REAP_LARGE = 4 << 20 };    /* bytes; less is freed at once, which takes less than to wake somebody for it */

static void unlock_and_free(struct keyspace *ks)
{
	struct value_limbo limbo = ks->limbo;

	if (ks->wake_reaper && limbo.bytes >= REAP_LARGE) {
		void (*wake)(void *) = ks->wake_reaper;
		void *ctx = ks->reaper_ctx;
		ks->reaper_called = true;
		pthread_mutex_unlock(&ks->lock);
		wake(ctx);
	} else {
		ks->limbo = (struct value_limbo){ 0 };
		pthread_mutex_unlock(&ks->lock);
		value_limbo_free(&limbo);
	}
}

void keyspace_unlock(struct keyspace *ks)
{
	if (value_limbo_is_empty(&ks->limbo) || ks->reaper_called)
		pthread_mutex_unlock(&ks->lock);
	else
		unlock_and_free(ks);
}

void keyspace_set_reaper(struct keyspace *ks, void (*wake)(void *ctx), void *ctx)
{
	keyspace_lock(ks);
	ks->wake_reaper = wake;
	ks->reaper_ctx = ctx;
	ks->reaper_called = false;
	keyspace_unlock(ks);
}

void keyspace_reap(struct keyspace *ks)
{
	struct value_limbo limbo;

	keyspace_lock(ks);
	limbo = ks->limbo;
	ks->limbo = (struct value_limbo){ 0 };
	ks->reaper_called = false;
	atomic_store(&ks->reaping, limbo.bytes);
	pthread_mutex_unlock(&ks->lock);
	while (!value_limbo_is_empty(&limbo)) {
		value_limbo_step(&limbo);
		atomic_store_explicit(&ks->reaping, limbo.bytes, memory_order_relaxed);
	}
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
	slot = tree_target(ks, slot);
	struct node *n = node_at(&ks->nodes, slot);
	if (tree_is_over(ks, slot, now_ns))
		goto out;
	tree_count_lookup(n);
	lru_use(&ks->lru, slot, ks->keys);
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
	if (!err)
		lru_use(&ks->lru, (uint32_t)id, ks->keys);
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
	return n && node_has_value(n) ? n->value : NULL;
}

int64_t keyspace_expiry_locked(struct keyspace *ks, uint64_t id)
{
	uint32_t slot;
	struct node *n = tree_node(ks, id, &slot);
	return n ? tree_expiry(ks, slot) : 0;
}

static int get_value(struct keyspace *ks, uint64_t id, bool link, int64_t now_ns, enum atime_rule rule, struct value **ret, uint64_t *ret_size)
{
	uint32_t slot;
	int err = 0;

	keyspace_lock(ks);
	struct node *n = tree_node(ks, id, &slot);
	if (!n)
		err = -ESTALE;
	else if (link && !S_ISLNK(n->mode))
		err = -EINVAL;
	else if (!node_has_value(n))
		err = node_is_dir(n) ? -EISDIR : -EINVAL;
	if (!err) {
		lru_use(&ks->lru, slot, ks->keys);
		tree_accessed(ks, n, now_ns, rule);
		*ret = value_ref(n->value);
		*ret_size = n->size;
	}
	keyspace_unlock(ks);
	return err;
}

int keyspace_get_value(struct keyspace *ks, uint64_t id, struct value **ret, uint64_t *ret_size)
{
	return get_value(ks, id, false, 0, ATIME_NEVER, ret, ret_size);
}

int keyspace_read(struct keyspace *ks, uint64_t id, int64_t now_ns, enum atime_rule rule, struct value **ret, uint64_t *ret_size)
{
	return get_value(ks, id, false, now_ns, rule, ret, ret_size);
}

int keyspace_readlink(struct keyspace *ks, uint64_t id, int64_t now_ns, enum atime_rule rule, struct value **ret, uint64_t *ret_size)
{
	return get_value(ks, id, true, now_ns, rule, ret, ret_size);
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
		if (tree_is_over(ks, child, now_ns))
			continue;       /* not counted in MAX: a call that shows nothing is at the end */
		struct attr a;
		tree_attr(ks, n, child, &a);
		if (emit(ctx, node_name(n), n->name_len, at, &a))
			break;
		if (count_lookups)
			tree_count_lookup(node_at(&ks->nodes, tree_target(ks, child)));
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
		.specials = ks->specials,
		.unlinked = ks->unlinked,
		.expires = ks->expiry.count + ks->link_expires,
		.bytes_values = tree_value_bytes(ks),
		.bytes_total = tree_bytes(ks),
		.bytes_idle = ks->nodes.idle,
		.bytes_max = ks->options.memory_max,
		.bytes_limit = tree_limit(ks),
	};
	keyspace_unlock(ks);
}

uint64_t keyspace_escaped_locked(struct keyspace *ks)
{
	return ks->escaped;
}

int64_t keyspace_key_len_locked(struct keyspace *ks, uint64_t id)
{
	return node_find(&ks->nodes, id) ? tree_key_len(ks, (uint32_t)id) : -1;
}

const char *keyspace_key_locked(struct keyspace *ks, uint64_t id, char *buf, size_t cap, size_t *ret_len)
{
	int64_t len = keyspace_key_len_locked(ks, id);
	if (len < 0 || (size_t)len > cap)
		return NULL;
	*ret_len = (size_t)len;
	return tree_key_before(ks, (uint32_t)id, buf + cap);
}
