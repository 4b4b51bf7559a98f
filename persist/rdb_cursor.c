/* rdb_cursor.c -- bytes, lengths and strings of an RDB file, each checked against what is left before it is used. */
#include "persist/le.h"
#include "persist/lzf_chunk.h"
#include "persist/rdb_format.h"

#include <errno.h>
#include <liblzf/lzf.h>
#include <stdio.h>

enum {
	LZF_OUT_MAX = 1 << 30,
	LZF_RATIO_MAX = 600,  /* LZF itself can't do more than 264 bytes for 3 */
};

int rdb_fail(struct rdb_cursor *c, const char *at, const char *what)
{
	return error_set(c->e, -EPROTO, "offset %zu: %s", (size_t)(at - c->start), what);
}

static int fail_end(struct rdb_cursor *c, uint64_t n)
{
	error_set(c->e, -EPROTO, "offset %zu: %llu bytes are announced but the file ends after %zu", (size_t)(c->p - c->start),
	          (unsigned long long)n, (size_t)(c->end - c->p));
	return -EPROTO;
}

int rdb_take(struct rdb_cursor *c, uint64_t n, const char **ret)
{
	if (n > (uint64_t)(c->end - c->p))
		return fail_end(c, n);
	*ret = c->p;
	c->p += n;
	return 0;
}

/* The length whose first byte is FIRST; the cursor is behind that byte. */
static int take_length_after(struct rdb_cursor *c, unsigned first, uint64_t *ret)
{
	const char *p = NULL;
	uint32_t be32;
	uint64_t be64;
	int r;

	if (first >> 6 == RDB_LEN_6BIT) {
		*ret = first & 0x3f;
		return 0;
	}
	if (first >> 6 == RDB_LEN_14BIT) {
		r = rdb_take(c, 1, &p);
		if (r == 0)
			*ret = (uint64_t)(first & 0x3f) << 8 | (unsigned char)*p;
		return r;
	}
	if (first == RDB_LEN_32BIT) {
		r = rdb_take(c, sizeof(be32), &p);
		if (r < 0)
			return r;
		memcpy(&be32, p, sizeof(be32));
		*ret = be32toh(be32);
		return 0;
	}
	if (first == RDB_LEN_64BIT) {
		r = rdb_take(c, sizeof(be64), &p);
		if (r < 0)
			return r;
		memcpy(&be64, p, sizeof(be64));
		*ret = be64toh(be64);
		return 0;
	}
	return error_set(c->e, -EPROTO, "offset %zu: byte 0x%02x starts no length", (size_t)(c->p - 1 - c->start), first);
}

static int take_byte(struct rdb_cursor *c, unsigned *ret)
{
	const char *p = NULL;
	int r = rdb_take(c, 1, &p);

	if (r == 0)
		*ret = (unsigned char)*p;
	return r;
}

int rdb_take_length(struct rdb_cursor *c, uint64_t *ret)
{
	unsigned first = 0;
	int r = take_byte(c, &first);

	return r < 0 ? r : take_length_after(c, first, ret);
}

static int take_integer(struct rdb_cursor *c, unsigned encoding, struct rdb_string *ret)
{
	char digits[RDB_INT_TEXT_MAX], *q = digits + sizeof(digits);
	const char *p = NULL;
	uint32_t magnitude;
	int32_t n;
	int r;

	r = rdb_take(c, 1u << (encoding - RDB_ENC_INT8), &p);
	if (r < 0)
		return r;
	if (encoding == RDB_ENC_INT8)
		n = ((unsigned char)*p ^ 0x80) - 0x80;  /* extends the sign */
	else if (encoding == RDB_ENC_INT16)
		n = (int16_t)le_get16(p);
	else
		n = (int32_t)le_get32(p);
	magnitude = n < 0 ? -(uint32_t)n : (uint32_t)n;
	do {
		*--q = (char)('0' + magnitude % 10);
		magnitude /= 10;
	} while (magnitude > 0);
	if (n < 0)
		*--q = '-';
	ret->len = (size_t)(digits + sizeof(digits) - q);
	memcpy(ret->text, q, ret->len);
	ret->data = ret->text;
	return 0;
}

/* The lengths of an LZF string and its bytes. */
static int take_packed(struct rdb_cursor *c, const char **ret, uint64_t *ret_packed_len, uint64_t *ret_len)
{
	int r = rdb_take_length(c, ret_packed_len);

	if (r == 0)
		r = rdb_take_length(c, ret_len);
	return r < 0 ? r : rdb_take(c, *ret_packed_len, ret);
}

static int check_packed(struct rdb_cursor *c, const char *at, uint64_t packed_len, uint64_t len, uint64_t most)
{
	if (packed_len == 0 || len == 0)
		return rdb_fail(c, at, "a compressed string is empty");
	if (len > most || len / LZF_RATIO_MAX > packed_len)
		return error_set(c->e, -EPROTO, "offset %zu: %llu compressed bytes can't be %llu", (size_t)(at - c->start),
		                 (unsigned long long)packed_len, (unsigned long long)len);
	return 0;
}

/* RET NULL: only steps over it. */
static int take_lzf(struct rdb_cursor *c, struct rdb_string *ret)
{
	const char *at = c->p, *packed = NULL;
	uint64_t packed_len = 0, len = 0;
	int r;

	r = take_packed(c, &packed, &packed_len, &len);
	if (r < 0 || !ret)
		return r;
	r = check_packed(c, at, packed_len, len, LZF_OUT_MAX);
	if (r < 0)
		return r;
	ret->room.len = 0;
	if (bytes_reserve(&ret->room, (size_t)len) < 0)
		return error_set(c->e, -ENOMEM, "offset %zu: out of memory for a string of %llu bytes", (size_t)(at - c->start),
		                 (unsigned long long)len);
	if (packed_len > len * 2 || lzf_decompress(packed, (unsigned)packed_len, ret->room.data, (unsigned)len) != len)
		return rdb_fail(c, at, "a compressed string is damaged");
	ret->data = ret->room.data;
	ret->len = (size_t)len;
	return 0;
}

int rdb_take_string(struct rdb_cursor *c, struct rdb_string *ret)
{
	unsigned first = 0;
	uint64_t len = 0;
	int r;

	r = take_byte(c, &first);
	if (r < 0)
		return r;
	if (first == RDB_ENC_LZF)
		return take_lzf(c, ret);
	if (first >= RDB_ENC_INT8 && first <= RDB_ENC_INT32)
		return take_integer(c, first, ret);
	r = take_length_after(c, first, &len);
	if (r == 0)
		r = rdb_take(c, len, &ret->data);
	ret->len = (size_t)len;
	return r;
}

int rdb_skip_length(struct rdb_cursor *c)
{
	uint64_t ignored;

	return rdb_take_length(c, &ignored);
}

int rdb_skip_string(struct rdb_cursor *c)
{
	const char *ignored;
	unsigned first = 0;
	uint64_t len = 0;
	int r;

	r = take_byte(c, &first);
	if (r < 0)
		return r;
	if (first == RDB_ENC_LZF)
		return take_lzf(c, NULL);
	if (first >= RDB_ENC_INT8 && first <= RDB_ENC_INT32)
		return rdb_take(c, 1u << (first - RDB_ENC_INT8), &ignored);
	r = take_length_after(c, first, &len);
	return r < 0 ? r : rdb_take(c, len, &ignored);
}

int rdb_take_value(struct rdb_cursor *c, struct rdb_string *ret, struct value **ret_made, bool *ret_is_made)
{
	const char *at = c->p, *packed = NULL;
	uint64_t packed_len = 0, len = 0;
	struct value_build b = { 0 };
	int r;

	*ret_is_made = false;
	if (at == c->end || (unsigned char)*at != RDB_ENC_LZF)
		return rdb_take_string(c, ret);
	c->p++;
	r = take_packed(c, &packed, &packed_len, &len);
	if (r == 0 && len <= RDB_MADE_MIN) {
		c->p = at;
		return rdb_take_string(c, ret);
	}
	if (r == 0)
		r = check_packed(c, at, packed_len, len, VALUE_SIZE_MAX);
	if (r < 0)
		return r;
	r = lzf_unpack(packed, (size_t)packed_len, len, &b);
	if (r == 0)
		r = value_build_end(&b, len, ret_made);
	value_build_drop(&b);
	if (r == -ENOMEM)
		return error_set(c->e, -ENOMEM, "offset %zu: out of memory for a string of %llu bytes", (size_t)(at - c->start), (unsigned long long)len);
	if (r < 0)
		return rdb_fail(c, at, "a compressed string is damaged");
	ret->data = NULL;
	ret->len = (size_t)len;
	*ret_is_made = true;
	return 0;
}
