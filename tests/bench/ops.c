/* ops.c -- µs an operation: each target, each operation, median of the rounds.
 *
 *      ops table BATCH ROUNDS TARGET...       BATCH new keys: made, overwritten, read, ..., removed
 *      ops spread BATCH ROUNDS TARGET...      BATCH keys out of those that are there.  NAME of each target is how many it holds
 *
 * Within a round each operation goes over all targets before the next operation begins, and every round starts with
 * another target, so that whatever else the machine does hits all alike.  Before `first get` the kernel's caches of names
 * and inodes are dropped (root only), as that is what "first" means to a FUSE filesystem; targets of kind dir and redis are
 * read before that, since their data is not behind a message but in these very caches.
 * After a fuse target there is a moment of silence: a daemon that keeps the CPUs awake does so beyond its last request.
 *
 * Output, one line each: <target> <operation> <µs> <µs of CPU of its process, 0: not asked for>.                          */
#include "tests/bench/target.h"

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS_MAX = 101, TARGETS_MAX = 16, SILENCE_NS = 80 * 1000 * 1000 };
/* Coprime to whatever number of keys: BATCH steps of it meet each key at most once, and no neighbours. */
static const uint64_t stride = 2654435761u;

struct column {
	struct target target;
	uint64_t keys;             /* the batch is taken out of so many */
	double us[OPERATIONS][ROUNDS_MAX], cpu_us[OPERATIONS][ROUNDS_MAX];
};

struct table {
	const enum operation *ops; /* in this order; ends with OPERATIONS */
	uint64_t batch;
	int rounds, count;
	struct column *columns;
};

static const enum operation table_ops[] = {OP_NEW, OP_OVERWRITE, OP_FIRST_GET, OP_GET_AGAIN, OP_STAT, OP_APPEND, OP_DELETE, OPERATIONS};
/* What is removed is made again, so that a round leaves as many as it found. */
static const enum operation spread_ops[] = {OP_OVERWRITE, OP_FIRST_GET, OP_GET_AGAIN, OP_DELETE, OP_NEW, OPERATIONS};

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

static uint64_t batch_of(const struct column *c, uint64_t batch)
{
	return batch < c->keys ? batch : c->keys;
}

static void each_key(const struct column *c, enum operation op, uint64_t batch)
{
	for (uint64_t i = 0; i < batch; i++)
		target_do(&c->target, op, c->keys == batch ? i : i * stride % c->keys);
}

static void measure(struct column *c, enum operation op, uint64_t batch, int round)
{
	if (op == OP_STAT)  /* what is measured is the second look */
		each_key(c, op, batch);
	int64_t cpu = target_cpu_ns(&c->target), start = now_ns();
	each_key(c, op, batch);
	c->us[op][round] = (double)(now_ns() - start) / 1000.0 / (double)batch;
	if (c->target.kind == TARGET_FUSE)
		silence();
	c->cpu_us[op][round] = (double)(target_cpu_ns(&c->target) - cpu) / 1000.0 / (double)batch;
}

static void run_operation(struct table *t, enum operation op, int round)
{
	for (int pass = 0; pass < 2; pass++) {
		if (pass == 1 && op == OP_FIRST_GET && !drop_caches())
			warnx("the caches can't be dropped: first get is not what it says");
		for (int i = 0; i < t->count; i++) {
			struct column *c = &t->columns[(i + round) % t->count];
			if ((c->target.kind == TARGET_FUSE) == (pass == 1))
				measure(c, op, batch_of(c, t->batch), round);
		}
	}
}

static double median(double *values, int count)
{
	qsort(values, (size_t)count, sizeof *values, compare_doubles);
	return values[count / 2];
}

static void print(struct table *t)
{
	for (int i = 0; i < t->count; i++) {
		struct column *c = &t->columns[i];
		for (const enum operation *op = t->ops; *op != OPERATIONS; op++)
			printf("%s %s %.2f %.2f\n", c->target.name, operation_names[*op], median(c->us[*op], t->rounds), median(c->cpu_us[*op], t->rounds));
		target_close(&c->target);
	}
}

int main(int argc, char **argv)
{
	bool spread = argc > 4 && !strcmp(argv[1], "spread");
	if (argc < 5 || (!spread && strcmp(argv[1], "table") != 0))
		errx(2, "usage: ops table|spread BATCH ROUNDS TARGET...");
	struct table t = {.ops = spread ? spread_ops : table_ops, .batch = number(argv[2]), .rounds = (int)number(argv[3]), .count = argc - 4};
	t.columns = calloc((size_t)t.count, sizeof *t.columns);
	if (!t.columns || t.rounds < 1 || t.rounds > ROUNDS_MAX || t.count > TARGETS_MAX)
		errx(2, "too many rounds or targets");
	for (int i = 0; i < t.count; i++) {
		target_open(&t.columns[i].target, argv[4 + i]);
		t.columns[i].keys = spread ? number(t.columns[i].target.name) : t.batch;
		if (spread)  /* once, so that every round finds the names known to the kernel */
			each_key(&t.columns[i], OP_GET_AGAIN, batch_of(&t.columns[i], t.batch));
	}
	for (int round = 0; round < t.rounds; round++)
		for (const enum operation *op = t.ops; *op != OPERATIONS; op++)
			run_operation(&t, *op, round);
	print(&t);
	free(t.columns);
	return 0;
}
