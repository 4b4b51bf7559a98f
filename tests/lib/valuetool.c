/* valuetool.c -- mappings, holes, copies, large offsets and locks as programs use them.
 *
 *      valuetool DIR           works on files of its own in DIR and says what came of each step, so that two filesystems can be compared
 *
 * Exit: 0 when every step could be made; 1 with a sentence; 2 usage.                                                  */
#define _GNU_SOURCE 1
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, SIZE = 40 * PAGE };

static sigjmp_buf beyond;

static int open_file(const char *name, int flags)
{
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0644);

	if (fd < 0)
		err(1, "%s", name);
	return fd;
}

static int filled(const char *name, char c)
{
	static char bytes[SIZE];
	int fd = open_file(name, O_TRUNC);

	memset(bytes, c, sizeof bytes);
	if (pwrite(fd, bytes, sizeof bytes, 0) != sizeof bytes)
		err(1, "%s", name);
	return fd;
}

static char *map(int fd, int flags)
{
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		err(1, "mmap");
	return p;
}

static char byte_at(int fd, off_t off)
{
	char c = '?';

	if (pread(fd, &c, 1, off) != 1)
		err(1, "pread at %lld", (long long)off);
	return c;
}

static void on_sigbus(int sig)
{
	(void)sig;
	siglongjmp(beyond, 1);
}

static void mappings(void)
{
	int fd = filled("map", 'a');
	char *shared = map(fd, MAP_SHARED), *private = map(fd, MAP_PRIVATE);
	volatile char *last = shared + SIZE - 1;

	private[PAGE] = 'p';
	printf("a private mapping keeps its own: %c\n", byte_at(fd, PAGE));
	shared[PAGE] = 's';
	printf("a shared one is read: %c\n", byte_at(fd, PAGE));
	if (pwrite(fd, "w", 1, PAGE + 1) != 1)
		err(1, "pwrite");
	printf("and sees what is written: %c\n", shared[PAGE + 1]);
	if (msync(shared, SIZE, MS_SYNC) < 0)
		err(1, "msync");
	signal(SIGBUS, on_sigbus);
	if (ftruncate(fd, PAGE + 10) < 0)
		err(1, "ftruncate");
	if (sigsetjmp(beyond, 1) == 0)
		printf("behind the end: %d\n", *last);
	else
		printf("behind the end: SIGBUS\n");
	printf("before it: %c %c\n", shared[PAGE], shared[PAGE + 1]);
	if (ftruncate(fd, SIZE) < 0)
		err(1, "ftruncate");
	printf("longer again, zeros: %d\n", *last);
	munmap(shared, SIZE);
	munmap(private, SIZE);
	close(fd);
}

static void copies(void)
{
	int from = filled("from", 'f'), to = filled("to", 't');
	char *dirty = map(from, MAP_SHARED), *seen = map(to, MAP_SHARED);
	off_t in = 0, out = 0;

	dirty[5 * PAGE] = 'd';
	printf("before: %c\n", seen[5 * PAGE]);
	ssize_t n = copy_file_range(from, &in, to, &out, SIZE, 0);
	printf("copied %zd: %c %c, mapped %c\n", n, byte_at(to, 0), byte_at(to, 5 * PAGE), seen[5 * PAGE]);
	seen[6 * PAGE] = 'x';
	printf("the source keeps its own: %c\n", byte_at(from, 6 * PAGE));
	in = SIZE - 10, out = 3;
	n = copy_file_range(from, &in, to, &out, SIZE, 0);
	printf("up to the end: %zd\n", n);
	in = 0, out = 10;
	n = copy_file_range(from, &in, from, &out, 20, 0);
	printf("over itself: %zd %s\n", n, strerrorname_np(errno));
	in = out = 0;
	n = sendfile(to, from, &in, 5000);
	printf("sendfile: %zd\n", n);
	munmap(dirty, SIZE);
	munmap(seen, SIZE);
	close(from);
	close(to);
}

static void holes(void)
{
	int fd = open_file("holes", O_TRUNC);

	if (ftruncate(fd, SIZE) < 0)
		err(1, "ftruncate");
	char *p = map(fd, MAP_SHARED);
	p[20 * PAGE] = 'h';
	if (msync(p, SIZE, MS_SYNC) < 0)
		err(1, "msync");
	off_t data = lseek(fd, 0, SEEK_DATA), hole = lseek(fd, 20 * PAGE, SEEK_HOLE);
	printf("data is found: %d, behind it a hole: %d\n", data >= 0 && data <= 20 * PAGE, hole > 20 * PAGE && hole <= SIZE);
	data = lseek(fd, SIZE, SEEK_DATA);
	printf("the end: %lld %s\n", (long long)data, strerrorname_np(errno));
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 20 * PAGE, PAGE) < 0)
		err(1, "punch");
	printf("punched under a mapping: %d\n", p[20 * PAGE]);
	munmap(p, SIZE);
	close(fd);
}

static void offsets(void)
{
	const off_t far = ((off_t)3 << 30) + 12345;
	int fd = open_file("far", O_TRUNC);
	char got[8] = "";

	if (pwrite(fd, "distant", 7, far) != 7 || pread(fd, got, 7, far) != 7)
		err(1, "far away");
	printf("far away: %s, %lld bytes\n", got, (long long)lseek(fd, 0, SEEK_END));
	printf("before it: %d\n", byte_at(fd, ((off_t)1 << 31) + 1));
	if (ftruncate(fd, far + 3) < 0)
		err(1, "ftruncate");
	printf("cut there: %zd\n", pread(fd, got, 7, far));
	if (unlink("far") < 0)
		err(1, "unlink");
	close(fd);
}

/* ---- locks ---- */

enum kind { POSIX, OFD, FLOCK };

static int lock(int fd, enum kind kind, bool wait)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10 };

	if (kind == FLOCK)
		return flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB));
	if (kind == OFD)
		return fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &l);
	return fcntl(fd, wait ? F_SETLKW : F_SETLK, &l);
}

/* Another process holds it, is asked for, and killed by whoever is to get it. */
static void locks(enum kind kind, const char *name)
{
	int fd, ready[2], status;
	char c;

	if (pipe2(ready, O_CLOEXEC) < 0)
		err(1, "pipe2");
	fflush(stdout);
	pid_t holder = fork();
	if (holder == 0) {
		fd = open_file("locked", 0);
		if (lock(fd, kind, false) < 0 || write(ready[1], "l", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	if (holder < 0 || read(ready[0], &c, 1) != 1)
		err(1, "the holder");
	fd = open_file("locked", 0);
	int held = lock(fd, kind, false);
	printf("%s: held by another: %d %s\n", name, held, strerrorname_np(errno));
	fflush(stdout);
	pid_t waiter = fork();
	if (waiter == 0)
		_exit(lock(open_file("locked", 0), kind, true) < 0);
	kill(holder, SIGKILL);
	waitpid(holder, &status, 0);
	waitpid(waiter, &status, 0);
	printf("%s: who waited has it when the holder died: %d\n", name, WIFEXITED(status) && WEXITSTATUS(status) == 0);
	printf("%s: free: %d\n", name, lock(fd, kind, true));
	close(fd);
	close(ready[0]);
	close(ready[1]);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: valuetool DIR");
	if (chdir(argv[1]) < 0)
		err(1, "%s", argv[1]);
	mappings();
	copies();
	holes();
	offsets();
	locks(POSIX, "posix");
	locks(OFD, "ofd");
	locks(FLOCK, "flock");
	return 0;
}
