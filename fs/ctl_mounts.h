/* ctl_mounts.h -- which kvfs is meant: the mounts of type fuse.kvfs, and of views, in /proc/self/mountinfo, and the one the user picked. */
#ifndef KVFS_FS_CTL_MOUNTS_H
#define KVFS_FS_CTL_MOUNTS_H

#include "persist/error.h"

#include <stdbool.h>
#include <stddef.h>

struct ctl_mount {
	char *mountpoint;   /* owned, as the others */
	char *root;         /* of the keyspace that is shown there: "/", or a directory of it in a bind mount */
	char *dir;          /* the mount's source: the data directory, or what a view looks at */
	bool view;          /* read-only, without a server */
};

struct ctl_mounts {
	struct ctl_mount *mount;
	size_t count;
};

/* Takes the kvfs mounts out of the text of a mountinfo file (LEN bytes), in its order, octal escapes decoded; lines that it cannot read are
 * left out.  0 or -ENOMEM. */
int ctl_mounts_parse(const char *text, size_t len, struct ctl_mounts *ret);
/* The mounts of this process.  0, or a negative errno with E set. */
int ctl_mounts_read(struct ctl_mounts *ret, struct error *e);
void ctl_mounts_fini(struct ctl_mounts *m);

/* The mount at MOUNTPOINT, or with NULL the only one with a server (several mounts of one data directory are one).  Borrowed from M.  0;
 * -ENOENT: there is none; -EINVAL: several, and the user has to pick; E says which. */
int ctl_mounts_pick(const struct ctl_mounts *m, const char *mountpoint, const struct ctl_mount **ret, struct error *e);

#endif
