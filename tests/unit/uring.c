/* The gate of uring.h lets handlers in until it is closed, and closing it waits for those inside; and each handler of the plain table has one in
 * the other.  By threads that go in and out while it closes.                                                                        */
#include "fs/uring.h"
#include "tests/lib/tap.h"

#include <stdlib.h>

enum { THREADS = 3, ENOUGH = 1000 };

static struct uring gate;
static _Atomic bool closed, wrong;
static _Atomic int entered, refused;

static void *go_in_and_out(void *arg)
{
	(void)arg;
	while (!refused) {
		if (!uring_enter(&gate)) {
			refused++;
			break;
		}
		entered++;
		if (closed)
			wrong = true;
		uring_leave(&gate);
	}
	return NULL;
}

static void test_gate(void)
{
	pthread_t thread[THREADS];

	uring_init(&gate);
	ok(uring_enter(&gate) && uring_enter(&gate), "an open gate lets handlers in");
	uring_leave(&gate);
	uring_leave(&gate);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, go_in_and_out, NULL) != 0)
			abort();
	while (entered < ENOUGH)
		sched_yield();
	uring_close(&gate);
	closed = true;
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	ok(!wrong && refused > 0, "closed, nobody is inside, and nobody comes in");
	ok(!uring_enter(&gate), "it stays closed");
	uring_close(&gate);
	uring_fini(&gate);
}

/* The handlers are pointers to functions, one after the other. */
static void test_table(void)
{
	const size_t count = sizeof(struct fuse_lowlevel_ops) / sizeof(void (*)(void));
	int missing = 0;

	if (!uring_is_built()) {
		ok(uring_obstacle() != NULL && uring_table.lookup == NULL, "this libfuse has no io_uring, which is said");
		return;
	}
	for (size_t i = 0; i < count; i++) {
		void (*plain)(void), (*other)(void);
		memcpy(&plain, (const char *)&ops_table + i * sizeof plain, sizeof plain);
		memcpy(&other, (const char *)&uring_table + i * sizeof other, sizeof other);
		missing += !plain != !other;
	}
	is(missing, 0, "each handler has one by io_uring");
}

int main(void)
{
	test_gate();
	test_table();
	return tap_end();
}
