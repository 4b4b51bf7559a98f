/* values.c -- what the size of a value costs.
 *
 *      values table SIZE BYTES ROUNDS NAME=DIR...     files of SIZE bytes, at most BYTES and 1000 of them: written, read cold, read again
 *      values append STEP SIZE WINDOWS FILE           FILE grows to SIZE by appending STEP bytes at a time
 *
 * table: within a round each target has its turn, and every round starts with another.  A write cuts the file first, and large values are
 * written and read 1 MiB a call.  Cold is after posix_fadvise(2) has dropped the file's pages; the name stays known.
 *
 * Output of table, one line each: <name> <SIZE> write|cold|cached <MB/s, median of the rounds>.
 * Output of append, one line a window: <bytes of FILE at its end> <µs an append>.                                                        */
#include "tests/bench/target.h"

#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 1 << 20, FILES_MAX = 1000, ROUNDS_MAX = 101, WINDOWS_MAX = 1024, SILENCE_NS = 80 * 1000 * 1000 };
enum what { WRITE, COLD, CACHED, WHATS };

static const char *const what_names[WHATS] = {"write", "cold", "cached"};
static char piece[PIECE];

struct place {
	const char *name;          /* as it was given, up to '=' */
	int dir;
	double mb_s[WHATS][ROUNDS_MAX];
};

static void fill_piece(void)
{
	uint64_t state = 7;
	for (size_t i = 0; i < PIECE; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		piece[i] = (char)(state >> 56);
	}
}

static void write_file(int dir, const char *name, uint64_t size)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		err(1, "open %s", name);
	for (uint64_t at = 0; at < size;) {
		size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;
		if (write(fd, piece, n) != (ssize_t)n)
			err(1, "write %s", name);
		at += n;
	}
	close(fd);
}

static void read_file(int dir, const char *name, uint64_t size)
{
	static char buf[PIECE];
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	uint64_t at = 0;
	ssize_t n;
	if (fd < 0)
		err(1, "open %s", name);
	while (at < size && (n = read(fd, buf, PIECE)) > 0)
		at += (uint64_t)n;
	if (at != size)
		errx(1, "%s: %" PRIu64 " bytes", name, at);
	close(fd);
}

static void drop_file(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err(1, "open %s", name);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

static double measure(int dir, enum what what, uint64_t size, uint64_t files)
{
	char name[NAME_SIZE];
	if (what == COLD) {
		for (uint64_t i = 0; i < files; i++) {
			key_name(name, i);
			drop_file(dir, name);
		}
	}
	int64_t start = now_ns();
	for (uint64_t i = 0; i < files; i++) {
		key_name(name, i);
		if (what == WRITE)
			write_file(dir, name, size);
		else
			read_file(dir, name, size);
	}
	return (double)(files * size) * 1000.0 / (double)(now_ns() - start);
}

static void remove_files(int dir, uint64_t files)
{
	char name[NAME_SIZE];
	for (uint64_t i = 0; i < files; i++) {
		key_name(name, i);
		unlinkat(dir, name, 0);
	}
}

static int table(int argc, char **argv)
{
	struct timespec silence = {.tv_nsec = SILENCE_NS};
	uint64_t size = number(argv[0]), files = number(argv[1]) / size, rounds = number(argv[2]);
	int count = argc - 3;
	struct place *places = calloc((size_t)count, sizeof *places);
	if (!places || rounds > ROUNDS_MAX)
		errx(2, "too many rounds");
	files = files < 1 ? 1 : files > FILES_MAX ? FILES_MAX : files;
	for (int i = 0; i < count; i++) {
		char *equal = strchr(argv[3 + i], '=');
		places[i].dir = equal ? open(equal + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
		if (places[i].dir < 0)
			err(1, "%s", argv[3 + i]);
		*equal = '\0';
		places[i].name = argv[3 + i];
	}
	for (uint64_t round = 0; round < rounds; round++) {
		for (int i = 0; i < count; i++) {
			struct place *p = &places[((uint64_t)i + round) % (uint64_t)count];
			for (int what = 0; what < WHATS; what++)
				p->mb_s[what][round] = measure(p->dir, what, size, files);
			nanosleep(&silence, NULL);
		}
	}
	for (int i = 0; i < count; i++) {
		for (int what = 0; what < WHATS; what++) {
			qsort(places[i].mb_s[what], rounds, sizeof(double), compare_doubles);
			printf("%s %" PRIu64 " %s %.3f\n", places[i].name, size, what_names[what], places[i].mb_s[what][rounds / 2]);
		}
		remove_files(places[i].dir, files);
		close(places[i].dir);
	}
	free(places);
	return 0;
}

static int append(char **argv)
{
	uint64_t step = number(argv[0]), size = number(argv[1]), windows = number(argv[2]), at = 0;
	int fd = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0 || step > PIECE || windows > WINDOWS_MAX)
		err(1, "%s", argv[3]);
	for (uint64_t w = 1; w <= windows; w++) {
		uint64_t calls = 0;
		int64_t start = now_ns();
		for (; at < size / windows * w; at += step, calls++)
			if (write(fd, piece, step) != (ssize_t)step)
				err(1, "write");
		if (calls > 0)
			printf("%" PRIu64 " %.2f\n", at, (double)(now_ns() - start) / 1000.0 / (double)calls);
	}
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	fill_piece();
	if (argc > 5 && !strcmp(argv[1], "table"))
		return table(argc - 2, argv + 2);
	if (argc == 6 && !strcmp(argv[1], "append"))
		return append(argv + 2);
	errx(2, "usage: values table SIZE BYTES ROUNDS NAME=DIR... | values append STEP SIZE WINDOWS FILE");
}
