/* link.c -- nodes with several names.  See tree.h, and keyspace.h for keyspace_link(). */
#include "store/tree.h"

#include <errno.h>
#include <string.h>

uint32_t tree_links(const struct keyspace *ks, uint32_t slot)
{
	const struct extra *x = tree_extra(ks, node_at(&ks->nodes, slot), slot);

	return x ? x->links : 0;
}

uint32_t tree_first_link(const struct keyspace *ks, uint32_t slot)
{
	const struct extra *x = tree_extra(ks, node_at(&ks->nodes, slot), slot);

	return x ? x->first_link : 0;
}

void tree_set_expiry(struct keyspace *ks, uint32_t slot, int64_t at_ms)
{
	const struct node *n = node_at(&ks->nodes, slot);
	uint64_t links = tree_links(ks, slot);

	if (n->flags & NODE_EXPIRES)
		ks->link_expires -= links;
	expiry_set(&ks->expiry, &ks->nodes, slot, at_ms);
	if (n->flags & NODE_EXPIRES)
		ks->link_expires += links;
}

/* ---- the list of further names ---- */

/* X is the extra of TARGET. */
static void list_add(struct keyspace *ks, struct extra *x, uint32_t target, uint32_t link)
{
	struct node *l = node_at(&ks->nodes, link);

	l->flags |= NODE_LINK;
	l->target = target;
	l->link_prev = 0;
	l->link_next = x->first_link;
	if (x->first_link)
		node_at(&ks->nodes, x->first_link)->link_prev = link;
	x->first_link = link;
	x->links++;
	ks->link_expires += (node_at(&ks->nodes, target)->flags & NODE_EXPIRES) != 0;
}

static void list_remove(struct keyspace *ks, uint32_t link)
{
	struct node *l = node_at(&ks->nodes, link);
	struct node *n = node_at(&ks->nodes, l->target);
	struct extra *x = tree_extra(ks, n, l->target);

	if (l->link_next)
		node_at(&ks->nodes, l->link_next)->link_prev = l->link_prev;
	if (l->link_prev)
		node_at(&ks->nodes, l->link_prev)->link_next = l->link_next;
	else
		x->first_link = l->link_next;
	x->links--;
	ks->link_expires -= (n->flags & NODE_EXPIRES) != 0;
	tree_trim_extra(ks, n, l->target);
}

void tree_drop_link(struct keyspace *ks, uint32_t link, int64_t now_ns)
{
	tree_changed(ks, node_at(&ks->nodes, node_at(&ks->nodes, link)->target), now_ns);
	list_remove(ks, link);
	node_free(&ks->nodes, link);
}

void tree_promote_link(struct keyspace *ks, uint32_t slot, int64_t now_ns)
{
	uint32_t link = tree_first_link(ks, slot);
	struct node *n = node_at(&ks->nodes, slot), *l = node_at(&ks->nodes, link);
	uint32_t hash = l->hash;

	names_remove(&ks->names, &ks->nodes, link);
	directory_replace(node_at(&ks->nodes, l->parent)->directory, l->cookie, slot);
	list_remove(ks, link);
	n->parent = l->parent;
	n->cookie = l->cookie;
	node_name_take(&ks->nodes, n, l);
	names_insert(&ks->names, &ks->nodes, slot, hash);
	node_free(&ks->nodes, link);
	tree_changed(ks, n, now_ns);
}

void tree_swap_places(struct keyspace *ks, uint32_t a_slot, uint32_t b_slot)
{
	struct node *a = node_at(&ks->nodes, a_slot), *b = node_at(&ks->nodes, b_slot);
	struct directory *a_dir = node_at(&ks->nodes, a->parent)->directory, *b_dir = node_at(&ks->nodes, b->parent)->directory;
	struct node old_a = *a;
	uint32_t hash_a = a->hash, hash_b = b->hash;

	names_remove(&ks->names, &ks->nodes, a_slot);
	names_remove(&ks->names, &ks->nodes, b_slot);
	directory_replace(a_dir, a->cookie, b_slot);
	directory_replace(b_dir, b->cookie, a_slot);
	if (node_is_dir(a) != node_is_dir(b)) {
		a_dir->subdirectories += node_is_dir(b) ? 1 : -1ull;
		b_dir->subdirectories += node_is_dir(a) ? 1 : -1ull;
	}
	a->parent = b->parent;
	a->cookie = b->cookie;
	a->name_len = b->name_len;
	memcpy(a->inline_name, b->inline_name, sizeof a->inline_name);
	b->parent = old_a.parent;
	b->cookie = old_a.cookie;
	b->name_len = old_a.name_len;
	memcpy(b->inline_name, old_a.inline_name, sizeof b->inline_name);
	names_insert(&ks->names, &ks->nodes, a_slot, hash_b);
	names_insert(&ks->names, &ks->nodes, b_slot, hash_a);
	tree_note_reach(ks, a_slot);
	tree_note_reach(ks, b_slot);
}

int tree_cut_loose(struct keyspace *ks, uint32_t slot, uint32_t *ret)
{
	uint32_t target = tree_target(ks, slot);
	const struct node *t = node_at(&ks->nodes, target);

	uint32_t link = slot == target ? tree_first_link(ks, target) : slot;
	struct xattrs *x = tree_xattrs(ks, t, target);
	struct node *n = node_at(&ks->nodes, link);
	struct value *v = NULL;
	struct node_times times;

	int err = expiry_reserve(&ks->expiry, link);
	if (!err)
		err = times_reserve(&ks->times);
	if (!err)
		err = tree_reserve_xattrs(ks, n, link, x);
	if (!err)
		err = value_copy(t->value, t->size, &v);
	if (err)
		return err;
	if (slot == target)     /* the node goes on under another name, and the further name that had that is what becomes a node here */
		tree_swap_places(ks, link, target);
	list_remove(ks, link);
	n->flags &= (uint8_t)~NODE_LINK;
	n->mode = t->mode;
	n->owner = 0;           /* where the place in the list was */
	owners_share(&ks->owners, t->owner);
	tree_set_owner(ks, n, t->owner);
	times_get(&ks->times, t, &times);
	times_set(&ks->times, n, &times);
	n->size = t->size;
	n->value = v;
	ks->flat_bytes += value_flat_memory(v, n->size);
	tree_set_xattrs(ks, n, link, xattrs_ref(x));
	tree_set_expiry(ks, link, tree_expiry(ks, target));
	*ret = link;
	return 0;
}

/* ---- a new one ---- */

static int check_target(struct keyspace *ks, const struct op *op, const struct node *n, uint32_t slot)
{
	if (node_is_dir(n))
		return -EPERM;
	if (!(n->flags & NODE_NAMED) || tree_is_over_for(ks, slot, op))
		return -ENOENT;
	return tree_links(ks, slot) + 1 >= KEYSPACE_LINK_MAX ? -EMLINK : 0;
}

static int add_name(struct keyspace *ks, struct op *op, uint64_t id, uint64_t parent, const char *name, size_t len, struct attr *ret)
{
	struct tree_birth b;
	struct node *dir;
	uint32_t slot, dir_slot;

	struct node *n = tree_node(ks, id, &slot);
	if (!n)
		return -ESTALE;
	int err = check_target(ks, op, n, slot);
	if (!err)
		err = tree_new_place(ks, op, parent, name, len, n->mode, &dir, &dir_slot);
	if (!err)
		err = tree_check_memory(ks, sizeof(struct node));
	if (!err)
		err = tree_touch(ks, dir_slot);
	if (!err)
		err = tree_touch(ks, slot);
	if (!err && !tree_make_extra(ks, n, slot))
		err = -ENOMEM;
	if (err)
		return err;
	err = tree_birth_reserve(ks, &b, dir_slot, name, len, n->mode & S_IFMT, NULL);
	if (err)
		goto err_extra;
	struct mutation m = { .kind = MUTATION_LINK, .has_name = true, .id = id, .parent = node_id(dir, dir_slot), .name = name, .name_len = len };
	tree_attr(ks, n, slot, &m.node);
	m.node.nlink++;
	m.node.ctime_ns = op->now_ns;
	err = tree_record(ks, op, &m);
	if (err)
		goto err_birth;
	tree_birth_apply(ks, &b, op->now_ns);
	list_add(ks, tree_extra(ks, n, slot), slot, b.slot);
	tree_changed(ks, n, op->now_ns);
	if (ret) {
		tree_count_lookup(n);
		tree_attr(ks, n, slot, ret);
	}
	return 0;

err_birth:
	tree_birth_abort(ks, &b);
err_extra:
	tree_trim_extra(ks, n, slot);
	return err;
}

int keyspace_link(struct keyspace *ks, struct op *op, uint64_t id, uint64_t parent, const char *name, size_t len, struct attr *ret)
{
	op->seq = 0;
	keyspace_lock(ks);
	int err = add_name(ks, op, id, parent, name, len, ret);
	keyspace_unlock(ks);
	return err;
}

uint64_t keyspace_next_name_locked(struct keyspace *ks, uint64_t id)
{
	const struct node *n = node_find(&ks->nodes, id);
	uint32_t next = !n ? 0 : n->flags & NODE_LINK ? n->link_next : tree_first_link(ks, (uint32_t)id);

	return next ? node_id(node_at(&ks->nodes, next), next) : 0;
}
