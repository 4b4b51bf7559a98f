/* column.h -- a number of 32 bits beside some nodes: what few of them have, or what counts only under some setting.
 *
 *      block   [0: NULL] [1: --] [2: NULL] ..       one entry for each block of the node table, made when the first of its nodes needs it
 *                          |
 *                    [count][0][17][0][3] ..        as long as one of them is not 0
 *
 * Nothing is ever rehashed, and what is all zeros takes no memory.  Private to store/.  All of it under S.                            */
#ifndef KVFS_STORE_COLUMN_H
#define KVFS_STORE_COLUMN_H

#include <stdint.h>

struct column {
	uint32_t **block;
	uint32_t cap;               /* of block; what is behind it is all zeros */
	uint64_t bytes;             /* memory of all this */
};

void column_fini(struct column *c);
/* Makes sure that column_set() finds memory for SLOT.  -ENOMEM.  Until it is set to something else than 0 the memory is only borrowed: the
 * next column_set(SLOT, 0) gives it back. */
int column_reserve(struct column *c, uint32_t slot);
uint32_t column_get(const struct column *c, uint32_t slot);
/* Cannot fail after column_reserve(), or with 0. */
void column_set(struct column *c, uint32_t slot, uint32_t value);

#endif
