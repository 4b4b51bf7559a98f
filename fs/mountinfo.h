/* mountinfo.h -- the mounts of this process's namespace, as /proc/self/mountinfo lists them: never touches a filesystem, so a dead or a
 * hanging mount does no harm. */
#ifndef KVFS_FS_MOUNTINFO_H
#define KVFS_FS_MOUNTINFO_H

struct mountinfo {
	unsigned major, minor;    /* the device stat(2) shows */
	const char *root;         /* what of the filesystem is mounted; this and the next three are unescaped, all borrowed for the call */
	const char *point;        /* where */
	const char *type;         /* "fuse.kvfs" */
	const char *source;       /* the data directory */
	const char *options;      /* of the filesystem */
};

/* Calls EACH for every mount, in the order of mounting, until it returns other than 0; returns that.  0, or a negative errno when the list
 * cannot be read; lines it cannot read are passed over. */
typedef int mountinfo_fn(void *ctx, const struct mountinfo *m);
int mountinfo_each(mountinfo_fn *each, void *ctx);
/* The same of another such list. */
int mountinfo_each_in(const char *file, mountinfo_fn *each, void *ctx);

#endif
