/* ctl_newdir.c -- see ctl_newdir.h. */
#include "fs/ctl_newdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIR_MODE = 0700, WALK_FDS = 16 };

/* Free, or an empty directory. */
static int check_place(const struct ctl_newdir *d, struct error *e)
{
	int fd = openat(d->parent_fd, d->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), entries = 0;
	DIR *dir;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return error_set(e, -errno, "%s: %s", d->path, strerror(errno));
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return error_set(e, -ENOMEM, "%s: out of memory", d->path);
	}
	while (readdir(dir))
		entries++;
	closedir(dir);
	return entries > 2 ? error_set(e, -ENOTEMPTY, "%s: is there already, and is not empty", d->path) : 0;
}

static int split(struct ctl_newdir *d, const char *path)
{
	char *for_parent = strdup(path), *for_name = strdup(path);
	int err = -ENOMEM;

	if (for_parent && for_name) {
		d->path = strdup(path);
		d->parent = strdup(dirname(for_parent));
		d->name = strdup(basename(for_name));
		if (d->path && d->parent && d->name && asprintf(&d->temp, ".%s.kvfs-%d", d->name, (int)getpid()) >= 0)
			err = 0;
		else
			d->temp = NULL;
	}
	free(for_parent);
	free(for_name);
	return err;
}

int ctl_newdir_begin(const char *path, struct ctl_newdir *d, struct error *e)
{
	int err;

	*d = (struct ctl_newdir){ .parent_fd = -1, .fd = -1 };
	err = split(d, path);
	if (err) {
		error_set(e, err, "%s: out of memory", path);
		goto err_end;
	}
	d->parent_fd = open(d->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->parent_fd < 0) {
		err = error_set(e, -errno, "%s: %s: %s", path, d->parent, strerror(errno));
		goto err_end;
	}
	err = check_place(d, e);
	if (err)
		goto err_end;
	if (mkdirat(d->parent_fd, d->temp, DIR_MODE) < 0) {
		err = error_set(e, -errno, "%s: %s/%s can't be made: %s", path, d->parent, d->temp, strerror(errno));
		goto err_end;
	}
	d->fd = openat(d->parent_fd, d->temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd >= 0)
		return 0;
	err = error_set(e, -errno, "%s: %s", path, strerror(errno));
	unlinkat(d->parent_fd, d->temp, AT_REMOVEDIR);
err_end:
	ctl_newdir_end(d);
	return err;
}

int ctl_newdir_commit(struct ctl_newdir *d, struct error *e)
{
	if (fsync(d->fd) < 0 || renameat(d->parent_fd, d->temp, d->parent_fd, d->name) < 0)
		return error_set(e, -errno, "%s: %s", d->path, strerror(errno));
	close(d->fd);
	d->fd = -1;
	if (fsync(d->parent_fd) < 0)
		return error_set(e, -errno, "%s: is there, but its directory can't be synced: %s", d->path, strerror(errno));
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st;
	(void)type;
	(void)walk;
	(void)remove(path);
	return 0;
}

void ctl_newdir_end(struct ctl_newdir *d)
{
	char *temp;

	if (d->fd >= 0) {
		close(d->fd);
		if (asprintf(&temp, "%s/%s", d->parent, d->temp) >= 0) {
			(void)nftw(temp, remove_one, WALK_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
			free(temp);
		}
	}
	if (d->parent_fd >= 0)
		close(d->parent_fd);
	free(d->path);
	free(d->parent);
	free(d->name);
	free(d->temp);
	*d = (struct ctl_newdir){ .parent_fd = -1, .fd = -1 };
}
