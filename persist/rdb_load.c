/* rdb_load.c -- see rdb_load.h.
 *
 * A key that is made touches its directory, and directories stand in the file in any order: their attributes are kept aside and
 * set when the last key is there. */
#include "persist/rdb_load.h"

#include "persist/rdb.h"
#include "persist/seal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEY_BYTES = 16,         /* of a file for each key that room is made for ahead of time */
	DIRECTORIES_FIRST = 64,
	LINEAGE_DIGITS = 16,
	PATH_SHOWN_MAX = 100,
};

struct directory_attr {
	uint64_t id;
	struct attr_change attr;
};

struct rdb_load {
	struct replay *r;
	struct rdb_loaded *out;
	size_t len;                 /* of the file */
	bool has_attr;              /* for the next key */
	struct attr_change attr;
	struct directory_attr *directory;  /* owned */
	size_t count, cap;
};

static int load_lineage(const char *hex, size_t len, uint64_t *ret, struct error *e)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		char c = hex[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
			break;
		n = n << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	if (i != LINEAGE_DIGITS || i != len)
		return error_set(e, -EPROTO, "AUX field %s is not %d hex digits", AUX_LINEAGE, LINEAGE_DIGITS);
	*ret = n;
	return 0;
}

static int load_seq(const char *text, size_t len, uint64_t *ret, struct error *e)
{
	struct resp_arg a = { .data = text, .len = len };
	int64_t n;

	if (resp_int64(&a, &n) || n < 0)
		return error_set(e, -EPROTO, "AUX field %s is no number", AUX_SEQ);
	*ret = (uint64_t)n;
	return 0;
}

static int load_directory(struct rdb_load *d, const struct aux_attr *a)
{
	struct directory_attr *directory;
	size_t cap = d->cap ? d->cap * 2 : DIRECTORIES_FIRST;
	uint64_t id;
	int err;

	if (d->count == d->cap) {
		directory = reallocarray(d->directory, cap, sizeof(*directory));
		if (!directory)
			return -ENOMEM;
		d->directory = directory;
		d->cap = cap;
	}
	err = loader_mkdir(&d->r->l, a->path, a->path_len, &id);
	if (err)
		return err;
	d->directory[d->count++] = (struct directory_attr){ .id = id, .attr = a->attr };
	return 0;
}

static int load_symlink(struct rdb_load *d, const struct aux_attr *a)
{
	uint64_t id;
	int err = loader_symlink(&d->r->l, a->path, a->path_len, a->target, a->target_len, &id);

	return err ? err : loader_attr(&d->r->l, id, &a->attr);
}

static int load_attr(struct rdb_load *d, const char *value, size_t len, struct error *e)
{
	char shown[PATH_SHOWN_MAX];
	struct aux_attr a;
	int err = aux_attr_parse(value, len, &a);

	d->has_attr = false;
	if (err == -ENOTSUP)
		return 0;
	if (err)
		return error_set(e, err, "AUX field %s is malformed", AUX_ATTR);
	if (a.kind == AUX_VALUE) {
		d->has_attr = true;
		d->attr = a.attr;
		return 0;
	}
	err = a.kind == AUX_DIRECTORY ? load_directory(d, &a) : load_symlink(d, &a);
	if (err == -ENOMEM)
		return error_set(e, err, "out of memory");
	if (err)
		return error_set(e, err, "%s \"%s\": %s", a.kind == AUX_DIRECTORY ? "directory" : "symbolic link",
		                 error_quote(a.path, a.path_len, shown, sizeof(shown)), err == -EINVAL ? d->r->l.why : strerror(-err));
	return 0;
}

static bool name_is(const char *name, size_t len, const char *word)
{
	return len == strlen(word) && !memcmp(name, word, len);
}

static int load_aux(void *ctx, const char *name, size_t name_len, const char *value, size_t value_len, struct error *e)
{
	struct rdb_load *d = ctx;

	if (name_is(name, name_len, AUX_ATTR))
		return load_attr(d, value, value_len, e);
	if (name_is(name, name_len, AUX_LINEAGE))
		return load_lineage(value, value_len, &d->out->lineage, e);
	if (name_is(name, name_len, AUX_SEQ))
		return load_seq(value, value_len, &d->out->seq, e);
	return 0;
}

static int load_resize(void *ctx, uint64_t db, uint64_t keys, uint64_t expires)
{
	struct rdb_load *d = ctx;

	(void)expires;
	if (db == 0)
		(void)loader_presize(&d->r->l, keys < d->len / KEY_BYTES ? keys : d->len / KEY_BYTES);  /* a hint: may fail */
	return 0;
}

static int load_string(struct rdb_load *d, const struct rdb_key *k, const struct resp_arg *key, struct error *e)
{
	struct resp_arg value = { .data = k->value, .len = k->value_len };
	uint64_t id = 0;
	int err = replay_string(d->r, key, &value, k->expire_at_ms, &id, e);

	if (!err && id && d->has_attr)
		err = loader_attr(&d->r->l, id, &d->attr);
	return err ? error_set(e, err, "%s", strerror(-err)) : 0;
}

static int load_key(void *ctx, const struct rdb_key *k, struct error *e)
{
	struct rdb_load *d = ctx;
	struct resp_arg key = { .data = k->key, .len = k->key_len };
	int err = 0;

	if (d->out->drop_expired && k->expire_at_ms && k->expire_at_ms <= d->out->now_ms)
		d->out->expired++;
	else if (k->db != 0)
		replay_foreign(d->r, k->db);
	else if (k->type)
		err = replay_other_type(d->r, &key, k->type, e);
	else
		err = load_string(d, k, &key, e);
	d->has_attr = false;
	if (!err && d->r->progress)
		d->r->progress(d->r->progress_ctx, k->offset);
	return err ? error_prepend(e, err, "key at %llu", (unsigned long long)k->offset) : 0;
}

int rdb_load(const void *data, size_t len, struct replay *r, struct rdb_loaded *l, struct error *e)
{
	struct rdb_load d = { .r = r, .out = l, .len = len };
	const struct rdb_handler h = { .ctx = &d, .aux = load_aux, .resize = load_resize, .key = load_key };
	size_t i;
	int err = rdb_read(data, len, &h, &l->used, e);

	for (i = 0; !err && i < d.count; i++) {
		err = loader_attr(&r->l, d.directory[i].id, &d.directory[i].attr);
		if (err)
			error_set(e, err, "attributes of a directory: %s", strerror(-err));
	}
	free(d.directory);
	return err;
}
