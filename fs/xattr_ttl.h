/* xattr_ttl.h -- the extended attribute that is not kept but made: user.kvfs.ttl, the seconds until a key goes.
 *
 * Reading gives the seconds left, rounded up; setting is EXPIRE, removing is PERSIST; a key without an end, a directory and a symlink have no
 * such attribute.
 *
 * A time that is not to come is refused: removing the key would tell the kernel of it while setxattr(2) holds the file.  For the same reason
 * its reply does not wait until the kernel was told of the new end: whoever looks at the name before that makes the kernel ask a moment later. */
#ifndef KVFS_FS_XATTR_TTL_H
#define KVFS_FS_XATTR_TTL_H

#include "fs/ops.h"

#define XATTR_TTL_NAME "user.kvfs.ttl"

enum { XATTR_TTL_TEXT = 24 };

/* The seconds until INO goes, rounded up; 0: never.  Or a negative errno. */
int64_t xattr_ttl_left(fuse_req_t req, fuse_ino_t ino);
/* As the attribute's value: its length.  TEXT has XATTR_TTL_TEXT bytes. */
int xattr_ttl_print(int64_t left, char *text);
/* setxattr(2) and removexattr(2) of it.  Each takes REQ. */
void xattr_ttl_set(fuse_req_t req, fuse_ino_t ino, const char *value, size_t size, int flags);
void xattr_ttl_remove(fuse_req_t req, fuse_ino_t ino);

#endif
