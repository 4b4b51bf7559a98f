/* rdb_load.h -- an RDB file in memory becomes keys: what rdb.h reads, with the attributes that kvfs adds (format.h). */
#ifndef KVFS_PERSIST_RDB_LOAD_H
#define KVFS_PERSIST_RDB_LOAD_H

#include "persist/rdb.h"
#include "persist/replay.h"

struct rdb_loaded {
	bool drop_expired;         /* in: a plain dump.rdb, as Redis has it; the base of a log keeps what is over */
	int64_t now_ms;            /* in: for that */
	size_t used;               /* bytes of the RDB; a log may follow */
	uint64_t lineage, seq;     /* 0: the file has none */
	uint64_t expired;          /* keys dropped */
	int64_t ctime_s;           /* when it was written (AUX ctime); 0: it does not say */
};

/* Adds the keys to R's keyspace; R notes what can't be one (replay.h).  0, or what rdb_read() or the loader says, with E set. */
int rdb_load(const void *data, size_t len, struct replay *r, struct rdb_loaded *l, struct error *e);
/* The texts of the fields kvfs-id and kvfs-seq.  0; -EPROTO with E set. */
int rdb_load_lineage(const char *hex, size_t len, uint64_t *ret, struct error *e);
int rdb_load_seq(const char *text, size_t len, uint64_t *ret, struct error *e);
/* What the first fields of an RDB file say.  0, or what rdb_read() says. */
int rdb_peek(const void *data, size_t len, struct rdb_origin *ret);

#endif
