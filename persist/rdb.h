/* rdb.h -- Redis's snapshot format, written as version 9, read from 1 to 15 (and Valkey's).  Byte layout: redis-format.md §4, Redis's rdb.c.
 *
 * The writer turns snapshot entries into bytes for a sink; the reader turns memory (a mapped file) into calls of a handler.
 * Neither does I/O.                                                                                                             */
#ifndef KVFS_PERSIST_RDB_H
#define KVFS_PERSIST_RDB_H

#include "persist/bytes.h"
#include "persist/error.h"
#include "store/snapshot.h"

#include <stdbool.h>

/* Of which keyspace a file is and its last batch; and of which it goes on, from which batch.  0: none. */
struct rdb_origin {
	uint64_t lineage, seq;
	uint64_t parent, parent_seq;
};

/* ---- writing ---- */

/* Takes bytes in order.  0 or a negative errno, which ends the writing. */
typedef int rdb_sink_fn(void *ctx, const void *data, size_t len);

struct rdb_options {
	bool compress;             /* rdbcompression: LZF for strings of more than 20 bytes that shrink */
	bool checksum;             /* rdbchecksum: CRC64 at the end, else 8 zero bytes */
	bool is_aof_base;          /* AUX aof-base 1 */
	struct rdb_origin origin;  /* AUX kvfs-id, kvfs-seq, kvfs-parent */
	uint64_t db;               /* SELECTDB */
	int64_t now_ns;            /* AUX ctime */
};

struct rdb_writer;
int rdb_writer_new(const struct rdb_options *o, rdb_sink_fn *sink, void *ctx, struct rdb_writer **ret);
/* Header, AUX fields, SELECTDB, RESIZEDB. */
int rdb_writer_begin(struct rdb_writer *w, const struct snapshot_totals *t);
/* One key, directory, symlink or special file.  Values over 1 MiB are written piece by piece, never gathered. */
int rdb_writer_entry(struct rdb_writer *w, const struct snapshot_entry *e);
/* EOF, CRC; everything has gone to the sink when it returns 0. */
int rdb_writer_end(struct rdb_writer *w);
void rdb_writer_free(struct rdb_writer *w);

/* ---- reading ---- */

struct rdb_key {
	const char *key;           /* borrowed for the call, as is everything here */
	size_t key_len;
	const char *type;          /* NULL: a string; else "list", "set", "zset", "hash", "stream", "module" */
	const char *value;         /* a string's bytes; NULL when MADE has them */
	size_t value_len;
	struct value **made;       /* the value as the store has it, which the handler may take (it becomes NULL): any of rdb_read_ahead()'s, and large
	                            * compressed ones; or NULL */
	int64_t expire_at_ms;      /* 0: none */
	uint64_t db;
	uint64_t offset, end;      /* of the record in the file */
};

struct rdb_aux {
	const char *name, *value;  /* borrowed for the call */
	size_t name_len, value_len;
	uint64_t offset, end;      /* of the record in the file; an error of the handler gets the first in front */
};

struct rdb_handler {
	void *ctx;
	/* Each returns 0 to go on, or a negative errno that ends the reading (with E set by the handler). */
	int (*aux)(void *ctx, const struct rdb_aux *a, struct error *e);
	int (*resize)(void *ctx, uint64_t db, uint64_t keys, uint64_t expires);  /* a hint from outside: bound it */
	int (*key)(void *ctx, const struct rdb_key *k, struct error *e);
	void (*progress)(void *ctx, size_t done);   /* now and then; may be NULL */
	void (*soon)(void *ctx, const char *key, size_t len);  /* rdb_read_ahead() only: a key that will come next but a few; may be NULL */
};

/* Reads the RDB at the start of DATA.  *RET_USED: bytes up to and with the CRC, also when it does not match (what follows is not
 * looked at).  Errors name the offset:
 * -EINVAL no RDB or a version it does not know; -EPROTO an unknown type or opcode, or a length that leads out of the file; -EBADMSG: the
 * checksum does not match; -ENOMEM.  Nothing in the file makes it allocate more than the file could fill (LZF: of what is no large value 1 GiB, and at most 600 times
 * the compressed bytes). */
int rdb_read(const void *data, size_t len, const struct rdb_handler *h, size_t *ret_used, struct error *e);
/* Whether DATA begins like one ("REDIS" or "VALKEY"). */
bool rdb_is(const void *data, size_t len);

/* A DUMP payload (RESTORE's argument): checks version and CRC.  A string: *RET holds its bytes (owned by the caller) and *RET_TYPE is NULL;
 * another type: *RET_TYPE is its name. */
int rdb_read_dump(const void *data, size_t len, struct bytes *ret, const char **ret_type, struct error *e);

#endif
