/* Replay: each command that Redis logs for string keys leaves the bytes and the expiry that it left in Redis, and what can't be
 * mounted is named at the end, never lost in silence.  Tables of commands, written as redis-cli takes them, and of what they leave. */
#include "persist/replay.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { ROOT_MODE = 0755 };

static const int64_t load_time_ns = 1700000000000000000;

struct world {
	struct keyspace *ks;
	struct replay r;
	struct error e;
};

static void world_open(struct world *w)
{
	struct keyspace_options o = { .hash_seed = { 1, 2 }, .value_max = 1 << 20, .root_mode = ROOT_MODE, .now_ns = 1 };

	*w = (struct world){ 0 };
	if (keyspace_new(&o, &w->ks) || replay_init(&w->r, w->ks, 7, 8, load_time_ns))
		abort();
}

static void world_close(struct world *w)
{
	replay_fini(&w->r);
	keyspace_free(w->ks);
}

/* Runs lines of commands; the first error ends it. */
static int run(struct world *w, const char *lines)
{
	static const struct resp_limits limits = { .args_max = 1000, .arg_max = 1 << 20 };
	struct resp_command c = { 0 };
	const char *why;
	size_t used;
	int err = 0;

	w->e.text[0] = '\0';
	while (!err && *lines) {
		if (resp_parse(lines, strlen(lines), &limits, true, &c, &used, &why) != RESP_OK || c.argc == 0) {
			diag("the test is wrong: %s", lines);
			abort();
		}
		err = replay_command(&w->r, c.argv, c.argc, &w->e);
		lines += used;
	}
	resp_command_fini(&c);
	return err;
}

/* Whether KEY has this value and expiry; WANT NULL: it is not there. */
static bool has(struct world *w, const char *key, const char *want, size_t want_len, int64_t want_ms)
{
	char *got = NULL;
	struct value *v;
	uint64_t id, size;
	int64_t ms;
	bool same;

	if (loader_get(&w->r.l, key, strlen(key), &v, &size))
		return !want;
	if (!want)
		return false;
	got = malloc(size + 1);
	if (!got || loader_find(&w->r.l, key, strlen(key), &id))
		abort();
	value_copy_out(v, size, 0, got, size);
	value_unref(v);
	keyspace_lock(w->ks);
	ms = keyspace_expiry_locked(w->ks, id);
	keyspace_unlock(w->ks);
	same = size == want_len && !memcmp(got, want, want_len) && ms == want_ms;
	if (!same)
		diag("%s: got %d bytes \"%.*s\", expiry %lld", key, (int)size, (int)size, got, (long long)ms);
	free(got);
	return same;
}

#define V(text) text, sizeof(text) - 1
#define NONE NULL, 0

static const struct {
	const char *lines, *key, *want;
	size_t want_len;
	int64_t expiry_ms;
} cases[] = {
	{ "SET a 1\n", "a", V("1"), 0 },
	{ "set a 1\nSET a 22 NX\n", "a", V("22"), 0 },
	{ "SET a \"\\x00\\n\\xff\"\n", "a", V("\0\n\xff"), 0 },
	{ "SET a 1 PXAT 1800000000000\n", "a", V("1"), 1800000000000 },
	{ "SET a 1 EXAT 1800000000 XX GET\n", "a", V("1"), 1800000000000 },
	{ "SET a 1 PX 5\n", "a", V("1"), 1700000000005 },
	{ "SET a 1 PXAT 1800000000000\nSET a 2 KEEPTTL\n", "a", V("2"), 1800000000000 },
	{ "SET a 1 PXAT 1800000000000\nSET a 2\n", "a", V("2"), 0 },
	{ "SETEX a 10 v\n", "a", V("v"), 1700000010000 },
	{ "PSETEX a 10 v\n", "a", V("v"), 1700000000010 },
	{ "SETNX a v\n", "a", V("v"), 0 },
	{ "SET a 1 PX 5\nGETSET a 2\n", "a", V("2"), 0 },
	{ "MSET a 1 b 2\n", "b", V("2"), 0 },
	{ "MSETNX a 1 b 2\n", "a", V("1"), 0 },
	{ "APPEND d/a x\nAPPEND d/a yz\n", "d/a", V("xyz"), 0 },
	{ "APPEND a \"\"\n", "a", V(""), 0 },
	{ "SET a 1 PX 5\nAPPEND a 2\n", "a", V("12"), 1700000000005 },
	{ "SETRANGE a 3 xy\n", "a", V("\0\0\0xy"), 0 },
	{ "SET a abcdef\nSETRANGE a 2 XY\n", "a", V("abXYef"), 0 },
	{ "SETRANGE a 3 \"\"\n", "a", NONE, 0 },
	{ "INCR n\nINCR n\n", "n", V("2"), 0 },
	{ "SET n 10 PX 5\nDECR n\n", "n", V("9"), 1700000000005 },
	{ "DECRBY n 5\nINCRBY n 2\n", "n", V("-3"), 0 },
	{ "SET n 9223372036854775806\nINCR n\n", "n", V("9223372036854775807"), 0 },
	{ "SET n 10.5\nINCRBYFLOAT n 0.1\n", "n", V("10.6"), 0 },
	{ "INCRBYFLOAT n 5.0e3\n", "n", V("5000"), 0 },
	{ "SETBIT b 7 1\nSETBIT b 8 1\n", "b", V("\x01\x80"), 0 },
	{ "SET b \"\\xff\"\nSETBIT b 0 0\n", "b", V("\x7f"), 0 },
	{ "BITFIELD b SET u8 0 255 GET u4 0 INCRBY u8 8 3\n", "b", V("\xff\x03"), 0 },
	{ "BITFIELD b SET i8 #1 -1\n", "b", V("\0\xff"), 0 },
	{ "BITFIELD b OVERFLOW SAT INCRBY u8 0 300\n", "b", V("\xff"), 0 },
	{ "BITFIELD b SET u8 0 250 OVERFLOW FAIL INCRBY u8 0 10\n", "b", V("\xfa"), 0 },
	{ "BITFIELD b SET u8 0 250 INCRBY u8 0 10\n", "b", V("\x04"), 0 },
	{ "BITFIELD b SET i64 1 -1\n", "b", V("\x7f\xff\xff\xff\xff\xff\xff\xff\x80"), 0 },
	{ "BITFIELD b SET i1 0 -1\n", "b", V("\x80"), 0 },
	{ "BITFIELD b OVERFLOW SAT SET i8 0 200\n", "b", V("\x7f"), 0 },
	{ "MSET a abc b \"\\xff\\x0f\"\nBITOP AND c a b\n", "c", V("a\x02\0"), 0 },
	{ "MSET a abc b \"\\x01\"\nBITOP XOR c a b\n", "c", V("`bc"), 0 },
	{ "SET a \"\\x0f\"\nBITOP NOT c a\n", "c", V("\xf0"), 0 },
	{ "SET c 1\nBITOP OR c x y\n", "c", NONE, 0 },
	{ "SET a 1\nDEL x a\n", "a", NONE, 0 },
	{ "SET a 1\nUNLINK a\n", "a", NONE, 0 },
	{ "SET a 1\nGETDEL a\n", "a", NONE, 0 },
	{ "SET d/a 1\nDEL d\n", "d/a", V("1"), 0 },
	{ "SET a 1\nEXPIREAT a 1800000000\n", "a", V("1"), 1800000000000 },
	{ "SET a 1\nPEXPIREAT a 1\n", "a", V("1"), 1 },
	{ "SET a 1\nPEXPIREAT a 1800000000000 NX\nPERSIST a\n", "a", V("1"), 0 },
	{ "SET a 1\nEXPIRE a 10\n", "a", V("1"), 1700000010000 },
	{ "SET a 1\nGETEX a PXAT 1800000000000\n", "a", V("1"), 1800000000000 },
	{ "SET a 1 PX 5\nGETEX a PERSIST\n", "a", V("1"), 0 },
	{ "SET a 1 PX 5\nSET b 2\nRENAME a b\n", "b", V("1"), 1700000000005 },
	{ "SET a 1\nRENAME a d/e/b\n", "a", NONE, 0 },
	{ "SET a 1\nRENAMENX a d/e/b\n", "d/e/b", V("1"), 0 },
	{ "SET a 1\nRENAME a a\n", "a", V("1"), 0 },
	{ "SET a 1 PX 5\nCOPY a b DB 0 REPLACE\nAPPEND b 2\n", "b", V("12"), 1700000000005 },
	{ "SET a 1\nCOPY a b\nAPPEND b 2\n", "a", V("1"), 0 },
	{ "SET a 1\nFLUSHALL ASYNC\n", "a", NONE, 0 },
	{ "SET d/a 1\nFLUSHDB\nSET d 2\n", "d", V("2"), 0 },
	{ "SELECT 3\nFLUSHDB\nSELECT 0\nSET a 1\nSELECT 3\nFLUSHALL\nSELECT 0\nSET b 1\n", "a", NONE, 0 },
	{ "SET a 1\nECHO x\nPING\nPUBLISH c m\nFUNCTION LOAD x\nSCRIPT LOAD x\nTOUCH a\nPFCOUNT a\n", "a", V("1"), 0 },
	/* a directory that is empty again makes way, and a key of another type that is gone is no matter */
	{ "SET a/b 1\nDEL a/b\nSET a 2\n", "a", V("2"), 0 },
	{ "SET a/b/c 1\nRENAME a/b/c t\nSET a/b 2\n", "a/b", V("2"), 0 },
	{ "RPUSH l x\nDEL l\nSET l 1\n", "l", V("1"), 0 },
	{ "RPUSH l x\nSET l 1\n", "l", V("1"), 0 },
	{ "HSET h f v\nSET a 1\nRENAME a h\n", "h", V("1"), 0 },
	{ "SET a/../b 1\nDEL a/../b\nSET a 1\n", "a", V("1"), 0 },
	{ "SET //x 1\nFLUSHALL\nSET a 1\n", "a", V("1"), 0 },
};

static void test_cases(void)
{
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bytes report = { 0 };
		struct world w;
		char what[80];
		int err;

		world_open(&w);
		err = run(&w, cases[i].lines);
		if (!err)
			err = replay_finish(&w.r, &report, &w.e);
		snprintf(what, sizeof(what), "%.*s", (int)strcspn(cases[i].lines, "\n"), cases[i].lines);
		ok(!err && has(&w, cases[i].key, cases[i].want, cases[i].want_len, cases[i].expiry_ms) && !report.len, "%zu: %s", i, what);
		if (err)
			diag("%s", w.e.text);
		bytes_fini(&report);
		world_close(&w);
	}
}

/* What can't be followed, and what is said then. */
static const struct {
	const char *lines, *word;
} refused[] = {
	{ "EVAL x 0\n", "EVAL" },
	{ "FROBNICATE a\n", "FROBNICATE" },
	{ "SET a\n", "few arguments" },
	{ "SET a 1 EX x\n", "\"x\" is not an integer" },
	{ "SET a 1 EX\n", "\"EX\"" },
	{ "SET a 1 WHATEVER\n", "WHATEVER" },
	{ "SETRANGE a -1 x\n", "offset" },
	{ "SETRANGE a 99999999999 x\n", "larger" },
	{ "SET a x\nINCR a\n", "not an integer" },
	{ "SET a 9223372036854775807\nINCR a\n", "64-bit" },
	{ "SET a x\nINCRBYFLOAT a 1\n", "number" },
	{ "SETBIT a -1 1\n", "no such bit" },
	{ "BITFIELD a SET u64 0 1\n", "u64" },
	{ "BITFIELD a SET i65 0 1\n", "i65" },
	{ "BITOP NAND a b\n", "NAND" },
	{ "MSET a 1 b\n", "no value" },
	{ "SELECT -1\n", "database" },
	{ "SWAPDB 0 1\n", "database 0" },
	{ "RESTORE a 0 garbage\n", "RESTORE" },
	{ "SET h x\nPFADD h a\n", "HyperLogLog" },
	/* found at the end */
	{ "SELECT 3\nSET a 1\n", "database 3" },
	{ "MOVE a 2\n", "database 2" },
	{ "SET a 1\nCOPY a b DB 4\n", "database 4" },
	{ "SET \"\" 1\n", "is empty" },
	{ "SET a/./b 1\n", "has a part \".\"" },
	{ "SET \"a\\x00b\" 1\n", "a\\x00b\" has a NUL" },
	{ "SET a 1\nSET a/b 2\n", "\"a/b\" lies below a key that has a value" },
	{ "SET a/b 1\nSET a 2\n", "\"a\" is both a value and a directory" },
	{ "SET x 1\nRENAME x a/../b\n", "\"a/../b\"" },
	{ "SET a//b 1\nRENAME a//b c\n", "\"c\" came from" },
	{ "SET a//b 1\nAPPEND a//b x\n", "1 key " },
	{ "RPUSH l x\n", "\"l\" is of another type (list)" },
	{ "SADD s x\nRENAME s t\n", "\"t\" is of another type (set)" },
	{ "ZADD z 1 x\nCOPY z y\n", "2 keys" },
	{ "XGROUP CREATE st g 0 MKSTREAM\n", "\"st\"" },
	{ "SET s 1\nSORT l BY x STORE s\n", "\"s\" is of another type (list)" },
};

static void test_refused(void)
{
	size_t i;

	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct bytes report = { 0 };
		struct world w;
		int err;

		world_open(&w);
		err = run(&w, refused[i].lines);
		if (!err)
			err = replay_finish(&w.r, &report, &w.e);
		ok(err < 0 && strstr(w.e.text, refused[i].word), "refused: %.*s", (int)strcspn(refused[i].lines, "\n"), refused[i].lines);
		if (err >= 0 || !strstr(w.e.text, refused[i].word))
			diag("%d: %s", err, w.e.text);
		bytes_fini(&report);
		world_close(&w);
	}
}

static void test_skip(void)
{
	struct bytes report = { 0 };
	struct world w;

	world_open(&w);
	w.r.skip_non_strings = true;
	ok(!run(&w, "RPUSH l x\nHSET h f v\nSET a 1\nRENAME l l2\nSET s 1\nSADD t x\nRENAME t s\nDEL h\n"), "other types are left out");
	ok(!replay_finish(&w.r, &report, &w.e) && report.len && memmem(report.data, report.len, "): 2\n", 5), "and counted");
	ok(has(&w, "a", V("1"), 0), "the rest is there");
	ok(has(&w, "s", NONE, 0), "a value that one of them replaced is gone");
	bytes_fini(&report);
	ok(!run(&w, "SET ../x 1\n") && replay_finish(&w.r, &report, &w.e) == -EINVAL && strstr(w.e.text, "1 key "), "keys that are no path are refused all the same");
	bytes_fini(&report);
	world_close(&w);
}

static void test_first_ten(void)
{
	struct bytes report = { 0 };
	struct world w;
	char line[64];
	int i, err = 0;

	world_open(&w);
	for (i = 0; i < 25 && !err; i++) {
		snprintf(line, sizeof(line), "SET /bad%d 1\n", i);
		err = run(&w, line);
	}
	is(err, 0, "keys that are no path do not stop the load");
	is(replay_finish(&w.r, &report, &w.e), -EINVAL, "but are refused at its end");
	ok(strstr(w.e.text, "25 keys") && strstr(w.e.text, "/bad9") && !strstr(w.e.text, "/bad10") && strstr(w.e.text, "15 more"),
	   "ten are named, the rest is counted");
	bytes_fini(&report);
	world_close(&w);
}

static void test_strict(void)
{
	struct world w;

	world_open(&w);
	w.r.strict = true;
	is(run(&w, "RENAME nothing x\n"), -ENOENT, "a batch of ours that renames what is not there is an error");
	is(run(&w, "SET a//b 1\n"), -EINVAL, "so is a key that is no path");
	ok(strstr(w.e.text, "SET: key \"a//b\" has an empty part") != NULL, "with its name");
	world_close(&w);
}

/* The registers of what PFADD leaves, by the rules on the wire: sparse, head, stale count. */
static void test_hyperloglog(void)
{
	struct world w;
	struct value *v;
	uint64_t size, size2;
	char head[16];

	world_open(&w);
	ok(!run(&w, "PFADD h a b c\nPFADD g c d\nPFADD h a\nPFMERGE m h g\nPFADD e\n"), "PFADD, PFMERGE");
	ok(!loader_get(&w.r.l, "m", 1, &v, &size), "the merged one is there");
	value_copy_out(v, size, 0, head, sizeof(head));
	value_unref(v);
	ok(!memcmp(head, "HYLL\x01", 5) && (head[15] & 0x80), "sparse, its count stale");
	ok(!run(&w, "PFADD h d\n") && !loader_get(&w.r.l, "h", 1, &v, &size2) && size2 == size, "the same elements make the same registers");
	value_unref(v);
	ok(has(&w, "e", V("HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff"), 0), "an empty one is 18 bytes");
	world_close(&w);
}

static void test_owner(void)
{
	struct world w;
	struct attr a;
	uint64_t id;

	world_open(&w);
	ok(!run(&w, "SET d/a 1\n") && !loader_find(&w.r.l, "d/a", 3, &id) && !keyspace_getattr(w.ks, id, &a), "a key is found");
	ok(a.uid == 7 && a.gid == 8 && a.mode == (S_IFREG | 0644) && a.mtime_ns == load_time_ns, "with the default owner, mode and time");
	world_close(&w);
}

int main(void)
{
	test_cases();
	test_refused();
	test_skip();
	test_first_ten();
	test_strict();
	test_hyperloglog();
	test_owner();
	return tap_end();
}
