/* ctl_top.h -- the screen of kvfs-ctl top. */
#ifndef KVFS_FS_CTL_TOP_H
#define KVFS_FS_CTL_TOP_H

#include "fs/ctl_show.h"

/* Draws a sample each interval until q is pressed or a signal comes.  0, or an error of the connection. */
int ctl_top_screen(struct ctl_client *c, const struct ctl_show *s);

#endif
