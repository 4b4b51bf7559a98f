/* xattr.h -- the extended attributes of a node: one block, never changed, shared by reference.
 *
 *      struct xattrs   references, count, length | name length u8, value length u32, name, value | ... | in the order of the names
 *
 * A change makes another block, so a snapshot keeps the attributes of its cut for the price of a reference, and who reads them holds no lock.
 * No block: no attributes.  Which namespaces there are is the caller's matter; what system.posix_acl_access does to the mode is acl.h's.
 *
 * Bounds: XATTRS_LIST_MAX bytes of names (each with its NUL, as listxattr(2) gives them), XATTRS_BYTES_MAX in all.
 * Locks: none.  References may be taken and given back by any thread.                                                               */
#ifndef KVFS_STORE_XATTR_H
#define KVFS_STORE_XATTR_H

#include <stdbool.h>
#include <stddef.h>

enum {
	XATTRS_NAME_MAX = 255,      /* as Linux has them */
	XATTRS_VALUE_MAX = 65536,
	XATTRS_LIST_MAX = 65536,
	XATTRS_BYTES_MAX = 1 << 20, /* of a block */
};

struct xattrs;

struct xattr {
	const char *name;           /* 1 to XATTRS_NAME_MAX bytes without NUL */
	size_t name_len;
	const void *value;          /* in a change: NULL takes the attribute away */
	size_t len;
};

/* X may be NULL in all of these. */
struct xattrs *xattrs_ref(struct xattrs *x);
void xattrs_unref(struct xattrs *x);
unsigned xattrs_count(const struct xattrs *x);
/* What it costs; 0 for none. */
size_t xattrs_memory(const struct xattrs *x);
/* The attribute at *POS (start with 0), borrowed from X; false at the end. */
bool xattrs_next(const struct xattrs *x, size_t *pos, struct xattr *ret);
bool xattrs_find(const struct xattrs *x, const char *name, size_t len, struct xattr *ret);
/* X with CHANGE, as a block of its own with one reference; NULL when nothing is left.  0; -EINVAL: no name; -ERANGE: the name is too long;
 * -E2BIG: the value is; -ENOSPC: more than a block may hold; -ENOMEM. */
int xattrs_with(const struct xattrs *x, const struct xattr *change, struct xattrs **ret);

#endif
