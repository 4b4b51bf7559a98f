/* commands_scan.c -- commands that look at many keys, or at values: SCAN, KEYS, GET, STRLEN, MEMORY USAGE.
 *
 * The mount is the way to values: a reply here is at most LOOK_REPLY_MAX bytes, and what would be more is refused. */
#include "fs/commands_call.h"
#include "fs/glob.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	SCAN_COUNT = 10,                  /* names a call looks at, unless it says, as Redis */
	SCAN_COUNT_MAX = 10000,
	SCAN_STEP = 64,                   /* names that are taken from the keyspace before they are matched */
	SCAN_REPLY_ENOUGH = 256 << 10,    /* bytes: a call that has so many ends early */
	LOOK_REPLY_MAX = 4 << 20,
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- many ---- */

/* A walk over all keys. */
struct walk {
	struct keyspace *ks;
	const struct resp_arg *pattern;   /* NULL: all */
	uint32_t cursor;
	struct bytes keys;                /* of one step: size_t length, bytes, ... */
	struct bytes reply;               /* those that match */
	size_t count;                     /* so many */
};

static int take_key(void *ctx, const char *key, size_t len, const struct attr *a)
{
	struct walk *w = ctx;

	(void)a;
	if (bytes_add(&w->keys, &len, sizeof(len)) < 0)
		return -ENOMEM;
	return bytes_add(&w->keys, key, len);
}

/* Looks at COUNT names or a few more. */
static int walk_step(struct walk *w, uint32_t count)
{
	int err;

	w->keys.len = 0;
	err = keyspace_scan(w->ks, w->cursor, count, now_ns(), take_key, w, &w->cursor);
	for (size_t at = 0, len; err == 0 && at < w->keys.len; at += sizeof(len) + len) {
		const char *key = w->keys.data + at + sizeof(len);

		memcpy(&len, w->keys.data + at, sizeof(len));
		if (w->pattern != NULL && !glob_match(w->pattern->data, w->pattern->len, key, len, false))
			continue;
		err = resp_reply_bulk(&w->reply, key, len);
		w->count++;
	}
	return err;
}

static void walk_fini(struct walk *w)
{
	bytes_fini(&w->keys);
	bytes_fini(&w->reply);
}

static int reply_found(const struct walk *w, struct bytes *out)
{
	int err = resp_reply_array(out, w->count);

	return err == 0 && w->reply.len > 0 ? bytes_add(out, w->reply.data, w->reply.len) : err;
}

struct scan_options {
	int64_t count;
	const struct resp_arg *pattern;
	bool strings;                     /* TYPE allows what all keys are */
};

/* True, or false when the error is in OUT. */
static bool scan_options(const struct call *c, struct scan_options *o, int *ret_result)
{
	*o = (struct scan_options){ .count = SCAN_COUNT, .strings = true };
	for (size_t i = 2; i < c->argc; i += 2) {
		const struct resp_arg *word = &c->argv[i];

		bool count = resp_is(word, "COUNT"), has_value = i + 1 < c->argc;

		if (has_value && count && resp_int64(word + 1, &o->count) < 0) {
			*ret_result = command_error(c, "ERR value is not an integer or out of range");
			return false;
		}
		if (has_value && resp_is(word, "MATCH")) {
			o->pattern = word + 1;
		} else if (has_value && resp_is(word, "TYPE")) {
			o->strings = resp_is(word + 1, "STRING");
		} else if (!has_value || !count || o->count < 1) {
			*ret_result = command_syntax_error(c);
			return false;
		}
	}
	return true;
}

int cmd_scan(const struct call *c)
{
	struct walk w = { .ks = c->ce->env->ks };
	struct scan_options o;
	char cursor[24];
	int64_t from, left;
	int err = 0;

	if (resp_int64(&c->argv[1], &from) < 0 || from < 0 || from > UINT32_MAX)
		return command_error(c, "ERR invalid cursor");
	if (!scan_options(c, &o, &err))
		return err;
	w.cursor = (uint32_t)from;
	w.pattern = o.pattern;
	left = o.count < SCAN_COUNT_MAX ? o.count : SCAN_COUNT_MAX;
	do {
		err = walk_step(&w, left < SCAN_STEP ? (uint32_t)left : SCAN_STEP);
		left -= SCAN_STEP;
	} while (err == 0 && w.cursor != 0 && left > 0 && w.reply.len < SCAN_REPLY_ENOUGH);
	if (!o.strings)
		w.count = w.reply.len = 0;
	if (err == 0)
		err = resp_reply_array(c->out, 2);
	if (err == 0)
		err = resp_reply_bulk(c->out, cursor, (size_t)snprintf(cursor, sizeof(cursor), "%" PRIu32, w.cursor));
	if (err == 0)
		err = reply_found(&w, c->out);
	walk_fini(&w);
	return err;
}

int cmd_keys(const struct call *c)
{
	struct walk w = { .ks = c->ce->env->ks, .pattern = &c->argv[1] };
	int err;

	do {
		err = walk_step(&w, SCAN_STEP);
	} while (err == 0 && w.cursor != 0 && w.reply.len <= LOOK_REPLY_MAX);
	if (err == 0 && w.reply.len > LOOK_REPLY_MAX)
		err = command_error(c, "ERR these keys are more than %d bytes: use SCAN", LOOK_REPLY_MAX);
	else if (err == 0)
		err = reply_found(&w, c->out);
	walk_fini(&w);
	return err;
}

/* ---- one ---- */

static bool find(const struct call *c, const struct resp_arg *key, struct attr *ret)
{
	return keyspace_find_key(c->ce->env->ks, key->data, key->len, now_ns(), ret) == 0;
}

static int reply_value(const struct call *c, const struct value *v, size_t size)
{
	int err = bytes_reserve(c->out, resp_bulk_size(size));
	char *p;

	if (err < 0)
		return err;
	p = resp_write_bulk_header(c->out->data + c->out->len, size);
	value_copy_out(v, size, 0, p, size);
	c->out->len = (size_t)(p + size - c->out->data);
	return bytes_add(c->out, "\r\n", 2);
}

int cmd_get(const struct call *c)
{
	struct value *v = NULL;
	uint64_t size = 0;
	struct attr a;
	int err;

	/* Between the two calls the key may go. */
	if (!find(c, &c->argv[1], &a) || keyspace_get_value(c->ce->env->ks, a.id, &v, &size) < 0)
		return resp_reply_null(c->out);
	if (size > LOOK_REPLY_MAX)
		err = command_error(c, "ERR the value has more than %d bytes: read it through the mount", LOOK_REPLY_MAX);
	else
		err = reply_value(c, v, size);
	value_unref(v);
	return err;
}

int cmd_strlen(const struct call *c)
{
	struct attr a;

	return resp_reply_int(c->out, find(c, &c->argv[1], &a) ? (int64_t)a.size : 0);
}

static int memory_usage(const struct call *c)
{
	struct attr a;
	int64_t samples;

	if (c->argc != 3 && c->argc != 5)
		return c->argc < 3 ? command_wrong_arity(c, "memory|usage") : command_syntax_error(c);
	if (c->argc == 5 && !resp_is(&c->argv[3], "SAMPLES"))
		return command_syntax_error(c);
	if (c->argc == 5 && resp_int64(&c->argv[4], &samples) < 0)
		return command_error(c, "ERR value is not an integer or out of range");
	if (!find(c, &c->argv[2], &a))
		return resp_reply_null(c->out);
	return resp_reply_int(c->out, (int64_t)(a.memory + KEYSPACE_KEY_BYTES));
}

int cmd_memory(const struct call *c)
{
	if (resp_is(&c->argv[1], "USAGE"))
		return memory_usage(c);
	return command_error(c, "ERR unknown subcommand '%.*s'. Try MEMORY HELP.", command_shown_len(&c->argv[1]), c->argv[1].data);
}
