/* check_file.h -- what the bytes of one file are, how much of them counts, and where they are damaged: the core of `kvfs-ctl check`.
 *
 * Pure functions on memory: nothing is applied, no value is kept, nothing is written.  What counts is decided by the readers that a start
 * uses (rdb.h, recover.h).                                                                                                              */
#ifndef KVFS_PERSIST_CHECK_FILE_H
#define KVFS_PERSIST_CHECK_FILE_H

#include "persist/error.h"
#include "persist/recover.h"
#include "persist/salvage.h"

enum { CHECK_SHOWN_MAX = 160 };

struct check_rdb {
	unsigned version;
	bool valkey, ours, summed;      /* ours: it says of which keyspace it is; summed: it has a checksum */
	uint64_t keys, directories, symlinks, specials;
	uint64_t other_types, other_dbs;  /* of the keys */
	uint64_t lineage, seq;          /* 0: it says nothing */
	size_t good;                    /* up to the end of the last record that can stand without the rest */
	size_t used;                    /* bytes of the RDB; what follows is no part of it.  0 when its end was not reached */
};

/* 0; or with E set: -EBADMSG, read to its end but the checksum does not match; -EPROTO, -EINVAL: damaged from RET->good on, or no RDB at
 * all (good is 0); -ENOMEM. */
int check_rdb(const char *data, size_t len, struct check_rdb *ret, struct error *e);
/* The end that makes the first R->good bytes of DATA an RDB: RET_END has room for CHECK_RDB_END bytes; returns how many it takes. */
enum { CHECK_RDB_END = 9 };
size_t check_rdb_end(const char *data, const struct check_rdb *r, char *ret_end);

struct check_log {
	struct aof_result res;          /* in: last_seq and lineage of the files before, origin; out */
	struct salvage_later later;     /* damaged: whole batches behind */
	char what[CHECK_SHOWN_MAX];     /* damaged: the first command of what can't be read, and its key; "" when that can't be read either */
};

/* 0, see L->res.torn; or with E set what aof_read() says.  DATA may be NULL when LEN is 0. */
int check_log(const char *data, size_t len, struct check_log *l, struct error *e);
/* The number of the OPEN batch that DATA begins with; 0: it begins with something else. */
uint64_t check_opens_with(const char *data, size_t len);

#endif
