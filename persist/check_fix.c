/* check_fix.c -- see check_fix.h. */
#include "persist/check_fix.h"

#include "persist/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEPT_MAX = 1000, NEW_MODE = 0644 };

static int sync_dir(int dir_fd, struct error *e)
{
	const struct disk *d = disk_real();
	int err = d->fsync_dir(d->ctx, dir_fd);

	return err ? error_set(e, err, "the directory can't be synced: %s", strerror(-err)) : 0;
}

/* Gives NAME a second name (MOVE: instead of the first) that nothing has yet. */
static int keep(int dir_fd, const char *name, bool move, char **ret_kept, struct error *e)
{
	int i, err = 0;

	for (i = 1; i <= KEPT_MAX; i++) {
		char *kept;

		if ((i == 1 ? asprintf(&kept, "%s.before-fix", name) : asprintf(&kept, "%s.before-fix.%d", name, i)) < 0)
			return error_set(e, -ENOMEM, "out of memory");
		if ((move ? renameat2(dir_fd, name, dir_fd, kept, RENAME_NOREPLACE) : linkat(dir_fd, name, dir_fd, kept, 0)) == 0) {
			*ret_kept = kept;
			return 0;
		}
		err = -errno;
		free(kept);
		if (err != -EEXIST)
			break;
	}
	if (!move && (err == -EPERM || err == -EOPNOTSUPP || err == -EMLINK || err == -ENOSYS))
		return keep(dir_fd, name, true, ret_kept, e);
	return error_set(e, err, "the original can't be kept: %s", strerror(-err));
}

static int write_parts(int fd, const struct iovec *part, int count)
{
	const struct disk *d = disk_real();
	size_t done;
	int i, err = 0;

	for (i = 0; i < count && !err; i++)
		err = disk_write_all(d, fd, part[i].iov_base, part[i].iov_len, &done);
	return err ? err : d->fdatasync(d->ctx, fd);
}

/* TEMP, new, like the file of status OLD (NULL: there is none). */
static int write_new(int dir_fd, const char *temp, const struct stat *old, const struct iovec *part, int count, struct error *e)
{
	int fd = openat(dir_fd, temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, old ? old->st_mode & 0777 : NEW_MODE);
	int err = fd < 0 ? -errno : 0;

	if (!err && old && fchown(fd, old->st_uid, old->st_gid) < 0 && errno != EPERM)
		err = -errno;
	if (!err && old && fchmod(fd, old->st_mode & 0777) < 0)
		err = -errno;
	if (!err)
		err = write_parts(fd, part, count);
	if (fd >= 0 && close(fd) < 0 && !err)
		err = -errno;
	if (!err)
		return 0;
	(void)unlinkat(dir_fd, temp, 0);
	return error_set(e, err, "the repaired file can't be written: %s", strerror(-err));
}

int check_fix_replace(int dir_fd, const char *name, const struct iovec *part, int count, char **ret_kept, struct error *e)
{
	struct stat st;
	bool there = fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	char *temp, *kept = NULL;
	int err;

	if (asprintf(&temp, "%s.fixing", name) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	err = write_new(dir_fd, temp, there ? &st : NULL, part, count, e);
	if (err)
		goto out;
	if (there)
		err = keep(dir_fd, name, false, &kept, e);
	if (!err)
		err = sync_dir(dir_fd, e);
	if (!err && renameat(dir_fd, temp, dir_fd, name) < 0) {
		err = -errno;
		error_set(e, err, "the repaired file can't be put in its place: %s", strerror(-err));
	}
	if (err)
		(void)unlinkat(dir_fd, temp, 0);
	else
		err = sync_dir(dir_fd, e);
out:
	free(temp);
	if (err)
		free(kept);
	else
		*ret_kept = kept;
	return err;
}

int check_fix_aside(int dir_fd, const char *name, char **ret_kept, struct error *e)
{
	char *kept = NULL;
	int err = keep(dir_fd, name, true, &kept, e);

	if (!err)
		err = sync_dir(dir_fd, e);
	if (err)
		free(kept);
	else
		*ret_kept = kept;
	return err;
}
