/* value.c -- see value.h: references, sizes, reading.  Changes are in value_edit.c. */
#include "store/value_inside.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

const char value_zeros[VALUE_ZEROS];

/* One for the process, as the allocator is: chunks are shared by keyspaces, and freed by readers and snapshots without a lock. */
static _Atomic uint64_t mapped_bytes;

void value_count_mapped(int64_t bytes)
{
	if (bytes)
		atomic_fetch_add_explicit(&mapped_bytes, (uint64_t)bytes, memory_order_relaxed);
}

uint64_t value_mapped_bytes(void)
{
	return atomic_load_explicit(&mapped_bytes, memory_order_relaxed);
}

/* ---- references ---- */

static bool ref_less(_Atomic uint32_t *ref)
{
	return (atomic_fetch_sub_explicit(ref, 1, memory_order_acq_rel) & ~VALUE_MAPPED) == 1;
}

/* One for the process, as the allocator is.   K lock */
static struct {
	pthread_mutex_t lock;
	_Atomic unsigned max;
	struct chunk *first;        /* K */
	unsigned count;             /* K */
} spare = { .lock = PTHREAD_MUTEX_INITIALIZER };

void value_keep_chunks(unsigned max)
{
	pthread_mutex_lock(&spare.lock);
	atomic_store(&spare.max, max);
	while (spare.count > max) {
		struct chunk *c = spare.first;
		spare.first = c->next;
		spare.count--;
		free(c);
	}
	pthread_mutex_unlock(&spare.lock);
}

static struct chunk *take_spare(void)
{
	struct chunk *c;

	pthread_mutex_lock(&spare.lock);
	c = spare.first;
	if (c) {
		spare.first = c->next;
		spare.count--;
	}
	pthread_mutex_unlock(&spare.lock);
	return c;
}

static bool keep_spare(struct chunk *c)
{
	bool kept;

	pthread_mutex_lock(&spare.lock);
	kept = spare.count < atomic_load_explicit(&spare.max, memory_order_relaxed);
	if (kept) {
		c->next = spare.first;
		spare.first = c;
		spare.count++;
	}
	pthread_mutex_unlock(&spare.lock);
	return kept;
}

static bool keeps_spare(void)
{
	return atomic_load_explicit(&spare.max, memory_order_relaxed) > 0;
}

struct chunk *chunk_new(void)
{
	struct chunk *c = keeps_spare() ? take_spare() : NULL;

	if (!c)
		c = malloc(sizeof *c);
	if (c)
		atomic_init(&c->ref, 1);
	return c;
}

static void chunk_free(struct chunk *c)
{
	value_count_mapped(-(int64_t)memory_of(sizeof *c));
	if (!keeps_spare() || !keep_spare(c))
		free(c);
}

void chunk_unref_later(struct chunk *c, struct value_limbo *limbo)
{
	if (!c || !ref_less(&c->ref))
		return;
	if (limbo) {
		c->next = limbo->chunks;
		limbo->chunks = c;
		limbo->bytes += memory_of(sizeof *c);
	} else {
		chunk_free(c);
	}
}

void chunk_unref(struct chunk *c)
{
	chunk_unref_later(c, NULL);
}

unsigned leaf_chunks(const struct leaf *l)
{
	unsigned count = 0;

	for (int i = 0; i < VALUE_LEAF_CHUNKS; i++)
		count += l->chunk[i] != NULL;
	return count;
}

static uint64_t leaf_memory(const struct leaf *l)
{
	return memory_of(sizeof *l) + leaf_chunks(l) * memory_of(sizeof(struct chunk));
}

static void leaf_free(struct leaf *l)
{
	for (int i = 0; i < VALUE_LEAF_CHUNKS; i++)
		chunk_unref(l->chunk[i]);
	value_count_mapped(-(int64_t)memory_of(sizeof *l));
	free(l);
}

void leaf_unref_later(struct leaf *l, struct value_limbo *limbo)
{
	if (!l || !ref_less(&l->ref))
		return;
	if (limbo) {
		l->next = limbo->leaves;
		limbo->leaves = l;
		limbo->bytes += leaf_memory(l);
	} else {
		leaf_free(l);
	}
}

void leaf_unref(struct leaf *l)
{
	leaf_unref_later(l, NULL);
}

struct value *value_ref(struct value *v)
{
	if (v)
		value_ref_more(&v->ref);
	return v;
}

static uint64_t map_memory(const struct map *m)
{
	return value_map_memory(m->count) + m->leaves * memory_of(sizeof(struct leaf)) + m->chunks * memory_of(sizeof(struct chunk));
}

/* The leaves that nobody else holds go to LIMBO, NULL: they are freed. */
static void map_free(struct map *m, struct value_limbo *limbo)
{
	for (uint32_t i = 0; i < m->count; i++)
		leaf_unref_later(m->leaf[i], limbo);
	value_count_mapped(-(int64_t)value_map_memory(m->count));
	free(m);
}

void value_unref_later(struct value *v, struct value_limbo *limbo)
{
	if (!v)
		return;
	bool mapped = value_is_mapped(v);
	if (!ref_less(&v->ref))
		return;
	if (!mapped) {
		free(v);
	} else if (limbo) {
		limbo->bytes += map_memory(value_map(v));
		value_map(v)->next = limbo->maps;
		limbo->maps = value_map(v);
	} else {
		map_free(value_map(v), NULL);
	}
}

void value_unref(struct value *v)
{
	value_unref_later(v, NULL);
}

void value_limbo_step(struct value_limbo *l)
{
	struct map *m = l->maps;
	struct leaf *leaf = l->leaves;
	struct chunk *c = l->chunks;

	if (c) {
		l->chunks = c->next;
		l->bytes -= memory_of(sizeof *c);
		chunk_free(c);
	} else if (leaf) {
		l->leaves = leaf->next;
		l->bytes -= leaf_memory(leaf);
		leaf_free(leaf);
	} else if (m) {
		l->maps = m->next;
		l->bytes -= map_memory(m);
		map_free(m, l);
	}
}

void value_limbo_free(struct value_limbo *l)
{
	while (!value_limbo_is_empty(l))
		value_limbo_step(l);
}

/* ---- sizes ---- */

/* What malloc's rounding gives for small ones, then steps of an eighth, so that appending byte by byte copies each byte a bounded number of
 * times. */
size_t value_flat_capacity(uint64_t size)
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

uint64_t value_map_memory(uint32_t count)
{
	return memory_of(sizeof(struct map) + count * sizeof(struct leaf *));
}

uint64_t value_flat_memory(const struct value *v, uint64_t size)
{
	if (!v || value_is_mapped(v) || !size)
		return 0;
	return memory_of(sizeof(struct value) + value_flat_capacity(size));
}

uint64_t value_memory(const struct value *v, uint64_t size)
{
	if (!value_is_mapped(v))
		return value_flat_memory(v, size);
	return map_memory(value_map(v));
}

/* ---- reading ---- */

const char *value_hole(void)
{
	return value_zeros;
}

const struct chunk *map_chunk(const struct map *m, uint64_t off)
{
	uint64_t leaf = off / VALUE_LEAF_BYTES;
	if (leaf >= m->count || !m->leaf[leaf])
		return NULL;
	return m->leaf[leaf]->chunk[off % VALUE_LEAF_BYTES / VALUE_CHUNK];
}

/* The longest piece at OFF, at most LEN bytes. */
static size_t piece_at(const struct value *v, uint64_t off, size_t len, const char **ret)
{
	if (v && !value_is_mapped(v)) {
		*ret = v->bytes + off;
		return len;
	}
	const struct chunk *c = v ? map_chunk(value_map(v), off) : NULL;
	size_t in = off % VALUE_CHUNK;
	size_t piece = VALUE_CHUNK - in;
	if (!c) {
		*ret = value_zeros;
		piece = v ? piece : sizeof value_zeros;
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

uint64_t value_seek(const struct value *v, uint64_t size, uint64_t off, bool data)
{
	if (!value_is_mapped(v)) {
		bool stops = data == (v != NULL);
		return stops && off < size ? off : size;
	}
	const struct map *m = value_map(v);
	while (off < size) {
		uint64_t i = off / VALUE_LEAF_BYTES;
		bool leaf = i < m->count && m->leaf[i];
		if (leaf ? (map_chunk(m, off) != NULL) == data : !data)
			return off;
		uint64_t step = leaf ? VALUE_CHUNK : VALUE_LEAF_BYTES;
		off = off / step * step + step;
	}
	return size;
}
