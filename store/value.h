/* value.h -- the bytes of a key: reference-counted, shared, copied only when a sharer would notice.
 *
 *      NULL                                   no bytes stored: everything below the size is a hole (reads as zeros)
 *      flat     [ref][bytes ........]         up to VALUE_CHUNK bytes in one allocation
 *      mapped   [ref][n][leaf][leaf] ..       leaf -> 256 chunks -> VALUE_CHUNK bytes each; NULL anywhere is a hole
 *
 * A value does not know its size; whoever holds it does (the node, a snapshot entry, a reader).  That keeps a
 * 100-byte value at 4 bytes of overhead.
 *
 * Life: value_ref() makes a holder; the last value_unref() frees.  While anybody else holds a value, its bytes do not
 * change: an edit copies what it touches and is not yet its own (a small flat value whole; of a mapped one the map, one
 * leaf and one chunk).  So a reader or a snapshot keeps a value of any size for the price of a reference.
 *
 * Changing takes two steps, so that an operation can be all or nothing: value_edit_begin() allocates whatever the
 * change needs and may fail without trace; value_edit_commit() cannot fail.
 *
 * Locks: ref and unref from any thread.  Edits under the keyspace lock.                                             */
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

struct value;

/* Returns its argument with one reference more.  NULL is fine. */
struct value *value_ref(struct value *v);
/* Gives a reference back.  NULL is fine. */
void value_unref(struct value *v);

/* Copies LEN bytes at OFF of a value of SIZE bytes to BUF; OFF + LEN <= SIZE. */
void value_copy_out(const struct value *v, uint64_t size, uint64_t off, void *buf, size_t len);

/* Describes LEN bytes at OFF (OFF + LEN <= SIZE) by at most MAX pieces that borrow from V; holes borrow a page of zeros.
 * Returns the number of pieces; *RET_LEN is the number of bytes they cover (less than LEN when MAX pieces did not do). */
int value_iov(const struct value *v, uint64_t size, uint64_t off, size_t len, struct iovec *iov, int max, size_t *ret_len);

/* Bytes of memory a value of SIZE bytes holds, as malloc rounds them. */
uint64_t value_memory(const struct value *v, uint64_t size);

/* A change under way. */
struct value_edit {
	struct value *old;        /* borrowed from the holder */
	struct value *next;       /* what the holder will hold; may be OLD */
	uint64_t old_size;
	uint64_t size;            /* after the change */
	uint64_t off, len;        /* of a write */
	int64_t memory;           /* by how many bytes value_memory() grows: final after commit or abort, an upper bound before */
};

/* Prepares V (OLD_SIZE bytes) for a write of LEN bytes at OFF; the size becomes the larger of OLD_SIZE and OFF + LEN.
 * 0, or -ENOMEM: then it has ended as by value_edit_abort(). */
int value_edit_write(struct value_edit *e, struct value *v, uint64_t old_size, uint64_t off, size_t len);
/* Prepares V for having SIZE bytes: cut, or followed by a hole.  Errors as above. */
int value_edit_resize(struct value_edit *e, struct value *v, uint64_t old_size, uint64_t size);
/* Forgets the change.  Chunks of zeros in the place of the write become holes, so E->memory may be below 0. */
void value_edit_abort(struct value_edit *e);
/* Makes it happen: copies LEN bytes of DATA to OFF (LEN 0 for a resize), gives back the reference on the old value
 * where it was replaced and returns the value to hold. */
struct value *value_edit_commit(struct value_edit *e, uint64_t off, const void *data, size_t len);

#endif
