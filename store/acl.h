/* acl.h -- POSIX ACLs as the attributes system.posix_acl_access and system.posix_acl_default hold them, and what they have to do with the mode.
 *
 *      u32 version, 2  | u16 tag, u16 permissions, u32 id | ...      little endian, as linux/posix_acl_xattr.h has it
 *      the owner, named users, the group, named groups, the mask (needed with named ones), all others: in this order
 *
 * The kernel decides who may do what.  The store's part: the mode shows the owner's, the mask's (without one the group's) and the others' bits
 * of the access ACL, whichever of the two is changed; what is made in a directory with a default ACL begins with that.
 *
 * Pure functions on memory.                                                                                                          */
#ifndef KVFS_STORE_ACL_H
#define KVFS_STORE_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACL_ACCESS "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

enum { ACL_VERSION = 2, ACL_HEADER = 4, ACL_ENTRY = 8 };

bool acl_is_valid(const void *acl, size_t len);

/* What follows wants a valid one. */

/* *MODE with the permissions of the ACL.  True: it says no more than that. */
bool acl_to_mode(const void *acl, size_t len, uint32_t *mode);
/* The ACL after a chmod to MODE. */
void acl_chmod(void *acl, size_t len, uint32_t mode);
/* From a default ACL to the access ACL of what is made with MODE, which becomes what it has then.  True: the mode says all of it. */
bool acl_inherit(void *acl, size_t len, uint32_t *mode);

#endif
