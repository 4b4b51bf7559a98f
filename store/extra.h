/* extra.h -- what few nodes have: further names, extended attributes.  Kept beside the node, which does not grow for it.
 *
 *      block   [0: NULL] [1: --] [2: NULL] ..            one entry for each block of the node table, made when the first of its nodes needs it
 *                          |
 *                     [NULL][NULL][extra][NULL] ..       one for each node of the block; as long as one of them is set
 *
 * A node says by NODE_EXTRA whether it has one, so that whoever has none pays for a look at its flags.  Nothing is ever rehashed.
 * Private to store/.  All of it under S.                                                                                              */
#ifndef KVFS_STORE_EXTRA_H
#define KVFS_STORE_EXTRA_H

#include <stdint.h>

struct xattrs;

struct extra {
	struct xattrs *xattrs;      /* NULL: none */
	uint32_t first_link;        /* slot of the first further name; 0: none */
	uint32_t links;             /* how many of them */
};

struct extra_block;
struct extras {
	struct extra_block **block;
	uint32_t cap;               /* of block; what is behind it has none */
	uint64_t bytes;             /* memory of all this, but for what an extra points to */
};

void extras_init(struct extras *t);
/* Frees the extras; what they point to is the caller's. */
void extras_fini(struct extras *t);
/* The extra of the node in SLOT; NULL: it has none. */
struct extra *extra_find(const struct extras *t, uint32_t slot);
/* Likewise, made (all zeros) if there is none.  NULL: no memory. */
struct extra *extra_make(struct extras *t, uint32_t slot);
/* Frees the extra of SLOT; nothing happens when it has none. */
void extra_drop(struct extras *t, uint32_t slot);

#endif
