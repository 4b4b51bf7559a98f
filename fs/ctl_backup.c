/* ctl_backup.c -- `backup`: a data directory as it is, while its daemon goes on.
 *
 *      fsync(2) of the mount       what was acknowledged is in the log file
 *      held.h                      the files of the log, of one moment, also when a rewrite comes between
 *      base, older incrs, dump     never written again: hard links, or copies where these can't be
 *      last incr                   still grows: a copy, cut behind its last whole batch or command
 *      manifest, last              and the directory appears
 *
 * Without a log (`appendonly no`) a snapshot is made first.                                                                      */
#include "fs/ctl_copy.h"
#include "fs/ctl_jobs.h"
#include "fs/ctl_newdir.h"

#include "persist/held.h"
#include "persist/mapped.h"
#include "persist/moment.h"
#include "persist/rdb.h"
#include "persist/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1 << 20, LOG_DIR_MODE = 0700, MODE_MASK = 0777, SAVE_TRIES = 100 };

struct backup {
	struct ctl_source *s;
	struct ctl_newdir to;
	struct error *e;
	int dir_fd;                /* of the data directory */
	int dump_fd;               /* of the snapshot, opened before the log; -1: none */
	unsigned linked, copied;   /* files */
	struct aof_result end;     /* of the last incr */
};

/* ---- one file ---- */

static int failed(struct backup *b, const char *name, int err)
{
	return error_set(b->e, err, "%s: %s", name, strerror(-err));
}

/* By reading and writing, where the kernel can't do it by itself. */
static int copy_piece(int from, int to, off_t at, size_t len, ssize_t *ret_n)
{
	char *piece = malloc(PIECE);
	ssize_t n, done = 0;

	if (!piece)
		return -ENOMEM;
	n = pread(from, piece, len < PIECE ? len : PIECE, at);
	*ret_n = n;
	while (n > 0 && done < n) {
		ssize_t w = pwrite(to, piece + done, (size_t)(n - done), at + done);

		if (w < 0 && errno != EINTR) {
			n = -1;
			break;
		}
		done += w > 0 ? w : 0;
	}
	free(piece);
	return n < 0 ? -errno : 0;
}

/* At most SIZE bytes: as many as there are. */
static int copy_bytes(int from, int to, uint64_t size)
{
	uint64_t done = 0;
	ssize_t n = 1;
	int err = 0;

	while (!err && done < size && n != 0) {
		loff_t at = (loff_t)done, to_at = at;

		n = copy_file_range(from, &at, to, &to_at, size - done, 0);
		if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP || errno == EBADF))
			err = copy_piece(from, to, (off_t)done, size - done, &n);
		else if (n < 0)
			err = -errno;
		done += n > 0 ? (uint64_t)n : 0;
	}
	return err;
}

/* A copy of what FROM has now, opened for reading and writing at *RET. */
static int copy_file(struct backup *b, int from, int dir_fd, const char *name, int *ret)
{
	struct stat st;
	int err, to;

	if (fstat(from, &st) < 0)
		return failed(b, name, -errno);
	to = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, st.st_mode & MODE_MASK);
	if (to < 0)
		return failed(b, name, -errno);
	err = copy_bytes(from, to, (uint64_t)st.st_size);
	if (err) {
		close(to);
		return failed(b, name, err);
	}
	b->copied++;
	*ret = to;
	return 0;
}

/* FROM is never written again: NAME may be the same file. */
static int link_file(struct backup *b, int from, int dir_fd, const char *name)
{
	char path[64];
	int err = 0, to = -1;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", from);
	if (linkat(AT_FDCWD, path, dir_fd, name, AT_SYMLINK_FOLLOW) == 0) {
		b->linked++;
		return fsync(from) < 0 ? failed(b, name, -errno) : 0;
	}
	/* Gone meanwhile, on another filesystem, of another owner, on one without links: all the same. */
	err = copy_file(b, from, dir_fd, name, &to);
	if (err)
		return err;
	err = fsync(to) < 0 ? failed(b, name, -errno) : 0;
	close(to);
	return err;
}

static int pass_aux(void *ctx, const struct rdb_aux *a, struct error *e)
{
	(void)ctx;
	(void)a;
	(void)e;
	return 0;
}

static int pass_resize(void *ctx, uint64_t db, uint64_t keys, uint64_t expires)
{
	(void)ctx;
	(void)db;
	(void)keys;
	(void)expires;
	return 0;
}

static int pass_key(void *ctx, const struct rdb_key *k, struct error *e)
{
	(void)ctx;
	(void)k;
	(void)e;
	return 0;
}

/* Up to where a log that was being written counts. */
static int find_end(struct backup *b, const struct mapped *m, uint64_t *ret)
{
	static const struct rdb_handler pass = { .aux = pass_aux, .resize = pass_resize, .key = pass_key };
	size_t used = 0;
	int err = 0;

	if (m->data && rdb_is(m->data, m->len))
		err = rdb_read(m->data, m->len, &pass, &used, b->e);
	*ret = used;
	if (err || used == m->len)
		return err;
	b->end = (struct aof_result){ .origin = used };
	err = aof_read(m->data + used, m->len - used, NULL, &b->end, b->e);
	*ret = used + b->end.good;
	return err;
}

/* The file that is still written. */
static int copy_growing(struct backup *b, int from, int dir_fd, const char *name)
{
	struct mapped m = { 0 };
	uint64_t end = 0;
	int to = -1, err = copy_file(b, from, dir_fd, name, &to);

	if (err)
		return err;
	err = mapped_fd(to, false, &m, b->e);
	if (!err)
		err = find_end(b, &m, &end);
	if (err)
		error_prepend(b->e, err, "%s", name);
	else if ((end < m.len && ftruncate(to, (off_t)end) < 0) || fsync(to) < 0)
		err = failed(b, name, -errno);
	mapped_fini(&m);
	close(to);
	return err;
}

/* ---- the log ---- */

static int write_manifest(struct backup *b, const struct held_log *h, int dir_fd, const char *name)
{
	struct manifest m = { 0 };
	struct bytes text = { 0 };
	int err = 0;

	for (size_t i = 0; !err && i < h->count; i++)
		err = manifest_add(&m, h->file[i].of->name, h->file[i].of->seq, h->file[i].of->type);
	if (!err)
		err = manifest_format(&m, &text);
	if (!err)
		err = disk_write_file(disk_real(), dir_fd, name, text.data, text.len);
	manifest_fini(&m);
	bytes_fini(&text);
	return err ? failed(b, name, err) : 0;
}

static int copy_held(struct backup *b, const struct held_log *h, const char *manifest)
{
	const char *dirname = b->s->config.appenddirname;
	int err = 0, fd;

	if (mkdirat(b->to.fd, dirname, LOG_DIR_MODE) < 0)
		return failed(b, dirname, -errno);
	fd = openat(b->to.fd, dirname, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return failed(b, dirname, -errno);
	for (size_t i = 0; !err && i < h->count; i++) {
		const struct held_file *f = &h->file[i];
		bool grows = i + 1 == h->count && f->of->type == MANIFEST_INCR;

		err = grows ? copy_growing(b, f->fd, fd, f->of->name) : link_file(b, f->fd, fd, f->of->name);
	}
	if (!err)
		err = write_manifest(b, h, fd, manifest);
	if (!err && fsync(fd) < 0)
		err = failed(b, dirname, -errno);
	close(fd);
	return err ? error_prepend(b->e, err, "%s", dirname) : 0;
}

/* The log with a manifest.  -ENOENT without E: there is none. */
static int backup_log(struct backup *b)
{
	int err, fd = openat(b->dir_fd, b->s->config.appenddirname, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct held_log h;
	char *manifest;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : failed(b, b->s->config.appenddirname, -errno);
	if (asprintf(&manifest, "%s.manifest", b->s->config.appendfilename) < 0) {
		close(fd);
		return failed(b, b->s->config.appenddirname, -ENOMEM);
	}
	err = held_log_open(fd, manifest, &h, b->e);
	close(fd);
	if (!err) {
		err = copy_held(b, &h, manifest);
		held_log_close(&h);
	}
	free(manifest);
	return err;
}

/* The single log of older servers.  -ENOENT without E: there is none. */
static int backup_old_log(struct backup *b)
{
	const char *name = b->s->config.appendfilename;
	int err, fd = mapped_open_fd(b->dir_fd, name, b->e);

	if (fd < 0)
		return fd == -ENOENT ? fd : error_prepend(b->e, fd, "%s", name);
	err = copy_growing(b, fd, b->to.fd, name);
	close(fd);
	return err;
}

/* ---- the snapshot ---- */

/* The snapshot as it is now; the log that is opened later goes further. */
static int open_dump(struct backup *b)
{
	b->dump_fd = mapped_open_fd(b->dir_fd, b->s->config.dbfilename, b->e);
	return b->dump_fd >= 0 || b->dump_fd == -ENOENT ? 0 : error_prepend(b->e, b->dump_fd, "%s", b->s->config.dbfilename);
}

/* Of a daemon without a log.  An enum ctl_exit. */
static int save_now(struct ctl_source *s)
{
	const struct ctl_job *job = ctl_job_find("bgsave");
	const char *word = "BGSAVE";
	struct resp_value v;
	int64_t before;

	for (int i = 0; i < SAVE_TRIES; i++) {
		int err = ctl_job_count(&s->client, job, &before), result;
		bool busy;

		if (err == 0)
			err = ctl_send_words(&s->client, &word, 1);
		if (err == 0)
			err = ctl_receive(&s->client, &v);
		if (err != 0)
			return ctl_complain(CTL_NO_SERVER, "the server went away: %s", strerrordesc_np(-err));
		busy = v.type == '-' && memmem(v.data, v.len, "in progress", strlen("in progress")) != NULL;
		if (v.type == '-' && !busy)
			return ctl_complain(CTL_REFUSED, "%.*s", (int)v.len, v.data);
		/* One that runs began before now. */
		result = ctl_job_wait(&s->client, job, before);
		if (!busy)
			return result;
	}
	return ctl_complain(CTL_REFUSED, "there was another snapshot being saved each time");
}

/* Whether the daemon's log is complete: while it is being switched on it is not.  An enum ctl_exit. */
static int ask_log(struct ctl_source *s, bool *ret)
{
	static const char *const words[] = { "INFO", "persistence" };
	const char *field = NULL;
	struct resp_value v;
	size_t len;
	int err = ctl_send_words(&s->client, words, 2);

	if (err == 0)
		err = ctl_receive(&s->client, &v);
	if (err == 0 && v.type == '$' && v.data != NULL)
		field = ctl_info_field(v.data, v.len, "aof_enabled", &len);
	if (field == NULL)
		return ctl_complain(CTL_NO_SERVER, "the server does not say whether it has a log");
	*ret = len == 1 && *field == '1';
	return CTL_DONE;
}

/* ---- all of it ---- */

static int fill(struct backup *b, bool log)
{
	const char *dump = b->s->config.dbfilename;
	int err = log ? backup_log(b) : -ENOENT;

	if (err == -ENOENT && log)
		err = backup_old_log(b);
	if (err && err != -ENOENT)
		return err;
	if (err == -ENOENT && b->dump_fd < 0)
		return error_set(b->e, err, "%s: there is nothing to back up: no %s and no %s", b->s->path, b->s->config.appenddirname, dump);
	return b->dump_fd >= 0 ? link_file(b, b->dump_fd, b->to.fd, dump) : 0;
}

static void print_done(const struct backup *b, const char *dir)
{
	char text[MOMENT_TEXT];

	printf("%s: ", dir);
	if (b->end.time_ns)
		printf("state of %s, ", moment_format(b->end.time_ns, false, text));
	if (b->end.last_seq)
		printf("batch %llu, ", (unsigned long long)b->end.last_seq);
	printf("files linked: %u, copied: %u\n", b->linked, b->copied);
}

/* The snapshot is opened before what was acknowledged is in the log, so that the log goes further. */
static int copy_all(struct backup *b, bool log, const char *dir)
{
	int err = open_dump(b), result = CTL_DONE;

	if (!err && log)
		result = ctl_source_sync(b->s);
	if (result != CTL_DONE)
		return result;
	if (!err)
		err = ctl_newdir_begin(dir, &b->to, b->e);
	if (!err) {
		err = fill(b, log);
		if (!err)
			err = ctl_newdir_commit(&b->to, b->e);
		ctl_newdir_end(&b->to);
	}
	if (err)
		return ctl_complain(CTL_REFUSED, "backup: %s", b->e->text);
	print_done(b, dir);
	return CTL_DONE;
}

int ctl_backup(struct ctl_source *s, const char *dir)
{
	bool live = s->client.fd >= 0, log = s->config.persist.appendonly;
	struct error e = { { 0 } };
	struct backup b = { .s = s, .e = &e, .dump_fd = -1 };
	int result = live ? ask_log(s, &log) : CTL_DONE;

	if (result == CTL_DONE && live && !log)
		result = save_now(s);
	if (result != CTL_DONE)
		return result;
	b.dir_fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b.dir_fd < 0)
		return ctl_complain(CTL_REFUSED, "%s: %s", s->path, strerrordesc_np(errno));
	result = copy_all(&b, log, dir);
	if (b.dump_fd >= 0)
		close(b.dump_fd);
	close(b.dir_fd);
	return result;
}
