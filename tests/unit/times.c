/* A node's three times are what was set, to the nanosecond, and take a record only where they don't fit: random times against an array, with
 * allocations that fail. */
#include "store/times.h"
#include "tests/lib/malloc_fail.h"
#include "tests/lib/tap.h"

#include <stdlib.h>
#include <string.h>

enum { NODES = 5000, STEPS = 200000 };

static struct node node[NODES];
static struct node_times want[NODES];
static const int64_t now = 1800000000123456789;

static bool is_right(const struct times *t, int k)
{
	struct node_times got;

	times_get(t, &node[k], &got);
	return memcmp(&got, &want[k], sizeof got) == 0;
}

static bool set(struct times *t, int k, int64_t atime_ns, int64_t mtime_ns, int64_t ctime_ns)
{
	want[k] = (struct node_times){ atime_ns, mtime_ns, ctime_ns };
	times_set(t, &node[k], &want[k]);
	return is_right(t, k);
}

static void test_fitting(struct times *t)
{
	ok(set(t, 0, keyspace_atime_at(now), now, now) && set(t, 0, 0, INT64_MIN, INT64_MIN) && set(t, 0, keyspace_atime_at(now), -5, -5),
	   "times of the clock");
	is(t->bytes, 0, "take no record");
	is(times_reserve(t), 0, "a reserve");
	const struct node_times odd[] = {
		{ now, now, now }, { keyspace_atime_at(now), now, now + 1 }, { -keyspace_atime_at(now), now, now }, { INT64_MIN, 0, INT64_MAX },
		{ (INT64_C(1) << (NODE_ATIME_BITS + KEYSPACE_ATIME_SHIFT)), now, now },
	};
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
		ok(set(t, 0, odd[i].atime_ns, odd[i].mtime_ns, odd[i].ctime_ns) && node[0].flags & NODE_TIMES, "others do (%zu)", i);
	ok(set(t, 0, 0, 7, 7) && !(node[0].flags & NODE_TIMES), "until they fit again");
}

static void test_no_memory(void)
{
	struct times t = { 0 };
	struct node_times got, odd = { now, now - 1, now + 1 };
	struct node n = { 0 };

	malloc_fail_at(1);
	int err = times_reserve(&t);
	ok(malloc_fail_end() && err < 0, "no reserve without memory");
	malloc_fail_at(1);
	times_set(&t, &n, &odd);
	ok(malloc_fail_end() && !(n.flags & NODE_TIMES), "nor a record");
	times_get(&t, &n, &got);
	ok(got.mtime_ns == now - 1 && got.ctime_ns == got.mtime_ns && got.atime_ns == keyspace_atime_at(now), "the times are rounded then");
	times_fini(&t);
}

int main(void)
{
	struct times t = { 0 };
	bool good = true;

	diag("the first line takes stdio's buffer");
	uint64_t base = malloc_live();
	test_fitting(&t);
	test_no_memory();
	srandom(4);
	for (int i = 0; i < STEPS && good; i++) {
		int k = (int)(random() % NODES);
		/* Up and down: at the end few have one. */
		bool odd = random() % 10 < (i / (STEPS / 4) % 2 ? 1 : 8);
		int64_t time_ns = now + random();
		good = times_reserve(&t) == 0 && set(&t, k, odd ? time_ns : keyspace_atime_at(time_ns), time_ns - 5, time_ns - 5);
		good &= is_right(&t, (int)(random() % NODES));
	}
	ok(good, "%d random times", STEPS);
	is((int64_t)(malloc_live() - base), (int64_t)t.bytes, "memory is counted to the byte");
	uint64_t before = t.bytes;
	for (int k = 0; k < NODES; k++)
		times_drop(&t, &node[k]);
	ok(t.bytes < before / 3, "%" PRIu64 " bytes of %" PRIu64 " are left without a record", t.bytes, before);
	times_fini(&t);
	is((int64_t)(malloc_live() - base), 0, "nothing is left");
	return tap_end();
}
