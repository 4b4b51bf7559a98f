/* service.h -- one keyspace, from the data directory to the mount and back; or a view of one.
 *
 *      start:  data directory, mount point -> lock and load -> mount -> threads (persist, control, notify, readers) -> ready
 *      run:    until SIGTERM, SIGINT, SHUTDOWN, or an unmount by whoever
 *      stop:   detach -> readers end -> control ends -> all on disk, the last snapshot -> session and directory given up
 *
 * A view (persist/view.h) is loaded and mounted read-only: no lock, no threads of persist, no control socket, and nothing to do at its end.
 *
 * What a human can mend fails before the mount.  Unmounting does not wait for its daemon; so a start that finds the directory held by
 * one that is still saving waits for it (start-timeout).                                                                            */
#ifndef KVFS_FS_SERVICE_H
#define KVFS_FS_SERVICE_H

#include "fs/config.h"
#include "fs/daemon.h"

#include <stdbool.h>

struct service_options {
	struct config *config;    /* borrowed; `dir` becomes absolute */
	const char *mountpoint;   /* borrowed */
	const char *view;         /* borrowed; what is looked at read-only; NULL: the keyspace in `dir` is mounted */
	int64_t until_ns;         /* the moment of the view; 0: as it is */
	bool foreground;
	struct daemon *daemon;    /* borrowed: told when ready */
};

/* The whole life.  Returns the exit status: 0, or 1 after a sentence on standard error (before it is ready) or in the log. */
int service_run(const struct service_options *o);

#endif
