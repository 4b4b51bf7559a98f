/* errnos.c -- each call of errno_table.h on a tmpfs and on a mount: both must give the errno that stands there.
 *
 *      errnos make DIR UID           makes in DIR what the calls are made on, for who has that user id (root's are root's)
 *      errnos run A B UID            makes the calls in both, as UID; prints each that is not as it must be
 *      errnos readonly A B           those for a mount that is read-only
 *      errnos wait                   runs until its standard input ends: the program that is in use
 *
 * 0: as it must be.  The directories are used up by a run.  Wants root.                                              */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { A = 1, R = 2, U = 4, O = 8 };

static char long_name[257], long_path[4097], attribute_name[300], long_value[65537];

/* ---- what the lines of the table call: each returns what the call did, and leaves errno ---- */

static long op(const char *path, int flags)
{
	int fd = open(path, flags, 0644);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

static long with_fd(const char *path, int flags, int (*call)(int))
{
	int fd = open(path, flags), saved;
	long ret;

	if (fd < 0)
		return -1;
	ret = call(fd);
	saved = errno;
	close(fd);
	errno = saved;
	return ret;
}


static int do_read(int fd) { char c; return (int)read(fd, &c, 1); }
static int do_write(int fd) { return (int)write(fd, "x", 1); }
static int do_openat(int fd) { return openat(fd, "x", O_RDONLY); }
static int do_list_fd(int fd) { char buf[1000]; return (int)getdents64(fd, buf, sizeof buf); }
static int do_ftruncate_fd(int fd) { return ftruncate(fd, 1); }
static int do_pread_negative(int fd) { char c; return (int)pread(fd, &c, 1, -1); }
static int do_pread_zero(int fd) { char c; return (int)pread(fd, &c, 1, 0); }
static int do_pwrite_negative(int fd) { return (int)pwrite(fd, "x", 1, -1); }
static int do_seek_negative(int fd) { return (int)lseek(fd, -1, SEEK_SET); }
static int do_seek_set(int fd) { return (int)lseek(fd, 0, SEEK_SET); }
static int do_seek_unknown(int fd) { return (int)lseek(fd, 0, 77); }
static int do_seek_data(int fd) { return (int)lseek(fd, 1000, SEEK_DATA); }
static int do_seek_hole_behind(int fd) { return (int)lseek(fd, 1000, SEEK_HOLE); }
static int do_read_nowhere(int fd) { return (int)read(fd, (void *)4096, 10); }
static int do_write_nowhere(int fd) { return (int)write(fd, (void *)4096, 10); }
static int do_fchmod(int fd) { return fchmod(fd, 0600); }
static int do_tty(int fd) { struct termios t; return ioctl(fd, TCGETS, &t); }
static int do_lock_shared(int fd) { return flock(fd, LOCK_SH | LOCK_NB); }
static int do_stat(const char *path) { struct stat st; return stat(path, &st); }
static int do_readlink_of(const char *path) { char buf[100]; return (int)readlink(path, buf, sizeof buf); }

static int map(int fd, int prot)
{
	return mmap(NULL, 4096, prot, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0;
}
static int do_map_fd(int fd) { return map(fd, PROT_READ); }
static int do_map_write(int fd) { return map(fd, PROT_READ | PROT_WRITE); }

static int do_copy_to(int fd)
{
	int from = open("file", O_RDONLY);

	return (int)copy_file_range(from, NULL, fd, NULL, 1, 0);
}

static int do_copy_over(int fd)
{
	int64_t in = 0, out = 1;

	return (int)copy_file_range(fd, &in, fd, &out, 3, 0);
}

static long copy(const char *from, const char *to)
{
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY);

	return copy_file_range(in, NULL, out, NULL, 1, 0);
}

static long in_removed(int flags)
{
	long ret;
	int fd;

	if (mkdir("removed", 0755) < 0 || (fd = open("removed", O_RDONLY)) < 0 || rmdir("removed") < 0)
		return 0;
	ret = openat(fd, "x", flags, 0644);
	return ret;
}

static long list_removed(void)
{
	char buf[1000];
	int fd;

	if (mkdir("removed", 0755) < 0 || (fd = open("removed", O_RDONLY)) < 0 || rmdir("removed") < 0)
		return 0;
	return getdents64(fd, buf, sizeof buf);
}

static long bad_time(void)
{
	struct timespec times[2] = { { 0, 1000000000 }, { 0, 0 } };

	return utimensat(AT_FDCWD, "file", times, 0);
}

static long another_time(const char *path)
{
	struct timespec times[2] = { { 1, 0 }, { 1, 0 } };

	return utimensat(AT_FDCWD, path, times, 0);
}

static int do_limit_write(int fd) { return (int)pwrite(fd, "x", 1, 100000); }
static int do_limit_truncate(int fd) { return ftruncate(fd, 100001); }

static long limited(int (*call)(int))
{
	const struct rlimit limit = { 100000, RLIM_INFINITY }, none = { RLIM_INFINITY, RLIM_INFINITY };
	int saved;
	long ret;

	setrlimit(RLIMIT_FSIZE, &limit);
	ret = with_fd("empty", O_WRONLY, call);
	saved = errno;
	setrlimit(RLIMIT_FSIZE, &none);
	errno = saved;
	return ret;
}

static long locked(void)
{
	int first = open("file", O_RDONLY), second = open("file", O_RDONLY), saved;
	long ret = flock(first, LOCK_EX | LOCK_NB);

	if (ret == 0)
		ret = flock(second, LOCK_EX | LOCK_NB);
	saved = errno;
	close(first);
	close(second);
	errno = saved;
	return ret;
}

static long twice(void)
{
	if (setxattr("file", "user.a", "xyz", 3, 0) < 0)
		return 0;
	return setxattr("file", "user.a", "x", 1, XATTR_CREATE);
}

static long connect_to(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM, 0), saved;
	long ret;

	strcpy(a.sun_path, path);
	ret = connect(s, (struct sockaddr *)&a, sizeof a);
	saved = errno;
	close(s);
	errno = saved;
	return ret;
}

/* In a child: 0, and its end, when it runs. */
static long run(const char *path)
{
	char name[64];
	int status;
	pid_t pid = fork();

	if (pid < 0)
		err(2, "fork");
	if (pid == 0) {
		snprintf(name, sizeof name, "./%s", path);
		execl(name, name, "nothing", (char *)NULL);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

static long run_written(void)
{
	int in = open("program", O_RDONLY), out = open("new-program", O_RDWR | O_CREAT | O_EXCL, 0755), saved;
	char buf[65536];
	ssize_t n;
	long ret;

	while ((n = read(in, buf, sizeof buf)) > 0)
		if (write(out, buf, (size_t)n) != n)
			return 0;
	ret = run("new-program");
	saved = errno;
	close(in);
	close(out);
	unlink("new-program");
	errno = saved;
	return ret;
}

/* ---- the table ---- */

#define JOIN(a, b) a##b
#define LINE(n) JOIN(line_, n)
#define X(who, want, what, call) static long LINE(__LINE__)(void) { return call; }
#include "tests/lib/errno_table.h"
#undef X
static const struct line { int who, want; const char *what; long (*call)(void); } table[] = {
#define X(who, want, what, call) { who, want, what, LINE(__LINE__) },
#include "tests/lib/errno_table.h"
#undef X
};
enum { LINES = sizeof table / sizeof *table };

/* ---- what the calls are made on ---- */

static void must(long ret, const char *what)
{
	if (ret < 0)
		err(2, "%s", what);
}

static void make_file(const char *path, const char *content, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	must(fd, path);
	must(write(fd, content, strlen(content)), path);
	must(fchmod(fd, mode), path);
	close(fd);
}

static void make_program(void)
{
	char buf[65536];
	int in = open("/proc/self/exe", O_RDONLY), out = open("program", O_WRONLY | O_CREAT | O_EXCL, 0755);
	ssize_t n;

	must(in, "/proc/self/exe");
	must(out, "program");
	while ((n = read(in, buf, sizeof buf)) > 0)
		must(write(out, buf, (size_t)n), "program");
	close(in);
	close(out);
}

static void make_socket(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "socket" };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	must(bind(s, (struct sockaddr *)&a, sizeof a), "socket");
	close(s);
}

static void make_fixture(const char *dir, uid_t uid)
{
	static const char *const theirs[] = {
		".", "file", "empty", "readonly", "dir", "full", "full/x", "link", "loop", "dangling", "dirlink", "program", "fifo", "socket",
	};

	must(chdir(dir), dir);
	umask(022);
	make_file("file", "value\n", 0644);
	make_file("empty", "", 0644);
	make_file("readonly", "value\n", 0444);
	make_file("secret", "value\n", 0600);
	must(mkdir("dir", 0755) | mkdir("full", 0755) | mkdir("closed", 0700) | mkdir("sticky", 0755) | mkdir("root's", 0755) | mkdir("point", 0755), "mkdir");
	must(chmod("sticky", 01777), "sticky");
	make_file("full/x", "", 0644);
	make_file("closed/x", "", 0644);
	make_file("sticky/x", "", 0666);
	make_file("root's/x", "", 0666);
	must(symlink("file", "link") | symlink("loop", "loop") | symlink("none", "dangling") | symlink("dir", "dirlink"), "symlink");
	make_program();
	must(mkfifo("fifo", 0644), "fifo");
	make_socket();
	for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
		must(lchown(theirs[i], uid, uid), theirs[i]);
}

/* ---- both sides ---- */

static const char *name_of(int error)
{
	return error == 0 ? "ok" : strerrorname_np(error) ? strerrorname_np(error) : "?";
}

/* Makes the calls for WHO in DIR, each by a process of its own, as UID; notes what each gave. */
static void make_calls(const char *dir, int who, uid_t uid, int *results)
{
	for (int i = 0; i < LINES; i++) {
		int status;
		pid_t pid;
		if (!(table[i].who & who))
			continue;
		pid = fork();
		must(pid, "fork");
		if (pid == 0) {
			must(chdir(dir), dir);
			must(setresgid(uid, uid, uid), "gid");
			must(setresuid(uid, uid, uid), "uid");
			umask(022);
			signal(SIGXFSZ, SIG_IGN);
			alarm(20);
			_exit(table[i].call() < 0 ? errno : 0);
		}
		waitpid(pid, &status, 0);
		results[i] = WIFEXITED(status) ? WEXITSTATUS(status) : 255;
	}
}

/* Starts DIR/program and returns when it runs; it ends with *RET_INPUT. */
static pid_t start_program(const char *dir, int *ret_input)
{
	int input[2], output[2];
	char ready;
	pid_t pid;

	must(pipe2(input, O_CLOEXEC) | pipe2(output, O_CLOEXEC), "pipe");
	pid = fork();
	must(pid, "fork");
	if (pid == 0) {
		must(chdir(dir), dir);
		dup2(input[0], 0);
		dup2(output[1], 1);
		execl("./program", "program", "wait", (char *)NULL);
		_exit(1);
	}
	close(input[0]);
	close(output[1]);
	if (read(output[0], &ready, 1) != 1)
		errx(2, "the program does not run");
	close(output[0]);
	*ret_input = input[1];
	return pid;
}

static void run_side(const char *dir, int who, uid_t uid, int *results)
{
	char point[4096];
	int input = -1;
	pid_t pid = 0;

	snprintf(point, sizeof point, "%s/point", dir);
	if (who != O) {
		must(mount("twin", point, "tmpfs", 0, "mode=0777"), "mount");
		pid = start_program(dir, &input);
	}
	make_calls(dir, who, uid, results);
	if (who != O) {
		close(input);
		waitpid(pid, NULL, 0);
		must(umount(point), "umount");
	}
}

static int compare(char **dirs, int who, uid_t uid)
{
	int results[2][LINES], made = 0, status = 0;

	for (int side = 0; side < 2; side++)
		run_side(dirs[side], who, uid, results[side]);
	for (int i = 0; i < LINES; i++) {
		const struct line *l = &table[i];
		if (!(l->who & who))
			continue;
		made++;
		if (results[0][i] == l->want && results[1][i] == l->want)
			continue;
		printf("%s: %s wanted, %s on A, %s on B\n", l->what, name_of(l->want), name_of(results[0][i]), name_of(results[1][i]));
		status = 1;
	}
	printf("%d calls\n", made);
	return status;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	char c;

	memset(long_name, 'n', sizeof long_name - 1);
	memset(long_path, 'p', sizeof long_path - 1);
	for (size_t i = 1; i < sizeof long_path - 1; i += 2)
		long_path[i] = '/';
	memset(attribute_name, 'a', sizeof attribute_name - 1);
	memcpy(attribute_name, "user.", 5);
	if (strcmp(mode, "nothing") == 0)
		return 0;
	if (strcmp(mode, "wait") == 0) {
		if (write(1, "r", 1) != 1)
			return 1;
		return read(0, &c, 1) != 0;
	}
	if (strcmp(mode, "make") == 0 && argc == 4) {
		make_fixture(argv[2], (uid_t)strtoul(argv[3], NULL, 10));
		return 0;
	}
	if (strcmp(mode, "run") == 0 && argc == 5) {
		uid_t uid = (uid_t)strtoul(argv[4], NULL, 10);
		return compare(argv + 2, uid ? A | U : A | R, uid);
	}
	if (strcmp(mode, "readonly") == 0 && argc == 4)
		return compare(argv + 2, O, 0);
	errx(2, "errnos make DIR UID | run A B UID | readonly A B");
}
