/* ops.c -- the client of the benchmarks: the same operations on directories and on a redis-server.
 *
 *      ops table KEYS ROUNDS TARGET...      µs an operation: each target, each operation, median of the rounds
 *      ops pause KEYS TARGET COMMAND...     overwrites random ones of KEYS keys as long as COMMAND runs; the longest call
 *      ops fill KEYS TARGET                 (redis only) KEYS keys of 16-byte names and 100 random bytes
 *
 *      TARGET    fuse:NAME=DIR    dir:NAME=DIR    redis:NAME=SOCKET
 *
 * table: within a round each operation goes over all targets before the next operation begins, and every round starts with
 * another target, so that whatever else the machine does hits all alike.  Before `first get` the kernel's caches of names
 * and inodes are dropped (root only), as that is what "first" means to a FUSE filesystem; targets of kind dir and redis are
 * read before that, since their data is not behind a message but in these very caches.
 * After a fuse target there is a moment of silence: a daemon that keeps the CPUs awake does so beyond its last request.
 *
 * Output, one line each: <target> <operation> <µs>.   pause: <target> <calls> <p99.9 µs> <longest µs>.                 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { VALUE_SIZE = 100, NAME_SIZE = 32, ROUNDS_MAX = 101, REPLY_MAX = 4096, SILENCE_NS = 200 * 1000 * 1000 };
enum target_kind { TARGET_FUSE, TARGET_DIR, TARGET_REDIS };
enum operation { OP_NEW, OP_OVERWRITE, OP_FIRST_GET, OP_GET_AGAIN, OP_STAT, OP_APPEND, OP_DELETE, OPERATIONS };

static const char *const operation_names[OPERATIONS] = {"new", "overwrite", "first_get", "get_again", "stat", "append", "delete"};

struct target {
	enum target_kind kind;
	char *name;                /* owned */
	int fd;                    /* the directory or the socket */
	double us[OPERATIONS][ROUNDS_MAX];
};

static char value[VALUE_SIZE];

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static uint64_t number(const char *text)
{
	char *end;
	errno = 0;
	uint64_t n = strtoull(text, &end, 10);
	if (errno || end == text || *end || n == 0)
		errx(2, "%s: not a number above 0", text);
	return n;
}

static void key_name(char name[NAME_SIZE], uint64_t key)
{
	snprintf(name, NAME_SIZE, "key:%012" PRIu64, key);
}

/* ---- a directory ---- */

static void file_write(int dir, const char *name, int flags)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC | flags, 0644);
	if (fd < 0)
		err(1, "open %s", name);
	if (write(fd, value, VALUE_SIZE) != VALUE_SIZE)
		err(1, "write %s", name);
	close(fd);
}

static void file_read(int dir, const char *name)
{
	char buf[4096];
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err(1, "open %s", name);
	if (read(fd, buf, sizeof buf) != VALUE_SIZE)
		errx(1, "%s: not %d bytes", name, VALUE_SIZE);
	close(fd);
}

static void file_stat(int dir, const char *name, off_t size)
{
	struct stat st;
	if (fstatat(dir, name, &st, 0) < 0)
		err(1, "stat %s", name);
	if (st.st_size != size)
		errx(1, "%s: size %jd", name, (intmax_t)st.st_size);
}

static void file_do(int dir, enum operation op, const char *name)
{
	switch (op) {
	case OP_NEW:
		file_write(dir, name, O_CREAT | O_TRUNC);
		break;
	case OP_OVERWRITE:
		file_write(dir, name, O_CREAT | O_TRUNC);
		break;
	case OP_FIRST_GET:
	case OP_GET_AGAIN:
		file_read(dir, name);
		break;
	case OP_STAT:
		file_stat(dir, name, VALUE_SIZE);
		break;
	case OP_APPEND:
		file_write(dir, name, O_APPEND);
		break;
	case OP_DELETE:
		if (unlinkat(dir, name, 0) < 0)
			err(1, "unlink %s", name);
		break;
	case OPERATIONS:
		break;
	}
}

/* ---- a redis-server ---- */

static void send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);
		if (n <= 0)
			err(1, "redis");
		data += n;
		len -= (size_t)n;
	}
}

/* Reads one reply of the given first byte. */
static void expect_reply(int fd, char type)
{
	char buf[REPLY_MAX];
	size_t have = 0, want = SIZE_MAX;
	while (have < want) {
		ssize_t n = read(fd, buf + have, sizeof buf - have);
		if (n <= 0)
			err(1, "redis");
		have += (size_t)n;
		char *line = memchr(buf, '\n', have);
		if (want != SIZE_MAX || !line)
			continue;
		if (buf[0] != type)
			errx(1, "redis: %.*s", (int)(line - buf), buf);
		want = (size_t)(line - buf) + 1;
		if (type == '$')
			want += strtoull(buf + 1, NULL, 10) + 2;
	}
}

static size_t put_command(char *out, size_t cap, const char *word, const char *key, bool with_value)
{
	int n = snprintf(out, cap, "*%d\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", with_value ? 3 : 2, strlen(word), word, strlen(key), key);
	if (!with_value)
		return (size_t)n;
	n += snprintf(out + n, cap - (size_t)n, "$%d\r\n", VALUE_SIZE);
	memcpy(out + n, value, VALUE_SIZE);
	memcpy(out + n + VALUE_SIZE, "\r\n", 2);
	return (size_t)n + VALUE_SIZE + 2;
}

static void redis_do(int fd, enum operation op, const char *name)
{
	static const struct {
		const char *word;
		bool with_value;
		char reply;
	} commands[OPERATIONS] = {
	    [OP_NEW] = {"SET", true, '+'},       [OP_OVERWRITE] = {"SET", true, '+'}, [OP_FIRST_GET] = {"GET", false, '$'},
	    [OP_GET_AGAIN] = {"GET", false, '$'}, [OP_STAT] = {"STRLEN", false, ':'},  [OP_APPEND] = {"APPEND", true, ':'},
	    [OP_DELETE] = {"DEL", false, ':'},
	};
	char buf[512];
	send_all(fd, buf, put_command(buf, sizeof buf, commands[op].word, name, commands[op].with_value));
	expect_reply(fd, commands[op].reply);
}

static int redis_connect(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || strlen(path) >= sizeof addr.sun_path)
		errx(1, "%s: no socket, or its path is too long", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0)
		err(1, "%s", path);
	return fd;
}

static void target_open(struct target *t, const char *text)
{
	const char *colon = strchr(text, ':'), *equal = colon ? strchr(colon, '=') : NULL;
	if (!equal)
		errx(2, "%s: not KIND:NAME=PATH", text);
	t->kind = text[0] == 'f' ? TARGET_FUSE : text[0] == 'd' ? TARGET_DIR : TARGET_REDIS;
	t->name = strndup(colon + 1, (size_t)(equal - colon - 1));
	t->fd = t->kind == TARGET_REDIS ? redis_connect(equal + 1) : open(equal + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!t->name || t->fd < 0)
		err(1, "%s", equal + 1);
}

static void target_do(const struct target *t, enum operation op, uint64_t key)
{
	char name[NAME_SIZE];
	key_name(name, key);
	if (t->kind == TARGET_REDIS)
		redis_do(t->fd, op, name);
	else
		file_do(t->fd, op, name);
}

/* ---- table ---- */

static void silence(void)
{
	struct timespec t = {.tv_nsec = SILENCE_NS};
	nanosleep(&t, NULL);
}

static bool drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool done = write(fd, "2", 1) == 1;
	close(fd);
	silence();
	return done;
}

static double batch_us(const struct target *t, enum operation op, uint64_t keys)
{
	if (op == OP_STAT)  /* what is measured is the second look */
		for (uint64_t i = 0; i < keys; i++)
			target_do(t, op, i);
	int64_t start = now_ns();
	for (uint64_t i = 0; i < keys; i++)
		target_do(t, op, i);
	double us = (double)(now_ns() - start) / 1000.0 / (double)keys;
	if (t->kind == TARGET_FUSE)
		silence();
	return us;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void run_operation(struct target *targets, int count, enum operation op, uint64_t keys, int round)
{
	for (int pass = 0; pass < 2; pass++) {
		if (pass == 1 && op == OP_FIRST_GET && !drop_caches())
			warnx("the caches can't be dropped: first get is not what it says");
		for (int i = 0; i < count; i++) {
			struct target *t = &targets[(i + round) % count];
			if ((t->kind == TARGET_FUSE) == (pass == 1))
				t->us[op][round] = batch_us(t, op, keys);
		}
	}
}

static int cmd_table(int argc, char **argv)
{
	if (argc < 3)
		errx(2, "table KEYS ROUNDS TARGET...");
	uint64_t keys = number(argv[0]), rounds = number(argv[1]);
	int count = argc - 2;
	struct target *targets = calloc((size_t)count, sizeof *targets);
	if (!targets || rounds > ROUNDS_MAX)
		errx(1, "too many rounds or targets");
	for (int i = 0; i < count; i++)
		target_open(&targets[i], argv[2 + i]);
	for (uint64_t round = 0; round < rounds; round++)
		for (int op = 0; op < OPERATIONS; op++)
			run_operation(targets, count, (enum operation)op, keys, (int)round);
	for (int i = 0; i < count; i++) {
		for (int op = 0; op < OPERATIONS; op++) {
			qsort(targets[i].us[op], rounds, sizeof(double), compare_doubles);
			printf("%s %s %.2f\n", targets[i].name, operation_names[op], targets[i].us[op][rounds / 2]);
		}
		close(targets[i].fd);
		free(targets[i].name);
	}
	free(targets);
	return 0;
}

/* ---- pause ---- */

static pid_t spawn(char **argv)
{
	pid_t pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid > 0)
		return pid;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null >= 0)
		dup2(null, STDOUT_FILENO);
	execvp(argv[0], argv);
	err(127, "%s", argv[0]);
}

static int cmd_pause(int argc, char **argv)
{
	enum { CALLS_MAX = 1 << 22, WARM_UP = 2000 };
	if (argc < 3)
		errx(2, "pause KEYS TARGET COMMAND...");
	uint64_t keys = number(argv[0]), calls = 0, state = 1;
	struct target *t = calloc(1, sizeof *t);
	double *us = malloc(CALLS_MAX * sizeof *us);
	int status = 0;
	pid_t pid = 0;
	if (!t || !us)
		err(1, "memory");
	target_open(t, argv[1]);
	for (uint64_t i = 0; calls < CALLS_MAX; i++) {
		if (i == WARM_UP)
			pid = spawn(argv + 2);
		state = state * 6364136223846793005u + 1442695040888963407u;
		int64_t start = now_ns();
		target_do(t, OP_OVERWRITE, (state >> 33) % keys);
		if (i < WARM_UP)
			continue;
		us[calls++] = (double)(now_ns() - start) / 1000.0;
		if (calls % 16 == 0 && waitpid(pid, &status, WNOHANG) == pid)
			break;
	}
	if (status != 0)
		errx(1, "%s failed", argv[2]);
	qsort(us, calls, sizeof *us, compare_doubles);
	printf("%s %" PRIu64 " %.0f %.0f\n", t->name, calls, us[calls - calls / 1000 - 1], us[calls - 1]);
	close(t->fd);
	free(t->name);
	free(t);
	free(us);
	return 0;
}

/* ---- fill ---- */

static int cmd_fill(int argc, char **argv)
{
	enum { PIPELINE = 500, COMMAND_MAX = 256 };
	char *buf = malloc(PIPELINE * COMMAND_MAX), name[NAME_SIZE];
	uint64_t state = 7;
	struct target *t = calloc(1, sizeof *t);
	if (argc != 2 || !buf || !t)
		errx(2, "fill KEYS TARGET");
	uint64_t keys = number(argv[0]);
	target_open(t, argv[1]);
	if (t->kind != TARGET_REDIS)
		errx(2, "fill: a redis-server only");
	for (uint64_t i = 0; i < keys;) {
		size_t len = 0, sent = 0;
		char replies[5 * PIPELINE];
		for (; sent < PIPELINE && i < keys; sent++, i++) {
			for (int k = 0; k < VALUE_SIZE; k++) {
				state = state * 6364136223846793005u + 1442695040888963407u;
				value[k] = (char)(state >> 56);
			}
			key_name(name, i);
			len += put_command(buf + len, COMMAND_MAX, "SET", name, true);
		}
		send_all(t->fd, buf, len);
		for (size_t got = 0; got < sent * 5;) {  /* "+OK\r\n" */
			ssize_t n = read(t->fd, replies, sent * 5 - got);
			if (n <= 0 || memchr(replies, '-', (size_t)n))
				errx(1, "redis refused");
			got += (size_t)n;
		}
	}
	close(t->fd);
	free(t->name);
	free(t);
	free(buf);
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 0; i < VALUE_SIZE; i++)
		value[i] = (char)('a' + (i * 7 + i / 26) % 26);
	if (argc > 2 && !strcmp(argv[1], "table"))
		return cmd_table(argc - 2, argv + 2);
	if (argc > 2 && !strcmp(argv[1], "pause"))
		return cmd_pause(argc - 2, argv + 2);
	if (argc > 2 && !strcmp(argv[1], "fill"))
		return cmd_fill(argc - 2, argv + 2);
	errx(2, "usage: ops table|pause|fill ARG...");
}
