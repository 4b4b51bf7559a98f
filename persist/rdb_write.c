/* rdb_write.c -- snapshot entries to RDB bytes.  The reader is rdb_read.c.
 *
 * Everything goes through one buffer; the checksum is taken over it when it is full, not field by field.  A value is looked at in one
 * piece (to find an integer, to compress it) up to RDB_GATHER bytes: in place when it is flat, else copied together; a larger one goes
 * through the buffer piece by piece, compressed chunk by chunk (lzf_chunk.h) when that pays.  Then it is compressed twice, for its length stands
 * before it; a few of its chunks say beforehand whether it pays. */
#include "persist/rdb.h"

#include "persist/crc.h"
#include "persist/le.h"
#include "persist/lzf_chunk.h"
#include "persist/rdb_format.h"
#include "persist/seal.h"
#include "store/keyname.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <liblzf/lzf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	RDB_BUFFER = 128 << 10,
	RDB_GATHER = 1 << 20,
	RDB_SPARSE_PIECE = 512 << 10,
	RDB_PIECES = 64,
	RDB_LZF_MIN = 21,           /* bytes of the shortest string that is compressed */
	RDB_LZF_GAIN = 4,           /* bytes it must shrink by */
	RDB_PROBE_MAX = 256,        /* bytes of the longest string that is looked at before it is compressed */
	RDB_PROBE_BITS = 14,
	RDB_SAMPLES = 64,           /* chunks of a large value that are looked at before it is compressed */
	RDB_SMALL_MAX = 1 << 10,    /* bytes of what is put in one go without asking for room field by field */
};

struct rdb_writer {
	struct rdb_options o;
	rdb_sink_fn *sink;
	void *ctx;
	int error;                  /* the first of the sink; everything fails with it from then on */
	uint64_t crc;               /* of what the sink has */
	size_t len;                 /* bytes in the buffer */
	char *gather;               /* RDB_GATHER bytes */
	char *lzf;                  /* RDB_GATHER bytes; NULL without compression */
	bool escaped;               /* paths may not be keys: keyname.h */
	struct bytes key;           /* of a path */
	struct bytes blob;          /* AUX of what is no key */
	struct bytes target;        /* of a symlink */
	char packed[LZF_CHUNK_PACKED_MAX];
	char packed_hole[LZF_CHUNK_PACKED_MAX / 32];
	size_t packed_hole_len;
	char buffer[RDB_BUFFER];
};

/* ---- the buffer ---- */

static int put_flush(struct rdb_writer *w)
{
	if (w->error < 0 || w->len == 0)
		return w->error;
	if (w->o.checksum)
		w->crc = crc64(w->crc, w->buffer, w->len);
	w->error = w->sink(w->ctx, w->buffer, w->len);
	w->len = 0;
	return w->error;
}

/* Room for N bytes, at most RDB_BUFFER, in one piece; put_done() says where they end.  NULL: the sink failed. */
static char *put_room(struct rdb_writer *w, size_t n)
{
	assert(n <= RDB_BUFFER);
	if (RDB_BUFFER - w->len < n && put_flush(w) < 0)
		return NULL;
	return w->buffer + w->len;
}

static void put_done(struct rdb_writer *w, const char *end)
{
	w->len = (size_t)(end - w->buffer);
}

static int put(struct rdb_writer *w, const char *data, size_t len)
{
	while (len > 0) {
		size_t n = RDB_BUFFER - w->len;

		if (n > len)
			n = len;
		memcpy(w->buffer + w->len, data, n);
		w->len += n;
		data += n;
		len -= n;
		if (w->len == RDB_BUFFER && put_flush(w) < 0)
			return w->error;
	}
	return 0;
}

/* ---- lengths and strings ---- */

static char *write_length(char *p, uint64_t n)
{
	if (n < 1 << 6) {
		*p++ = (char)n;
	} else if (n < 1 << 14) {
		*p++ = (char)(RDB_LEN_14BIT << 6 | n >> 8);
		*p++ = (char)n;
	} else if (n <= UINT32_MAX) {
		uint32_t be = htobe32((uint32_t)n);

		*p++ = (char)RDB_LEN_32BIT;
		memcpy(p, &be, sizeof(be));
		p += sizeof(be);
	} else {
		uint64_t be = htobe64(n);

		*p++ = (char)RDB_LEN_64BIT;
		memcpy(p, &be, sizeof(be));
		p += sizeof(be);
	}
	return p;
}

static int put_length(struct rdb_writer *w, uint64_t n)
{
	char *p = put_room(w, RDB_LEN_MAX_SIZE);

	if (!p)
		return w->error;
	put_done(w, write_length(p, n));
	return 0;
}

/* Whether DATA is what printing a 32-bit integer would give. */
static bool is_int32(const char *data, size_t len, int32_t *ret)
{
	bool negative = len > 0 && data[0] == '-';
	size_t i = negative;
	int64_t n = 0;

	if (len > RDB_INT_TEXT_MAX || i == len || (data[i] == '0' && len > 1))
		return false;
	for (; i < len; i++) {
		if (data[i] < '0' || data[i] > '9')
			return false;
		n = n * 10 + (data[i] - '0');
	}
	if (negative)
		n = -n;
	if (n < INT32_MIN || n > INT32_MAX)
		return false;
	*ret = (int32_t)n;
	return true;
}

static char *write_int32(char *p, int32_t n)
{
	if (n >= INT8_MIN && n <= INT8_MAX) {
		*p++ = (char)RDB_ENC_INT8;
		*p++ = (char)n;
		return p;
	}
	if (n >= INT16_MIN && n <= INT16_MAX) {
		*p++ = (char)RDB_ENC_INT16;
		return le_put16(p, (uint16_t)n);
	}
	*p++ = (char)RDB_ENC_INT32;
	return le_put32(p, (uint32_t)n);
}

/* LEN is at most RDB_SMALL_MAX, and there is room for that and a length. */
static char *write_raw(char *p, const char *data, size_t len)
{
	p = write_length(p, len);
	memcpy(p, data, len);
	return p + len;
}

static int put_raw(struct rdb_writer *w, const char *data, size_t len)
{
	char *p;
	int r;

	if (len <= RDB_SMALL_MAX) {
		p = put_room(w, RDB_LEN_MAX_SIZE + RDB_SMALL_MAX);
		if (!p)
			return w->error;
		put_done(w, len > 0 ? write_raw(p, data, len) : write_length(p, 0));
		return 0;
	}
	r = put_length(w, len);
	return r < 0 ? r : put(w, data, len);
}

/* Integers become numbers, as Redis stores them; nothing is compressed. */
static int put_plain(struct rdb_writer *w, const char *data, size_t len)
{
	int32_t n;
	char *p;

	if (!is_int32(data, len, &n))
		return put_raw(w, data, len);
	p = put_room(w, RDB_LEN_MAX_SIZE);
	if (!p)
		return w->error;
	put_done(w, write_int32(p, n));
	return 0;
}

/* Whether LZF could shrink a short string enough.  It replaces L bytes that were there before by two or three, so it can gain no more than
 * there are places whose three bytes stood further up too; and a byte goes on top for what is not replaced.  Counting those places (a
 * collision counts too much, never too little) costs a fraction of a compression in vain, which is what most short values are. */
static bool may_shrink(const char *data, size_t len)
{
	uint64_t seen[(1 << RDB_PROBE_BITS) / 64] = {0};
	unsigned repeats = 0;
	size_t i;

	if (len > RDB_PROBE_MAX)
		return true;
	for (i = 0; i + 3 < len && repeats <= RDB_LZF_GAIN; i++) {
		uint32_t hash = (le_get32(data + i) & 0xffffff) * UINT32_C(2654435761) >> (32 - RDB_PROBE_BITS);
		uint64_t bit = UINT64_C(1) << (hash & 63);

		repeats += (seen[hash >> 6] & bit) != 0;
		seen[hash >> 6] |= bit;
	}
	/* the last three bytes are not looked at, and may be one place more */
	return repeats >= RDB_LZF_GAIN;
}

/* 1: done; 0: it does not shrink. */
static int put_compressed(struct rdb_writer *w, const char *data, size_t len)
{
	unsigned packed = lzf_compress(data, (unsigned)len, w->lzf, (unsigned)(len - RDB_LZF_GAIN));
	char *p;
	int r;

	if (packed == 0)
		return 0;
	p = put_room(w, 1 + 2 * RDB_LEN_MAX_SIZE);
	if (!p)
		return w->error;
	*p++ = (char)RDB_ENC_LZF;
	p = write_length(p, packed);
	put_done(w, write_length(p, len));
	r = put(w, w->lzf, packed);
	return r < 0 ? r : 1;
}

static int put_large_raw(struct rdb_writer *w, const struct value *v, uint64_t size)
{
	struct iovec iov[RDB_PIECES];
	uint64_t off = 0;
	int i, r;

	r = put_length(w, size);
	while (r == 0 && off < size) {
		size_t want = size - off < RDB_GATHER ? (size_t)(size - off) : RDB_GATHER, got;
		int count = value_iov(v, size, off, want, iov, RDB_PIECES, &got);

		assert(count > 0 && got > 0);
		for (i = 0; i < count && r == 0; i++)
			r = put(w, iov[i].iov_base, iov[i].iov_len);
		off += got;
	}
	return r;
}

/* What LEN bytes at OFF of a value, a chunk of it, become in LZF, at *RET. */
static size_t pack_chunk(struct rdb_writer *w, const struct value *v, uint64_t size, uint64_t off, const char **ret)
{
	size_t len = size - off < LZF_CHUNK ? (size_t)(size - off) : LZF_CHUNK, got;
	bool hole = value_seek(v, size, off, true) >= off + len;
	struct iovec iov;

	*ret = w->packed;
	if (hole && len == LZF_CHUNK) {
		*ret = w->packed_hole;
		return w->packed_hole_len;
	}
	value_iov(v, size, off, len, &iov, 1, &got);
	assert(got == len);
	return lzf_chunk_pack(iov.iov_base, len, hole || w->o.compress, w->packed);
}

/* Whether it pays to write a large value as LZF.  Holes always do, when there is much of them. */
static bool large_shrinks(struct rdb_writer *w, const struct value *v, uint64_t size)
{
	uint64_t chunks = (size + LZF_CHUNK - 1) / LZF_CHUNK, step = (chunks + RDB_SAMPLES - 1) / RDB_SAMPLES, seen = 0, packed = 0;
	const char *ignored;

	for (uint64_t at = 0; at < chunks; at += step) {
		uint64_t left = size - at * LZF_CHUNK;

		seen += left < LZF_CHUNK ? left : LZF_CHUNK;
		packed += pack_chunk(w, v, size, at * LZF_CHUNK, &ignored);
	}
	return packed < seen - seen / 8;
}

static int put_large_packed(struct rdb_writer *w, const struct value *v, uint64_t size)
{
	uint64_t packed = 0, off;
	const char *from;
	char *p;
	int r = 0;

	for (off = 0; off < size; off += LZF_CHUNK)
		packed += pack_chunk(w, v, size, off, &from);
	if (packed >= size)
		return put_large_raw(w, v, size);
	p = put_room(w, 1 + 2 * RDB_LEN_MAX_SIZE);
	if (!p)
		return w->error;
	*p++ = (char)RDB_ENC_LZF;
	p = write_length(p, packed);
	put_done(w, write_length(p, size));
	for (off = 0; off < size && r == 0; off += LZF_CHUNK) {
		size_t len = pack_chunk(w, v, size, off, &from);

		r = put(w, from, len);
	}
	return r;
}

static int put_large_value(struct rdb_writer *w, const struct value *v, uint64_t size)
{
	return large_shrinks(w, v, size) ? put_large_packed(w, v, size) : put_large_raw(w, v, size);
}

static int put_value(struct rdb_writer *w, const struct value *v, uint64_t size)
{
	struct iovec iov;
	const char *data;
	size_t got;
	int r;

	if (size > RDB_GATHER)
		return put_large_value(w, v, size);
	if (size == 0)
		return put_length(w, 0);
	if (value_iov(v, size, 0, (size_t)size, &iov, 1, &got) == 1 && got == size) {
		data = iov.iov_base;
	} else {
		value_copy_out(v, size, 0, w->gather, (size_t)size);
		data = w->gather;
	}
	if (w->lzf && size >= RDB_LZF_MIN && may_shrink(data, (size_t)size)) {
		r = put_compressed(w, data, (size_t)size);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return put_plain(w, data, (size_t)size);
}

/* ---- header ---- */

static int put_aux_text(struct rdb_writer *w, const char *name, const char *value)
{
	char *p = put_room(w, 1);
	int r;

	if (!p)
		return w->error;
	*p++ = (char)RDB_OP_AUX;
	put_done(w, p);
	r = put_raw(w, name, strlen(name));
	return r < 0 ? r : put_plain(w, value, strlen(value));
}

static int put_aux_number(struct rdb_writer *w, const char *name, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, n);
	return put_aux_text(w, name, text);
}

int rdb_writer_new(const struct rdb_options *o, rdb_sink_fn *sink, void *ctx, struct rdb_writer **ret)
{
	struct rdb_writer *w = malloc(sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->o = *o;
	w->sink = sink;
	w->ctx = ctx;
	w->error = 0;
	w->crc = 0;
	w->len = 0;
	w->escaped = false;
	w->key = w->blob = w->target = (struct bytes){0};
	w->packed_hole_len = lzf_chunk_pack(value_hole(), LZF_CHUNK, true, w->packed_hole);
	w->gather = malloc(RDB_GATHER);
	w->lzf = o->compress ? malloc(RDB_GATHER) : NULL;
	if (!w->gather || (o->compress && !w->lzf)) {
		rdb_writer_free(w);
		return -ENOMEM;
	}
	*ret = w;
	return 0;
}

void rdb_writer_free(struct rdb_writer *w)
{
	if (!w)
		return;
	free(w->gather);
	free(w->lzf);
	bytes_fini(&w->key);
	bytes_fini(&w->blob);
	bytes_fini(&w->target);
	free(w);
}

int rdb_writer_begin(struct rdb_writer *w, const struct snapshot_totals *t)
{
	static const int64_t ns_per_s = 1000000000;
	char text[48];
	char *p;
	int r;

	w->escaped = t->escaped > 0;
	snprintf(text, sizeof(text), "REDIS%04d", RDB_VERSION_WRITTEN);
	r = put(w, text, RDB_HEADER_SIZE);
	if (r == 0)
		r = put_aux_text(w, "redis-ver", "7.0.15");
	if (r == 0)
		r = put_aux_number(w, "redis-bits", 8 * sizeof(void *));
	if (r == 0)
		r = put_aux_number(w, "ctime", w->o.now_ns > 0 ? (uint64_t)(w->o.now_ns / ns_per_s) : 0);
	if (r == 0 && w->o.is_aof_base)
		r = put_aux_number(w, "aof-base", 1);
	if (r == 0)
		r = put_aux_text(w, "kvfs-ver", "1");
	snprintf(text, sizeof(text), "%016" PRIx64, w->o.origin.lineage);
	if (r == 0)
		r = put_aux_text(w, AUX_LINEAGE, text);
	if (r == 0)
		r = put_aux_number(w, AUX_SEQ, w->o.origin.seq);
	snprintf(text, sizeof(text), "%016" PRIx64 ":%" PRIu64, w->o.origin.parent, w->o.origin.parent_seq);
	if (r == 0 && w->o.origin.parent)
		r = put_aux_text(w, AUX_PARENT, text);
	if (r < 0)
		return r;
	p = put_room(w, 3 + 3 * RDB_LEN_MAX_SIZE);
	if (!p)
		return w->error;
	*p++ = (char)RDB_OP_SELECTDB;
	p = write_length(p, w->o.db);
	*p++ = (char)RDB_OP_RESIZEDB;
	p = write_length(p, t->keys);
	put_done(w, write_length(p, t->expires));
	return 0;
}

/* ---- entries ---- */

static const char aux_start[] = {(char)RDB_OP_AUX, sizeof(AUX_ATTR) - 1, 'k', 'v', 'f', 's'};

static int aux_kind(uint32_t mode)
{
	return S_ISREG(mode) ? AUX_VALUE : S_ISDIR(mode) ? AUX_DIRECTORY : S_ISLNK(mode) ? AUX_SYMLINK : AUX_SPECIAL;
}

static struct aux_attr entry_aux(const struct snapshot_entry *e)
{
	const int kind = aux_kind(e->attr.mode);

	return (struct aux_attr){
		.kind = kind,
		.rdev = (uint32_t)e->attr.rdev,
		.attr = {
			.mode = kind == AUX_SPECIAL ? e->attr.mode : e->attr.mode & 07777,
			.uid = e->attr.uid,
			.gid = e->attr.gid,
			.atime_ns = e->attr.atime_ns,
			.mtime_ns = e->attr.mtime_ns,
			.ctime_ns = e->attr.ctime_ns,
		},
		.link = e->attr.nlink > 1 && !S_ISDIR(e->attr.mode) ? e->attr.id : 0,
		.xattrs = e->xattrs,
	};
}

/* What Redis calls the entry: its path, or the key of that; A says when it is another one. */
static int entry_key(struct rdb_writer *w, const struct snapshot_entry *e, struct aux_attr *a, const char **ret, size_t *ret_len)
{
	enum keyname_kind kind;
	int r;

	*ret = e->key;
	*ret_len = e->key_len;
	if (!w->escaped || e->key_len == 0)
		return 0;
	w->key.len = 0;
	r = bytes_reserve(&w->key, e->key_len);
	if (r == 0)
		r = keyname_to_key(e->key, e->key_len, w->key.data, ret_len, &kind);
	if (r)
		return r;
	*ret = w->key.data;
	a->escaped = a->kind == AUX_VALUE ? kind == KEYNAME_BESIDE : *ret_len != e->key_len;
	return 0;
}

static int put_blob(struct rdb_writer *w, const struct aux_attr *a)
{
	size_t size = aux_attr_size(a);
	int r = bytes_reserve(&w->blob, size);

	if (r < 0)
		return r;
	aux_attr_write(w->blob.data, a);
	r = put(w, aux_start, sizeof(aux_start));
	return r < 0 ? r : put_raw(w, w->blob.data, size);
}

/* What is no key: AUX alone. */
static int put_without_key(struct rdb_writer *w, const struct snapshot_entry *e, struct aux_attr *a)
{
	int r;

	a->path = e->key;
	a->path_len = e->key_len;
	if (a->kind == AUX_SYMLINK) {
		r = bytes_reserve(&w->target, (size_t)e->attr.size);
		if (r < 0)
			return r;
		if (e->attr.size > 0)
			value_copy_out(e->value, e->attr.size, 0, w->target.data, (size_t)e->attr.size);
		a->target = w->target.data;
		a->target_len = (size_t)e->attr.size;
	}
	return put_blob(w, a);
}

/* What Redis can't hold: pieces in AUX fields before the key, which is empty for Redis. */
static int put_sparse(struct rdb_writer *w, const struct value *v, uint64_t size)
{
	uint64_t off = 0;
	int r;

	do {
		uint64_t end = value_seek(v, size, off, false);
		size_t n = end - off < RDB_SPARSE_PIECE ? (size_t)(end - off) : RDB_SPARSE_PIECE;
		const struct aux_sparse piece = { .size = size, .off = off, .len = n };

		char *p = aux_sparse_write(w->gather, &piece);
		value_copy_out(v, size, off, p, n);
		p += n;
		r = put(w, aux_start, sizeof(aux_start));
		if (r == 0 && w->lzf)
			r = put_compressed(w, w->gather, (size_t)(p - w->gather));
		if (r == 0)
			r = put_raw(w, w->gather, (size_t)(p - w->gather));
		off = value_seek(v, size, off + n, true);
	} while (r >= 0 && off < size);
	return r < 0 ? r : 0;
}

int rdb_writer_entry(struct rdb_writer *w, const struct snapshot_entry *e)
{
	struct aux_attr a = entry_aux(e);
	size_t size, key_len;
	const char *key;
	char *p;
	int r;

	r = entry_key(w, e, &a, &key, &key_len);
	if (r < 0)
		return r;
	if (a.kind != AUX_VALUE)
		return put_without_key(w, e, &a);
	if (e->attr.size > REDIS_VALUE_MAX)
		r = put_sparse(w, e->value, e->attr.size);
	if (r == 0 && a.xattrs)
		r = put_blob(w, &a);
	p = r == 0 ? put_room(w, RDB_SMALL_MAX) : NULL;
	if (!p)
		return r < 0 ? r : w->error;
	if (!a.xattrs) {
		memcpy(p, aux_start, sizeof(aux_start));
		size = aux_attr_size(&a);
		p = aux_attr_write(write_length(p + sizeof(aux_start), size), &a);
	}
	if (e->expire_at_ms != 0) {
		*p++ = (char)RDB_OP_EXPIRETIME_MS;
		p = le_put64(p, (uint64_t)e->expire_at_ms);
	}
	*p++ = RDB_STRING;
	put_done(w, p);
	r = put_plain(w, key, key_len);
	if (r < 0)
		return r;
	return e->attr.size > REDIS_VALUE_MAX ? put_length(w, 0) : put_value(w, e->value, e->attr.size);
}

int rdb_writer_end(struct rdb_writer *w)
{
	char *p = put_room(w, 1);
	int r;

	if (!p)
		return w->error;
	*p++ = (char)RDB_OP_EOF;
	put_done(w, p);
	r = put_flush(w);
	if (r < 0)
		return r;
	put_done(w, le_put64(w->buffer, w->o.checksum ? w->crc : 0));
	w->o.checksum = false;
	return put_flush(w);
}
