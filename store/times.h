/* times.h -- the three times of a node, in 13 bytes of it.
 *
 * Of most nodes ctime is mtime (they were made or written last), and atime was the clock's when somebody read them.  Such a node has mtime to the
 * nanosecond and atime on the grid of keyspace_atime_at().  Whoever sets atime to the clock's time asks that first, so that nothing is
 * rounded later.  A node whose times don't fit (renamed, chmod, a time
 * that somebody said) has NODE_TIMES, and atime and ctime in a record here:
 *
 *      node    mtime_ns, atime: grid                         ctime is mtime_ns
 *              mtime_ns, atime: number of a record           NODE_TIMES
 *      block   64 records; those of one whose last record went is given back, but for one block
 *
 * Private to store/.  All of it under S.                                                                                              */
#ifndef KVFS_STORE_TIMES_H
#define KVFS_STORE_TIMES_H

#include "store/keyspace.h"
#include "store/node.h"

enum { TIMES_RESERVE = 16 };     /* records that one operation can need: a rename sets the times of four nodes and of some names */

struct node_times { int64_t atime_ns, mtime_ns, ctime_ns; };

struct times_block;
struct times {
	struct times_block **block; /* NULL: given back */
	uint32_t blocks, cap;
	uint32_t room;              /* list of blocks with a free record: number + 1; 0: none */
	uint32_t first_gone;        /* no block below was given back */
	uint64_t free;              /* records in blocks */
	uint64_t bytes;
};

void times_fini(struct times *t);
/* Makes sure that the next TIMES_RESERVE calls of times_set() find a record.  -ENOMEM. */
int times_reserve(struct times *t);
void times_get(const struct times *t, const struct node *n, struct node_times *ret);
/* Exact after times_reserve(); where there is no record and no memory, atime is rounded and ctime is mtime. */
void times_set(struct times *t, struct node *n, const struct node_times *x);
/* N has no record any more; its times are anything. */
void times_drop(struct times *t, struct node *n);

#endif
