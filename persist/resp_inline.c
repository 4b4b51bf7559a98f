/* resp_inline.c -- see resp_inline.h. */
#include "persist/resp_inline.h"

#include <errno.h>
#include <string.h>

enum { INLINE_MAX = 65536 };  /* bytes of the line, as in Redis */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f' || c == '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The byte that the escape behind a backslash at *P stands for; *P moves behind it. */
static char unescape(const char **p, const char *end)
{
	const char *q = *p;
	char c = *q++;

	switch (c) {
	case 'n':
		c = '\n';
		break;
	case 'r':
		c = '\r';
		break;
	case 't':
		c = '\t';
		break;
	case 'b':
		c = '\b';
		break;
	case 'a':
		c = '\a';
		break;
	case 'x':
		if (end - q >= 2 && hex_digit(q[0]) >= 0 && hex_digit(q[1]) >= 0) {
			c = (char)(hex_digit(q[0]) << 4 | hex_digit(q[1]));
			q += 2;
		}
		break;
	default:
		break;
	}
	*p = q;
	return c;
}

/* Unescapes the quoted stretch whose opening quote is at *P to *OUT.  False: it is not closed, or a word goes on behind it. */
static bool take_quoted(const char **p, const char *end, char **out)
{
	const char *q = *p;
	char quote = *q++;

	while (q < end && *q != quote) {
		if (*q == '\\' && end - q >= 2 && (quote == '"' || q[1] == quote)) {
			q++;
			*(*out)++ = quote == '"' ? unescape(&q, end) : *q++;
		} else {
			*(*out)++ = *q++;
		}
	}
	if (q == end)
		return false;
	*p = ++q;
	return q == end || is_blank(*q);
}

/* One word at *P, which is no blank; false: quotes that do not match. */
static bool take_word(const char **p, const char *end, char **out)
{
	while (*p < end && !is_blank(**p)) {
		if (**p == '"' || **p == '\'')
			return take_quoted(p, end, out);
		*(*out)++ = *(*p)++;
	}
	return true;
}

int resp_parse_inline(const char *buf, size_t len, const struct resp_limits *limits, struct resp_command *c, size_t *ret_used,
                      const char **ret_why)
{
	const char *lf = memchr(buf, '\n', len < INLINE_MAX ? len : INLINE_MAX), *p = buf;
	char *out;
	int r;

	*ret_why = "too big inline request";
	if (!lf)
		return len < INLINE_MAX ? RESP_MORE : -EMSGSIZE;
	c->words.len = 0;
	r = bytes_reserve(&c->words, (size_t)(lf - buf) + 1);
	if (r < 0) {
		*ret_why = "out of memory";
		return r;
	}
	out = c->words.data;
	for (;;) {
		char *word = out;

		while (p < lf && is_blank(*p))
			p++;
		if (p == lf)
			break;
		*ret_why = "unbalanced quotes in request";
		if (!take_word(&p, lf, &out))
			return -EPROTO;
		*ret_why = "too many arguments";
		if (c->argc == limits->args_max)
			return -EMSGSIZE;
		*ret_why = "an argument is too long";
		if ((uint64_t)(out - word) > limits->arg_max)
			return -EMSGSIZE;
		*ret_why = "out of memory";
		r = resp_grow(c);
		if (r < 0)
			return r;
		c->argv[c->argc++] = (struct resp_arg){.data = word, .len = (size_t)(out - word)};
	}
	*ret_used = (size_t)(lf + 1 - buf);
	return RESP_OK;
}
