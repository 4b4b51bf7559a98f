/* The scripts in a log do what their records do: the commands of each batch, replayed without their seals (which a Redis that cut a torn tail leaves),
 * give the same bytes.  What is small is said in stock commands instead, and a script that is none of ours is refused.                       */
#include "persist/encode.h"
#include "persist/replay.h"
#include "persist/resp.h"
#include "persist/script.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { SIZE = 300000 };

struct world {
	struct keyspace *ks, *copy;
	struct journal *journal;
	struct encoder encoder;
	struct replay r;
	struct op op;
	uint64_t id, other;
	int evals, commands;        /* since the last look */
};

static char data[SIZE], a[SIZE * 2], b[SIZE * 2];

static int record(void *ctx, struct mutation *m)
{
	return encode_mutation(ctx, m);
}

static void take_data(void *ctx, unsigned number, const void *bytes, size_t len)
{
	encode_take_data(ctx, number, bytes, len);
}

/* Each command of the journal but the seals, in the second keyspace. */
static bool follow(struct world *w)
{
	const struct resp_limits limits = { .args_max = 16, .arg_max = INT32_MAX };
	struct resp_command c = { 0 };
	struct error e = { { 0 } };
	const char *bytes, *why;
	size_t len, used;
	bool right = true;

	w->evals = w->commands = 0;
	while ((len = journal_peek(w->journal, UINT64_MAX, &bytes)) > 0) {
		for (size_t at = 0; at < len; at += used) {
			if (resp_parse(bytes + at, len - at, &limits, false, &c, &used, &why) != RESP_OK)
				abort();
			if (resp_is(&c.argv[0], "ECHO"))
				continue;
			w->commands++;
			w->evals += resp_is(&c.argv[0], "EVAL");
			right &= replay_command(&w->r, c.argv, c.argc, &e) == 0;
		}
		journal_consume(w->journal, len);
	}
	resp_command_fini(&c);
	if (!right)
		diag("%s", e.text);
	return right;
}

static size_t bytes_of(struct keyspace *ks, const char *key, char *to)
{
	struct value *v = NULL;
	uint64_t size = 0;
	struct attr at;

	if (keyspace_find_key(ks, key, strlen(key), 1, &at) < 0 || keyspace_get_value(ks, at.id, &v, &size) < 0)
		return 0;
	if (size <= sizeof a)
		value_copy_out(v, size, 0, to, size);
	value_unref(v);
	return (size_t)size;
}

/* Whether both have the same now, by so many scripts. */
static bool same(struct world *w, int evals)
{
	static const char *const keys[] = { "k", "other" };
	bool right = follow(w) && w->evals == evals;

	for (int i = 0; i < 2; i++) {
		size_t size = bytes_of(w->ks, keys[i], a);
		right &= bytes_of(w->copy, keys[i], b) == size && memcmp(a, b, size <= sizeof a ? size : 0) == 0;
	}
	return right;
}

static void resize(struct world *w, uint64_t size)
{
	struct attr_change c = { .mask = ATTR_SIZE, .size = size };
	struct attr ignored;

	if (keyspace_setattr(w->ks, &w->op, w->id, &c, &ignored) < 0)
		abort();
}

static void world_open(struct world *w)
{
	struct keyspace_options o = { .hash_seed = { 1, 2 }, .value_max = UINT64_C(1) << 40, .root_mode = 0755, .now_ns = 1 };
	struct error why = { { 0 } };
	struct attr at;

	*w = (struct world){ .op = { .uid = 1, .gid = 2, .now_ns = 5 } };
	if (keyspace_new(&o, &w->ks) < 0 || keyspace_new(&o, &w->copy) < 0 || journal_open("", -1, &why, &w->journal) < 0 ||
	    replay_init(&w->r, w->copy, 1, 2, 5) < 0)
		abort();
	encode_init(&w->encoder, w->ks, w->journal, 42, 0);
	keyspace_set_observer(w->ks, &(struct observer){ .ctx = &w->encoder, .record = record, .take_data = take_data });
	keyspace_mknod(w->ks, &w->op, KEYSPACE_ROOT, "k", 1, S_IFREG | 0644, &at);
	w->id = at.id;
	keyspace_mknod(w->ks, &w->op, KEYSPACE_ROOT, "other", 5, S_IFREG | 0644, &at);
	w->other = at.id;
	for (int i = 0; i < SIZE; i++)
		data[i] = (char)(i * 7 + i / 251 + 1);
	keyspace_write(w->ks, &w->op, w->id, 0, data, SIZE);
	ok(same(w, 0), "a write is none");
}

static void world_close(struct world *w)
{
	replay_fini(&w->r);
	keyspace_free(w->ks);
	keyspace_free(w->copy);
	encode_fini(&w->encoder);
	journal_close(w->journal, true);
}

static void test_each(struct world *w)
{
	uint64_t done;

	is(keyspace_zero(w->ks, &w->op, w->id, 100, 4000, true), 0, "a few zeros");
	ok(same(w, 0), "are written");
	is(keyspace_zero(w->ks, &w->op, w->id, 10000, 40000, true), 0, "many");
	ok(same(w, 1), "are a script");
	is(keyspace_zero(w->ks, &w->op, w->id, SIZE - 5000, 9000, false), 0, "some that make it longer");
	ok(same(w, 1), "too");
	resize(w, 200000);
	ok(same(w, 1), "a cut of which much stays");
	resize(w, 1000);
	ok(same(w, 0), "little is written");
	keyspace_write(w->ks, &w->op, w->id, 1000, data, SIZE);
	follow(w);
	ok(keyspace_copy(w->ks, &w->op, w->id, 0, w->other, 0, SIZE * 2, &done) == 0 && done == SIZE + 1000, "a whole copy");
	ok(same(w, 0) && w->commands == 1, "is one COPY");
	ok(keyspace_copy(w->ks, &w->op, w->id, 7, w->other, 5000, 4096, &done) == 0 && same(w, 0), "a small one is a write");
	ok(keyspace_copy(w->ks, &w->op, w->id, 7, w->other, 5000, 60000, &done) == 0 && same(w, 1), "a large one a script");
	ok(keyspace_copy(w->ks, &w->op, w->other, 0, w->other, SIZE, 60000, &done) == 0 && same(w, 1), "and so within a file");
	resize(w, UINT64_C(5) << 30);
	follow(w);
	is(w->commands, 0, "what Redis can't hold it is not told");
	is(keyspace_write(w->ks, &w->op, w->id, UINT64_C(5) << 30, "x", 1), 0, "a write there");
	ok(follow(w) && w->evals == 1 && bytes_of(w->copy, "k", b) == (UINT64_C(5) << 30) + 1, "is a script that does nothing there, and says it here");
}

static int eval(struct world *w, const char *text, const char *keys, const char *one, const char *two)
{
	struct resp_arg argv[] = { { .data = "EVAL", .len = 4 }, { .data = text, .len = strlen(text) }, { .data = keys, .len = strlen(keys) },
		                   { .data = "k", .len = 1 }, { .data = one, .len = strlen(one) }, { .data = two, .len = strlen(two) } };
	struct error e = { { 0 } };

	return replay_command(&w->r, argv, 6, &e);
}

static void test_refused(struct world *w)
{
	is(eval(w, "return 1", "1", "0", "9"), -EPROTO, "a script of somebody else");
	is(eval(w, script_zero, "2", "0", "9"), -EPROTO, "another number of keys");
	is(eval(w, script_zero, "1", "-1", "9"), -EPROTO, "an offset below 0");
	is(eval(w, script_zero, "1", "9", "9"), -EPROTO, "nothing to do");
	is(eval(w, script_zero, "1", "x", "9"), -EPROTO, "no number");
	ok(eval(w, script_zero, "1", "0", "9223372036854775807") != 0, "more than a value can have");
	is(eval(w, script_zero, "1", "0", "9"), 0, "and one that is right");
}

int main(void)
{
	struct world w;

	diag("the first line takes stdio's buffer");
	world_open(&w);
	test_each(&w);
	test_refused(&w);
	world_close(&w);
	return tap_end();
}
