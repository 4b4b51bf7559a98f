/* ctl_sample.c -- see ctl_sample.h. */
#include "fs/ctl_sample.h"
#include "fs/ctl_jobs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- asking ---- */

static int receive(struct ctl_client *c, char type, struct resp_value *ret)
{
	int err = ctl_receive(c, ret);

	if (err == 0 && (ret->type != type || (type == '$' && ret->data == NULL)))
		err = -EPROTO;
	return err;
}

static int receive_number(struct ctl_client *c, int64_t *ret)
{
	struct resp_value v = { .type = 0 };
	int err = receive(c, ':', &v);

	if (err == 0)
		*ret = v.integer;
	return err;
}

static bool is_text(const struct resp_value *v, const char *text)
{
	return v->len == strlen(text) && memcmp(v->data, text, v->len) == 0;
}

int ctl_sample_info(struct ctl_client *c, struct ctl_sample *s)
{
	static const char *const words[] = { "INFO" };
	struct resp_value v = { .type = 0 };
	struct timespec t;
	int err = ctl_send_words(c, words, 1);

	if (err == 0)
		err = receive(c, '$', &v);
	if (err < 0)
		return err;
	s->info.len = 0;
	clock_gettime(CLOCK_MONOTONIC, &t);
	s->at_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
	return bytes_add(&s->info, v.data, v.len);
}

/* histogram_usec: bounds and how many are not above, until they are all. */
static int receive_histogram(struct ctl_client *c, struct ctl_op *op)
{
	struct resp_value v = { .type = 0 };
	int64_t bound = 0, count = 0, before = 0;
	int err = receive(c, '*', &v);

	if (err == 0 && (v.integer < 0 || v.integer > INT64_C(2) * LATENCY_BUCKETS || v.integer % 2 != 0))
		err = -EPROTO;
	for (int64_t left = err == 0 ? v.integer : 0; left > 0 && err == 0; left -= 2) {
		err = receive_number(c, &bound);
		if (err == 0)
			err = receive_number(c, &count);
		if (err == 0 && (bound < 1 || bound >= INT64_C(1) << LATENCY_BUCKETS || (bound & (bound - 1)) != 0 || count < before))
			err = -EPROTO;
		if (err == 0)
			op->bucket[__builtin_ctzll((uint64_t)bound)] = (uint64_t)(count - before);
		before = count;
	}
	return err;
}

static int receive_op(struct ctl_client *c, struct ctl_op *op)
{
	struct resp_value v = { .type = 0 };
	int64_t n = 0;
	int err = receive(c, '$', &v);

	*op = (struct ctl_op){ .calls = 0 };
	if (err == 0 && (v.len == 0 || v.len >= sizeof(op->name)))
		err = -EPROTO;
	if (err < 0)
		return err;
	memcpy(op->name, v.data, v.len);
	err = receive(c, '*', &v);
	if (err == 0 && v.integer != 6)
		err = -EPROTO;
	for (int i = 0; i < 3 && err == 0; i++) {
		err = receive(c, '$', &v);
		if (err == 0 && is_text(&v, "histogram_usec")) {
			err = receive_histogram(c, op);
		} else if (err == 0) {
			bool calls = is_text(&v, "calls");

			err = receive_number(c, &n);
			*(calls ? &op->calls : &op->usec) = (uint64_t)n;
		}
	}
	return err;
}

int ctl_sample_take(struct ctl_client *c, struct ctl_sample *s)
{
	static const char *const words[] = { "LATENCY", "HISTOGRAM" };
	struct resp_value v = { .type = 0 };
	int err = ctl_sample_info(c, s);

	if (err == 0)
		err = ctl_send_words(c, words, 2);
	if (err == 0)
		err = receive(c, '*', &v);
	if (err == 0 && (v.integer < 0 || v.integer > INT64_C(2) * STATS_OPCODES || v.integer % 2 != 0))
		err = -EPROTO;
	s->ops = 0;
	for (int64_t left = err == 0 ? v.integer : 0; left > 0 && err == 0; left -= 2)
		err = receive_op(c, &s->op[s->ops++]);
	return err;
}

void ctl_sample_fini(struct ctl_sample *s)
{
	bytes_fini(&s->info);
}

/* ---- reading ---- */

static uint64_t number_at(const char *text, size_t len)
{
	uint64_t n = 0;

	for (size_t i = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++) {
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(text[i] - '0'), &n))
			return 0;
	}
	return n;
}

uint64_t ctl_sample_number(const struct ctl_sample *s, const char *name)
{
	size_t len;
	const char *text = ctl_info_field(s->info.data, s->info.len, name, &len);

	return text != NULL ? number_at(text, len) : 0;
}

const char *ctl_sample_text(const struct ctl_sample *s, const char *name, char *out, size_t cap)
{
	size_t len;
	const char *text = ctl_info_field(s->info.data, s->info.len, name, &len);

	out[0] = '\0';
	if (text == NULL)
		return out;
	if (len >= cap)
		len = cap - 1;
	memcpy(out, text, len);
	out[len] = '\0';
	return out;
}

uint64_t ctl_sample_db(const struct ctl_sample *s, const char *name)
{
	static const char section[] = "# Keyspace\r\ndb";
	const char *at = memmem(s->info.data, s->info.len, section, sizeof(section) - 1), *end, *field;

	if (at == NULL)
		return 0;
	at += sizeof(section) - 1;
	end = memchr(at, '\r', s->info.len - (size_t)(at - s->info.data));
	field = end != NULL ? memmem(at, (size_t)(end - at), name, strlen(name)) : NULL;
	if (field == NULL || field + strlen(name) == end || field[strlen(name)] != '=')
		return 0;
	field += strlen(name) + 1;
	return number_at(field, (size_t)(end - field));
}

const struct ctl_op *ctl_sample_op(const struct ctl_sample *s, const char *name)
{
	for (size_t i = 0; i < s->ops; i++) {
		if (strcmp(s->op[i].name, name) == 0)
			return &s->op[i];
	}
	return NULL;
}

/* ---- computing ---- */

struct ctl_op ctl_op_since(const struct ctl_op *op, const struct ctl_op *before)
{
	struct ctl_op d = *op;

	if (before == NULL || before->calls > op->calls || before->usec > op->usec)
		return d;
	d.calls -= before->calls;
	d.usec -= before->usec;
	for (int i = 0; i < LATENCY_BUCKETS; i++)
		d.bucket[i] -= before->bucket[i] <= d.bucket[i] ? before->bucket[i] : d.bucket[i];
	return d;
}

uint64_t ctl_op_percentile(const struct ctl_op *op, double percent)
{
	uint64_t seen = 0;

	for (int i = 0; i < LATENCY_BUCKETS; i++) {
		seen += op->bucket[i];
		if (op->calls > 0 && seen > 0 && (double)seen >= (double)op->calls * percent / 100)
			return UINT64_C(1) << i;
	}
	return 0;
}
