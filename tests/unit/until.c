/* A log read up to a moment: what is later does not count, nor what follows it, and what has no time is said to have none.
 * By logs of sealed batches and of Redis's commands with #TS: lines, read up to before, at and after each of their times. */
#include "persist/recover.h"
#include "persist/replay.h"
#include "persist/seal.h"
#include "tests/lib/tap.h"

#include <stdlib.h>

enum { ROOT_MODE = 0755 };

static const int64_t second = 1000000000;

struct log {
	struct bytes text;
	uint64_t seq;
};

static void put(struct log *l, const char *text)
{
	if (bytes_add(&l->text, text, strlen(text)))
		abort();
}

static void put_set(struct log *l, const char *key)
{
	if (bytes_addf(&l->text, "*3\r\n$3\r\nSET\r\n$1\r\n%s\r\n$1\r\n1\r\n", key))
		abort();
}

/* The seal of the batch that began at FROM, written at NS. */
static void put_seal(struct log *l, size_t from, unsigned flags, int64_t ns)
{
	size_t size = seal_size(0);
	char *p;

	if (bytes_reserve(&l->text, size))
		abort();
	p = seal_begin(l->text.data + l->text.len, 0, flags, 0, ++l->seq, ns);
	seal_finish(l->text.data + from, p);
	l->text.len += size;
}

static void put_batch(struct log *l, const char *key, int64_t ns)
{
	size_t from = l->text.len;

	if (key)
		put_set(l, key);
	else
		put(l, "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n");
	put_seal(l, from, key ? 0 : SEAL_OPEN, ns);
}

/* The keys, each a letter, that L has at UNTIL. */
static void expect(const struct log *l, int64_t until_ns, const char *keys, bool stopped, bool untimed, const char *name)
{
	struct keyspace_options o = { .hash_seed = { 1, 2 }, .value_max = 1 << 20, .root_mode = ROOT_MODE, .now_ns = 1 };
	struct aof_result res = { .until_ns = until_ns };
	char *copy = malloc(l->text.len), got[32] = "";
	struct keyspace *ks;
	struct error e = { "" };
	struct replay r;
	uint64_t id;

	if (!copy || keyspace_new(&o, &ks) || replay_init(&r, ks, 0, 0, 1))
		abort();
	memcpy(copy, l->text.data, l->text.len);
	is(aof_read(copy, l->text.len, &r, &res, &e), 0, "%s", name);
	for (char key[2] = "a"; key[0] <= 'z'; key[0]++)
		if (!loader_find(&r.l, key, 1, &id))
			strcat(got, key);
	is_text(got, keys, "  its keys");
	is(res.stopped, stopped, "  whether there was more");
	is(res.untimed, untimed, "  whether a command has no time");
	replay_fini(&r);
	keyspace_free(ks);
	free(copy);
}

static void test_sealed(void)
{
	struct log l = { 0 };

	put_batch(&l, NULL, 100);
	put_batch(&l, "a", 200);
	put_batch(&l, "b", 300);
	put_batch(&l, "c", 250);
	put_batch(&l, "d", 400);
	expect(&l, 0, "abcd", false, false, "no moment: all of it");
	expect(&l, 99, "", true, false, "before the first batch");
	expect(&l, 199, "", true, false, "just before one");
	expect(&l, 200, "a", true, false, "at its time it counts");
	expect(&l, 250, "a", true, false, "one that follows what is later does not count, though its clock said less");
	expect(&l, 300, "abc", true, false, "the clock that went back");
	expect(&l, 400, "abcd", false, false, "at the last");
	bytes_fini(&l.text);
}

static void test_redis(void)
{
	struct log l = { 0 };

	put(&l, "#TS:10\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n");
	put_set(&l, "a");
	put(&l, "#TS:20\r\n");
	put_set(&l, "b");
	put(&l, "*1\r\n$5\r\nMULTI\r\n");
	put_set(&l, "c");
	put(&l, "#TS:30\r\n");
	put_set(&l, "d");
	put(&l, "*1\r\n$4\r\nEXEC\r\n");
	expect(&l, 9 * second, "", true, false, "before the first #TS:");
	expect(&l, 10 * second, "a", true, false, "at its second");
	expect(&l, 19 * second + second / 2, "a", true, false, "between two");
	expect(&l, 29 * second, "ab", true, false, "a transaction that goes on later does not count at all");
	expect(&l, 30 * second, "abcd", false, false, "all of it");
	bytes_fini(&l.text);
}

static void test_turns(void)
{
	struct log l = { 0 };

	put_batch(&l, NULL, 10 * second);
	put_batch(&l, "a", 11 * second);
	put(&l, "#TS:12\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n");
	put_set(&l, "b");
	expect(&l, 11 * second, "a", true, false, "the #TS: where Redis takes over is Redis's");
	expect(&l, 12 * second, "ab", false, false, "and counts with its second");

	l.text.len = 0;
	l.seq = 0;
	put_batch(&l, NULL, 10 * second);
	put(&l, "#TS:12\r\n*1\r\n$5\r\nMULTI\r\n");
	put_set(&l, "b");
	put(&l, "*1\r\n$4\r\nEXEC\r\n");
	expect(&l, 11 * second, "", true, false, "also when Redis begins with MULTI");
	bytes_fini(&l.text);
}

static void test_untimed(void)
{
	struct log l = { 0 };

	put(&l, "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n");
	expect(&l, 50 * second, "", false, false, "SELECT changes nothing and needs no time");
	put_set(&l, "a");
	expect(&l, 50 * second, "a", false, true, "a command of Redis without #TS:");
	put(&l, "#TS:20\r\n");
	put_set(&l, "b");
	expect(&l, 50 * second, "ab", false, false, "what stands before a #TS: was before it");
	expect(&l, 19 * second, "a", true, true, "or maybe not before an earlier moment");

	l.text.len = 0;
	put_batch(&l, NULL, 10 * second);
	put_batch(&l, "a", 11 * second);
	put(&l, "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n");
	put_set(&l, "b");
	expect(&l, 11 * second, "ab", false, true, "Redis went on with our log, without times");
	put_batch(&l, NULL, 30 * second);
	expect(&l, 40 * second, "ab", false, false, "and we again: that is a time");
	expect(&l, 20 * second, "ab", true, true, "but not an early enough one");
	bytes_fini(&l.text);
}

int main(void)
{
	test_sealed();
	test_redis();
	test_turns();
	test_untimed();
	return tap_end();
}
