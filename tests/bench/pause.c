/* pause.c -- how long each call of one writer takes as long as a command runs.
 *
 *      pause keys HISTOGRAM KEYS TARGET COMMAND...     overwrites random ones of KEYS keys
 *      pause value HISTOGRAM FILE COMMAND...           writes 4 KiB at random places of FILE
 *
 * Output: <calls> <mean µs> <p50 µs> <p99 µs> <p99.9 µs> <longest µs>.
 * In the file HISTOGRAM, one line a bucket: <µs it begins at> <calls in it>; four buckets double the time.             */
#include "tests/bench/target.h"

#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALLS_MAX = 1 << 24, WARM_UP = 2000, PIECE = 4096, BUCKETS = 128, BUCKETS_A_DOUBLING = 4 };

struct writer {
	struct target target;      /* name NULL: the file */
	uint64_t places;           /* keys, or pieces of the file */
	int fd;
	char piece[PIECE];
	uint64_t state;
};

static uint64_t next_random(struct writer *w)
{
	w->state = w->state * 6364136223846793005u + 1442695040888963407u;
	return w->state >> 33;
}

static void write_once(struct writer *w)
{
	uint64_t place = next_random(w) % w->places;
	if (w->target.name)
		target_do(&w->target, OP_OVERWRITE, place);
	else if (pwrite(w->fd, w->piece, PIECE, (off_t)(place * PIECE)) != PIECE)
		err(1, "write");
}

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

static void write_histogram(const char *path, const double *us, uint64_t calls)
{
	uint64_t buckets[BUCKETS] = {0};
	FILE *f = fopen(path, "w");
	if (!f)
		err(1, "%s", path);
	for (uint64_t i = 0; i < calls; i++) {
		int at = us[i] < 1 ? 0 : (int)(log2(us[i]) * BUCKETS_A_DOUBLING);
		buckets[at < BUCKETS ? at : BUCKETS - 1]++;
	}
	for (int i = 0; i < BUCKETS; i++)
		if (buckets[i])
			fprintf(f, "%.2f %" PRIu64 "\n", exp2((double)i / BUCKETS_A_DOUBLING), buckets[i]);
	if (fclose(f) != 0)
		err(1, "%s", path);
}

static void run(struct writer *w, const char *histogram, char **command)
{
	double *us = malloc(CALLS_MAX * sizeof *us), sum = 0;
	uint64_t calls = 0;
	int status = 0;
	pid_t pid = 0;
	if (!us)
		err(1, "memory");
	for (uint64_t i = 0; calls < CALLS_MAX; i++) {
		if (i == WARM_UP)
			pid = spawn(command);
		int64_t start = now_ns();
		write_once(w);
		if (i < WARM_UP)
			continue;
		us[calls++] = (double)(now_ns() - start) / 1000.0;
		if (calls % 16 == 0 && waitpid(pid, &status, WNOHANG) == pid)
			break;
	}
	if (calls == CALLS_MAX)
		errx(1, "%s takes too long", command[0]);
	if (status != 0)
		errx(1, "%s failed", command[0]);
	qsort(us, calls, sizeof *us, compare_doubles);
	for (uint64_t i = 0; i < calls; i++)
		sum += us[i];
	printf("%" PRIu64 " %.2f %.1f %.1f %.1f %.1f\n", calls, sum / (double)calls, us[calls / 2], us[calls - calls / 100 - 1],
	       us[calls - calls / 1000 - 1], us[calls - 1]);
	write_histogram(histogram, us, calls);
	free(us);
}

int main(int argc, char **argv)
{
	static struct writer w = {.state = 1};
	struct stat st;
	if (argc > 5 && !strcmp(argv[1], "keys")) {
		w.places = number(argv[3]);
		target_open(&w.target, argv[4]);
		run(&w, argv[2], argv + 5);
		target_close(&w.target);
		return 0;
	}
	if (argc < 5 || strcmp(argv[1], "value") != 0)
		errx(2, "usage: pause keys HISTOGRAM KEYS TARGET COMMAND... | pause value HISTOGRAM FILE COMMAND...");
	w.fd = open(argv[3], O_WRONLY | O_CLOEXEC);
	if (w.fd < 0 || fstat(w.fd, &st) < 0)
		err(1, "%s", argv[3]);
	w.places = (uint64_t)st.st_size / PIECE;
	if (w.places == 0)
		errx(1, "%s: too short", argv[3]);
	for (int i = 0; i < PIECE; i++)
		w.piece[i] = (char)next_random(&w);
	run(&w, argv[2], argv + 4);
	close(w.fd);
	return 0;
}
