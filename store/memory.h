/* memory.h -- what an allocation really costs.
 *
 * Accounting counts what malloc takes, not what was asked for: glibc rounds a request and its 8-byte header up to 16, 32 at least. */
#ifndef KVFS_STORE_MEMORY_H
#define KVFS_STORE_MEMORY_H

#include <stddef.h>

enum { MEMORY_OVERHEAD = 8 };

static inline size_t memory_of(size_t request)
{
	size_t n = (request + MEMORY_OVERHEAD + 15) & ~(size_t)15;
	return n < 32 ? 32 : n;
}

#endif
