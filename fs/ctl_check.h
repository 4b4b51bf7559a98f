/* ctl_check.h -- kvfs-ctl check: would this data directory mount, and if not, what is wrong where? */
#ifndef KVFS_FS_CTL_CHECK_H
#define KVFS_FS_CTL_CHECK_H

/* Reads the log and the snapshot of DIR as a start would, into memory, and changes nothing.  Refused while a daemon holds the directory.
 * Returns an enum ctl_exit: DONE when all of it counts, REFUSED with what does not (a torn tail, which a start would cut, included). */
int ctl_check(const char *dir);

#endif
