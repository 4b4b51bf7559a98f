/* ctl_stop.h -- `umount` and `shutdown`: end the daemon, and return when it has gone.
 *
 * umount(2) of a FUSE filesystem returns before its daemon has written anything; so both take hold of the daemon's process first (the
 * kernel knows the peer of the control socket) and wait for that.                                                                    */
#ifndef KVFS_FS_CTL_STOP_H
#define KVFS_FS_CTL_STOP_H

#include "fs/ctl_client.h"
#include "fs/ctl_mounts.h"

/* Each returns an enum ctl_exit and has said why. */

/* A busy mount point stays as it is (CTL_REFUSED).  A view has nothing to make last, and is not waited for.  A mount whose daemon has died is taken away too. */
int ctl_umount(const struct ctl_mount *mount);
/* WORDS is the command with its arguments. */
int ctl_shutdown(struct ctl_client *c, const char *const *words, size_t count);

#endif
