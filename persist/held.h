/* held.h -- the files of a log, held open together, while its daemon may go on writing and rewriting.
 *
 * A rewrite publishes a new manifest and unlinks what the one before listed.  So: read the manifest, open what it lists, read the manifest
 * again; when it is another, or a file has gone, begin anew.  What is open then is one history, from the base on; only the last incr still
 * grows (or is cut, when a daemon starts again), all the others are as they will ever be.                                              */
#ifndef KVFS_PERSIST_HELD_H
#define KVFS_PERSIST_HELD_H

#include "persist/manifest.h"

#include <stdbool.h>

struct held_file {
	const struct manifest_file *of;  /* borrowed from the manifest */
	int fd;                          /* for reading */
};

struct held_log {
	struct manifest manifest;
	struct held_file *file;          /* owned: the base first, if there is one, then the incrs in order; no history */
	size_t count;
	bool has_base;
};

/* The log whose manifest is NAME in DIR_FD.  0; -ENOENT without E: there is no such manifest; else a negative errno with E set, among them
 * -EAGAIN when it was another each time. */
int held_log_open(int dir_fd, const char *name, struct held_log *h, struct error *e);
void held_log_close(struct held_log *h);

#endif
