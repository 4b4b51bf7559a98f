/* replay_db.c -- see replay_db.h. */
#include "persist/replay_db.h"

#include "persist/replay_verb.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { DBS_FIRST = 4 };

static int no_memory(struct error *e)
{
	return error_set(e, -ENOMEM, "out of memory");
}

/* The entry of NUMBER, made if it is missing. */
static int find(struct replay *r, uint64_t number, size_t *ret, struct error *e)
{
	for (size_t i = 0; i < r->dbs; i++) {
		if (r->database[i].number == number) {
			*ret = i;
			return 0;
		}
	}
	if (r->dbs == REPLAY_DBS_MAX)
		return error_set(e, -EINVAL, "there are more than %d databases", REPLAY_DBS_MAX);
	if (r->dbs == r->dbs_cap) {
		size_t cap = r->dbs_cap ? r->dbs_cap * 2 : DBS_FIRST;
		struct replay_db *all = reallocarray(r->database, cap, sizeof(*all));
		if (!all)
			return no_memory(e);
		r->database = all;
		r->dbs_cap = cap;
	}
	r->database[r->dbs] = (struct replay_db){ .number = number };
	*ret = r->dbs++;
	return 0;
}

static int make_keyspace(struct replay *r, struct keyspace **ret, struct error *e)
{
	struct keyspace_options o = { .value_max = UINT64_MAX, .root_mode = 0755, .now_ns = r->l.now_ns };

	if (getrandom(o.hash_seed, sizeof(o.hash_seed), 0) != sizeof(o.hash_seed))
		return error_set(e, -EIO, "getrandom: no random numbers");
	return keyspace_new(&o, ret) < 0 ? no_memory(e) : 0;
}

/* What is entered is entry AT from now on. */
static void enter(struct replay *r, size_t at)
{
	struct replay_db *to = &r->database[at];

	r->database[r->at].tombs = r->tombs;
	r->tombs = to->tombs;
	to->tombs = (struct tombs){ 0 };
	r->at = at;
	r->entered = to->number;
	r->l.ks = to->ks;
	r->l.last_dir = 0;
}

int replay_enter_other(struct replay *r, struct error *e)
{
	size_t at = 0;
	int err = find(r, r->db, &at, e);

	if (!err && !r->database[at].ks)
		err = make_keyspace(r, &r->database[at].ks, e);
	if (!err)
		enter(r, at);
	return err;
}

int replay_count(struct replay *r, uint64_t db, struct error *e)
{
	size_t at;
	int err = find(r, db, &at, e);

	if (!err)
		r->database[at].counted++;
	return err;
}

int replay_swap(struct replay *r, uint64_t a, uint64_t b, struct error *e)
{
	size_t x, y;
	int err = find(r, a, &x, e);

	if (!err)
		err = find(r, b, &y, e);
	if (err)
		return err;
	r->database[x].number = b;
	r->database[y].number = a;
	r->entered = r->database[r->at].number;
	return 0;
}

void replay_clear_all(struct replay *r)
{
	struct keyspace *entered = r->l.ks;

	for (size_t i = 0; i < r->dbs; i++) {
		struct replay_db *d = &r->database[i];

		r->l.ks = d->ks;
		if (d->ks)
			loader_clear(&r->l);
		tombs_clear(&d->tombs);
		d->counted = 0;
	}
	tombs_clear(&r->tombs);
	r->l.ks = entered;
}

/* ---- from one to another ---- */

static int put_there(struct replay *r, const struct resp_arg *to, const struct tomb *tomb, struct value *v, uint64_t size, int64_t at_ms,
                     struct error *e)
{
	uint64_t id;
	int err;

	if (tomb)
		return replay_note(r, to, tomb->kind, tomb->text, e);
	err = loader_set_value(&r->l, to->data, to->len, v, size, &id);
	if (err)
		return replay_refused(r, to, err, e);
	if (!tombs_empty(&r->tombs))
		tombs_remove(&r->tombs, to->data, to->len);
	return at_ms ? replay_expire_id(r, id, at_ms, e) : 0;
}

int replay_carry(struct replay *r, const struct resp_arg *from, const struct resp_arg *to, uint64_t db, bool move, struct error *e)
{
	const struct tomb *found = tombs_empty(&r->tombs) ? NULL : tombs_find(&r->tombs, from->data, from->len);
	struct tomb tomb = found ? *found : (struct tomb){ .kind = TOMB_GONE };
	struct value *v = NULL;
	uint64_t size = 0, home = r->db, id;
	int64_t at_ms = 0;
	int err;

	if (!found) {
		if (!replay_is_value(r, from, &id))
			return replay_no_key(r, from, e);
		keyspace_lock(r->l.ks);
		at_ms = keyspace_expiry_locked(r->l.ks, id);
		keyspace_unlock(r->l.ks);
		err = loader_get(&r->l, from->data, from->len, &v, &size);
		if (err)
			return replay_refused(r, from, err, e);
	}
	err = move ? replay_forget(r, from, e) : 0;
	r->db = db;
	if (!err)
		err = replay_enter(r, e);
	if (!err)
		err = put_there(r, to, found ? &tomb : NULL, v, size, at_ms, e);
	value_unref(v);
	r->db = home;
	return err ? err : replay_enter(r, e);
}

/* ---- life ---- */

int replay_settle(struct replay *r, struct error *e)
{
	struct replay_db *mine, *had = NULL;
	int err;

	r->db = r->mount_db;
	err = replay_enter(r, e);
	if (err)
		return err;
	mine = &r->database[r->at];
	for (size_t i = 0; i < r->dbs; i++)
		if (r->database[i].ks == r->ks)
			had = &r->database[i];
	if (mine == had)
		return 0;
	assert(had);
	err = keyspace_exchange(r->ks, mine->ks);
	if (err)
		return err;
	had->ks = mine->ks;
	mine->ks = r->l.ks = r->ks;
	return 0;
}

uint64_t replay_db_keys(const struct replay_db *d)
{
	struct usage u = { 0 };

	if (d->ks)
		keyspace_usage(d->ks, &u);
	return u.keys + d->tombs.types + d->tombs.no_paths + d->counted;
}

int replay_init(struct replay *r, struct keyspace *ks, uint32_t uid, uint32_t gid, int64_t now_ns)
{
	struct replay_db *first = malloc(sizeof(*first));

	if (!first)
		return -ENOMEM;
	*first = (struct replay_db){ .ks = ks };
	*r = (struct replay){ .ks = ks, .database = first, .dbs = 1, .dbs_cap = 1 };
	return loader_init(&r->l, ks, uid, gid, now_ns);
}

void replay_mount(struct replay *r, uint64_t db, bool skip_other_dbs)
{
	r->database[0].number = r->mount_db = r->db = r->entered = db;
	r->skip_other_dbs = skip_other_dbs;
}

void replay_fini(struct replay *r)
{
	for (size_t i = 0; i < r->dbs; i++) {
		tombs_fini(&r->database[i].tombs);
		if (r->database[i].ks != r->ks)
			keyspace_free(r->database[i].ks);
	}
	free(r->database);
	loader_fini(&r->l);
	tombs_fini(&r->tombs);
	bytes_fini(&r->scratch);
}
