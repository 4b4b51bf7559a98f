/* stalls.c -- stalls SECONDS: how long the machine itself stands still.
 *
 * A busy loop on each CPU, for so long, looks at the clock: a virtual machine that has used up its share of the host's CPUs is not run for a while, and
 * no program in it can be quicker than that.
 *
 * Output: the longest time that a loop did not run, ms.                                                                          */
#include "tests/bench/target.h"

#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum { CPUS_MAX = 256 };

static int64_t end_ns;

static void *loop(void *ret_longest)
{
	int64_t longest = 0, last = now_ns();

	while (last < end_ns) {
		int64_t now = now_ns();
		if (now - last > longest)
			longest = now - last;
		last = now;
	}
	*(int64_t *)ret_longest = longest;
	return NULL;
}

int main(int argc, char **argv)
{
	static pthread_t thread[CPUS_MAX];
	static int64_t longest[CPUS_MAX];
	int64_t most = 0;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (argc != 2)
		errx(2, "usage: stalls SECONDS");
	if (cpus > CPUS_MAX)
		cpus = CPUS_MAX;
	end_ns = now_ns() + (int64_t)number(argv[1]) * 1000000000;
	for (long i = 0; i < cpus; i++)
		if (pthread_create(&thread[i], NULL, loop, &longest[i]) != 0)
			errx(1, "threads");
	for (long i = 0; i < cpus; i++) {
		pthread_join(thread[i], NULL);
		if (longest[i] > most)
			most = longest[i];
	}
	printf("%.1f\n", (double)most / 1e6);
	return 0;
}
