/* guard.h -- keeps the keyspace from taking what the machine has not: whoever would need it gets ENOSPC, and nobody the out-of-memory killer.
 *
 * maxmemory is what the user allows; what the machine, or the control group, really has left (meminfo.h) is looked at by whoever is about to
 * change something, before it takes S: each GUARD_LOOK_MS while changes come, and sooner when those since the last look may have taken what
 * was left then.  Each look tells the store how much further it may grow (keyspace_set_room), so that nothing depends on the next one being
 * made in time.
 *
 *      total      [ this daemon, others ............ | available .................... ]
 *                                                    | may be taken     |   margin    |
 *      margin     a sixteenth of the total, GUARD_MARGIN_MIN at least, GUARD_MARGIN_MAX at most: for what is not the keyspace's (replies,
 *                 batches on their way to the log, what snapshots copy), and for others
 *
 * With less than the margin nothing grows; with less than half of it values are not overwritten either while a snapshot runs, which copies
 * them.  Removing, moving and cutting always work.  Memory that the allocator holds and nothing uses counts by half, since who needs it next
 * may need it in other pieces; when there is much of it, it is given back first.
 *
 * Locks: none; one looks, and others meanwhile go by what was there before.                                                            */
#ifndef KVFS_FS_GUARD_H
#define KVFS_FS_GUARD_H

#include "fs/log.h"
#include "fs/meminfo.h"
#include "store/keyspace.h"

enum {
	GUARD_LOOK_MS = 100,
	GUARD_LOOK_SHORT_MS = 2,         /* while nothing may grow */
	GUARD_MARGIN_MIN = 8 << 20,
	GUARD_MARGIN_MAX = 512 << 20,
};

struct guard;

struct guard_info {
	struct meminfo memory;           /* at the last look */
	uint64_t margin;
	bool holds;                      /* nothing may grow */
	uint64_t held;                   /* how often that began */
	uint64_t peak;                   /* bytes: the most that the keyspace used at a look */
};

/* KS and LOG are borrowed.  ROOT as meminfo_open() has it.  Looks once: the keyspace is loaded.  0 or -ENOMEM. */
int guard_new(struct keyspace *ks, struct log *log, const char *root, struct guard **ret);
/* NULL is fine, as below: nobody looks. */
void guard_free(struct guard *g);
/* A change is about to be made that hands over BYTES of data.  Never with S held. */
void guard_change(struct guard *g, uint64_t bytes);
/* Looks now, whatever the time. */
void guard_look(struct guard *g);
void guard_get_info(struct guard *g, struct guard_info *ret);

#endif
