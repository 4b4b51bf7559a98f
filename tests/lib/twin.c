/* twin.c -- random calls on two directories alike: a tmpfs, which is right, and a mount, which has to be.
 *
 *      twin [-v] [-r FEATURES] [-n CALL] A B SEED CALLS [WORKERS]   runs; the first difference is printed with the calls before it
 *      twin -m WORKER A B SEED CALLS                   leaves out what a difference does not need, and prints what is left
 *      twin -c A B                                     compares everything below A and B
 *      twin -d DIR                                     prints everything below DIR, times included
 *      twin -s DIR                                     fsync(2) of each file and directory below it
 *      twin -k                                         what the two may differ in, and why
 *
 * CALLS are made, and a fifth more.  Each of the WORKERS is a process with a subtree of its own; now and then it takes its turn in one that all share,
 * so that a seed makes the same run again.  -v prints each call, -n stops a worker before its own call CALL.  What the mount lacks is said at
 * the start and left out; with -r (link,fifo,device,xattr,fallocate,tmpfile,seek-hole,trusted,shared-map,acl) it is a failure.  A call that never succeeded in
 * a run of 20,000 is one too: nothing would have been shown of it.
 *
 * 0: no difference, 1: a difference or a missing feature.  Wants root, for chroot(2) and to be somebody else.           */
#include "tests/lib/twin_run.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { ENOUGH = 20000 };

static const struct feature { unsigned bit; const char *name; } features[] = {
	{ HAS_LINK, "link" }, { HAS_FIFO, "fifo" }, { HAS_DEVICE, "device" }, { HAS_XATTR, "xattr" }, { HAS_FALLOCATE, "fallocate" },
	{ HAS_TMPFILE, "tmpfile" }, { HAS_SEEK_HOLE, "seek-hole" }, { HAS_TRUSTED, "trusted" }, { HAS_SHARED_MAP, "shared-map" }, { HAS_ACL, "acl" },
};

/* ---- what a side can do ---- */

static bool has_hole(int fd)
{
	bool has = ftruncate(fd, 1 << 20) == 0 && pwrite(fd, "x", 1, 0) == 1 && lseek(fd, 0, SEEK_HOLE) < 1 << 20;

	return ftruncate(fd, 100) == 0 && has;
}

static bool has_tmpfile(int dir)
{
	int fd = openat(dir, ".", O_TMPFILE | O_RDWR, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool has_shared_map(int fd)
{
	void *p = mmap(NULL, 100, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p != MAP_FAILED)
		munmap(p, 100);
	return p != MAP_FAILED;
}

static unsigned probe(int top)
{
	static const char *const made[] = { "file", "link", "fifo", "device" };
	/* Read and write for the owner, nothing for the rest: in the order of the machine. */
	static const uint32_t acl[] = { 2, 6 << 16 | 1, UINT32_MAX, 4, UINT32_MAX, 32, UINT32_MAX };
	int dir = twin_subdirectory(top, "probe");
	int fd = openat(dir, "file", O_CREAT | O_RDWR, 0600);
	unsigned has = 0;

	if (fd < 0)
		err(1, "probe");
	has |= linkat(dir, "file", dir, "link", 0) == 0 ? HAS_LINK : 0;
	has |= mkfifoat(dir, "fifo", 0600) == 0 ? HAS_FIFO : 0;
	has |= mknodat(dir, "device", S_IFCHR | 0600, makedev(1, 3)) == 0 ? HAS_DEVICE : 0;
	has |= fsetxattr(fd, "user.a", "x", 1, 0) == 0 ? HAS_XATTR : 0;
	has |= fsetxattr(fd, "trusted.a", "x", 1, 0) == 0 ? HAS_TRUSTED : 0;
	has |= fallocate(fd, 0, 0, 100) == 0 ? HAS_FALLOCATE : 0;
	has |= fsetxattr(fd, "system.posix_acl_access", acl, sizeof acl, 0) == 0 ? HAS_ACL : 0;
	has |= has_tmpfile(dir) ? HAS_TMPFILE : 0;
	has |= has_hole(fd) ? HAS_SEEK_HOLE : 0;
	has |= has_shared_map(fd) ? HAS_SHARED_MAP : 0;
	close(fd);
	for (size_t i = 0; i < sizeof made / sizeof *made; i++)
		unlinkat(dir, made[i], 0);
	close(dir);
	unlinkat(top, "probe", AT_REMOVEDIR);
	return has;
}

static int missing(unsigned has, const char *required)
{
	int status = 0;

	for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
		const char *name = features[i].name, *p = required;
		size_t len = strlen(name);
		if (has & features[i].bit)
			continue;
		printf("feature %s: no\n", name);
		while (p && (strncmp(p, name, len) || (p[len] && p[len] != ',')))
			p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL;
		if (p)
			status = 1;
	}
	return status;
}

/* ---- the program ---- */

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || end == text || *end)
		errx(2, "%s is no number", text);
	return n;
}

static int directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		err(2, "%s", path);
	return fd;
}

static int report(const struct twin_run *run)
{
	uint64_t all = 0;
	int status = 0;

	for (int i = 0; i < twin_op_count(); i++)
		all += run->counts[i][0] + run->counts[i][1];
	printf("%" PRIu64 " calls, seed %" PRIu64 ", %d workers:", all, run->seed, run->workers);
	for (int i = 0; i < twin_op_count(); i++)
		if (run->counts[i][0] + run->counts[i][1])
			printf(" %s %" PRIu64 "/%" PRIu64, twin_ops[i].name, run->counts[i][0], run->counts[i][0] + run->counts[i][1]);
	printf("\n");
	for (int i = 0; i < twin_op_count(); i++)
		if (all >= ENOUGH && !(twin_ops[i].feature & ~run->features) && run->counts[i][0] == 0) {
			printf("%s never succeeded\n", twin_ops[i].name);
			status = 1;
		}
	return status;
}

static int run_it(struct twin_run *run, bool minimize, const char *required)
{
	char why[800];
	unsigned has = probe(run->top[0]);

	run->features = has & probe(run->top[1]);
	if (missing(run->features, required))
		return 1;
	run->counts = mmap(NULL, (size_t)twin_op_count() * sizeof *run->counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run->counts == MAP_FAILED)
		err(1, "mmap");
	if (minimize)
		return twin_minimize(run);
	if (twin_workers(run))
		return 1;
	if (!twin_compare(NULL, run->top[0], run->top[1], why, sizeof why)) {
		printf("difference: seed %" PRIu64 ": %s\n", run->seed, why);
		return 1;
	}
	return report(run);
}

static int compare(const char *a, const char *b)
{
	char why[800];

	if (twin_compare(NULL, directory(a), directory(b), why, sizeof why))
		return 0;
	printf("difference: %s\n", why);
	return 1;
}

int main(int argc, char **argv)
{
	struct twin_run run = { .stop_at = UINT64_MAX, .workers = 1 };
	bool minimize = false;
	const char *required = NULL;
	int opt, mode = 0;

	signal(SIGPIPE, SIG_IGN);
	while ((opt = getopt(argc, argv, "vr:n:m:cdsk")) >= 0) {
		switch (opt) {
		case 'v': run.verbose = true; break;
		case 'r': required = optarg; break;
		case 'n': run.stop_at = number(optarg); break;
		case 'm': minimize = true; run.worker = (int)number(optarg); break;
		case 'c': case 'd': case 's': case 'k': mode = opt; break;
		default: return 2;
		}
	}
	argv += optind;
	argc -= optind;
	if (mode == 'k') {
		twin_print_known();
		return 0;
	}
	if (mode && argc == (mode == 'c' ? 2 : 1))
		return mode == 'c' ? compare(argv[0], argv[1]) : mode == 'd' ? twin_dump(directory(argv[0])) : twin_sync(directory(argv[0]));
	if (mode || argc < 4 || argc > 5)
		errx(2, "twin [-v] [-r FEATURES] [-n CALL] [-m WORKER] A B SEED CALLS [WORKERS] | -c A B | -d DIR | -s DIR | -k");
	run.workers = argc == 5 ? (int)number(argv[4]) : 1;
	if (run.workers < 1 || run.workers > WORKERS_MAX)
		errx(2, "1 to %d workers", WORKERS_MAX);
	for (int side = 0; side < SIDES; side++)
		run.top[side] = directory(argv[side]);
	run.seed = number(argv[2]);
	run.calls = number(argv[3]) / (uint64_t)run.workers;
	return run_it(&run, minimize, required);
}
