/* The calls on descriptors and bytes: see twin.h.  What a call needs beside its arguments is in c->pick, a few bits each. */
#include "tests/lib/twin.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

void twin_done(struct result *r, long ret)
{
	r->err = ret < 0 ? errno : 0;
	r->ret = ret;
}

int twin_at(const struct twin *t, int side, int base)
{
	return base < 0 ? AT_FDCWD : t->fd[side][base];
}

/* A call that makes a descriptor: it goes into the slot. */
static void done_fd(struct twin *t, int side, int slot, int fd, struct result *r)
{
	twin_done(r, fd);
	if (fd < 0)
		return;
	r->ret = 0;
	if (t->fd[side][slot] >= 0)
		close(t->fd[side][slot]);
	t->fd[side][slot] = fd;
}

/* O_NONBLOCK: nobody waits for the other end of a FIFO.  In words, so that what is drawn can be read. */
TWIN_OP(do_open)
{
	static const int access_modes[] = { O_RDWR, O_RDONLY, O_WRONLY, O_RDWR };
	uint64_t x = c->pick;
	int flags = access_modes[x & 3] | O_NONBLOCK | O_NOCTTY;

	x >>= 2;
	if (x & 3)
		flags |= O_CREAT;
	if (((x >> 2) & 7) == 0)
		flags |= O_EXCL;
	if (((x >> 33) & 3) == 0)
		flags |= O_TRUNC;
	if (((x >> 5) & 3) == 0)
		flags |= O_APPEND;
	if (((x >> 7) & 7) == 0)
		flags |= O_NOFOLLOW;
	if (((x >> 10) & 7) == 0)
		flags = (flags & ~(O_CREAT | O_ACCMODE)) | O_DIRECTORY;
	if (((x >> 13) & 15) == 0)
		flags |= O_PATH;
	if (((x >> 17) & 15) == 0)
		flags |= O_NOATIME;
	if (((x >> 21) & 15) == 0)
		flags |= O_DIRECTORY;
	if (((x >> 25) & 15) == 0)
		flags |= O_SYNC;
	if (((x >> 29) & 15) == 0)
		flags |= O_WRONLY | O_RDWR;
	done_fd(t, side, c->slot, openat(twin_at(t, side, c->base), c->path, flags, c->mode & ~S_ISGID), r);
}

TWIN_OP(do_tmpfile)
{
	static const int access_modes[] = { O_RDWR, O_WRONLY, O_RDONLY, O_RDWR };
	int flags = O_TMPFILE | access_modes[c->pick & 3] | (c->pick & 4 ? O_EXCL : 0);

	done_fd(t, side, c->slot, openat(twin_at(t, side, c->base), c->path, flags, c->mode & ~S_ISGID), r);
}

TWIN_OP(do_close)
{
	int *fd = &t->fd[side][c->slot];

	twin_done(r, *fd < 0 ? 0 : close(*fd));
	*fd = -1;
}

TWIN_OP(do_dup)
{
	done_fd(t, side, c->slot2, fcntl(t->fd[side][c->slot], F_DUPFD_CLOEXEC, 0), r);
}

/* The device /dev/zero and what is no file has no place to read from. */
TWIN_OP(do_read)
{
	size_t len = (size_t)c->len, half = len / 2;
	struct iovec v[2] = { { r->data, half }, { r->data + half, len - half } };
	int fd = t->fd[side][c->slot];

	switch (c->pick & 3) {
	case 0: twin_done(r, read(fd, r->data, len)); break;
	case 1: twin_done(r, readv(fd, v, 2)); break;
	case 2: twin_done(r, preadv(fd, v, 2, c->off)); break;
	default: twin_done(r, pread(fd, r->data, len, c->off)); break;
	}
	r->size = r->ret > 0 ? (size_t)r->ret : 0;
}

TWIN_OP(do_write)
{
	size_t len = (size_t)c->len, half = len / 3;
	struct iovec v[2] = { { r->data, half }, { r->data + half, len - half } };
	int fd = t->fd[side][c->slot];

	twin_fill(c->index, r->data, len);
	switch (c->pick & 3) {
	case 0: twin_done(r, write(fd, r->data, len)); break;
	case 1: twin_done(r, writev(fd, v, 2)); break;
	case 2: twin_done(r, pwritev(fd, v, 2, c->off)); break;
	default: twin_done(r, pwrite(fd, r->data, len, c->off)); break;
	}
}

/* A file that has the size: twin_known.c. */
TWIN_OP(do_truncate)
{
	struct stat st;

	(void)t;
	(void)side;
	if (stat(c->path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == c->off)
		twin_done(r, 0);
	else
		twin_done(r, truncate(c->path, c->off));
}

TWIN_OP(do_ftruncate)
{
	twin_done(r, ftruncate(t->fd[side][c->slot], c->off));
}

/* The place in a directory is the filesystem's own: only its start means the same on both sides. */
TWIN_OP(do_lseek)
{
	static const int whence[] = { SEEK_SET, SEEK_CUR, SEEK_END, 99 };
	int fd = t->fd[side][c->slot];
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		twin_done(r, lseek(fd, 0, SEEK_SET));
	else
		twin_done(r, lseek(fd, c->pick & 4 ? -c->off : c->off, whence[c->pick & 3]));
}

static bool all_zeros(int fd, int64_t from, int64_t to)
{
	char buf[4096];

	while (from < to) {
		ssize_t n = pread(fd, buf, to - from < (int64_t)sizeof buf ? (size_t)(to - from) : sizeof buf, from);
		if (n <= 0)
			return false;
		for (ssize_t i = 0; i < n; i++)
			if (buf[i])
				return false;
		from += n;
	}
	return true;
}

/* What is a hole is the filesystem's affair.  That what lies before the next data is zeros is not; nor that the end is one. */
TWIN_OP(do_seek_hole)
{
	int whence = c->pick & 1 ? SEEK_DATA : SEEK_HOLE, fd = t->fd[side][c->slot];
	int64_t off = c->off, found, place;
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		twin_done(r, 0);
		return;
	}
	place = lseek(fd, 0, SEEK_CUR);
	found = lseek(fd, off, whence);
	twin_done(r, found);
	lseek(fd, place, SEEK_SET);
	if (found < 0 && errno == ENXIO && off >= 0 && off < st.st_size && whence == SEEK_DATA) {
		r->err = 0;
		found = st.st_size;
	}
	if (r->err)
		return;
	r->ret = 0;
	if (found < off || found > st.st_size)
		r->broken = "a hole or data that is not in the file";
	else if (whence == SEEK_DATA && !(fcntl(fd, F_GETFL) & (O_WRONLY | O_PATH)) && !all_zeros(fd, off, found))
		r->broken = "data before what SEEK_DATA found";
}

TWIN_OP(do_fallocate)
{
	static const int modes[] = {
		0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE, FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE, FALLOC_FL_KEEP_SIZE | 0x8000,
	};

	twin_done(r, fallocate(t->fd[side][c->slot], modes[c->pick & 7], c->off, c->len));
}

TWIN_OP(do_copy_range)
{
	int64_t in = c->off, out = (int64_t)(c->pick >> 8 & 0xffff);
	unsigned char *bytes = r->data;

	if ((c->pick & 12) == 0)
		out &= ~4095;
	if ((c->pick & 48) == 0)
		out = in;
	twin_done(r, copy_file_range(t->fd[side][c->slot], c->pick & 1 ? &in : NULL, t->fd[side][c->slot2], c->pick & 2 ? &out : NULL,
	                             (size_t)c->len, (c->pick & 0xf0) == 0xf0));
	memcpy(bytes, &in, sizeof in);
	memcpy(bytes + sizeof in, &out, sizeof out);
	r->size = sizeof in + sizeof out;
}

/* Within one file it copies from what it has changed, or not: as the pages in the pipe lie. */
TWIN_OP(do_sendfile)
{
	int from = t->fd[side][c->slot], to = t->fd[side][c->slot2];
	off_t in = c->off;
	struct stat a, b;

	if (fstat(from, &a) == 0 && fstat(to, &b) == 0 && a.st_ino == b.st_ino)
		twin_done(r, 0);
	else
		twin_done(r, sendfile(to, from, c->pick & 1 ? &in : NULL, (size_t)c->len));
	memcpy(r->data, &in, sizeof in);
	r->size = sizeof in;
}

/* Maps a part that lies within the file, reads it, changes some of it, and gives it back at once. */
TWIN_OP(do_map)
{
	int64_t off = c->off & ~4095LL, len = c->len;
	int fd = t->fd[side][c->slot], prot = PROT_READ | (c->pick & 1 ? PROT_WRITE : 0);
	struct stat st;
	char *p;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || off < 0 || off >= st.st_size) {
		twin_done(r, 0);
		return;
	}
	if (len > st.st_size - off)
		len = st.st_size - off;
	p = mmap(NULL, (size_t)len, prot, c->pick & 6 ? MAP_SHARED : MAP_PRIVATE, fd, off);
	twin_done(r, p == MAP_FAILED ? -1 : 0);
	if (p == MAP_FAILED)
		return;
	memcpy(r->data, p, (size_t)len);
	r->size = (size_t)len;
	if (prot & PROT_WRITE) {
		twin_fill(c->index, (unsigned char *)p, (size_t)(len + 1) / 2);
		twin_done(r, msync(p, (size_t)len, MS_SYNC));
	}
	munmap(p, (size_t)len);
	/* Whether and when a write to memory moves the times is the kernel's affair; now they have moved. */
	if (r->ret == 0 && c->pick & 6 && prot & PROT_WRITE)
		twin_done(r, pwrite(fd, r->data, 1, off));
}

TWIN_OP(do_sync)
{
	int fd = t->fd[side][c->slot];

	switch (c->pick % 8) {
	case 0: twin_done(r, syncfs(fd)); break;
	case 1: twin_done(r, sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE)); break;
	case 2: case 3: case 4: twin_done(r, fdatasync(fd)); break;
	default: twin_done(r, fsync(fd)); break;
	}
}

TWIN_OP(do_flock)
{
	static const int kinds[] = { LOCK_SH, LOCK_EX, LOCK_UN, LOCK_EX };

	twin_done(r, flock(t->fd[side][c->slot], kinds[c->pick & 3] | LOCK_NB));
}

TWIN_OP(do_fcntl_lock)
{
	static const int commands[] = { F_SETLK, F_OFD_SETLK, F_OFD_SETLK, F_OFD_GETLK };
	static const short types[] = { F_RDLCK, F_WRLCK, F_UNLCK, F_WRLCK };
	struct flock lock = {
		.l_type = types[c->pick >> 2 & 3],
		.l_whence = SEEK_SET,
		.l_start = c->off,
		.l_len = c->pick & 16 ? 0 : c->len,
	};

	twin_done(r, fcntl(t->fd[side][c->slot], commands[c->pick & 3], &lock));
	if (r->err == 0 && (c->pick & 3) == 3) {
		int64_t seen[3] = { lock.l_type, lock.l_type == F_UNLCK ? 0 : lock.l_start, lock.l_type == F_UNLCK ? 0 : lock.l_len };
		memcpy(r->data, seen, sizeof seen);
		r->size = sizeof seen;
	}
}
