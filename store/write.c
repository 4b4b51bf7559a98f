/* write.c -- bytes of a caller become bytes of a value.  See keyspace.h and tree.h.
 *
 * Much of it is copied before S is taken, into chunks of its own (the stage), which the value then takes in the place of those it has there; only what
 * they have in common with others, at both ends, is copied under S.  The observer gets it when S is released.                               */
#include "store/copy.h"
#include "store/tree.h"

#include <errno.h>

/* {0}: the bytes are not much. */
struct stage {
	struct value *value;      /* NULL: there was no room for it */
	uint64_t from;            /* where in it the bytes begin */
	bool later;               /* the observer may come to them later, and wants to when NUMBER is not 0 */
	unsigned number;
};

static void stage_drop(struct stage *s)
{
	value_unref(s->value);
	s->value = NULL;
}

/* LEN bytes at OFF of N by E: those of S, if there is room for them and for what they replace at the same time. */
static int prepare(struct keyspace *ks, struct node *n, uint64_t off, size_t len, struct stage *s, struct value_edit *e)
{
	int err;

	if (s->value) {
		err = value_edit_copy(e, n->value, n->size, off, s->value, s->from + len, s->from, len);
		if (err)
			return err;
		if (tree_has_room(ks, e->memory))
			return 0;
		value_edit_abort(e);
		stage_drop(s);
	}
	err = value_edit_write(e, n->value, n->size, off, len);
	if (err)
		return err;
	err = tree_check_edit(ks, e);
	if (err)
		value_edit_abort(e);
	return err;
}

static int write_locked(struct keyspace *ks, struct op *op, uint64_t id, uint64_t off, const void *data, size_t len, struct stage *s)
{
	struct value_edit e;
	uint32_t slot;

	struct node *n = tree_node(ks, id, &slot);
	if (!n)
		return -ESTALE;
	if (!S_ISREG(n->mode))
		return node_is_dir(n) ? -EISDIR : -EINVAL;
	if (off > ks->options.value_max || len > ks->options.value_max - off)
		return -EFBIG;
	if (len == 0)
		return 0;
	/* The pre-image takes its reference first: then the edit copies what the snapshot still needs. */
	lru_use(&ks->lru, slot, ks->keys);
	int err = tree_check_copy(ks);
	if (!err)
		err = tree_touch(ks, slot);
	if (!err)
		err = prepare(ks, n, off, len, s, &e);
	if (err)
		return err;
	struct mutation m = { .kind = MUTATION_WRITE, .has_name = n->flags & NODE_NAMED, .id = id, .old_size = n->size,
		              .off = off, .data = data, .len = len, .later = s->later && ks->observer.take_data };
	tree_attr(ks, n, slot, &m.node);
	m.node.size = e.size;
	m.node.mtime_ns = m.node.ctime_ns = op->now_ns;
	err = tree_record(ks, op, &m);
	if (err) {
		value_edit_abort(&e);
		return err;
	}
	s->number = m.number;
	if (s->value)
		tree_commit_value(ks, n, &e, 0, NULL, 0);
	else
		tree_commit_value(ks, n, &e, off, data, len);
	tree_modified(ks, n, op->now_ns);
	return 0;
}

int tree_write(struct keyspace *ks, struct op *op, uint64_t id, uint64_t off, const void *data, size_t len)
{
	return write_locked(ks, op, id, off, data, len, &(struct stage){ 0 });
}

int keyspace_write(struct keyspace *ks, struct op *op, uint64_t id, uint64_t off, const void *data, size_t len)
{
	struct stage s = { .later = len >= COPY_LARGE };

	op->seq = 0;
	int err = s.later ? value_stage(off, data, len, &s.value, &s.from) : 0;
	if (err)
		return err;
	keyspace_lock(ks);
	err = write_locked(ks, op, id, off, data, len, &s);
	keyspace_unlock(ks);
	stage_drop(&s);
	if (s.number)
		ks->observer.take_data(ks->observer.ctx, s.number, data, len);
	return err;
}
