/* aof.c -- see aof.h. */
#include "persist/aof.h"
#include "persist/mapped.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes of a log that stay in the page cache: a start soon after finds them there. */
enum { AOF_DROP = 16 << 20 };

void aof_init(struct aof *l, const struct disk *d, const char *filename)
{
	*l = (struct aof){ .disk = d, .filename = filename, .base_suffix = ".base.rdb", .dir_fd = -1, .fd = -1 };
}

/* ---- names ---- */

static int name_of(const struct aof *l, struct bytes *out, uint64_t seq, const char *suffix)
{
	out->len = 0;
	int err = bytes_addf(out, "%s.%" PRIu64 "%s", l->filename, seq, suffix);
	return err ? err : bytes_add(out, "", 1);
}

int aof_base_temp_name(const struct aof *l, struct bytes *out)
{
	out->len = 0;
	int err = bytes_addf(out, "temp-rewriteaof-%d.aof", (int)getpid());
	(void)l;
	return err ? err : bytes_add(out, "", 1);
}

/* ---- open ---- */

/* Ours and no other: the log itself may be called temp-something. */
static bool is_stale(const struct aof *l, const char *name)
{
	static const char rewrite[] = "temp-rewriteaof-", temp[] = "temp-";
	size_t len = strlen(l->filename);

	if (strncmp(name, rewrite, sizeof rewrite - 1) == 0) {
		const char *p = name + sizeof rewrite - 1;
		size_t digits = strspn(p, "0123456789");
		return digits && strcmp(p + digits, ".aof") == 0;
	}
	return strncmp(name, temp, sizeof temp - 1) == 0 && strncmp(name + sizeof temp - 1, l->filename, len) == 0 &&
	       strcmp(name + sizeof temp - 1 + len, ".manifest") == 0;
}

static int remove_stale(struct aof *l)
{
	int fd = openat(l->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		int err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	for (struct dirent *x; (x = readdir(d));)
		if (is_stale(l, x->d_name))
			l->disk->unlink(l->disk->ctx, l->dir_fd, x->d_name);
	closedir(d);
	return 0;
}

int aof_open_dir(struct aof *l, int data_fd, const char *dirname, struct error *e)
{
	if (mkdirat(data_fd, dirname, 0755) == 0) {
		int err = l->disk->fsync_dir(l->disk->ctx, data_fd);
		if (err)
			return error_set(e, err, "%s: the new directory can't be synced: %s", dirname, strerror(-err));
	} else if (errno != EEXIST) {
		int err = -errno;
		return error_set(e, err, "%s can't be made: %s", dirname, strerror(-err));
	}
	l->dir_fd = openat(data_fd, dirname, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->dir_fd < 0) {
		int err = -errno;
		return error_set(e, err, "%s can't be opened: %s", dirname, strerror(-err));
	}
	return remove_stale(l);
}

/* After an error M counts only if l->unsure was set. */
static int publish(struct aof *l, const struct manifest *m)
{
	struct bytes text = { 0 }, name = { 0 }, temp = { 0 };
	const struct disk *d = l->disk;

	l->unsure = false;
	int err = manifest_format(m, &text);
	if (!err)
		err = bytes_addf(&name, "%s.manifest", l->filename);
	if (!err)
		err = bytes_add(&name, "", 1);
	if (!err)
		err = bytes_addf(&temp, "temp-%s.manifest", l->filename);
	if (!err)
		err = bytes_add(&temp, "", 1);
	if (!err)
		err = disk_write_file(d, l->dir_fd, temp.data, text.data, text.len);
	if (!err) {
		err = d->rename(d->ctx, l->dir_fd, temp.data, l->dir_fd, name.data);
		if (err) {
			d->unlink(d->ctx, l->dir_fd, temp.data);
		} else {
			err = d->fsync_dir(d->ctx, l->dir_fd);
			l->unsure = err < 0;
		}
	}
	bytes_fini(&temp);
	bytes_fini(&name);
	bytes_fini(&text);
	return err;
}

/* Unlinks what the manifest calls history, then forgets it.  What can't be unlinked is tried again at the next start. */
static int drop_history(struct aof *l)
{
	struct manifest kept = { 0 };
	bool any = false;
	int err = 0;

	for (size_t i = 0; i < l->manifest.count && !err; i++) {
		struct manifest_file *f = &l->manifest.file[i];
		if (f->type != MANIFEST_HISTORY) {
			err = manifest_add(&kept, f->name, f->seq, f->type);
			continue;
		}
		any = true;
		int gone = l->disk->unlink(l->disk->ctx, l->dir_fd, f->name);
		if (gone < 0 && gone != -ENOENT)
			err = manifest_add(&kept, f->name, f->seq, f->type);
	}
	if (!err && any)
		err = publish(l, &kept);
	if (err || !any) {
		manifest_fini(&kept);
		return err;
	}
	manifest_fini(&l->manifest);
	l->manifest = kept;
	return 0;
}

static int open_incr(struct aof *l, const char *name, int flags)
{
	return l->disk->open(l->disk->ctx, l->dir_fd, name, O_WRONLY | O_APPEND | O_CREAT | flags, 0644);
}

static int sizes_of_older(struct aof *l)
{
	const struct manifest_file *last = manifest_last_incr(&l->manifest);

	l->older_size = 0;
	for (size_t i = 0; i < l->manifest.count; i++) {
		const struct manifest_file *f = &l->manifest.file[i];
		struct stat st;
		if (f->type != MANIFEST_INCR || f == last)
			continue;
		if (fstatat(l->dir_fd, f->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		l->older_size += (uint64_t)st.st_size;
	}
	return 0;
}

int aof_resume(struct aof *l, struct manifest *manifest, uint64_t incr_size, uint64_t base_size, struct error *e)
{
	l->manifest = *manifest;
	*manifest = (struct manifest){ 0 };
	l->base_size = l->rewrite_base_size = base_size;
	/* A daemon that was killed may have left names that a power loss would take back: from here on they are built upon. */
	int err = l->disk->fsync_dir(l->disk->ctx, l->dir_fd);
	if (!err)
		err = drop_history(l);
	if (err)
		return error_set(e, err, "the manifest can't be written: %s", strerror(-err));
	const struct manifest_file *last = manifest_last_incr(&l->manifest);
	if (!last) {
		err = aof_switch(l, true);
		return err ? error_set(e, err, "a new log file can't be made: %s", strerror(-err)) : 0;
	}
	err = sizes_of_older(l);
	if (!err)
		err = l->fd = open_incr(l, last->name, 0);
	if (err < 0)
		return error_set(e, err, "%s can't be opened for writing: %s", last->name, strerror(-err));
	l->size = l->cached = incr_size;
	return 0;
}

int aof_adopt(struct aof *l, struct error *e)
{
	struct bytes name = { 0 };
	struct mapped m = { 0 };

	int err = bytes_addf(&name, "%s.manifest", l->filename);
	if (!err)
		err = bytes_add(&name, "", 1);
	if (err)
		error_set(e, err, "out of memory");
	else
		err = mapped_file(l->dir_fd, name.data, &m, e);
	if (!err)
		err = manifest_parse(m.data ? m.data : "", m.len, &l->manifest, e);
	if (err == -ENOENT)
		err = 0;
	else if (err)
		error_prepend(e, err, "%s.manifest", l->filename);
	mapped_fini(&m);
	bytes_fini(&name);
	return err;
}

/* A sync of it that still runs ends first, and nobody asks any more what came of it. */
static void close_incr(struct aof *l)
{
	int err;

	if (l->fd < 0)
		return;
	if (l->syncer)
		syncer_wait(l->syncer, &err);
	l->disk->close(l->disk->ctx, l->fd);
}

void aof_close(struct aof *l)
{
	close_incr(l);
	if (l->dir_fd >= 0)
		close(l->dir_fd);
	l->fd = l->dir_fd = -1;
	manifest_fini(&l->manifest);
	l->manifest = (struct manifest){ 0 };
	l->size = l->cached = l->older_size = l->base_size = l->rewrite_base_size = 0;
	l->uncut = l->unsure = l->unpublished = false;
}

void aof_abandon(struct aof *l)
{
	const struct manifest_file *last = manifest_last_incr(&l->manifest);

	if (l->fd >= 0 && l->unpublished && !l->unsure && last)
		l->disk->unlink(l->disk->ctx, l->dir_fd, last->name);
	aof_close(l);
}

/* ---- write ---- */

int aof_append(struct aof *l, const void *data, size_t len)
{
	size_t done;

	if (l->uncut) {
		int err = l->disk->truncate(l->disk->ctx, l->fd, l->size);
		if (err)
			return err;
		l->uncut = false;
	}
	int err = disk_write_all(l->disk, l->fd, data, len, &done);
	l->writes++;
	if (err) {
		l->uncut = done && l->disk->truncate(l->disk->ctx, l->fd, l->size) < 0;
		return err;
	}
	l->size += len;
	return 0;
}

int aof_sync(struct aof *l)
{
	l->syncs++;
	return l->disk->fdatasync(l->disk->ctx, l->fd);
}

bool aof_sync_begin(struct aof *l)
{
	bool drop = l->size - l->cached >= AOF_DROP;
	bool begun = l->syncer && syncer_begin(l->syncer, l->fd, drop ? l->cached : 0, drop ? l->size : 0);

	if (begun && drop)
		l->cached = l->size;
	l->syncs += begun;
	return begun;
}

/* ---- switch and publish ---- */

int aof_switch(struct aof *l, bool do_publish)
{
	struct manifest next = { 0 };
	struct bytes name = { 0 };
	int fd = -1;

	l->unsure = false;
	uint64_t seq = manifest_max_seq(&l->manifest, MANIFEST_INCR) + 1;
	int err = name_of(l, &name, seq, ".incr.aof");
	if (!err)
		err = manifest_clone(&l->manifest, &next);
	if (!err)
		err = manifest_add(&next, name.data, seq, MANIFEST_INCR);
	if (err)
		goto out;
	/* What a daemon that died left under this name goes with its name: cut to nothing, a power loss could bring its bytes back. */
	if (faccessat(l->dir_fd, name.data, F_OK, 0) == 0)
		l->disk->unlink(l->disk->ctx, l->dir_fd, name.data);
	fd = open_incr(l, name.data, O_TRUNC);
	if (fd < 0) {
		err = fd;
		goto out;
	}
	err = l->disk->fsync_dir(l->disk->ctx, l->dir_fd);
	if (!err && do_publish)
		err = publish(l, &next);
	if (err && !(do_publish && l->unsure)) {
		l->disk->close(l->disk->ctx, fd);
		l->disk->unlink(l->disk->ctx, l->dir_fd, name.data);
		goto out;
	}
	close_incr(l);
	l->fd = fd;
	l->older_size += l->size;
	l->size = l->cached = 0;
	l->uncut = false;
	l->unpublished = !do_publish;
	manifest_fini(&l->manifest);
	l->manifest = next;
	next = (struct manifest){ 0 };
out:
	manifest_fini(&next);
	bytes_fini(&name);
	return err;
}

/* The manifest with BASE, everything before the last incr being history. */
static int manifest_with_base(const struct aof *l, const char *base, uint64_t seq, struct manifest *ret)
{
	const struct manifest_file *last = manifest_last_incr(&l->manifest);
	struct manifest next = { 0 };

	int err = manifest_add(&next, base, seq, MANIFEST_BASE);
	for (size_t i = 0; i < l->manifest.count && !err; i++) {
		const struct manifest_file *f = &l->manifest.file[i];
		err = manifest_add(&next, f->name, f->seq, f == last ? MANIFEST_INCR : MANIFEST_HISTORY);
	}
	if (err)
		manifest_fini(&next);
	else
		*ret = next;
	return err;
}

int aof_publish_base(struct aof *l, uint64_t size)
{
	struct bytes temp = { 0 }, name = { 0 };
	struct manifest next = { 0 };

	uint64_t seq = manifest_max_seq(&l->manifest, MANIFEST_BASE) + 1;
	int err = aof_base_temp_name(l, &temp);
	if (!err)
		err = name_of(l, &name, seq, l->base_suffix);
	if (!err)
		err = manifest_with_base(l, name.data, seq, &next);
	if (!err)
		err = l->disk->rename(l->disk->ctx, l->dir_fd, temp.data, l->dir_fd, name.data);
	if (!err)
		err = l->disk->fsync_dir(l->disk->ctx, l->dir_fd);
	if (!err && l->unpublished)
		err = aof_sync(l);
	if (err)
		goto out;
	err = publish(l, &next);
	if (err && !l->unsure)
		goto out;
	manifest_fini(&l->manifest);
	l->manifest = next;
	next = (struct manifest){ 0 };
	l->base_size = size;
	l->older_size = 0;
	l->rewrite_base_size = aof_total_size(l);
	/* History that can't be dropped now is dropped at the next start. */
	if (!err) {
		l->unpublished = false;
		drop_history(l);
		l->unsure = false;
	}
out:
	manifest_fini(&next);
	bytes_fini(&temp);
	bytes_fini(&name);
	return err;
}

static bool is_gone(int at_fd, const char *name)
{
	struct stat st;

	return fstatat(at_fd, name, &st, 0) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

bool aof_is_there(const struct aof *l, int data_fd, const char *dirname)
{
	struct bytes name = { 0 };
	struct stat st, by_name;

	if (fstat(l->fd, &st) == 0 && st.st_nlink == 0)
		return false;
	if (is_gone(data_fd, dirname))
		return false;
	if (fstat(l->dir_fd, &st) == 0 && fstatat(data_fd, dirname, &by_name, 0) == 0 &&
	    (st.st_dev != by_name.st_dev || st.st_ino != by_name.st_ino))
		return false;
	bool there = bytes_addf(&name, "%s.manifest", l->filename) < 0 || bytes_add(&name, "", 1) < 0 || !is_gone(l->dir_fd, name.data);
	bytes_fini(&name);
	return there;
}

uint64_t aof_total_size(const struct aof *l)
{
	return l->base_size + l->older_size + l->size;
}
