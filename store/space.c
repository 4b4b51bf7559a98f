/* space.c -- the operations that change what memory a value has: reservations, zeros that are holes, copies that share.  See keyspace.h. */
#include "store/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/sysinfo.h>

enum {
	PIECE = VALUE_CHUNK * VALUE_LEAF_CHUNKS,    /* bytes reserved under one hold of S */
	COPIED_MAX = 256 << 10,     /* bytes copied under one hold of S */
	CHUNKS_MAX = 64 << 20,      /* bytes shared, chunk by chunk */
	LEAVES_MAX = 1 << 30,       /* bytes shared, leaf by leaf */
	WRITTEN_MAX = 4096,         /* bytes of a copy that is as well a write */
};

/* The regular file ID, of which LEN bytes at OFF are concerned. */
static int find_file(struct keyspace *ks, uint64_t id, uint64_t off, uint64_t len, struct node **ret, uint32_t *ret_slot)
{
	struct node *n = tree_node(ks, id, ret_slot);

	if (!n)
		return -ESTALE;
	if (!S_ISREG(n->mode))
		return node_is_dir(n) ? -EISDIR : -ENODEV;
	if (off > ks->options.value_max || len > ks->options.value_max - off)
		return -EFBIG;
	*ret = n;
	return 0;
}

/* Whether there is room for MORE bytes at all: what no limit bounds is bounded by the machine's memory. */
static int check_room(struct keyspace *ks, uint64_t more)
{
	struct sysinfo info;
	uint64_t machine = sysinfo(&info) < 0 ? UINT64_MAX : (uint64_t)info.totalram * info.mem_unit;
	uint64_t used = tree_bytes(ks);

	if (more > INT64_MAX || more > machine || used > machine - more)
		return -ENOSPC;
	return tree_check_memory(ks, (int64_t)more);
}

static int reserve_piece(struct keyspace *ks, uint64_t id, uint64_t off, uint64_t len)
{
	struct value_edit e;
	struct node *n;
	uint32_t slot;

	int err = find_file(ks, id, off, len, &n, &slot);
	if (err)
		return err;
	err = value_edit_reserve(&e, n->value, n->size, off, len, n->size);
	if (err)
		return err;
	err = tree_check_edit(ks, &e);
	if (err)
		value_edit_abort(&e);
	else
		tree_commit_value(ks, n, &e, 0, NULL, 0);
	return err;
}

/* Gives back what was reserved: once it is the value's own, a reservation that is forgotten takes all chunks of zeros with it. */
static void give_back(struct keyspace *ks, uint64_t id, uint64_t off, uint64_t len)
{
	struct value_edit e;
	struct node *n;
	uint32_t slot;

	if (find_file(ks, id, off, len, &n, &slot) < 0 || value_edit_reserve(&e, n->value, n->size, off, len, n->size) < 0)
		return;
	tree_commit_value(ks, n, &e, 0, NULL, 0);
	if (value_edit_reserve(&e, n->value, n->size, off, len, n->size) == 0)
		value_edit_abort(&e);
}

static int reserve_all(struct keyspace *ks, uint64_t id, uint64_t off, uint64_t len)
{
	uint64_t end = off + len, at = off;
	struct node *n;
	uint32_t slot;

	keyspace_lock(ks);
	int err = find_file(ks, id, off, len, &n, &slot);
	if (!err)
		err = check_room(ks, value_missing(n->value, off, len));
	keyspace_unlock(ks);
	while (!err && at < end) {
		uint64_t next = at / PIECE * PIECE + PIECE;
		if (next > end)
			next = end;
		keyspace_lock(ks);
		err = reserve_piece(ks, id, at, next - at);
		if (err)
			give_back(ks, id, off, at - off);
		keyspace_unlock(ks);
		at = next;
	}
	return err;
}

/* The last steps of a change of the node in SLOT: M, which says what it is, is told with the state after, and E made true. */
static int finish(struct keyspace *ks, struct op *op, uint32_t slot, struct value_edit *e, struct mutation *m)
{
	struct node *n = node_at(&ks->nodes, slot);

	int err = tree_check_edit(ks, e);
	m->has_name = n->flags & NODE_NAMED;
	m->id = node_id(n, slot);
	m->old_size = n->size;
	tree_attr(ks, n, slot, &m->node);
	m->node.size = e->size;
	m->node.mtime_ns = m->node.ctime_ns = op->now_ns;
	if (!err)
		err = tree_record(ks, op, m);
	if (err) {
		value_edit_abort(e);
		return err;
	}
	tree_commit_value(ks, n, e, 0, NULL, 0);
	tree_modified(ks, n, op->now_ns);
	return 0;
}

/* The size becomes the end of the range, which it is not yet, with memory for all of that. */
static int grow(struct keyspace *ks, struct op *op, uint32_t slot, uint64_t off, uint64_t len)
{
	const struct attr_change c = { .mask = ATTR_SIZE, .size = off + len };
	struct node *n = node_at(&ks->nodes, slot);
	struct value_edit e;

	int err = tree_touch(ks, slot);
	if (!err)
		err = value_edit_reserve(&e, n->value, n->size, off, len, off + len);
	if (err)
		return err;
	struct mutation m = { .kind = MUTATION_SETATTR, .change = &c };
	return finish(ks, op, slot, &e, &m);
}

/* Also where there is nothing to do the times move, as on a tmpfs.  When that is refused, what is reserved stays so. */
static int only_times(struct keyspace *ks, struct op *op, uint64_t id)
{
	const struct attr_change c = { .mask = ATTR_MTIME | ATTR_CTIME, .mtime_ns = op->now_ns, .ctime_ns = op->now_ns };
	struct attr a;

	return keyspace_setattr(ks, op, id, &c, &a);
}

int keyspace_reserve(struct keyspace *ks, struct op *op, uint64_t id, uint64_t off, uint64_t len, bool keep_size)
{
	/* What is flat then is one allocation, and has to have its size. */
	bool grows, flat = !keep_size && len <= VALUE_CHUNK && off <= VALUE_CHUNK - len;
	struct node *n;
	uint32_t slot;

	op->seq = 0;
	if (len == 0 || off + len < off)
		return len ? -EFBIG : -EINVAL;
	int err = flat ? 0 : reserve_all(ks, id, off, len);
	if (err)
		return err;
	if (!flat && keep_size)
		return only_times(ks, op, id);
	keyspace_lock(ks);
	err = find_file(ks, id, off, len, &n, &slot);
	grows = !err && n->size < off + len;
	if (grows)
		err = grow(ks, op, slot, off, len);
	keyspace_unlock(ks);
	if (err || grows)
		return err;
	if (flat)
		err = reserve_all(ks, id, off, len);
	return err ? err : only_times(ks, op, id);
}

/* 1: there is nothing to make zeros of. */
static int zero(struct keyspace *ks, struct op *op, uint64_t id, uint64_t off, uint64_t len, bool keep_size)
{
	struct value_edit e;
	struct node *n;
	uint32_t slot;

	int err = find_file(ks, id, off, keep_size ? 0 : len, &n, &slot);
	if (err == -EFBIG && keep_size)
		return 1;
	if (err)
		return err;
	if (keep_size && off >= n->size)
		return 1;
	if (keep_size && len > n->size - off)
		len = n->size - off;
	err = tree_touch(ks, slot);
	if (err)
		return err;
	err = value_edit_zero(&e, n->value, n->size, off, len, off + len > n->size ? off + len : n->size);
	if (err)
		return err;
	struct mutation m = { .kind = MUTATION_ZERO, .off = off, .len = len };
	return finish(ks, op, slot, &e, &m);
}

int keyspace_zero(struct keyspace *ks, struct op *op, uint64_t id, uint64_t off, uint64_t len, bool keep_size)
{
	op->seq = 0;
	if (len == 0 || off + len < off)
		return len ? -EFBIG : -EINVAL;
	keyspace_lock(ks);
	int err = zero(ks, op, id, off, len, keep_size);
	keyspace_unlock(ks);
	return err > 0 ? only_times(ks, op, id) : err;
}

/* A copy of little, or of what nobody will find after a restart, is a write. */
static int copy_by_write(struct keyspace *ks, struct op *op, const struct node *from, uint64_t from_off, uint64_t id, uint64_t off, size_t len)
{
	char *data = malloc(len);

	if (!data)
		return -ENOMEM;
	value_copy_out(from->value, from->size, from_off, data, len);
	int err = tree_write(ks, op, id, off, data, len);
	free(data);
	return err;
}

static int copy_range(struct keyspace *ks, struct op *op, struct node *from, uint64_t from_id, uint64_t from_off, struct node *n, uint32_t slot,
                      uint64_t off, uint64_t len)
{
	struct value_edit e;

	int err = tree_touch(ks, slot);
	if (!err)
		err = value_edit_copy(&e, n->value, n->size, off, from->value, from->size, from_off, len);
	if (err)
		return err;
	struct mutation m = { .kind = MUTATION_COPY, .off = off, .len = len, .from = from_id, .from_off = from_off };
	return finish(ks, op, slot, &e, &m);
}

/* How much may be copied under one hold of S, from FROM_OFF to OFF. */
static uint64_t copy_max(uint64_t from_off, uint64_t off)
{
	if (from_off % PIECE == off % PIECE)
		return LEAVES_MAX;
	return from_off % VALUE_CHUNK == off % VALUE_CHUNK ? CHUNKS_MAX : COPIED_MAX;
}

static int copy(struct keyspace *ks, struct op *op, uint64_t from_id, uint64_t from_off, uint64_t id, uint64_t off, uint64_t *len)
{
	struct node *from, *n;
	uint32_t from_slot, slot;

	int err = find_file(ks, from_id, 0, 0, &from, &from_slot);
	if (!err && from_off >= from->size)
		*len = 0;
	if (!err && *len > from->size - from_off)
		*len = *len ? from->size - from_off : 0;
	if (!err)
		err = find_file(ks, id, off, *len, &n, &slot);
	if (err || *len == 0)
		return err;
	if (from_slot == slot && off < from_off + *len && from_off < off + *len)
		return -EINVAL;
	bool named = (from->flags & NODE_NAMED) || !(n->flags & NODE_NAMED);
	uint64_t most = named ? copy_max(from_off, off) : COPIED_MAX;
	if (*len > most)
		*len = most;
	if (!named || *len <= WRITTEN_MAX)
		return copy_by_write(ks, op, from, from_off, id, off, *len);
	return copy_range(ks, op, from, from_id, from_off, n, slot, off, *len);
}

int keyspace_copy(struct keyspace *ks, struct op *op, uint64_t from_id, uint64_t from_off, uint64_t id, uint64_t off, uint64_t len, uint64_t *ret_len)
{
	op->seq = 0;
	if (off + len < off || from_off + len < from_off)
		return -EFBIG;
	keyspace_lock(ks);
	int err = copy(ks, op, from_id, from_off, id, off, &len);
	keyspace_unlock(ks);
	if (!err)
		*ret_len = len;
	return err;
}
