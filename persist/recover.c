/* recover.c -- see recover.h: which files, in which order, and what becomes of a torn tail. */
#include "persist/recover.h"

#include "persist/loading.h"
#include "persist/rdb_load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	COPIES_MAX = 100,           /* torn tails kept of the same offset of the same file */
	COPY_MODE = 0600,
};

struct recover {
	struct loading ld;
	const struct persist_config *c;
	const struct disk *disk;
	struct recovery *out;
	struct error *e;
};

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

/* Cuts NAME at SIZE, after a copy of the rest; WHAT for the report. */
static int cut_with_copy(struct recover *rc, int dir_fd, const char *name, const struct mapped *m, uint64_t size, const char *what)
{
	char *copy = NULL;
	int err = copy_tail(rc, dir_fd, name, size, m->data + size, (size_t)(m->len - size), &copy);

	if (err)
		return err;
	err = cut_file(rc, dir_fd, name, size);
	if (!err && bytes_addf(&rc->out->report, "%s: the last %llu bytes were %s and are cut off; a copy is beside it, %s\n", name,
	                       (unsigned long long)(m->len - size), what, copy))
		err = error_set(rc->e, -ENOMEM, "out of memory");
	free(copy);
	return err;
}

/* NAME counts up to SIZE.  With IS_LAST and aof-load-truncated it is cut there, else refused. */
static int cut_tail(struct recover *rc, int dir_fd, const char *name, const struct mapped *m, uint64_t size, bool is_last)
{
	unsigned long long rest = m->len - size;

	if (!is_last)
		return error_set(rc->e, -EBADMSG, "ends in the middle of a batch or command at %llu, and more files follow: damage "
		                 "(kvfs-ctl check DIR tells more)", (unsigned long long)size);
	if (!rc->c->aof_load_truncated)
		return error_set(rc->e, -EBADMSG, "its last %llu bytes, from %llu on, are torn: aof-load-truncated yes cuts them off", rest,
		                 (unsigned long long)size);
	return cut_with_copy(rc, dir_fd, name, m, size, "torn");
}

/* NAME, the last file, counts up to SIZE, and nothing behind that is whole: aof-load-corrupt-tail-max-size decides.  E is set. */
static int cut_corrupt_tail(struct recover *rc, int dir_fd, const char *name, const struct mapped *m, uint64_t size)
{
	uint64_t rest = m->len - size, max = rc->c->aof_load_corrupt_tail_max_size;
	struct error why = *rc->e;

	rc->e->text[0] = '\0';
	if (rest > max)
		return error_set(rc->e, -EBADMSG, "%s; nothing from there on counts, its last %llu bytes: aof-load-corrupt-tail-max-size, now %llu, "
		                 "says how many may be cut off", why.text, (unsigned long long)rest, (unsigned long long)max);
	return cut_with_copy(rc, dir_fd, name, m, size, "damaged");
}

/* ---- one file ---- */

/* A file of the log: RDB, commands, or the one behind the other.  *RET_SIZE is what it has after a cut. */
static int load_log_file(struct recover *rc, int dir_fd, const char *name, bool is_last, uint64_t *ret_size)
{
	struct mapped m = { 0 };
	int err = mapped_file(dir_fd, name, &m, rc->e);

	if (err == -ENOENT)
		return error_set(rc->e, err, "%s is listed in the manifest, but it is not there", name);
	if (!err)
		err = loading_log(&rc->ld, &m, ret_size);
	if (!err && rc->ld.aof.torn)
		err = cut_tail(rc, dir_fd, name, &m, *ret_size, is_last);
	else if (err == -EBADMSG && rc->ld.aof.corrupt_tail && is_last)
		err = cut_corrupt_tail(rc, dir_fd, name, &m, *ret_size);
	rc->ld.done += m.len;
	mapped_fini(&m);
	return err ? error_prepend(rc->e, err, "%s", name) : 0;
}

static int load_dump(struct recover *rc, int dir_fd)
{
	const char *name = rc->c->dbfilename;
	struct mapped m = { 0 };
	int err = mapped_file(dir_fd, name, &m, rc->e);

	if (err == -ENOENT)
		return 0;
	if (!err) {
		rc->ld.total = m.len;
		rc->out->source = RECOVER_RDB;
		err = loading_dump(&rc->ld, &m, true);
	}
	mapped_fini(&m);
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
	err = mapped_file(log_fd, name, &m, rc->e);
	if (!err) {
		err = manifest_parse(m.data ? m.data : "", m.len, &rc->out->manifest, rc->e);
		mapped_fini(&m);
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
			rc->ld.total += file_size(log_fd, m->file[i].name);
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
	rc->ld.total = file_size(dir_fd, rc->c->appendfilename);
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
	rc->out->log_beside = beside != NULL;
	if (beside && bytes_addf(&rc->out->report, "%s is there and was not read: appendonly is no\n", beside))
		return error_set(rc->e, -ENOMEM, "out of memory");
	return load_dump(rc, dir_fd);
}

/* ---- all of it ---- */

static int recover_finish(struct recover *rc)
{
	struct recovery *out = rc->out;
	struct usage u;
	int err;

	out->db = rc->ld.r.db;
	err = loading_finish(&rc->ld, &out->report);
	if (err)
		return err;
	keyspace_usage(rc->ld.ks, &u);
	out->keys_loaded = u.keys;
	out->keys_expired = rc->ld.keys_expired;
	out->keys_skipped = rc->ld.r.tombs.types;
	out->lineage = rc->ld.aof.lineage;
	out->last_seq = rc->ld.aof.last_seq;
	out->sealed = rc->ld.aof.sealed;
	return 0;
}

enum which { BY_CONFIG, DUMP_ALONE };

static int load(struct recover *rc, int dir_fd, enum which which)
{
	if (which == DUMP_ALONE) {
		loader_clear(&rc->ld.r.l);
		return load_dump(rc, dir_fd);
	}
	return rc->c->appendonly ? load_with_log(rc, dir_fd) : load_without_log(rc, dir_fd);
}

static int run(const struct persist_config *c, int dir_fd, struct keyspace *ks, const struct persist_port *port, enum which which,
               struct recovery *ret, struct error *e)
{
	struct recovery out = { .source = RECOVER_EMPTY };
	struct recover rc = { .c = c, .out = &out, .e = e };
	int err = loading_init(&rc.ld, c, port, ks, e);

	if (err)
		return error_prepend(e, err, "recover");
	rc.disk = rc.ld.disk;
	err = load(&rc, dir_fd, which);
	if (!err)
		err = recover_finish(&rc);
	loading_fini(&rc.ld);
	if (err) {
		recovery_fini(&out);
		return error_prepend(e, err, "recover");
	}
	*ret = out;
	return 0;
}

int recover(const struct persist_config *c, int dir_fd, struct keyspace *ks, const struct persist_port *port, struct recovery *ret,
            struct error *e)
{
	return run(c, dir_fd, ks, port, BY_CONFIG, ret, e);
}

int recover_dump(const struct persist_config *c, int dir_fd, struct keyspace *ks, const struct persist_port *port, struct recovery *ret,
                 struct error *e)
{
	return run(c, dir_fd, ks, port, DUMP_ALONE, ret, e);
}

int recover_peek_dump(const struct persist_config *c, int dir_fd, struct rdb_origin *ret)
{
	struct error unused = { { 0 } };
	struct mapped m = { 0 };
	int err = mapped_file(dir_fd, c->dbfilename, &m, &unused);

	if (err)
		return err;
	err = rdb_peek(m.data ? m.data : "", m.len, ret);
	mapped_fini(&m);
	return err;
}

enum recover_relation recover_relate(const struct rdb_origin *dump, uint64_t lineage, uint64_t last_seq)
{
	if (!lineage || !dump->lineage)
		return RECOVER_OLDER;
	if (dump->lineage == lineage)
		return dump->seq > last_seq ? RECOVER_NEWER : RECOVER_OLDER;
	/* A daemon without a log wrote it, and counted on from where it began. */
	if (dump->parent == lineage && dump->seq <= dump->parent_seq)
		return RECOVER_OLDER;
	return dump->parent == lineage && dump->parent_seq >= last_seq ? RECOVER_NEWER : RECOVER_FORKED;
}

void recovery_fini(struct recovery *r)
{
	manifest_fini(&r->manifest);
	bytes_fini(&r->report);
}
