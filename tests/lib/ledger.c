/* ledger.c -- load on a directory, with a ledger outside of it that tells afterwards what must be there.
 *
 *      ledger load LEDGER DIR SEED WRITERS     until the filesystem goes away or SIGTERM; prints how many calls returned
 *      ledger check LEDGER DIR WRITERS         compares DIR with the ledger; 0: as it must be
 *
 * Each writer works on keys of its own (DIR/w<n>/) and has a ledger of its own (LEDGER.<n>): a record before an operation
 * and one behind it.  What has a record behind it was acknowledged and must be there exactly, byte for byte, and nothing
 * else.  Of the one operation that has none, either nothing may be seen or all of it; or, since the kernel sends a write(2)
 * that begins inside a page or is very long as several requests, a part of it that ends at a page's end; a SET (truncate,
 * then write) may also have ended in between.  The check notes in the ledger what became of it, so that the next load can
 * go on from there.
 *
 * The ledger's page cache outlives the filesystem's daemon; it need not outlive the machine.                           */
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
#include <sys/wait.h>
#include <unistd.h>

enum { KEYS = 24, DIRS = 8, FILE_MAX = 160000, LEN_MAX = 70000 };
enum op_kind { OP_SET, OP_APPEND, OP_PATCH, OP_CUT, OP_DEL, OP_RENAME, OP_CHMOD, OP_MKDIR, OP_RMDIR, OP_KINDS };
enum phase { PHASE_BEGIN = 1, PHASE_END, PHASE_RESOLVED };
enum { NOT_DONE = 0xffffffff, PAGE = 4096 };

struct record {
	uint64_t number;   /* of the operation, from 1; also seeds its bytes */
	uint64_t off;
	uint32_t phase, kind, key, other, len;
	uint32_t done;     /* END, RESOLVED: how much of LEN, or NOT_DONE */
};

struct file {
	bool exists;
	mode_t mode;
	size_t size;
	char *data;        /* FILE_MAX bytes */
};

struct model {
	struct file file[KEYS];
	bool dir[DIRS];
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

static void model_copy(struct model *to, const struct model *from)
{
	for (int i = 0; i < KEYS; i++) {
		struct file *f = &to->file[i];
		char *data = f->data;
		*f = from->file[i];
		f->data = data;
		memcpy(data, from->file[i].data, f->size);
	}
	memcpy(to->dir, from->dir, sizeof to->dir);
	to->number = from->number;
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
	return r->kind == OP_SET || r->kind == OP_APPEND || r->kind == OP_PATCH;
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
		break;
	case OP_RENAME:
		swap = *other;
		*other = *f;
		*f = swap;
		f->exists = false;
		f->size = 0;
		break;
	case OP_CHMOD:
		f->mode = r->len;
		break;
	case OP_MKDIR:
	case OP_RMDIR:
		m->dir[r->key % DIRS] = r->kind == OP_MKDIR;
		break;
	case OP_KINDS:
		break;
	}
}

static bool record_is_sane(const struct record *r, const struct model *m)
{
	return r->kind < OP_KINDS && r->key < KEYS && r->other < KEYS && r->len <= FILE_MAX && r->off <= FILE_MAX - LEN_MAX &&
	       r->number == m->number + 1;
}

/* Replays a ledger; *RET_PENDING is the operation without an end (number 0: none). */
static void model_read(struct model *m, const char *path, struct record *ret_pending)
{
	struct record r;
	FILE *f = fopen(path, "re");
	memset(ret_pending, 0, sizeof *ret_pending);
	if (!f && errno == ENOENT)
		return;
	if (!f)
		err(1, "%s", path);
	while (fread(&r, sizeof r, 1, f) == 1) {
		if (r.phase == PHASE_BEGIN) {
			if (ret_pending->number || !record_is_sane(&r, m))
				errx(1, "%s: the ledger itself is damaged at operation %" PRIu64, path, r.number);
			*ret_pending = r;
			continue;
		}
		if (r.number != ret_pending->number || (r.done != NOT_DONE && r.done > r.len))
			errx(1, "%s: the ledger itself is damaged at operation %" PRIu64, path, r.number);
		model_apply(m, ret_pending, r.done);
		memset(ret_pending, 0, sizeof *ret_pending);
	}
	fclose(f);
}

/* ---- load ---- */

/* An operation that makes sense for the state of the model. */
static struct record choose(const struct model *m, uint64_t *random)
{
	struct record r = {.number = m->number + 1, .phase = PHASE_BEGIN};
	r.key = (uint32_t)(next_random(random) % KEYS);
	r.other = (uint32_t)(next_random(random) % KEYS);
	r.kind = (uint32_t)(next_random(random) % OP_KINDS);
	r.len = 1 + (uint32_t)(next_random(random) % (next_random(random) % 20 ? 300 : LEN_MAX));
	const struct file *f = &m->file[r.key];
	bool grows = r.kind == OP_APPEND || r.kind == OP_PATCH;
	if (r.kind == OP_MKDIR || r.kind == OP_RMDIR) {
		r.kind = m->dir[r.key % DIRS] ? OP_RMDIR : OP_MKDIR;
		return r;
	}
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

static int perform(int dir, const struct record *r)
{
	char name[16], other[16], subdir[16];
	snprintf(name, sizeof name, "k%u", r->key);
	snprintf(other, sizeof other, "k%u", r->other);
	snprintf(subdir, sizeof subdir, "d%u", r->key % DIRS);
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

static uint64_t load_one(const char *ledger, const char *path, uint64_t seed)
{
	struct model m;
	struct record pending;
	uint64_t acknowledged = 0, random = seed;
	model_init(&m);
	model_read(&m, ledger, &pending);
	if (pending.number)
		errx(1, "%s: the last operation is open: check first", ledger);
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
		if (perform(dir, &r) < 0) {
			if (errno != ENOTCONN && errno != ECONNABORTED)
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

static bool file_is(int dir, const char *name, const struct file *want, bool tell)
{
	static char buf[FILE_MAX + 1];
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (want->exists && tell)
			warnx("%s is missing", name);
		return !want->exists;
	}
	if (!want->exists || (st.st_mode & 07777) != want->mode || (size_t)st.st_size != want->size) {
		if (tell && want->exists)
			warnx("%s: mode %o size %jd instead of mode %o size %zu", name, st.st_mode & 07777, (intmax_t)st.st_size, want->mode,
			      want->size);
		else if (tell)
			warnx("%s is there, but was removed", name);
		return false;
	}
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", name);
	ssize_t n = read(fd, buf, sizeof buf);
	close(fd);
	if (n != (ssize_t)want->size || memcmp(buf, want->data, want->size) != 0) {
		if (tell)
			warnx("%s: other bytes", name);
		return false;
	}
	return true;
}

static bool model_matches(const struct model *m, const char *path, bool tell)
{
	char name[16];
	struct dirent *entry;
	size_t want = 0, seen = 0;
	bool same = true;
	DIR *d = opendir(path);
	if (!d && errno == ENOENT)
		return m->number == 0;
	if (!d)
		err(1, "%s", path);
	for (int i = 0; i < KEYS; i++) {
		snprintf(name, sizeof name, "k%d", i);
		same &= file_is(dirfd(d), name, &m->file[i], tell);
		want += m->file[i].exists;
	}
	for (int i = 0; i < DIRS; i++) {
		snprintf(name, sizeof name, "d%d", i);
		if ((faccessat(dirfd(d), name, F_OK, 0) == 0) != m->dir[i]) {
			same = false;
			if (tell)
				warnx("directory %s should %sbe there", name, m->dir[i] ? "" : "not ");
		}
		want += m->dir[i];
	}
	while ((entry = readdir(d)))
		seen += entry->d_name[0] != '.';
	closedir(d);
	if (same && seen != want) {
		same = false;
		if (tell)
			warnx("%s: %zu names instead of %zu", path, seen, want);
	}
	return same;
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
	return *done > 0 || r->kind == OP_SET;
}

static bool check_one(const char *ledger, const char *path)
{
	struct model m, candidate;
	struct record pending;
	uint32_t done = NOT_DONE;
	bool good;
	model_init(&m);
	model_init(&candidate);
	model_read(&m, ledger, &pending);
	do {
		model_copy(&candidate, &m);
		if (pending.number)
			model_apply(&candidate, &pending, done);
		good = model_matches(&candidate, path, false);
	} while (!good && pending.number && next_end(&pending, &done));
	if (!good) {
		warnx("%s differs from what was acknowledged (%" PRIu64 " operations; open: kind %u on k%u, %u bytes at %" PRIu64 "):", path,
		      m.number, pending.kind, pending.key, pending.len, pending.off);
		model_matches(&m, path, true);
	} else if (pending.number) {
		int fd = open(ledger, O_WRONLY | O_APPEND | O_CLOEXEC);
		if (fd < 0)
			err(1, "%s", ledger);
		pending.phase = PHASE_RESOLVED;
		pending.done = done;
		note(fd, &pending);
		close(fd);
	}
	model_fini(&candidate);
	model_fini(&m);
	return good;
}

static char *numbered(const char *stem, const char *infix, int n)
{
	char *path;
	if (asprintf(&path, "%s%s%d", stem, infix, n) < 0)
		err(1, "asprintf");
	return path;
}

static int run_load(const char *stem, const char *top, uint64_t seed, int writers)
{
	int status, ret = 0;
	for (int i = 0; i < writers; i++) {
		pid_t pid = fork();
		if (pid < 0)
			err(1, "fork");
		if (pid > 0)
			continue;
		char *ledger = numbered(stem, ".", i), *path = numbered(top, "/w", i);
		printf("%" PRIu64 "\n", load_one(ledger, path, seed * 1000 + (uint64_t)i));
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

static int run_check(const char *stem, const char *top, int writers)
{
	int ret = 0;
	for (int i = 0; i < writers; i++) {
		char *ledger = numbered(stem, ".", i), *path = numbered(top, "/w", i);
		if (!check_one(ledger, path))
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
	if (argc == 6 && !strcmp(argv[1], "load"))
		return run_load(argv[2], argv[3], strtoull(argv[4], NULL, 10), (int)strtol(argv[5], NULL, 10));
	if (argc == 5 && !strcmp(argv[1], "check"))
		return run_check(argv[2], argv[3], (int)strtol(argv[4], NULL, 10));
	errx(2, "usage: ledger load LEDGER DIR SEED WRITERS | check LEDGER DIR WRITERS");
}
