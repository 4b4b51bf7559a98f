/* view.c -- see view.h: which files are read, and up to where they count. */
#include "persist/view.h"

#include "persist/held.h"
#include "persist/loading.h"
#include "persist/moment.h"
#include "persist/rdb.h"
#include "persist/replay_db.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { HEAD_SIZE = 16, EXPIRE_STEP = 32 };

static const int64_t ns_per_s = 1000000000;

static const char manifest_end[] = ".manifest";

struct viewing {
	struct loading ld;
	const struct persist_config *c;
	struct error *e;
	struct view *out;
	int64_t until_ns;
	int dir_fd;                    /* where SOURCE is, or what it is */
	bool base_is_rdb;
	int64_t base_s;                /* when the base was begun, s; 0: unknown */
	const char *untimed_in;        /* the file that has what has no time; borrowed */
	struct stat last;              /* the last file, when it was opened */
};

/* Nothing is written back: what other databases hold may stay there. */
static int view_init(struct viewing *v, const struct persist_port *port, struct keyspace *ks)
{
	int err = loading_init(&v->ld, v->c, port, ks, v->e);

	v->ld.r.skip_other_dbs = true;
	return err;
}

/* ---- what a source is ---- */

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && strcmp(text + len - end_len, end) == 0;
}

enum view_file view_classify(const char *path)
{
	char head[HEAD_SIZE];
	ssize_t n = -1;
	int fd;

	if (ends_with(path, manifest_end))
		return VIEW_MANIFEST;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, head, sizeof(head));
		close(fd);
	}
	if (n > 0 && rdb_is(head, (size_t)n))
		return VIEW_RDB;
	return n > 0 && (head[0] == '*' || (n >= 4 && !memcmp(head, "#TS:", 4))) ? VIEW_LOG : VIEW_NO_FILE;
}

/* The only name in the directory that ends in ".manifest", owned by the caller; temporary ones of a rewrite aside.  0, -ENOENT, or a
 * negative errno with E set. */
static int find_manifest(int dir_fd, char **ret, struct error *e)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = -ENOENT;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	char *found = NULL;

	if (!d) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return error_set(e, err, "%s", strerror(-err));
	}
	for (struct dirent *x; err != -EINVAL && (x = readdir(d));) {
		if (!ends_with(x->d_name, manifest_end) || strncmp(x->d_name, "temp", 4) == 0)
			continue;
		if (found)
			err = error_set(e, -EINVAL, "has two manifests, %s and %s: name the one that is meant", found, x->d_name);
		else
			found = strdup(x->d_name);
	}
	closedir(d);
	if (found && err != -EINVAL) {
		*ret = found;
		return 0;
	}
	free(found);
	return err;
}

/* ---- is somebody writing? ---- */

/* Whether the kernel's table of locks has a flock(2) on the directory.  Looking there takes none. */
static bool is_locked(int at_fd, const char *name)
{
	FILE *f = fopen("/proc/locks", "re");
	bool found = false;
	struct stat st;
	char *line = NULL;
	size_t cap = 0;

	if (!f)
		return false;
	if (fstatat(at_fd, name, &st, 0) == 0) {
		while (!found && getline(&line, &cap, f) > 0) {
			unsigned major_no, minor_no;
			unsigned long long inode;

			found = sscanf(line, "%*s FLOCK %*s %*s %*d %x:%x:%llu", &major_no, &minor_no, &inode) == 3 && inode == st.st_ino &&
			        major_no == major(st.st_dev) && minor_no == minor(st.st_dev);
		}
	}
	free(line);
	fclose(f);
	return found;
}

/* A kvfs holds the data directory (SOURCE or above it); of a redis-server nothing is seen but that the file changes. */
static bool is_live(const struct viewing *v, int fd)
{
	struct stat now;

	if (fstat(fd, &now) == 0 && (now.st_size != v->last.st_size || now.st_mtim.tv_sec != v->last.st_mtim.tv_sec ||
	                             now.st_mtim.tv_nsec != v->last.st_mtim.tv_nsec))
		return true;
	return is_locked(v->dir_fd, ".") || is_locked(v->dir_fd, "..");
}

/* ---- moments ---- */

/* Nothing is known of the moment asked for. */
static int too_early(struct viewing *v, int64_t earliest_ns)
{
	char asked[MOMENT_TEXT], earliest[MOMENT_TEXT];

	return error_set(v->e, -ERANGE, "%s is before the earliest moment there is, %s", moment_format(v->until_ns, false, asked),
	                 moment_format(earliest_ns, true, earliest));
}

/* The RDB that was just read is of the moment in which it was begun. */
static int check_rdb(struct viewing *v)
{
	int64_t ns;

	if (!v->ld.had_rdb)
		return 0;
	if (v->ld.rdb_ctime_s <= 0 || __builtin_mul_overflow(v->ld.rdb_ctime_s, ns_per_s, &ns))
		return v->until_ns ? error_set(v->e, -ENODATA, "does not say when it was written, so that it is of no known moment") : 0;
	if (v->until_ns && ns > v->until_ns)
		return too_early(v, ns);
	if (!v->ld.aof.time_ns)
		v->ld.aof.time_ns = ns;
	return 0;
}

/* ---- files ---- */

static int report_tail(struct viewing *v, const char *name, uint64_t good, const struct mapped *m, int fd)
{
	if (is_live(v, fd))
		return 0;
	if (bytes_addf(&v->out->report, "%s: its last %llu bytes, from %llu on, are torn and not shown\n", name,
	               (unsigned long long)(m->len - good), (unsigned long long)good))
		return error_set(v->e, -ENOMEM, "out of memory");
	return 0;
}

/* A file of a log, open at FD.  The last one is read into memory: its writer may cut it. */
static int view_log_file(struct viewing *v, int fd, const char *name, bool is_last)
{
	bool untimed = v->ld.aof.untimed;
	struct mapped m = { 0 };
	uint64_t good = 0;
	int err;

	if (is_last && fstat(fd, &v->last) < 0)
		return error_set(v->e, -errno, "%s: %s", name, strerror(errno));
	err = mapped_fd(fd, is_last, &m, v->e);
	if (!err && m.mtime_ns > v->out->time_ns)
		v->out->time_ns = m.mtime_ns;
	if (!err)
		err = loading_log(&v->ld, &m, &good);
	if (!err)
		err = check_rdb(v);
	if (!err && v->ld.aof.torn && !is_last)
		err = error_set(v->e, -EBADMSG, "ends in the middle of a batch or command at %llu, and more files follow: damage (kvfs-ctl check DIR "
		                "tells more)", (unsigned long long)good);
	if (!err && v->ld.aof.torn)
		err = report_tail(v, name, good, &m, fd);
	/* Without a time of its own, it was still there when the file was written last. */
	if (v->ld.aof.untimed && m.mtime_ns <= v->until_ns) {
		v->ld.aof.untimed = false;
		v->ld.aof.time_ns = m.mtime_ns;
	}
	if (v->ld.aof.untimed && !untimed)
		v->untimed_in = name;
	v->ld.done += m.len;
	mapped_fini(&m);
	return err ? error_prepend(v->e, err, "%s", name) : 0;
}

static uint64_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
}

/* Whether the moment asked for is before all that is known: what stopped the reading of file INDEX is in the base itself, or is the first
 * change there is.  A rewrite begins its incr in the moment of its base, of which an RDB says only the second. */
static bool is_before_start(const struct viewing *v, const struct held_log *h, size_t index)
{
	if (!v->ld.aof.stopped)
		return false;
	if (index == 0 && h->has_base && !v->base_is_rdb)
		return true;
	if (v->ld.aof.good || index > (h->has_base ? 1 : 0))
		return false;
	return !v->base_is_rdb || v->ld.aof.stop_ns / ns_per_s == v->base_s;
}

static int view_held(struct viewing *v, struct held_log *h)
{
	int err = 0;

	for (size_t i = 0; i < h->count; i++)
		v->ld.total += size_of(h->file[i].fd);
	for (size_t i = 0; !err && !v->ld.aof.stopped && i < h->count; i++) {
		const char *name = h->file[i].of->name;

		err = view_log_file(v, h->file[i].fd, name, i + 1 == h->count);
		if (!err && i == 0 && v->ld.had_rdb) {
			v->base_is_rdb = true;
			v->base_s = v->ld.rdb_ctime_s;
		}
		if (!err && is_before_start(v, h, i))
			err = error_prepend(v->e, too_early(v, v->ld.aof.stop_ns), "%s", name);
	}
	if (!err && v->until_ns && v->ld.aof.untimed)
		err = error_set(v->e, -ENODATA, "%s: what was written from %llu on has no time (aof-timestamp-enabled was off): which of it was "
		                "there at the moment asked for is not known", v->untimed_in, (unsigned long long)v->ld.aof.untimed_at);
	return err;
}

/* The log whose manifest is NAME in DIR_FD.  -ENOENT without E: there is none. */
static int view_manifest(struct viewing *v, int dir_fd, const char *name)
{
	struct held_log h;
	int err = held_log_open(dir_fd, name, &h, v->e);

	if (err)
		return err;
	err = view_held(v, &h);
	held_log_close(&h);
	return err;
}

/* A single log, or an RDB.  -ENOENT without E: there is none. */
static int view_file(struct viewing *v, int dir_fd, const char *name)
{
	struct manifest_file only = { .name = (char *)name };
	struct held_file file = { .of = &only };
	struct held_log h = { .file = &file, .count = 1 };
	int err;

	file.fd = mapped_open_fd(dir_fd, name, v->e);
	if (file.fd < 0)
		return file.fd == -ENOENT ? -ENOENT : error_prepend(v->e, file.fd, "%s", name);
	err = view_held(v, &h);
	close(file.fd);
	return err;
}

/* A dump: replaced by rename, never changed, so it can be mapped.  -ENOENT without E: there is none. */
static int view_dump(struct viewing *v, int dir_fd, const char *name)
{
	struct mapped m;
	int err = mapped_file(dir_fd, name, &m, v->e);

	if (err == -ENOENT)
		return err;
	v->ld.total = m.len;
	if (!err)
		err = loading_dump(&v->ld, &m, false);
	if (!err)
		err = check_rdb(v);
	v->out->time_ns = m.mtime_ns;
	mapped_fini(&m);
	return err ? error_prepend(v->e, err, "%s", name) : 0;
}

/* ---- sources ---- */

static int view_appenddir(struct viewing *v)
{
	int err, fd = openat(v->dir_fd, v->c->appenddirname, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *name;

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return error_set(v->e, -errno, "%s can't be opened: %s", v->c->appenddirname, strerror(errno));
	if (asprintf(&name, "%s%s", v->c->appendfilename, manifest_end) < 0) {
		close(fd);
		return error_set(v->e, -ENOMEM, "out of memory");
	}
	err = view_manifest(v, fd, name);
	free(name);
	close(fd);
	return err && err != -ENOENT ? error_prepend(v->e, err, "%s", v->c->appenddirname) : err;
}

/* The dump becomes what is shown. */
static int view_dump_instead(struct viewing *v)
{
	const struct persist_port *port = v->ld.port;
	struct keyspace *ks = v->ld.ks;
	int err;

	replay_clear_all(&v->ld.r);
	loading_fini(&v->ld);
	err = view_init(v, port, ks);
	if (!err)
		err = view_dump(v, v->dir_fd, v->c->dbfilename);
	return err == -ENOENT ? error_set(v->e, -EAGAIN, "%s went away: try again", v->c->dbfilename) : err;
}

/* A snapshot that goes on where the log ends is what a start takes (persist/open.c), so here too: unless it was written after the moment
 * asked for, when nobody knows which of its changes came before that. */
static int view_newer_dump(struct viewing *v)
{
	const char *name = v->c->dbfilename, *log = v->c->appenddirname;
	enum recover_relation relation;
	struct rdb_origin dump;
	struct stat st;
	bool later;
	int err;

	if (v->ld.aof.stopped || recover_peek_dump(v->c, v->dir_fd, &dump) < 0 || fstatat(v->dir_fd, name, &st, 0) < 0)
		return 0;
	relation = recover_relate(&dump, v->ld.aof.lineage, v->ld.aof.last_seq);
	later = v->until_ns && v->until_ns < (int64_t)st.st_mtim.tv_sec * ns_per_s + st.st_mtim.tv_nsec;
	if (relation == RECOVER_OLDER)
		return 0;
	if (relation == RECOVER_FORKED) {
		err = bytes_addf(&v->out->report, "%s is not shown: it has changes that the log in %s lacks, and lacks others\n", name, log);
	} else if (later) {
		err = bytes_addf(&v->out->report, "%s was written later and has changes that the log in %s lacks: when they were made is not "
		                 "known, and they are not shown\n", name, log);
	} else {
		err = view_dump_instead(v);
		if (err)
			return err;
		err = bytes_addf(&v->out->report, "%s is shown: it is newer than the log in %s, which lacks its last changes\n", name, log);
	}
	return err ? error_set(v->e, err, "out of memory") : 0;
}

/* A data directory, or one that holds a manifest. */
static int view_dir(struct viewing *v)
{
	char *name = NULL;
	int err = -ENOENT;

	if (v->c->appendonly) {
		err = view_appenddir(v);
		if (!err)
			return view_newer_dump(v);
	}
	if (err == -ENOENT && v->c->appendonly)
		err = view_file(v, v->dir_fd, v->c->appendfilename);
	if (err == -ENOENT)
		err = view_dump(v, v->dir_fd, v->c->dbfilename);
	if (err != -ENOENT)
		return err;
	err = find_manifest(v->dir_fd, &name, v->e);
	if (!err) {
		err = view_manifest(v, v->dir_fd, name);
		free(name);
	}
	return err == -ENOENT ? error_set(v->e, err, "there is nothing to view: no %s, no %s and no manifest", v->c->appenddirname,
	                                  v->c->dbfilename) : err;
}

static int view_source(struct viewing *v, const char *path)
{
	char *for_dir = strdup(path), *for_base = strdup(path);
	const char *name;
	int err = 0;

	if (!for_dir || !for_base) {
		err = error_set(v->e, -ENOMEM, "out of memory");
		goto out;
	}
	v->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (v->dir_fd >= 0) {
		err = view_dir(v);
		goto out;
	}
	if (errno != ENOTDIR) {
		err = error_set(v->e, -errno, "%s", strerror(errno));
		goto out;
	}
	name = basename(for_base);
	v->dir_fd = open(dirname(for_dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (v->dir_fd < 0)
		err = error_set(v->e, -errno, "%s", strerror(errno));
	else if (view_classify(path) == VIEW_MANIFEST)
		err = view_manifest(v, v->dir_fd, name);
	else
		err = view_file(v, v->dir_fd, name);
	if (err == -ENOENT)
		error_set(v->e, err, "%s", strerror(ENOENT));
out:
	free(for_dir);
	free(for_base);
	return err;
}

/* ---- the end ---- */

/* Keys whose time is over at the moment of the view. */
static int drop_expired(struct keyspace *ks, int64_t now_ns)
{
	struct op op = { .now_ns = now_ns };
	struct keyspace_place gone[EXPIRE_STEP];
	int n;

	do
		n = keyspace_expire_due(ks, &op, EXPIRE_STEP, gone);
	while (n > 0);
	return n;
}

static int finish(struct viewing *v)
{
	struct view *out = v->out;
	int64_t now_ns = v->ld.disk->now_ns(v->ld.disk->ctx);
	char text[MOMENT_TEXT];
	struct usage u;
	int err;

	if (v->ld.aof.time_ns && !v->ld.aof.untimed)
		out->time_ns = v->ld.aof.time_ns;
	out->last_seq = v->ld.aof.last_seq;
	out->clock_ns = v->until_ns ? v->until_ns : out->time_ns;
	if (out->clock_ns > now_ns)
		out->clock_ns = now_ns;
	err = drop_expired(v->ld.ks, out->clock_ns);
	if (err)
		return error_set(v->e, err, "%s", strerror(-err));
	err = loading_finish(&v->ld, &out->report);
	if (err)
		return err;
	keyspace_usage(v->ld.ks, &u);
	out->keys = u.keys;
	err = bytes_addf(&out->report, "state of %s", moment_format(out->time_ns, false, text));
	if (!err && out->last_seq)
		err = bytes_addf(&out->report, ", batch %llu", (unsigned long long)out->last_seq);
	if (!err)
		err = bytes_add(&out->report, "\n", 2);
	return err ? error_set(v->e, err, "out of memory") : 0;
}

int view_load(const char *path, const struct persist_config *c, int64_t until_ns, struct keyspace *ks, const struct persist_port *port,
              struct view *ret, struct error *e)
{
	struct view out = { 0 };
	struct viewing v = { .c = c, .e = e, .out = &out, .until_ns = until_ns, .dir_fd = -1 };
	int err = view_init(&v, port, ks);

	if (err)
		return err;
	v.ld.aof.until_ns = until_ns;
	err = view_source(&v, path);
	if (!err)
		err = finish(&v);
	loading_fini(&v.ld);
	if (v.dir_fd >= 0)
		close(v.dir_fd);
	if (err) {
		view_fini(&out);
		return error_prepend(e, err, "%s", path);
	}
	*ret = out;
	return 0;
}

void view_fini(struct view *v)
{
	bytes_fini(&v->report);
}
