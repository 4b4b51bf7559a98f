/* replay_key.c -- commands that remove, move, copy or time keys, and those that choose a database. */
#include "persist/rdb.h"
#include "persist/replay_db.h"
#include "persist/replay_verb.h"

#include <errno.h>
#include <string.h>

int replay_del(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	size_t i;

	for (i = 1; i < argc; i++) {
		int err = replay_forget(r, &argv[i], e);

		if (err)
			return err;
	}
	return 0;
}

/* ---- time ---- */

static int replay_expire_key(struct replay *r, const struct resp_arg *key, int64_t at_ms, struct error *e)
{
	uint64_t id;
	int err = loader_own_value(&r->l, key->data, key->len, &id);

	if (err == -ENOMEM)
		return error_set(e, err, "out of memory");
	return err ? 0 : replay_expire_id(r, id, at_ms, e);
}

static int replay_expire_in(struct replay *r, const struct resp_arg *argv, int64_t unit_ms, bool relative, struct error *e)
{
	int64_t at_ms;

	if (replay_time(r, &argv[2], unit_ms, relative, &at_ms, e))
		return -EPROTO;
	return replay_expire_key(r, &argv[1], at_ms, e);
}

int replay_expire(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	(void)argc;
	return replay_expire_in(r, argv, 1000, true, e);
}

int replay_pexpire(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	(void)argc;
	return replay_expire_in(r, argv, 1, true, e);
}

int replay_expireat(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	(void)argc;
	return replay_expire_in(r, argv, 1000, false, e);
}

int replay_pexpireat(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	(void)argc;
	return replay_expire_in(r, argv, 1, false, e);
}

int replay_persist(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	(void)argc;
	return replay_expire_key(r, &argv[1], 0, e);
}

int replay_getex(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	const struct resp_arg *option = &argv[2];
	struct resp_arg as_expire[3];

	if (argc == 2)
		return 0;
	if (argc == 3 && resp_is(option, "PERSIST"))
		return replay_persist(r, argv, 2, e);
	if (argc != 4)
		return replay_bad(option, "is not an option that can be replayed", e);
	as_expire[0] = argv[0];
	as_expire[1] = argv[1];
	as_expire[2] = argv[3];
	if (resp_is(option, "EX") || resp_is(option, "PX"))
		return replay_expire_in(r, as_expire, resp_is(option, "EX") ? 1000 : 1, true, e);
	if (resp_is(option, "EXAT") || resp_is(option, "PXAT"))
		return replay_expire_in(r, as_expire, resp_is(option, "EXAT") ? 1000 : 1, false, e);
	return replay_bad(option, "is not an option that can be replayed", e);
}

/* ---- from one key to another ---- */

static bool same_key(const struct resp_arg *a, const struct resp_arg *b)
{
	return a->len == b->len && (a->len == 0 || !memcmp(a->data, b->data, a->len));
}

/* What is left out under FROM is now so under TO. */
static int replay_note_as(struct replay *r, const struct resp_arg *from, const struct resp_arg *to, bool move, struct error *e)
{
	const struct tomb *tomb = tombs_find(&r->tombs, from->data, from->len);
	enum tomb_kind kind = tomb->kind;
	const char *text = tomb->text;

	if (move)
		tombs_remove(&r->tombs, from->data, from->len);
	return replay_note(r, to, kind, kind == TOMB_NO_PATH ? "came from a key that can't be" : text, e);
}

static int replay_to(struct replay *r, const struct resp_arg *from, const struct resp_arg *to, bool move, struct error *e)
{
	int err;

	if (same_key(from, to))
		return 0;
	if (!tombs_empty(&r->tombs) && tombs_find(&r->tombs, from->data, from->len))
		return replay_note_as(r, from, to, move, e);
	if (!replay_is_value(r, from, NULL))
		return replay_no_key(r, from, e);
	err = (move ? loader_move : loader_copy)(&r->l, from->data, from->len, to->data, to->len);
	if (err) {
		err = replay_refused(r, to, err, e);
		return !err && move ? replay_forget(r, from, e) : err;
	}
	if (!tombs_empty(&r->tombs))
		tombs_remove(&r->tombs, to->data, to->len);
	return 0;
}

int replay_rename(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	(void)argc;
	return replay_to(r, &argv[1], &argv[2], true, e);
}

int replay_copy(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	int64_t db = (int64_t)r->db;
	size_t i;

	for (i = 3; i < argc; i++) {
		if (resp_is(&argv[i], "REPLACE"))
			continue;
		if (!resp_is(&argv[i], "DB") || ++i == argc)
			return replay_bad(&argv[argc - 1], "is not an option that can be replayed", e);
		if (replay_int(&argv[i], &db, e))
			return -EPROTO;
	}
	if (db < 0)
		return replay_bad(&argv[2], "goes to no database", e);
	if ((uint64_t)db != r->db)
		return replay_carry(r, &argv[1], &argv[2], (uint64_t)db, false, e);
	return replay_to(r, &argv[1], &argv[2], false, e);
}

int replay_move(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	int64_t db;

	(void)argc;
	if (replay_int(&argv[2], &db, e))
		return -EPROTO;
	if (db < 0 || (uint64_t)db == r->db)
		return replay_bad(&argv[2], "is no database to move a key to", e);
	return replay_carry(r, &argv[1], &argv[1], (uint64_t)db, true, e);
}

/* RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME s] [FREQ n] */
int replay_restore(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	struct bytes value = { 0 };
	const char *type = NULL;
	bool relative = true;
	int64_t at_ms = 0;
	uint64_t id;
	size_t i;
	int err;

	for (i = 4; i < argc; i++) {
		if (resp_is(&argv[i], "ABSTTL"))
			relative = false;
		else if (resp_is(&argv[i], "IDLETIME") || resp_is(&argv[i], "FREQ"))
			i++;
		else if (!resp_is(&argv[i], "REPLACE"))
			return replay_bad(&argv[i], "is not an option that can be replayed", e);
	}
	if (!(argv[2].len == 1 && argv[2].data[0] == '0') && replay_time(r, &argv[2], 1, relative, &at_ms, e))
		return -EPROTO;
	err = rdb_read_dump(argv[3].data, argv[3].len, &value, &type, e);
	if (err)
		return err;
	if (type) {
		err = replay_other_type(r, &argv[1], type, e);
	} else {
		err = replay_put(r, &argv[1], value.data, value.len, &id, e);
		if (!err && id && at_ms)
			err = replay_expire_id(r, id, at_ms, e);
	}
	bytes_fini(&value);
	return err;
}

/* ---- databases ---- */

int replay_select(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	int64_t db;

	(void)argc;
	if (replay_int(&argv[1], &db, e))
		return -EPROTO;
	if (db < 0)
		return replay_bad(&argv[1], "is no database", e);
	r->db = (uint64_t)db;
	return 0;
}

int replay_swapdb(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	int64_t a, b;

	(void)argc;
	if (replay_int(&argv[1], &a, e) || replay_int(&argv[2], &b, e))
		return -EPROTO;
	if (a < 0 || b < 0)
		return replay_bad(&argv[a < 0 ? 1 : 2], "is no database", e);
	return replay_swap(r, (uint64_t)a, (uint64_t)b, e);
}

int replay_flushdb(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	(void)argv;
	(void)argc;
	(void)e;
	loader_clear(&r->l);
	tombs_clear(&r->tombs);
	return 0;
}

int replay_flushall(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	(void)argv;
	(void)argc;
	(void)e;
	replay_clear_all(r);
	return 0;
}
