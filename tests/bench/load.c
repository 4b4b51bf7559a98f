/* load.c -- load TIMES DIR...: what a start spends on the data directory DIR before the mount.
 *
 * Each run takes a new process, as a start does.  A run reads DIR as recover.h says (a torn tail would be cut).
 *
 * Output, one line a run: <dir> <keys> <seconds> <CPU seconds> <of these the loading thread's> <page faults> <peak memory, kB>.  */
#include "persist/recover.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void log_line(void *ctx, enum persist_log_level level, const char *line)
{
	(void)ctx, (void)level;
	fprintf(stderr, "%s\n", line);
}

static double cpu_seconds(const struct rusage *u)
{
	return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) + (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1e6;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Ends the process, as freeing the keyspace is no part of a start. */
static void load(const char *dir)
{
	struct keyspace_options options = {.hash_seed = {1, 2}, .value_max = 1 << 30, .root_mode = 0755, .now_ns = 1};
	struct persist_config config = {
	    .dir = dir, .dbfilename = "dump.rdb", .appenddirname = "appendonlydir", .appendfilename = "appendonly.aof",
	    .journal_dir = "", .appendonly = true, .aof_load_truncated = true, .aof_use_rdb_preamble = true,
	};
	struct persist_port port = {.log = log_line};
	struct recovery recovery;
	struct error e = {0};
	struct keyspace *ks;
	struct rusage used, thread;
	double start;
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir_fd < 0)
		err(1, "%s", dir);
	start = now();
	if (keyspace_new(&options, &ks) < 0)
		errx(1, "out of memory");
	if (recover(&config, dir_fd, ks, &port, &recovery, &e) < 0)
		errx(1, "%s", e.text);
	getrusage(RUSAGE_SELF, &used);
	getrusage(RUSAGE_THREAD, &thread);
	printf("%s %" PRIu64 " %.3f %.3f %.3f %ld %ld\n", dir, recovery.keys_loaded, now() - start, cpu_seconds(&used),
	       cpu_seconds(&thread), used.ru_minflt, used.ru_maxrss);
	fflush(stdout);
	_exit(0);
}

int main(int argc, char **argv)
{
	char *end = "";
	long times = argc > 2 ? strtol(argv[1], &end, 10) : 0, i;
	int status, k;
	pid_t pid;

	if (times < 1 || times > 1000 || *end != '\0')
		errx(2, "usage: load TIMES DIR...");
	for (i = 0; i < times; i++) {
		for (k = 2; k < argc; k++) {
			pid = fork();
			if (pid < 0)
				err(1, "fork");
			if (pid == 0)
				load(argv[k]);
			if (waitpid(pid, &status, 0) != pid || status != 0)
				return 1;
		}
	}
	return 0;
}
