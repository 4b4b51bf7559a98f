/* rdb_read.c -- RDB bytes to calls of a handler.  Lengths and strings are rdb_cursor.c's, other types rdb_skip.c's.
 *
 * One flat loop, as in Redis: opcodes set what the next key gets or are done with at once, any other byte is the type of a key.  The
 * checksum follows the cursor at some distance, while the bytes are still in the CPU's cache. */
#include "persist/rdb.h"

#include "persist/crc.h"
#include "persist/le.h"
#include "persist/rdb_format.h"

#include <errno.h>
#include <string.h>

enum {
	STEP = 256 << 10,        /* bytes between two looks at checksum and progress */
	DUMP_FOOTER_SIZE = 10,   /* u16 version, u64 CRC */
	MODULE_WHEN_UINT = 2,
};

static const char magic_redis[] = "REDIS";
static const char magic_valkey[] = "VALKEY";

struct reader {
	struct rdb_cursor c;
	const struct rdb_handler *h;
	struct rdb_string key, value;
	uint64_t db;
	int64_t expire_at_ms;
	unsigned version;
	const char *summed;      /* the checksum covers the bytes before */
	uint64_t crc;
};

bool rdb_is(const void *data, size_t len)
{
	return (len >= sizeof(magic_redis) - 1 && memcmp(data, magic_redis, sizeof(magic_redis) - 1) == 0) ||
	       (len >= sizeof(magic_valkey) - 1 && memcmp(data, magic_valkey, sizeof(magic_valkey) - 1) == 0);
}

static int read_header(struct reader *rd)
{
	struct rdb_cursor *c = &rd->c;
	const char *p;

	if (!rdb_is(c->p, (size_t)(c->end - c->p)))
		return error_set(c->e, -EINVAL, "no RDB file (it begins with neither REDIS nor VALKEY)");
	if (c->end - c->p < RDB_HEADER_SIZE)
		return error_set(c->e, -EINVAL, "no RDB file (it ends in the header)");
	c->valkey = c->p[0] == 'V';
	for (p = c->p + strlen(c->valkey ? magic_valkey : magic_redis); p < c->p + RDB_HEADER_SIZE; p++) {
		if (*p < '0' || *p > '9')
			return error_set(c->e, -EINVAL, "offset %zu: no RDB file (no version number behind the first word)", (size_t)(p - c->start));
		rd->version = rd->version * 10 + (unsigned)(*p - '0');
	}
	if (c->valkey ? rd->version < RDB_VERSION_VALKEY_MIN : rd->version < 1 || rd->version > RDB_VERSION_MAX)
		return error_set(c->e, -EINVAL, "offset %d: RDB version %u of %s is not known", RDB_VERSION_AT + c->valkey, rd->version,
		                 c->valkey ? "Valkey" : "Redis");
	c->p += RDB_HEADER_SIZE;
	return 0;
}

/* ---- opcodes ---- */

static int read_expiry(struct reader *rd, bool in_ms)
{
	const char *p = NULL;
	int64_t at_ms;
	int r = rdb_take(&rd->c, in_ms ? 8 : 4, &p);

	if (r < 0)
		return r;
	at_ms = in_ms ? (int64_t)le_get64(p) : (int64_t)(int32_t)le_get32(p) * 1000;
	if (at_ms == 0)
		at_ms = 1;  /* 0 would say that there is none; both are long over */
	rd->expire_at_ms = at_ms;
	return 0;
}

static int read_resizedb(struct reader *rd)
{
	uint64_t keys = 0, expires = 0;
	int r = rdb_take_length(&rd->c, &keys);

	if (r == 0)
		r = rdb_take_length(&rd->c, &expires);
	if (r < 0)
		return r;
	return rd->h->resize ? rd->h->resize(rd->h->ctx, rd->db, keys, expires) : 0;
}

int rdb_tell_aux(const struct rdb_handler *h, const struct rdb_aux *a, struct error *e)
{
	int r = h->aux(h->ctx, a, e);

	return r < 0 ? error_prepend(e, r, "offset %llu", (unsigned long long)a->offset) : 0;
}

static int read_aux(struct reader *rd)
{
	struct rdb_aux a = {.offset = (uint64_t)(rd->c.p - 1 - rd->c.start)};
	int r = rdb_take_string(&rd->c, &rd->key);

	if (r == 0)
		r = rdb_take_string(&rd->c, &rd->value);
	if (r < 0 || !rd->h->aux)
		return r;
	a.name = rd->key.data;
	a.name_len = rd->key.len;
	a.value = rd->value.data;
	a.value_len = rd->value.len;
	a.end = (uint64_t)(rd->c.p - rd->c.start);
	return rdb_tell_aux(rd->h, &a, rd->c.e);
}

static int skip_module_aux(struct rdb_cursor *c)
{
	const char *at = c->p;
	uint64_t when = 0;
	int r = rdb_skip_length(c);

	if (r == 0)
		r = rdb_take_length(c, &when);
	if (r == 0 && when != MODULE_WHEN_UINT)
		r = rdb_fail(c, at, "unknown kind of module data");
	if (r == 0)
		r = rdb_skip_length(c);
	return r < 0 ? r : rdb_skip_module(c);
}

static int skip_old_function(struct rdb_cursor *c)
{
	uint64_t described = 0;
	int r = rdb_skip_string(c);

	if (r == 0)
		r = rdb_skip_string(c);
	if (r == 0)
		r = rdb_take_length(c, &described);
	if (r == 0 && described)
		r = rdb_skip_string(c);
	return r < 0 ? r : rdb_skip_string(c);
}

static int skip_key_meta(struct rdb_cursor *c)
{
	const char *ignored;
	uint64_t count = 0;
	int r;

	for (r = rdb_take_length(c, &count); r == 0 && count > 0; count--) {
		r = rdb_take(c, 4, &ignored);
		if (r == 0)
			r = rdb_skip_module(c);
	}
	return r;
}

static int skip_slot_info(struct rdb_cursor *c)
{
	int i, r = 0;

	for (i = 0; i < 3 && r == 0; i++)
		r = rdb_skip_length(c);
	return r;
}

/* 1: the byte CODE was an opcode and is done with; 0: it is none. */
static int read_opcode(struct reader *rd, unsigned code)
{
	struct rdb_cursor *c = &rd->c;
	const char *ignored;
	int r;

	if ((code == RDB_OP_AUX || code == RDB_OP_RESIZEDB) && rd->version < RDB_VERSION_AUX)
		return error_set(c->e, -EPROTO, "offset %d: version %u can't be true, for there is a field of later ones at %zu",
		                 RDB_VERSION_AT, rd->version, (size_t)(c->p - 1 - c->start));
	switch (code) {
	case RDB_OP_AUX:
		r = read_aux(rd);
		break;
	case RDB_OP_EXPIRETIME_MS:
		r = read_expiry(rd, true);
		break;
	case RDB_OP_EXPIRETIME:
		r = read_expiry(rd, false);
		break;
	case RDB_OP_SELECTDB:
		r = rdb_take_length(c, &rd->db);
		break;
	case RDB_OP_RESIZEDB:
		r = read_resizedb(rd);
		break;
	case RDB_OP_FREQ:
		r = rdb_take(c, 1, &ignored);
		break;
	case RDB_OP_IDLE:
		r = rdb_skip_length(c);
		break;
	case RDB_OP_MODULE_AUX:
		r = skip_module_aux(c);
		break;
	case RDB_OP_FUNCTION2:
		r = rdb_skip_string(c);
		break;
	case RDB_OP_FUNCTION_OLD:
		r = skip_old_function(c);
		break;
	case RDB_OP_SLOT_INFO:
		r = skip_slot_info(c);
		break;
	case RDB_OP_KEY_META:
		if (c->valkey)
			return 0;
		r = skip_key_meta(c);
		break;
	default:
		return 0;
	}
	return r < 0 ? r : 1;
}

/* ---- keys ---- */

static int read_key(struct reader *rd, unsigned type, const char *at)
{
	struct rdb_cursor *c = &rd->c;
	const char *name = rdb_type_name(c, type);
	struct value *made = NULL;
	bool is_made = false;
	struct rdb_key k;
	int r;

	if (!name)
		return error_set(c->e, -EPROTO, "offset %zu: byte 0x%02x is no known type or opcode, and what follows can't be skipped",
		                 (size_t)(at - c->start), type);
	r = rdb_take_string(c, &rd->key);
	if (r < 0)
		return r;
	k = (struct rdb_key){
		.key = rd->key.data,
		.key_len = rd->key.len,
		.expire_at_ms = rd->expire_at_ms,
		.db = rd->db,
		.offset = (uint64_t)(at - c->start),
	};
	rd->expire_at_ms = 0;
	if (type == RDB_STRING) {
		r = rdb_take_value(c, &rd->value, &made, &is_made);
		k.value = rd->value.data;
		k.value_len = rd->value.len;
		k.made = is_made ? &made : NULL;
	} else {
		r = rdb_skip_value(c, type);
		k.type = name;
	}
	k.end = (uint64_t)(c->p - c->start);
	if (r == 0)
		r = rd->h->key(rd->h->ctx, &k, c->e);
	value_unref(made);
	return r;
}

static void step(struct reader *rd)
{
	if (rd->version >= RDB_VERSION_CHECKSUM)
		rd->crc = crc64(rd->crc, rd->summed, (size_t)(rd->c.p - rd->summed));
	rd->summed = rd->c.p;
	if (rd->h->progress)
		rd->h->progress(rd->h->ctx, (size_t)(rd->c.p - rd->c.start));
}

static int read_records(struct reader *rd)
{
	struct rdb_cursor *c = &rd->c;

	for (;;) {
		const char *at = c->p, *p = NULL;
		unsigned code;
		int r;

		if (c->p - rd->summed >= STEP)
			step(rd);
		r = rdb_take(c, 1, &p);
		if (r < 0)
			return r;
		code = (unsigned char)*p;
		if (code == RDB_OP_EOF)
			return 0;
		r = code == RDB_STRING ? 0 : read_opcode(rd, code);
		if (r == 0)
			r = read_key(rd, code, at);
		if (r < 0)
			return r;
	}
}

static int check_crc(struct reader *rd)
{
	const char *p = NULL;
	uint64_t stored;
	int r;

	step(rd);
	if (rd->version < RDB_VERSION_CHECKSUM)
		return 0;
	r = rdb_take(&rd->c, RDB_CRC_SIZE, &p);
	if (r < 0)
		return r;
	stored = le_get64(p);
	if (stored != 0 && stored != rd->crc)
		return error_set(rd->c.e, -EBADMSG, "offset %zu: the checksum does not match, the file is damaged", (size_t)(p - rd->c.start));
	return 0;
}

int rdb_read(const void *data, size_t len, const struct rdb_handler *h, size_t *ret_used, struct error *e)
{
	struct reader rd = {
		.c = {.start = data, .p = data, .end = (const char *)data + len, .e = e},
		.h = h,
		.summed = data,
	};
	int r;

	r = read_header(&rd);
	if (r == 0)
		r = read_records(&rd);
	if (r == 0)
		r = check_crc(&rd);
	bytes_fini(&rd.key.room);
	bytes_fini(&rd.value.room);
	if (r == 0 || r == -EBADMSG)
		*ret_used = (size_t)(rd.c.p - rd.c.start);
	return r;
}

int rdb_read_dump(const void *data, size_t len, struct bytes *ret, const char **ret_type, struct error *e)
{
	struct rdb_cursor c = {.start = data, .p = data, .end = (const char *)data + len, .e = e};
	struct rdb_string value = {0};
	const char *type_name;
	unsigned type, version;
	int r;

	if (len < 1 + DUMP_FOOTER_SIZE)
		return error_set(e, -EPROTO, "a DUMP payload of %zu bytes is too short", len);
	c.end -= DUMP_FOOTER_SIZE;
	version = le_get16(c.end);
	if (version > RDB_VERSION_MAX && version < RDB_VERSION_VALKEY_MIN)
		return error_set(e, -EINVAL, "RDB version %u of a DUMP payload is not known", version);
	if (crc64(0, data, len - RDB_CRC_SIZE) != le_get64(c.end + 2))
		return error_set(e, -EBADMSG, "the checksum of a DUMP payload does not match");
	c.valkey = version >= RDB_VERSION_VALKEY_MIN;
	type = (unsigned char)*c.p++;
	type_name = rdb_type_name(&c, type);
	if (!type_name)
		return error_set(e, -EPROTO, "type 0x%02x of a DUMP payload is not known", type);
	if (type == RDB_STRING)
		r = rdb_take_string(&c, &value);
	else
		r = rdb_skip_value(&c, type);
	if (r == 0 && c.p != c.end)
		r = rdb_fail(&c, c.p, "more than one value in a DUMP payload");
	if (r == 0 && type == RDB_STRING) {
		ret->len = 0;
		r = bytes_add(ret, value.data, value.len);
		if (r < 0)
			error_set(e, r, "out of memory for a DUMP payload");
	}
	bytes_fini(&value.room);
	if (r == 0)
		*ret_type = type == RDB_STRING ? NULL : type_name;
	return r;
}
