/* replay_string.c -- commands that make or change the bytes of a string. */
#include "persist/replay_verb.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	INT_TEXT_MAX = 24,       /* bytes of an int64_t in decimal, and more */
	FLOAT_TEXT_MAX = 5 * 1024,  /* a long double printed with all its digits before the point */
};

/* What follows SET's value.  NX, XX and GET held when the command was logged. */
struct set_options {
	bool keep_ttl;
	int64_t expire_at_ms;
};

static int set_options(struct replay *r, const struct resp_arg *argv, size_t argc, struct set_options *ret, struct error *e)
{
	static const struct {
		const char *word;
		int64_t unit_ms;
		bool relative;
	} times[] = { { "EX", 1000, true }, { "PX", 1, true }, { "EXAT", 1000, false }, { "PXAT", 1, false } };
	size_t i, k;

	for (i = 3; i < argc; i++) {
		if (resp_is(&argv[i], "NX") || resp_is(&argv[i], "XX") || resp_is(&argv[i], "GET"))
			continue;
		if (resp_is(&argv[i], "KEEPTTL")) {
			ret->keep_ttl = true;
			continue;
		}
		for (k = 0; k < 4 && !resp_is(&argv[i], times[k].word); k++)
			;
		if (k == 4 || ++i == argc)
			return replay_bad(&argv[i - (k != 4)], "is not an option that can be replayed", e);
		if (replay_time(r, &argv[i], times[k].unit_ms, times[k].relative, &ret->expire_at_ms, e))
			return -EPROTO;
	}
	return 0;
}

int replay_set(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	struct set_options o = { 0 };
	uint64_t id;
	int err;

	if (argc == 3)
		return replay_put(r, &argv[1], argv[2].data, argv[2].len, NULL, e);
	err = set_options(r, argv, argc, &o, e);
	if (err)
		return err;
	if (o.keep_ttl)
		return replay_put_keep(r, &argv[1], argv[2].data, argv[2].len, e);
	err = replay_put(r, &argv[1], argv[2].data, argv[2].len, &id, e);
	return !err && id && o.expire_at_ms ? replay_expire_id(r, id, o.expire_at_ms, e) : err;
}

int replay_setnx(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	(void)argc;
	return replay_put(r, &argv[1], argv[2].data, argv[2].len, NULL, e);
}

static int replay_set_for(struct replay *r, const struct resp_arg *argv, int64_t unit_ms, struct error *e)
{
	int64_t at_ms;
	uint64_t id;
	int err;

	if (replay_time(r, &argv[2], unit_ms, true, &at_ms, e))
		return -EPROTO;
	err = replay_put(r, &argv[1], argv[3].data, argv[3].len, &id, e);
	return !err && id ? replay_expire_id(r, id, at_ms, e) : err;
}

int replay_setex(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	(void)argc;
	return replay_set_for(r, argv, 1000, e);
}

int replay_psetex(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	(void)argc;
	return replay_set_for(r, argv, 1, e);
}

int replay_mset(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	size_t i;

	if (argc % 2 == 0)
		return error_set(e, -EPROTO, "the last key has no value");
	for (i = 1; i < argc; i += 2) {
		int err = replay_put(r, &argv[i], argv[i + 1].data, argv[i + 1].len, NULL, e);

		if (err)
			return err;
	}
	return 0;
}

int replay_append(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	struct attr a = { 0 };
	uint64_t id;

	(void)argc;
	if (!tombs_empty(&r->tombs) && tombs_find(&r->tombs, argv[1].data, argv[1].len))
		return 0;
	if (replay_is_value(r, &argv[1], &id))
		keyspace_getattr(r->l.ks, id, &a);
	return replay_write(r, &argv[1], a.size, argv[2].data, argv[2].len, e);
}

int replay_setrange(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	int64_t off;

	(void)argc;
	if (replay_int(&argv[2], &off, e))
		return -EPROTO;
	if (off < 0)
		return replay_bad(&argv[2], "is no offset", e);
	if (argv[3].len == 0 || (!tombs_empty(&r->tombs) && tombs_find(&r->tombs, argv[1].data, argv[1].len)))
		return 0;
	return replay_write(r, &argv[1], (uint64_t)off, argv[3].data, argv[3].len, e);
}

/* ---- numbers ---- */

static int replay_add(struct replay *r, const struct resp_arg *key, int64_t by, struct error *e)
{
	char text[INT_TEXT_MAX];
	int64_t n = 0;
	int found = replay_scratch(r, key, e);
	int len;

	if (found < 0 || found == REPLAY_LEFT_OUT)
		return found < 0 ? found : 0;
	if (found == REPLAY_FOUND) {
		struct resp_arg value = { .data = r->scratch.data ? r->scratch.data : "", .len = r->scratch.len };

		if (replay_int(&value, &n, e))
			return -EPROTO;
	}
	if (__builtin_add_overflow(n, by, &n))
		return error_set(e, -EPROTO, "the sum is no 64-bit integer");
	len = snprintf(text, sizeof(text), "%lld", (long long)n);
	return replay_put_keep(r, key, text, (size_t)len, e);
}

int replay_incr(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	(void)argc;
	return replay_add(r, &argv[1], 1, e);
}

int replay_decr(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	(void)argc;
	return replay_add(r, &argv[1], -1, e);
}

int replay_incrby(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	int64_t by;

	(void)argc;
	if (replay_int(&argv[2], &by, e))
		return -EPROTO;
	return replay_add(r, &argv[1], by, e);
}

int replay_decrby(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	int64_t by;

	(void)argc;
	if (replay_int(&argv[2], &by, e))
		return -EPROTO;
	if (by == INT64_MIN)
		return replay_bad(&argv[2], "has no negative", e);
	return replay_add(r, &argv[1], -by, e);
}

static int replay_float(const char *data, size_t len, long double *ret, struct error *e)
{
	struct resp_arg a = { .data = data, .len = len };
	char text[256], *end;

	if (len == 0 || len >= sizeof(text) || strchr(" \t\n\v\f\r", data[0]))
		return replay_bad(&a, "is not a number", e);
	memcpy(text, data, len);
	text[len] = '\0';
	*ret = strtold(text, &end);
	if (end != text + len || !isfinite(*ret))
		return replay_bad(&a, "is not a number", e);
	return 0;
}

/* Redis logs the result as a SET; this is for logs that others wrote. */
int replay_incrbyfloat(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	char text[FLOAT_TEXT_MAX];
	long double n = 0, by = 0;
	int found = replay_scratch(r, &argv[1], e);
	int len;

	(void)argc;
	if (found < 0 || found == REPLAY_LEFT_OUT)
		return found < 0 ? found : 0;
	if (replay_float(argv[2].data, argv[2].len, &by, e) ||
	    (found == REPLAY_FOUND && replay_float(r->scratch.data, r->scratch.len, &n, e)))
		return -EPROTO;
	if (!isfinite(n + by))
		return error_set(e, -EPROTO, "the sum is not finite");
	len = snprintf(text, sizeof(text), "%.17Lf", n + by);
	while (text[len - 1] == '0')
		len--;
	if (text[len - 1] == '.')
		len--;
	if (len == 2 && !memcmp(text, "-0", 2))
		return replay_put_keep(r, &argv[1], "0", 1, e);
	return replay_put_keep(r, &argv[1], text, (size_t)len, e);
}
