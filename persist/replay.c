/* replay.c -- see replay.h: the table of commands, and keys that are left out. */
#include "persist/replay_db.h"
#include "persist/replay_verb.h"
#include "persist/script.h"
#include "store/keyname.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	NAME_CAP = 24,       /* longer than any name in the table */
	KEY_SHOWN_MAX = 100, /* bytes of a key that a message shows */
};

/* Where a command of another type has its keys. */
enum verb_keys {
	KEY_NONE,      /* applies nowhere; or APPLY looks itself */
	KEY_FIRST,
	KEY_SECOND,    /* XGROUP CREATE key, SMOVE from KEY */
	KEY_STORE,     /* behind the word STORE or STOREDIST */
};

struct verb {
	const char *name;
	size_t argc_min;
	replay_verb_fn *apply;     /* NULL with KEY_NONE: nothing to do */
	enum verb_keys keys;
	const char *type;          /* of the key it writes; else NULL */
};

/* Sorted by name (bsearch). */
static const struct verb verbs[] = {
	{ "APPEND", 3, replay_append, KEY_NONE, NULL },
	{ "BITFIELD", 2, replay_bitfield, KEY_NONE, NULL },
	{ "BITOP", 4, replay_bitop, KEY_NONE, NULL },
	{ "BLMOVE", 3, NULL, KEY_SECOND, "list" },
	{ "BRPOPLPUSH", 3, NULL, KEY_SECOND, "list" },
	{ "COPY", 3, replay_copy, KEY_NONE, NULL },
	{ "DECR", 2, replay_decr, KEY_NONE, NULL },
	{ "DECRBY", 3, replay_decrby, KEY_NONE, NULL },
	{ "DEL", 2, replay_del, KEY_NONE, NULL },
	{ "ECHO", 1, NULL, KEY_NONE, NULL },
	{ "EXPIRE", 3, replay_expire, KEY_NONE, NULL },
	{ "EXPIREAT", 3, replay_expireat, KEY_NONE, NULL },
	{ "FLUSHALL", 1, replay_flushall, KEY_NONE, NULL },
	{ "FLUSHDB", 1, replay_flushdb, KEY_NONE, NULL },
	{ "FUNCTION", 1, NULL, KEY_NONE, NULL },
	{ "GEOADD", 2, NULL, KEY_FIRST, "zset" },
	{ "GEORADIUS", 2, NULL, KEY_STORE, "zset" },
	{ "GEORADIUSBYMEMBER", 2, NULL, KEY_STORE, "zset" },
	{ "GEOSEARCHSTORE", 2, NULL, KEY_FIRST, "zset" },
	{ "GETDEL", 2, replay_del, KEY_NONE, NULL },
	{ "GETEX", 2, replay_getex, KEY_NONE, NULL },
	{ "GETSET", 3, replay_setnx, KEY_NONE, NULL },
	{ "HDEL", 2, NULL, KEY_FIRST, "hash" },
	{ "HEXPIRE", 2, NULL, KEY_FIRST, "hash" },
	{ "HEXPIREAT", 2, NULL, KEY_FIRST, "hash" },
	{ "HGETDEL", 2, NULL, KEY_FIRST, "hash" },
	{ "HGETEX", 2, NULL, KEY_FIRST, "hash" },
	{ "HINCRBY", 2, NULL, KEY_FIRST, "hash" },
	{ "HINCRBYFLOAT", 2, NULL, KEY_FIRST, "hash" },
	{ "HMSET", 2, NULL, KEY_FIRST, "hash" },
	{ "HPERSIST", 2, NULL, KEY_FIRST, "hash" },
	{ "HPEXPIRE", 2, NULL, KEY_FIRST, "hash" },
	{ "HPEXPIREAT", 2, NULL, KEY_FIRST, "hash" },
	{ "HSET", 2, NULL, KEY_FIRST, "hash" },
	{ "HSETEX", 2, NULL, KEY_FIRST, "hash" },
	{ "HSETNX", 2, NULL, KEY_FIRST, "hash" },
	{ "INCR", 2, replay_incr, KEY_NONE, NULL },
	{ "INCRBY", 3, replay_incrby, KEY_NONE, NULL },
	{ "INCRBYFLOAT", 3, replay_incrbyfloat, KEY_NONE, NULL },
	{ "LINSERT", 2, NULL, KEY_FIRST, "list" },
	{ "LMOVE", 3, NULL, KEY_SECOND, "list" },
	{ "LPOP", 2, NULL, KEY_FIRST, "list" },
	{ "LPUSH", 2, NULL, KEY_FIRST, "list" },
	{ "LPUSHX", 2, NULL, KEY_FIRST, "list" },
	{ "LREM", 2, NULL, KEY_FIRST, "list" },
	{ "LSET", 2, NULL, KEY_FIRST, "list" },
	{ "LTRIM", 2, NULL, KEY_FIRST, "list" },
	{ "MOVE", 3, replay_move, KEY_NONE, NULL },
	{ "MSET", 3, replay_mset, KEY_NONE, NULL },
	{ "MSETNX", 3, replay_mset, KEY_NONE, NULL },
	{ "PERSIST", 2, replay_persist, KEY_NONE, NULL },
	{ "PEXPIRE", 3, replay_pexpire, KEY_NONE, NULL },
	{ "PEXPIREAT", 3, replay_pexpireat, KEY_NONE, NULL },
	{ "PFADD", 2, replay_pfadd, KEY_NONE, NULL },
	{ "PFCOUNT", 2, NULL, KEY_NONE, NULL },
	{ "PFMERGE", 2, replay_pfmerge, KEY_NONE, NULL },
	{ "PING", 1, NULL, KEY_NONE, NULL },
	{ "PSETEX", 4, replay_psetex, KEY_NONE, NULL },
	{ "PUBLISH", 1, NULL, KEY_NONE, NULL },
	{ "RENAME", 3, replay_rename, KEY_NONE, NULL },
	{ "RENAMENX", 3, replay_rename, KEY_NONE, NULL },
	{ "RESTORE", 4, replay_restore, KEY_NONE, NULL },
	{ "RPOP", 2, NULL, KEY_FIRST, "list" },
	{ "RPOPLPUSH", 3, NULL, KEY_SECOND, "list" },
	{ "RPUSH", 2, NULL, KEY_FIRST, "list" },
	{ "RPUSHX", 2, NULL, KEY_FIRST, "list" },
	{ "SADD", 2, NULL, KEY_FIRST, "set" },
	{ "SCRIPT", 1, NULL, KEY_NONE, NULL },
	{ "SDIFFSTORE", 2, NULL, KEY_FIRST, "set" },
	{ "SELECT", 2, replay_select, KEY_NONE, NULL },
	{ "SET", 3, replay_set, KEY_NONE, NULL },
	{ "SETBIT", 4, replay_setbit, KEY_NONE, NULL },
	{ "SETEX", 4, replay_setex, KEY_NONE, NULL },
	{ "SETNX", 3, replay_setnx, KEY_NONE, NULL },
	{ "SETRANGE", 4, replay_setrange, KEY_NONE, NULL },
	{ "SINTERSTORE", 2, NULL, KEY_FIRST, "set" },
	{ "SMOVE", 3, NULL, KEY_SECOND, "set" },
	{ "SORT", 2, NULL, KEY_STORE, "list" },
	{ "SPOP", 2, NULL, KEY_FIRST, "set" },
	{ "SPUBLISH", 1, NULL, KEY_NONE, NULL },
	{ "SREM", 2, NULL, KEY_FIRST, "set" },
	{ "SUNIONSTORE", 2, NULL, KEY_FIRST, "set" },
	{ "SWAPDB", 3, replay_swapdb, KEY_NONE, NULL },
	{ "TOUCH", 1, NULL, KEY_NONE, NULL },
	{ "UNLINK", 2, replay_del, KEY_NONE, NULL },
	{ "XACK", 2, NULL, KEY_FIRST, "stream" },
	{ "XADD", 2, NULL, KEY_FIRST, "stream" },
	{ "XAUTOCLAIM", 2, NULL, KEY_FIRST, "stream" },
	{ "XCLAIM", 2, NULL, KEY_FIRST, "stream" },
	{ "XDEL", 2, NULL, KEY_FIRST, "stream" },
	{ "XGROUP", 3, NULL, KEY_SECOND, "stream" },
	{ "XREADGROUP", 1, NULL, KEY_NONE, NULL },
	{ "XSETID", 2, NULL, KEY_FIRST, "stream" },
	{ "XTRIM", 2, NULL, KEY_FIRST, "stream" },
	{ "ZADD", 2, NULL, KEY_FIRST, "zset" },
	{ "ZDIFFSTORE", 2, NULL, KEY_FIRST, "zset" },
	{ "ZINCRBY", 2, NULL, KEY_FIRST, "zset" },
	{ "ZINTERSTORE", 2, NULL, KEY_FIRST, "zset" },
	{ "ZPOPMAX", 2, NULL, KEY_FIRST, "zset" },
	{ "ZPOPMIN", 2, NULL, KEY_FIRST, "zset" },
	{ "ZRANGESTORE", 2, NULL, KEY_FIRST, "zset" },
	{ "ZREM", 2, NULL, KEY_FIRST, "zset" },
	{ "ZREMRANGEBYLEX", 2, NULL, KEY_FIRST, "zset" },
	{ "ZREMRANGEBYRANK", 2, NULL, KEY_FIRST, "zset" },
	{ "ZREMRANGEBYSCORE", 2, NULL, KEY_FIRST, "zset" },
	{ "ZUNIONSTORE", 2, NULL, KEY_FIRST, "zset" },
};

static int verb_compare(const void *name, const void *verb)
{
	return strcmp(name, ((const struct verb *)verb)->name);
}

static const struct verb *verb_find(const struct resp_arg *a)
{
	char name[NAME_CAP];
	size_t i;

	if (a->len >= sizeof(name) || memchr(a->data, 0, a->len))
		return NULL;
	for (i = 0; i < a->len; i++)
		name[i] = a->data[i] >= 'a' && a->data[i] <= 'z' ? (char)(a->data[i] - 'a' + 'A') : a->data[i];
	name[a->len] = '\0';
	return bsearch(name, verbs, sizeof(verbs) / sizeof(verbs[0]), sizeof(verbs[0]), verb_compare);
}

int replay_bad(const struct resp_arg *a, const char *what, struct error *e)
{
	char shown[KEY_SHOWN_MAX];

	return error_set(e, -EPROTO, "\"%s\" %s", error_quote(a->data, a->len, shown, sizeof(shown)), what);
}

static int verb_other_type(struct replay *r, const struct verb *v, const struct resp_arg *argv, size_t argc, struct error *e)
{
	size_t i;

	if (v->keys == KEY_FIRST || v->keys == KEY_SECOND)
		return replay_other_type(r, &argv[v->keys == KEY_FIRST ? 1 : 2], v->type, e);
	for (i = 2; i + 1 < argc; i++)
		if (resp_is(&argv[i], "STORE") || resp_is(&argv[i], "STOREDIST"))
			return replay_other_type(r, &argv[i + 1], v->type, e);
	return 0;
}

bool replay_knows(const struct resp_arg *argv, size_t argc)
{
	const struct verb *v = verb_find(&argv[0]);

	return v ? argc >= v->argc_min : replay_knows_script(argv, argc);
}

int replay_command(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	const struct verb *v = r->verb && resp_is(&argv[0], r->verb->name) ? r->verb : verb_find(&argv[0]);
	int err;

	if (!v) {
		err = replay_enter(r, e);
		r->l.displace = !r->strict;
		if (!err)
			err = replay_script(r, argv, argc, e);
		if (err != -ENOENT)
			return err ? error_prepend(e, err, "EVAL") : 0;
		if (resp_is(&argv[0], "EVAL") || resp_is(&argv[0], "EVALSHA") || resp_is(&argv[0], "FCALL"))
			return replay_bad(&argv[0], "runs a script, which can't be replayed without a redis-server "
			                            "(let it rewrite the log: BGREWRITEAOF)", e);
		return replay_bad(&argv[0], "is not a command that can be replayed", e);
	}
	r->verb = v;
	if (argc < v->argc_min)
		return error_set(e, -EPROTO, "%s has too few arguments", v->name);
	if (!v->apply && v->keys == KEY_NONE)
		return 0;
	err = v->apply == replay_select ? 0 : replay_enter(r, e);
	if (err)
		return err;
	r->l.displace = !r->strict;
	err = v->apply ? v->apply(r, argv, argc, e) : verb_other_type(r, v, argv, argc, e);
	return err ? error_prepend(e, err, "%s", v->name) : 0;
}

/* ---- keys that are left out ---- */

int replay_note(struct replay *r, const struct resp_arg *key, enum tomb_kind kind, const char *text, struct error *e)
{
	if (replay_is_value(r, key, NULL)) {
		int err = loader_delete(&r->l, key->data, key->len);

		if (err)
			return error_set(e, err, "%s", strerror(-err));
	}
	if (tombs_add(&r->tombs, key->data, key->len, kind, text))
		return error_set(e, -ENOMEM, "out of memory");
	return 0;
}

int replay_refused(struct replay *r, const struct resp_arg *key, int err, struct error *e)
{
	const char *why = NULL;
	char shown[KEY_SHOWN_MAX];

	if (err == -EINVAL)
		why = r->l.why;
	else if (err == -ENOTDIR)
		why = "lies below a symbolic link";
	if (why && !r->strict)
		return replay_note(r, key, TOMB_NO_PATH, why, e);
	if (err == -ENOSPC)
		why = "the keyspace is full (maxmemory)";
	else if (err == -EFBIG)
		why = "has a value that is larger than value-max allows";
	else if (!why)
		why = strerror(-err);
	return error_set(e, err, "key \"%s\" %s", error_quote(key->data, key->len, shown, sizeof(shown)), why);
}

int replay_no_key(struct replay *r, const struct resp_arg *key, struct error *e)
{
	char shown[KEY_SHOWN_MAX];

	if (!r->strict)
		return 0;
	return error_set(e, -ENOENT, "there is no key \"%s\"", error_quote(key->data, key->len, shown, sizeof(shown)));
}

int replay_other_type(struct replay *r, const struct resp_arg *key, const char *type, struct error *e)
{
	return replay_note(r, key, TOMB_TYPE, type, e);
}

int replay_escape(struct replay *r, int which, const char **path, size_t *len)
{
	size_t at = (size_t)which * KEYSPACE_KEY_MAX;
	int64_t n;

	if (*len == 0 || keyname_is_path(*path, *len))
		return 0;
	r->scratch.len = 0;
	if (bytes_reserve(&r->scratch, (size_t)2 * KEYSPACE_KEY_MAX) < 0)
		return -ENOMEM;
	n = keyname_to_path(*path, *len, false, r->scratch.data + at, KEYSPACE_KEY_MAX);
	if (n < 0)
		return (int)n;
	*path = r->scratch.data + at;
	*len = (size_t)n;
	return 0;
}
