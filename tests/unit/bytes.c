/* bytes.c -- a buffer grows without losing what it holds, an error text is never overrun, a file is replaced whole or not at all. */
#include "persist/bytes.h"
#include "persist/disk.h"
#include "persist/error.h"

#include "tests/lib/tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void test_bytes(void)
{
	struct bytes b = {0};
	unsigned i, wrong = 0;

	is(bytes_add(&b, NULL, 0), 0, "nothing added to nothing");
	is((int64_t)b.len, 0, "leaves nothing");
	is(bytes_reserve(&b, SIZE_MAX), -ENOMEM, "a length that overflows is refused");
	for (i = 0; i < 10000; i++)
		wrong += bytes_addf(&b, "%04u", i) != 0;
	is(wrong, 0, "ten thousand small pieces");
	is((int64_t)b.len, 40000, "are all counted");
	is_bytes(b.data + 4 * 9999, 4, "9999", 4, "the last one is in its place");
	bytes_drop_front(&b, 4 * 5000);
	is((int64_t)b.len, 20000, "half dropped");
	is_bytes(b.data, 8, "50005001", 8, "the rest has moved up");
	bytes_drop_front(&b, b.len);
	is((int64_t)b.len, 0, "all dropped");
	bytes_fini(&b);
	ok(!b.data && b.cap == 0, "finished, it is an empty one again");
}

static void test_error(void)
{
	struct error e = {""};
	char long_text[2 * ERROR_MAX];

	is(error_set(&e, -EINVAL, "number %d is wrong", 5), -EINVAL, "the code comes back");
	is(error_set(&e, -EIO, "later"), -EIO, "a second error gives its code");
	is_text(e.text, "number 5 is wrong", "but the first text stays");
	is(error_prepend(&e, -EPROTO, "file %s", "x"), -EPROTO, "the code of a prepend comes back");
	is_text(e.text, "file x: number 5 is wrong", "each level stands in front");
	memset(long_text, 'a', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	error_prepend(&e, 0, "%s", long_text);
	is((int64_t)strlen(e.text), ERROR_MAX - 1, "a long one is cut");
	error_prepend(&e, 0, "again");
	is_bytes(e.text, 8, "again: a", 8, "and something more still fits in front");
	is((int64_t)strlen(e.text), ERROR_MAX - 1, "within the limit");
}

static void test_quote(void)
{
	char out[16], tiny[1];

	is_text(error_quote("abc", 3, out, sizeof(out)), "abc", "plain text is itself");
	is_text(error_quote("a\n\xff\\", 4, out, sizeof(out)), "a\\x0a\\xff\\x5c", "what is not printable is shown in hex");
	is_text(error_quote("0123456789abcde", 15, out, sizeof(out)), "0123456789abcde", "what just fits is whole");
	is_text(error_quote("0123456789abcdef", 16, out, sizeof(out)), "0123456789ab...", "what does not is cut");
	is_text(error_quote("\1\1\1\1", 4, out, sizeof(out)), "\\x01\\x01\\x01...", "never in the middle of an escape");
	is_text(error_quote("abc", 3, tiny, sizeof(tiny)), "", "no room, no text");
}

/* A port whose writes take three bytes and whose Nth call fails. */
struct failing {
	int calls, fail_at;
};

static int fail_now(void *ctx)
{
	struct failing *f = ctx;

	return ++f->calls == f->fail_at;
}

static int failing_open(void *ctx, int dir_fd, const char *name, int flags, mode_t mode)
{
	return fail_now(ctx) ? -EMFILE : disk_real()->open(NULL, dir_fd, name, flags, mode);
}

static ssize_t failing_write(void *ctx, int fd, const void *data, size_t len)
{
	return fail_now(ctx) ? -ENOSPC : disk_real()->write(NULL, fd, data, len < 3 ? len : 3);
}

static int failing_fdatasync(void *ctx, int fd)
{
	return fail_now(ctx) ? -EIO : disk_real()->fdatasync(NULL, fd);
}

static int failing_close(void *ctx, int fd)
{
	int r = disk_real()->close(NULL, fd);

	return fail_now(ctx) ? -EIO : r;
}

static int failing_rename(void *ctx, int dir_fd, const char *from, int to_dir_fd, const char *to)
{
	return fail_now(ctx) ? -EIO : disk_real()->rename(NULL, dir_fd, from, to_dir_fd, to);
}

static int failing_fsync_dir(void *ctx, int dir_fd)
{
	return fail_now(ctx) ? -EIO : disk_real()->fsync_dir(NULL, dir_fd);
}

static size_t read_name(int dir_fd, const char *name, char *buf, size_t cap)
{
	int fd = openat(dir_fd, name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, cap);

	if (fd >= 0)
		close(fd);
	return n < 0 ? 0 : (size_t)n;
}

static void test_replace(int dir_fd)
{
	struct failing f = {0};
	struct disk d = *disk_real();
	char buf[64];
	int r, k, wrong = 0;

	is(disk_replace(disk_real(), dir_fd, "temp", "name", "old", 3), 0, "a file is written");
	d.ctx = &f;
	d.open = failing_open;
	d.write = failing_write;
	d.fdatasync = failing_fdatasync;
	d.close = failing_close;
	d.rename = failing_rename;
	d.fsync_dir = failing_fsync_dir;
	for (k = 1;; k++) {
		size_t n;

		f = (struct failing){.fail_at = k};
		r = disk_replace(&d, dir_fd, "temp", "name", "new text", 8);
		n = read_name(dir_fd, "name", buf, sizeof(buf));
		if (faccessat(dir_fd, "temp", F_OK, 0) == 0)
			wrong++;
		if (r == 0)
			break;
		if (!(n == 3 && memcmp(buf, "old", 3) == 0) && !(n == 8 && memcmp(buf, "new text", 8) == 0))
			wrong++;
	}
	is(wrong, 0, "whichever call fails, the file is the old or the new one and no temp file stays");
	is(k, 9, "open, three writes, sync, close, rename, sync of the directory were tried, then it went well");
	is_bytes(buf, read_name(dir_fd, "name", buf, sizeof(buf)), "new text", 8, "and the new text is there");
}

static int count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* A large file is freed elsewhere: its name is gone at once, its descriptor soon. */
static void test_unlink_large(int dir_fd)
{
	const struct disk *d = disk_real();
	int before = count_descriptors(), fd = d->open(d->ctx, dir_fd, "large", O_WRONLY | O_CREAT, 0600);
	int tries = 10000;

	is(d->truncate(d->ctx, fd, 1 << 30), 0, "a large file");
	close(fd);
	is(d->unlink(d->ctx, dir_fd, "large"), 0, "is unlinked");
	ok(faccessat(dir_fd, "large", F_OK, 0) < 0, "its name is gone");
	while (count_descriptors() != before && tries-- > 0)
		usleep(1000);
	is(count_descriptors(), before, "and so is what held it open");
}

static void test_disk(void)
{
	char dir[] = "/tmp/kvfs-unit-XXXXXX";
	const struct disk *d = disk_real();
	int dir_fd;

	if (!ok(mkdtemp(dir) != NULL, "a directory to work in"))
		return;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
	test_replace(dir_fd);
	test_unlink_large(dir_fd);
	is(d->open(d->ctx, dir_fd, "missing", O_RDONLY, 0), -ENOENT, "open: the errno, negative");
	is(d->unlink(d->ctx, dir_fd, "missing"), -ENOENT, "unlink likewise");
	is(d->write(d->ctx, -1, "x", 1), -EBADF, "write likewise");
	is(d->truncate(d->ctx, -1, UINT64_MAX), -EFBIG, "a size no file has");
	ok(d->now_ns(d->ctx) > INT64_C(1000000000) * 1000000000, "the time of day is of this century");
	ok(d->monotonic_ns(d->ctx) <= d->monotonic_ns(d->ctx), "the other clock does not go back");
	d->unlink(d->ctx, dir_fd, "name");
	close(dir_fd);
	is(rmdir(dir), 0, "nothing else was left there");
}

int main(void)
{
	test_bytes();
	test_error();
	test_quote();
	test_disk();
	return tap_end();
}
