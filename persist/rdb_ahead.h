/* rdb_ahead.h -- rdb_read() with the reading on a thread of its own: it decodes, decompresses, sums up and makes values (struct rdb_key: made)
 * while the caller's thread finds places for them.
 *
 *      reading thread   ->  [batch] [batch] .. at most RDB_AHEAD_BATCHES ..  ->   caller's thread: the handler
 *
 * The contract is rdb_read()'s, and so are the errors: the handler is called on the caller's thread, in the order of the file, and whatever
 * goes wrong first in that order is what is returned.  What the handler borrows is valid for the call.  The thread is gone when it returns.
 *
 * Memory: the values of the batches and their copies of what was decompressed, 256 KiB each; of larger ones one at a time.
 * Files below RDB_AHEAD_MIN bytes are read without a thread, and so is any file when there can be none.                               */
#ifndef KVFS_PERSIST_RDB_AHEAD_H
#define KVFS_PERSIST_RDB_AHEAD_H

#include "persist/rdb.h"

enum { RDB_AHEAD_BATCHES = 8, RDB_AHEAD_MIN = 1 << 20 };

int rdb_read_ahead(const void *data, size_t len, const struct rdb_handler *h, size_t *ret_used, struct error *e);

#endif
