/* value_inside.h -- how a value is made, for the files of store/value*.c.
 *
 * A value is mapped if its holder's size is above VALUE_CHUNK (or it is NULL, which is a hole of any size); a smaller one may be mapped too,
 * when room behind its end was reserved.
 * Bytes behind the size: a flat value's are garbage and are cleared when it grows; a mapped value's are zero, so that it can
 * grow without being touched.
 *
 * Chunks, leaves and maps are counted where they are allocated and freed, whoever holds them and however many do (value_mapped_bytes()).  What an
 * edit allocates is counted when the edit ends, so that a check of the limit in between sees it once.                                      */
#ifndef KVFS_STORE_VALUE_INSIDE_H
#define KVFS_STORE_VALUE_INSIDE_H

#include "store/memory.h"
#include "store/value.h"

#include <stdatomic.h>

#define VALUE_MAPPED 0x80000000u                                    /* in ref: what follows is a map */
#define VALUE_LEAF_BYTES ((uint64_t)VALUE_CHUNK * VALUE_LEAF_CHUNKS)

struct value {
	_Atomic uint32_t ref;
	char bytes[];
};

struct chunk {
	_Atomic uint32_t ref;
	union {
		char bytes[VALUE_CHUNK];
		struct chunk *next;         /* in a limbo */
	};
};

struct leaf {
	_Atomic uint32_t ref;
	struct leaf *next;          /* in a limbo, as in a map */
	struct chunk *chunk[VALUE_LEAF_CHUNKS];
};

struct map {
	_Atomic uint32_t ref;       /* with VALUE_MAPPED; the same place as in struct value */
	uint32_t count;             /* of leaves there is room for; what lies behind them is a hole */
	uint32_t leaves;            /* that are there, and the chunks in them */
	uint64_t chunks;
	struct map *next;
	struct leaf *leaf[];
};

enum { VALUE_ZEROS = 65536 };
extern const char value_zeros[VALUE_ZEROS];

/* ---- references ---- */

static inline bool value_is_mapped(const struct value *v)
{
	return v && (atomic_load_explicit(&v->ref, memory_order_relaxed) & VALUE_MAPPED);
}

static inline struct map *value_map(const struct value *v)
{
	return (struct map *)v;
}

/* Whether the holder of one reference is the only one.  Acquire: what a former holder read is read. */
static inline bool value_is_sole(const _Atomic uint32_t *ref)
{
	return (atomic_load_explicit(ref, memory_order_acquire) & ~VALUE_MAPPED) == 1;
}

static inline void value_ref_more(_Atomic uint32_t *ref)
{
	atomic_fetch_add_explicit(ref, 1, memory_order_relaxed);
}

/* One with a reference, its bytes undefined; the caller counts it. */
struct chunk *chunk_new(void);
void chunk_unref(struct chunk *c);
void leaf_unref(struct leaf *l);
/* Likewise; what has to be freed goes to LIMBO, NULL: it is freed at once. */
void chunk_unref_later(struct chunk *c, struct value_limbo *limbo);
void leaf_unref_later(struct leaf *l, struct value_limbo *limbo);
/* How many chunks it has. */
unsigned leaf_chunks(const struct leaf *l);

/* ---- sizes ---- */

/* Bytes a flat value of SIZE bytes has room for. */
size_t value_flat_capacity(uint64_t size);
uint64_t value_map_memory(uint32_t count);
/* BYTES more of maps, leaves and chunks. */
void value_count_mapped(int64_t bytes);

/* ---- a change under way; -ENOMEM or NULL: no memory ---- */

void edit_init(struct value_edit *e, struct value *v, uint64_t old_size, uint64_t size);
/* Sets E->next to a flat value of E->size bytes that E may change. */
int edit_flat(struct value_edit *e);
/* Sets E->next to a map that E may change and that has room for END bytes. */
int edit_own_map(struct value_edit *e, uint64_t end);
/* Makes leaf I, chunk K of it exist and be the map's own, which is E's. */
struct leaf *edit_own_leaf(struct value_edit *e, struct map *m, uint64_t i);
struct chunk *edit_own_chunk(struct value_edit *e, struct map *m, struct leaf *l, unsigned k);
/* Of what is at OFF, the leaf becomes the map's own, if it is there; and so does the chunk, unless OFF is where it starts. */
int edit_own_edge(struct value_edit *e, uint64_t off);
/* Makes the chunks of LEN bytes at OFF exist and be the own of E->next, which is a map. */
int edit_own_range(struct value_edit *e, uint64_t off, uint64_t len);
/* Takes chunk K out of L, which is the map's own. */
void edit_drop_chunk(struct value_edit *e, struct map *m, struct leaf *l, unsigned k);
void edit_drop_leaf_if_empty(struct value_edit *e, struct map *m, uint64_t i);
/* The part of value_edit_commit() that a copy is; V is not flat and NULL. */
void edit_commit_copy(struct value_edit *e, struct value *v);
/* Takes leaf I out of the map. */
void edit_drop_leaf(struct value_edit *e, struct map *m, uint64_t i);

/* The chunk at OFF; NULL: a hole. */
const struct chunk *map_chunk(const struct map *m, uint64_t off);

#endif
