/* encode_space.c -- changes of a value that Redis has no short command for: cuts, ranges of zeros, copies.  Small ones are stock commands that carry
 * the bytes; for large ones Redis gets a script that has the same effect, and kvfs a record.  See encode_kind.h. */
#include "persist/encode_kind.h"
#include "persist/script.h"

#include <assert.h>
#include <string.h>

enum {
	CARRIED_MAX = 4096,         /* bytes of zeros that are written rather than made by a script */
	CUT_CARRIED_MAX = 65536,    /* bytes that stay of a value, likewise */
};

bool encode_redis_holds(uint64_t size)
{
	return size <= REDIS_VALUE_MAX;
}

void encode_eval(struct batch *b, const char *text, const struct encode_place *p, const struct encode_place *second)
{
	batch_command(b, "EVAL");
	batch_arg(b, text, strlen(text));
	batch_arg(b, second ? "2" : "1", 1);
	encode_key_arg(b, p);
	if (second)
		encode_key_arg(b, second);
}

void encode_digits(struct encoder *e, struct batch *b, int i, uint64_t n)
{
	assert(i < ENCODE_DIGITS);
	batch_arg(b, e->digits[i], (size_t)(resp_write_digits(e->digits[i], n) - e->digits[i]));
}

static void set_range(struct encoder *e, struct batch *b, uint64_t off, const char *data, size_t len)
{
	batch_command(b, "SETRANGE");
	encode_key_arg(b, &e->place);
	encode_digits(e, b, 0, off);
	batch_arg(b, data, len);
}

static void record_size(struct encoder *e, struct batch *b, uint64_t size)
{
	struct seal_record *r = batch_record(b, SEAL_RESIZE);

	encode_path_is(r, &e->place);
	r->number = size;
}

static void cut(struct encoder *e, struct mutation *m, struct batch *b, uint64_t size)
{
	if (size <= CUT_CARRIED_MAX) {
		batch_command(b, "SET");
		encode_key_arg(b, &e->place);
		batch_arg_value(b, keyspace_value_locked(e->ks, m->id), m->old_size, size);
		batch_arg(b, "KEEPTTL", 7);
	} else if (encode_redis_holds(size)) {
		encode_eval(b, script_cut, &e->place, NULL);
		encode_digits(e, b, 0, size);
	}
}

int encode_resize(struct encoder *e, struct mutation *m, struct batch *b)
{
	uint64_t size = m->node.size;

	if (size == 0) {
		batch_command(b, "SET");
		encode_key_arg(b, &e->place);
		batch_arg(b, "", 0);
		return 0;
	}
	b->flags |= SEAL_RECORDS_ONLY;
	record_size(e, b, size);
	if (size < m->old_size)
		cut(e, m, b, size);
	else if (size > m->old_size && encode_redis_holds(size))
		set_range(e, b, size - 1, "", 1);
	return 0;
}

int encode_zero(struct encoder *e, struct mutation *m, struct batch *b)
{
	static const char zeros[CARRIED_MAX];
	uint64_t end = m->off + m->len;

	b->flags |= SEAL_RECORDS_ONLY;
	struct seal_record *r = batch_record(b, SEAL_ZERO);
	encode_path_is(r, &e->place);
	r->number = m->off;
	r->length = m->len;
	if (!encode_redis_holds(end))
		return 0;
	if (m->len <= CARRIED_MAX) {
		set_range(e, b, m->off, zeros, m->len);
	} else {
		encode_eval(b, script_zero, &e->place, NULL);
		encode_digits(e, b, 0, m->off);
		encode_digits(e, b, 1, end);
	}
	return 0;
}

/* The value of one key becomes that of the other: nothing was there, and no expiry. */
static bool is_whole(struct encoder *e, const struct mutation *m, const struct attr *from)
{
	return m->old_size == 0 && m->off == 0 && m->from_off == 0 && m->len == from->size && keyspace_expiry_locked(e->ks, m->id) == 0;
}

int encode_copy(struct encoder *e, struct mutation *m, struct batch *b)
{
	struct attr from;

	int err = encode_get_place(e, b, &e->source, m->from, NULL, 0);
	if (!err)
		err = keyspace_stat_locked(e->ks, m->from, &from);
	if (err)
		return err;
	b->flags |= SEAL_RECORDS_ONLY;
	struct seal_record *r = batch_record(b, SEAL_COPY);
	encode_path_is(r, &e->place);
	r->number = m->off;
	r->length = m->len;
	r->to = e->source.path.data;
	r->to_len = e->source.path.len;
	r->from = m->from_off;
	if (!encode_redis_holds(m->off + m->len)) {
		return 0;
	} else if (is_whole(e, m, &from)) {
		batch_command(b, "COPY");
		encode_key_arg(b, &e->source);
		encode_key_arg(b, &e->place);
		batch_arg(b, "REPLACE", 7);
		if (from.expire_at_ms) {
			batch_command(b, "PERSIST");
			encode_key_arg(b, &e->place);
		}
	} else {
		encode_eval(b, script_copy, &e->place, &e->source);
		encode_digits(e, b, 0, m->off);
		encode_digits(e, b, 1, m->from_off);
		encode_digits(e, b, 2, m->len);
	}
	return 0;
}
