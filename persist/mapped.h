/* mapped.h -- a file as bytes: mapped, or read into memory where somebody else may cut it meanwhile (a touch of a mapped page behind the
 * end of its file is SIGBUS). */
#ifndef KVFS_PERSIST_MAPPED_H
#define KVFS_PERSIST_MAPPED_H

#include "persist/error.h"

#include <stdbool.h>
#include <stdint.h>

struct mapped {
	const char *data;          /* NULL when LEN is 0 */
	size_t len;
	int64_t mtime_ns;
	bool in_memory;            /* private */
};

/* Opens NAME for reading.  A descriptor; -ENOENT is left to the caller to explain, else E is set. */
int mapped_open_fd(int dir_fd, const char *name, struct error *e);
/* The bytes that FD has now; FD stays the caller's.  IN_MEMORY: read, not mapped.  0; or a negative errno with E set: -EINVAL when it is no
 * regular file. */
int mapped_fd(int fd, bool in_memory, struct mapped *m, struct error *e);
/* Both. */
int mapped_file(int dir_fd, const char *name, struct mapped *m, struct error *e);
/* Changes N of the bytes, in M alone: the file stays as it is.  0, -ENOMEM ... */
int mapped_patch(struct mapped *m, size_t at, const void *bytes, size_t n);
void mapped_fini(struct mapped *m);

#endif
