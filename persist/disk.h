/* disk.h -- the port to the disk: every system call with which persist changes or syncs a file, and the clock.
 *
 * The real one is disk_real().  Tests put a port of their own in front of it that fails, cuts or forgets (tests/lib).
 * All calls return 0 or more, or a negative errno.  Any thread.                                                          */
#ifndef KVFS_PERSIST_DISK_H
#define KVFS_PERSIST_DISK_H

#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct disk {
	void *ctx;
	/* openat(2) with O_CLOEXEC; returns the descriptor. */
	int (*open)(void *ctx, int dir_fd, const char *name, int flags, mode_t mode);
	/* write(2): may be short. */
	ssize_t (*write)(void *ctx, int fd, const void *data, size_t len);
	int (*truncate)(void *ctx, int fd, uint64_t size);
	int (*fdatasync)(void *ctx, int fd);
	/* Writes these bytes of the file out and drops them from the page cache.  No promise: that is fdatasync's.  An error may be told
	 * here and not again. */
	int (*write_out)(void *ctx, int fd, uint64_t off, uint64_t len);
	int (*fsync_dir)(void *ctx, int dir_fd);
	int (*rename)(void *ctx, int dir_fd, const char *from, int to_dir_fd, const char *to);
	/* The name is gone when it returns; what a large file holds is freed soon after, by a thread of its own. */
	int (*unlink)(void *ctx, int dir_fd, const char *name);
	int (*close)(void *ctx, int fd);
	int64_t (*now_ns)(void *ctx);          /* CLOCK_REALTIME */
	int64_t (*monotonic_ns)(void *ctx);    /* CLOCK_MONOTONIC */
};

const struct disk *disk_real(void);
/* Writes all of it, or says why not (-ENOSPC, -EIO ...); *RET_DONE bytes went out either way. */
int disk_write_all(const struct disk *d, int fd, const void *data, size_t len, size_t *ret_done);
/* Makes NAME anew of the given bytes, and syncs the file but not its directory.  After an error it is gone. */
int disk_write_file(const struct disk *d, int dir_fd, const char *name, const void *data, size_t len);
/* Replaces DIR/NAME by the given bytes, durably: temp file TEMP, fdatasync, rename, fsync of the directory. */
int disk_replace(const struct disk *d, int dir_fd, const char *temp, const char *name, const void *data, size_t len);

#endif
