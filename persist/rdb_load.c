/* rdb_load.c -- see rdb_load.h.
 *
 * A key that is made touches its directory, and directories stand in the file in any order: their attributes are kept aside and
 * set when the last key is there. */
#include "persist/rdb_load.h"

#include "persist/number_map.h"
#include "persist/rdb_ahead.h"
#include "persist/replay_db.h"
#include "persist/seal.h"
#include "store/value_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define AUX_CTIME "ctime"

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
	bool has_attr, beside;      /* for the next key */
	bool is_sparse;             /* likewise: these are the pieces of its value, so far, */
	struct value_build sparse;
	uint64_t sparse_size;       /* and its size */
	struct attr_change attr;
	uint64_t link;              /* likewise; 0: none */
	struct number_map links;    /* from these to ids */
	struct bytes xattrs;        /* for the next key: as in its AUX, which is gone by then */
	struct directory_attr *directory;  /* owned */
	size_t count, cap;
};

int rdb_load_lineage(const char *hex, size_t len, uint64_t *ret, struct error *e)
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

int rdb_load_seq(const char *text, size_t len, uint64_t *ret, struct error *e)
{
	struct resp_arg a = { .data = text, .len = len };
	int64_t n;

	if (resp_int64(&a, &n) || n < 0)
		return error_set(e, -EPROTO, "AUX field %s is no number", AUX_SEQ);
	*ret = (uint64_t)n;
	return 0;
}

/* Redis writes a number; nothing depends on it but a look at the past. */
static void load_ctime(const char *text, size_t len, int64_t *ret)
{
	struct resp_arg a = { .data = text, .len = len };
	int64_t n;

	if (!resp_int64(&a, &n) && n > 0)
		*ret = n;
}

/* XATTRS is as in an AUX. */
static int load_xattrs(struct rdb_load *d, uint64_t id, const char *xattrs, size_t len)
{
	struct xattr a;
	size_t pos = 0;
	int err = 0;

	while (!err && aux_next_xattr(xattrs, len, &pos, &a))
		err = loader_xattr(&d->r->l, id, &a);
	return err;
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
	return load_xattrs(d, id, a->xattr, a->xattr_len);
}

/* The id of what has number LINK so far and is of TYPE; 0: nothing is. */
static uint64_t linked(const struct rdb_load *d, uint64_t link, uint32_t type)
{
	struct attr a;
	uint64_t id;

	if (!link || d->r->db != d->r->mount_db || !number_map_get(&d->links, link, &id))
		return 0;
	return keyspace_getattr(d->r->l.ks, id, &a) == 0 && (a.mode & S_IFMT) == type ? id : 0;
}

/* ID has number LINK. */
static int note_link(struct rdb_load *d, uint64_t link, uint64_t id)
{
	return link && d->r->db == d->r->mount_db ? number_map_set(&d->links, link, id) : 0;
}

/* What is no key and no directory. */
static int load_other(struct rdb_load *d, const struct aux_attr *a)
{
	uint64_t id = linked(d, a->link, a->kind == AUX_SYMLINK ? S_IFLNK : a->attr.mode & S_IFMT);
	struct loader *l = &d->r->l;
	int err;

	if (id)
		err = loader_link(l, id, a->path, a->path_len);
	else if (a->kind == AUX_SYMLINK)
		err = loader_symlink(l, a->path, a->path_len, a->target, a->target_len, &id);
	else
		err = loader_special(l, a->path, a->path_len, a->attr.mode, a->rdev, &id);
	if (!err)
		err = note_link(d, a->link, id);
	if (!err)
		err = loader_attr(l, id, &a->attr);
	return err ? err : load_xattrs(d, id, a->xattr, a->xattr_len);
}

static int load_without_key(struct rdb_load *d, const struct aux_attr *a)
{
	return a->kind == AUX_DIRECTORY ? load_directory(d, a) : load_other(d, a);
}

static void drop_sparse(struct rdb_load *d)
{
	value_build_drop(&d->sparse);
	d->is_sparse = false;
}

/* 1: it was a piece of the next key's value; 0: it is something else. */
static int load_sparse(struct rdb_load *d, const char *blob, size_t len)
{
	struct aux_sparse a;
	int r = aux_sparse_parse(blob, len, &a);

	if (r <= 0)
		return r;
	if (d->is_sparse && a.size != d->sparse_size)
		return -EPROTO;
	d->is_sparse = true;
	d->sparse_size = a.size;
	r = value_build_add(&d->sparse, a.off, a.data, a.len);
	return r < 0 ? r : 1;
}

static int load_attr(struct rdb_load *d, const char *value, size_t len, struct error *e)
{
	static const char *const what[] = { [AUX_DIRECTORY] = "directory", [AUX_SYMLINK] = "symbolic link", [AUX_SPECIAL] = "special file" };
	char shown[PATH_SHOWN_MAX];
	struct aux_attr a;
	int err = load_sparse(d, value, len);

	if (err)
		return err < 0 ? error_set(e, err, "AUX field %s is malformed: %s", AUX_ATTR, strerror(-err)) : 0;
	err = aux_attr_parse(value, len, &a);
	d->has_attr = d->beside = false;
	d->link = 0;
	d->xattrs.len = 0;
	if (err == -ENOTSUP)
		return 0;
	if (err)
		return error_set(e, err, "AUX field %s is malformed", AUX_ATTR);
	if (a.kind == AUX_VALUE) {
		d->has_attr = true;
		d->attr = a.attr;
		d->beside = a.escaped;
		d->link = a.link;
		return bytes_add(&d->xattrs, a.xattr, a.xattr_len) < 0 ? error_set(e, -ENOMEM, "out of memory") : 0;
	}
	err = replay_enter(d->r, e);
	if (err)
		return err;
	err = a.escaped ? 0 : replay_escape(d->r, 0, &a.path, &a.path_len);
	if (!err)
		err = load_without_key(d, &a);
	if (err == -ENOMEM)
		return error_set(e, err, "out of memory");
	if (err)
		return error_set(e, err, "%s \"%s\": %s", what[a.kind], error_quote(a.path, a.path_len, shown, sizeof(shown)), err == -EINVAL ? d->r->l.why : strerror(-err));
	return 0;
}

static bool name_is(const char *name, size_t len, const char *word)
{
	return len == strlen(word) && !memcmp(name, word, len);
}

static int load_aux(void *ctx, const struct rdb_aux *a, struct error *e)
{
	struct rdb_load *d = ctx;

	if (name_is(a->name, a->name_len, AUX_ATTR))
		return load_attr(d, a->value, a->value_len, e);
	if (name_is(a->name, a->name_len, AUX_LINEAGE))
		return rdb_load_lineage(a->value, a->value_len, &d->out->lineage, e);
	if (name_is(a->name, a->name_len, AUX_SEQ))
		return rdb_load_seq(a->value, a->value_len, &d->out->seq, e);
	if (name_is(a->name, a->name_len, AUX_CTIME))
		load_ctime(a->value, a->value_len, &d->out->ctime_s);
	return 0;
}

static int load_resize(void *ctx, uint64_t db, uint64_t keys, uint64_t expires)
{
	struct rdb_load *d = ctx;

	(void)expires;
	d->r->db = db;    /* of the directories and symlinks that follow, too */
	if (db == d->r->mount_db)
		(void)loader_presize(&d->r->l, keys < d->len / KEY_BYTES ? keys : d->len / KEY_BYTES);  /* a hint: may fail */
	return 0;
}

static int load_string(struct rdb_load *d, const struct rdb_key *k, const struct resp_arg *key, struct error *e)
{
	struct resp_arg value = { .data = k->value, .len = k->value_len };
	struct value **made = k->made, *sparse = NULL;
	uint64_t id = linked(d, d->link, S_IFREG);
	int err = d->is_sparse ? value_build_end(&d->sparse, d->sparse_size, &sparse) : 0;

	if (err)
		return error_set(e, err, "its pieces: %s", strerror(-err));
	if (d->is_sparse) {
		made = &sparse;
		value.len = (size_t)d->sparse_size;
	}

	/* What cannot be linked, which no file that kvfs wrote has, is a file of its own. */
	if (id && loader_link_value(&d->r->l, id, key->data, key->len) == 0)
		replay_has(d->r, key);
	else
		err = replay_string(d->r, key, &value, made, k->expire_at_ms, &id, e);
	value_unref(sparse);
	if (!err && id && d->link)
		err = note_link(d, d->link, id);
	if (!err && id && d->beside)
		err = loader_set_beside(&d->r->l, key->data, key->len);
	if (!err && id && d->has_attr)
		err = loader_attr(&d->r->l, id, &d->attr);
	if (!err && id)
		err = load_xattrs(d, id, d->xattrs.data, d->xattrs.len);
	return err ? error_set(e, err, "%s", strerror(-err)) : 0;
}

static int enter(struct rdb_load *d, uint64_t db, struct error *e)
{
	d->r->db = db;
	return replay_enter(d->r, e);
}

static int load_key(void *ctx, const struct rdb_key *k, struct error *e)
{
	struct rdb_load *d = ctx;
	struct resp_arg key = { .data = k->key, .len = k->key_len };
	int err = 0;

	if (d->out->drop_expired && k->expire_at_ms && k->expire_at_ms <= d->out->now_ms)
		d->out->expired++;
	else if (k->db != d->r->mount_db && d->out->drop_expired)
		err = replay_count(d->r, k->db, e);
	else if ((err = enter(d, k->db, e)))
		;
	else if (k->type)
		err = replay_other_type(d->r, &key, k->type, e);
	else
		err = load_string(d, k, &key, e);
	drop_sparse(d);
	d->has_attr = d->beside = false;
	d->link = 0;
	d->xattrs.len = 0;
	if (!err && d->r->progress)
		d->r->progress(d->r->progress_ctx, k->offset);
	return err ? error_prepend(e, err, "key at %llu", (unsigned long long)k->offset) : 0;
}

static void load_soon(void *ctx, const char *key, size_t len)
{
	struct rdb_load *d = ctx;

	loader_expect(&d->r->l, key, len);
}

int rdb_load(const void *data, size_t len, struct replay *r, struct rdb_loaded *l, struct error *e)
{
	struct rdb_load d = { .r = r, .out = l, .len = len };
	const struct rdb_handler h = { .ctx = &d, .aux = load_aux, .resize = load_resize, .key = load_key, .soon = load_soon };
	size_t i;
	int err;

	r->l.displace = false;
	err = rdb_read_ahead(data, len, &h, &l->used, e);

	for (i = 0; !err && i < d.count; i++) {
		err = loader_attr(&r->l, d.directory[i].id, &d.directory[i].attr);
		if (err)
			error_set(e, err, "attributes of a directory: %s", strerror(-err));
	}
	free(d.directory);
	drop_sparse(&d);
	bytes_fini(&d.xattrs);
	number_map_fini(&d.links);
	return err;
}

/* ---- the first fields alone ---- */

static int peek_parent(const char *text, size_t len, struct rdb_origin *o, struct error *e)
{
	if (len <= LINEAGE_DIGITS || text[LINEAGE_DIGITS] != ':')
		return error_set(e, -EPROTO, "AUX field %s is malformed", AUX_PARENT);
	int err = rdb_load_lineage(text, LINEAGE_DIGITS, &o->parent, e);
	return err ? err : rdb_load_seq(text + LINEAGE_DIGITS + 1, len - LINEAGE_DIGITS - 1, &o->parent_seq, e);
}

static int peek_aux(void *ctx, const struct rdb_aux *a, struct error *e)
{
	struct rdb_origin *o = ctx;

	if (name_is(a->name, a->name_len, AUX_LINEAGE))
		return rdb_load_lineage(a->value, a->value_len, &o->lineage, e);
	if (name_is(a->name, a->name_len, AUX_SEQ))
		return rdb_load_seq(a->value, a->value_len, &o->seq, e);
	if (name_is(a->name, a->name_len, AUX_PARENT))
		return peek_parent(a->value, a->value_len, o, e);
	return name_is(a->name, a->name_len, AUX_ATTR) ? -ECANCELED : 0;
}

static int peek_resize(void *ctx, uint64_t db, uint64_t keys, uint64_t expires)
{
	(void)ctx, (void)db, (void)keys, (void)expires;
	return -ECANCELED;
}

static int peek_key(void *ctx, const struct rdb_key *k, struct error *e)
{
	(void)ctx, (void)k, (void)e;
	return -ECANCELED;
}

int rdb_peek(const void *data, size_t len, struct rdb_origin *ret)
{
	struct rdb_origin o = { 0 };
	const struct rdb_handler h = { .ctx = &o, .aux = peek_aux, .resize = peek_resize, .key = peek_key };
	struct error unused = { { 0 } };
	size_t used;
	int err = rdb_read(data, len, &h, &used, &unused);

	if (err && err != -ECANCELED)
		return err;
	*ret = o;
	return 0;
}
