/* seal.c -- see seal.h; the layout is format.h's. */
#include "persist/seal.h"

#include "persist/crc.h"
#include "persist/le.h"
#include "persist/resp.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum {
	ATTR_STORED = ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME | ATTR_CTIME,
	ATTR_OWNER = ATTR_MODE | ATTR_UID | ATTR_GID,
	AUX_ATIME_KNOWN = AUX_ATIME_IS_MTIME | AUX_ATIME_AT_MTIME,      /* by one of these, or it stands there */
	AUX_FLAGS = AUX_ATIME_KNOWN | AUX_CTIME_IS_MTIME | AUX_ESCAPED | AUX_LINKED | AUX_XATTRS,
	AUX_FIXED_SIZE = 3 + 3 * 4 + 8,  /* up to and with mtime */
};

/* ---- pieces ---- */

static size_t string_size(size_t len)
{
	return varint_size(len) + len;
}

static char *string_put(char *p, const char *data, size_t len)
{
	assert(data || len == 0);
	p = varint_put(p, len);
	if (len > 0)
		memcpy(p, data, len);
	return p + len;
}

/* What is left of a blob while it is read; the first thing that is not there ends it. */
struct take {
	const char *p, *end;
	bool failed;
};

static const char *take_bytes(struct take *t, size_t n)
{
	const char *p = t->p;

	if (t->failed || (size_t)(t->end - p) < n) {
		t->failed = true;
		return NULL;
	}
	t->p += n;
	return p;
}

static unsigned take_u8(struct take *t)
{
	const char *p = take_bytes(t, 1);

	return p ? (unsigned char)*p : 0;
}

static uint32_t take_u32(struct take *t)
{
	const char *p = take_bytes(t, 4);

	return p ? le_get32(p) : 0;
}

static uint64_t take_u64(struct take *t)
{
	const char *p = take_bytes(t, 8);

	return p ? le_get64(p) : 0;
}

static void take_string(struct take *t, const char **ret, size_t *ret_len)
{
	uint64_t len = 0;
	const char *p = t->failed ? NULL : varint_get(t->p, t->end, &len);

	if (!p || len > (uint64_t)(t->end - p)) {
		t->failed = true;
		return;
	}
	*ret = p;
	*ret_len = (size_t)len;
	t->p = p + len;
}

/* ---- attributes: what the mask names, in the order of its bits ---- */

static size_t attr_size(uint32_t mask)
{
	size_t small = (size_t)__builtin_popcount(mask & ATTR_OWNER), all = (size_t)__builtin_popcount(mask & ATTR_STORED);

	return 4 * small + 8 * (all - small);
}

static char *attr_put(char *p, uint32_t mask, const struct attr_change *a)
{
	if (mask & ATTR_MODE)
		p = le_put32(p, a->mode);
	if (mask & ATTR_UID)
		p = le_put32(p, a->uid);
	if (mask & ATTR_GID)
		p = le_put32(p, a->gid);
	if (mask & ATTR_ATIME)
		p = le_put64(p, (uint64_t)a->atime_ns);
	if (mask & ATTR_MTIME)
		p = le_put64(p, (uint64_t)a->mtime_ns);
	if (mask & ATTR_CTIME)
		p = le_put64(p, (uint64_t)a->ctime_ns);
	return p;
}

static void attr_take(struct take *t, uint32_t mask, struct attr_change *a)
{
	a->mask = mask;
	if (mask & ATTR_MODE)
		a->mode = take_u32(t);
	if (mask & ATTR_UID)
		a->uid = take_u32(t);
	if (mask & ATTR_GID)
		a->gid = take_u32(t);
	if (mask & ATTR_ATIME)
		a->atime_ns = (int64_t)take_u64(t);
	if (mask & ATTR_MTIME)
		a->mtime_ns = (int64_t)take_u64(t);
	if (mask & ATTR_CTIME)
		a->ctime_ns = (int64_t)take_u64(t);
}

/* ---- extended attributes ---- */

static bool take_xattr(struct take *t, struct xattr *ret)
{
	const char *value = NULL;

	take_string(t, &ret->name, &ret->name_len);
	take_string(t, &value, &ret->len);
	ret->value = value;
	if (!t->failed && (ret->name_len == 0 || ret->name_len > XATTRS_NAME_MAX || memchr(ret->name, 0, ret->name_len) ||
	                   ret->len > XATTRS_VALUE_MAX))
		t->failed = true;
	return !t->failed;
}

static size_t xattr_size(const struct xattr *a)
{
	return string_size(a->name_len) + string_size(a->len);
}

static char *xattr_put(char *p, const struct xattr *a)
{
	return string_put(string_put(p, a->name, a->name_len), a->value, a->len);
}

/* Whether MODE is that of a FIFO, socket or device. */
static bool is_special(uint32_t mode)
{
	return (mode & ~(uint32_t)(S_IFMT | 07777)) == 0 && (S_ISFIFO(mode) || S_ISSOCK(mode) || S_ISCHR(mode) || S_ISBLK(mode));
}

/* ---- writing a seal ---- */

size_t seal_record_size(const struct seal_record *r)
{
	size_t size = 1 + (r->path_is_key ? 0 : string_size(r->path_len));

	switch (r->kind) {
	case SEAL_ATTR:
		return size + 1 + attr_size(r->attr.mask);
	case SEAL_MKDIR:
		return size + attr_size(ATTR_OWNER);
	case SEAL_SYMLINK:
		return size + attr_size(ATTR_OWNER) + string_size(r->to_len);
	case SEAL_LINK:
		return size + string_size(r->to_len);
	case SEAL_REMOVE:
	case SEAL_BESIDE:
		return size;
	case SEAL_RENAME:
		return size + 1 + string_size(r->to_len);
	case SEAL_XATTR:
		return size + 1 + xattr_size(&r->xattr);
	case SEAL_LINEAGE:
	case SEAL_PARENT_TIME:
	case SEAL_RESIZE:
	case SEAL_BASE:
		return size + 8;
	case SEAL_ZERO:
		return size + 16;
	case SEAL_MKNOD:
		return size + attr_size(ATTR_OWNER) + 4;
	case SEAL_COPY:
		return size + 24 + string_size(r->to_len);
	}
	assert(!"kind of record");
	return size;
}

char *seal_put_record(char *p, const struct seal_record *r)
{
	*p++ = (char)(r->path_is_key ? r->kind | SEAL_PATH_IS_KEY : r->kind);
	if (!r->path_is_key)
		p = string_put(p, r->path, r->path_len);
	switch (r->kind) {
	case SEAL_ATTR:
		assert((r->attr.mask & ~(uint32_t)ATTR_STORED) == 0);
		*p++ = (char)r->attr.mask;
		return attr_put(p, r->attr.mask, &r->attr);
	case SEAL_MKDIR:
		return attr_put(p, ATTR_OWNER, &r->attr);
	case SEAL_SYMLINK:
		p = attr_put(p, ATTR_OWNER, &r->attr);
		return string_put(p, r->to, r->to_len);
	case SEAL_LINK:
		return string_put(p, r->to, r->to_len);
	case SEAL_REMOVE:
	case SEAL_BESIDE:
		return p;
	case SEAL_RENAME:
		*p++ = (char)r->flags;
		return string_put(p, r->to, r->to_len);
	case SEAL_XATTR:
		*p++ = r->xattr.value ? 0 : SEAL_XATTR_REMOVED;
		return xattr_put(p, &r->xattr);
	case SEAL_LINEAGE:
	case SEAL_PARENT_TIME:
	case SEAL_RESIZE:
	case SEAL_BASE:
		return le_put64(p, r->number);
	case SEAL_ZERO:
		return le_put64(le_put64(p, r->number), r->length);
	case SEAL_MKNOD:
		p = attr_put(p, ATTR_OWNER, &r->attr);
		return le_put32(p, (uint32_t)r->number);
	case SEAL_COPY:
		p = le_put64(le_put64(p, r->number), r->length);
		return le_put64(string_put(p, r->to, r->to_len), r->from);
	}
	assert(!"kind of record");
	return p;
}

static size_t seal_blob_size(size_t records_len)
{
	return SEAL_HEADER_SIZE + records_len + SEAL_CRC_SIZE;
}

size_t seal_size(size_t records_len)
{
	return resp_array_size(2) + resp_bulk_size(4) + resp_bulk_size(seal_blob_size(records_len));
}

char *seal_begin(char *p, size_t records_len, unsigned flags, unsigned count, uint64_t seq, int64_t time_ns)
{
	static const char start[] = "*2\r\n$4\r\nECHO\r\n";

	assert(flags <= UINT8_MAX && count <= UINT16_MAX && seq > 0);
	memcpy(p, start, sizeof(start) - 1);
	p = resp_write_bulk_header(p + sizeof(start) - 1, seal_blob_size(records_len));
	memcpy(p, SEAL_MAGIC, 4);
	p += 4;
	*p++ = SEAL_VERSION;
	*p++ = (char)flags;
	p = le_put16(p, (uint16_t)count);
	p = le_put64(p, seq);
	return le_put64(p, (uint64_t)time_ns);
}

char *seal_finish(char *batch, char *p)
{
	le_put32(p, crc32c(0, batch, (size_t)(p - batch)));
	return seal_finish_later(p);
}

char *seal_finish_later(char *p)
{
	p += SEAL_CRC_SIZE;
	*p++ = '\r';
	*p++ = '\n';
	return p;
}

/* ---- reading a seal ---- */

bool seal_is(const void *blob, size_t len)
{
	return len >= 4 && memcmp(blob, SEAL_MAGIC, 4) == 0;
}

int seal_parse(const void *blob, size_t len, struct seal *ret)
{
	const char *p = blob;

	if (!seal_is(blob, len) || len < SEAL_HEADER_SIZE + SEAL_CRC_SIZE || p[4] != SEAL_VERSION)
		return -EPROTO;
	*ret = (struct seal){
		.flags = (unsigned char)p[5],
		.count = le_get16(p + 6),
		.seq = le_get64(p + 8),
		.time_ns = (int64_t)le_get64(p + 16),
		.crc = le_get32(p + len - SEAL_CRC_SIZE),
		.records = p + SEAL_HEADER_SIZE,
		.records_len = len - SEAL_HEADER_SIZE - SEAL_CRC_SIZE,
	};
	return 0;
}

int seal_next_record(const struct seal *s, size_t *pos, struct seal_record *ret)
{
	struct take t = {.p = s->records + *pos, .end = s->records + s->records_len};
	struct seal_record r = {0};
	unsigned kind, mask;

	if (t.p == t.end)
		return 0;
	kind = take_u8(&t);
	r.path_is_key = kind & SEAL_PATH_IS_KEY;
	kind &= ~(unsigned)SEAL_PATH_IS_KEY;
	if (!r.path_is_key)
		take_string(&t, &r.path, &r.path_len);
	switch (kind) {
	case SEAL_ATTR:
		mask = take_u8(&t);
		if (mask & ~(unsigned)ATTR_STORED)
			return -EPROTO;
		attr_take(&t, mask, &r.attr);
		break;
	case SEAL_MKDIR:
		attr_take(&t, ATTR_OWNER, &r.attr);
		break;
	case SEAL_SYMLINK:
		attr_take(&t, ATTR_OWNER, &r.attr);
		take_string(&t, &r.to, &r.to_len);
		break;
	case SEAL_LINK:
		take_string(&t, &r.to, &r.to_len);
		break;
	case SEAL_REMOVE:
	case SEAL_BESIDE:
		break;
	case SEAL_RENAME:
		r.flags = take_u8(&t);
		take_string(&t, &r.to, &r.to_len);
		break;
	case SEAL_XATTR:
		r.flags = take_u8(&t);
		if (!take_xattr(&t, &r.xattr) || r.flags & ~(unsigned)SEAL_XATTR_REMOVED)
			return -EPROTO;
		if (r.flags & SEAL_XATTR_REMOVED)
			r.xattr.value = NULL;
		if (!r.xattr.value && r.xattr.len)
			return -EPROTO;
		break;
	case SEAL_LINEAGE:
	case SEAL_PARENT_TIME:
	case SEAL_RESIZE:
	case SEAL_BASE:
		r.number = take_u64(&t);
		break;
	case SEAL_ZERO:
		r.number = take_u64(&t);
		r.length = take_u64(&t);
		break;
	case SEAL_MKNOD:
		attr_take(&t, ATTR_OWNER, &r.attr);
		r.number = take_u32(&t);
		if (!is_special(r.attr.mode))
			return -EPROTO;
		break;
	case SEAL_COPY:
		r.number = take_u64(&t);
		r.length = take_u64(&t);
		take_string(&t, &r.to, &r.to_len);
		r.from = take_u64(&t);
		break;
	default:
		return -EPROTO;
	}
	if (t.failed)
		return -EPROTO;
	r.kind = (enum seal_record_kind)kind;
	*pos = (size_t)(t.p - s->records);
	*ret = r;
	return 1;
}

uint32_t seal_crc(const void *batch, const void *blob_end)
{
	return crc32c(0, batch, (size_t)((const char *)blob_end - (const char *)batch) - SEAL_CRC_SIZE);
}

/* ---- AUX "kvfs" ---- */

static unsigned aux_flags(const struct attr_change *a)
{
	const unsigned atime = a->atime_ns == a->mtime_ns ? AUX_ATIME_IS_MTIME : a->atime_ns == keyspace_atime_at(a->mtime_ns) ? AUX_ATIME_AT_MTIME : 0;

	return atime | (a->ctime_ns == a->mtime_ns ? AUX_CTIME_IS_MTIME : 0u);
}

static size_t xattrs_size(const struct xattrs *x)
{
	size_t size = x ? varint_size(xattrs_count(x)) : 0, pos = 0;
	struct xattr a;

	while (xattrs_next(x, &pos, &a))
		size += xattr_size(&a);
	return size;
}

static char *xattrs_put(char *p, const struct xattrs *x)
{
	size_t pos = 0;
	struct xattr a;

	if (x)
		p = varint_put(p, xattrs_count(x));
	while (xattrs_next(x, &pos, &a))
		p = xattr_put(p, &a);
	return p;
}

/* All of them are looked at once, so that whoever takes them later meets no error. */
static void take_xattrs(struct take *t, struct aux_attr *ret)
{
	uint64_t count = 0;
	struct xattr a;

	t->p = t->failed ? NULL : varint_get(t->p, t->end, &count);
	t->failed |= !t->p;
	ret->xattr = t->p;
	for (; count > 0 && take_xattr(t, &a); count--)
		if (t->p - ret->xattr > XATTRS_BYTES_MAX)
			t->failed = true;
	ret->xattr_len = t->failed ? 0 : (size_t)(t->p - ret->xattr);
}

int aux_next_xattr(const char *xattr, size_t len, size_t *pos, struct xattr *ret)
{
	struct take t;

	if (*pos == len)
		return 0;
	t = (struct take){.p = xattr + *pos, .end = xattr + len};
	if (!take_xattr(&t, ret))
		return 0;
	*pos = (size_t)(t.p - xattr);
	return 1;
}

size_t aux_attr_size(const struct aux_attr *a)
{
	size_t size = AUX_FIXED_SIZE;

	if (!(aux_flags(&a->attr) & AUX_ATIME_KNOWN))
		size += 8;
	if (a->attr.ctime_ns != a->attr.mtime_ns)
		size += 8;
	if (a->link)
		size += 8;
	if (a->kind != AUX_VALUE)
		size += string_size(a->path_len);
	if (a->kind == AUX_SYMLINK)
		size += string_size(a->target_len);
	if (a->kind == AUX_SPECIAL)
		size += 4;
	return size + xattrs_size(a->xattrs);
}

char *aux_attr_write(char *p, const struct aux_attr *a)
{
	unsigned flags = aux_flags(&a->attr) | (a->escaped ? AUX_ESCAPED : 0u) | (a->link ? AUX_LINKED : 0u) |
	                 (a->xattrs ? AUX_XATTRS : 0u);

	*p++ = AUX_VERSION;
	*p++ = (char)a->kind;
	*p++ = (char)flags;
	p = attr_put(p, ATTR_OWNER, &a->attr);
	p = le_put64(p, (uint64_t)a->attr.mtime_ns);
	if (!(flags & AUX_ATIME_KNOWN))
		p = le_put64(p, (uint64_t)a->attr.atime_ns);
	if (!(flags & AUX_CTIME_IS_MTIME))
		p = le_put64(p, (uint64_t)a->attr.ctime_ns);
	if (a->link)
		p = le_put64(p, a->link);
	if (a->kind != AUX_VALUE)
		p = string_put(p, a->path, a->path_len);
	if (a->kind == AUX_SYMLINK)
		p = string_put(p, a->target, a->target_len);
	if (a->kind == AUX_SPECIAL)
		p = le_put32(p, a->rdev);
	return xattrs_put(p, a->xattrs);
}

int aux_attr_parse(const void *blob, size_t len, struct aux_attr *ret)
{
	struct take t = {.p = blob, .end = (const char *)blob + len};
	struct aux_attr a = {0};
	unsigned flags;

	if (len == 0)
		return -EPROTO;
	if (take_u8(&t) != AUX_VERSION)
		return -ENOTSUP;
	a.kind = (int)take_u8(&t);
	flags = take_u8(&t);
	if (a.kind < AUX_VALUE || a.kind > AUX_SPECIAL || flags & ~(unsigned)AUX_FLAGS || (flags & AUX_LINKED && a.kind == AUX_DIRECTORY) ||
	    (flags & AUX_ATIME_KNOWN) == AUX_ATIME_KNOWN)
		return -EPROTO;
	a.escaped = flags & AUX_ESCAPED;
	attr_take(&t, ATTR_OWNER, &a.attr);
	a.attr.mask = ATTR_STORED;
	a.attr.mtime_ns = (int64_t)take_u64(&t);
	a.attr.atime_ns = flags & AUX_ATIME_IS_MTIME   ? a.attr.mtime_ns
	                  : flags & AUX_ATIME_AT_MTIME ? keyspace_atime_at(a.attr.mtime_ns)
	                                               : (int64_t)take_u64(&t);
	a.attr.ctime_ns = flags & AUX_CTIME_IS_MTIME ? a.attr.mtime_ns : (int64_t)take_u64(&t);
	a.link = flags & AUX_LINKED ? take_u64(&t) : 0;
	t.failed |= flags & AUX_LINKED && !a.link;
	if (a.kind != AUX_VALUE)
		take_string(&t, &a.path, &a.path_len);
	if (a.kind == AUX_SYMLINK)
		take_string(&t, &a.target, &a.target_len);
	if (a.kind == AUX_SPECIAL)
		a.rdev = take_u32(&t);
	if (flags & AUX_XATTRS)
		take_xattrs(&t, &a);
	if (t.failed || t.p != t.end || (a.kind == AUX_SPECIAL && !is_special(a.attr.mode)))
		return -EPROTO;
	*ret = a;
	return 0;
}

char *aux_sparse_write(char *p, const struct aux_sparse *a)
{
	*p++ = AUX_VERSION;
	*p++ = AUX_SPARSE;
	return le_put64(le_put64(p, a->size), a->off);
}

int aux_sparse_parse(const void *blob, size_t len, struct aux_sparse *ret)
{
	const char *p = blob;

	if (len < 2 || p[0] != AUX_VERSION || p[1] != AUX_SPARSE)
		return 0;
	if (len < AUX_SPARSE_SIZE)
		return -EPROTO;
	*ret = (struct aux_sparse){ .size = le_get64(p + 2), .off = le_get64(p + 10), .data = p + AUX_SPARSE_SIZE, .len = len - AUX_SPARSE_SIZE };
	return ret->off > ret->size || ret->len > ret->size - ret->off ? -EPROTO : 1;
}
