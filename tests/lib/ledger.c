/* ledger.c -- load on a directory, with a ledger outside of it that tells afterwards what must be there.
 *
 *      ledger load LEDGER DIR SEED WRITERS [failing]   until the filesystem goes away or SIGTERM; prints how many calls returned;
 *                                                      failing: an error of the disk ends a writer, too
 *      ledger check LEDGER DIR WRITERS [synced]        compares DIR with the ledger; 0: as it must be
 *
 * Each writer works on keys of its own (DIR/w<n>/) and has a ledger of its own (LEDGER.<n>): a record before an operation
 * and one behind it.  What has a record behind it was acknowledged and must be there exactly, byte for byte, and nothing
 * else.  Of the one operation that has none, either nothing may be seen or all of it; or, since the kernel sends a write(2)
 * that begins inside a page or is very long as several requests, a part of it that ends at a page's end; a SET (truncate,
 * then write) may also have ended in between.  With "synced" only what stands before the last fsync(2) that returned must be
 * there; of what follows any number of operations from the first on, and of the next one as above.  Where LEDGER.<n>.cut
 * gives a size, what was acknowledged when the ledger was longer than that is no promise: the power was going.  The check
 * notes in the ledger what became of it, so that the next load can go on from there.
 *
 * Where LEDGER_SOCKET names the daemon's control socket, keys are given an end and lose it again, too.
 *
 * The ledger's page cache outlives the filesystem's daemon; it need not outlive the machine.                           */
#include "tests/lib/control_ask.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEYS = 24, DIRS = 8, FILE_MAX = 450000, LEN_MAX = 200000 };
enum op_kind {
	OP_SET, OP_APPEND, OP_PATCH, OP_CUT, OP_DEL, OP_RENAME, OP_CHMOD, OP_MKDIR, OP_RMDIR, OP_FILL_DIR, OP_DRAIN_DIR, OP_MOVE_DIR,
	OP_SYNC, OP_EXPIRE, OP_PERSIST, OP_KINDS,
};
enum phase { PHASE_BEGIN = 1, PHASE_END, PHASE_RESOLVED };
enum { NOT_DONE = 0xffffffff, PAGE = 4096, FILL_LEN = 24 };

static const int64_t far_ms = 4000000000000;

struct record {
	uint64_t number;   /* of the operation, from 1; also seeds its bytes */
	uint64_t off;
	uint32_t phase, kind, key, other, len;
	uint32_t done;     /* END, RESOLVED: how much of LEN, or NOT_DONE */
};

struct file {
	bool exists;
	mode_t mode;
	int64_t end_ms;    /* when it goes; -1: never */
	size_t size;
	char *data;        /* FILE_MAX bytes */
};

/* A directory, and whether there is a file in it. */
struct dir { bool exists, filled; size_t size; char data[FILL_LEN]; };

/* What must be there, or what is there. */
struct model {
	struct file file[KEYS];
	struct dir dir[DIRS];
	size_t names;      /* of what is there: all of them, also those that nobody knows */
	uint64_t number;   /* of the last operation */
};

static volatile sig_atomic_t stopped;

static void on_term(int signo)
{
	(void)signo;
	stopped = 1;
}

static uint64_t next_random(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15u;
	uint64_t z = *state;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void fill(char *buf, size_t len, uint64_t number)
{
	uint64_t state = number;
	for (size_t i = 0; i < len; i += 8) {
		uint64_t word = next_random(&state);
		memcpy(buf + i, &word, len - i < 8 ? len - i : 8);
	}
}

/* ---- the model ---- */

static void model_init(struct model *m)
{
	memset(m, 0, sizeof *m);
	for (int i = 0; i < KEYS; i++) {
		m->file[i].end_ms = -1;
		m->file[i].data = malloc(FILE_MAX);
		if (!m->file[i].data)
			err(1, "model");
	}
}

static void model_fini(struct model *m)
{
	for (int i = 0; i < KEYS; i++)
		free(m->file[i].data);
}

static void file_copy(struct file *to, const struct file *from)
{
	char *data = to->data;

	*to = *from;
	to->data = data;
	memcpy(data, from->data, from->size);
}

static void file_put(struct file *f, uint64_t off, size_t len, uint64_t number)
{
	if (off > f->size)
		memset(f->data + f->size, 0, off - f->size);
	fill(f->data + off, len, number);
	if (f->size < off + len)
		f->size = off + len;
}

static bool is_write(const struct record *r)
{
	return r->kind == OP_SET || r->kind == OP_APPEND || r->kind == OP_PATCH || r->kind == OP_FILL_DIR;
}

static void dir_apply(struct model *m, const struct record *r, uint32_t done)
{
	struct dir *d = &m->dir[r->key % DIRS];

	switch ((enum op_kind)r->kind) {
	case OP_MKDIR:
	case OP_RMDIR:
		*d = (struct dir){ .exists = r->kind == OP_MKDIR };
		break;
	case OP_FILL_DIR:
		d->filled = true;
		d->size = done;
		fill(d->data, done, r->number);
		break;
	case OP_DRAIN_DIR:
		d->filled = false;
		d->size = 0;
		break;
	default:
		m->dir[r->other % DIRS] = *d;
		*d = (struct dir){ 0 };
	}
}

/* DONE: bytes of a write; any other operation happens or is NOT_DONE. */
static void model_apply(struct model *m, const struct record *r, uint32_t done)
{
	struct file *f = &m->file[r->key], *other = &m->file[r->other], swap;
	m->number = r->number;
	if (done == NOT_DONE)
		return;
	switch ((enum op_kind)r->kind) {
	case OP_SET:
		if (!f->exists)
			f->mode = 0644;
		f->exists = true;
		f->size = 0;
		f->end_ms = -1;
		file_put(f, 0, done, r->number);
		break;
	case OP_APPEND:
	case OP_PATCH:
		file_put(f, r->off, done, r->number);
		break;
	case OP_CUT:
		if (r->len > f->size)
			memset(f->data + f->size, 0, r->len - f->size);
		f->size = r->len;
		break;
	case OP_DEL:
		f->exists = false;
		f->size = 0;
		f->end_ms = -1;
		break;
	case OP_RENAME:
		swap = *other;
		*other = *f;
		*f = swap;
		f->exists = false;
		f->size = 0;
		f->end_ms = -1;
		break;
	case OP_CHMOD:
		f->mode = r->len;
		break;
	case OP_MKDIR:
	case OP_RMDIR:
	case OP_FILL_DIR:
	case OP_DRAIN_DIR:
	case OP_MOVE_DIR:
		dir_apply(m, r, done);
		break;
	case OP_EXPIRE:
		f->end_ms = far_ms + r->len;
		break;
	case OP_PERSIST:
		f->end_ms = -1;
		break;
	case OP_SYNC:
	case OP_KINDS:
		break;
	}
}

static bool record_is_sane(const struct record *r, const struct model *m)
{
	return r->kind < OP_KINDS && r->key < KEYS && r->other < KEYS && r->len <= FILE_MAX && r->off <= FILE_MAX - LEN_MAX &&
	       r->number == m->number + 1;
}

/* A ledger: its operations in order, and what became of each. */
struct step { struct record r; uint32_t done; bool ended; off_t begins, ends; };
struct history { struct step *step; size_t count, cap; };

static void history_add(struct history *h, const struct record *r, off_t begins)
{
	if (h->count == h->cap) {
		h->cap = h->cap ? h->cap * 2 : 1024;
		h->step = reallocarray(h->step, h->cap, sizeof *h->step);
		if (!h->step)
			err(1, "history");
	}
	h->step[h->count++] = (struct step){ .r = *r, .begins = begins };
}

static void history_read(struct history *h, const char *path)
{
	struct model m = { 0 };
	struct record r;
	FILE *f = fopen(path, "re");

	*h = (struct history){ 0 };
	if (!f && errno == ENOENT)
		return;
	if (!f)
		err(1, "%s", path);
	for (off_t at = 0; fread(&r, sizeof r, 1, f) == 1; at += (off_t)sizeof r) {
		struct step *last = h->count ? &h->step[h->count - 1] : NULL;
		bool begins = r.phase == PHASE_BEGIN;
		if (begins ? (last && !last->ended) || !record_is_sane(&r, &m)
		           : !last || last->ended || r.number != last->r.number || (r.done != NOT_DONE && r.done > r.len))
			errx(1, "%s: the ledger itself is damaged at operation %" PRIu64, path, r.number);
		if (begins) {
			history_add(h, &r, at);
			m.number++;
		} else {
			last->ended = true;
			last->done = r.done;
			last->ends = at;
		}
	}
	fclose(f);
}

/* From which size of the ledger on nothing is a promise. */
static off_t read_cut(const char *ledger)
{
	char *path = NULL;
	long long size = INT64_MAX;

	if (asprintf(&path, "%s.cut", ledger) < 0)
		err(1, "asprintf");
	FILE *f = fopen(path, "re");
	if (f && fscanf(f, "%lld", &size) != 1)
		errx(1, "%s: no size", path);
	if (f)
		fclose(f);
	free(path);
	return (off_t)size;
}

static bool is_promise(const struct step *s, bool only_synced, off_t cut)
{
	return s->ended && s->ends < cut && (!only_synced || (s->r.kind == OP_SYNC && s->done != NOT_DONE));
}

/* The first operation that need not be there. */
static size_t history_promised(const struct history *h, bool only_synced, off_t cut)
{
	size_t n = h->count;

	while (n && !is_promise(&h->step[n - 1], only_synced, cut))
		n--;
	return n;
}

/* ---- load ---- */

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static int control_expire(const char *path, const struct record *r)
{
	const char *dir = last_part(path);
	char command[128];
	int64_t done;

	if (r->kind == OP_EXPIRE)
		snprintf(command, sizeof command, "PEXPIREAT %s/k%u %" PRId64 "\r\n", dir, r->key, far_ms + r->len);
	else
		snprintf(command, sizeof command, "PERSIST %s/k%u\r\n", dir, r->key);
	if (control_ask(command, &done) < 0)
		return -1;
	errno = EIO;
	return done == 1 ? 0 : -1;
}

/* What can be done with a directory as it is. */
static void choose_dir(const struct model *m, struct record *r)
{
	const struct dir *d = &m->dir[r->key % DIRS];

	if (!d->exists)
		r->kind = OP_MKDIR;
	else if (r->kind == OP_MOVE_DIR && !m->dir[r->other % DIRS].exists)
		return;
	else if (r->kind == OP_RMDIR || r->kind == OP_DRAIN_DIR)
		r->kind = d->filled ? OP_DRAIN_DIR : OP_RMDIR;
	else
		r->kind = OP_FILL_DIR;
	if (r->kind == OP_FILL_DIR)
		r->len = FILL_LEN;
}

/* An operation that makes sense for the state of the model. */
static struct record choose(const struct model *m, uint64_t *random)
{
	struct record r = {.number = m->number + 1, .phase = PHASE_BEGIN};
	r.key = (uint32_t)(next_random(random) % KEYS);
	r.other = (uint32_t)(next_random(random) % KEYS);
	r.kind = (uint32_t)(next_random(random) % (!control_is_open() ? OP_EXPIRE : OP_KINDS));
	r.len = 1 + (uint32_t)(next_random(random) % (next_random(random) % 20 ? 300 : LEN_MAX));
	const struct file *f = &m->file[r.key];
	bool grows = r.kind == OP_APPEND || r.kind == OP_PATCH;
	if (r.kind >= OP_MKDIR && r.kind <= OP_MOVE_DIR) {
		choose_dir(m, &r);
		return r;
	}
	if (r.kind == OP_SYNC)
		return r;
	if (r.kind == OP_PERSIST && f->end_ms < 0)
		r.kind = OP_EXPIRE;
	if (!f->exists || (r.kind == OP_RENAME && r.other == r.key) || (grows && f->size + LEN_MAX > FILE_MAX - LEN_MAX))
		r.kind = OP_SET;
	if (r.kind == OP_APPEND)
		r.off = f->size;
	if (r.kind == OP_PATCH)
		r.off = next_random(random) % (f->size + 100);
	if (r.kind == OP_CHMOD)
		r.len = next_random(random) % 2 ? 0640 : 0755;
	return r;
}

static int write_file(int dir, const char *name, int flags, const struct record *r)
{
	static char buf[LEN_MAX + 8];
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC | flags, 0644);
	if (fd < 0)
		return -1;
	fill(buf, r->len, r->number);
	ssize_t n = 0;
	for (size_t done = 0; done < r->len; done += (size_t)n) {
		const char *from = buf + done;
		n = r->kind == OP_PATCH ? pwrite(fd, from, r->len - done, (off_t)(r->off + done)) : write(fd, from, r->len - done);
		if (n <= 0)
			break;
	}
	int error = n == 0 ? EIO : errno;
	if (close(fd) < 0 && n > 0)
		return -1;
	errno = error;
	return n > 0 ? 0 : -1;
}

static int truncate_file(int dir, const char *name, off_t size)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int ret = ftruncate(fd, size), error = errno;
	close(fd);
	errno = error;
	return ret;
}

static int perform(int dir, const char *path, const struct record *r)
{
	char name[16], other[16], subdir[16], other_subdir[16], inside[24];
	snprintf(name, sizeof name, "k%u", r->key);
	snprintf(other, sizeof other, "k%u", r->other);
	snprintf(subdir, sizeof subdir, "d%u", r->key % DIRS);
	snprintf(other_subdir, sizeof other_subdir, "d%u", r->other % DIRS);
	snprintf(inside, sizeof inside, "%s/in", subdir);
	switch ((enum op_kind)r->kind) {
	case OP_SET:
		return write_file(dir, name, O_CREAT | O_TRUNC, r);
	case OP_APPEND:
		return write_file(dir, name, O_APPEND, r);
	case OP_PATCH:
		return write_file(dir, name, 0, r);
	case OP_CUT:
		return truncate_file(dir, name, (off_t)r->len);
	case OP_DEL:
		return unlinkat(dir, name, 0);
	case OP_RENAME:
		return renameat(dir, name, dir, other);
	case OP_CHMOD:
		return fchmodat(dir, name, (mode_t)r->len, 0);
	case OP_MKDIR:
		return mkdirat(dir, subdir, 0755);
	case OP_RMDIR:
		return unlinkat(dir, subdir, AT_REMOVEDIR);
	case OP_FILL_DIR:
		return write_file(dir, inside, O_CREAT | O_TRUNC, r);
	case OP_DRAIN_DIR:
		return unlinkat(dir, inside, 0);
	case OP_MOVE_DIR:
		return renameat(dir, subdir, dir, other_subdir);
	case OP_SYNC:
		return fsync(dir);
	case OP_EXPIRE:
	case OP_PERSIST:
		return control_expire(path, r);
	case OP_KINDS:
		break;
	}
	return -1;
}

static void note(int fd, const struct record *r)
{
	if (write(fd, r, sizeof *r) != sizeof *r)
		err(1, "ledger");
}

/* Nobody answers any more; who still would, does. */
static bool is_gone(int dir)
{
	struct statfs st;

	return fstatfs(dir, &st) < 0 && (errno == ENOTCONN || errno == ECONNABORTED || errno == ECANCELED);
}

/* Whether the call failed because the filesystem went, and not for a fault of its own.  A daemon that is killed while the kernel copies a
 * request to it leaves that one with EIO, and one that was with it by io_uring with ECANCELED. */
static bool is_the_end(int dir, bool failing)
{
	int why = errno;
	bool end = why == ENOTCONN || why == ECONNABORTED || (failing && (why == EIO || why == EROFS || why == ENOSPC)) ||
	           ((why == EIO || why == ECANCELED) && is_gone(dir));

	errno = why;
	return end;
}

static uint64_t load_one(const char *ledger, const char *path, uint64_t seed, bool failing)
{
	struct model m;
	struct history h;
	uint64_t acknowledged = 0, random = seed;
	model_init(&m);
	history_read(&h, ledger);
	if (history_promised(&h, false, INT64_MAX) != h.count)
		errx(1, "%s: the last operation is open: check first", ledger);
	for (size_t i = 0; i < h.count; i++)
		model_apply(&m, &h.step[i].r, h.step[i].done);
	free(h.step);
	control_open(getenv("LEDGER_SOCKET"));
	int fd = open(ledger, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		err(1, "%s", ledger);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		err(1, "%s", path);
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		err(1, "%s", path);
	while (!stopped) {
		struct record r = choose(&m, &random);
		note(fd, &r);
		if (perform(dir, path, &r) < 0) {
			if (!is_the_end(dir, failing))
				err(1, "operation %" PRIu64 " of kind %u on k%u", r.number, r.kind, r.key);
			break;
		}
		r.phase = PHASE_END;
		r.done = r.len;
		note(fd, &r);
		model_apply(&m, &r, r.done);
		acknowledged++;
	}
	close(dir);
	close(fd);
	model_fini(&m);
	return acknowledged;
}

/* ---- check ---- */

static size_t read_all(int dir, const char *name, char *buf, size_t cap)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;
	size_t len = 0;

	if (fd < 0)
		err(1, "%s", name);
	while (n > 0 && len < cap) {
		n = read(fd, buf + len, cap - len);
		if (n < 0)
			err(1, "%s", name);
		len += (size_t)n;
	}
	close(fd);
	return len;
}

static void see_file(struct file *f, int dir, const char *path, int i)
{
	char name[16], command[64];
	struct stat st;

	snprintf(name, sizeof name, "k%d", i);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	f->exists = true;
	f->mode = st.st_mode & 07777;
	f->size = read_all(dir, name, f->data, FILE_MAX);
	if ((off_t)f->size != st.st_size)
		errx(1, "%s: %zu bytes can be read of %jd", name, f->size, (intmax_t)st.st_size);
	snprintf(command, sizeof command, "PEXPIRETIME %s/%s\r\n", last_part(path), name);
	if (control_is_open() && control_ask(command, &f->end_ms) < 0)
		err(1, "%s", name);
}

static void see_dir(struct dir *d, int dir, int i)
{
	char name[24];

	snprintf(name, sizeof name, "d%d", i);
	d->exists = faccessat(dir, name, F_OK, 0) == 0;
	snprintf(name, sizeof name, "d%d/in", i);
	d->filled = faccessat(dir, name, F_OK, 0) == 0;
	if (d->filled)
		d->size = read_all(dir, name, d->data, FILL_LEN);
}

/* What is there. */
static void model_see(struct model *m, const char *path)
{
	struct dirent *entry;
	DIR *d = opendir(path);

	if (!d && errno == ENOENT)
		return;
	if (!d)
		err(1, "%s", path);
	for (int i = 0; i < KEYS; i++)
		see_file(&m->file[i], dirfd(d), path, i);
	for (int i = 0; i < DIRS; i++)
		see_dir(&m->dir[i], dirfd(d), i);
	while ((entry = readdir(d)))
		m->names += entry->d_name[0] != '.';
	closedir(d);
}

static bool file_same(const struct file *is, const struct file *want, int i, bool tell)
{
	bool same = is->exists == want->exists;

	if (same && is->exists)
		same = is->mode == want->mode && is->size == want->size && (!control_is_open() || is->end_ms == want->end_ms) &&
		       memcmp(is->data, want->data, is->size) == 0;
	if (!same && tell)
		warnx("k%d: %s, mode %o, %zu bytes, end %" PRId64 " instead of %s, mode %o, %zu bytes, end %" PRId64, i,
		      is->exists ? "there" : "missing", is->mode, is->size, is->end_ms, want->exists ? "there" : "missing", want->mode, want->size,
		      want->end_ms);
	return same;
}

static bool dir_same(const struct dir *is, const struct dir *want, int i, bool tell)
{
	bool same = is->exists == want->exists && is->filled == want->filled && is->size == want->size &&
	            memcmp(is->data, want->data, is->size) == 0;

	if (!same && tell)
		warnx("d%d: %s, %s instead of %s, %s", i, is->exists ? "there" : "missing", is->filled ? "filled" : "empty",
		      want->exists ? "there" : "missing", want->filled ? "filled" : "empty");
	return same;
}

static bool model_same(const struct model *is, const struct model *want, bool tell)
{
	size_t names = 0;
	bool same = true;

	for (int i = 0; i < KEYS && (same || tell); i++) {
		same &= file_same(&is->file[i], &want->file[i], i, tell);
		names += want->file[i].exists;
	}
	for (int i = 0; i < DIRS && (same || tell); i++) {
		same &= dir_same(&is->dir[i], &want->dir[i], i, tell);
		names += want->dir[i].exists;
	}
	if (same && names != is->names && tell)
		warnx("%zu names instead of %zu", is->names, names);
	return same && names == is->names;
}

/* The next way in which an open operation may have ended, after DONE.  Begins with NOT_DONE; false when there is no other. */
static bool next_end(const struct record *r, uint32_t *done)
{
	if (*done == NOT_DONE) {
		*done = r->len;
		return true;
	}
	if (!is_write(r) || *done == 0)
		return false;
	uint64_t end = r->off + *done;
	uint64_t cut = (end - 1) / PAGE * PAGE;
	*done = cut > r->off ? (uint32_t)(cut - r->off) : 0;
	return *done > 0 || r->kind == OP_SET || r->kind == OP_FILL_DIR;
}

/* Whether the model is what is there once R has ended in one of its ways; *DONE is which.  The model stays as it was. */
static bool ends_as(struct model *m, const struct model *is, const struct record *r, uint32_t *done)
{
	static char data[2][FILE_MAX];
	struct file key = { .data = data[0] }, other = { .data = data[1] };
	struct dir dirs[DIRS];
	uint64_t number = m->number;
	bool same = false;

	file_copy(&key, &m->file[r->key]);
	file_copy(&other, &m->file[r->other]);
	memcpy(dirs, m->dir, sizeof dirs);
	*done = NOT_DONE;
	while (!same && next_end(r, done)) {
		model_apply(m, r, *done);
		same = model_same(is, m, false);
		file_copy(&m->file[r->key], &key);
		file_copy(&m->file[r->other], &other);
		memcpy(m->dir, dirs, sizeof dirs);
	}
	m->number = number;
	return same;
}

/* The ledger ends with operation N; of the next one, if DONE says so, a part has come true. */
static void settle(const char *ledger, const struct history *h, size_t n, uint32_t done)
{
	struct record r = n < h->count ? h->step[n].r : (struct record){ 0 };
	int fd = open(ledger, O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return;
	if (fd < 0 || (n < h->count && ftruncate(fd, h->step[n].begins) < 0))
		err(1, "%s", ledger);
	if (done != NOT_DONE) {
		note(fd, &r);
		r.phase = PHASE_RESOLVED;
		r.done = done;
		note(fd, &r);
	}
	close(fd);
}

/* The number of operations, FROM or more, after which the model was what is there; *DONE: and what of the next one.  False: none. */
static bool find_end(const struct history *h, const struct model *is, size_t from, size_t *ret_n, uint32_t *done)
{
	struct model m;
	bool good = false;
	size_t n = 0;

	model_init(&m);
	for (;; n++) {
		*done = NOT_DONE;
		good = n >= from && (model_same(is, &m, false) || (n < h->count && ends_as(&m, is, &h->step[n].r, done)));
		if (good || n == h->count)
			break;
		model_apply(&m, &h->step[n].r, h->step[n].ended ? h->step[n].done : NOT_DONE);
	}
	if (!good && from == 0)
		model_same(is, &m, true);
	model_fini(&m);
	*ret_n = n;
	return good;
}

static bool check_one(const char *ledger, const char *path, bool only_synced)
{
	struct model is;
	struct history h;
	uint32_t done;
	size_t n;

	model_init(&is);
	history_read(&h, ledger);
	model_see(&is, path);
	size_t promised = history_promised(&h, only_synced, read_cut(ledger));
	bool good = find_end(&h, &is, promised, &n, &done);
	if (good) {
		printf("%zu of %zu operations, %zu promised\n", n, h.count, promised);
		settle(ledger, &h, n, done);
	} else {
		warnx("%s: %zu of %zu operations were promised", path, promised, h.count);
		if (find_end(&h, &is, 0, &n, &done))
			warnx("%s: it is as it was after %zu", path, n);
	}
	free(h.step);
	model_fini(&is);
	return good;
}

static __attribute__((noinline)) char *numbered(const char *stem, const char *infix, int n)
{
	char *path = NULL;
	if (asprintf(&path, "%s%s%d", stem, infix, n) < 0)
		err(1, "asprintf");
	return path;
}

static int run_load(const char *stem, const char *top, uint64_t seed, int writers, bool failing)
{
	int status, ret = 0;
	for (int i = 0; i < writers; i++) {
		pid_t pid = fork();
		if (pid < 0)
			err(1, "fork");
		if (pid > 0)
			continue;
		char *ledger = numbered(stem, ".", i), *path = numbered(top, "/w", i);
		printf("%" PRIu64 "\n", load_one(ledger, path, seed * 1000 + (uint64_t)i, failing));
		free(ledger);
		free(path);
		exit(0);
	}
	for (int i = 0; i < writers; i++) {
		while (wait(&status) < 0)
			if (errno != EINTR)
				err(1, "wait");
		if (status != 0)
			ret = 1;
	}
	return ret;
}

static int run_check(const char *stem, const char *top, int writers, bool only_synced)
{
	int ret = 0;

	control_open(getenv("LEDGER_SOCKET"));
	for (int i = 0; i < writers; i++) {
		char *ledger = numbered(stem, ".", i), *path = numbered(top, "/w", i);
		if (!check_one(ledger, path, only_synced))
			ret = 1;
		free(ledger);
		free(path);
	}
	return ret;
}

int main(int argc, char **argv)
{
	struct sigaction act = {.sa_handler = on_term};
	sigaction(SIGTERM, &act, NULL);
	bool failing = argc == 7 && !strcmp(argv[6], "failing"), synced = argc == 6 && !strcmp(argv[5], "synced");
	if ((argc == 6 || failing) && !strcmp(argv[1], "load"))
		return run_load(argv[2], argv[3], strtoull(argv[4], NULL, 10), (int)strtol(argv[5], NULL, 10), failing);
	if ((argc == 5 || synced) && !strcmp(argv[1], "check"))
		return run_check(argv[2], argv[3], (int)strtol(argv[4], NULL, 10), synced);
	errx(2, "usage: ledger load LEDGER DIR SEED WRITERS [failing] | check LEDGER DIR WRITERS [synced]");
}
