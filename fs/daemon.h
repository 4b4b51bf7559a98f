/* daemon.h -- going to the background, and telling the terminal how it went.
 *
 *      parent                                child
 *      daemon_fork() ----------------------> everything: locks, loads, mounts, starts threads; mistakes go to its standard error
 *      daemon_await() <--- ready + report -- daemon_ready(): a session of its own, /dev/null for its three standard files
 *      exits 0, or with the child's status
 *
 * Until it is ready the child shares the terminal, so that Ctrl-C ends the load as well.  It forks before there is any thread or open
 * file; what it inherits beyond the standard files is closed.                                                                       */
#ifndef KVFS_FS_DAEMON_H
#define KVFS_FS_DAEMON_H

#include <sys/types.h>

struct daemon {
	int pipe_fd;              /* child: to the parent; parent: from the child; -1: neither */
	pid_t child;              /* parent: of the child; child: 0 */
};

/* 0: in both; D->child tells which.  A negative errno. */
int daemon_fork(struct daemon *d);
/* Child: REPORT (lines, may be "") goes to the parent, which prints it and ends.  Without a parent (-f) only the working directory
 * changes.  A negative errno. */
int daemon_ready(struct daemon *d, const char *report);
/* Parent: the exit status of the program. */
int daemon_await(struct daemon *d);

#endif
