/* check.c -- see check.h: what PATH is, and that nobody has it open. */
#include "persist/check.h"

#include "persist/check_dir.h"
#include "persist/manifest.h"
#include "persist/mapped.h"
#include "persist/rdb_load.h"
#include "persist/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- locks ---- */

/* Locks the directory at FD, which goes with FD.  A daemon has it exclusively. */
static int lock_dir(struct check *c, int fd, bool exclusive, const char *shown)
{
	if (flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
		return 0;
	c->found |= CHECK_FAILED;
	if (errno == EWOULDBLOCK)
		return error_set(c->e, -EWOULDBLOCK, "%s: a kvfs is using it: unmount it first", shown);
	return error_set(c->e, -errno, "%s: it can't be locked: %s", shown, strerrordesc_np(errno));
}

static int open_dir(struct check *c, int at_fd, const char *name, const char *shown)
{
	int err, fd = openat(at_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	err = -errno;
	c->found |= CHECK_FAILED;
	return error_set(c->e, err, "%s: %s", shown, strerrordesc_np(-err));
}

/* A daemon locks its data directory, and the log lies in a directory of that: both are locked.  *RET_FD is that of the upper or -1. */
static int lock_log_dir(struct check *c, int dir_fd, const char *shown, int *ret_fd)
{
	int err;

	*ret_fd = openat(dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = *ret_fd >= 0 ? lock_dir(c, *ret_fd, false, shown) : 0;
	return err ? err : lock_dir(c, dir_fd, c->o->fix, shown);
}

/* ---- directories ---- */

static bool there(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, 0) == 0;
}

static void check_file(struct check *c, int dir_fd, const char *name, const char *shown, enum check_role role, struct check_chain *ret_end)
{
	struct check_spot s = { .dir_fd = dir_fd, .name = name, .shown = shown };

	*ret_end = (struct check_chain){ 0 };
	(void)check_one(c, &s, role, true, ret_end);
}

/* The log that a start would read; false: there is none. */
static bool check_log_of(struct check *c, int dir_fd, struct check_chain *ret_end)
{
	int fd = openat(dir_fd, c->o->appenddirname, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *manifest = fd < 0 ? NULL : check_find_manifest(fd, c->o->appendfilename), *shown = NULL;

	if (fd < 0 && errno != ENOENT)
		check_failed(c, &(struct check_spot){ .shown = c->o->appenddirname }, &(struct error){ "it can't be opened" });
	if (manifest && asprintf(&shown, "%s/", c->o->appenddirname) >= 0)
		check_log_dir(c, fd, manifest, shown, ret_end);
	free(shown);
	free(manifest);
	if (fd >= 0)
		close(fd);
	if (manifest)
		return true;
	if (!there(dir_fd, c->o->appendfilename))
		return false;
	check_file(c, dir_fd, c->o->appendfilename, c->o->appendfilename, ROLE_ALONE, ret_end);
	return true;
}

/* Where a log and a snapshot are there a start takes the one that has all. */
static void say_which(struct check *c, int dir_fd, const struct check_chain *log_end)
{
	const char *name = c->o->dbfilename;
	struct rdb_origin origin = { 0 };
	struct error ignored = { "" };
	struct mapped m = { 0 };
	enum recover_relation which = RECOVER_OLDER;

	if (mapped_file(dir_fd, name, &m, &ignored) == 0 && rdb_is(m.data, m.len) && rdb_peek(m.data, m.len, &origin) == 0)
		which = recover_relate(&origin, log_end->lineage, log_end->last_seq);
	mapped_fini(&m);
	if (which == RECOVER_NEWER)
		check_say(c, "%s: it is newer (batch %llu) than what counts of the log (batch %llu): a start that can read both loads it", name,
		          (unsigned long long)origin.seq, (unsigned long long)log_end->last_seq);
	else if (which == RECOVER_FORKED)
		check_say(c, "%s: it has changes that the log has not, and the log has others: a start loads the log and keeps it beside", name);
}

static void check_data_dir(struct check *c, int dir_fd, const char *path)
{
	struct check_chain log_end = { 0 }, dump_end = { 0 };
	bool log = check_log_of(c, dir_fd, &log_end), dump = there(dir_fd, c->o->dbfilename);

	if (dump)
		check_file(c, dir_fd, c->o->dbfilename, c->o->dbfilename, ROLE_DUMP, &dump_end);
	if (log && dump)
		say_which(c, dir_fd, &log_end);
	if (!log && !dump && !(c->found & CHECK_FAILED))
		check_say(c, "%s: nothing there: neither a log in %s nor %s (where they have other names, give those)", path, c->o->appenddirname, c->o->dbfilename);
}

static void check_dir(struct check *c, const char *path)
{
	struct check_chain end;
	int up = -1, fd = open_dir(c, AT_FDCWD, path, path);
	char *manifest;

	if (fd < 0)
		return;
	manifest = check_find_manifest(fd, c->o->appendfilename);
	if (manifest) {
		if (lock_log_dir(c, fd, path, &up) == 0)
			check_log_dir(c, fd, manifest, "", &end);
	} else if (lock_dir(c, fd, c->o->fix, path) == 0) {
		check_data_dir(c, fd, path);
	}
	free(manifest);
	close(fd);
	if (up >= 0)
		close(up);
}

/* ---- files ---- */

/* Whether a log has the file, which then is not to be cut behind its back. */
static bool belongs_to_log(int dir_fd, const char *manifest, const char *name)
{
	struct manifest m = { 0 };
	struct mapped text = { 0 };
	struct error e = { "" };
	bool found = false;
	size_t i;

	if (mapped_file(dir_fd, manifest, &text, &e) == 0 && manifest_parse(text.data ? text.data : "", text.len, &m, &e) == 0)
		for (i = 0; i < m.count; i++)
			found |= strcmp(m.file[i].name, name) == 0;
	manifest_fini(&m);
	mapped_fini(&text);
	return found;
}

/* A snapshot is never changed in its place, so it can be read whoever is at work. */
static bool is_snapshot(int dir_fd, const char *name)
{
	struct mapped m = { 0 };
	struct error e = { "" };
	bool is = mapped_file(dir_fd, name, &m, &e) == 0 && rdb_is(m.data, m.len);

	mapped_fini(&m);
	return is;
}

static void check_name(struct check *c, int dir_fd, const char *name, const char *path)
{
	char *manifest = check_find_manifest(dir_fd, c->o->appendfilename);
	struct check_chain end;
	int up = -1, err = 0;

	if (c->o->fix || !is_snapshot(dir_fd, name))
		err = manifest ? lock_log_dir(c, dir_fd, path, &up) : lock_dir(c, dir_fd, c->o->fix, path);
	if (err) {
		/* said */
	} else if (check_is_manifest(name)) {
		check_log_dir(c, dir_fd, name, "", &end);
	} else if (c->o->fix && manifest && belongs_to_log(dir_fd, manifest, name)) {
		c->found |= CHECK_USAGE;
		error_set(c->e, 0, "%s: it is part of the log of %s: give --fix that, or the directory", path, manifest);
	} else {
		check_file(c, dir_fd, name, path, ROLE_ALONE, &end);
	}
	if (up >= 0)
		close(up);
	free(manifest);
}

static void check_path_file(struct check *c, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int fd = dir ? open_dir(c, AT_FDCWD, dir, dir) : -1;

	if (!dir)
		check_failed(c, &(struct check_spot){ .shown = path }, &(struct error){ "out of memory" });
	if (fd >= 0) {
		check_name(c, fd, name, path);
		close(fd);
	}
	free(dir);
}

/* ---- all ---- */

unsigned check_path(const char *path, const struct check_options *o, struct error *e)
{
	struct check c = { .o = o, .e = e };
	struct stat st;

	if (stat(path, &st) < 0) {
		c.found |= CHECK_FAILED;
		error_set(e, 0, "%s: %s", path, strerrordesc_np(errno));
	} else if (S_ISDIR(st.st_mode)) {
		check_dir(&c, path);
	} else {
		check_path_file(&c, path);
	}
	return c.found;
}
