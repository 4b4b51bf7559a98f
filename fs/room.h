/* room.h -- room for a change: before it is made the guard has a look, and when there was none keys are evicted and it is made again.
 *
 *      struct room room = room_for(env, BYTES, ID, OTHER);
 *      do
 *              err = keyspace_...(..., &op, ...);
 *      while (room_make(&room, &op, err));
 *
 * Each time a few keys go (store/evict.h) and the kernel is told of each through the notifier, never from here; when that has too much to tell,
 * or no key may go, the change gets its ENOSPC.
 *
 * Locks: none of its own; never with S held.                                                                                            */
#ifndef KVFS_FS_ROOM_H
#define KVFS_FS_ROOM_H

#include "fs/ops.h"

struct room {
	struct ops_env *env;      /* borrowed */
	uint64_t spared[2];       /* node ids that do not go */
	int rounds, idle;
};

/* For a change that hands over BYTES and concerns the nodes ID and OTHER (0: none). */
struct room room_for(struct ops_env *env, uint64_t bytes, uint64_t id, uint64_t other);
/* ERR is what came of the change.  Whether to make it again. */
bool room_make(struct room *r, const struct op *op, int err);

#endif
