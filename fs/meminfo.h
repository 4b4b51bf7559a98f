/* meminfo.h -- how much memory there is for this process, and how much of it is left.
 *
 * The machine has some (MemTotal, MemAvailable of /proc/meminfo), and each control group that the process is in, up to the top, may have a
 * limit of its own: memory.max or memory.high (version 2), memory.limit_in_bytes (version 1).  The smallest counts, for both numbers.  What
 * the kernel would drop for an allocation counts as left, as it does in MemAvailable: in a group the file pages of memory.stat, of which those that
 * are being written count by half, and those used a second time.
 *
 * Locks: none.  An opened source does not change: reading it from any thread.                                                          */
#ifndef KVFS_FS_MEMINFO_H
#define KVFS_FS_MEMINFO_H

#include <stdint.h>

struct meminfo {
	uint64_t system;             /* bytes, as the next two: of the machine */
	uint64_t total, available;   /* for this process; total 0: the kernel does not say */
};

struct meminfo_source;

/* Finds the control groups of this process.  ROOT stands before each path ("" but in tests).  0 or -ENOMEM; what cannot be found is left out. */
int meminfo_open(const char *root, struct meminfo_source **ret);
void meminfo_close(struct meminfo_source *s);
/* Some small files of the kernel's are read: tens of microseconds. */
void meminfo_read(const struct meminfo_source *s, struct meminfo *ret);
/* Bytes of this process that are in memory; 0: the kernel does not say. */
uint64_t meminfo_resident(void);

#endif
