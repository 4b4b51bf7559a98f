/* What the kernel may take for granted of a key ends before the key does, whatever its jiffies are, and is for ever without an expiry.
 * By the entry that a reply is made of, with the real clock read before and after. */
#include "fs/reply.h"
#include "tests/lib/tap.h"

#include <time.h>

enum { JIFFY_MAX_MS = 10 };

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static double timeout(int64_t expire_at_ms)
{
	struct attr a = { .id = 2, .mode = S_IFREG | 0644, .nlink = 1, .expire_at_ms = expire_at_ms };
	struct fuse_entry_param e;

	reply_fill_entry(&a, &e);
	ok(e.attr_timeout == e.entry_timeout, "one timeout for both");
	return e.entry_timeout;
}

/* Times of 64 bits of ns, to the last. */
static void test_times(void)
{
	static const struct { int64_t ns; int64_t s; long rest; } times[] = {
		{ 0, 0, 0 }, { 1, 0, 1 }, { -1, -1, 999999999 }, { -1000000000, -1, 0 }, { 1999999999, 1, 999999999 },
		{ INT64_MAX, 9223372036, 854775807 }, { INT64_MIN, -9223372037, 145224192 },
	};

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		struct attr a = { .atime_ns = times[i].ns };
		struct stat st;

		reply_fill_stat(&a, &st);
		ok(st.st_atim.tv_sec == times[i].s && st.st_atim.tv_nsec == times[i].rest, "%lld ns", (long long)times[i].ns);
	}
}

int main(void)
{
	static const int64_t lefts_ms[] = { -5000, -1, 0, 1, 9, 15, 20, 21, 50, 1000, 3600000, 31536000000 };
	double forever = timeout(0);

	ok(forever >= 1e8, "without an expiry for ever");
	for (size_t i = 0; i < sizeof(lefts_ms) / sizeof(lefts_ms[0]); i++) {
		int64_t before = now_ms(), left = lefts_ms[i];
		double t = timeout(before + left);
		int64_t passed = now_ms() - before;

		/* The kernel makes whole jiffies of it and counts from the last one that began. */
		ok(t >= 0 && (t == 0 || t * 1000 + 2 * JIFFY_MAX_MS <= (double)left), "%lld ms: not too long", (long long)left);
		ok(t * 1000 >= (double)(left - passed) - 3 * JIFFY_MAX_MS, "and not much too short");
	}
	ok(timeout(INT64_MAX) == forever, "an end that never comes");
	test_times();
	return tap_end();
}
