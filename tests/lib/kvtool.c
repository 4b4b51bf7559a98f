/* kvtool.c -- what a test needs of the system and a shell has no word for.
 *
 *      kvtool try CALL ARG...    makes one system call; prints "ok" or the name of its errno
 *      kvtool mmap FILE          writes through a shared mapping, reads it back by read(2)
 *      kvtool unlinked FILE      goes on using a file after its name is gone
 *      kvtool append FILE N      two descriptors with O_APPEND, N lines each, in turns; then counts them
 *      kvtool race FILE N        two processes, N lines each, with O_APPEND; then counts them
 *      kvtool scan DIR N         reads a directory slowly while names come and go; each lasting name once
 *      kvtool ttl FILE N         one process makes and removes the file N times, two set its user.kvfs.ttl as often as they can meanwhile
 *      kvtool locks FILE         POSIX, OFD and flock(2) locks exclude each other as they should
 *      kvtool list DIR           everything below, by listing.h
 *      kvtool datagrams SOCKET   makes the socket, and prints what comes to it, each datagram on a line, its newlines as ';'
 *
 * Exit: 0 as it should be; 1 not, with a sentence; 2 usage.                                                          */
#include "tests/lib/listing.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static uint64_t number(const char *text)
{
	char *end;
	errno = 0;
	uint64_t n = strtoull(text, &end, 10);
	if (errno || end == text || *end)
		errx(2, "%s: not a number", text);
	return n;
}

/* ---- try ---- */

static int try_open(char **arg, int flags)
{
	int fd = open(arg[0], flags | O_CLOEXEC, 0644);
	if (fd < 0)
		return -1;
	return close(fd);
}

static int call_open(char **arg)
{
	return try_open(arg, O_RDONLY);
}

static int call_create(char **arg)
{
	return try_open(arg, O_WRONLY | O_CREAT | O_EXCL);
}

/* Opened, read once, closed: no more than a get needs. */
static int call_get(char **arg)
{
	char buf[4096];
	int fd = open(arg[0], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = read(fd, buf, sizeof buf);
	int error = errno;
	close(fd);
	errno = error;
	return n < 0 ? -1 : 0;
}

static int call_mkdir(char **arg)
{
	return mkdir(arg[0], 0755);
}

static int call_rmdir(char **arg)
{
	return rmdir(arg[0]);
}

static int call_unlink(char **arg)
{
	return unlink(arg[0]);
}

static int call_mkfifo(char **arg)
{
	return mkfifo(arg[0], 0644);
}

static int call_link(char **arg)
{
	return link(arg[0], arg[1]);
}

static int call_symlink(char **arg)
{
	return symlink(arg[0], arg[1]);
}

static int call_rename(char **arg)
{
	return rename(arg[0], arg[1]);
}

static int call_noreplace(char **arg)
{
	return renameat2(AT_FDCWD, arg[0], AT_FDCWD, arg[1], RENAME_NOREPLACE);
}

static int call_exchange(char **arg)
{
	return renameat2(AT_FDCWD, arg[0], AT_FDCWD, arg[1], RENAME_EXCHANGE);
}

static int call_truncate(char **arg)
{
	return truncate(arg[0], (off_t)number(arg[1]));
}

static int call_pwrite(char **arg)
{
	int fd = open(arg[0], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return -1;
	ssize_t n = pwrite(fd, arg[2], strlen(arg[2]), (off_t)number(arg[1]));
	int error = errno;
	close(fd);
	errno = n < 0 ? error : EIO;
	return n == (ssize_t)strlen(arg[2]) ? 0 : -1;
}

static int call_fsync(char **arg)
{
	int fd = open(arg[0], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int ret = fsync(fd);
	int error = errno;
	close(fd);
	errno = error;
	return ret;
}

/* PATH NAME SIZE FLAGS: a value of so many bytes. */
static int call_setxattr(char **arg)
{
	size_t size = number(arg[2]);
	char *value = calloc(1, size + 1);
	int ret = value ? lsetxattr(arg[0], arg[1], value, size, (int)number(arg[3])) : -1;
	int error = errno;
	free(value);
	errno = error;
	return ret;
}

/* PATH NAME SIZE: into so much room. */
static int call_getxattr(char **arg)
{
	size_t size = number(arg[2]);
	char *value = malloc(size + 1);
	int ret = value && lgetxattr(arg[0], arg[1], value, size) >= 0 ? 0 : -1;
	int error = errno;
	free(value);
	errno = error;
	return ret;
}

static int call_removexattr(char **arg)
{
	return lremovexattr(arg[0], arg[1]);
}

static const struct {
	const char *name;
	int args;
	int (*call)(char **arg);
} calls[] = {
    {"setxattr", 4, call_setxattr}, {"getxattr", 3, call_getxattr}, {"removexattr", 2, call_removexattr},
    {"open", 1, call_open},       {"create", 1, call_create},       {"mkdir", 1, call_mkdir},       {"rmdir", 1, call_rmdir},
    {"unlink", 1, call_unlink},   {"mkfifo", 1, call_mkfifo},       {"link", 2, call_link},         {"symlink", 2, call_symlink},
    {"rename", 2, call_rename},   {"noreplace", 2, call_noreplace}, {"exchange", 2, call_exchange}, {"truncate", 2, call_truncate},
    {"pwrite", 3, call_pwrite},   {"fsync", 1, call_fsync},           {"get", 1, call_get},
};

static int cmd_try(int argc, char **argv)
{
	for (size_t i = 0; argc > 0 && i < sizeof calls / sizeof *calls; i++) {
		if (strcmp(argv[0], calls[i].name) || argc - 1 != calls[i].args)
			continue;
		puts(calls[i].call(argv + 1) == 0 ? "ok" : strerrorname_np(errno));
		return 0;
	}
	errx(2, "try: no such call, or another number of arguments");
}

/* ---- whole behaviours ---- */

static int cmd_mmap(int argc, char **argv)
{
	enum { SIZE = 3 * 4096 + 17 };
	int fd = open(argv[0], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (argc != 1 || fd < 0)
		err(1, "%s", argv[0]);
	if (ftruncate(fd, SIZE) < 0)
		err(1, "ftruncate");
	char *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		err(1, "mmap");
	for (int i = 0; i < SIZE; i++) {
		if (map[i] != 0)
			errx(1, "byte %d of a hole is %d", i, map[i]);
		map[i] = (char)(i * 7);
	}
	if (msync(map, SIZE, MS_SYNC) < 0)
		err(1, "msync");
	if (pwrite(fd, "written", 7, 5000) != 7)
		err(1, "pwrite");
	if (memcmp(map + 5000, "written", 7) != 0)
		errx(1, "a write(2) does not show in the mapping");
	if (munmap(map, SIZE) < 0 || close(fd) < 0)
		err(1, "close");
	return 0;
}

static int cmd_unlinked(int argc, char **argv)
{
	struct stat st;
	char buf[6];
	int fd = open(argv[0], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (argc != 1 || fd < 0)
		err(1, "%s", argv[0]);
	if (write(fd, "before", 6) != 6 || unlink(argv[0]) < 0)
		err(1, "%s", argv[0]);
	if (write(fd, "after", 5) != 5)
		err(1, "write after unlink");
	if (pread(fd, buf, 5, 6) != 5 || memcmp(buf, "after", 5) != 0)
		errx(1, "read after unlink: not what was written");
	if (fstat(fd, &st) < 0 || st.st_size != 11)
		errx(1, "fstat after unlink: size %jd", (intmax_t)st.st_size);
	if (st.st_nlink != 0)
		errx(1, "fstat after unlink: %ju links", (uintmax_t)st.st_nlink);
	if (ftruncate(fd, 3) < 0 || fsync(fd) < 0)
		err(1, "ftruncate, fsync after unlink");
	if (access(argv[0], F_OK) == 0)
		errx(1, "the name is still there");
	/* The same name anew is another file. */
	int other = open(argv[0], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (other < 0 || write(other, "new", 3) != 3)
		err(1, "the name anew");
	if (fstat(fd, &st) < 0 || st.st_size != 3 || pread(fd, buf, 3, 0) != 3 || memcmp(buf, "bef", 3) != 0)
		errx(1, "the unlinked file has changed with the new one");
	return 0;
}

static void count_lines(const char *path, uint64_t want)
{
	FILE *f = fopen(path, "r");
	char line[64];
	uint64_t seen = 0;
	if (!f)
		err(1, "%s", path);
	while (fgets(line, sizeof line, f)) {
		if (strlen(line) != 9 || line[8] != '\n')
			errx(1, "line %" PRIu64 " is torn", seen + 1);
		seen++;
	}
	fclose(f);
	if (seen != want)
		errx(1, "%" PRIu64 " lines instead of %" PRIu64, seen, want);
}

static int cmd_append(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "append FILE N");
	uint64_t n = number(argv[1]);
	int fd[2];
	for (int i = 0; i < 2; i++) {
		fd[i] = open(argv[0], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (fd[i] < 0)
			err(1, "%s", argv[0]);
	}
	for (uint64_t i = 0; i < 2 * n; i++)
		if (dprintf(fd[i % 2], "%08" PRIu64 "\n", i) != 9)
			err(1, "write");
	count_lines(argv[0], 2 * n);
	return 0;
}

static int cmd_race(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "race FILE N");
	uint64_t n = number(argv[1]);
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();
		if (pid < 0)
			err(1, "fork");
		if (pid > 0)
			continue;
		int fd = open(argv[0], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		for (uint64_t k = 0; k < n; k++)
			if (dprintf(fd, "%08" PRIu64 "\n", k) != 9)
				_exit(1);
		_exit(0);
	}
	for (int i = 0; i < 2; i++) {
		int status;
		if (wait(&status) < 0 || status != 0)
			errx(1, "a writer failed");
	}
	count_lines(argv[0], 2 * n);
	return 0;
}

static void make_and_remove(const char *path, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0 || close(fd) < 0 || unlink(path) < 0)
			err(1, "%s", path);
	}
}

static int cmd_ttl(int argc, char **argv)
{
	enum { SETTERS = 2 };
	pid_t setter[SETTERS];
	int status;

	if (argc != 2)
		errx(2, "ttl FILE N");
	for (int i = 0; i < SETTERS; i++) {
		setter[i] = fork();
		if (setter[i] < 0)
			err(1, "fork");
		/* Until it is killed: the file comes and goes. */
		while (setter[i] == 0)
			if (setxattr(argv[0], "user.kvfs.ttl", "100", 3, 0) < 0 && errno != ENOENT)
				err(1, "setxattr");
	}
	make_and_remove(argv[0], number(argv[1]));
	for (int i = 0; i < SETTERS; i++) {
		kill(setter[i], SIGKILL);
		if (waitpid(setter[i], &status, 0) < 0 || !WIFSIGNALED(status))
			errx(1, "setting the attribute failed");
	}
	return 0;
}

/* Lasting names "s<i>"; while the scan goes on, names "t<i>" are made and removed around it. */
static void scan_disturb(int dir, uint64_t step)
{
	char name[32];
	for (int k = 0; k < 8; k++) {
		snprintf(name, sizeof name, "t%" PRIu64, step * 8 + (uint64_t)k);
		int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			err(1, "%s", name);
		close(fd);
		if (step < 2)
			continue;
		snprintf(name, sizeof name, "t%" PRIu64, (step - 2) * 8 + (uint64_t)k);
		if (unlinkat(dir, name, 0) < 0)
			err(1, "%s", name);
	}
}

static int cmd_scan(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "scan DIR N");
	uint64_t n = number(argv[1]), steps = 0;
	uint8_t *seen = calloc(n, 1);
	DIR *d = opendir(argv[0]);
	struct dirent *entry;
	char name[32];
	if (!d || !seen)
		err(1, "%s", argv[0]);
	for (uint64_t i = 0; i < n; i++) {
		snprintf(name, sizeof name, "s%" PRIu64, i);
		int fd = openat(dirfd(d), name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			err(1, "%s", name);
		close(fd);
	}
	rewinddir(d);
	while (errno = 0, (entry = readdir(d))) {
		if (steps++ % 64 == 0)
			scan_disturb(dirfd(d), steps / 64);
		if (entry->d_name[0] == 's' && seen[number(entry->d_name + 1)]++)
			errx(1, "%s came twice", entry->d_name);
		if (steps > 100 * n)
			errx(1, "the scan does not end");
		/* Every now and then the position is taken and given back. */
		if (steps % 100 == 0)
			seekdir(d, telldir(d));
	}
	if (errno)
		err(1, "readdir");
	for (uint64_t i = 0; i < n; i++)
		if (!seen[i])
			errx(1, "s%" PRIu64 " did not come", i);
	closedir(d);
	free(seen);
	return 0;
}

static bool child_is_locked_out(const char *path, int kind)
{
	pid_t pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid == 0) {
		struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
		int fd = open(path, O_RDWR | O_CLOEXEC);
		int ret = kind == LOCK_EX ? flock(fd, LOCK_EX | LOCK_NB) : fcntl(fd, kind, &lock);
		_exit(ret < 0 && (errno == EAGAIN || errno == EACCES) ? 0 : 1);
	}
	int status;
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static int cmd_locks(int argc, char **argv)
{
	static const int kinds[] = {F_SETLK, F_OFD_SETLK, LOCK_EX};
	for (size_t i = 0; argc == 1 && i < sizeof kinds / sizeof *kinds; i++) {
		struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
		int fd = open(argv[0], O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			err(1, "%s", argv[0]);
		if ((kinds[i] == LOCK_EX ? flock(fd, LOCK_EX) : fcntl(fd, kinds[i], &lock)) < 0)
			err(1, "lock of kind %zu", i);
		if (!child_is_locked_out(argv[0], kinds[i]))
			errx(1, "a lock of kind %zu keeps nobody out", i);
		close(fd);
	}
	return argc == 1 ? 0 : 2;
}

static uint64_t hash_file(const char *path)
{
	char buf[65536];
	uint64_t hash = LISTING_HASH_START;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	while ((n = read(fd, buf, sizeof buf)) > 0)
		hash = listing_hash(hash, buf, (size_t)n);
	if (n < 0 || close(fd) < 0)
		err(1, "%s", path);
	return hash;
}

static int list_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char target[4096];
	struct listing_node n = {
	    .mode = st->st_mode, .uid = st->st_uid, .gid = st->st_gid, .size = (uint64_t)st->st_size, .hash = LISTING_HASH_START,
	    .mtime_ns = st->st_mtim.tv_sec * 1000000000LL + st->st_mtim.tv_nsec, .path = path + 2, .path_len = strlen(path) - 2,
	};
	if (ftw->level == 0)
		return 0;
	if (type == FTW_SL) {
		ssize_t len = readlink(path, target, sizeof target);
		if (len < 0)
			err(1, "%s", path);
		n.hash = listing_hash(n.hash, target, (size_t)len);
	} else if (S_ISREG(st->st_mode)) {
		n.hash = hash_file(path);
	}
	listing_print(stdout, &n);
	return 0;
}

static int cmd_list(int argc, char **argv)
{
	if (argc != 1 || chdir(argv[0]) < 0)
		err(1, "%s", argv[0]);
	if (nftw(".", list_one, 32, FTW_PHYS) < 0)
		err(1, "%s", argv[0]);
	return 0;
}

/* ---- datagrams ---- */

static int cmd_datagrams(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char text[4096];
	ssize_t n;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (argc != 1 || fd < 0 || strlen(argv[0]) >= sizeof addr.sun_path)
		errx(2, "datagrams: a short path is wanted");
	memcpy(addr.sun_path, argv[0], strlen(argv[0]));
	if (bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0)
		err(1, "%s", argv[0]);
	while ((n = recv(fd, text, sizeof text - 1, 0)) >= 0) {
		for (ssize_t i = 0; i < n; i++)
			if (text[i] == '\n')
				text[i] = ';';
		printf("%.*s\n", (int)n, text);
		fflush(stdout);
	}
	err(1, "recv");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} commands[] = {
	    {"try", cmd_try},   {"mmap", cmd_mmap}, {"unlinked", cmd_unlinked}, {"append", cmd_append},
	    {"race", cmd_race}, {"ttl", cmd_ttl}, {"scan", cmd_scan}, {"locks", cmd_locks}, {"list", cmd_list},
	    {"datagrams", cmd_datagrams},
	};
	for (size_t i = 0; argc > 2 && i < sizeof commands / sizeof *commands; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 2, argv + 2);
	errx(2, "usage: kvtool try|mmap|unlinked|append|race|scan|locks|list|datagrams ARG...");
}
