/* rdb_format.h -- private to rdb_*.c: the bytes of an RDB file, and the cursor that walks over them. */
#ifndef KVFS_PERSIST_RDB_FORMAT_H
#define KVFS_PERSIST_RDB_FORMAT_H

#include "persist/rdb.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rdb_opcode {
	RDB_OP_KEY_META = 243,
	RDB_OP_SLOT_INFO = 244,
	RDB_OP_FUNCTION2 = 245,
	RDB_OP_FUNCTION_OLD = 246,
	RDB_OP_MODULE_AUX = 247,
	RDB_OP_IDLE = 248,
	RDB_OP_FREQ = 249,
	RDB_OP_AUX = 250,
	RDB_OP_RESIZEDB = 251,
	RDB_OP_EXPIRETIME_MS = 252,
	RDB_OP_EXPIRETIME = 253,
	RDB_OP_SELECTDB = 254,
	RDB_OP_EOF = 255,
};

enum rdb_type {
	RDB_STRING = 0,
	RDB_LIST = 1,
	RDB_SET = 2,
	RDB_ZSET = 3,
	RDB_HASH = 4,
	RDB_ZSET_2 = 5,
	RDB_MODULE_2 = 7,
	RDB_HASH_ZIPMAP = 9,
	RDB_LIST_ZIPLIST = 10,
	RDB_SET_INTSET = 11,
	RDB_ZSET_ZIPLIST = 12,
	RDB_HASH_ZIPLIST = 13,
	RDB_LIST_QUICKLIST = 14,
	RDB_STREAM = 15,
	RDB_HASH_LISTPACK = 16,
	RDB_ZSET_LISTPACK = 17,
	RDB_LIST_QUICKLIST_2 = 18,
	RDB_STREAM_2 = 19,
	RDB_SET_LISTPACK = 20,
	RDB_STREAM_3 = 21,
	RDB_HASH_TTL = 22,         /* Redis: an early HASH_METADATA; Valkey: HASH_2 */
	RDB_HASH_LISTPACK_TTL = 23, /* Redis: an early HASH_LISTPACK_EX */
	RDB_HASH_METADATA = 24,
	RDB_HASH_LISTPACK_EX = 25,
};

/* First byte of a length: the upper two bits tell, or the whole byte. */
enum {
	RDB_LEN_6BIT = 0,
	RDB_LEN_14BIT = 1,
	RDB_LEN_32BIT = 0x80,
	RDB_LEN_64BIT = 0x81,
	RDB_LEN_MAX_SIZE = 9,
	/* instead of a length, the encoding of a string */
	RDB_ENC_INT8 = 0xc0,
	RDB_ENC_INT16 = 0xc1,
	RDB_ENC_INT32 = 0xc2,
	RDB_ENC_LZF = 0xc3,
};

enum {
	RDB_VERSION_WRITTEN = 9,
	RDB_VERSION_MAX = 15,           /* of magic REDIS */
	RDB_VERSION_VALKEY_MIN = 80,    /* of magic VALKEY */
	RDB_VERSION_CHECKSUM = 5,       /* the first that ends in a CRC */
	RDB_VERSION_AUX = 7,            /* the first with AUX and RESIZEDB */
	RDB_VERSION_AT = 5,             /* where it stands */
	RDB_HEADER_SIZE = 9,
	RDB_CRC_SIZE = 8,
	RDB_INT_TEXT_MAX = 11,          /* bytes of "-2147483648" */
};

/* Where a reader is.  The functions below fail with -EPROTO and the offset in E. */
struct rdb_cursor {
	const char *start, *p, *end;
	bool valkey;                    /* a few type bytes mean something else there */
	struct error *e;
};

/* A string as read: DATA points into the file, into TEXT or into ROOM. */
struct rdb_string {
	const char *data;
	size_t len;
	char text[RDB_INT_TEXT_MAX];
	struct bytes room;              /* owned, reused: what LZF expanded */
};

/* Tells the handler of an AUX field; its error gets "offset N" in front. */
int rdb_tell_aux(const struct rdb_handler *h, const struct rdb_aux *a, struct error *e);
/* "offset N: WHAT"; -EPROTO. */
int rdb_fail(struct rdb_cursor *c, const char *at, const char *what);
/* N bytes, *RET at them. */
int rdb_take(struct rdb_cursor *c, uint64_t n, const char **ret);
int rdb_take_length(struct rdb_cursor *c, uint64_t *ret);
/* Also -ENOMEM. */
int rdb_take_string(struct rdb_cursor *c, struct rdb_string *ret);
/* Likewise; but of a compressed string of more than RDB_MADE_MIN bytes a value is made, for the caller, whose holes take no memory. */
enum { RDB_MADE_MIN = 1 << 20 };
int rdb_take_value(struct rdb_cursor *c, struct rdb_string *ret, struct value **ret_made, bool *ret_is_made);
int rdb_skip_length(struct rdb_cursor *c);
int rdb_skip_string(struct rdb_cursor *c);
/* The parts of a module's value, up to its end mark. */
int rdb_skip_module(struct rdb_cursor *c);
/* The value of a key of TYPE, one that has a name. */
int rdb_skip_value(struct rdb_cursor *c, unsigned type);
/* "string", "list", ... as the command TYPE says; NULL: not known, and so not to be skipped. */
const char *rdb_type_name(const struct rdb_cursor *c, unsigned type);

#endif
