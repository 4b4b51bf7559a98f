/* disk.c -- see disk.h. */
#include "persist/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	DISK_FILE_MODE = 0644,        /* as Redis's files; the umask narrows it */
	DISK_LARGE = 16 << 20,        /* bytes of a file whose freeing is left to a thread of its own */
	DISK_NICE = 10,
};

static const int64_t ns_per_s = 1000000000;

static int disk_open(void *ctx, int dir_fd, const char *name, int flags, mode_t mode)
{
	int fd;

	(void)ctx;
	do
		fd = openat(dir_fd, name, flags | O_CLOEXEC, mode);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

static ssize_t disk_write(void *ctx, int fd, const void *data, size_t len)
{
	ssize_t n;

	(void)ctx;
	do
		n = write(fd, data, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int disk_truncate(void *ctx, int fd, uint64_t size)
{
	int r;

	(void)ctx;
	if (size > INT64_MAX)
		return -EFBIG;
	do
		r = ftruncate(fd, (off_t)size);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int disk_fdatasync(void *ctx, int fd)
{
	int r;

	(void)ctx;
	do
		r = fdatasync(fd);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int disk_write_out(void *ctx, int fd, uint64_t off, uint64_t len)
{
	const unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
	int r;

	(void)ctx;
	do
		r = sync_file_range(fd, (off_t)off, (off_t)len, all);
	while (r < 0 && errno == EINTR);
	/* What is no disk file has no such range. */
	if (r < 0 && errno != ESPIPE && errno != ENOSYS && errno != EINVAL && errno != EOPNOTSUPP)
		return -errno;
	(void)posix_fadvise(fd, (off_t)off, (off_t)len, POSIX_FADV_DONTNEED);
	return 0;
}

static int disk_fsync_dir(void *ctx, int dir_fd)
{
	int r;

	(void)ctx;
	do
		r = fsync(dir_fd);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int disk_rename(void *ctx, int dir_fd, const char *from, int to_dir_fd, const char *to)
{
	(void)ctx;
	return renameat(dir_fd, from, to_dir_fd, to) < 0 ? -errno : 0;
}

static void *disk_closing(void *arg)
{
	setpriority(PRIO_PROCESS, 0, DISK_NICE);
	close((int)(intptr_t)arg);
	return NULL;
}

static void disk_close_elsewhere(int fd)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, disk_closing, (void *)(intptr_t)fd) == 0)
		pthread_detach(thread);
	else
		close(fd);
}

/* A file is freed in the call that takes the last of its names and descriptors, and a GB keeps a CPU busy for long: nobody who waits for the
 * caller should wait for that. */
static int disk_unlink(void *ctx, int dir_fd, const char *name)
{
	struct stat st;
	int r, fd = -1;

	(void)ctx;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_size > DISK_LARGE)
		fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	r = unlinkat(dir_fd, name, 0) < 0 ? -errno : 0;
	if (fd >= 0)
		disk_close_elsewhere(fd);
	return r;
}

/* After EINTR the descriptor is closed all the same: a second close could hit another thread's. */
static int disk_close(void *ctx, int fd)
{
	(void)ctx;
	return close(fd) < 0 && errno != EINTR ? -errno : 0;
}

static int64_t disk_clock_ns(clockid_t id)
{
	struct timespec ts = {0};

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * ns_per_s + ts.tv_nsec;
}

static int64_t disk_now_ns(void *ctx)
{
	(void)ctx;
	return disk_clock_ns(CLOCK_REALTIME);
}

static int64_t disk_monotonic_ns(void *ctx)
{
	(void)ctx;
	return disk_clock_ns(CLOCK_MONOTONIC);
}

const struct disk *disk_real(void)
{
	static const struct disk real = {
		.open = disk_open,
		.write = disk_write,
		.truncate = disk_truncate,
		.fdatasync = disk_fdatasync,
		.write_out = disk_write_out,
		.fsync_dir = disk_fsync_dir,
		.rename = disk_rename,
		.unlink = disk_unlink,
		.close = disk_close,
		.now_ns = disk_now_ns,
		.monotonic_ns = disk_monotonic_ns,
	};

	return &real;
}

int disk_write_all(const struct disk *d, int fd, const void *data, size_t len, size_t *ret_done)
{
	const char *p = data;
	size_t done = 0;
	int r = 0;

	while (done < len) {
		ssize_t n = d->write(d->ctx, fd, p + done, len - done);

		if (n <= 0) {
			r = n < 0 ? (int)n : -EIO;
			break;
		}
		done += (size_t)n;
	}
	if (ret_done)
		*ret_done = done;
	return r;
}

int disk_write_file(const struct disk *d, int dir_fd, const char *name, const void *data, size_t len)
{
	size_t done;
	int fd, r, close_r;

	fd = d->open(d->ctx, dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC, DISK_FILE_MODE);
	if (fd < 0)
		return fd;
	r = disk_write_all(d, fd, data, len, &done);
	if (r == 0)
		r = d->fdatasync(d->ctx, fd);
	close_r = d->close(d->ctx, fd);
	if (r == 0)
		r = close_r;
	if (r < 0)
		d->unlink(d->ctx, dir_fd, name);
	return r;
}

int disk_replace(const struct disk *d, int dir_fd, const char *temp, const char *name, const void *data, size_t len)
{
	int r = disk_write_file(d, dir_fd, temp, data, len);

	if (r < 0)
		return r;
	r = d->rename(d->ctx, dir_fd, temp, dir_fd, name);
	if (r < 0) {
		d->unlink(d->ctx, dir_fd, temp);
		return r;
	}
	return d->fsync_dir(d->ctx, dir_fd);
}
