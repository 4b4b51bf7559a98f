#include "fs/mount.h"
#include "fs/mountinfo.h"
#include "fs/uring.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DETACH_MAX = 16 };  /* bind mounts of one mount that are detached with it */

/* A mount looked for in mountinfo, by place or by device; the last one counts. */
struct search {
	const char *point;        /* NULL: by device */
	unsigned major, minor;
	bool found;
	bool is_kvfs;
	char *found_point;        /* by device: owned copy */
};

static int search_each(void *ctx, const struct mountinfo *m)
{
	struct search *s = ctx;

	if (s->point ? strcmp(m->point, s->point) != 0 : m->major != s->major || m->minor != s->minor)
		return 0;
	s->found = true;
	s->is_kvfs = strcmp(m->type, MOUNT_TYPE) == 0 || strcmp(m->type, MOUNT_VIEW_TYPE) == 0;
	if (s->point) {
		s->major = m->major;
		s->minor = m->minor;
		return 0;
	}
	free(s->found_point);
	s->found_point = strdup(m->point);
	return s->found_point ? 0 : -ENOMEM;
}

/* Like umount -l. */
static int detach_point(const char *point)
{
	char *argv[] = { "fusermount3", "-u", "-q", "-z", "--", (char *)point, NULL };
	int status, err;
	pid_t pid;

	if (umount2(point, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		return 0;
	err = -errno;
	if (err != -EPERM)
		return err;
	err = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (err)
		return -err;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

/* The resolved form of a path whose last part cannot be looked at. */
static char *resolve_parent(const char *path)
{
	char *for_dir = strdup(path), *for_base = strdup(path), *dir = NULL, *ret = NULL;

	if (!for_dir || !for_base)
		goto out;
	dir = realpath(dirname(for_dir), NULL);
	if (dir && asprintf(&ret, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, basename(for_base)) < 0)
		ret = NULL;
out:
	free(dir);
	free(for_dir);
	free(for_base);
	return ret;
}

/* After a daemon's violent end its mount stays, and answers nothing but ENOTCONN. */
static int clear_dead(const char *path, struct log *log, struct error *e)
{
	char *point = resolve_parent(path);
	int err;

	if (!point)
		return error_set(e, -ENOTCONN, "%s: a dead mount, and the way to it cannot be resolved", path);
	err = detach_point(point);
	if (err < 0)
		error_set(e, err, "%s: a dead mount is there and cannot be cleared (umount -l %s): %s", path, point, strerror(-err));
	else
		log_printf(log, LOG_LEVEL_WARNING, "%s: cleared a dead mount, whose daemon had gone without unmounting", point);
	free(point);
	return err;
}

/* Whether PATH is UPPER or lies below it; both absolute and resolved. */
static bool is_below(const char *path, const char *upper)
{
	size_t len = strcmp(upper, "/") == 0 ? 0 : strlen(upper);

	return strncmp(path, upper, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static int check_place(const char *point, const char *dir, struct error *e)
{
	struct search s = { .point = point };
	int err;

	if (is_below(dir, point))
		return error_set(e, -EINVAL, "%s: cannot be the mount point, it holds the data directory %s", point, dir);
	err = mountinfo_each(search_each, &s);
	if (err < 0)
		return error_set(e, err, "/proc/self/mountinfo: %s", strerror(-err));
	if (s.found && s.is_kvfs)
		return error_set(e, -EBUSY, "%s: a keyspace is mounted there already", point);
	return 0;
}

/* The kernel knows the root's attributes for ever, so stat(2) may see nothing wrong with a dead mount; this it has to ask.  Whose question is on its way
 * when the daemon dies is told so in other words, by io_uring in others again. */
static bool is_dead(const char *path)
{
	struct statfs st;

	return statfs(path, &st) < 0 && (errno == ENOTCONN || errno == ECONNABORTED || errno == ECANCELED);
}

struct pair { const char *point, *dir; };

static int pair_each(void *ctx, const struct mountinfo *m)
{
	const struct pair *p = ctx;

	return strcmp(m->type, MOUNT_TYPE) == 0 && strcmp(m->source, p->dir) == 0 && strcmp(m->point, p->point) == 0;
}

bool mount_is_there(const char *path, const char *dir)
{
	char *point = is_dead(path) ? NULL : realpath(path, NULL), *source = realpath(dir, NULL);
	bool there = point && source && mountinfo_each(pair_each, &(struct pair){ point, source }) > 0;

	free(source);
	free(point);
	return there;
}

int mount_place(const char *path, const char *dir, struct log *log, char **ret, struct error *e)
{
	struct stat st;
	char *point;
	int err;

	if (is_dead(path)) {
		err = clear_dead(path, log, e);
		if (err < 0)
			return err;
	}
	err = stat(path, &st) < 0 ? -errno : 0;
	if (err == -ENOENT)
		return error_set(e, err, "%s: no such directory to mount on (mkdir it first)", path);
	if (err < 0)
		return error_set(e, err, "%s: %s", path, strerror(-err));
	if (!S_ISDIR(st.st_mode))
		return error_set(e, -ENOTDIR, "%s: cannot be the mount point, it is not a directory", path);

	point = realpath(path, NULL);
	if (!point)
		return error_set(e, -errno, "%s: %s", path, strerror(errno));
	err = check_place(point, dir, e);
	if (err < 0) {
		free(point);
		return err;
	}
	*ret = point;
	return 0;
}

/* What libfuse is asked to mount with; *ARGS is to be freed. */
static int make_args(const struct mount_options *o, struct fuse_args *args)
{
	char *options = NULL, *fsname = NULL;
	int err = -ENOMEM;

	if (asprintf(&fsname, "fsname=%s", o->source) < 0) {
		fsname = NULL;
		goto out;
	}
	if (fuse_opt_add_opt_escaped(&options, fsname) || fuse_opt_add_opt(&options, o->view ? "subtype=kvfs-view,ro" : "subtype=kvfs") ||
	    fuse_opt_add_opt(&options, "default_permissions"))
		goto out;
	if (o->allow_other && fuse_opt_add_opt(&options, "allow_other"))
		goto out;
	if (*o->kernel && fuse_opt_add_opt(&options, o->kernel))
		goto out;
	if (o->uring && fuse_opt_add_opt(&options, uring_options()))
		goto out;
	if (fuse_opt_add_arg(args, "kvfs") || fuse_opt_add_arg(args, "-o") || fuse_opt_add_arg(args, options))
		goto out;
	err = 0;
out:
	free(fsname);
	free(options);
	return err;
}

int mount_open(struct mount *m, char *point, const struct mount_options *o, struct ops_env *env, struct error *e)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct search s = { .point = point };
	int err;

	*m = (struct mount){ .point = point, .uring = o->uring };
	err = make_args(o, &args);
	if (err < 0) {
		error_set(e, err, "%s: %s", point, strerror(-err));
		goto out;
	}
	/* libfuse itself says on standard error what was wrong. */
	m->se = fuse_session_new(&args, o->uring ? &uring_table : &ops_table, sizeof(ops_table), env);
	if (!m->se) {
		err = error_set(e, -EINVAL, "%s: the mount options were refused", point);
		goto out;
	}
	if (fuse_session_mount(m->se, point) != 0) {
		err = error_set(e, -EIO, "%s: could not be mounted (is /dev/fuse there, and is mounting allowed?)", point);
		goto out;
	}
	m->mounted = true;
	mountinfo_each(search_each, &s);
	m->major = s.major;
	m->minor = s.minor;
out:
	fuse_opt_free_args(&args);
	if (err < 0)
		mount_close(m);
	return err;
}

/* Changed pages of mapped files go to the readers as WRITE. */
static void write_back(const struct mount *m)
{
	int fd = open(m->point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_dev == makedev(m->major, m->minor))
		syncfs(fd);
	close(fd);
}

void mount_detach(struct mount *m, bool served, struct log *log)
{
	struct search s;
	int err;

	if (!m->mounted)
		return;
	for (int i = 0; i < DETACH_MAX; i++) {
		s = (struct search){ .major = m->major, .minor = m->minor };
		err = mountinfo_each(search_each, &s);
		if (err == 0 && !s.found)
			break;
		if (err == 0 && i == 0 && served)
			write_back(m);
		if (err == 0)
			err = detach_point(s.found_point);
		if (err < 0) {
			log_printf(log, LOG_LEVEL_WARNING, "%s: cannot unmount: %s", m->point, strerror(-err));
			i = DETACH_MAX;
		}
		free(s.found_point);
	}
}

/* fuse_session_unmount() frees what libfuse holds of the mount, but it also unmounts by name, where another mount may stand by now:
 * unless its descriptor tells of an error, as /dev/fuse does after an unmount.  So in the place of /dev/fuse, which this closes, comes
 * a pipe that nobody reads. */
static void sever(struct fuse_session *se)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return;
	close(fd[0]);
	if (dup3(fd[1], fuse_session_fd(se), O_CLOEXEC) >= 0)
		fuse_session_unmount(se);
	close(fd[1]);
}

void mount_close(struct mount *m)
{
	if (m->mounted)
		sever(m->se);
	if (m->se && m->uring)
		uring_end_threads(m->se);
	if (m->se)
		fuse_session_destroy(m->se);
	free(m->point);
	*m = (struct mount){ 0 };
}
