/* replay_value.c -- what the verbs do with keys and values, with what is left out kept in sight. */
#include "persist/replay_verb.h"

#include <errno.h>
#include <string.h>

static const int64_t ns_per_ms = 1000000;

bool replay_is_value(struct replay *r, const struct resp_arg *key, uint64_t *ret_id)
{
	uint64_t id;

	if (loader_find_value(&r->l, key->data, key->len, &id))
		return false;
	if (ret_id)
		*ret_id = id;
	return true;
}

int replay_value(struct replay *r, const struct resp_arg *key, struct value **ret, uint64_t *ret_size, struct error *e)
{
	int err;

	if (!tombs_empty(&r->tombs) && tombs_find(&r->tombs, key->data, key->len))
		return REPLAY_LEFT_OUT;
	if (!replay_is_value(r, key, NULL))
		return REPLAY_MISSING;
	err = loader_get(&r->l, key->data, key->len, ret, ret_size);
	if (err)
		return replay_refused(r, key, err, e);
	return REPLAY_FOUND;
}

int replay_scratch(struct replay *r, const struct resp_arg *key, struct error *e)
{
	struct value *v;
	uint64_t size;
	int found = replay_value(r, key, &v, &size, e);

	r->scratch.len = 0;
	if (found != REPLAY_FOUND)
		return found;
	if (size > SIZE_MAX || bytes_reserve(&r->scratch, (size_t)size)) {
		value_unref(v);
		return error_set(e, -ENOMEM, "out of memory");
	}
	if (size)
		value_copy_out(v, size, 0, r->scratch.data, (size_t)size);
	r->scratch.len = (size_t)size;
	value_unref(v);
	return REPLAY_FOUND;
}

void replay_has(struct replay *r, const struct resp_arg *key)
{
	r->keys++;
	if (!tombs_empty(&r->tombs))
		tombs_remove(&r->tombs, key->data, key->len);
}

/* What loader_set() or loader_put() said of KEY and *ID. */
static int replay_was_put(struct replay *r, const struct resp_arg *key, int err, uint64_t *id, struct error *e)
{
	if (!err) {
		replay_has(r, key);
		return 0;
	}
	*id = 0;
	return replay_refused(r, key, err, e);
}

int replay_put(struct replay *r, const struct resp_arg *key, const void *data, size_t len, uint64_t *ret_id, struct error *e)
{
	uint64_t id = 0;
	int err = loader_set(&r->l, key->data, key->len, data, len, &id);

	err = replay_was_put(r, key, err, &id, e);
	if (ret_id)
		*ret_id = id;
	return err;
}

int replay_put_keep(struct replay *r, const struct resp_arg *key, const void *data, size_t len, struct error *e)
{
	int64_t at_ms = 0;
	uint64_t id;
	int err;

	if (replay_is_value(r, key, &id)) {
		keyspace_lock(r->l.ks);
		at_ms = keyspace_expiry_locked(r->l.ks, id);
		keyspace_unlock(r->l.ks);
	}
	err = replay_put(r, key, data, len, &id, e);
	return !err && id && at_ms ? replay_expire_id(r, id, at_ms, e) : err;
}

int replay_write(struct replay *r, const struct resp_arg *key, uint64_t off, const void *data, size_t len, struct error *e)
{
	int err = loader_write(&r->l, key->data, key->len, off, data, len, NULL);

	return err ? replay_refused(r, key, err, e) : 0;
}

int replay_expire_id(struct replay *r, uint64_t id, int64_t at_ms, struct error *e)
{
	int err = loader_expire(&r->l, id, at_ms);

	return err ? error_set(e, err, "%s", strerror(-err)) : 0;
}

int replay_forget(struct replay *r, const struct resp_arg *key, struct error *e)
{
	int err;

	if (!tombs_empty(&r->tombs))
		tombs_remove(&r->tombs, key->data, key->len);
	if (!replay_is_value(r, key, NULL))
		return 0;
	err = loader_delete(&r->l, key->data, key->len);
	return err ? replay_refused(r, key, err, e) : 0;
}

int replay_int(const struct resp_arg *a, int64_t *ret, struct error *e)
{
	return resp_int64(a, ret) ? replay_bad(a, "is not an integer", e) : 0;
}

int replay_time(struct replay *r, const struct resp_arg *a, int64_t unit_ms, bool relative, int64_t *ret, struct error *e)
{
	int64_t at;

	if (replay_int(a, &at, e))
		return -EPROTO;
	if (__builtin_mul_overflow(at, unit_ms, &at) || (relative && __builtin_add_overflow(at, r->l.now_ns / ns_per_ms, &at)))
		return replay_bad(a, "is no time", e);
	*ret = at > 0 ? at : 1;   /* 0 is no expiry; long past is long past */
	return 0;
}

int replay_string(struct replay *r, const struct resp_arg *key, const struct resp_arg *value, struct value **made, int64_t expire_at_ms,
                  uint64_t *ret_id, struct error *e)
{
	int err;

	if (made) {
		err = loader_put(&r->l, key->data, key->len, *made, value->len, ret_id);
		*made = NULL;
		err = replay_was_put(r, key, err, ret_id, e);
	} else {
		err = replay_put(r, key, value->data, value->len, ret_id, e);
	}
	return !err && *ret_id && expire_at_ms ? replay_expire_id(r, *ret_id, expire_at_ms, e) : err;
}
