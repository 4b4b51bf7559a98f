/* meminfo.h -- what the machine has left, for statfs(2) of a keyspace without a limit. */
#ifndef KVFS_FS_MEMINFO_H
#define KVFS_FS_MEMINFO_H

#include <stdint.h>

/* Bytes that could be allocated without swapping (MemAvailable); 0 when the kernel does not say. */
uint64_t meminfo_available(void);

#endif
