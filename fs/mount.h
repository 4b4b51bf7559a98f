/* mount.h -- the mount itself: a fit place for it, the session with the kernel, and its end.
 *
 *      mount_place()    resolves the mount point; clears a dead mount away; refuses what is no place for one
 *      mount_open()     mounts; the kernel's requests queue up until somebody reads them (loop.h)
 *      mount_detach()   nobody can reach it by name any more; requests under way go on
 *      mount_close()    ends the session
 *
 * The mount is told from others by its device number, so that a mount somebody else made on the same place is never touched.
 *
 * Locks: none; one thread.                                                                                                          */
#ifndef KVFS_FS_MOUNT_H
#define KVFS_FS_MOUNT_H

#include "fs/log.h"
#include "fs/ops.h"

/* A view is no keyspace that can be changed, saved or spoken to: so it is of a type of its own, which nothing takes for the other. */
#define MOUNT_TYPE "fuse.kvfs"
#define MOUNT_VIEW_TYPE "fuse.kvfs-view"

struct mount {
	struct fuse_session *se;  /* C owned */
	char *point;              /* C owned, absolute */
	unsigned major, minor;    /* C */
	bool mounted;             /* C */
	bool uring;               /* C */
};

struct mount_options {
	const char *source;       /* the data directory, or what is viewed; absolute */
	bool view;
	const char *kernel;       /* "ro,nosuid": passed on; "" for none */
	bool allow_other;
	bool uring;               /* requests by io_uring where the kernel has it: uring_is_built() */
};

/* PATH is where the user wants it, DIR the data directory (absolute, resolved), which must not lie below.  *RET is owned by the caller.  A
 * negative errno with E set. */
int mount_place(const char *path, const char *dir, struct log *log, char **ret, struct error *e);
/* Whether the keyspace of DIR is mounted at PATH, and answers.  False when that can't be found out. */
bool mount_is_there(const char *path, const char *dir);
/* Takes POINT, also after an error; borrows ENV until mount_close(). */
int mount_open(struct mount *m, char *point, const struct mount_options *o, struct ops_env *env, struct error *e);
/* SERVED: somebody reads requests, so pages that processes have changed through mmap(2) can be written back first.  Does nothing when it
 * was unmounted already. */
void mount_detach(struct mount *m, bool served, struct log *log);
/* What is still unanswered gets ENOTCONN; nothing may be answered any more. */
void mount_close(struct mount *m);

#endif
