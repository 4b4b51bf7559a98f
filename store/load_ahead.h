/* load_ahead.h -- what the loader remembers of directories, and of keys that will come.  Private to the loader (load.h); one thread.
 *
 * A key that is loaded looks at its directory, at a bucket of the table of names and at a node or two behind it, each at a random place in
 * memory.  Asked for one key at a time, the CPU waits for each in turn; told of many, it waits for all together.  What one step fetches, the
 * next looks at, so each takes place AHEAD_STEP keys after the one before:
 *
 *      key told   n            bucket                 node of the directory
 *                 n - STEP     first node behind it   the directory's order (directory.h)
 *                 n - 2 STEP   second node            its last page, where the key will be entered                                          */
#ifndef KVFS_STORE_LOAD_AHEAD_H
#define KVFS_STORE_LOAD_AHEAD_H

#include <stddef.h>
#include <stdint.h>

enum { LOADER_AHEAD = 64, LOADER_DIRECTORIES = 4096 };

struct keyspace;

struct load_ahead {
	uint32_t hash[LOADER_AHEAD], directory[LOADER_AHEAD];  /* rings; of keys told */
	unsigned at;
	uint64_t known[LOADER_DIRECTORIES];  /* by hash of the path: hash << 32 | slot; a hint, whatever became of the slot */
};

/* Slot of the directory at PATH (LEN above 0), which is there; 0: not known. */
uint32_t load_ahead_directory(const struct load_ahead *a, const struct keyspace *ks, const char *path, size_t len);
void load_ahead_know(struct load_ahead *a, const struct keyspace *ks, const char *path, size_t len, uint32_t slot);
#endif
