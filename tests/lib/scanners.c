/* scanners.c -- scanners DIR NAMES SCANS [SEED]: several read a directory while others change it, and each sees what it must.
 *
 * In DIR, which is empty, the directory "d" holds NAMES names that stay, "s<i>", and as many that only change their name between "r<i>a" and
 * "r<i>b".  Two writers make, remove and rename others, in it and into and out of it; one of them moves "d" itself to and fro.
 * Meanwhile SCANNERS processes go through it SCANS times each, by getdents64(2) with buffers of a few entries, and go back to where they were
 * before now and then.  Each name that stays is seen exactly once, so is each that changes, positions only grow, nothing is listed that never was.
 *
 * Exit: 0; 1 with a sentence and the seed.                                                                                             */
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
#include <time.h>
#include <unistd.h>

enum { SCANNERS = 3, WRITERS = 2, OTHERS = 300, NAME = 32 };

static uint64_t seed, names;

static uint64_t roll(uint64_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % n;
}

static void make(int dir, const char *name)
{
	if (mknodat(dir, name, S_IFREG | 0644, 0) < 0 && errno != EEXIST)
		err(1, "%s", name);
}

/* ---- those who change it ---- */

static void change_other(int dir, int top, int writer)
{
	char a[NAME], b[NAME];

	snprintf(a, sizeof a, "t%d.%" PRIu64, writer, roll(OTHERS));
	snprintf(b, sizeof b, "t%d.%" PRIu64, writer, roll(OTHERS));
	switch (roll(6)) {
	case 0:
	case 1:
		make(dir, a);
		break;
	case 2:
		(void)unlinkat(dir, a, 0);
		break;
	case 3:
		(void)renameat(dir, a, dir, b);
		break;
	case 4:
		(void)renameat(dir, a, top, b);
		break;
	default:
		(void)renameat(top, a, dir, b);
	}
}

static void change_name(int dir, int writer)
{
	char a[NAME], b[NAME];
	uint64_t i = roll(names) / WRITERS * WRITERS + (uint64_t)writer;

	if (i >= names)
		return;
	snprintf(a, sizeof a, "r%" PRIu64 "a", i);
	snprintf(b, sizeof b, "r%" PRIu64 "b", i);
	if (renameat(dir, a, dir, b) < 0 && (errno != ENOENT || renameat(dir, b, dir, a) < 0))
		err(1, "%s", a);
}

static _Noreturn void run_writer(int top, int dir, int writer)
{
	for (uint64_t step = 0;; step++) {
		change_other(dir, top, writer);
		if (step % 4 == 0)
			change_name(dir, writer);
		if (writer == 0 && step % 100 == 0 && renameat(top, step % 200 ? "e" : "d", top, step % 200 ? "d" : "e") < 0)
			err(1, "moving the directory");
	}
}

/* ---- those who look ---- */

struct scan {
	int64_t at;
	uint64_t dots;
	uint8_t *stays, *changes;   /* how often each was seen */
};

static void copy(struct scan *to, const struct scan *from)
{
	to->at = from->at;
	to->dots = from->dots;
	memcpy(to->stays, from->stays, names);
	memcpy(to->changes, from->changes, names);
}

static void clear(struct scan *s)
{
	s->at = 0;
	s->dots = 0;
	memset(s->stays, 0, names);
	memset(s->changes, 0, names);
}

static void look(struct scan *s, const struct dirent64 *e)
{
	uint64_t i = e->d_name[0] == 's' || e->d_name[0] == 'r' ? strtoull(e->d_name + 1, NULL, 10) : 0;

	if (e->d_off <= s->at)
		errx(1, "%s: position %" PRId64 " behind %" PRId64, e->d_name, (int64_t)e->d_off, s->at);
	s->at = e->d_off;
	if (i >= names)
		errx(1, "%s: was never there", e->d_name);
	if (e->d_name[0] == 's' && s->stays[i]++)
		errx(1, "%s came twice", e->d_name);
	else if (e->d_name[0] == 'r' && s->changes[i]++)
		errx(1, "%s came twice, under one name or two", e->d_name);
	else if (e->d_name[0] == '.')
		s->dots++;
	else if (!strchr("srt", e->d_name[0]))
		errx(1, "%s: was never there", e->d_name);
}

static void check(const struct scan *s)
{
	for (uint64_t i = 0; i < names; i++)
		if (s->stays[i] != 1 || s->changes[i] != 1)
			errx(1, "s%" PRIu64 " came %d times, r%" PRIu64 " %d times", i, s->stays[i], i, s->changes[i]);
	if (s->dots != 2)
		errx(1, "%" PRIu64 " dots", s->dots);
}

static void scan(int dir, struct scan *s, struct scan *mark)
{
	char buf[2048] __attribute__((aligned(8)));
	ssize_t n;

	clear(s);
	clear(mark);
	for (;;) {
		if (lseek(dir, s->at, SEEK_SET) != s->at)
			err(1, "lseek");
		size_t size = 64 + roll(sizeof buf - 64);
		while ((n = getdents64(dir, buf, size)) > 0) {
			for (ssize_t at = 0; at < n; at += ((struct dirent64 *)(buf + at))->d_reclen)
				look(s, (struct dirent64 *)(buf + at));
			if (roll(20) == 0)
				copy(mark, s);
			else if (roll(60) == 0)
				break;
		}
		if (n < 0)
			err(1, "getdents64");
		if (n == 0)
			break;
		copy(s, mark);      /* back to where it was before */
	}
	check(s);
}

static _Noreturn void run_scanner(int top, uint64_t scans, int scanner)
{
	struct scan s = { .stays = malloc(names), .changes = malloc(names) }, mark = { .stays = malloc(names), .changes = malloc(names) };
	int dir = openat(top, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 && errno == ENOENT)
		dir = openat(top, "e", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || !s.stays || !s.changes || !mark.stays || !mark.changes)
		err(1, "scanner");
	seed += (uint64_t)scanner;
	for (uint64_t i = 0; i < scans; i++)
		scan(dir, &s, &mark);
	exit(0);
}

/* ---- */

/* A directory that was removed while it was open: as on tmpfs. */
static void check_removed(int top)
{
	char buf[1024];

	if (mkdirat(top, "gone", 0755) < 0)
		err(1, "mkdir");
	int dir = openat(top, "gone", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make(dir, "x");
	if (unlinkat(dir, "x", 0) < 0 || unlinkat(top, "gone", AT_REMOVEDIR) < 0)
		err(1, "rmdir");
	errno = 0;
	if (getdents64(dir, buf, sizeof buf) >= 0 || errno != ENOENT)
		errx(1, "a removed directory is listed (%d)", errno);
	if (mknodat(dir, "y", S_IFREG | 0644, 0) == 0 || errno != ENOENT)
		errx(1, "a removed directory takes names (%d)", errno);
	close(dir);
}

static void fill(int dir)
{
	char name[NAME];

	for (uint64_t i = 0; i < names; i++) {
		snprintf(name, sizeof name, "s%" PRIu64, i);
		make(dir, name);
		snprintf(name, sizeof name, "r%" PRIu64 "a", i);
		make(dir, name);
	}
}

int main(int argc, char **argv)
{
	pid_t writer[WRITERS], scanner[SCANNERS];
	int status, bad = 0;

	if (argc < 4)
		errx(2, "usage: scanners DIR NAMES SCANS [SEED]");
	names = strtoull(argv[2], NULL, 10);
	uint64_t scans = strtoull(argv[3], NULL, 10), first = argc > 4 ? strtoull(argv[4], NULL, 10) : (uint64_t)time(NULL);
	seed = first;
	int top = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top < 0 || !names || mkdirat(top, "d", 0755) < 0)
		err(1, "%s", argv[1]);
	int dir = openat(top, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check_removed(top);
	fill(dir);
	for (int i = 0; i < SCANNERS; i++)
		if ((scanner[i] = fork()) == 0)
			run_scanner(top, scans, i + 1);
	for (int i = 0; i < WRITERS; i++)
		if ((writer[i] = fork()) == 0) {
			seed += 100 + (uint64_t)i;
			run_writer(top, dir, i);
		}
	for (int i = 0; i < SCANNERS; i++)
		bad += scanner[i] < 0 || waitpid(scanner[i], &status, 0) < 0 || status != 0;
	for (int i = 0; i < WRITERS; i++) {
		bad += writer[i] < 0 || waitpid(writer[i], &status, WNOHANG) != 0;    /* they go on until they are told */
		if (writer[i] > 0 && kill(writer[i], SIGKILL) == 0)
			(void)waitpid(writer[i], &status, 0);
	}
	if (bad)
		errx(1, "seed %" PRIu64, first);
	return 0;
}
