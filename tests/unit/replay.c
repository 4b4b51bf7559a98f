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
	if (!got || loader_find_value(&w->r.l, key, strlen(key), &id))
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
	{ "SWAPDB 0 -1\n", "database" },
	{ "MOVE a 0\n", "database" },
	{ "RESTORE a 0 garbage\n", "RESTORE" },
	{ "SET h x\nPFADD h a\n", "HyperLogLog" },
	/* found at the end */
	{ "SELECT 3\nSET a 1\nSET b 2\nDEL a\n", ": 1 in database 3 (db=3 " },
	{ "SET a 1\nMOVE a 2\n", ": 1 in database 2 " },
	{ "SET a 1\nCOPY a b DB 4\nSELECT 7\nMSET x 1 y 2\nRPUSH l z\n", ": 1 in database 4, 3 in database 7 " },
	{ "SET a 1\nSWAPDB 0 1\n", ": 1 in database 1 " },
	{ "RPUSH l x\nMOVE l 2\nSELECT 2\nRENAME l m\n", ": 1 in database 2 " },
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
	ok(!replay_finish(&w.r, &report, &w.e) && report.len && memmem(report.data, report.len, "): 1 list, 1 set (first: \"l2\")\n", 31), "and counted");
	ok(has(&w, "a", V("1"), 0), "the rest is there");
	ok(has(&w, "s", NONE, 0), "a value that one of them replaced is gone");
	bytes_fini(&report);
	world_close(&w);
}

/* SET of key number I, whose path is too long. */
static int set_too_long(struct world *w, int i)
{
	static char key[66000];
	struct resp_arg set[] = { { .data = "SET", .len = 3 }, { .data = key, .len = sizeof(key) }, { .data = "1", .len = 1 } };

	w->e.text[0] = '\0';
	memset(key, 'k', sizeof(key));
	key[snprintf(key, sizeof(key), "bad%d/", i)] = 'k';
	return replay_command(&w->r, set, 3, &w->e);
}

/* What is in database DB after commands that go through several. */
static void test_databases(void)
{
	static const struct { int db; const char *lines, *key, *want; } through[] = {
		{ 0, "SELECT 0\nSET a 1\nSELECT 3\nFLUSHDB\nSELECT 0\nAPPEND a 2\n", "a", "12" },
		{ 3, "SET a 0\nSELECT 3\nSET a 1\nSELECT 0\nFLUSHDB\n", "a", "1" },
		{ 3, "SELECT 3\nSET a 1\nSELECT 0\nFLUSHALL\n", "a", NULL },
		{ 3, "SET a 1\nSWAPDB 0 3\nSELECT 3\nAPPEND a 2\n", "a", "12" },
		{ 0, "SELECT 3\nSET a 3\nSELECT 0\nSET a 0\nSWAPDB 0 3\nAPPEND a x\nSELECT 3\nAPPEND a y\n", "a", "3x" },
		{ 3, "SELECT 3\nSET a 3\nSELECT 0\nSET a 0\nSWAPDB 3 0\nAPPEND a x\nSELECT 3\nAPPEND a y\n", "a", "0y" },
		{ 5, "SET a 1\nSWAPDB 0 4\nSWAPDB 4 5\nSET a 2\n", "a", "1" },
		{ 3, "SET a 1\nMOVE a 3\n", "a", "1" }, { 0, "SET a 1\nMOVE a 3\n", "a", NULL },
		{ 3, "SET a 1\nCOPY a b/c DB 3\nAPPEND a 2\n", "b/c", "1" }, { 0, "SET a 1\nCOPY a b/c DB 3\n", "a", "1" },
		{ 0, "SELECT 3\nSET // 1\nMOVE // 0\n", "//", "1" },
		{ 3, "SELECT 3\nSET a 1\nCOPY a b\n", "b", "1" }, { 0, "RPUSH a 1\nMOVE a 2\nSET a 2\n", "a", "2" },
		{ 2147483647, "SELECT 2147483647\nSET a 1\n", "a", "1" },
	};

	for (size_t i = 0; i < sizeof(through) / sizeof(through[0]); i++) {
		struct bytes report = { 0 };
		struct world w;
		int err;

		world_open(&w);
		replay_mount(&w.r, (uint64_t)through[i].db, true);
		w.r.db = 0;
		err = run(&w, through[i].lines);
		if (!err)
			err = replay_finish(&w.r, &report, &w.e);
		ok(!err && w.r.l.ks == w.ks && has(&w, through[i].key, through[i].want, through[i].want ? strlen(through[i].want) : 0, 0), "in %d: %.*s ...",
		   through[i].db, (int)strcspn(through[i].lines, "\n"), through[i].lines);
		bytes_fini(&report);
		world_close(&w);
	}
}

/* A key that moves to another database keeps its time, and who has too many of them is told. */
static void test_far(void)
{
	struct bytes report = { 0 };
	char line[64];
	struct world w;
	int err = 0;

	world_open(&w);
	replay_mount(&w.r, 9, true);
	w.r.db = 0;
	ok(!run(&w, "SET a 1 PXAT 1800000000000\nSET b 2\nMOVE a 9\nCOPY b b DB 9\nSET c 3\n") && !replay_finish(&w.r, &report, &w.e) &&
	   has(&w, "a", V("1"), 1800000000000) && has(&w, "b", V("2"), 0) && has(&w, "c", NONE, 0), "with its time");
	ok(report.len && memmem(report.data, report.len, "left out: 2 in database 0\n", 26), "what stays is counted");
	bytes_fini(&report);
	world_close(&w);
	world_open(&w);
	for (int i = 0; i < 1100 && !err; i++) {
		snprintf(line, sizeof(line), "SELECT %d\nSET a 1\n", i);
		err = run(&w, line);
	}
	ok(err == -EINVAL && strstr(w.e.text, "more than 1024 databases"), "there is an end to databases");
	world_close(&w);
}

static void test_first_ten(void)
{
	struct bytes report = { 0 };
	struct world w;
	int i, err = 0;

	world_open(&w);
	for (i = 0; i < 25 && !err; i++)
		err = set_too_long(&w, i);
	is(err, 0, "keys that can't be mounted do not stop the load");
	is(replay_finish(&w.r, &report, &w.e), -EINVAL, "but are refused at its end");
	ok(strstr(w.e.text, "25 keys") && strstr(w.e.text, "bad9/") && !strstr(w.e.text, "bad10/") && strstr(w.e.text, "15 more") &&
	   strstr(w.e.text, "is too long"), "ten are named, the rest is counted");
	bytes_fini(&report);
	world_close(&w);
	world_open(&w);
	ok(!set_too_long(&w, 7) && !run(&w, "SET good 1\nRENAME good better\n") && w.r.tombs.no_paths == 1, "one is noted");
	world_close(&w);
}

static void test_strict(void)
{
	struct world w;

	world_open(&w);
	w.r.strict = true;
	is(run(&w, "RENAME nothing x\n"), -ENOENT, "a batch of ours that renames what is not there is an error");
	is(set_too_long(&w, 1), -EINVAL, "so is a key that can't be");
	ok(strstr(w.e.text, "is too long") != NULL, "with the reason");
	world_close(&w);
}

/* Redis has neither directories nor links: what it says of keys holds. */
static void test_places(void)
{
	static const struct { const char *lines, *key, *want; } places[] = {
		{ "SET a 1\nSET a/b 2\n", "a", "1" }, { "SET a/b 2\nSET a 1\n", "a", "1" }, { "SET a 1\nSET a/b 2\nDEL a\nAPPEND a 3\n", "a", "3" },
		{ "SET a 1\nRENAME a a/b\nRENAME a/b a\n", "a", "1" }, { "SET a/b 1\nDEL a/b\nSET a 2\n", "a", "2" },
		{ "SET \"\" 1\nRENAME \"\" /\nCOPY / //\n", "//", "1" }, { "MSET .. 1 ../. 2 a/../b 3\nAPPEND ../. x\n", "../.", "2x" },
		{ "SET a//b 1\nRENAME a//b c\n", "c", "1" }, { "SET x 1\nRENAME x a/../b\nINCR a/../b\n", "a/../b", "2" },
		{ "SETRANGE .%x 1 y\nBITOP NOT z .%x\nBITOP NOT .%x z\n", ".%x", NULL },
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct bytes report = { 0 };
		struct world w;

		world_open(&w);
		ok(!run(&w, places[i].lines) && !replay_finish(&w.r, &report, &w.e) &&
		   (places[i].want ? has(&w, places[i].key, places[i].want, strlen(places[i].want), 0) : has(&w, places[i].key, V("\0y"), 0)),
		   "%.*s ...", (int)strcspn(places[i].lines, "\n"), places[i].lines);
		bytes_fini(&report);
		world_close(&w);
	}
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
	test_places();
	test_databases();
	test_far();
	test_hyperloglog();
	test_owner();
	return tap_end();
}
