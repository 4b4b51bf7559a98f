/* rdb_skip.c -- stepping over values that are no strings.  Nothing in an RDB file says how long a value is, so each type is walked. */
#include "persist/rdb_format.h"

#include <errno.h>

enum module_item { MODULE_END = 0, MODULE_SINT = 1, MODULE_UINT = 2, MODULE_FLOAT = 3, MODULE_DOUBLE = 4, MODULE_STRING = 5 };
enum { DOUBLE_SPECIAL_MIN = 253 };  /* the length byte of an old score: 253 to 255 are nan, inf, -inf */

/* What one element is made of, a letter a part:  L a length, S a string, 8 eight bytes, D an old score.
 * BEFORE stands once at the front, then (when EACH is not NULL) comes a count of elements. */
struct shape {
	const char *name;
	const char *before;
	const char *each;
};

static const struct shape shapes[] = {
	[RDB_STRING] = {"string", "S", NULL},
	[RDB_LIST] = {"list", "", "S"},
	[RDB_SET] = {"set", "", "S"},
	[RDB_ZSET] = {"zset", "", "SD"},
	[RDB_HASH] = {"hash", "", "SS"},
	[RDB_ZSET_2] = {"zset", "", "S8"},
	[RDB_MODULE_2] = {"module", NULL, NULL},
	[RDB_HASH_ZIPMAP] = {"hash", "S", NULL},
	[RDB_LIST_ZIPLIST] = {"list", "S", NULL},
	[RDB_SET_INTSET] = {"set", "S", NULL},
	[RDB_ZSET_ZIPLIST] = {"zset", "S", NULL},
	[RDB_HASH_ZIPLIST] = {"hash", "S", NULL},
	[RDB_LIST_QUICKLIST] = {"list", "", "S"},
	[RDB_STREAM] = {"stream", NULL, NULL},
	[RDB_HASH_LISTPACK] = {"hash", "S", NULL},
	[RDB_ZSET_LISTPACK] = {"zset", "S", NULL},
	[RDB_LIST_QUICKLIST_2] = {"list", "", "LS"},
	[RDB_STREAM_2] = {"stream", NULL, NULL},
	[RDB_SET_LISTPACK] = {"set", "S", NULL},
	[RDB_STREAM_3] = {"stream", NULL, NULL},
	[RDB_HASH_TTL] = {"hash", "", "LSS"},
	[RDB_HASH_LISTPACK_TTL] = {"hash", "S", NULL},
	[RDB_HASH_METADATA] = {"hash", "8", "LSS"},
	[RDB_HASH_LISTPACK_EX] = {"hash", "8S", NULL},
};
static const struct shape shape_valkey_hash = {"hash", "", "SS8"};

static const struct shape *find_shape(const struct rdb_cursor *c, unsigned type)
{
	if (type >= sizeof(shapes) / sizeof(shapes[0]) || !shapes[type].name)
		return NULL;
	if (c->valkey && type == RDB_HASH_TTL)
		return &shape_valkey_hash;
	if (c->valkey && type > RDB_HASH_TTL)
		return NULL;
	return &shapes[type];
}

const char *rdb_type_name(const struct rdb_cursor *c, unsigned type)
{
	const struct shape *s = find_shape(c, type);

	return s ? s->name : NULL;
}

static int skip_bytes(struct rdb_cursor *c, uint64_t n)
{
	const char *ignored;

	return rdb_take(c, n, &ignored);
}

static int skip_double(struct rdb_cursor *c)
{
	const char *p = NULL;
	int r = rdb_take(c, 1, &p);

	if (r < 0 || (unsigned char)*p >= DOUBLE_SPECIAL_MIN)
		return r;
	return skip_bytes(c, (unsigned char)*p);
}

static int skip_parts(struct rdb_cursor *c, const char *parts)
{
	int r = 0;

	for (; r == 0 && *parts; parts++) {
		switch (*parts) {
		case 'L':
			r = rdb_skip_length(c);
			break;
		case 'S':
			r = rdb_skip_string(c);
			break;
		case '8':
			r = skip_bytes(c, 8);
			break;
		default:
			r = skip_double(c);
			break;
		}
	}
	return r;
}

/* A count, then so many elements; each has a byte or more, so that a false count ends at the end of the file. */
static int skip_elements(struct rdb_cursor *c, const char *parts)
{
	uint64_t count = 0;
	int r;

	for (r = rdb_take_length(c, &count); r == 0 && count > 0; count--)
		r = skip_parts(c, parts);
	return r;
}

/* A count, then so many elements of SIZE bytes. */
static int skip_fixed(struct rdb_cursor *c, unsigned size)
{
	uint64_t count = 0;
	int r = rdb_take_length(c, &count);

	if (r < 0)
		return r;
	if (count > (uint64_t)(c->end - c->p) / size)
		return rdb_fail(c, c->p, "a count leads out of the file");
	return skip_bytes(c, count * size);
}

int rdb_skip_module(struct rdb_cursor *c)
{
	for (;;) {
		const char *at = c->p;
		uint64_t item = 0;
		int r = rdb_take_length(c, &item);

		if (r < 0 || item == MODULE_END)
			return r;
		switch (item) {
		case MODULE_SINT:
		case MODULE_UINT:
			r = rdb_skip_length(c);
			break;
		case MODULE_FLOAT:
			r = skip_bytes(c, 4);
			break;
		case MODULE_DOUBLE:
			r = skip_bytes(c, 8);
			break;
		case MODULE_STRING:
			r = rdb_skip_string(c);
			break;
		default:
			r = rdb_fail(c, at, "unknown part of a module's value");
			break;
		}
		if (r < 0)
			return r;
	}
}

static int skip_lengths(struct rdb_cursor *c, unsigned n)
{
	int r = 0;

	while (n-- > 0 && r == 0)
		r = rdb_skip_length(c);
	return r;
}

static int skip_stream_consumers(struct rdb_cursor *c, unsigned type)
{
	uint64_t count = 0;
	int r;

	for (r = rdb_take_length(c, &count); r == 0 && count > 0; count--) {
		r = rdb_skip_string(c);                                     /* name */
		if (r == 0)
			r = skip_bytes(c, type >= RDB_STREAM_3 ? 16 : 8);   /* seen, active */
		if (r == 0)
			r = skip_fixed(c, 16);                              /* ids of what is pending */
	}
	return r;
}

static int skip_stream_groups(struct rdb_cursor *c, unsigned type)
{
	uint64_t groups = 0, pending = 0;
	int r;

	for (r = rdb_take_length(c, &groups); r == 0 && groups > 0; groups--) {
		r = rdb_skip_string(c);                                     /* name */
		if (r == 0)
			r = skip_lengths(c, type >= RDB_STREAM_2 ? 3 : 2);  /* last id, entries read */
		if (r == 0)
			r = rdb_take_length(c, &pending);
		for (; r == 0 && pending > 0; pending--) {
			r = skip_bytes(c, 16 + 8);                          /* id, time */
			if (r == 0)
				r = rdb_skip_length(c);                     /* deliveries */
		}
		if (r == 0)
			r = skip_stream_consumers(c, type);
	}
	return r;
}

static int skip_stream(struct rdb_cursor *c, unsigned type)
{
	int r = skip_elements(c, "SS");                                     /* first id, listpack */

	if (r == 0)
		r = skip_lengths(c, type >= RDB_STREAM_2 ? 8 : 3);          /* items, last id, first id, deleted id, added */
	return r < 0 ? r : skip_stream_groups(c, type);
}

int rdb_skip_value(struct rdb_cursor *c, unsigned type)
{
	const struct shape *s = find_shape(c, type);
	int r;

	if (type == RDB_MODULE_2) {
		r = rdb_skip_length(c);
		return r < 0 ? r : rdb_skip_module(c);
	}
	if (type == RDB_STREAM || type == RDB_STREAM_2 || type == RDB_STREAM_3)
		return skip_stream(c, type);
	r = skip_parts(c, s->before);
	if (r < 0 || !s->each)
		return r;
	return skip_elements(c, s->each);
}
