/* disk_fault.c -- see disk_fault.h. */
#include "tests/lib/disk_fault.h"
#include "persist/bytes.h"
#include "tests/lib/steps.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A change of a file that was not synced yet: a write, or with DATA NULL a truncation to AT. */
struct change { uint64_t at; char *data; size_t len; };

struct fault_file {
	struct fault_file *next;
	char *name;                  /* the last one it had */
	uint64_t size;
	struct bytes durable;
	bool lost;                   /* a sync failed: what was written and not synced never gets there, whatever later syncs say */
	struct change *change;
	size_t changes, cap;
};

struct entry { char *name; struct fault_file *file; };

struct listing { struct entry *entry; size_t count, cap; };

/* FILE gets NAME; with FILE NULL, NAME goes; FROM goes with it. */
struct dir_change { char *from, *name; struct fault_file *file; };

struct fault_dir {
	struct fault_dir *next;
	dev_t dev;
	ino_t ino;
	struct listing now, durable;
	struct dir_change *change;
	size_t changes, cap;
};

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static uint64_t draw(struct disk_fault *f, uint64_t n)
{
	uint64_t z = f->random += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % n;
}

/* ---- listings ---- */

static struct entry *listing_find(const struct listing *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->entry[i].name, name) == 0)
			return &l->entry[i];
	return NULL;
}

static void listing_remove(struct listing *l, const char *name)
{
	struct entry *e = listing_find(l, name);

	if (!e)
		return;
	free(e->name);
	*e = l->entry[--l->count];
}

static void listing_put(struct listing *l, const char *name, struct fault_file *file)
{
	listing_remove(l, name);
	if (l->count == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->entry = must(reallocarray(l->entry, l->cap, sizeof *l->entry));
	}
	l->entry[l->count++] = (struct entry){ .name = must(strdup(name)), .file = file };
}

static void listing_apply(struct listing *l, const struct dir_change *c)
{
	if (c->from)
		listing_remove(l, c->from);
	if (c->file)
		listing_put(l, c->name, c->file);
	else
		listing_remove(l, c->name);
}

static void listing_fini(struct listing *l)
{
	while (l->count)
		listing_remove(l, l->entry[0].name);
	free(l->entry);
	*l = (struct listing){ 0 };
}

/* ---- files ---- */

static struct fault_file *file_new(struct disk_fault *f, const char *name)
{
	struct fault_file *file = must(calloc(1, sizeof *file));

	file->name = must(strdup(name));
	file->next = f->files;
	f->files = file;
	return file;
}

static void file_change(struct fault_file *file, uint64_t at, const void *data, size_t len)
{
	if (file->changes == file->cap) {
		file->cap = file->cap ? file->cap * 2 : 16;
		file->change = must(reallocarray(file->change, file->cap, sizeof *file->change));
	}
	struct change *c = &file->change[file->changes++];
	*c = (struct change){ .at = at, .len = len };
	if (data)
		memcpy(c->data = must(malloc(len + 1)), data, len);
	file->size = data ? (at + len > file->size ? at + len : file->size) : at;
}

static void bytes_resize(struct bytes *b, uint64_t size)
{
	if (size > b->len) {
		if (bytes_reserve(b, size - b->len) < 0)
			abort();
		memset(b->data + b->len, 0, size - b->len);
	}
	b->len = size;
}

static void apply_change(struct bytes *b, const struct change *c, size_t len)
{
	if (!c->data) {
		bytes_resize(b, c->at);
		return;
	}
	if (c->at + len > b->len)
		bytes_resize(b, c->at + len);
	if (len)
		memcpy(b->data + c->at, c->data, len);
}

static void forget_changes(struct fault_file *file)
{
	for (size_t i = 0; i < file->changes; i++)
		free(file->change[i].data);
	file->changes = 0;
}

/* What a sync that fails loses: bytes.  A size alone is the filesystem's own matter, which it writes with the next sync. */
static bool has_unsynced_bytes(const struct fault_file *file)
{
	for (size_t i = 0; i < file->changes; i++)
		if (file->change[i].data && file->change[i].at < file->size)
			return true;
	return false;
}

static void file_sync(struct fault_file *file)
{
	for (size_t i = 0; i < file->changes; i++)
		apply_change(&file->durable, &file->change[i], file->change[i].len);
	forget_changes(file);
}

static void read_file(int dir_fd, const char *name, struct bytes *out)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;

	if (fd < 0)
		abort();
	while (n > 0) {
		if (bytes_reserve(out, 65536) < 0)
			abort();
		n = read(fd, out->data + out->len, 65536);
		out->len += n > 0 ? (size_t)n : 0;
	}
	close(fd);
}

/* ---- directories ---- */

static void load_dir(struct disk_fault *f, struct fault_dir *d, int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fdopendir(fd);
	struct stat st;

	must(stream);
	for (struct dirent *x; (x = readdir(stream));) {
		if (fstatat(dir_fd, x->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		struct fault_file *file = file_new(f, x->d_name);
		read_file(dir_fd, x->d_name, &file->durable);
		file->size = file->durable.len;
		listing_put(&d->now, x->d_name, file);
		listing_put(&d->durable, x->d_name, file);
	}
	closedir(stream);
}

/* What stands in a directory when it is first seen is durable. */
static struct fault_dir *dir_of(struct disk_fault *f, int dir_fd)
{
	struct stat st;

	if (fstat(dir_fd, &st) < 0)
		abort();
	for (struct fault_dir *d = f->dirs; d; d = d->next)
		if (d->dev == st.st_dev && d->ino == st.st_ino)
			return d;
	struct fault_dir *d = must(calloc(1, sizeof *d));
	d->dev = st.st_dev;
	d->ino = st.st_ino;
	d->next = f->dirs;
	f->dirs = d;
	load_dir(f, d, dir_fd);
	return d;
}

static void dir_change(struct fault_dir *d, const char *from, const char *name, struct fault_file *file)
{
	if (d->changes == d->cap) {
		d->cap = d->cap ? d->cap * 2 : 16;
		d->change = must(reallocarray(d->change, d->cap, sizeof *d->change));
	}
	struct dir_change *c = &d->change[d->changes++];
	*c = (struct dir_change){ .from = from ? must(strdup(from)) : NULL, .name = must(strdup(name)), .file = file };
	listing_apply(&d->now, c);
}

static void forget_dir_changes(struct fault_dir *d)
{
	for (size_t i = 0; i < d->changes; i++) {
		free(d->change[i].from);
		free(d->change[i].name);
	}
	d->changes = 0;
}

/* ---- what happens to a call ---- */

const char *disk_call_name(enum disk_call call)
{
	static const char *const name[DISK_CALLS] = { "open", "write", "truncate", "fdatasync", "fsync of the directory", "rename", "unlink",
		                                      "sync_file_range" };
	return name[call];
}

/* 0: it goes through; else its error.  *RET_PART: bytes of a write that are taken all the same; *RET_DIE: then the machine stops. */
static int decide(struct disk_fault *f, enum disk_call call, const char *name, size_t len, size_t *ret_part, bool *ret_die)
{
	struct disk_rule *r = &f->rule[call];
	uint64_t n = atomic_fetch_add(&f->calls, 1) + 1;

	*ret_part = 0;
	*ret_die = false;
	if (atomic_load(&f->stopped))
		return -EIO;
	if (f->stop_at && n >= f->stop_at) {
		*ret_part = len ? draw(f, len + 1) : 0;
		*ret_die = true;
		return -EIO;
	}
	if (!r->err || !r->count || (r->name && !strstr(name, r->name)))
		return 0;
	if (r->skip) {
		r->skip--;
		return 0;
	}
	r->count--;
	*ret_part = r->part < len ? r->part : len;
	r->part = 0;
	atomic_fetch_add(&f->failed, 1);
	return r->err;
}

static int fate(struct disk_fault *f, enum disk_call call, const char *name, size_t len, size_t *ret_part, bool *ret_die)
{
	int err = decide(f, call, name, len, ret_part, ret_die);

	if (*ret_die && f->stop) {
		*f->stop = (struct disk_stop){ .stopped = true, .call = call };
		snprintf(f->stop->name, sizeof f->stop->name, "%s", name);
	}
	if (f->trace)
		printf("# %9.3f   %s %s %zu: %s\n", (double)atomic_load(&f->monotonic_ns) / 1e9, disk_call_name(call), name, len,
		       *ret_die ? "stopped here" : err ? strerror(-err) : "done");
	return err;
}

static void stop(struct disk_fault *f)
{
	if (f->kill)
		kill(getpid(), SIGKILL);
	atomic_store(&f->stopped, true);
}

/* With F held: the fate of a call that takes no part. */
static int fate_of(struct disk_fault *f, enum disk_call call, const char *name)
{
	size_t part;
	bool die;
	int err = fate(f, call, name, 0, &part, &die);

	if (die)
		stop(f);
	return err;
}

/* ---- the port ---- */

static void enter(struct disk_fault *f)
{
	if (f->gate)
		steps_wait_turn(f->gate);
	pthread_mutex_lock(&f->lock);
}

static int fault_open(void *ctx, int dir_fd, const char *name, int flags, mode_t mode)
{
	struct disk_fault *f = ctx;

	enter(f);
	struct fault_dir *d = dir_of(f, dir_fd);
	int fd = fate_of(f, DISK_OPEN, name);
	if (!fd)
		fd = disk_real()->open(NULL, dir_fd, name, flags, mode);
	if (fd < 0)
		goto out;
	struct entry *e = listing_find(&d->now, name);
	struct fault_file *file = e ? e->file : file_new(f, name);
	if (!e)
		dir_change(d, NULL, name, file);
	if (flags & O_TRUNC) {
		file_change(file, 0, NULL, 0);
		file->lost = false;     /* nothing of what was lost is in it any more */
	}
	if ((size_t)fd >= f->fds) {
		size_t fds = (size_t)fd + 16;
		f->fd = must(reallocarray(f->fd, fds, sizeof(*f->fd)));
		memset(f->fd + f->fds, 0, (fds - f->fds) * sizeof(*f->fd));
		f->fds = fds;
	}
	f->fd[fd] = file;
out:
	pthread_mutex_unlock(&f->lock);
	return fd;
}

static ssize_t fault_write(void *ctx, int fd, const void *data, size_t len)
{
	struct disk_fault *f = ctx;
	size_t part;
	bool die;

	enter(f);
	struct fault_file *file = f->fd[fd];
	ssize_t n = fate(f, DISK_WRITE, file->name, len, &part, &die);
	size_t take = n ? part : draw(f, 4) ? len : 1 + draw(f, len);    /* write(2) may be short */
	/* What a temp file gets and the log gets alike stands at its end. */
	if (take && disk_write_all(disk_real(), fd, data, take, NULL) == 0)
		file_change(file, file->size, data, take);
	if (die)
		stop(f);
	/* The error comes with the next call, as write(2) has it. */
	if (!n)
		n = (ssize_t)take;
	else if (part && !die) {
		f->rule[DISK_WRITE].count++;
		n = (ssize_t)part;
	}
	pthread_mutex_unlock(&f->lock);
	return n;
}

static int fault_truncate(void *ctx, int fd, uint64_t size)
{
	struct disk_fault *f = ctx;

	enter(f);
	int err = fate_of(f, DISK_TRUNCATE, f->fd[fd]->name);
	if (!err)
		err = disk_real()->truncate(NULL, fd, size);
	if (!err)
		file_change(f->fd[fd], size, NULL, 0);
	pthread_mutex_unlock(&f->lock);
	return err;
}

static int fault_fdatasync(void *ctx, int fd)
{
	struct disk_fault *f = ctx;

	int64_t sync_us = atomic_load(&f->sync_us);

	if (sync_us)
		usleep((useconds_t)sync_us);
	while (atomic_load(&f->sync_held))
		usleep(1000);
	enter(f);
	int err = fate_of(f, DISK_FDATASYNC, f->fd[fd]->name);
	if (err && !atomic_load(&f->stopped))
		f->fd[fd]->lost |= has_unsynced_bytes(f->fd[fd]);
	else if (!err && !f->fd[fd]->lost)
		file_sync(f->fd[fd]);
	pthread_mutex_unlock(&f->lock);
	return err;
}

/* On its way to the disk is not on it; an error is told only once, as the kernel does. */
static int fault_write_out(void *ctx, int fd, uint64_t off, uint64_t len)
{
	struct disk_fault *f = ctx;

	(void)off;
	enter(f);
	int err = fate_of(f, DISK_WRITE_OUT, f->fd[fd]->name);
	if (err && !atomic_load(&f->stopped))
		f->fd[fd]->lost |= has_unsynced_bytes(f->fd[fd]);
	pthread_mutex_unlock(&f->lock);
	atomic_fetch_add(&f->written_out, len);
	return err;
}

static int fault_fsync_dir(void *ctx, int dir_fd)
{
	struct disk_fault *f = ctx;

	enter(f);
	struct fault_dir *d = dir_of(f, dir_fd);
	int err = fate_of(f, DISK_FSYNC_DIR, "");
	for (size_t i = 0; !err && i < d->changes; i++)
		listing_apply(&d->durable, &d->change[i]);
	if (!err)
		forget_dir_changes(d);
	pthread_mutex_unlock(&f->lock);
	return err;
}

static int fault_rename(void *ctx, int dir_fd, const char *from, int to_dir_fd, const char *to)
{
	struct disk_fault *f = ctx;

	enter(f);
	struct fault_dir *d = dir_of(f, dir_fd);
	if (d != dir_of(f, to_dir_fd))
		abort();
	int err = fate_of(f, DISK_RENAME, to);
	if (!err)
		err = disk_real()->rename(NULL, dir_fd, from, to_dir_fd, to);
	if (!err) {
		struct fault_file *file = listing_find(&d->now, from)->file;
		free(file->name);
		file->name = must(strdup(to));
		dir_change(d, from, to, file);
	}
	pthread_mutex_unlock(&f->lock);
	return err;
}

static int fault_unlink(void *ctx, int dir_fd, const char *name)
{
	struct disk_fault *f = ctx;

	enter(f);
	struct fault_dir *d = dir_of(f, dir_fd);
	int err = fate_of(f, DISK_UNLINK, name);
	if (!err)
		err = disk_real()->unlink(NULL, dir_fd, name);
	if (!err)
		dir_change(d, NULL, name, NULL);
	pthread_mutex_unlock(&f->lock);
	return err;
}

static int fault_close(void *ctx, int fd)
{
	(void)ctx;
	return disk_real()->close(NULL, fd);
}

static int64_t fault_now_ns(void *ctx)
{
	struct disk_fault *f = ctx;
	int64_t now_ns = atomic_load(&f->now_ns);

	return now_ns ? now_ns : disk_real()->now_ns(NULL);
}

static int64_t fault_monotonic_ns(void *ctx)
{
	struct disk_fault *f = ctx;
	int64_t monotonic_ns = atomic_load(&f->monotonic_ns);

	return monotonic_ns ? monotonic_ns : disk_real()->monotonic_ns(NULL);
}

/* ---- life ---- */

void disk_fault_init(struct disk_fault *f, uint64_t seed)
{
	*f = (struct disk_fault){ .random = seed };
	f->disk = (struct disk){ .ctx = f, .open = fault_open, .write = fault_write, .truncate = fault_truncate, .fdatasync = fault_fdatasync, .write_out = fault_write_out,
		                 .fsync_dir = fault_fsync_dir, .rename = fault_rename, .unlink = fault_unlink, .close = fault_close,
		                 .now_ns = fault_now_ns, .monotonic_ns = fault_monotonic_ns };
	pthread_mutex_init(&f->lock, NULL);
}

void disk_fault_forget(struct disk_fault *f)
{
	while (f->files) {
		struct fault_file *file = f->files;
		f->files = file->next;
		forget_changes(file);
		free(file->change);
		bytes_fini(&file->durable);
		free(file->name);
		free(file);
	}
	while (f->dirs) {
		struct fault_dir *d = f->dirs;
		f->dirs = d->next;
		forget_dir_changes(d);
		free(d->change);
		listing_fini(&d->now);
		listing_fini(&d->durable);
		free(d);
	}
}

void disk_fault_fini(struct disk_fault *f)
{
	disk_fault_forget(f);
	free(f->fd);
	pthread_mutex_destroy(&f->lock);
}

void disk_fault_rule(struct disk_fault *f, enum disk_call call, struct disk_rule r)
{
	pthread_mutex_lock(&f->lock);
	f->rule[call] = r;
	pthread_mutex_unlock(&f->lock);
}

void disk_fault_mend(struct disk_fault *f)
{
	for (int i = 0; i < DISK_CALLS; i++)
		disk_fault_rule(f, (enum disk_call)i, (struct disk_rule){ 0 });
}

void disk_fault_go_on(struct disk_fault *f, uint64_t calls)
{
	atomic_store(&f->stopped, false);
	f->stop_at = calls ? atomic_load(&f->calls) + calls : 0;
}

bool disk_fault_has_lost(struct disk_fault *f)
{
	for (const struct fault_file *file = f->files; file; file = file->next)
		if (file->lost)
			return true;
	return false;
}

/* ---- the power cut ---- */

/* What there was on disk, and the changes since up to one that may be torn. */
static void lose_the_last(struct disk_fault *f, const struct fault_file *file, struct bytes *left)
{
	size_t keep = draw(f, file->changes + 1);

	for (size_t i = 0; i < keep; i++)
		apply_change(left, &file->change[i], file->change[i].len);
	if (keep < file->changes && file->change[keep].data) {
		const struct change *c = &file->change[keep];
		apply_change(left, c, draw(f, c->len + 1));
		if (draw(f, 2))
			bytes_resize(left, left->len + draw(f, 5000));     /* the size was on disk, the bytes were not */
	}
}

/* Of the changes since, each is there, torn or not there. */
static void lose_any(struct disk_fault *f, const struct fault_file *file, struct bytes *left)
{
	for (size_t i = 0; i < file->changes; i++) {
		const struct change *c = &file->change[i];
		uint64_t what = draw(f, 4);
		if (what >= 2 || (what == 1 && !c->data))
			apply_change(left, c, c->len);
		else if (what == 1)
			apply_change(left, c, draw(f, c->len + 1));
	}
}

static void lose_and_write(struct disk_fault *f, const struct fault_file *file, int dir_fd, const char *name)
{
	struct bytes left = { 0 };
	size_t done;

	bytes_resize(&left, file->durable.len);
	if (left.len)
		memcpy(left.data, file->durable.data, left.len);
	if (f->any_order)
		lose_any(f, file, &left);
	else
		lose_the_last(f, file, &left);
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || disk_write_all(disk_real(), fd, left.data, left.len, &done) < 0)
		abort();
	close(fd);
	bytes_fini(&left);
}

static void cut_dir(struct disk_fault *f, int dir_fd, int into_fd)
{
	struct fault_dir *d = dir_of(f, dir_fd);
	size_t keep = draw(f, d->changes + 1);

	for (size_t i = 0; i < d->changes; i++)
		if (f->any_order ? draw(f, 2) : i < keep)
			listing_apply(&d->durable, &d->change[i]);
	for (size_t i = 0; i < d->durable.count; i++)
		lose_and_write(f, d->durable.entry[i].file, into_fd, d->durable.entry[i].name);
}

void disk_fault_power_cut(struct disk_fault *f, const char *dir, const char *into)
{
	int from_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), into_fd = open(into, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = opendir(dir);
	struct stat st;

	if (from_fd < 0 || into_fd < 0 || !stream)
		abort();
	cut_dir(f, from_fd, into_fd);
	for (struct dirent *x; (x = readdir(stream));) {
		if (x->d_name[0] == '.' || fstatat(from_fd, x->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
			continue;
		if (mkdirat(into_fd, x->d_name, 0755) < 0)
			abort();
		int sub_fd = openat(from_fd, x->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		int sub_into_fd = openat(into_fd, x->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (sub_fd < 0 || sub_into_fd < 0)
			abort();
		cut_dir(f, sub_fd, sub_into_fd);
		close(sub_fd);
		close(sub_into_fd);
	}
	closedir(stream);
	close(from_fd);
	close(into_fd);
}
