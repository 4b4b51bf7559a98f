/* aof_base.c -- see aof_base.h. */
#include "persist/aof_base.h"
#include "persist/batch.h"
#include "persist/number_map.h"
#include "persist/script.h"
#include "store/keyname.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	BUFFER = 256 * 1024,
	PIECE = 1024 * 1024,        /* of a large value in one batch */
};

struct directory_entry {
	struct attr attr;
	size_t key_at, key_len;     /* in `keys` */
	struct xattrs *xattrs;      /* a reference */
};

/* A path in `names`. */
struct path_at { size_t at, len; };

/* A further name of what the base has already. */
struct link_entry {
	struct path_at first, name;
	struct attr attr;
};

struct aof_base {
	struct rdb_options o;
	rdb_sink_fn *sink;
	void *ctx;
	uint64_t seq;
	struct bytes out;           /* batches on their way to the sink */
	struct bytes piece;         /* of a large value */
	bool escaped;               /* paths may not be keys: keyname.h */
	struct bytes key;           /* of a path */
	struct bytes keys;          /* paths of directories */
	struct bytes entries;       /* of struct directory_entry */
	struct number_map linked;   /* from the id of what has several names to the number of its first one here, from 1 */
	struct bytes firsts;        /* of struct path_at */
	struct bytes links;         /* of struct link_entry */
	struct bytes names;         /* paths of both */
};

int aof_base_new(const struct rdb_options *o, rdb_sink_fn *sink, void *ctx, struct aof_base **ret)
{
	struct aof_base *w = calloc(1, sizeof *w);
	if (!w)
		return -ENOMEM;
	w->o = *o;
	w->sink = sink;
	w->ctx = ctx;
	*ret = w;
	return 0;
}

void aof_base_free(struct aof_base *w)
{
	if (!w)
		return;
	bytes_fini(&w->out);
	bytes_fini(&w->piece);
	bytes_fini(&w->key);
	bytes_fini(&w->keys);
	for (size_t at = 0; at < w->entries.len; at += sizeof(struct directory_entry)) {
		struct directory_entry d;
		memcpy(&d, w->entries.data + at, sizeof d);
		xattrs_unref(d.xattrs);
	}
	bytes_fini(&w->entries);
	number_map_fini(&w->linked);
	bytes_fini(&w->firsts);
	bytes_fini(&w->links);
	bytes_fini(&w->names);
	free(w);
}

static int flush(struct aof_base *w)
{
	int err = w->sink(w->ctx, w->out.data, w->out.len);
	w->out.len = 0;
	return err;
}

static int put(struct aof_base *w, const struct batch *b)
{
	size_t size = batch_size(b);
	int err = bytes_reserve(&w->out, size);
	if (err)
		return err;
	batch_write(b, w->out.data + w->out.len, 0, ++w->seq, NULL);
	w->out.len += size;
	return w->out.len >= BUFFER ? flush(w) : 0;
}

int aof_base_begin(struct aof_base *w, const struct snapshot_totals *t)
{
	struct batch b = { .time_ns = w->o.now_ns, .flags = SEAL_OPEN };
	char number[24];

	w->escaped = t->escaped > 0;
	batch_command(&b, "SELECT");
	batch_arg(&b, number, (size_t)snprintf(number, sizeof number, "%" PRIu64, w->o.db));
	struct seal_record *r = batch_record(&b, SEAL_LINEAGE);
	r->path = "";
	r->number = w->o.origin.lineage;
	return put(w, &b);
}

static struct attr_change all_of(const struct attr *a)
{
	return (struct attr_change){ .mask = ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME | ATTR_CTIME,
		                     .mode = a->mode & 07777, .uid = a->uid, .gid = a->gid,
		                     .atime_ns = a->atime_ns, .mtime_ns = a->mtime_ns, .ctime_ns = a->ctime_ns };
}

/* The flag that the batch of a path needs. */
static unsigned flag_of(const struct aof_base *w, const char *path, size_t len)
{
	return w->escaped && len && !keyname_is_path(path, len) ? SEAL_ESCAPED : 0;
}

/* The key of a value's path, perhaps in ROOM; *RET_BESIDE: it is the second name. */
static int find_key(const struct aof_base *w, const char *path, size_t len, struct bytes *room, const char **ret, size_t *ret_len,
                    bool *ret_beside)
{
	enum keyname_kind kind;

	*ret = path;
	*ret_len = len;
	*ret_beside = false;
	if (!w->escaped)
		return 0;
	room->len = 0;
	int err = bytes_reserve(room, len);
	if (!err)
		err = keyname_to_key(path, len, room->data, ret_len, &kind);
	if (err)
		return err;
	*ret = room->data;
	*ret_beside = kind == KEYNAME_BESIDE;
	return 0;
}

/* A batch for each extended attribute of PATH. */
static int put_xattrs(struct aof_base *w, const struct xattrs *x, const char *path, size_t len)
{
	struct xattr a;
	size_t pos = 0;
	int err = 0;

	while (!err && xattrs_next(x, &pos, &a)) {
		struct batch b = { .time_ns = w->o.now_ns, .flags = flag_of(w, path, len) };
		struct seal_record *r = batch_record(&b, SEAL_XATTR);
		r->path = path;
		r->path_len = len;
		r->xattr = a;
		err = put(w, &b);
	}
	return err;
}

/* A value on its way into the base, in as many batches as it has pieces. */
struct base_value {
	const struct snapshot_entry *e;
	const char *key;
	size_t key_len;
	bool beside;
	uint64_t done;              /* of its bytes */
};

/* The command for the next N bytes: SET for the first, APPEND where nothing is left out, which a hole is. */
static void put_command(struct aof_base *w, const struct base_value *v, struct batch *b, uint64_t off, size_t n, char *number, size_t cap)
{
	bool holds = off + n <= REDIS_VALUE_MAX;

	batch_command(b, !holds ? "EVAL" : !v->done ? "SET" : off == v->done ? "APPEND" : "SETRANGE");
	if (!holds) {
		batch_arg(b, script_beyond, strlen(script_beyond));
		batch_arg(b, "1", 1);
	}
	batch_arg(b, v->key, v->key_len);
	if (!holds || (v->done && off != v->done))
		batch_arg(b, number, (size_t)snprintf(number, cap, "%" PRIu64, off));
	batch_arg(b, n ? w->piece.data : "", n);
}

/* What comes last: the expiry, and the attributes, for each change sets the times.  B has commands that begin with the key, or none. */
static void put_rest(const struct aof_base *w, const struct base_value *v, struct batch *b, char *number, size_t cap)
{
	const struct snapshot_entry *e = v->e;

	if (e->expire_at_ms) {
		batch_command(b, "PEXPIREAT");
		batch_arg(b, v->key, v->key_len);
		batch_arg(b, number, (size_t)snprintf(number, cap, "%" PRId64, e->expire_at_ms));
	}
	struct seal_record *r = batch_record(b, SEAL_ATTR);
	r->path_is_key = b->commands > 0;
	r->path = e->key;
	r->path_len = e->key_len;
	if (!r->path_is_key)
		b->flags |= flag_of(w, e->key, e->key_len);
	r->attr = all_of(&e->attr);
}

/* The hole at the end, in a batch of its own: what kvfs needs of it is the size. */
static int put_end(struct aof_base *w, const struct base_value *v)
{
	const struct snapshot_entry *e = v->e;
	struct batch b = { .time_ns = w->o.now_ns, .flags = SEAL_RECORDS_ONLY | flag_of(w, e->key, e->key_len) };
	char number[24];

	if (e->attr.size <= REDIS_VALUE_MAX) {
		batch_command(&b, "SETRANGE");
		batch_arg(&b, v->key, v->key_len);
		batch_arg(&b, number, (size_t)snprintf(number, sizeof number, "%" PRIu64, e->attr.size - 1));
		batch_arg(&b, "", 1);
	}
	struct seal_record *r = batch_record(&b, SEAL_RESIZE);
	r->path = e->key;
	r->path_len = e->key_len;
	r->number = e->attr.size;
	return put(w, &b);
}

/* Where the next bytes are that have to be written. */
static uint64_t next_piece(const struct base_value *v, uint64_t size)
{
	return value_seek(v->e->value, size, v->done, true);
}

static int put_piece(struct aof_base *w, struct base_value *v, uint64_t off)
{
	const struct snapshot_entry *e = v->e;
	uint64_t size = e->attr.size, end = value_seek(e->value, size, off, false);
	struct batch b = { .time_ns = w->o.now_ns };
	char number[24], at_ms[24];

	if (end <= off)
		end = off + VALUE_CHUNK;
	if (end > off + PIECE)
		end = off + PIECE;
	size_t n = (size_t)((end < size ? end : size) - off);
	w->piece.len = 0;
	int err = bytes_reserve(&w->piece, n);
	if (err)
		return err;
	value_copy_out(e->value, size, off, w->piece.data, n);
	put_command(w, v, &b, off, n, number, sizeof number);
	if (v->beside && !v->done)
		batch_record(&b, SEAL_BESIDE)->path_is_key = true;
	v->done = off + n;
	if (v->done == size && size <= REDIS_VALUE_MAX)
		put_rest(w, v, &b, at_ms, sizeof at_ms);
	return put(w, &b);
}

static int put_value(struct aof_base *w, const struct snapshot_entry *e)
{
	struct base_value v = { .e = e };
	struct batch b = { .time_ns = w->o.now_ns };
	uint64_t size = e->attr.size, off = 0;
	char number[24];

	int err = find_key(w, e->key, e->key_len, &w->key, &v.key, &v.key_len, &v.beside);
	do {
		if (!err)
			err = put_piece(w, &v, off);
		off = next_piece(&v, size);
	} while (!err && off < size);
	if (err || (v.done == size && size <= REDIS_VALUE_MAX))
		return err;
	if (v.done < size)
		err = put_end(w, &v);
	put_rest(w, &v, &b, number, sizeof number);
	return err ? err : put(w, &b);
}

/* A symlink or a special file. */
static int put_without_key(struct aof_base *w, const struct snapshot_entry *e)
{
	struct batch b = { .time_ns = w->o.now_ns, .flags = flag_of(w, e->key, e->key_len) };
	const bool link = S_ISLNK(e->attr.mode);

	w->piece.len = 0;
	int err = bytes_reserve(&w->piece, e->attr.size);
	if (err)
		return err;
	value_copy_out(e->value, e->attr.size, 0, w->piece.data, e->attr.size);
	struct seal_record *r = batch_record(&b, link ? SEAL_SYMLINK : SEAL_MKNOD);
	r->path = e->key;
	r->path_len = e->key_len;
	r->attr = all_of(&e->attr);
	r->to = w->piece.data;
	r->to_len = e->attr.size;
	if (!link) {
		r->attr.mode = e->attr.mode;
		r->number = e->attr.rdev;
	}
	r = batch_record(&b, SEAL_ATTR);
	r->path = e->key;
	r->path_len = e->key_len;
	r->attr = all_of(&e->attr);
	return put(w, &b);
}

static int keep_directory(struct aof_base *w, const struct snapshot_entry *e)
{
	struct directory_entry d = { .attr = e->attr, .key_at = w->keys.len, .key_len = e->key_len, .xattrs = xattrs_ref(e->xattrs) };

	int err = bytes_add(&w->keys, e->key, e->key_len);
	if (!err)
		err = bytes_add(&w->entries, &d, sizeof d);
	if (err)
		xattrs_unref(d.xattrs);
	return err;
}

static int keep_name(struct aof_base *w, const struct snapshot_entry *e, struct path_at *ret)
{
	*ret = (struct path_at){ .at = w->names.len, .len = e->key_len };
	return bytes_add(&w->names, e->key, e->key_len);
}

/* The first name of a file is an entry as any other; further ones are put at the end. */
static int keep_link(struct aof_base *w, const struct snapshot_entry *e, bool *ret_is_further)
{
	struct link_entry l = { .attr = e->attr };
	uint64_t first;

	*ret_is_further = number_map_get(&w->linked, e->attr.id, &first);
	int err = keep_name(w, e, *ret_is_further ? &l.name : &l.first);
	if (err)
		return err;
	if (*ret_is_further) {
		memcpy(&l.first, w->firsts.data + (first - 1) * sizeof l.first, sizeof l.first);
		return bytes_add(&w->links, &l, sizeof l);
	}
	err = bytes_add(&w->firsts, &l.first, sizeof l.first);
	return err ? err : number_map_set(&w->linked, e->attr.id, w->firsts.len / sizeof l.first);
}

int aof_base_entry(struct aof_base *w, const struct snapshot_entry *e)
{
	if (S_ISDIR(e->attr.mode))
		return keep_directory(w, e);
	bool is_further = false;
	int err = e->attr.nlink > 1 ? keep_link(w, e, &is_further) : 0;
	if (err || is_further)
		return err;
	err = S_ISREG(e->attr.mode) ? put_value(w, e) : put_without_key(w, e);
	return err ? err : put_xattrs(w, e->xattrs, e->key, e->key_len);
}

static int put_link(struct aof_base *w, const struct link_entry *l)
{
	const char *first = w->names.data + l->first.at, *name = w->names.data + l->name.at, *key, *other;
	struct batch b = { .time_ns = w->o.now_ns, .flags = flag_of(w, first, l->first.len) | flag_of(w, name, l->name.len) };
	size_t key_len, other_len;
	bool beside;

	if (S_ISREG(l->attr.mode)) {
		int err = find_key(w, first, l->first.len, &w->key, &key, &key_len, &beside);
		if (!err)
			err = find_key(w, name, l->name.len, &w->piece, &other, &other_len, &beside);
		if (err)
			return err;
		b.flags |= SEAL_RECORDS_ONLY;
		batch_command(&b, "COPY");
		batch_arg(&b, key, key_len);
		batch_arg(&b, other, other_len);
		batch_arg(&b, "REPLACE", 7);
	}
	struct seal_record *r = batch_record(&b, SEAL_LINK);
	r->path = first;
	r->path_len = l->first.len;
	r->to = name;
	r->to_len = l->name.len;
	r = batch_record(&b, SEAL_ATTR);
	r->path = first;
	r->path_len = l->first.len;
	r->attr = all_of(&l->attr);
	return put(w, &b);
}

/* When all directories are there, which a path may need. */
static int put_links(struct aof_base *w)
{
	int err = 0;

	for (size_t at = 0; at < w->links.len && !err; at += sizeof(struct link_entry)) {
		struct link_entry l;
		memcpy(&l, w->links.data + at, sizeof l);
		err = put_link(w, &l);
	}
	return err;
}

/* First all are made, then each gets its attributes: making one changes the times of another. */
static int put_directories(struct aof_base *w, enum seal_record_kind kind)
{
	int err = 0;

	for (size_t at = 0; at < w->entries.len && !err; at += sizeof(struct directory_entry)) {
		struct batch b = { .time_ns = w->o.now_ns };
		struct directory_entry d;
		memcpy(&d, w->entries.data + at, sizeof d);
		struct seal_record *r = batch_record(&b, kind);
		r->path = w->keys.len ? w->keys.data + d.key_at : "";
		r->path_len = d.key_len;
		b.flags = flag_of(w, r->path, r->path_len);
		r->attr = all_of(&d.attr);
		err = put(w, &b);
		if (!err && kind == SEAL_ATTR)
			err = put_xattrs(w, d.xattrs, r->path, r->path_len);
	}
	return err;
}

int aof_base_end(struct aof_base *w)
{
	struct batch b = { .time_ns = w->o.now_ns };

	int err = put_directories(w, SEAL_MKDIR);
	if (!err)
		err = put_links(w);
	if (!err)
		err = put_directories(w, SEAL_ATTR);
	if (err)
		return err;
	struct seal_record *r = batch_record(&b, SEAL_BASE);
	r->path = "";
	r->number = w->o.origin.seq;
	err = put(w, &b);
	return err ? err : flush(w);
}
