/* clients.c -- clients OPERATION COUNT CALLS TARGET: COUNT processes at once, each does OPERATION to its own key CALLS times.
 *
 * OPERATION is one of operation_names (target.c) that leaves the key there.
 *
 * Output: µs an operation, which is the elapsed time by all calls.                                                        */
#include "tests/bench/target.h"

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Ends the process.  START is closed by the parent when all are ready. */
static void call(const char *text, enum operation op, uint64_t key, uint64_t calls, int ready, int start)
{
	struct target t;
	char byte = 0;
	target_open(&t, text);
	target_do(&t, OP_NEW, key);
	if (write(ready, &byte, 1) != 1 || read(start, &byte, 1) != 0)
		errx(1, "the others failed");
	for (uint64_t i = 0; i < calls; i++)
		target_do(&t, op, key);
	_exit(0);
}

static enum operation operation(const char *name)
{
	for (int i = 0; i < OPERATIONS; i++)
		if (!strcmp(operation_names[i], name) && i != OP_DELETE)
			return (enum operation)i;
	errx(2, "%s: no such operation", name);
}

int main(int argc, char **argv)
{
	int ready[2], start[2], status;
	char byte;
	if (argc != 5)
		errx(2, "usage: clients OPERATION COUNT CALLS TARGET");
	enum operation op = operation(argv[1]);
	uint64_t count = number(argv[2]), calls = number(argv[3]);
	if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(start, O_CLOEXEC) < 0)
		err(1, "pipe");
	for (uint64_t i = 0; i < count; i++) {
		pid_t pid = fork();
		if (pid < 0)
			err(1, "fork");
		if (pid == 0) {
			close(start[1]);
			call(argv[4], op, i, calls, ready[1], start[0]);
		}
	}
	close(ready[1]);
	for (uint64_t i = 0; i < count; i++)
		if (read(ready[0], &byte, 1) != 1)
			errx(1, "a client failed");
	int64_t begun = now_ns();
	close(start[1]);
	while (wait(&status) > 0)
		if (status != 0)
			errx(1, "a client failed");
	printf("%.2f\n", (double)(now_ns() - begun) / 1000.0 / (double)(count * calls));
	return 0;
}
