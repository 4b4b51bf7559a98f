/* ops.h -- the handlers of the kernel's requests, one to one with the table that libfuse calls.
 *
 * A handler decodes its request, makes one call to the store and hands the outcome to reply.h, which answers exactly once; it decides
 * nothing.  None of them waits: a change whose reply has to wait for the disk is parked.
 *
 * No state hangs on an open file: open, opendir, create and flush answer ENOSYS once (so do the xattr calls unless
 * they are switched on), and the kernel never asks again.  So
 * an O_TRUNC arrives as SETATTR, and an unlinked file lives until FORGET.
 *
 * Locks: none of their own; every handler from any reader thread.                                                              */
#ifndef KVFS_FS_OPS_H
#define KVFS_FS_OPS_H

#include "fs/guard.h"
#include "fs/notify.h"
#include "persist/persist.h"

#include <stdatomic.h>

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

enum { OPS_SPARE_REPLIES = 8 };   /* kept for the next changes: as many as threads make changes at a time, more or less */

/* The session's user data.  All of it borrowed for the life of the session. */
struct ops_env {
	struct keyspace *ks;
	struct persist *persist;  /* NULL: nothing changes (a view) */
	struct notify *notify;    /* C before the first request is read; NULL with a view */
	struct guard *guard;      /* C NULL with a view */
	struct stats *stats;      /* C */
	struct uring *uring;      /* C NULL: requests come by /dev/fuse alone (uring.h) */
	bool xattr;               /* C there are extended attributes */
	bool acl;                 /* C after INIT there are ACLs */
	enum atime_rule atime, dir_atime;  /* C of what is read, of directories that are listed */
	bool devices;             /* C mounted with `dev`: device nodes may be made */
	int64_t clock_ns;         /* C the time, which stands still for a view; 0: it goes on */
	struct reply *_Atomic spare[OPS_SPARE_REPLIES];  /* a  reply.c; NULL: none */
};

extern const struct fuse_lowlevel_ops ops_table;

struct ops_env *ops_env(fuse_req_t req);
/* Who asks, with which umask, and the time. */
void ops_begin(struct op *op, fuse_req_t req);

/* ops_node.c: one node */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set, struct fuse_file_info *fi);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

/* ops_space.c: holes, reservations, copies */
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len, struct fuse_file_info *fi);
void op_copy_file_range(fuse_req_t req, fuse_ino_t from, off_t from_off, struct fuse_file_info *from_fi, fuse_ino_t ino, off_t off,
                        struct fuse_file_info *fi, size_t len, int flags);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi);

/* ops_names.c: what makes, moves and removes names */
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name, unsigned flags);

/* ops_list.c: what a directory and the whole filesystem show */
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_statfs(fuse_req_t req, fuse_ino_t ino);

/* xattr.c: extended attributes */
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

#endif
