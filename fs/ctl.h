/* ctl.h -- what the files of kvfs-ctl share: how it ends, and how it complains. */
#ifndef KVFS_FS_CTL_H
#define KVFS_FS_CTL_H

enum ctl_exit {
	CTL_DONE = 0,
	CTL_REFUSED = 1,     /* the server (or the kernel) said no */
	CTL_USAGE = 2,
	CTL_NO_SERVER = 3,
};

/* "kvfs-ctl: ..." on standard error.  Returns CODE. */
int ctl_complain(enum ctl_exit code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
