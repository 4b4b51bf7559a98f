/* tree.c -- see tree.h. */
#include "store/tree.h"
#include "store/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- finding ---- */

struct node *tree_node(struct keyspace *ks, uint64_t id, uint32_t *ret_slot)
{
	*ret_slot = (uint32_t)id;
	return node_find(&ks->nodes, id);
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

static uint32_t link_count(const struct node *n)
{
	if (!(n->flags & NODE_NAMED))
		return 0;
	if (!node_is_dir(n))
		return 1;
	uint64_t links = 2 + (n->directory ? n->directory->subdirectories : 0);
	return links < UINT32_MAX ? (uint32_t)links : UINT32_MAX;
}

void tree_attr(struct keyspace *ks, const struct node *n, uint32_t slot, struct attr *ret)
{
	(void)ks;
	*ret = (struct attr){
		.id = node_id(n, slot),
		.size = n->size,
		.atime_ns = n->atime_ns,
		.mtime_ns = n->mtime_ns,
		.ctime_ns = n->ctime_ns,
		.mode = n->mode,
		.uid = n->uid,
		.gid = n->gid,
		.nlink = link_count(n),
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

/* ---- changing ---- */

uint64_t tree_bytes(const struct keyspace *ks)
{
	return ks->nodes.bytes + ks->names.bytes + ks->expiry.bytes + ks->directory_bytes + ks->value_bytes;
}

int tree_check_memory(const struct keyspace *ks, int64_t more)
{
	uint64_t max = ks->options.memory_max;

	if (!max || more <= 0)
		return 0;
	uint64_t now = tree_bytes(ks);
	return now > max || (uint64_t)more > max - now ? -ENOSPC : 0;
}

int tree_record(struct keyspace *ks, struct op *op, struct mutation *m)
{
	int err = 0;

	m->now_ns = op->now_ns;
	m->seq = 0;
	if (ks->observer.record)
		err = ks->observer.record(ks->observer.ctx, m);
	op->seq = err ? 0 : m->seq;
	return err;
}

int tree_birth_reserve(struct keyspace *ks, struct tree_birth *b, uint32_t parent, const char *name, size_t len, uint32_t mode)
{
	struct node *dir = node_at(&ks->nodes, parent);
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
	b->node = node_new(&ks->nodes, &b->slot);
	if (!b->node) {
		node_name_abort(&b->name);
		return -ENOMEM;
	}
	b->node->mode = (uint16_t)mode;
	b->hash = names_hash(&ks->names, parent, name, len);
	return 0;
}

void tree_birth_abort(struct keyspace *ks, struct tree_birth *b)
{
	node_name_abort(&b->name);
	node_free(&ks->nodes, b->slot);
}

static void count_type(struct keyspace *ks, uint16_t mode, int64_t by)
{
	uint64_t *counter = S_ISDIR(mode) ? &ks->directories : S_ISLNK(mode) ? &ks->symlinks : &ks->keys;
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

	node_name_set(&ks->nodes, n, &b->name);
	n->flags |= NODE_NAMED;
	n->epoch = ks->epoch;
	tree_enter_directory(ks, n, b->slot, b->parent);
	names_insert(&ks->names, &ks->nodes, b->slot, b->hash);
	count_type(ks, n->mode, 1);
	dir->mtime_ns = dir->ctime_ns = now_ns;
}

static void node_release(struct keyspace *ks, struct node *n, uint32_t slot)
{
	if (node_is_dir(n)) {
		directory_free(n->directory, &ks->directory_bytes);
	} else {
		ks->value_bytes -= value_memory(n->value, n->size);
		value_unref(n->value);
	}
	node_free(&ks->nodes, slot);
}

void tree_detach(struct keyspace *ks, uint32_t slot, int64_t now_ns)
{
	struct node *n = node_at(&ks->nodes, slot);
	struct node *dir = node_at(&ks->nodes, n->parent);

	tree_leave_directory(ks, n, slot);
	dir->mtime_ns = dir->ctime_ns = now_ns;
	tree_drop_name(ks, n, slot, now_ns);
}

void tree_drop_name(struct keyspace *ks, struct node *n, uint32_t slot, int64_t now_ns)
{
	expiry_set(&ks->expiry, &ks->nodes, slot, 0);
	count_type(ks, n->mode, -1);
	n->flags &= (uint8_t)~NODE_NAMED;
	n->parent = 0;
	n->ctime_ns = now_ns;
	if (n->nlookup)
		ks->unlinked++;
	else
		node_release(ks, n, slot);
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

void tree_commit_value(struct keyspace *ks, struct node *n, struct value_edit *e, uint64_t off, const void *data, size_t len)
{
	n->value = value_edit_commit(e, off, data, len);
	n->size = e->size;
	ks->value_bytes += (uint64_t)e->memory;
}

void tree_abort_value(struct keyspace *ks, struct value_edit *e)
{
	value_edit_abort(e);
	ks->value_bytes += (uint64_t)e->memory;
	e->memory = 0;
}
