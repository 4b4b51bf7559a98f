/* value.c -- see value.h.
 *
 * A value is mapped if and only if its holder's size is above VALUE_CHUNK (or it is NULL, which is a hole of any size).
 * Bytes behind the size: a flat value's are garbage and are cleared when it grows; a mapped value's are zero, so that it can
 * grow without being touched.                                                                                            */
#include "store/value.h"
#include "store/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define MAPPED 0x80000000u                                          /* in ref: what follows is a map */
#define LEAF_BYTES ((uint64_t)VALUE_CHUNK * VALUE_LEAF_CHUNKS)

struct value {
	_Atomic uint32_t ref;
	char bytes[];
};

struct chunk {
	_Atomic uint32_t ref;
	char bytes[VALUE_CHUNK];
};

struct leaf {
	_Atomic uint32_t ref;
	struct chunk *chunk[VALUE_LEAF_CHUNKS];
};

struct map {
	_Atomic uint32_t ref;       /* with MAPPED; the same place as in struct value */
	uint32_t count;             /* of leaves; what lies behind them is a hole */
	struct leaf *leaf[];
};

static const char zeros[65536];

/* ---- references ---- */

static bool is_mapped(const struct value *v)
{
	return v && (atomic_load_explicit(&v->ref, memory_order_relaxed) & MAPPED);
}

static struct map *as_map(const struct value *v)
{
	return (struct map *)v;
}

/* Whether the holder of one reference is the only one.  Acquire: what a former holder read is read. */
static bool is_sole(const _Atomic uint32_t *ref)
{
	return (atomic_load_explicit(ref, memory_order_acquire) & ~MAPPED) == 1;
}

static void ref_more(_Atomic uint32_t *ref)
{
	atomic_fetch_add_explicit(ref, 1, memory_order_relaxed);
}

static bool ref_less(_Atomic uint32_t *ref)
{
	return (atomic_fetch_sub_explicit(ref, 1, memory_order_acq_rel) & ~MAPPED) == 1;
}

static void chunk_unref(struct chunk *c)
{
	if (c && ref_less(&c->ref))
		free(c);
}

static void leaf_unref(struct leaf *l)
{
	if (!l || !ref_less(&l->ref))
		return;
	for (int i = 0; i < VALUE_LEAF_CHUNKS; i++)
		chunk_unref(l->chunk[i]);
	free(l);
}

struct value *value_ref(struct value *v)
{
	if (v)
		ref_more(&v->ref);
	return v;
}

void value_unref(struct value *v)
{
	if (!v)
		return;
	bool mapped = is_mapped(v);
	if (!ref_less(&v->ref))
		return;
	if (mapped)
		for (uint32_t i = 0; i < as_map(v)->count; i++)
			leaf_unref(as_map(v)->leaf[i]);
	free(v);
}

/* ---- sizes ---- */

/* Bytes a flat value of SIZE bytes has room for: what malloc's rounding gives for small ones, then steps of an eighth, so that
 * appending byte by byte copies each byte a bounded number of times. */
static size_t flat_capacity(uint64_t size)
{
	if (size == 0)
		return 0;
	size_t want = size;
	if (size > 256) {
		size_t step = (size_t)1 << (63 - __builtin_clzll(size) - 3);
		want = (size + step - 1) / step * step;
	}
	size_t cap = memory_of(sizeof(struct value) + want) - MEMORY_OVERHEAD - sizeof(struct value);
	return cap < VALUE_CHUNK ? cap : VALUE_CHUNK;
}

static uint64_t flat_memory(uint64_t size)
{
	return size ? memory_of(sizeof(struct value) + flat_capacity(size)) : 0;
}

static uint64_t map_memory(uint32_t count)
{
	return memory_of(sizeof(struct map) + count * sizeof(struct leaf *));
}

uint64_t value_memory(const struct value *v, uint64_t size)
{
	if (!v)
		return 0;
	if (!is_mapped(v))
		return flat_memory(size);
	const struct map *m = as_map(v);
	uint64_t bytes = map_memory(m->count);
	for (uint32_t i = 0; i < m->count; i++) {
		if (!m->leaf[i])
			continue;
		bytes += memory_of(sizeof(struct leaf));
		for (int k = 0; k < VALUE_LEAF_CHUNKS; k++)
			if (m->leaf[i]->chunk[k])
				bytes += memory_of(sizeof(struct chunk));
	}
	return bytes;
}

/* ---- reading ---- */

static const struct chunk *map_chunk(const struct map *m, uint64_t off)
{
	uint64_t leaf = off / LEAF_BYTES;
	if (leaf >= m->count || !m->leaf[leaf])
		return NULL;
	return m->leaf[leaf]->chunk[off % LEAF_BYTES / VALUE_CHUNK];
}

/* The longest piece at OFF, at most LEN bytes. */
static size_t piece_at(const struct value *v, uint64_t off, size_t len, const char **ret)
{
	if (v && !is_mapped(v)) {
		*ret = v->bytes + off;
		return len;
	}
	const struct chunk *c = v ? map_chunk(as_map(v), off) : NULL;
	size_t in = off % VALUE_CHUNK;
	size_t piece = VALUE_CHUNK - in;
	if (!c) {
		*ret = zeros;
		piece = v ? piece : sizeof zeros;
	} else {
		*ret = c->bytes + in;
	}
	return piece < len ? piece : len;
}

void value_copy_out(const struct value *v, uint64_t size, uint64_t off, void *buf, size_t len)
{
	char *to = buf;

	assert(off + len <= size);
	(void)size;
	while (len) {
		const char *from;
		size_t n = piece_at(v, off, len, &from);
		memcpy(to, from, n);
		to += n, off += n, len -= n;
	}
}

int value_iov(const struct value *v, uint64_t size, uint64_t off, size_t len, struct iovec *iov, int max, size_t *ret_len)
{
	int count = 0;
	size_t done = 0;

	assert(off + len <= size);
	(void)size;
	while (done < len && count < max) {
		const char *from;
		size_t n = piece_at(v, off + done, len - done, &from);
		iov[count].iov_base = (void *)from;
		iov[count].iov_len = n;
		count++;
		done += n;
	}
	*ret_len = done;
	return count;
}

/* ---- preparing a change ---- */

static struct value *flat_new(uint64_t size)
{
	struct value *v = malloc(sizeof *v + flat_capacity(size));
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
	atomic_init(&m->ref, 1 | MAPPED);
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
			ref_more(&m->leaf[i]->ref);
	}
	return m;
}

/* Makes leaf I exist and be the map's own; *MEMORY grows by what was not there. */
static struct leaf *map_own_leaf(struct map *m, uint32_t i, int64_t *memory)
{
	struct leaf *old = m->leaf[i];
	if (old && is_sole(&old->ref))
		return old;
	struct leaf *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	atomic_init(&l->ref, 1);
	if (old) {
		for (int k = 0; k < VALUE_LEAF_CHUNKS; k++) {
			l->chunk[k] = old->chunk[k];
			if (l->chunk[k])
				ref_more(&l->chunk[k]->ref);
		}
		leaf_unref(old);
	} else {
		*memory += (int64_t)memory_of(sizeof *l);
	}
	m->leaf[i] = l;
	return l;
}

static struct chunk *leaf_own_chunk(struct leaf *l, unsigned k, int64_t *memory)
{
	struct chunk *old = l->chunk[k];
	if (old && is_sole(&old->ref))
		return old;
	struct chunk *c = malloc(sizeof *c);
	if (!c)
		return NULL;
	atomic_init(&c->ref, 1);
	if (old) {
		memcpy(c->bytes, old->bytes, VALUE_CHUNK);
		chunk_unref(old);
	} else {
		memset(c->bytes, 0, VALUE_CHUNK);
		*memory += (int64_t)memory_of(sizeof *c);
	}
	l->chunk[k] = c;
	return c;
}

/* Makes the chunks of [OFF, OFF + LEN) exist and be the map's own.  Whatever it got done when memory ran out shows nowhere. */
static int map_own_range(struct map *m, uint64_t off, uint64_t len, int64_t *memory)
{
	for (uint64_t at = off / VALUE_CHUNK; len && at <= (off + len - 1) / VALUE_CHUNK; at++) {
		struct leaf *l = map_own_leaf(m, (uint32_t)(at / VALUE_LEAF_CHUNKS), memory);
		if (!l || !leaf_own_chunk(l, at % VALUE_LEAF_CHUNKS, memory))
			return -ENOMEM;
	}
	return 0;
}

static uint32_t leaves_for(uint64_t size)
{
	return (uint32_t)((size + LEAF_BYTES - 1) / LEAF_BYTES);
}

/* Sets E->next to a map that E may change and that has room for LEAVES. */
static int edit_own_map(struct value_edit *e, uint32_t leaves)
{
	if (is_mapped(e->old)) {
		struct map *old = as_map(e->old);
		if (is_sole(&old->ref) && old->count >= leaves)
			return 0;
		uint32_t count = old->count > leaves ? old->count : leaves;
		if (leaves > old->count && old->count > 0 && count < old->count * 2)
			count = old->count * 2;
		struct map *m = map_from(old, count);
		if (!m)
			return -ENOMEM;
		e->next = (struct value *)m;
		e->memory += (int64_t)map_memory(count) - (int64_t)map_memory(old->count);
		return 0;
	}
	struct map *m = map_new(leaves ? leaves : 1);
	if (!m)
		return -ENOMEM;
	e->next = (struct value *)m;
	e->memory += (int64_t)map_memory(m->count);
	if (!e->old)
		return 0;
	struct leaf *l = map_own_leaf(m, 0, &e->memory);
	struct chunk *c = l ? leaf_own_chunk(l, 0, &e->memory) : NULL;
	if (!c)
		return -ENOMEM;
	memcpy(c->bytes, e->old->bytes, e->old_size);
	e->memory -= (int64_t)flat_memory(e->old_size);
	return 0;
}

static void edit_init(struct value_edit *e, struct value *v, uint64_t old_size, uint64_t size)
{
	*e = (struct value_edit){ .old = v, .next = v, .old_size = old_size, .size = size };
}

static int edit_flat(struct value_edit *e)
{
	if (e->old && is_sole(&e->old->ref) && flat_capacity(e->old_size) == flat_capacity(e->size))
		return 0;
	e->next = flat_from(e->old, e->old_size, e->size);
	if (!e->next) {
		e->next = e->old;
		return -ENOMEM;
	}
	e->memory = (int64_t)flat_memory(e->size) - (int64_t)(e->old ? flat_memory(e->old_size) : 0);
	return 0;
}

int value_edit_write(struct value_edit *e, struct value *v, uint64_t old_size, uint64_t off, size_t len)
{
	uint64_t end = off + len;
	int err;

	edit_init(e, v, old_size, old_size > end ? old_size : end);
	e->off = off;
	e->len = len;
	if (len == 0 && end <= old_size)
		return 0;
	if (e->size <= VALUE_CHUNK)
		return edit_flat(e);
	err = edit_own_map(e, leaves_for(end));
	if (!err)
		err = map_own_range(as_map(e->next), off, len, &e->memory);
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
	struct map *m = as_map(e->next);
	uint64_t last = (e->size - 1) / VALUE_CHUNK;
	uint32_t i = (uint32_t)(last / VALUE_LEAF_CHUNKS);
	if (i >= m->count || !m->leaf[i])
		return 0;
	struct leaf *l = map_own_leaf(m, i, &e->memory);
	if (!l)
		return -ENOMEM;
	if (e->size % VALUE_CHUNK && l->chunk[last % VALUE_LEAF_CHUNKS] &&
	    !leaf_own_chunk(l, last % VALUE_LEAF_CHUNKS, &e->memory))
		return -ENOMEM;
	return 0;
}

int value_edit_resize(struct value_edit *e, struct value *v, uint64_t old_size, uint64_t size)
{
	int err = 0;

	edit_init(e, v, old_size, size);
	if (!v || size == old_size)
		return 0;
	if (size == 0) {
		e->next = NULL;
		e->memory = -(int64_t)value_memory(v, old_size);
	} else if (size <= VALUE_CHUNK) {
		if (is_mapped(v)) {
			e->next = flat_from(v, old_size, size);
			if (!e->next)
				e->next = v, err = -ENOMEM;
			else
				e->memory = (int64_t)flat_memory(size) - (int64_t)value_memory(v, old_size);
		} else {
			err = edit_flat(e);
		}
	} else if (size < old_size) {
		err = edit_cut(e);
	} else if (!is_mapped(v)) {
		err = edit_own_map(e, 1);
	}
	if (err)
		value_edit_abort(e);
	return err;
}

/* Gives chunk K back when it is all zeros: a hole reads the same. */
static void leaf_drop_zeros(struct leaf *l, unsigned k, int64_t *memory)
{
	struct chunk *c = l->chunk[k];
	if (!c || memcmp(c->bytes, zeros, VALUE_CHUNK) != 0)
		return;
	l->chunk[k] = NULL;
	chunk_unref(c);
	*memory -= (int64_t)memory_of(sizeof *c);
}

static void map_drop_empty_leaf(struct map *m, uint32_t i, int64_t *memory)
{
	for (int k = 0; k < VALUE_LEAF_CHUNKS; k++)
		if (m->leaf[i]->chunk[k])
			return;
	leaf_unref(m->leaf[i]);
	m->leaf[i] = NULL;
	*memory -= (int64_t)memory_of(sizeof(struct leaf));
}

/* Undoes map_own_range() in a map that stays: a write that is refused must not leave memory behind where a hole was. */
static void map_drop_zeros(struct map *m, uint64_t off, uint64_t len, int64_t *memory)
{
	for (uint64_t at = off / VALUE_CHUNK; len && at <= (off + len - 1) / VALUE_CHUNK; at++) {
		uint64_t i = at / VALUE_LEAF_CHUNKS;
		unsigned k = at % VALUE_LEAF_CHUNKS;
		if (i >= m->count)
			return;
		if (!m->leaf[i] || !is_sole(&m->leaf[i]->ref))
			continue;
		leaf_drop_zeros(m->leaf[i], k, memory);
		if (k == VALUE_LEAF_CHUNKS - 1 || at == (off + len - 1) / VALUE_CHUNK)
			map_drop_empty_leaf(m, (uint32_t)i, memory);
	}
}

void value_edit_abort(struct value_edit *e)
{
	if (e->next == e->old) {
		if (is_mapped(e->old) && is_sole(&e->old->ref))
			map_drop_zeros(as_map(e->old), e->off, e->len, &e->memory);
		return;
	}
	value_unref(e->next);
	e->next = e->old;
	e->memory = 0;
}

/* ---- making it happen ---- */

static void map_drop_behind(struct map *m, uint64_t size, int64_t *memory)
{
	uint64_t keep = (size + VALUE_CHUNK - 1) / VALUE_CHUNK;
	for (uint32_t i = (uint32_t)(keep / VALUE_LEAF_CHUNKS); i < m->count; i++) {
		struct leaf *l = m->leaf[i];
		if (!l)
			continue;
		unsigned first = i == keep / VALUE_LEAF_CHUNKS ? keep % VALUE_LEAF_CHUNKS : 0;
		for (unsigned k = first; k < VALUE_LEAF_CHUNKS; k++)
			if (l->chunk[k])
				*memory -= (int64_t)memory_of(sizeof(struct chunk));
		if (first == 0) {
			*memory -= (int64_t)memory_of(sizeof *l);
			leaf_unref(l);
			m->leaf[i] = NULL;
			continue;
		}
		for (unsigned k = first; k < VALUE_LEAF_CHUNKS; k++) {
			chunk_unref(l->chunk[k]);
			l->chunk[k] = NULL;
		}
	}
	struct chunk *last = (struct chunk *)map_chunk(m, size - 1);
	if (last && size % VALUE_CHUNK)
		memset(last->bytes + size % VALUE_CHUNK, 0, VALUE_CHUNK - size % VALUE_CHUNK);
}

struct value *value_edit_commit(struct value_edit *e, uint64_t off, const void *data, size_t len)
{
	struct value *v = e->next;

	if (is_mapped(v)) {
		if (e->size < e->old_size)
			map_drop_behind(as_map(v), e->size, &e->memory);
		for (const char *from = data; len;) {
			struct chunk *c = (struct chunk *)map_chunk(as_map(v), off);
			assert(c);      /* value_edit_write() made it */
			size_t in = off % VALUE_CHUNK;
			size_t n = VALUE_CHUNK - in < len ? VALUE_CHUNK - in : len;
			memcpy(c->bytes + in, from, n);
			from += n, off += n, len -= n;
		}
	} else if (v) {
		if (v == e->old && e->size > e->old_size)
			memset(v->bytes + e->old_size, 0, e->size - e->old_size);
		if (len)
			memcpy(v->bytes + off, data, len);
	}
	if (v != e->old)
		value_unref(e->old);
	return v;
}
