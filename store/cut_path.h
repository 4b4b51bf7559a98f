/* cut_path.h -- where the directories that moved since a snapshot's cut stood at the cut.
 *
 * A node that the snapshot has not had yet has neither moved nor changed since the cut, and so the directory it is in was there at the cut.
 * That one either has not moved (then the same holds one further up) or stands here with its path.  So the rename of a directory costs one
 * entry, whatever is below it, and the path at the cut of what is below is found by going up to the first that stands here.
 *
 * An entry is made at the first move after the cut and stays: the slot of a directory that went and came again as another one is asked for
 * only by what was made after the cut, which no snapshot wants.  Private to store/.  All of it under S.                                 */
#ifndef KVFS_STORE_CUT_PATH_H
#define KVFS_STORE_CUT_PATH_H

#include <stddef.h>
#include <stdint.h>

struct cut_path {
	uint32_t slot;
	uint32_t len;
	char path[];
};

/* {0} is a valid empty one. */
struct cut_paths {
	struct cut_path **entry;    /* open addressing; NULL: free */
	uint32_t count, cap;        /* cap is 0 or a power of two */
	uint64_t bytes;             /* of paths and table */
};

/* The entry of SLOT; NULL: it has none. */
const struct cut_path *cut_paths_find(const struct cut_paths *t, uint32_t slot);
/* One for SLOT with room for LEN bytes, which the caller writes; NULL without memory. */
struct cut_path *cut_path_new(uint32_t slot, size_t len);
/* Takes P, whose slot has no entry yet.  -ENOMEM: it stays the caller's, to be freed. */
int cut_paths_add(struct cut_paths *t, struct cut_path *p);
void cut_paths_fini(struct cut_paths *t);

#endif
