/* evict.h -- which keys go when there is no more memory: maxmemory-policy.
 *
 * A change that is refused for memory (keyspace.h: -ENOSPC) notes what it wanted.  keyspace_evict() removes keys until there is room for that; whoever
 * asked for the change then makes it again.  Redis's policies: of all keys or of those with an expiry (volatile) the one that was not used
 * longest (of samples: lru.h), any, or the one that goes next anyway (ttl).
 *
 * Only regular files with one name go: directories, symlinks and the like, and files with several names, stay; so does a file that was made
 * empty within EVICT_FRESH_NS, which somebody is about to write.
 *
 * A key that goes is gone whole, also when the kernel holds its node: its id is unknown from then on (-ESTALE, to who has it open), its memory
 * is there at once.                                                                                                                     */
#ifndef KVFS_STORE_EVICT_H
#define KVFS_STORE_EVICT_H

#include "store/keyspace.h"

enum evict_policy {
	EVICT_NONE, EVICT_VOLATILE_LRU, EVICT_VOLATILE_RANDOM, EVICT_VOLATILE_TTL, EVICT_ALLKEYS_LRU, EVICT_ALLKEYS_RANDOM,
};

enum {
	EVICT_BATCH = 16,           /* keys under one hold of S */
	EVICT_SAMPLES_MAX = 64,
	EVICT_FRESH_NS = 1000000000,
};

/* May be changed while running.  SAMPLES: 1 to EVICT_SAMPLES_MAX. */
void keyspace_set_eviction(struct keyspace *ks, enum evict_policy policy, int samples);
/* Removes at most EVICT_BATCH keys, but none of the COUNT in SPARED (node ids), each an operation of its own, and notes them in GONE.  Returns
 * how many; with 0 *RET_ENOUGH says whether that is since there is room already; or an error of the journal. */
int keyspace_evict(struct keyspace *ks, struct op *op, const uint64_t *spared, int count, struct keyspace_place *gone, bool *ret_enough);

#endif
