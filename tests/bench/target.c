/* target.c -- see target.h. */
#include "tests/bench/target.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { REPLY_MAX = 4096 };

const char *const operation_names[OPERATIONS] = {"new", "overwrite", "first_get", "get_again", "stat", "append", "delete", "write"};
char value[VALUE_SIZE];

int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

uint64_t number(const char *text)
{
	char *end;
	errno = 0;
	uint64_t n = strtoull(text, &end, 10);
	if (errno || end == text || *end || n == 0)
		errx(2, "%s: not a number above 0", text);
	return n;
}

void key_name(char name[NAME_SIZE], uint64_t key)
{
	snprintf(name, NAME_SIZE, "key:%012" PRIu64, key);
}

int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
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
	case OP_WRITE:
		file_write(dir, name, 0);
		break;
	case OPERATIONS:
		break;
	}
}

/* ---- a redis-server ---- */

void redis_send(int fd, const char *data, size_t len)
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

size_t redis_put(char *out, size_t cap, const char *word, const char *key, bool with_value)
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
	} commands[] = {
	    [OP_NEW] = {"SET", true, '+'},       [OP_OVERWRITE] = {"SET", true, '+'}, [OP_FIRST_GET] = {"GET", false, '$'},
	    [OP_GET_AGAIN] = {"GET", false, '$'}, [OP_STAT] = {"STRLEN", false, ':'},  [OP_APPEND] = {"APPEND", true, ':'},
	    [OP_DELETE] = {"DEL", false, ':'},   [OP_WRITE] = {"SET", true, '+'},
	};
	char buf[512];
	redis_send(fd, buf, redis_put(buf, sizeof buf, commands[op].word, name, commands[op].with_value));
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

/* ---- either ---- */

void target_open(struct target *t, const char *text)
{
	const char *colon = strchr(text, ':'), *equal = colon ? strchr(colon, '=') : NULL, *at = colon ? strchr(colon, '@') : NULL;
	if (!equal)
		errx(2, "%s: not KIND:NAME=PATH", text);
	if (!at || at > equal)
		at = NULL;
	*t = (struct target){.kind = text[0] == 'f' ? TARGET_FUSE : text[0] == 'd' ? TARGET_DIR : TARGET_REDIS};
	t->name = strndup(colon + 1, (size_t)((at ? at : equal) - colon - 1));
	t->fd = t->kind == TARGET_REDIS ? redis_connect(equal + 1) : open(equal + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!t->name || t->fd < 0)
		err(1, "%s", equal + 1);
	if (at && clock_getcpuclockid((pid_t)strtol(at + 1, NULL, 10), &t->cpu) != 0)
		errx(1, "%s: no such process", text);
	t->has_cpu = at != NULL;
	for (int i = 0; i < VALUE_SIZE; i++)
		value[i] = (char)('a' + (i * 7 + i / 26) % 26);
}

void target_close(struct target *t)
{
	close(t->fd);
	free(t->name);
}

void target_do(const struct target *t, enum operation op, uint64_t key)
{
	char name[NAME_SIZE];
	key_name(name, key);
	if (t->kind == TARGET_REDIS)
		redis_do(t->fd, op, name);
	else
		file_do(t->fd, op, name);
}

int64_t target_cpu_ns(const struct target *t)
{
	struct timespec used = {0};
	if (t->has_cpu && clock_gettime(t->cpu, &used) < 0)
		err(1, "%s: its CPU time", t->name);
	return used.tv_sec * 1000000000LL + used.tv_nsec;
}
