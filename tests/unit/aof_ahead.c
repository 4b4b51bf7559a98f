/* aof_ahead.c -- what is parsed ahead is what stands there: at each place of a log, read in order, back again or from anywhere.
 * Method: a log of commands of one to many arguments with comments between, cut at each byte of its last part; every answer is compared with
 * resp_parse() at the same place.                                                                                                         */
#include "persist/aof_ahead.h"

#include "tests/lib/tap.h"

#include <stdlib.h>

enum { COMMANDS = 1000, ARGS_LARGE = 500, CUTS = 300 };

static struct keyspace *ks;
static struct loader loader;
static size_t at[COMMANDS];    /* where each command stands */

static void write_log(struct bytes *log)
{
	for (int i = 0; i < COMMANDS; i++) {
		int args = i % 97 == 50 ? ARGS_LARGE : 1 + i % 5;

		if (i % 10 == 3)
			bytes_addf(log, "#TS:%d\r\n", i);
		at[i] = log->len;
		bytes_addf(log, "*%d\r\n", args);
		for (int k = 0; k < args; k++)
			bytes_addf(log, "$%d\r\n%0*d\r\n", 1 + (i + k) % 30, 1 + (i + k) % 30, k % 10);
	}
}

/* Whether both say the same of what stands at POS; *RET_END is where it ends, POS when there is nothing. */
static bool same(struct aof_ahead *w, const char *data, size_t len, size_t pos, size_t *ret_end)
{
	struct resp_command got = { 0 }, want = { 0 };
	const char *why = "", *want_why = "";
	size_t end = pos, used = 0;
	int r = aof_ahead_parse(w, pos, &got, &end, &why), w_r = resp_parse(data + pos, len - pos, &aof_ahead_limits, false, &want, &used, &want_why);
	bool right = r == w_r && end == pos + used && strcmp(why, want_why) == 0;

	for (size_t i = 0; right && r == RESP_OK && i < want.argc; i++)
		right = got.argc == want.argc && got.argv[i].data == want.argv[i].data && got.argv[i].len == want.argv[i].len;
	resp_command_fini(&want);
	*ret_end = end;
	return right;
}

static size_t memory(const struct aof_ahead *w)
{
	size_t args = 0;

	for (int i = 0; i < AOF_AHEAD_RING; i++)
		args += w->ring[i].c.cap;
	return args;
}

/* All commands of the first LEN bytes in order, each AGAIN times. */
static bool in_order(const char *data, size_t len, int again, size_t *ret_args)
{
	struct aof_ahead w = { .data = data, .len = len, .l = &loader };
	bool right = true;
	size_t end;

	*ret_args = 0;
	for (int i = 0; i < COMMANDS && at[i] < len && right; i++) {
		for (int k = 0; k < again && right; k++)
			right = same(&w, data, len, at[i], &end);
		*ret_args = memory(&w) > *ret_args ? memory(&w) : *ret_args;
	}
	aof_ahead_fini(&w);
	return right;
}

static bool anywhere(const char *data, size_t len)
{
	struct aof_ahead w = { .data = data, .len = len, .l = &loader };
	unsigned state = 5;
	bool right = true;
	size_t end;

	for (int i = 0; i < COMMANDS && right; i++) {
		state = state * 1664525 + 1013904223;
		right = same(&w, data, len, (state >> 8) % 4 ? at[(state >> 10) % COMMANDS] : (state >> 10) % (len - 1), &end);
	}
	aof_ahead_fini(&w);
	return right;
}

int main(void)
{
	const struct keyspace_options options = { .hash_seed = { 1, 2 }, .value_max = 1 << 30, .root_mode = 0755 };
	struct bytes log = { 0 };
	bool right = true;
	size_t args;

	if (keyspace_new(&options, &ks) < 0 || loader_init(&loader, ks, 0, 0, 0) < 0)
		return 1;
	write_log(&log);
	ok(in_order(log.data, log.len, 1, &args), "in order");
	ok(args < AOF_AHEAD_RING * 16 + 3 * ARGS_LARGE, "memory of large commands is given back: %zu arguments at most", args);
	ok(in_order(log.data, log.len, 2, &args), "each twice");
	ok(anywhere(log.data, log.len), "anywhere");
	for (size_t cut = 1; cut < CUTS; cut++) {
		char *exact = malloc(log.len - cut);

		if (!exact)
			return 1;
		memcpy(exact, log.data, log.len - cut);
		right &= in_order(exact, log.len - cut, 1, &args);
		free(exact);
	}
	ok(right, "cut");
	loader_fini(&loader);
	keyspace_free(ks);
	bytes_fini(&log);
	return tap_end();
}
