/* fill.c -- many keys, quickly: "key:000000000000" and up, each with 100 random bytes, always the same ones.
 *
 *      fill redis KEYS TARGET      into a redis-server, 500 commands a time
 *      fill rdb KEYS PREFIX        as an RDB file, to standard output; PREFIX before each name ("" for none)
 *      fill names KEYS DIR         as empty files in the directory DIR                                                     */
#include "tests/bench/target.h"

#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIPELINE = 500, COMMAND_MAX = 256, PREFIX_MAX = 32, RDB_TYPE_STRING = 0, RDB_SELECT = 0xfe, RDB_RESIZE = 0xfb, RDB_END = 0xff };

static void next_value(void)
{
	static uint64_t state = 7;
	for (int i = 0; i < VALUE_SIZE; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		value[i] = (char)(state >> 56);
	}
}

static void fill_redis(uint64_t keys, const char *text)
{
	char *buf = malloc(PIPELINE * COMMAND_MAX), name[NAME_SIZE], replies[5 * PIPELINE];
	struct target t;
	if (!buf)
		err(1, "memory");
	target_open(&t, text);
	if (t.kind != TARGET_REDIS)
		errx(2, "%s: not a redis-server", text);
	for (uint64_t i = 0; i < keys;) {
		size_t len = 0, sent = 0;
		for (; sent < PIPELINE && i < keys; sent++, i++) {
			next_value();
			key_name(name, i);
			len += redis_put(buf + len, COMMAND_MAX, "SET", name, true);
		}
		redis_send(t.fd, buf, len);
		for (size_t got = 0; got < sent * 5;) {  /* "+OK\r\n" */
			ssize_t n = read(t.fd, replies, sent * 5 - got);
			if (n <= 0 || memchr(replies, '-', (size_t)n))
				errx(1, "redis refused");
			got += (size_t)n;
		}
	}
	target_close(&t);
	free(buf);
}

/* As RDB has lengths up to 2^32 - 1. */
static void put_length(uint64_t n)
{
	if (n < 64) {
		putchar_unlocked((int)n);
		return;
	}
	putchar_unlocked(0x80);
	for (int shift = 24; shift >= 0; shift -= 8)
		putchar_unlocked((int)(n >> shift & 0xff));
}

static void put_string(const char *data, size_t len)
{
	put_length(len);
	fwrite_unlocked(data, 1, len, stdout);
}

/* Without checksum, as `rdbchecksum no` writes it. */
static void fill_rdb(uint64_t keys, const char *prefix)
{
	char name[PREFIX_MAX + NAME_SIZE];
	if (keys > UINT32_MAX || strlen(prefix) >= PREFIX_MAX)
		errx(2, "too many keys, or too long a prefix");
	fputs("REDIS0009", stdout);
	putchar(RDB_SELECT);
	put_length(0);
	putchar(RDB_RESIZE);
	put_length(keys);
	put_length(0);
	strcpy(name, prefix);
	for (uint64_t i = 0; i < keys; i++) {
		key_name(name + strlen(prefix), i);
		next_value();
		putchar_unlocked(RDB_TYPE_STRING);
		put_string(name, strlen(name));
		put_string(value, VALUE_SIZE);
	}
	putchar(RDB_END);
	for (int i = 0; i < 8; i++)
		putchar(0);
	if (fflush(stdout) != 0 || ferror(stdout))
		err(1, "standard output");
}

static void fill_names(uint64_t keys, const char *path)
{
	char name[NAME_SIZE];
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		err(1, "%s", path);
	for (uint64_t i = 0; i < keys; i++) {
		key_name(name, i);
		if (mknodat(dir, name, S_IFREG | 0644, 0) < 0)
			err(1, "%s", name);
	}
	close(dir);
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "redis"))
		fill_redis(number(argv[2]), argv[3]);
	else if (argc == 4 && !strcmp(argv[1], "rdb"))
		fill_rdb(number(argv[2]), argv[3]);
	else if (argc == 4 && !strcmp(argv[1], "names"))
		fill_names(number(argv[2]), argv[3]);
	else
		errx(2, "usage: fill redis|rdb|names KEYS WHERE");
	return 0;
}
