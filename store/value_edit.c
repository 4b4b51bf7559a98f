/* value_edit.c -- changes of a value: see value.h, value_inside.h.  Copies from another value are in value_copy.c. */
#include "store/copy.h"
#include "store/value_build.h"
#include "store/value_inside.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- preparing a change ---- */

static struct value *flat_new(uint64_t size)
{
	struct value *v = malloc(sizeof *v + value_flat_capacity(size));
	if (v)
		atomic_init(&v->ref, 1);
	return v;
}

/* A flat value of SIZE bytes that begins with what OLD has; zeros behind it. */
static struct value *flat_from(const struct value *old, uint64_t old_size, uint64_t size)
{
	struct value *v = flat_new(size);
	if (!v)
		return NULL;
	uint64_t keep = old_size < size ? old_size : size;
	value_copy_out(old, old_size, 0, v->bytes, keep);
	memset(v->bytes + keep, 0, size - keep);
	return v;
}

static struct map *map_new(uint32_t count)
{
	struct map *m = calloc(1, sizeof *m + count * sizeof(struct leaf *));
	if (!m)
		return NULL;
	atomic_init(&m->ref, 1 | VALUE_MAPPED);
	m->count = count;
	return m;
}

/* A map of its own with COUNT leaves, sharing those of OLD. */
static struct map *map_from(const struct map *old, uint32_t count)
{
	struct map *m = map_new(count);
	if (!m)
		return NULL;
	for (uint32_t i = 0; i < old->count && i < count; i++) {
		m->leaf[i] = old->leaf[i];
		if (m->leaf[i])
			value_ref_more(&m->leaf[i]->ref);
	}
	m->leaves = old->leaves;
	m->chunks = old->chunks;
	return m;
}

/* E has allocated BYTES of a map; IN_PLACE: of something whose other holders keep it. */
static void edit_took(struct value_edit *e, size_t bytes, bool in_place)
{
	e->taken += (int64_t)bytes;
	if (in_place)
		e->shared += (int64_t)bytes;
	else
		e->memory += (int64_t)bytes;
}

struct leaf *edit_own_leaf(struct value_edit *e, struct map *m, uint64_t i)
{
	struct leaf *old = m->leaf[i];
	if (old && value_is_sole(&old->ref))
		return old;
	struct leaf *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	atomic_init(&l->ref, 1);
	edit_took(e, memory_of(sizeof *l), old != NULL);
	if (old) {
		for (int k = 0; k < VALUE_LEAF_CHUNKS; k++) {
			l->chunk[k] = old->chunk[k];
			if (l->chunk[k])
				value_ref_more(&l->chunk[k]->ref);
		}
		leaf_unref(old);
	} else {
		m->leaves++;
	}
	m->leaf[i] = l;
	return l;
}

/* BLANK: a new one needs no zeros. */
static struct chunk *own_chunk(struct value_edit *e, struct map *m, struct leaf *l, unsigned k, bool blank)
{
	struct chunk *old = l->chunk[k];
	if (old && value_is_sole(&old->ref))
		return old;
	struct chunk *c = chunk_new();
	if (!c)
		return NULL;
	edit_took(e, memory_of(sizeof *c), old != NULL);
	if (old) {
		memcpy(c->bytes, old->bytes, VALUE_CHUNK);
		chunk_unref(old);
	} else {
		if (!blank)
			memset(c->bytes, 0, VALUE_CHUNK);
		m->chunks++;
	}
	l->chunk[k] = c;
	return c;
}

struct chunk *edit_own_chunk(struct value_edit *e, struct map *m, struct leaf *l, unsigned k)
{
	return own_chunk(e, m, l, k, false);
}

/* Whether chunk AT holds nothing yet, and will hold what is written and nothing else. */
static bool is_written_whole(const struct value_edit *e, uint64_t at)
{
	uint64_t start = at * VALUE_CHUNK;

	return e->write && start >= e->old_size && start >= e->off && start + VALUE_CHUNK <= e->off + e->len;
}

/* Whatever it got done when memory ran out shows nowhere. */
int edit_own_range(struct value_edit *e, uint64_t off, uint64_t len)
{
	struct map *m = value_map(e->next);

	for (uint64_t at = off / VALUE_CHUNK; len && at <= (off + len - 1) / VALUE_CHUNK; at++) {
		struct leaf *l = edit_own_leaf(e, m, at / VALUE_LEAF_CHUNKS);
		if (!l || !own_chunk(e, m, l, at % VALUE_LEAF_CHUNKS, is_written_whole(e, at)))
			return -ENOMEM;
	}
	return 0;
}

static uint32_t leaves_for(uint64_t size)
{
	return (uint32_t)((size + VALUE_LEAF_BYTES - 1) / VALUE_LEAF_BYTES);
}

int edit_own_map(struct value_edit *e, uint64_t end)
{
	uint32_t leaves = leaves_for(end);

	if (value_is_mapped(e->old)) {
		struct map *old = value_map(e->old);
		bool sole = value_is_sole(&old->ref);
		if (sole && old->count >= leaves)
			return 0;
		uint32_t count = old->count > leaves ? old->count : leaves;
		if (leaves > old->count && old->count > 0 && count < old->count * 2)
			count = old->count * 2;
		struct map *m = map_from(old, count);
		if (!m)
			return -ENOMEM;
		e->next = (struct value *)m;
		e->taken += (int64_t)value_map_memory(count);
		e->memory += (int64_t)value_map_memory(count) - (int64_t)value_map_memory(old->count);
		if (!sole)
			e->shared += (int64_t)value_map_memory(old->count);
		return 0;
	}
	struct map *m = map_new(leaves ? leaves : 1);
	if (!m)
		return -ENOMEM;
	e->next = (struct value *)m;
	edit_took(e, value_map_memory(m->count), false);
	if (!e->old)
		return 0;
	struct leaf *l = edit_own_leaf(e, m, 0);
	struct chunk *c = l ? edit_own_chunk(e, m, l, 0) : NULL;
	if (!c)
		return -ENOMEM;
	memcpy(c->bytes, e->old->bytes, e->old_size);
	e->memory -= (int64_t)value_flat_memory(e->old, e->old_size);
	return 0;
}

void edit_init(struct value_edit *e, struct value *v, uint64_t old_size, uint64_t size)
{
	*e = (struct value_edit){ .old = v, .next = v, .old_size = old_size, .size = size };
}

int edit_flat(struct value_edit *e)
{
	if (e->old && value_is_sole(&e->old->ref) && value_flat_capacity(e->old_size) == value_flat_capacity(e->size))
		return 0;
	e->next = flat_from(e->old, e->old_size, e->size);
	if (!e->next) {
		e->next = e->old;
		return -ENOMEM;
	}
	e->memory = (int64_t)value_flat_memory(e->next, e->size) - (int64_t)value_flat_memory(e->old, e->old_size);
	return 0;
}

int value_edit_write(struct value_edit *e, struct value *v, uint64_t old_size, uint64_t off, size_t len)
{
	uint64_t end = off + len;
	int err;

	edit_init(e, v, old_size, old_size > end ? old_size : end);
	e->write = true;
	e->off = off;
	e->len = len;
	if (len == 0 && end <= old_size)
		return 0;
	if (e->size <= VALUE_CHUNK && !value_is_mapped(v))
		return edit_flat(e);
	err = e->size > VALUE_SIZE_MAX ? -EFBIG : edit_own_map(e, end);
	if (!err)
		err = edit_own_range(e, off, len);
	if (err)
		value_edit_abort(e);
	return err;
}

/* A mapped value loses what lies behind SIZE: commit needs the leaf and the chunk at the cut to be its own. */
static int edit_cut(struct value_edit *e)
{
	int err = edit_own_map(e, 0);
	if (err)
		return err;
	struct map *m = value_map(e->next);
	uint64_t last = (e->size - 1) / VALUE_CHUNK;
	uint32_t i = (uint32_t)(last / VALUE_LEAF_CHUNKS);
	if (i >= m->count || !m->leaf[i])
		return 0;
	struct leaf *l = edit_own_leaf(e, m, i);
	if (!l)
		return -ENOMEM;
	if (e->size % VALUE_CHUNK && l->chunk[last % VALUE_LEAF_CHUNKS] && !edit_own_chunk(e, m, l, last % VALUE_LEAF_CHUNKS))
		return -ENOMEM;
	return 0;
}

int value_edit_resize(struct value_edit *e, struct value *v, uint64_t old_size, uint64_t size)
{
	int err = 0;

	edit_init(e, v, old_size, size);
	if (!v || size == old_size)
		return 0;
	if (size > VALUE_SIZE_MAX) {
		err = -EFBIG;
	} else if (size == 0) {
		e->next = NULL;
		e->memory = -(int64_t)value_memory(v, old_size);
	} else if (size <= VALUE_CHUNK && (size < old_size || !value_is_mapped(v))) {
		if (value_is_mapped(v)) {
			e->next = flat_from(v, old_size, size);
			if (!e->next)
				e->next = v, err = -ENOMEM;
			else
				e->memory = (int64_t)value_flat_memory(e->next, size) - (int64_t)value_memory(v, old_size);
		} else {
			err = edit_flat(e);
		}
	} else if (size < old_size) {
		err = edit_cut(e);
	} else if (!value_is_mapped(v)) {
		err = edit_own_map(e, 1);
	}
	if (err)
		value_edit_abort(e);
	return err;
}

int value_edit_reserve(struct value_edit *e, struct value *v, uint64_t old_size, uint64_t off, uint64_t len, uint64_t size)
{
	int err;

	edit_init(e, v, old_size, size);
	e->off = off;
	e->len = len;
	if (len == 0)
		return 0;
	if (off + len <= size && size <= VALUE_CHUNK && !value_is_mapped(v))
		return edit_flat(e);
	err = off + len > VALUE_SIZE_MAX || size > VALUE_SIZE_MAX ? -EFBIG : edit_own_map(e, off + len);
	if (!err)
		err = edit_own_range(e, off, len);
	if (err)
		value_edit_abort(e);
	return err;
}

uint64_t value_missing(const struct value *v, uint64_t off, uint64_t len)
{
	uint64_t missing = 0, end = off + len;

	if (len == 0)
		return 0;
	for (uint64_t at = off / VALUE_LEAF_BYTES; at <= (end - 1) / VALUE_LEAF_BYTES; at++) {
		uint64_t from = at * VALUE_LEAF_BYTES > off ? at * VALUE_LEAF_BYTES : off;
		uint64_t to = (at + 1) * VALUE_LEAF_BYTES < end ? (at + 1) * VALUE_LEAF_BYTES : end;
		const struct leaf *l = value_is_mapped(v) && at < value_map(v)->count ? value_map(v)->leaf[at] : NULL;

		for (uint64_t c = from / VALUE_CHUNK; l && c <= (to - 1) / VALUE_CHUNK; c++)
			missing += l->chunk[c % VALUE_LEAF_CHUNKS] ? 0 : memory_of(sizeof(struct chunk));
		if (!l)
			missing += memory_of(sizeof *l) + ((to - 1) / VALUE_CHUNK - from / VALUE_CHUNK + 1) * memory_of(sizeof(struct chunk));
	}
	return missing;
}

/* The end of a range of zeros: one that goes up to the end of the value takes its last chunk whole, for there is nothing behind. */
static uint64_t zero_end(const struct value_edit *e)
{
	uint64_t end = e->off + e->len;

	return end < e->size ? end : (end + VALUE_CHUNK - 1) / VALUE_CHUNK * VALUE_CHUNK;
}

int edit_own_edge(struct value_edit *e, uint64_t off)
{
	struct map *m = value_map(e->next);
	uint64_t i = off / VALUE_LEAF_BYTES;
	unsigned k = off % VALUE_LEAF_BYTES / VALUE_CHUNK;

	if (off % VALUE_LEAF_BYTES == 0 || i >= m->count || !m->leaf[i])
		return 0;
	struct leaf *l = edit_own_leaf(e, m, i);
	if (!l)
		return -ENOMEM;
	return off % VALUE_CHUNK && l->chunk[k] && !edit_own_chunk(e, m, l, k) ? -ENOMEM : 0;
}

int value_edit_zero(struct value_edit *e, struct value *v, uint64_t old_size, uint64_t off, uint64_t len, uint64_t size)
{
	int err;

	edit_init(e, v, old_size, size);
	e->zero = true;
	e->off = off;
	e->len = len;
	if (!v)
		return 0;
	if (size > VALUE_SIZE_MAX)
		err = -EFBIG;
	else if (size <= VALUE_CHUNK && !value_is_mapped(v))
		err = edit_flat(e);
	else
		err = edit_own_map(e, 1);
	if (!err && value_is_mapped(e->next))
		err = edit_own_edge(e, off);
	if (!err && value_is_mapped(e->next))
		err = edit_own_edge(e, zero_end(e));
	if (err)
		value_edit_abort(e);
	return err;
}

void edit_drop_chunk(struct value_edit *e, struct map *m, struct leaf *l, unsigned k)
{
	if (!l->chunk[k])
		return;
	chunk_unref_later(l->chunk[k], e->limbo);
	l->chunk[k] = NULL;
	m->chunks--;
	e->memory -= (int64_t)memory_of(sizeof(struct chunk));
}

void edit_drop_leaf(struct value_edit *e, struct map *m, uint64_t i)
{
	unsigned chunks;

	if (!m->leaf[i])
		return;
	chunks = leaf_chunks(m->leaf[i]);
	leaf_unref_later(m->leaf[i], e->limbo);
	m->leaf[i] = NULL;
	m->leaves--;
	m->chunks -= chunks;
	e->memory -= (int64_t)(memory_of(sizeof(struct leaf)) + chunks * memory_of(sizeof(struct chunk)));
}

void edit_drop_leaf_if_empty(struct value_edit *e, struct map *m, uint64_t i)
{
	if (m->leaf[i] && leaf_chunks(m->leaf[i]) == 0)
		edit_drop_leaf(e, m, i);
}

/* Chunks FROM up to but not TO of the map become holes.  A leaf of which some stay is the map's own. */
static void edit_drop_chunks(struct value_edit *e, struct map *m, uint64_t from, uint64_t to)
{
	if (to > (uint64_t)m->count * VALUE_LEAF_CHUNKS)
		to = (uint64_t)m->count * VALUE_LEAF_CHUNKS;
	while (from < to) {
		uint64_t i = from / VALUE_LEAF_CHUNKS, end = (i + 1) * VALUE_LEAF_CHUNKS;
		unsigned first = from % VALUE_LEAF_CHUNKS;

		if (first == 0 && to >= end)
			edit_drop_leaf(e, m, i);
		for (uint64_t at = from; m->leaf[i] && at < to && at < end; at++)
			edit_drop_chunk(e, m, m->leaf[i], at % VALUE_LEAF_CHUNKS);
		edit_drop_leaf_if_empty(e, m, i);
		from = end;
	}
}

/* Undoes edit_own_range() in a map that stays: what is refused must not leave memory behind where a hole was. */
static void map_drop_zeros(struct value_edit *e, struct map *m)
{
	uint64_t at = e->off / VALUE_CHUNK, end = e->len ? (e->off + e->len - 1) / VALUE_CHUNK + 1 : at;

	for (; at < end && at / VALUE_LEAF_CHUNKS < m->count; at++) {
		struct leaf *l = m->leaf[at / VALUE_LEAF_CHUNKS];
		unsigned k = at % VALUE_LEAF_CHUNKS;
		if (!l || !value_is_sole(&l->ref))
			continue;
		if (l->chunk[k] && (is_written_whole(e, at) || memcmp(l->chunk[k]->bytes, value_zeros, VALUE_CHUNK) == 0))
			edit_drop_chunk(e, m, l, k);
		if ((k == VALUE_LEAF_CHUNKS - 1 || at == end - 1) && leaf_chunks(l) == 0)
			edit_drop_leaf(e, m, at / VALUE_LEAF_CHUNKS);
	}
}

void value_edit_abort(struct value_edit *e)
{
	value_count_mapped(e->taken);
	e->taken = e->shared = 0;
	if (e->next == e->old) {
		if (value_is_mapped(e->old) && value_is_sole(&e->old->ref))
			map_drop_zeros(e, value_map(e->old));
		return;
	}
	value_unref(e->next);
	e->next = e->old;
	e->memory = 0;
}

/* ---- making it happen ---- */

static void map_cut(struct value_edit *e, struct map *m)
{
	edit_drop_chunks(e, m, (e->size + VALUE_CHUNK - 1) / VALUE_CHUNK, UINT64_MAX);
	struct chunk *last = (struct chunk *)map_chunk(m, e->size - 1);
	if (last && e->size % VALUE_CHUNK)
		memset(last->bytes + e->size % VALUE_CHUNK, 0, VALUE_CHUNK - e->size % VALUE_CHUNK);
}

static void map_write(struct map *m, uint64_t off, const char *from, size_t len)
{
	const bool large = len >= COPY_LARGE;

	while (len) {
		struct chunk *c = (struct chunk *)map_chunk(m, off);
		assert(c);      /* value_edit_write() made it */
		size_t in = off % VALUE_CHUNK;
		size_t n = VALUE_CHUNK - in < len ? VALUE_CHUNK - in : len;
		if (large)
			copy_past_caches(c->bytes + in, from, n);
		else
			memcpy(c->bytes + in, from, n);
		from += n, off += n, len -= n;
	}
}

static void chunk_clear(struct map *m, uint64_t off, uint64_t end)
{
	struct chunk *c = (struct chunk *)map_chunk(m, off);

	if (c && end > off)
		memset(c->bytes + off % VALUE_CHUNK, 0, end - off);
}

/* [OFF, OFF + LEN) becomes zeros: what lies at its edges is the map's own (value_edit_zero()). */
static void map_zero(struct value_edit *e, struct map *m)
{
	uint64_t end = zero_end(e), first = e->off / VALUE_CHUNK, last = end / VALUE_CHUNK;

	if (first == last) {
		chunk_clear(m, e->off, end);
		return;
	}
	if (e->off % VALUE_CHUNK)
		chunk_clear(m, e->off, ++first * VALUE_CHUNK);
	chunk_clear(m, last * VALUE_CHUNK, end);
	edit_drop_chunks(e, m, first, last);
}

static void flat_commit(struct value_edit *e, struct value *v, uint64_t off, const void *data, size_t len)
{
	if (v == e->old && e->size > e->old_size)
		memset(v->bytes + e->old_size, 0, e->size - e->old_size);
	if (e->zero && e->off < e->size)
		memset(v->bytes + e->off, 0, e->len < e->size - e->off ? e->len : e->size - e->off);
	if (len)
		memcpy(v->bytes + off, data, len);
}

struct value *value_edit_commit(struct value_edit *e, uint64_t off, const void *data, size_t len)
{
	struct value *v = e->next;

	value_count_mapped(e->taken);
	e->taken = e->shared = 0;
	if (value_is_mapped(v)) {
		if (e->size < e->old_size)
			map_cut(e, value_map(v));
		if (e->zero)
			map_zero(e, value_map(v));
		map_write(value_map(v), off, data, len);
	} else if (v) {
		flat_commit(e, v, off, data, len);
	}
	if (e->copy && v)
		edit_commit_copy(e, v);
	if (v != e->old)
		value_unref_later(e->old, value_is_mapped(v) ? NULL : e->limbo);    /* a map that grew has its leaves still */
	return v;
}

static struct value *hole_new(void)
{
	struct map *m = map_new(1);

	if (m)
		value_count_mapped((int64_t)value_map_memory(1));
	return (struct value *)m;
}

struct value *value_new(const void *data, size_t len)
{
	struct value_build b = { 0 };
	struct value *v;

	if (len == 0)
		return NULL;
	if (len > VALUE_CHUNK) {
		if (value_build_add(&b, 0, data, len) == 0 && !b.value)
			b.value = hole_new();    /* NULL would say that there is no memory */
		else if (b.size < len)
			value_build_drop(&b);
		return b.value;
	}
	v = flat_new(len);
	if (v)
		memcpy(v->bytes, data, len);
	return v;
}

int value_stage(uint64_t off, const void *data, size_t len, struct value **ret, uint64_t *ret_from)
{
	uint64_t from = off % VALUE_CHUNK;
	struct value_edit e;

	int err = value_edit_write(&e, NULL, 0, from, len);
	if (err)
		return err;
	*ret = value_edit_commit(&e, from, data, len);
	*ret_from = from;
	return 0;
}

int value_copy(struct value *v, uint64_t size, struct value **ret)
{
	struct value *copy = v && !value_is_mapped(v) ? value_new(v->bytes, size) : value_ref(v);

	if (v && size && !copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}
