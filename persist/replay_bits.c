/* replay_bits.c -- SETBIT, BITFIELD, BITOP.  Bit 0 is the highest bit of byte 0, as Redis counts them. */
#include "persist/replay_verb.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 9 };  /* bytes that 64 bits at any bit offset touch */

/* The bytes of KEY that hold NBITS bits at BIT; what lies behind the end is zero. */
struct bit_window {
	uint64_t first;             /* byte */
	size_t len;
	unsigned char data[WINDOW];
};

static int window_load(struct replay *r, const struct resp_arg *key, uint64_t bit, unsigned nbits, struct bit_window *w, struct error *e)
{
	struct value *v;
	uint64_t size;
	int found = replay_value(r, key, &v, &size, e);

	*w = (struct bit_window){ .first = bit / 8, .len = (size_t)((bit + nbits + 7) / 8 - bit / 8) };
	if (found != REPLAY_FOUND)
		return found;
	if (w->first < size)
		value_copy_out(v, size, w->first, w->data, size - w->first < w->len ? (size_t)(size - w->first) : w->len);
	value_unref(v);
	return REPLAY_FOUND;
}

static uint64_t window_get(const struct bit_window *w, uint64_t bit, unsigned nbits)
{
	uint64_t n = 0;
	unsigned i;

	for (i = 0; i < nbits; i++) {
		uint64_t at = bit + i - w->first * 8;

		n = n << 1 | (w->data[at / 8] >> (7 - at % 8) & 1);
	}
	return n;
}

static void window_set(struct bit_window *w, uint64_t bit, unsigned nbits, uint64_t n)
{
	unsigned i;

	for (i = 0; i < nbits; i++) {
		uint64_t at = bit + i - w->first * 8;
		unsigned char mask = (unsigned char)(0x80 >> at % 8);

		if (n >> (nbits - 1 - i) & 1)
			w->data[at / 8] |= mask;
		else
			w->data[at / 8] &= (unsigned char)~mask;
	}
}

int replay_setbit(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	struct bit_window w;
	int64_t bit, on;
	int found;

	(void)argc;
	if (replay_int(&argv[2], &bit, e) || replay_int(&argv[3], &on, e))
		return -EPROTO;
	if (bit < 0 || (on != 0 && on != 1))
		return error_set(e, -EPROTO, "there is no such bit");
	found = window_load(r, &argv[1], (uint64_t)bit, 1, &w, e);
	if (found < 0 || found == REPLAY_LEFT_OUT)
		return found < 0 ? found : 0;
	window_set(&w, (uint64_t)bit, 1, (uint64_t)on);
	return replay_write(r, &argv[1], w.first, w.data, w.len, e);
}

/* ---- BITFIELD ---- */

enum overflow { OVERFLOW_WRAP, OVERFLOW_SAT, OVERFLOW_FAIL };

struct field {
	bool is_signed;
	unsigned bits;
	uint64_t at;
};

/* "u8", "i64" and an offset, "#3" for the fourth of its size. */
static int field_parse(const struct resp_arg *type, const struct resp_arg *offset, struct field *f, struct error *e)
{
	struct resp_arg digits = { .data = type->data + 1, .len = type->len - 1 };
	struct resp_arg at = *offset;
	bool scaled = at.len && at.data[0] == '#';
	int64_t n;

	if (type->len < 2 || !strchr("iuIU", type->data[0]) || type->data[0] == '\0' || resp_int64(&digits, &n))
		return replay_bad(type, "is no type of a bit field", e);
	f->is_signed = type->data[0] == 'i' || type->data[0] == 'I';
	if (n < 1 || n > (f->is_signed ? 64 : 63))
		return replay_bad(type, "is no type of a bit field", e);
	f->bits = (unsigned)n;
	if (scaled) {
		at.data++;
		at.len--;
	}
	if (resp_int64(&at, &n) || n < 0 || (scaled && __builtin_mul_overflow(n, (int64_t)f->bits, &n)) || n > INT64_MAX - 64)
		return replay_bad(offset, "is no offset", e);
	f->at = (uint64_t)n;
	return 0;
}

static int64_t field_value(const struct field *f, uint64_t raw)
{
	if (f->is_signed && f->bits < 64 && raw >> (f->bits - 1) & 1)
		raw |= UINT64_MAX << f->bits;
	return (int64_t)raw;
}

/* BASE + BY as F can hold it; false: it can't and the operation is left undone. */
static bool field_sum(const struct field *f, int64_t base, int64_t by, enum overflow how, int64_t *ret)
{
	__int128 sum = (__int128)base + by;
	int64_t min, max;

	assert(f->bits >= 1 && f->bits <= 64);
	max = (int64_t)(UINT64_MAX >> (64 - f->bits) >> f->is_signed);
	min = f->is_signed ? -max - 1 : 0;
	*ret = (int64_t)((uint64_t)base + (uint64_t)by);
	if (sum >= min && sum <= max)
		return true;
	if (how == OVERFLOW_FAIL)
		return false;
	if (how == OVERFLOW_SAT)
		*ret = sum < min ? min : max;
	return true;
}

/* SET or INCRBY with ARG.  A set is a sum with zero: the same rules for what does not fit.  What does not change still grows
 * the string, as in Redis. */
static int field_change(struct replay *r, const struct resp_arg *key, const struct field *f, bool is_set, int64_t arg, enum overflow how,
                        struct error *e)
{
	struct bit_window w;
	int64_t base, n;
	int found = window_load(r, key, f->at, f->bits, &w, e);

	if (found < 0 || found == REPLAY_LEFT_OUT)
		return found < 0 ? found : 0;
	if (is_set && !f->is_signed && arg < 0 && how == OVERFLOW_SAT)
		arg = INT64_MAX;   /* Redis reads it as a large number */
	base = is_set ? 0 : field_value(f, window_get(&w, f->at, f->bits));
	if (field_sum(f, base, arg, how, &n))
		window_set(&w, f->at, f->bits, (uint64_t)n);
	return replay_write(r, key, w.first, w.data, w.len, e);
}

int replay_bitfield(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	enum overflow how = OVERFLOW_WRAP;
	struct field f = { 0 };
	int64_t arg;
	size_t i = 2;

	while (i < argc) {
		bool is_set = resp_is(&argv[i], "SET");
		int err;

		if (resp_is(&argv[i], "OVERFLOW") && i + 1 < argc) {
			const struct resp_arg *word = &argv[i + 1];

			if (!resp_is(word, "WRAP") && !resp_is(word, "SAT") && !resp_is(word, "FAIL"))
				return replay_bad(word, "is no kind of overflow", e);
			how = resp_is(word, "WRAP") ? OVERFLOW_WRAP : resp_is(word, "SAT") ? OVERFLOW_SAT : OVERFLOW_FAIL;
			i += 2;
		} else if (resp_is(&argv[i], "GET") && i + 2 < argc) {
			i += 3;
		} else if ((is_set || resp_is(&argv[i], "INCRBY")) && i + 3 < argc) {
			if (field_parse(&argv[i + 1], &argv[i + 2], &f, e) || replay_int(&argv[i + 3], &arg, e))
				return -EPROTO;
			err = field_change(r, &argv[1], &f, is_set, arg, how, e);
			if (err)
				return err;
			i += 4;
		} else {
			return replay_bad(&argv[i], "is no operation on a bit field", e);
		}
	}
	return 0;
}

/* ---- BITOP ---- */

enum bitop { BITOP_AND, BITOP_OR, BITOP_XOR, BITOP_NOT };

/* Adds the bytes of r->scratch as the INDEXth operand; OUT holds LEN bytes, the longest operand has that many. */
static void bitop_add(const struct bytes *in, enum bitop how, bool first, char *out, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		unsigned char b = i < in->len ? (unsigned char)in->data[i] : 0;
		unsigned char o = (unsigned char)out[i];

		if (how == BITOP_NOT)
			o = (unsigned char)~b;
		else if (first)
			o = b;
		else if (how == BITOP_AND)
			o &= b;
		else if (how == BITOP_OR)
			o |= b;
		else
			o ^= b;
		out[i] = (char)o;
	}
}

/* BITOP op destination key ... */
int replay_bitop(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	static const char *const words[] = { "AND", "OR", "XOR", "NOT" };
	size_t i, len = 0;
	unsigned how = 0;
	struct attr a;
	uint64_t id;
	char *out;
	int err = 0;

	while (how < 4 && !resp_is(&argv[1], words[how]))
		how++;
	if (how == 4)
		return replay_bad(&argv[1], "is no operation on bits", e);
	for (i = 3; i < argc; i++) {
		if (!tombs_empty(&r->tombs) && tombs_find(&r->tombs, argv[i].data, argv[i].len))
			return replay_note(r, &argv[2], TOMB_NO_PATH, "came from a key that is no path", e);
		if (replay_is_value(r, &argv[i], &id) && !keyspace_getattr(r->l.ks, id, &a) && a.size > len)
			len = (size_t)a.size;
	}
	if (len == 0)
		return replay_forget(r, &argv[2], e);
	out = calloc(1, len);
	if (!out)
		return error_set(e, -ENOMEM, "out of memory");
	for (i = 3; i < argc && err >= 0; i++) {
		err = replay_scratch(r, &argv[i], e);
		if (err >= 0)
			bitop_add(&r->scratch, how, i == 3, out, len);
	}
	if (err >= 0)
		err = replay_put(r, &argv[2], out, len, NULL, e);
	free(out);
	return err;
}
