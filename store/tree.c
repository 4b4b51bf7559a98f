/* tree.c -- see tree.h. */
#include "store/tree.h"
#include "store/keyname.h"
#include "store/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- finding ---- */

struct node *tree_node(struct keyspace *ks, uint64_t id, uint32_t *ret_slot)
{
	struct node *n = node_find(&ks->nodes, id);

	*ret_slot = (uint32_t)id;
	return n && !(n->flags & NODE_LINK) ? n : NULL;
}

int tree_directory(struct keyspace *ks, uint64_t id, struct node **ret, uint32_t *ret_slot)
{
	struct node *n = tree_node(ks, id, ret_slot);
	if (!n)
		return -ESTALE;
	if (!node_is_dir(n))
		return -ENOTDIR;
	if (!(n->flags & NODE_NAMED))
		return -ENOENT;
	*ret = n;
	return 0;
}

uint32_t tree_child(struct keyspace *ks, uint32_t parent, const char *name, size_t len)
{
	return names_find(&ks->names, &ks->nodes, parent, name, len, names_hash(&ks->names, parent, name, len));
}

int tree_check_name(const char *name, size_t len)
{
	if (len == 0)
		return -ENOENT;
	if (len > KEYSPACE_NAME_MAX)
		return -ENAMETOOLONG;
	if (memchr(name, '/', len) || memchr(name, 0, len))
		return -EINVAL;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return -EEXIST;
	return 0;
}

struct extra *tree_extra(const struct keyspace *ks, const struct node *n, uint32_t slot)
{
	return n->flags & NODE_EXTRA ? extra_find(&ks->extras, slot) : NULL;
}

struct extra *tree_make_extra(struct keyspace *ks, struct node *n, uint32_t slot)
{
	struct extra *x = extra_make(&ks->extras, slot);

	if (x)
		n->flags |= NODE_EXTRA;
	return x;
}

void tree_drop_extra(struct keyspace *ks, struct node *n, uint32_t slot)
{
	if (!(n->flags & NODE_EXTRA))
		return;
	extra_drop(&ks->extras, slot);
	n->flags &= (uint8_t)~NODE_EXTRA;
}

void tree_trim_extra(struct keyspace *ks, struct node *n, uint32_t slot)
{
	const struct extra *x = tree_extra(ks, n, slot);

	if (x && !x->links && !x->xattrs)
		tree_drop_extra(ks, n, slot);
}

void tree_count_lookup(struct node *n)
{
	if (n->nlookup != UINT32_MAX)
		n->nlookup++;
}

static uint32_t link_count(const struct keyspace *ks, const struct node *n, uint32_t slot)
{
	if (!(n->flags & NODE_NAMED))
		return 0;
	if (!node_is_dir(n))
		return 1 + tree_links(ks, slot);
	uint64_t links = 2 + (n->directory ? n->directory->subdirectories : 0);
	return links < UINT32_MAX ? (uint32_t)links : UINT32_MAX;
}

/* As tmpfs has it: so much an entry, "." and ".." too. */
static uint64_t directory_size(const struct node *n)
{
	return DIRECTORY_ENTRY_SIZE * (2 + (n->directory ? n->directory->count : 0));
}

void tree_attr(struct keyspace *ks, const struct node *n, uint32_t slot, struct attr *ret)
{
	if (n->flags & NODE_LINK) {
		slot = n->target;
		n = node_at(&ks->nodes, slot);
	}
	struct node_times times;
	times_get(&ks->times, n, &times);
	*ret = (struct attr){
		.id = node_id(n, slot),
		.size = node_is_dir(n) ? directory_size(n) : n->size,
		.atime_ns = times.atime_ns,
		.mtime_ns = times.mtime_ns,
		.ctime_ns = times.ctime_ns,
		.mode = n->mode,
		.uid = owners_uid(&ks->owners, n->owner),
		.gid = owners_gid(&ks->owners, n->owner),
		.nlink = link_count(ks, n, slot),
		.expire_at_ms = expiry_of(&ks->expiry, n, slot),
		.memory = node_has_value(n) ? value_memory(n->value, n->size) : 0,
		.rdev = node_is_special(n) ? n->rdev : 0,
	};
}

int64_t tree_key_len(struct keyspace *ks, uint32_t slot)
{
	int64_t len = 0;

	while (slot != ROOT_SLOT) {
		const struct node *n = node_at(&ks->nodes, slot);
		if (!(n->flags & NODE_NAMED))
			return -1;
		len += n->name_len + 1;
		slot = n->parent;
	}
	return len ? len - 1 : 0;
}

char *tree_key_before(struct keyspace *ks, uint32_t slot, char *end)
{
	char *p = end;

	while (slot != ROOT_SLOT) {
		const struct node *n = node_at(&ks->nodes, slot);
		if (p != end)
			*--p = '/';
		p -= n->name_len;
		memcpy(p, node_name(n), n->name_len);
		slot = n->parent;
	}
	return p;
}

bool tree_is_below(struct keyspace *ks, uint32_t slot, uint32_t ancestor)
{
	for (; slot; slot = node_at(&ks->nodes, slot)->parent)
		if (slot == ancestor)
			return true;
	return false;
}

void tree_place(const struct keyspace *ks, uint32_t slot, struct keyspace_place *ret)
{
	const struct node *n = node_at(&ks->nodes, slot);
	uint32_t target = tree_target(ks, slot);
	const struct node *t = node_at(&ks->nodes, target);

	ret->parent = node_id(node_at(&ks->nodes, n->parent), n->parent);
	ret->id = node_id(t, target);
	ret->known = t->nlookup != 0;
	ret->linked = tree_links(ks, target) != 0;
	ret->len = n->name_len;
	memcpy(ret->name, node_name(n), n->name_len);
}

/* ---- changing ---- */

uint64_t tree_bytes(const struct keyspace *ks)
{
	return ks->nodes.bytes + ks->owners.bytes + ks->times.bytes + ks->names.bytes + ks->expiry.bytes + ks->expiry.place.bytes + ks->extras.bytes +
	       ks->lru.stamp.bytes + ks->directory_bytes + ks->xattr_bytes + tree_value_bytes(ks);
}

uint64_t tree_value_bytes(const struct keyspace *ks)
{
	uint64_t mapped = value_mapped_bytes(), dead = ks->limbo.bytes + atomic_load_explicit(&ks->reaping, memory_order_relaxed);

	/* What two dead values share is counted twice among them. */
	return ks->flat_bytes + (dead < mapped ? mapped - dead : 0);
}

uint64_t tree_used(const struct keyspace *ks)
{
	return tree_bytes(ks) - ks->nodes.idle;
}

uint64_t tree_limit(const struct keyspace *ks)
{
	uint64_t max = ks->options.memory_max ? ks->options.memory_max : UINT64_MAX;

	return max < ks->room_until ? max : ks->room_until;
}

bool tree_has_room(const struct keyspace *ks, int64_t more)
{
	uint64_t max = tree_limit(ks), used, less = more < 0 ? (uint64_t)-more : 0;

	if (max == UINT64_MAX)
		return true;
	used = tree_used(ks);
	return used - (less < used ? less : used) + (more > 0 ? (uint64_t)more : 0) <= max;
}

int tree_check_memory(struct keyspace *ks, int64_t more)
{
	if (more <= 0 || tree_has_room(ks, more))
		return 0;
	ks->wanted = (uint64_t)more;
	return -ENOSPC;
}

int tree_check_copy(const struct keyspace *ks)
{
	return ks->no_copies && ks->snapshot ? -ENOSPC : 0;
}

int tree_record(struct keyspace *ks, struct op *op, struct mutation *m)
{
	int err = times_reserve(&ks->times);

	m->now_ns = op->now_ns;
	m->seq = 0;
	if (!err && ks->observer.record)
		err = ks->observer.record(ks->observer.ctx, m);
	if (!err && ks->watcher.changed)
		ks->watcher.changed(ks->watcher.ctx, m);
	op->seq = err ? 0 : m->seq;
	return err;
}

int tree_birth_reserve(struct keyspace *ks, struct tree_birth *b, uint32_t parent, const char *name, size_t len, uint32_t mode,
                       const struct op *by)
{
	struct node *dir = node_at(&ks->nodes, parent);
	uint32_t owner = 0;
	int err;

	*b = (struct tree_birth){ .parent = parent };
	if (!dir->directory) {
		dir->directory = directory_new(&ks->directory_bytes);
		if (!dir->directory)
			return -ENOMEM;
	}
	err = directory_reserve(dir->directory, &ks->directory_bytes);
	if (!err)
		err = names_reserve(&ks->names);
	if (!err)
		err = node_name_reserve(&b->name, name, len);
	if (err)
		return err;
	if (by)
		err = owners_take(&ks->owners, by->uid, by->gid, &owner);
	if (err)
		goto err_name;
	b->node = node_new(&ks->nodes, &b->slot);
	if (!b->node) {
		err = -ENOMEM;
		goto err_owner;
	}
	b->node->mode = (uint16_t)mode;
	tree_set_owner(ks, b->node, owner);
	if (by)
		tree_born(ks, b->node, by->now_ns);
	b->hash = names_hash(&ks->names, parent, name, len);
	return 0;

err_owner:
	owners_drop(&ks->owners, owner);
err_name:
	node_name_abort(&b->name);
	return err;
}

void tree_birth_abort(struct keyspace *ks, struct tree_birth *b)
{
	node_name_abort(&b->name);
	times_drop(&ks->times, b->node);
	owners_drop(&ks->owners, b->node->owner);
	node_free(&ks->nodes, b->slot);
}

void tree_born(struct keyspace *ks, struct node *n, int64_t now_ns)
{
	times_set(&ks->times, n, &(struct node_times){ keyspace_atime_at(now_ns), now_ns, now_ns });
}

void tree_modified(struct keyspace *ks, struct node *n, int64_t now_ns)
{
	struct node_times times;

	times_get(&ks->times, n, &times);
	times.mtime_ns = times.ctime_ns = now_ns;
	times_set(&ks->times, n, &times);
}

void tree_changed(struct keyspace *ks, struct node *n, int64_t now_ns)
{
	struct node_times times;

	times_get(&ks->times, n, &times);
	times.ctime_ns = now_ns;
	times_set(&ks->times, n, &times);
}

void tree_set_owner(struct keyspace *ks, struct node *n, uint32_t owner)
{
	owners_drop(&ks->owners, n->owner);
	n->owner = owner & ((1u << OWNER_BITS) - 1);
}

static void count_name(struct keyspace *ks, const struct node *n, int64_t by)
{
	if (keyname_is_escaped(node_name(n), n->name_len))
		ks->escaped += (uint64_t)by;
}

void tree_set_name(struct keyspace *ks, struct node *n, struct node_name *name)
{
	count_name(ks, n, -1);
	node_name_set(&ks->nodes, n, name);
	count_name(ks, n, 1);
}

static void count_type(struct keyspace *ks, uint16_t mode, int64_t by)
{
	uint64_t *counter = S_ISREG(mode) ? &ks->keys : S_ISDIR(mode) ? &ks->directories : S_ISLNK(mode) ? &ks->symlinks : &ks->specials;
	*counter += (uint64_t)by;
}

void tree_enter_directory(struct keyspace *ks, struct node *n, uint32_t slot, uint32_t parent)
{
	struct directory *d = node_at(&ks->nodes, parent)->directory;

	n->parent = parent;
	n->cookie = directory_add(d, slot);
	if (node_is_dir(n))
		d->subdirectories++;
}

void tree_note_reach(struct keyspace *ks, uint32_t slot)
{
	const struct node *n = node_at(&ks->nodes, slot);
	uint32_t reach = node_is_dir(n) && n->directory ? n->directory->reach : 0;

	while (slot != ROOT_SLOT) {
		n = node_at(&ks->nodes, slot);
		reach = n->name_len + (reach ? reach + 1 : 0);
		if (reach > KEYSPACE_KEY_MAX)
			reach = KEYSPACE_KEY_MAX;     /* no path is longer */
		slot = n->parent;
		struct directory *above = node_at(&ks->nodes, slot)->directory;
		if (above->reach >= reach)
			break;
		above->reach = reach;
	}
}

void tree_leave_directory(struct keyspace *ks, struct node *n, uint32_t slot)
{
	struct directory *d = node_at(&ks->nodes, n->parent)->directory;

	names_remove(&ks->names, &ks->nodes, slot);
	directory_remove(d, n->cookie, &ks->directory_bytes);
	if (node_is_dir(n))
		d->subdirectories--;
}

void tree_birth_apply(struct keyspace *ks, struct tree_birth *b, int64_t now_ns)
{
	struct node *n = b->node;
	struct node *dir = node_at(&ks->nodes, b->parent);

	tree_set_name(ks, n, &b->name);
	n->flags |= NODE_NAMED;
	n->epoch = ks->epoch;
	lru_use(&ks->lru, b->slot, ks->keys);
	tree_enter_directory(ks, n, b->slot, b->parent);
	names_insert(&ks->names, &ks->nodes, b->slot, b->hash);
	tree_note_reach(ks, b->slot);
	count_type(ks, n->mode, 1);
	tree_modified(ks, dir, now_ns);
}

static void node_release(struct keyspace *ks, struct node *n, uint32_t slot)
{
	if (node_is_dir(n)) {
		directory_free(n->directory, &ks->directory_bytes);
	} else if (node_has_value(n)) {
		ks->flat_bytes -= value_flat_memory(n->value, n->size);
		value_unref_later(n->value, &ks->limbo);
	}
	tree_set_xattrs(ks, n, slot, NULL);
	tree_drop_extra(ks, n, slot);
	times_drop(&ks->times, n);
	owners_drop(&ks->owners, n->owner);
	node_free(&ks->nodes, slot);
}

void tree_detach(struct keyspace *ks, uint32_t slot, int64_t now_ns)
{
	struct node *n = node_at(&ks->nodes, slot);
	struct node *dir = node_at(&ks->nodes, n->parent);

	tree_leave_directory(ks, n, slot);
	tree_modified(ks, dir, now_ns);
	tree_drop_name(ks, n, slot, now_ns);
}

int tree_remove(struct keyspace *ks, struct op *op, uint32_t slot, enum mutation_kind kind)
{
	struct node *n = node_at(&ks->nodes, slot);
	struct node *dir = node_at(&ks->nodes, n->parent);
	uint32_t target = tree_target(ks, slot);

	int err = tree_touch(ks, n->parent);
	if (!err)
		err = tree_touch(ks, slot);
	if (err)
		return err;
	struct mutation m = { .kind = kind, .has_name = true, .id = node_id(node_at(&ks->nodes, target), target), .parent = node_id(dir, n->parent),
		              .name = node_name(n), .name_len = n->name_len };
	tree_attr(ks, n, slot, &m.node);
	err = tree_record(ks, op, &m);
	if (!err)
		tree_detach(ks, slot, op->now_ns);
	return err;
}

void tree_drop_name(struct keyspace *ks, struct node *n, uint32_t slot, int64_t now_ns)
{
	count_type(ks, n->mode, -1);
	count_name(ks, n, -1);
	if (n->flags & NODE_LINK) {
		tree_drop_link(ks, slot, now_ns);
		return;
	}
	if (tree_first_link(ks, slot)) {
		tree_promote_link(ks, slot, now_ns);
		return;
	}
	tree_set_expiry(ks, slot, 0);
	n->flags &= (uint8_t)~NODE_NAMED;
	n->parent = 0;
	if (n->nlookup) {
		ks->unlinked++;
		tree_changed(ks, n, now_ns);
	} else {
		node_release(ks, n, slot);
	}
}

void keyspace_forget(struct keyspace *ks, uint64_t id, uint64_t nlookup)
{
	uint32_t slot;

	keyspace_lock(ks);
	struct node *n = tree_node(ks, id, &slot);
	if (n && n->nlookup != UINT32_MAX) {
		n->nlookup = nlookup < n->nlookup ? n->nlookup - (uint32_t)nlookup : 0;
		if (n->nlookup == 0 && !(n->flags & NODE_NAMED)) {
			ks->unlinked--;
			node_release(ks, n, slot);
		}
	}
	keyspace_unlock(ks);
}

int tree_check_edit(struct keyspace *ks, const struct value_edit *e)
{
	/* While a snapshot runs, what is copied for others is its: it goes when the snapshot is done. */
	return tree_check_memory(ks, e->memory + (ks->snapshot ? 0 : e->shared));
}

void tree_commit_value(struct keyspace *ks, struct node *n, struct value_edit *e, uint64_t off, const void *data, size_t len)
{
	ks->flat_bytes -= value_flat_memory(n->value, n->size);
	e->limbo = &ks->limbo;
	n->value = value_edit_commit(e, off, data, len);
	n->size = e->size;
	ks->flat_bytes += value_flat_memory(n->value, n->size);
}

