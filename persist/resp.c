/* resp.c -- see resp.h.  Inline commands are in resp_inline.c. */
#include "persist/resp.h"

#include "persist/resp_inline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	HEADER_MAX = 64,     /* bytes of a "*<n>" or "$<n>" line, with leading zeros and line end */
	DIGITS_MAX = 20,     /* of a 64-bit number */
	ARGS_MIN = 8,
};

static int fail(const char **ret_why, int code, const char *why)
{
	*ret_why = why;
	return code;
}

int resp_grow(struct resp_command *c)
{
	size_t cap = c->cap ? c->cap * 2 : ARGS_MIN;
	struct resp_arg *argv;

	if (c->argc < c->cap)
		return 0;
	argv = reallocarray(c->argv, cap, sizeof(*argv));
	if (!argv)
		return -ENOMEM;
	c->argv = argv;
	c->cap = cap;
	return 0;
}

void resp_command_fini(struct resp_command *c)
{
	free(c->argv);
	bytes_fini(&c->words);
	*c = (struct resp_command){0};
}

/* ---- reading a command ---- */

/* The number behind the first byte of the header line at *P; *P moves behind the line.  NEGATIVE: "-1" and the like are numbers too.
 * RESP_OK, RESP_MORE, -EPROTO. */
static int read_header(const char **p, const char *end, int64_t *ret, const char **ret_why)
{
	const char *q = *p + 1, *digits, *limit = end - *p > HEADER_MAX ? *p + HEADER_MAX : end;
	bool negative = false;
	int64_t n = 0;

	if (q < limit && *q == '-') {
		negative = true;
		q++;
	}
	for (digits = q; q < limit && *q >= '0' && *q <= '9'; q++) {
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *q - '0', &n))
			return fail(ret_why, -EPROTO, "a length is too large");
	}
	if (q < limit && q == digits)
		return fail(ret_why, -EPROTO, "expected digits of a length");
	if (q < limit && *q == '\r')
		q++;
	if (q == limit)
		return limit == end ? RESP_MORE : fail(ret_why, -EPROTO, "a length is too long");
	if (*q != '\n')
		return fail(ret_why, -EPROTO, "expected the end of a line behind a length");
	*p = q + 1;
	*ret = negative ? -n : n;
	return RESP_OK;
}

int resp_parse(const char *buf, size_t len, const struct resp_limits *limits, bool inline_ok, struct resp_command *c, size_t *ret_used,
               const char **ret_why)
{
	const char *p = buf, *end = buf + len;
	int64_t count, size;
	int r;

	c->argc = 0;
	if (len == 0)
		return RESP_MORE;
	if (*p != '*') {
		if (inline_ok)
			return resp_parse_inline(buf, len, limits, c, ret_used, ret_why);
		return fail(ret_why, -EPROTO, "expected '*'");
	}
	r = read_header(&p, end, &count, ret_why);
	if (r != RESP_OK)
		return r;
	if (count > 0 && (uint64_t)count > limits->args_max)
		return fail(ret_why, -EMSGSIZE, "too many arguments");
	for (; count > 0; count--) {
		if (p == end)
			return RESP_MORE;
		if (*p != '$')
			return fail(ret_why, -EPROTO, "expected '$'");
		r = read_header(&p, end, &size, ret_why);
		if (r != RESP_OK)
			return r;
		if (size < 0)
			return fail(ret_why, -EPROTO, "a length is negative");
		if ((uint64_t)size > limits->arg_max)
			return fail(ret_why, -EMSGSIZE, "an argument is too long");
		if ((uint64_t)(end - p) < (uint64_t)size + 2)
			return RESP_MORE;
		r = resp_grow(c);
		if (r < 0)
			return fail(ret_why, r, "out of memory");
		c->argv[c->argc++] = (struct resp_arg){.data = p, .len = (size_t)size};
		p += size + 2;
	}
	*ret_used = (size_t)(p - buf);
	return RESP_OK;
}

bool resp_is(const struct resp_arg *a, const char *word)
{
	size_t i;

	for (i = 0; i < a->len; i++) {
		char c = a->data[i];

		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		if (c != word[i] || c == '\0')
			return false;
	}
	return word[i] == '\0';
}

int resp_int64(const struct resp_arg *a, int64_t *ret)
{
	bool negative = a->len > 0 && a->data[0] == '-';
	size_t i = negative;
	int64_t n = 0;

	if (i == a->len || (a->data[i] == '0' && a->len > 1))
		return -EINVAL;
	for (; i < a->len; i++) {
		int digit = a->data[i] - '0';

		if (digit < 0 || digit > 9)
			return -EINVAL;
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, negative ? -digit : digit, &n))
			return -EINVAL;
	}
	*ret = n;
	return 0;
}

/* ---- writing ---- */

static size_t digits_size(uint64_t n)
{
	size_t size = 1;

	while (n >= 10) {
		n /= 10;
		size++;
	}
	return size;
}

char *resp_write_digits(char *p, uint64_t n)
{
	char *end = p + digits_size(n), *q = end;

	do {
		*--q = (char)('0' + n % 10);
		n /= 10;
	} while (q > p);
	return end;
}

static char *put_crlf(char *p)
{
	*p++ = '\r';
	*p++ = '\n';
	return p;
}

size_t resp_array_size(size_t argc)
{
	return 1 + digits_size(argc) + 2;
}

size_t resp_bulk_size(size_t len)
{
	return 1 + digits_size(len) + 2 + len + 2;
}

char *resp_write_array(char *p, size_t argc)
{
	*p++ = '*';
	return put_crlf(resp_write_digits(p, argc));
}

char *resp_write_bulk_header(char *p, size_t len)
{
	*p++ = '$';
	return put_crlf(resp_write_digits(p, len));
}

char *resp_write_bulk(char *p, const void *data, size_t len)
{
	p = resp_write_bulk_header(p, len);
	if (len > 0)
		memcpy(p, data, len);
	return put_crlf(p + len);
}

/* ---- replies ---- */

/* A line of TYPE and TEXT, in which a line end of its own becomes a blank. */
static int reply_line(struct bytes *out, char type, const char *text, size_t len)
{
	char *p;
	size_t i;
	int r;

	r = bytes_reserve(out, 1 + len + 2);
	if (r < 0)
		return r;
	p = out->data + out->len;
	*p++ = type;
	for (i = 0; i < len; i++)
		*p++ = text[i] == '\r' || text[i] == '\n' ? ' ' : text[i];
	p = put_crlf(p);
	out->len = (size_t)(p - out->data);
	return 0;
}

int resp_reply_simple(struct bytes *out, const char *text)
{
	return reply_line(out, '+', text, strlen(text));
}

int resp_reply_error(struct bytes *out, const char *text)
{
	return reply_line(out, '-', text, strlen(text));
}

int resp_reply_int(struct bytes *out, int64_t n)
{
	char text[DIGITS_MAX + 1], *p = text;

	if (n < 0)
		*p++ = '-';
	p = resp_write_digits(p, n < 0 ? -(uint64_t)n : (uint64_t)n);
	return reply_line(out, ':', text, (size_t)(p - text));
}

int resp_reply_bulk(struct bytes *out, const void *data, size_t len)
{
	int r = bytes_reserve(out, resp_bulk_size(len));

	if (r < 0)
		return r;
	out->len = (size_t)(resp_write_bulk(out->data + out->len, data, len) - out->data);
	return 0;
}

int resp_reply_null(struct bytes *out)
{
	return bytes_add(out, "$-1\r\n", 5);
}

int resp_reply_array(struct bytes *out, size_t n)
{
	int r = bytes_reserve(out, resp_array_size(n));

	if (r < 0)
		return r;
	out->len = (size_t)(resp_write_array(out->data + out->len, n) - out->data);
	return 0;
}

static int parse_reply_line(const char *buf, size_t len, struct resp_value *v, size_t *ret_used, const char **ret_why)
{
	const char *lf = memchr(buf, '\n', len);
	struct resp_arg number;

	if (!lf)
		return RESP_MORE;
	v->data = buf + 1;
	v->len = (size_t)(lf - v->data);
	if (v->len > 0 && v->data[v->len - 1] == '\r')
		v->len--;
	if (v->type == ':') {
		number = (struct resp_arg){.data = v->data, .len = v->len};
		if (resp_int64(&number, &v->integer) < 0)
			return fail(ret_why, -EPROTO, "expected an integer");
	}
	*ret_used = (size_t)(lf + 1 - buf);
	return RESP_OK;
}

int resp_parse_reply(const char *buf, size_t len, struct resp_value *v, size_t *ret_used, const char **ret_why)
{
	const char *p = buf, *end = buf + len;
	int64_t size;
	int r;

	if (len == 0)
		return RESP_MORE;
	*v = (struct resp_value){.type = *p};
	switch (v->type) {
	case '+':
	case '-':
	case ':':
		return parse_reply_line(buf, len, v, ret_used, ret_why);
	case '$':
	case '*':
		break;
	default:
		return fail(ret_why, -EPROTO, "expected one of + - : $ *");
	}
	r = read_header(&p, end, &size, ret_why);
	if (r != RESP_OK)
		return r;
	if (size < -1)
		return fail(ret_why, -EPROTO, "a length is negative");
	v->integer = size;
	if (v->type == '$' && size >= 0) {
		if (end - p < 2 || end - p - 2 < size)
			return RESP_MORE;
		v->data = p;
		v->len = (size_t)size;
		p += size + 2;
	}
	*ret_used = (size_t)(p - buf);
	return RESP_OK;
}
