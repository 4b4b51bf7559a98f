/* value_copy.c -- copying a range of one value to another, or within one: whole chunks are shared where both have them at the same offset in a
 * chunk, and whole leaves likewise; else the bytes are copied.  See value.h, value_inside.h. */
#include "store/value_inside.h"

#include <errno.h>
#include <string.h>

/* The chunks FIRST up to but not LAST of the target, which the copy shares; the bytes before and behind are copied. */
struct shared_range {
	uint64_t first, last;
};

static bool is_aligned(const struct value_edit *e, uint64_t unit)
{
	return e->off % unit == e->from % unit;
}

static bool is_shared(const struct value_edit *e)
{
	return (!e->source || value_is_mapped(e->source)) && is_aligned(e, VALUE_CHUNK);
}

/* The last chunk is shared though the copy ends in it, when nothing stands behind the end in either.  Within one value the first bytes of the copy may
 * stand there. */
static struct shared_range shared_range(const struct value_edit *e)
{
	uint64_t end = e->off + e->len;
	bool ends = e->from + e->len == e->source_size && end >= e->old_size && e->source != e->old;
	struct shared_range r = { (e->off + VALUE_CHUNK - 1) / VALUE_CHUNK, (ends ? end + VALUE_CHUNK - 1 : end) / VALUE_CHUNK };

	if (!is_shared(e) || r.first >= r.last)
		r.first = r.last = UINT64_MAX;
	return r;
}

/* Whether leaf I of the target is shared whole. */
static bool takes_leaf(const struct value_edit *e, const struct shared_range *r, uint64_t i)
{
	return is_aligned(e, VALUE_LEAF_BYTES) && r->first <= i * VALUE_LEAF_CHUNKS && r->last >= (i + 1) * VALUE_LEAF_CHUNKS;
}

/* What is copied of the bytes before chunk R->first (HEAD) or behind chunk R->last. */
static uint64_t edge(const struct value_edit *e, const struct shared_range *r, bool head, uint64_t *ret_off)
{
	uint64_t end = e->off + e->len;

	if (r->first == UINT64_MAX) {
		*ret_off = e->off;
		return head ? e->len : 0;
	}
	*ret_off = head ? e->off : r->last * VALUE_CHUNK;
	if (head)
		return r->first * VALUE_CHUNK - e->off;
	return end > *ret_off ? end - *ret_off : 0;
}

static int own_edges(struct value_edit *e, const struct shared_range *r)
{
	uint64_t off, len = edge(e, r, true, &off);
	int err = edit_own_range(e, off, len);

	if (err)
		return err;
	len = edge(e, r, false, &off);
	return edit_own_range(e, off, len);
}

static int own_leaves(struct value_edit *e, const struct shared_range *r)
{
	for (uint64_t at = r->first; at < r->last; at = (at / VALUE_LEAF_CHUNKS + 1) * VALUE_LEAF_CHUNKS)
		if (!takes_leaf(e, r, at / VALUE_LEAF_CHUNKS) && !edit_own_leaf(e, value_map(e->next), at / VALUE_LEAF_CHUNKS))
			return -ENOMEM;
	return 0;
}

int value_edit_copy(struct value_edit *e, struct value *v, uint64_t old_size, uint64_t off, struct value *source, uint64_t source_size, uint64_t from,
                    uint64_t len)
{
	uint64_t end = off + len;
	int err;

	edit_init(e, v, old_size, old_size > end ? old_size : end);
	e->copy = true;
	e->off = off;
	e->len = len;
	e->source = source;
	e->source_size = source_size;
	e->from = from;
	if (e->size <= VALUE_CHUNK && !value_is_mapped(v))
		return v || source ? edit_flat(e) : 0;
	if (!v && !source)
		return 0;
	struct shared_range r = shared_range(e);
	err = e->size > VALUE_SIZE_MAX ? -EFBIG : edit_own_map(e, end);
	if (!err)
		err = own_edges(e, &r);
	if (!err)
		err = own_leaves(e, &r);
	if (err)
		value_edit_abort(e);
	return err;
}

/* The bytes of the source for LEN bytes at OFF of the target. */
static void copy_bytes(const struct value_edit *e, struct value *v, uint64_t off, uint64_t len)
{
	uint64_t from = e->from + (off - e->off);

	if (!value_is_mapped(v)) {
		value_copy_out(e->source, e->source_size, from, v->bytes + off, len);
		return;
	}
	while (len) {
		struct chunk *c = (struct chunk *)map_chunk(value_map(v), off);
		size_t in = off % VALUE_CHUNK, n = VALUE_CHUNK - in < len ? VALUE_CHUNK - in : len;
		value_copy_out(e->source, e->source_size, from, c->bytes + in, n);
		off += n, from += n, len -= n;
	}
}

static void share_leaf(struct value_edit *e, struct map *m, uint64_t i)
{
	const struct map *source = e->source ? value_map(e->source) : NULL;
	uint64_t from = i - e->off / VALUE_LEAF_BYTES + e->from / VALUE_LEAF_BYTES;
	struct leaf *l = source && from < source->count ? source->leaf[from] : NULL;

	if (l)
		value_ref_more(&l->ref);
	edit_drop_leaf(e, m, i);
	m->leaf[i] = l;
	if (!l)
		return;
	m->leaves++;
	m->chunks += leaf_chunks(l);
	e->memory += (int64_t)(memory_of(sizeof *l) + leaf_chunks(l) * memory_of(sizeof(struct chunk)));
}

static void share_chunk(struct value_edit *e, struct map *m, uint64_t at)
{
	uint64_t from = at - e->off / VALUE_CHUNK + e->from / VALUE_CHUNK;
	struct chunk *c = e->source ? (struct chunk *)map_chunk(value_map(e->source), from * VALUE_CHUNK) : NULL;
	struct leaf *l = m->leaf[at / VALUE_LEAF_CHUNKS];

	if (c)
		value_ref_more(&c->ref);
	edit_drop_chunk(e, m, l, at % VALUE_LEAF_CHUNKS);
	l->chunk[at % VALUE_LEAF_CHUNKS] = c;
	m->chunks += c != NULL;
	e->memory += c ? (int64_t)memory_of(sizeof *c) : 0;
}

void edit_commit_copy(struct value_edit *e, struct value *v)
{
	struct shared_range r = shared_range(e);
	uint64_t off, len, at;

	if (!value_is_mapped(v))
		r.first = r.last = UINT64_MAX;
	len = edge(e, &r, true, &off);
	copy_bytes(e, v, off, len);
	len = edge(e, &r, false, &off);
	copy_bytes(e, v, off, len);
	for (at = r.first; at < r.last;) {
		if (takes_leaf(e, &r, at / VALUE_LEAF_CHUNKS)) {
			share_leaf(e, value_map(v), at / VALUE_LEAF_CHUNKS);
			at += VALUE_LEAF_CHUNKS;
		} else {
			share_chunk(e, value_map(v), at++);
			if (at % VALUE_LEAF_CHUNKS == 0 || at == r.last)
				edit_drop_leaf_if_empty(e, value_map(v), (at - 1) / VALUE_LEAF_CHUNKS);
		}
	}
}
