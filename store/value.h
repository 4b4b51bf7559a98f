/* value.h -- the bytes of a key: reference-counted, shared, copied only when a sharer would notice.
 *
 *      NULL                                   no bytes stored: everything below the size is a hole (reads as zeros)
 *      flat     [ref][bytes ........]         up to VALUE_CHUNK bytes in one allocation
 *      mapped   [ref][n][leaf][leaf] ..       leaf -> 256 chunks -> VALUE_CHUNK bytes each; NULL anywhere is a hole
 *
 * A value does not know its size; whoever holds it does (the node, a snapshot entry, a reader).  That keeps a
 * 100-byte value at 4 bytes of overhead.
 *
 * Sharing: two values may have leaves and chunks in common (value_edit_copy()); each is then copied when either is changed there.
 *
 * Memory: chunks, leaves and maps are counted once, however many hold them, where they are allocated and freed: one number for the process, for
 * a snapshot or a reader may be the last to let go of them, and no lock is held then.  Flat values are small, never shared by two nodes, and
 * counted by those who hold them.  What a keyspace holds is value_flat_memory() of all its values and value_mapped_bytes(); a second keyspace in
 * the process (a view being made) counts in the latter.
 *
 * Life: value_ref() makes a holder; the last value_unref() frees.  While anybody else holds a value, its bytes do not
 * change: an edit copies what it touches and is not yet its own (a small flat value whole; of a mapped one the map, one
 * leaf and one chunk).  So a reader or a snapshot keeps a value of any size for the price of a reference.
 *
 * Changing takes two steps, so that an operation can be all or nothing: value_edit_begin() allocates whatever the
 * change needs and may fail without trace; value_edit_commit() cannot fail.
 *
 * Locks: ref and unref from any thread.  Edits of a value that others can reach under the keyspace lock.            */
#ifndef KVFS_STORE_VALUE_H
#define KVFS_STORE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
	VALUE_CHUNK = 16384,      /* bytes of a chunk; also the largest flat value */
	VALUE_LEAF_CHUNKS = 256,  /* chunks of a leaf: 4 MiB */
};
#define VALUE_SIZE_MAX ((uint64_t)16 << 40)   /* bytes: its map alone would be 32 MiB */

struct value;

/* Returns its argument with one reference more.  NULL is fine. */
struct value *value_ref(struct value *v);
/* Gives a reference back.  NULL is fine. */
void value_unref(struct value *v);

/* Large values, and parts of them, that nobody holds any more: to free 1 GiB takes a tenth of a second, so whoever has a lock keeps them here until he has
 * not.  {0} is an empty one.  Until they are freed value_mapped_bytes() counts them. */
struct value_limbo {
	struct map *maps;
	struct leaf *leaves;
	struct chunk *chunks;
	uint64_t bytes;           /* of them; of what they share with others, all */
};
/* value_unref() but for the freeing of a large value. */
void value_unref_later(struct value *v, struct value_limbo *limbo);
static inline bool value_limbo_is_empty(const struct value_limbo *l)
{
	return !l->maps && !l->leaves && !l->chunks;
}
/* Frees some of it, at most what a leaf holds; all of it. */
void value_limbo_step(struct value_limbo *l);
void value_limbo_free(struct value_limbo *l);

/* A value of LEN bytes, for the caller.  NULL: LEN is 0, or there is no memory.  Any thread. */
struct value *value_new(const void *data, size_t len);

/* A second value with the bytes of V: a mapped one is shared, for as long as neither is changed, a flat one copied.  *RET is NULL when V is.  0 or
 * -ENOMEM. */
int value_copy(struct value *v, uint64_t size, struct value **ret);

/* Copies LEN bytes at OFF of a value of SIZE bytes to BUF; OFF + LEN <= SIZE. */
void value_copy_out(const struct value *v, uint64_t size, uint64_t off, void *buf, size_t len);

/* VALUE_CHUNK bytes of zeros. */
const char *value_hole(void);

/* Describes LEN bytes at OFF (OFF + LEN <= SIZE) by at most MAX pieces that borrow from V; holes borrow a page of zeros.
 * Returns the number of pieces; *RET_LEN is the number of bytes they cover (less than LEN when MAX pieces did not do). */
int value_iov(const struct value *v, uint64_t size, uint64_t off, size_t len, struct iovec *iov, int max, size_t *ret_len);

/* Where from OFF on the next bytes are that are stored (DATA) or the next hole, to the chunk: SIZE when there are none, for behind the end is a
 * hole.  Chunks that are reserved count as stored. */
uint64_t value_seek(const struct value *v, uint64_t size, uint64_t off, bool data);

/* Bytes of memory a value of SIZE bytes holds, as malloc rounds them; of what it shares with others, all.  O(1). */
uint64_t value_memory(const struct value *v, uint64_t size);
/* Likewise when it is flat, else 0. */
uint64_t value_flat_memory(const struct value *v, uint64_t size);
/* Bytes that all mapped values of the process take together. */
uint64_t value_mapped_bytes(void);
/* Up to MAX chunks (0 at the start: none) are kept for the next when they are freed, uncounted: a stream over a large value frees as many as it takes,
 * and what goes back to the system between is zeroed page by page before it comes again. */
void value_keep_chunks(unsigned max);
/* Bytes that value_edit_reserve() would take for LEN bytes at OFF, but for the map. */
uint64_t value_missing(const struct value *v, uint64_t off, uint64_t len);

/* A value that has LEN bytes of DATA, VALUE_CHUNK at least, where they are in a chunk when they are at OFF of another one: what value_edit_copy() can share from
 * *RET_FROM on.  So bytes can be copied before a lock is taken.  0, -ENOMEM or -EFBIG.  Any thread. */
int value_stage(uint64_t off, const void *data, size_t len, struct value **ret, uint64_t *ret_from);

/* A change under way. */
struct value_edit {
	struct value *old;        /* borrowed from the holder */
	struct value *next;       /* what the holder will hold; may be OLD */
	uint64_t old_size;
	uint64_t size;            /* after the change */
	uint64_t off, len;        /* of a write, a reservation or zeros */
	bool write, zero, copy;
	struct value *source;     /* of a copy, borrowed */
	uint64_t source_size, from;
	int64_t memory;           /* by how many bytes value_memory() grows: final after commit or abort, an upper bound before */
	int64_t shared;           /* bytes taken on top of that for copies of what other values keep */
	int64_t taken;            /* private: bytes of maps, leaves and chunks that are not counted yet */
	struct value_limbo *limbo; /* borrowed: where commit puts what would take long to free; NULL: it is freed */
};

/* Prepares V (OLD_SIZE bytes) for a write of LEN bytes at OFF; the size becomes the larger of OLD_SIZE and OFF + LEN.
 * 0, or -ENOMEM, or -EFBIG above VALUE_SIZE_MAX: then it has ended as by value_edit_abort(). */
int value_edit_write(struct value_edit *e, struct value *v, uint64_t old_size, uint64_t off, size_t len);
/* Prepares V for having SIZE bytes: cut, or followed by a hole.  Errors as above. */
int value_edit_resize(struct value_edit *e, struct value *v, uint64_t old_size, uint64_t size);
/* Prepares V for having memory of its own for LEN bytes at OFF, which may lie behind its end, and SIZE bytes: OLD_SIZE, or more. */
int value_edit_reserve(struct value_edit *e, struct value *v, uint64_t old_size, uint64_t off, uint64_t len, uint64_t size);
/* Prepares V for zeros in place of LEN bytes at OFF, where whole chunks become holes, and for having SIZE bytes: OLD_SIZE, or more. */
int value_edit_zero(struct value_edit *e, struct value *v, uint64_t old_size, uint64_t off, uint64_t len, uint64_t size);
/* Prepares V for LEN bytes at OFF being those of SOURCE (SOURCE_SIZE bytes, which may be V) at FROM; FROM + LEN <= SOURCE_SIZE, and within one value
 * the two ranges don't overlap.  Chunks are shared when OFF and FROM are the same in a chunk; of these E->memory knows after commit only, and
 * nothing is taken.  The source must not change before the commit. */
int value_edit_copy(struct value_edit *e, struct value *v, uint64_t old_size, uint64_t off, struct value *source, uint64_t source_size, uint64_t from,
                    uint64_t len);
/* Forgets the change.  Chunks of zeros in the place of a write or reservation become holes, so E->memory may be below 0. */
void value_edit_abort(struct value_edit *e);
/* Makes it happen: copies LEN bytes of DATA to OFF (LEN 0 but for a write), gives back the reference on the old value
 * where it was replaced and returns the value to hold. */
struct value *value_edit_commit(struct value_edit *e, uint64_t off, const void *data, size_t len);

#endif
