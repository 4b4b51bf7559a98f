/* seal.h -- writing and reading the two blobs of format.h.  Pure functions on memory. */
#ifndef KVFS_PERSIST_SEAL_H
#define KVFS_PERSIST_SEAL_H

#include "persist/format.h"
#include "store/keyspace.h"
#include "store/xattr.h"

#include <stdbool.h>

struct seal_record {
	enum seal_record_kind kind;
	bool path_is_key;              /* path, path_len: unset then */
	const char *path;              /* borrowed */
	size_t path_len;
	struct attr_change attr;       /* ATTR; MKDIR, SYMLINK, MKNOD: mode (MKNOD: with the type), uid, gid */
	struct xattr xattr;            /* XATTR; value NULL: taken away */
	const char *to;                /* RENAME, LINK: new path; SYMLINK: target */
	size_t to_len;
	unsigned flags;                /* RENAME */
	uint64_t number;               /* LINEAGE, RESIZE, BASE; PARENT_TIME as int64_t; ZERO, COPY: offset; MKNOD: device */
	uint64_t length;               /* ZERO, COPY */
	uint64_t from;                 /* COPY: offset in the other, whose path is TO */
};

struct seal {
	unsigned flags;
	unsigned count;                /* of records */
	uint64_t seq;
	int64_t time_ns;
	uint32_t crc;                  /* as stored; whoever knows the batch's first byte compares */
	const char *records;           /* borrowed from the blob */
	size_t records_len;
};

/* ---- writing: sizes first, then bytes ---- */
size_t seal_record_size(const struct seal_record *r);
/* Bytes of the whole ECHO command with RECORDS_LEN bytes of records. */
size_t seal_size(size_t records_len);
/* Writes "*2 ECHO $n" and the header at P; records are then appended with seal_put_record(); seal_finish() writes the CRC over everything
 * from BATCH (its first byte) and the last CRLF.  Each returns the end. */
char *seal_begin(char *p, size_t records_len, unsigned flags, unsigned count, uint64_t seq, int64_t time_ns);
char *seal_put_record(char *p, const struct seal_record *r);
char *seal_finish(char *batch, char *p);
/* Likewise, but for the CRC, whose 4 bytes at P are little-endian. */
char *seal_finish_later(char *p);

/* ---- reading ---- */
/* Whether an ECHO argument is one of ours at all (magic). */
bool seal_is(const void *blob, size_t len);
/* 0, or -EPROTO when it is too short or of another version.  Does not check the CRC nor the records. */
int seal_parse(const void *blob, size_t len, struct seal *ret);
/* Takes the record at *POS (start with 0) and moves *POS behind it: 1, 0 at the end, -EPROTO. */
int seal_next_record(const struct seal *s, size_t *pos, struct seal_record *ret);
/* CRC32C of a batch whose bytes run from BATCH up to the CRC field of a blob that ends at BLOB_END. */
uint32_t seal_crc(const void *batch, const void *blob_end);

/* ---- AUX "kvfs" ---- */
struct aux_attr {
	int kind;                      /* AUX_VALUE, AUX_DIRECTORY, AUX_SYMLINK, AUX_SPECIAL */
	struct attr_change attr;       /* mode (SPECIAL: with the type), uid, gid, three times */
	bool escaped;                  /* AUX_ESCAPED */
	uint64_t link;                 /* number of what has several names; 0: it has one */
	const char *path, *target;     /* borrowed; path of all but a value, target of a symlink */
	size_t path_len, target_len;
	uint32_t rdev;                 /* SPECIAL */
	const struct xattrs *xattrs;   /* writing: borrowed; NULL: none */
	const char *xattr;             /* reading: for aux_next_xattr(), borrowed from the blob */
	size_t xattr_len;
};
/* A piece of a value: AUX_SPARSE. */
struct aux_sparse {
	uint64_t size, off;
	const char *data;              /* borrowed */
	size_t len;
};
enum { AUX_SPARSE_SIZE = 18 };         /* bytes before the data */
/* All but the data. */
char *aux_sparse_write(char *p, const struct aux_sparse *a);
/* 1; 0: it is another kind of blob; -EPROTO. */
int aux_sparse_parse(const void *blob, size_t len, struct aux_sparse *ret);

size_t aux_attr_size(const struct aux_attr *a);
char *aux_attr_write(char *p, const struct aux_attr *a);
/* 0; -EPROTO; -ENOTSUP for another version. */
int aux_attr_parse(const void *blob, size_t len, struct aux_attr *ret);
/* Takes an extended attribute of LEN bytes that aux_attr_parse() found, at *POS (start with 0): 1, or 0 at the end. */
int aux_next_xattr(const char *xattr, size_t len, size_t *pos, struct xattr *ret);

#endif
