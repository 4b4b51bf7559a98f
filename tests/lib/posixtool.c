/* posixtool.c -- system calls from a script, with what came of each: the same script on two filesystems should print the same.
 *
 *      posixtool DIR < SCRIPT
 *
 * A line is one call and its arguments, split at blanks; paths are relative to DIR.  In an argument \xHH is that byte, and {N} stands for
 * N times the letter before it.  After the call's name and arguments is printed "ok", what it returned, or the name of its errno.
 * Empty lines and what begins with # is skipped.  A file is mode 0600 octal, an owner a number, -1 as in chown(2), a time is
 * SECONDS[.NANOSECONDS], "now" or "omit".
 *
 *      creat P MODE    open P FLAG,FLAG..    mkdir P MODE   mknod P p|s|c|b|f MODE MAJOR MINOR    mkfifo P MODE
 *      unlink P   rmdir P   rename P Q   link P Q   symlink TARGET P   readlink P   list P
 *      read P   dread P (past the page cache)
 *      write P OFFSET TEXT   append P TEXT   truncate P SIZE   chmod P MODE   chown P UID GID   lchown P UID GID
 *      utime P ATIME MTIME   lutime P ATIME MTIME   access P MODE   bind P   connect P
 *      hold P FLAG,FLAG..  keeps it open for   fread N   fwrite TEXT   ftruncate SIZE   fchmod MODE   fchown UID GID   futime A M   fstat   release
 *      stat P          type, mode, links, owner, size, device
 *      when P          its three times in full: for those that utime has set
 *      times P         how each time stands to what it was at the last `times P`: = the same, + later, - sooner
 *      umask MODE   cd P   as UID GID [GROUP]   (as 0 0: again what it was)
 *
 * `times` waits until the kernel's coarse clock has passed this moment, so that what follows is later.                             */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { ARGS = 8, ARG_MAX_BYTES = 8192, SEEN = 64, SAID = 8192 };

static struct { char path[300]; struct stat st; } seen[SEEN];
static int seen_count;
static int held = -1;
static char said[SAID];         /* by a call that did well; "": ok */

static unsigned long octal(const char *text)
{
	return strtoul(text, NULL, 8);
}

static long long number(const char *text)
{
	return strtoll(text, NULL, 10);
}

/* ---- the words of the script ---- */

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void unescape(const char *in, char *out)
{
	const char *end = out + ARG_MAX_BYTES - 1;

	while (*in && out < end) {
		if (in[0] == '\\' && in[1] == 'x' && hex(in[2]) >= 0 && hex(in[3]) >= 0) {
			*out++ = (char)(hex(in[2]) << 4 | hex(in[3]));
			in += 4;
		} else if (in[0] == '{') {
			for (long n = strtol(in + 1, NULL, 10) - 1; n > 0 && out < end; n--, out++)
				*out = out[-1];
			in += strcspn(in, "}") + 1;
		} else {
			*out++ = *in++;
		}
	}
	*out = '\0';
}

static int flags_of(const char *words)
{
	static const struct { const char *word; int flag; } all[] = {
		{ "r", O_RDONLY }, { "w", O_WRONLY }, { "rw", O_RDWR }, { "creat", O_CREAT }, { "excl", O_EXCL }, { "trunc", O_TRUNC },
		{ "append", O_APPEND }, { "directory", O_DIRECTORY }, { "nofollow", O_NOFOLLOW }, { "noatime", O_NOATIME },
		{ "nonblock", O_NONBLOCK }, { "path", O_PATH },
	};
	int flags = O_CLOEXEC;

	for (size_t len; *words; words += len + (words[len] == ',')) {
		bool known = false;
		len = strcspn(words, ",");
		for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
			if (strlen(all[i].word) == len && memcmp(all[i].word, words, len) == 0) {
				flags |= all[i].flag;
				known = true;
			}
		}
		if (!known)
			errx(2, "no such flag: %s", words);
	}
	return flags;
}

static struct timespec time_of(const char *text)
{
	if (strcmp(text, "now") == 0)
		return (struct timespec){ .tv_nsec = UTIME_NOW };
	if (strcmp(text, "omit") == 0)
		return (struct timespec){ .tv_nsec = UTIME_OMIT };
	const char *dot = strchr(text, '.');
	return (struct timespec){ .tv_sec = (time_t)number(text), .tv_nsec = dot ? (long)number(dot + 1) : 0 };
}

/* ---- calls ---- */

static int close_keeping(int fd, int ret)
{
	int error = errno;

	close(fd);
	errno = error;
	return ret;
}

static int just_open(const char *path, int flags, mode_t mode)
{
	int fd = open(path, flags | O_CLOEXEC, mode);

	return fd < 0 ? -1 : close_keeping(fd, 0);
}

static int say_bytes(const char *data, size_t len)
{
	size_t at = 0;

	for (size_t i = 0; i < len && at + 5 < SAID; i++) {
		bool plain = data[i] > 32 && data[i] < 127;
		at += (size_t)snprintf(said + at, SAID - at, plain ? "%c" : "\\x%02x", (unsigned char)data[i]);
	}
	return 0;
}

static int do_read(const char *path, int flags)
{
	static char buf[4096] __attribute__((aligned(4096)));
	int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof buf);

	if (fd >= 0)
		close_keeping(fd, 0);
	return n < 0 ? -1 : say_bytes(buf, (size_t)n);
}

static int do_readlink(const char *path)
{
	char buf[4096];
	ssize_t n = readlink(path, buf, sizeof buf);

	return n < 0 ? -1 : say_bytes(buf, (size_t)n);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names, in order, so that what a directory returns by its own order compares. */
static int do_list(const char *path)
{
	DIR *d = opendir(path);
	char *name[512], all[SAID / 4] = "";
	size_t count = 0, len = 0;

	if (!d)
		return -1;
	for (struct dirent *e; (e = readdir(d)) && count < 512;)
		name[count++] = strdup(e->d_name);
	closedir(d);
	qsort(name, count, sizeof *name, by_name);
	for (size_t i = 0; i < count; i++) {
		if (len + strlen(name[i]) + 2 < sizeof all)
			len += (size_t)snprintf(all + len, sizeof all - len, "%s/", name[i]);
		free(name[i]);
	}
	return say_bytes(all, len);
}

static int do_write(const char *path, int flags, const char *offset, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags);

	if (fd < 0)
		return -1;
	ssize_t n = offset ? pwrite(fd, text, strlen(text), (off_t)number(offset)) : write(fd, text, strlen(text));
	return close_keeping(fd, n == (ssize_t)strlen(text) ? 0 : -1);
}

static int do_mknod(char **arg)
{
	static const struct { char letter; mode_t type; } types[] = {
		{ 'p', S_IFIFO }, { 's', S_IFSOCK }, { 'c', S_IFCHR }, { 'b', S_IFBLK }, { 'f', S_IFREG }, { 'd', S_IFDIR }, { 'l', S_IFLNK },
	};

	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (types[i].letter == arg[1][0])
			return mknod(arg[0], types[i].type | (mode_t)octal(arg[2]), makedev(number(arg[3]), number(arg[4])));
	errx(2, "no such type: %s", arg[1]);
}

static int do_times(const char *path, const struct timespec t[2], int flags)
{
	return utimensat(AT_FDCWD, path, t, flags);
}

static int do_socket(const char *path, bool serve)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), ret;

	if (fd < 0 || strlen(path) >= sizeof a.sun_path)
		errx(2, "socket");
	memcpy(a.sun_path, path, strlen(path) + 1);
	ret = serve ? bind(fd, (struct sockaddr *)&a, sizeof a) : connect(fd, (struct sockaddr *)&a, sizeof a);
	return close_keeping(fd, ret);
}

/* ---- what stat(2) says ---- */

static int say_stat(const struct stat *st)
{
	char type = S_ISDIR(st->st_mode) ? 'd' : S_ISLNK(st->st_mode) ? 'l' : S_ISREG(st->st_mode) ? 'f' : S_ISFIFO(st->st_mode) ? 'p' :
	            S_ISSOCK(st->st_mode) ? 's' : S_ISCHR(st->st_mode) ? 'c' : 'b';

	snprintf(said, SAID, "%c %04o links %ju owner %u:%u size %jd device %u,%u", type, st->st_mode & 07777, (uintmax_t)st->st_nlink,
	         st->st_uid, st->st_gid, (intmax_t)st->st_size, major(st->st_rdev), minor(st->st_rdev));
	return 0;
}

static int do_stat(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 ? -1 : say_stat(&st);
}

static int do_when(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return -1;
	snprintf(said, SAID, "%jd.%09ld %jd.%09ld", (intmax_t)st.st_atim.tv_sec, st.st_atim.tv_nsec, (intmax_t)st.st_mtim.tv_sec,
	         st.st_mtim.tv_nsec);
	return 0;
}

static char order(const struct timespec *was, const struct timespec *is)
{
	if (was->tv_sec == is->tv_sec && was->tv_nsec == is->tv_nsec)
		return '=';
	return was->tv_sec < is->tv_sec || (was->tv_sec == is->tv_sec && was->tv_nsec < is->tv_nsec) ? '+' : '-';
}

static void tick(void)
{
	struct timespec from, now;

	/* A filesystem may take some of its times from the fine clock, which is ahead of the coarse one by a tick or two. */
	clock_gettime(CLOCK_REALTIME, &from);
	do
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	while (order(&from, &now) != '+');
}

static int do_since(const char *path)
{
	struct stat st;
	int i = 0;

	if (lstat(path, &st) < 0)
		return -1;
	while (i < seen_count && strcmp(seen[i].path, path) != 0)
		i++;
	if (i == SEEN || strlen(path) >= sizeof seen[i].path)
		errx(2, "times: too many paths, or too long a one");
	if (i == seen_count) {
		seen_count++;
		strcpy(seen[i].path, path);
		snprintf(said, SAID, "noted");
	} else {
		snprintf(said, SAID, "atime%c mtime%c ctime%c", order(&seen[i].st.st_atim, &st.st_atim), order(&seen[i].st.st_mtim, &st.st_mtim),
		         order(&seen[i].st.st_ctim, &st.st_ctim));
	}
	seen[i].st = st;
	tick();
	return 0;
}

/* ---- with a file that stays open ---- */

static int do_hold(const char *path, int flags)
{
	if (held >= 0)
		close(held);
	held = open(path, flags, 0644);
	return held < 0 ? -1 : 0;
}

static int do_fread(const char *n)
{
	char buf[4096];
	ssize_t got = pread(held, buf, (size_t)number(n) < sizeof buf ? (size_t)number(n) : sizeof buf, 0);

	return got < 0 ? -1 : say_bytes(buf, (size_t)got);
}

static int do_fstat(void)
{
	struct stat st;

	return fstat(held, &st) < 0 ? -1 : say_stat(&st);
}

static int do_release(void)
{
	int fd = held;

	held = -1;
	return close(fd);
}

/* ---- who ---- */

static int do_as(char **arg, int args)
{
	gid_t group[1] = { args > 2 ? (gid_t)number(arg[2]) : 0 };

	if (seteuid(0) < 0 || setgroups(args > 2 ? 1 : 0, group) < 0 || setegid((gid_t)number(arg[1])) < 0 || seteuid((uid_t)number(arg[0])) < 0)
		err(2, "as %s", arg[0]);
	return 0;
}

/* 1: there is no such call. */
static int call_name(const char *name, char **a, int n)
{
	const struct timespec two[2] = { n > 1 ? time_of(a[1]) : (struct timespec){ 0 }, n > 2 ? time_of(a[2]) : (struct timespec){ 0 } };

#define CALL(word, args, expr) if (strcmp(name, word) == 0 && n == (args)) return expr
	CALL("creat", 2, just_open(a[0], O_WRONLY | O_CREAT | O_EXCL, (mode_t)octal(a[1])));
	CALL("open", 2, just_open(a[0], flags_of(a[1]), 0644));
	CALL("mkdir", 2, mkdir(a[0], (mode_t)octal(a[1])));
	CALL("mknod", 5, do_mknod(a));
	CALL("mkfifo", 2, mkfifo(a[0], (mode_t)octal(a[1])));
	CALL("unlink", 1, unlink(a[0]));
	CALL("rmdir", 1, rmdir(a[0]));
	CALL("rename", 2, rename(a[0], a[1]));
	CALL("link", 2, link(a[0], a[1]));
	CALL("symlink", 2, symlink(a[0], a[1]));
	CALL("readlink", 1, do_readlink(a[0]));
	CALL("read", 1, do_read(a[0], 0));
	CALL("dread", 1, do_read(a[0], O_DIRECT));
	CALL("list", 1, do_list(a[0]));
	CALL("write", 3, do_write(a[0], 0, a[1], a[2]));
	CALL("append", 2, do_write(a[0], O_APPEND, NULL, a[1]));
	CALL("truncate", 2, truncate(a[0], (off_t)number(a[1])));
	CALL("chmod", 2, chmod(a[0], (mode_t)octal(a[1])));
	CALL("chown", 3, chown(a[0], (uid_t)number(a[1]), (gid_t)number(a[2])));
	CALL("lchown", 3, lchown(a[0], (uid_t)number(a[1]), (gid_t)number(a[2])));
	CALL("utime", 3, do_times(a[0], two, 0));
	CALL("lutime", 3, do_times(a[0], two, AT_SYMLINK_NOFOLLOW));
	CALL("access", 2, faccessat(AT_FDCWD, a[0], (int)octal(a[1]), AT_EACCESS));
	CALL("bind", 1, do_socket(a[0], true));
	CALL("connect", 1, do_socket(a[0], false));
	CALL("stat", 1, do_stat(a[0]));
	CALL("when", 1, do_when(a[0]));
	CALL("times", 1, do_since(a[0]));
	CALL("umask", 1, (umask((mode_t)octal(a[0])), 0));
	CALL("cd", 1, chdir(a[0]));
	return 1;
}

static int call_held(const char *name, char **a, int n)
{
	const struct timespec two[2] = { n > 0 ? time_of(a[0]) : (struct timespec){ 0 }, n > 1 ? time_of(a[1]) : (struct timespec){ 0 } };

	CALL("hold", 2, do_hold(a[0], flags_of(a[1])));
	CALL("fread", 1, do_fread(a[0]));
	CALL("fwrite", 1, write(held, a[0], strlen(a[0])) < 0 ? -1 : 0);
	CALL("ftruncate", 1, ftruncate(held, (off_t)number(a[0])));
	CALL("fchmod", 1, fchmod(held, (mode_t)octal(a[0])));
	CALL("fchown", 2, fchown(held, (uid_t)number(a[0]), (gid_t)number(a[1])));
	CALL("futime", 2, futimens(held, two));
	CALL("fstat", 0, do_fstat());
	CALL("release", 0, do_release());
	if (strcmp(name, "as") == 0 && n >= 2)
		return do_as(a, n);
	return 1;
}

static void run(char *line)
{
	static char arg[ARGS][ARG_MAX_BYTES];
	char *a[ARGS], *save, *copy = strdup(line);
	int n = 0, ret;

	for (char *word = strtok_r(line, " \t\n", &save); word && n < ARGS; word = strtok_r(NULL, " \t\n", &save)) {
		unescape(word, arg[n]);
		a[n] = arg[n];
		n++;
	}
	said[0] = '\0';
	if (n > 0 && a[0][0] != '#') {
		ret = call_name(a[0], a + 1, n - 1);
		if (ret == 1)
			ret = call_held(a[0], a + 1, n - 1);
		if (ret == 1)
			errx(2, "no such call, or another number of arguments: %s", copy);
		copy[strcspn(copy, "\n")] = '\0';
		printf("%s: %s\n", copy + strspn(copy, " \t"), ret < 0 ? strerrorname_np(errno) : said[0] ? said : "ok");
	}
	free(copy);
}

int main(int argc, char **argv)
{
	char *line = NULL;
	size_t cap = 0;

	if (argc != 2)
		errx(2, "usage: posixtool DIR < SCRIPT");
	umask(022);
	if (chdir(argv[1]) < 0)
		err(2, "%s", argv[1]);
	while (getline(&line, &cap, stdin) > 0)
		run(line);
	free(line);
	/* A sanitizer has the last word, and writes it where others may not. */
	return seteuid(0) < 0 && getuid() == 0;
}
