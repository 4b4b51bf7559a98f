/* mapped.c -- see mapped.h. */
#include "persist/mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const int64_t ns_per_s = 1000000000;

int mapped_open_fd(int dir_fd, const char *name, struct error *e)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);  /* a FIFO must not stop the start */
	int err = fd < 0 ? -errno : 0;

	if (err && err != -ENOENT)
		error_set(e, err, "can't be opened: %s", strerror(-err));
	return err ? err : fd;
}

static int map(int fd, size_t size, struct mapped *m, struct error *e)
{
	void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	int err;

	if (data == MAP_FAILED) {
		err = -errno;
		return error_set(e, err, "can't be mapped: %s", strerror(-err));
	}
	(void)madvise(data, size, MADV_SEQUENTIAL);
	(void)madvise(data, size, MADV_WILLNEED);
	m->data = data;
	m->len = size;
	return 0;
}

/* As much of SIZE bytes as there is still. */
static int read_in(int fd, size_t size, struct mapped *m, struct error *e)
{
	char *data = malloc(size);
	size_t done = 0;
	ssize_t n = 1;
	int err = 0;

	if (!data)
		return error_set(e, -ENOMEM, "out of memory");
	while (done < size && n != 0) {
		n = pread(fd, data + done, size - done, (off_t)done);
		if (n < 0 && errno != EINTR) {
			err = -errno;
			free(data);
			return error_set(e, err, "can't be read: %s", strerror(-err));
		}
		done += n > 0 ? (size_t)n : 0;
	}
	if (done == 0) {
		free(data);
		data = NULL;
	}
	m->data = data;
	m->len = done;
	m->in_memory = true;
	return 0;
}

int mapped_fd(int fd, bool in_memory, struct mapped *m, struct error *e)
{
	struct stat st;
	int err;

	*m = (struct mapped){ 0 };
	if (fstat(fd, &st) < 0) {
		err = -errno;
		return error_set(e, err, "%s", strerror(-err));
	}
	if (!S_ISREG(st.st_mode))
		return error_set(e, -EINVAL, "is no regular file");
	m->mtime_ns = (int64_t)st.st_mtim.tv_sec * ns_per_s + st.st_mtim.tv_nsec;
	if (st.st_size == 0)
		return 0;
	return in_memory ? read_in(fd, (size_t)st.st_size, m, e) : map(fd, (size_t)st.st_size, m, e);
}

int mapped_file(int dir_fd, const char *name, struct mapped *m, struct error *e)
{
	int fd = mapped_open_fd(dir_fd, name, e), err;

	*m = (struct mapped){ 0 };
	if (fd < 0)
		return fd;
	err = mapped_fd(fd, false, m, e);
	close(fd);
	return err;
}

int mapped_patch(struct mapped *m, size_t at, const void *bytes, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), first = at / page * page;
	char *data = (char *)m->data;

	if (!m->in_memory && mprotect(data + first, at + n - first, PROT_READ | PROT_WRITE) < 0)
		return -errno;
	memcpy(data + at, bytes, n);
	return 0;
}

void mapped_fini(struct mapped *m)
{
	if (m->data && m->in_memory)
		free((void *)m->data);
	else if (m->data)
		munmap((void *)m->data, m->len);
	*m = (struct mapped){ 0 };
}
