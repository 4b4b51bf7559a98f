/* recover.c -- see recover.h: which files, in which order, and what becomes of a torn tail. */
#include "persist/recover.h"

#include "persist/rdb.h"
#include "persist/rdb_load.h"
#include "persist/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	PROGRESS_KEYS = 64 << 10,   /* between two reports */
	COPIES_MAX = 100,           /* torn tails kept of the same offset of the same file */
	COPY_MODE = 0600,
};

static const int64_t ns_per_s = 1000000000, ns_per_ms = 1000000, us_per_s = 1000000, ns_per_us = 1000;

/* A log says nothing of the number of its keys: as many as there would be if each had one command of this size. */
enum { COMMAND_BYTES = 192 };

struct recover {
	const struct persist_config *c;
	const struct persist_port *port;
	const struct disk *disk;
	struct replay r;
	struct aof_result aof;          /* LAST_SEQ and LINEAGE go from file to file */
	struct recovery *out;
	struct error *e;
	uint64_t done, total;           /* bytes of the files before, of all */
	uint64_t ticks;
};

/* A file as bytes. */
struct mapped {
	const char *data;               /* NULL when LEN is 0 */
	size_t len;
	int64_t mtime_ns;
};

/* ---- files ---- */

/* -ENOENT is left to the caller to explain; else E is set. */
static int map_file(int dir_fd, const char *name, struct mapped *m, struct error *e)
{
	struct stat st;
	void *data;
	int fd, err;

	*m = (struct mapped){ 0 };
	fd = openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);  /* a FIFO must not stop the start */
	err = fd < 0 ? -errno : 0;
	if (err == -ENOENT)
		return err;
	if (err)
		return error_set(e, err, "can't be opened: %s", strerror(-err));
	if (fstat(fd, &st) < 0) {
		err = -errno;
		error_set(e, err, "%s", strerror(-err));
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		err = error_set(e, -EINVAL, "is no regular file");
	} else if (st.st_size > 0) {
		data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (data == MAP_FAILED) {
			err = -errno;
			error_set(e, err, "can't be mapped: %s", strerror(-err));
			goto out;
		}
		(void)madvise(data, (size_t)st.st_size, MADV_SEQUENTIAL);
		(void)madvise(data, (size_t)st.st_size, MADV_WILLNEED);
		m->data = data;
		m->len = (size_t)st.st_size;
	}
	m->mtime_ns = (int64_t)st.st_mtim.tv_sec * ns_per_s + st.st_mtim.tv_nsec;
out:
	close(fd);
	return err;
}

static void unmap_file(struct mapped *m)
{
	if (m->data)
		munmap((void *)m->data, m->len);
	*m = (struct mapped){ 0 };
}

static uint64_t file_size(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, 0) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
}

static bool file_exists(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, 0) == 0;
}

/* ---- progress ---- */

static void recover_tick(void *ctx, uint64_t done)
{
	struct recover *rc = ctx;
	int64_t delay_us = rc->c->key_load_delay_us;

	if (delay_us > 0) {
		struct timespec ts = { .tv_sec = delay_us / us_per_s, .tv_nsec = delay_us % us_per_s * ns_per_us };

		nanosleep(&ts, NULL);
	}
	if (rc->port->loading && (rc->ticks++ % PROGRESS_KEYS == 0 || delay_us > 0))
		rc->port->loading(rc->port->ctx, rc->done + done, rc->total, rc->r.keys);
}

/* ---- torn tails ---- */

/* Opens a file of a name that does not exist yet: <name>.torn-<offset>, or that and a number. */
static int open_copy(struct recover *rc, int dir_fd, const char *name, uint64_t offset, char **ret_copy)
{
	int i;

	for (i = 1; i <= COPIES_MAX; i++) {
		char *copy;
		int fd;

		if ((i == 1 ? asprintf(&copy, "%s.torn-%llu", name, (unsigned long long)offset)
		            : asprintf(&copy, "%s.torn-%llu.%d", name, (unsigned long long)offset, i)) < 0)
			return -ENOMEM;
		fd = rc->disk->open(rc->disk->ctx, dir_fd, copy, O_WRONLY | O_CREAT | O_EXCL, COPY_MODE);
		if (fd >= 0) {
			*ret_copy = copy;
			return fd;
		}
		free(copy);
		if (fd != -EEXIST)
			return fd;
	}
	return -EEXIST;
}

/* Copies LEN bytes beside the file, durably. */
static int copy_tail(struct recover *rc, int dir_fd, const char *name, uint64_t offset, const char *data, size_t len, char **ret_copy)
{
	const struct disk *d = rc->disk;
	size_t written;
	int err, closed, fd = open_copy(rc, dir_fd, name, offset, ret_copy);

	if (fd < 0)
		return error_set(rc->e, fd, "its torn tail can't be copied: %s", strerror(-fd));
	err = disk_write_all(d, fd, data, len, &written);
	if (!err)
		err = d->fdatasync(d->ctx, fd);
	closed = d->close(d->ctx, fd);
	if (!err)
		err = closed;
	if (!err)
		err = d->fsync_dir(d->ctx, dir_fd);
	if (!err)
		return 0;
	error_set(rc->e, err, "its torn tail can't be copied to %s: %s", *ret_copy, strerror(-err));
	(void)d->unlink(d->ctx, dir_fd, *ret_copy);
	free(*ret_copy);
	return err;
}

static int cut_file(struct recover *rc, int dir_fd, const char *name, uint64_t size)
{
	const struct disk *d = rc->disk;
	int err, closed, fd = d->open(d->ctx, dir_fd, name, O_WRONLY, 0);

	err = fd < 0 ? fd : d->truncate(d->ctx, fd, size);
	if (!err)
		err = d->fdatasync(d->ctx, fd);
	if (fd >= 0) {
		closed = d->close(d->ctx, fd);
		if (!err)
			err = closed;
	}
	return err ? error_set(rc->e, err, "its torn tail can't be cut off: %s", strerror(-err)) : 0;
}

/* NAME counts up to SIZE.  With IS_LAST and aof-load-truncated it is cut there, else refused. */
static int cut_tail(struct recover *rc, int dir_fd, const char *name, const struct mapped *m, uint64_t size, bool is_last)
{
	unsigned long long rest = m->len - size;
	char *copy = NULL;
	int err;

	if (!is_last)
		return error_set(rc->e, -EBADMSG, "ends in the middle of a batch or command at %llu, and more files follow: damage "
		                 "(kvfs-ctl check DIR tells more)", (unsigned long long)size);
	if (!rc->c->aof_load_truncated)
		return error_set(rc->e, -EBADMSG, "its last %llu bytes, from %llu on, are torn: aof-load-truncated yes cuts them off", rest,
		                 (unsigned long long)size);
	err = copy_tail(rc, dir_fd, name, size, m->data + size, (size_t)rest, &copy);
	if (err)
		return err;
	err = cut_file(rc, dir_fd, name, size);
	if (!err && bytes_addf(&rc->out->report, "%s: the last %llu bytes were torn and are cut off; a copy is beside it, %s\n", name, rest, copy))
		err = error_set(rc->e, -ENOMEM, "out of memory");
	free(copy);
	return err;
}

/* ---- one file ---- */

static int load_rdb_part(struct recover *rc, const struct mapped *m, bool drop_expired, size_t *ret_used)
{
	struct rdb_loaded l = { .drop_expired = drop_expired, .now_ms = rc->disk->now_ns(rc->disk->ctx) / ns_per_ms };
	int err = rdb_load(m->data, m->len, &rc->r, &l, rc->e);

	if (err)
		return err;
	*ret_used = l.used;
	rc->out->keys_expired += l.expired;
	if (l.seq)
		rc->aof.last_seq = l.seq;
	if (l.lineage)
		rc->aof.lineage = l.lineage;
	return 0;
}

static int load_bytes(struct recover *rc, int dir_fd, const char *name, const struct mapped *m, bool is_last, uint64_t *ret_size)
{
	size_t used = 0;
	int err;

	rc->r.db = 0;
	rc->r.l.now_ns = m->mtime_ns;
	rc->aof.sealed = false;
	if (m->data && rdb_is(m->data, m->len)) {
		err = load_rdb_part(rc, m, false, &used);
		if (err)
			return err;
	}
	*ret_size = m->len;
	if (used == m->len)
		return 0;
	rc->aof.origin = used;
	(void)loader_presize(&rc->r.l, (m->len - used) / COMMAND_BYTES);  /* a hint: may fail */
	err = aof_read(m->data + used, m->len - used, &rc->r, &rc->aof, rc->e);
	if (err)
		return err;
	*ret_size = used + rc->aof.good;
	return rc->aof.torn ? cut_tail(rc, dir_fd, name, m, *ret_size, is_last) : 0;
}

/* A file of the log: RDB, commands, or the one behind the other.  *RET_SIZE is what it has after a cut. */
static int load_log_file(struct recover *rc, int dir_fd, const char *name, bool is_last, uint64_t *ret_size)
{
	struct mapped m = { 0 };
	int err = map_file(dir_fd, name, &m, rc->e);

	if (err == -ENOENT)
		return error_set(rc->e, err, "%s is listed in the manifest, but it is not there", name);
	if (!err) {
		err = load_bytes(rc, dir_fd, name, &m, is_last, ret_size);
		rc->done += m.len;
		unmap_file(&m);
	}
	return err ? error_prepend(rc->e, err, "%s", name) : 0;
}

static int load_dump(struct recover *rc, int dir_fd)
{
	const char *name = rc->c->dbfilename;
	struct mapped m = { 0 };
	size_t used = 0;
	int err = map_file(dir_fd, name, &m, rc->e);

	if (err == -ENOENT)
		return 0;
	if (err)
		return error_prepend(rc->e, err, "%s", name);
	rc->total = m.len;
	rc->r.l.now_ns = m.mtime_ns;
	if (m.len == 0)
		err = error_set(rc->e, -EINVAL, "is empty (0 bytes), which no snapshot is: put a good one in its place, or remove it to start "
		                "with no keys");
	else
		err = load_rdb_part(rc, &m, true, &used);
	unmap_file(&m);
	rc->out->source = RECOVER_RDB;
	return err ? error_prepend(rc->e, err, "%s", name) : 0;
}

/* ---- the log ---- */

static char *manifest_name(const struct persist_config *c)
{
	char *name;

	return asprintf(&name, "%s.manifest", c->appendfilename) < 0 ? NULL : name;
}

/* The manifest, empty when there is none. */
static int read_manifest(struct recover *rc, int log_fd)
{
	struct mapped m = { 0 };
	char *name = manifest_name(rc->c);
	int err;

	if (!name)
		return error_set(rc->e, -ENOMEM, "out of memory");
	err = map_file(log_fd, name, &m, rc->e);
	if (!err) {
		err = manifest_parse(m.data ? m.data : "", m.len, &rc->out->manifest, rc->e);
		unmap_file(&m);
	} else if (err == -ENOENT) {
		err = 0;
	}
	if (err)
		error_prepend(rc->e, err, "%s", name);
	free(name);
	return err;
}

static int load_log(struct recover *rc, int log_fd)
{
	struct manifest *m = &rc->out->manifest;
	struct manifest_file *base = manifest_base(m), *last = manifest_last_incr(m);
	size_t i;
	int err = 0;

	rc->out->source = RECOVER_AOF;
	for (i = 0; i < m->count; i++)
		if (m->file[i].type != MANIFEST_HISTORY)
			rc->total += file_size(log_fd, m->file[i].name);
	if (base)
		err = load_log_file(rc, log_fd, base->name, !last, &rc->out->base_size);
	for (i = 0; !err && i < m->count; i++)
		if (m->file[i].type == MANIFEST_INCR)
			err = load_log_file(rc, log_fd, m->file[i].name, &m->file[i] == last, &rc->out->last_incr_size);
	return err;
}

/* The old single file, at the top of the data directory. */
static int load_old_log(struct recover *rc, int dir_fd)
{
	rc->out->source = RECOVER_OLD_AOF;
	rc->total = file_size(dir_fd, rc->c->appendfilename);
	return load_log_file(rc, dir_fd, rc->c->appendfilename, true, &rc->out->base_size);
}

static int load_with_log(struct recover *rc, int dir_fd)
{
	int err, log_fd = openat(dir_fd, rc->c->appenddirname, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	err = log_fd < 0 ? -errno : 0;
	if (err && err != -ENOENT)
		return error_set(rc->e, err, "%s can't be opened: %s", rc->c->appenddirname, strerror(-err));
	if (log_fd >= 0) {
		err = read_manifest(rc, log_fd);
		if (!err && rc->out->manifest.count)
			err = load_log(rc, log_fd);
		close(log_fd);
		if (err)
			return error_prepend(rc->e, err, "%s", rc->c->appenddirname);
	}
	if (rc->out->manifest.count)
		return 0;
	return file_exists(dir_fd, rc->c->appendfilename) ? load_old_log(rc, dir_fd) : load_dump(rc, dir_fd);
}

/* `appendonly no`: only the snapshot counts; who has a log as well should know. */
static int load_without_log(struct recover *rc, int dir_fd)
{
	int log_fd = openat(dir_fd, rc->c->appenddirname, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *beside = file_exists(dir_fd, rc->c->appendfilename) ? rc->c->appendfilename : NULL;
	char *name;

	if (log_fd >= 0) {
		name = manifest_name(rc->c);
		if (name && file_exists(log_fd, name))
			beside = rc->c->appenddirname;
		free(name);
		close(log_fd);
	}
	if (beside && bytes_addf(&rc->out->report, "%s is there and was not read: appendonly is no\n", beside))
		return error_set(rc->e, -ENOMEM, "out of memory");
	return load_dump(rc, dir_fd);
}

/* ---- all of it ---- */

static int recover_finish(struct recover *rc, struct keyspace *ks)
{
	struct recovery *out = rc->out;
	struct usage u;
	int err = replay_finish(&rc->r, &out->report, rc->e);

	if (err)
		return err;
	if (out->keys_expired && bytes_addf(&out->report, "keys left out because their time is over: %llu\n", (unsigned long long)out->keys_expired))
		return error_set(rc->e, -ENOMEM, "out of memory");
	keyspace_usage(ks, &u);
	out->keys_loaded = u.keys;
	out->keys_skipped = rc->r.tombs.types;
	out->lineage = rc->aof.lineage;
	out->last_seq = rc->aof.last_seq;
	out->sealed = rc->aof.sealed;
	if (rc->port->loading && rc->total)
		rc->port->loading(rc->port->ctx, rc->total, rc->total, out->keys_loaded);
	return 0;
}

int recover(const struct persist_config *c, int dir_fd, struct keyspace *ks, const struct persist_port *port, struct recovery *ret,
            struct error *e)
{
	struct recovery out = { .source = RECOVER_EMPTY };
	struct recover rc = { .c = c, .port = port, .disk = port->disk ? port->disk : disk_real(), .out = &out, .e = e };
	int err = replay_init(&rc.r, ks, c->uid, c->gid, rc.disk->now_ns(rc.disk->ctx));

	if (err)
		return error_set(e, err, "recover: out of memory");
	rc.r.skip_non_strings = c->skip_non_strings;
	rc.r.progress = recover_tick;
	rc.r.progress_ctx = &rc;
	err = c->appendonly ? load_with_log(&rc, dir_fd) : load_without_log(&rc, dir_fd);
	if (!err)
		err = recover_finish(&rc, ks);
	replay_fini(&rc.r);
	if (err) {
		recovery_fini(&out);
		return error_prepend(e, err, "recover");
	}
	*ret = out;
	return 0;
}

void recovery_fini(struct recovery *r)
{
	manifest_fini(&r->manifest);
	bytes_fini(&r->report);
}
