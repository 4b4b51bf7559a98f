/* value_build.h -- a value put together from pieces that come one after the other: chunks of zeros become holes.
 *
 *      struct value_build b = { 0 };
 *      value_build_add() ...              in order, with gaps that are holes
 *      value_build_end() or value_build_drop()
 *
 * Memory: what of it is stored, nothing else.  One thread.                                                                      */
#ifndef KVFS_STORE_VALUE_BUILD_H
#define KVFS_STORE_VALUE_BUILD_H

#include "store/value.h"

struct value_build {
	struct value *value;
	uint64_t size;
};

/* LEN bytes at OFF.  -EINVAL: OFF is before the end of what is there; -EFBIG: above VALUE_SIZE_MAX; -ENOMEM. */
int value_build_add(struct value_build *b, uint64_t off, const void *data, size_t len);
/* SIZE bytes in all, no less than there are: -EINVAL otherwise; else as above.  *RET is the caller's; B is empty then. */
int value_build_end(struct value_build *b, uint64_t size, struct value **ret);
void value_build_drop(struct value_build *b);

#endif
