/* names.c -- names DIR COUNT STEP: what the directory DIR/names with COUNT names in it (fill.c makes them) costs.
 *
 * Makes STEP names more, lists all, stats STEP of them, renames the directory, removes STEP.  Meanwhile a second thread overwrites one key
 * beside them, as fast as it can when anything but the making is measured: its longest call is what the work does to others.
 *
 * Output, one line an operation: <operation> <seconds> <the other's longest call, ms; of "make" 0>.                                   */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NAME = 32, DENTS = 32 << 10 };

struct other {
	int fd;
	_Atomic bool stop;
	_Atomic uint64_t longest_ns;
};

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void *overwrite(void *arg)
{
	struct other *o = arg;
	char value[100];

	memset(value, 'v', sizeof value);
	while (!o->stop) {
		uint64_t from = now_ns();
		if (pwrite(o->fd, value, sizeof value, 0) != sizeof value)
			err(1, "write");
		uint64_t took = now_ns() - from;
		if (took > o->longest_ns)
			o->longest_ns = took;
	}
	return NULL;
}

static void name_of(char *name, uint64_t i)
{
	snprintf(name, NAME, "key:%012llu", (unsigned long long)i);
}

/* From number FROM on. */
static void make(int dir, uint64_t from, uint64_t count)
{
	char name[NAME];

	for (uint64_t i = from; i < from + count; i++) {
		name_of(name, i);
		if (mknodat(dir, name, S_IFREG | 0644, 0) < 0)
			err(1, "%s", name);
	}
}

static void list(int dir, uint64_t count)
{
	static char buf[DENTS];
	uint64_t seen = 0;
	ssize_t n;

	if (lseek(dir, 0, SEEK_SET) < 0)
		err(1, "lseek");
	while ((n = getdents64(dir, buf, sizeof buf)) > 0)
		for (ssize_t at = 0; at < n; seen++)
			at += ((struct dirent64 *)(buf + at))->d_reclen;
	if (n < 0)
		err(1, "getdents64");
	if (seen != count + 2)
		errx(1, "listed %llu names", (unsigned long long)seen);
}

static void stat_some(int dir, uint64_t count)
{
	char name[NAME];
	struct stat st;

	for (uint64_t i = 0; i < count; i++) {
		name_of(name, i);
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			err(1, "%s", name);
	}
}

static void remove_some(int dir, uint64_t count)
{
	char name[NAME];

	for (uint64_t i = 0; i < count; i++) {
		name_of(name, i);
		if (unlinkat(dir, name, 0) < 0)
			err(1, "%s", name);
	}
}

static void report(struct other *o, const char *what, uint64_t *from)
{
	uint64_t now = now_ns();

	printf("%s %.6f %.3f\n", what, (double)(now - *from) / 1e9, (double)o->longest_ns / 1e6);
	fflush(stdout);
	o->longest_ns = 0;
	*from = now_ns();
}

int main(int argc, char **argv)
{
	struct other o = { 0 };
	pthread_t thread;

	if (argc != 4)
		errx(2, "usage: names DIR COUNT STEP");
	uint64_t count = strtoull(argv[2], NULL, 10), step = strtoull(argv[3], NULL, 10);
	if (step == 0 || step > count)
		errx(2, "%s: more than there are, or none", argv[3]);
	if (chdir(argv[1]) < 0)
		err(1, "%s", argv[1]);
	int dir = open("names", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	o.fd = open("other", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (dir < 0 || o.fd < 0)
		err(1, "open");
	uint64_t from = now_ns();
	make(dir, count, step);
	report(&o, "make", &from);
	if (pthread_create(&thread, NULL, overwrite, &o) != 0)
		errx(1, "no thread");
	list(dir, count + step);
	report(&o, "list", &from);
	stat_some(dir, step);
	report(&o, "stat", &from);
	if (rename("names", "renamed") < 0)
		err(1, "rename");
	report(&o, "rename", &from);
	remove_some(dir, step);
	report(&o, "remove", &from);
	o.stop = true;
	pthread_join(thread, NULL);
	if (unlink("other") < 0)
		err(1, "unlink");
	return 0;
}
