/* aof_base.c -- see aof_base.h. */
#include "persist/aof_base.h"
#include "persist/batch.h"

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
};

struct aof_base {
	struct rdb_options o;
	rdb_sink_fn *sink;
	void *ctx;
	uint64_t seq;
	struct bytes out;           /* batches on their way to the sink */
	struct bytes piece;         /* of a large value */
	struct bytes keys;          /* of directories */
	struct bytes entries;       /* of struct directory_entry */
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
	bytes_fini(&w->keys);
	bytes_fini(&w->entries);
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
	batch_write(b, w->out.data + w->out.len, ++w->seq);
	w->out.len += size;
	return w->out.len >= BUFFER ? flush(w) : 0;
}

int aof_base_begin(struct aof_base *w)
{
	struct batch b = { .time_ns = w->o.now_ns, .flags = SEAL_OPEN };

	batch_command(&b, "SELECT");
	batch_arg(&b, "0", 1);
	struct seal_record *r = batch_record(&b, SEAL_LINEAGE);
	r->path = "";
	r->number = w->o.lineage;
	return put(w, &b);
}

static struct attr_change all_of(const struct attr *a)
{
	return (struct attr_change){ .mask = ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME | ATTR_CTIME,
		                     .mode = a->mode & 07777, .uid = a->uid, .gid = a->gid,
		                     .atime_ns = a->atime_ns, .mtime_ns = a->mtime_ns, .ctime_ns = a->ctime_ns };
}

/* The first piece with SET, the others with APPEND; the attributes with the last, since each sets the times. */
static int put_value(struct aof_base *w, const struct snapshot_entry *e)
{
	uint64_t size = e->attr.size, done = 0;
	char number[24];
	int err;

	do {
		struct batch b = { .time_ns = w->o.now_ns };
		size_t n = size - done < PIECE ? (size_t)(size - done) : PIECE;
		w->piece.len = 0;
		err = bytes_reserve(&w->piece, n);
		if (err)
			return err;
		value_copy_out(e->value, size, done, w->piece.data, n);
		batch_command(&b, done ? "APPEND" : "SET");
		batch_arg(&b, e->key, e->key_len);
		batch_arg(&b, n ? w->piece.data : "", n);
		done += n;
		if (done == size && e->expire_at_ms) {
			batch_command(&b, "PEXPIREAT");
			batch_arg(&b, e->key, e->key_len);
			batch_arg(&b, number, (size_t)snprintf(number, sizeof number, "%" PRId64, e->expire_at_ms));
		}
		if (done == size) {
			struct seal_record *r = batch_record(&b, SEAL_ATTR);
			r->path_is_key = true;
			r->attr = all_of(&e->attr);
		}
		err = put(w, &b);
	} while (!err && done < size);
	return err;
}

static int put_symlink(struct aof_base *w, const struct snapshot_entry *e)
{
	struct batch b = { .time_ns = w->o.now_ns };

	w->piece.len = 0;
	int err = bytes_reserve(&w->piece, e->attr.size);
	if (err)
		return err;
	value_copy_out(e->value, e->attr.size, 0, w->piece.data, e->attr.size);
	struct seal_record *r = batch_record(&b, SEAL_SYMLINK);
	r->path = e->key;
	r->path_len = e->key_len;
	r->attr = all_of(&e->attr);
	r->to = w->piece.data;
	r->to_len = e->attr.size;
	r = batch_record(&b, SEAL_ATTR);
	r->path = e->key;
	r->path_len = e->key_len;
	r->attr = all_of(&e->attr);
	return put(w, &b);
}

static int keep_directory(struct aof_base *w, const struct snapshot_entry *e)
{
	struct directory_entry d = { .attr = e->attr, .key_at = w->keys.len, .key_len = e->key_len };

	int err = bytes_add(&w->keys, e->key, e->key_len);
	return err ? err : bytes_add(&w->entries, &d, sizeof d);
}

int aof_base_entry(struct aof_base *w, const struct snapshot_entry *e)
{
	if (S_ISDIR(e->attr.mode))
		return keep_directory(w, e);
	return S_ISLNK(e->attr.mode) ? put_symlink(w, e) : put_value(w, e);
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
		r->attr = all_of(&d.attr);
		err = put(w, &b);
	}
	return err;
}

int aof_base_end(struct aof_base *w)
{
	struct batch b = { .time_ns = w->o.now_ns };

	int err = put_directories(w, SEAL_MKDIR);
	if (!err)
		err = put_directories(w, SEAL_ATTR);
	if (err)
		return err;
	struct seal_record *r = batch_record(&b, SEAL_BASE);
	r->path = "";
	r->number = w->o.seq;
	err = put(w, &b);
	return err ? err : flush(w);
}
