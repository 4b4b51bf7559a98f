/* error.c -- see error.h. */
#include "persist/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (e->text[0] != '\0')
		return code;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return code;
}

int error_prepend(struct error *e, int code, const char *fmt, ...)
{
	static const char between[] = ": ";
	char head[ERROR_MAX];
	size_t head_len, text_len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(head, sizeof(head), fmt, ap);
	va_end(ap);
	if (n < 0)
		return code;
	if (e->text[0] != '\0')
		strncat(head, between, sizeof(head) - strlen(head) - 1);
	head_len = strlen(head);
	text_len = strnlen(e->text, sizeof(e->text) - 1);
	if (text_len > sizeof(e->text) - 1 - head_len)
		text_len = sizeof(e->text) - 1 - head_len;
	memmove(e->text + head_len, e->text, text_len);
	memcpy(e->text, head, head_len);
	e->text[head_len + text_len] = '\0';
	return code;
}

const char *error_quote(const void *bytes, size_t len, char *out, size_t cap)
{
	static const char hex[] = "0123456789abcdef";
	static const char more[] = "...";
	const unsigned char *in = bytes;
	size_t i, used = 0, fits = 0;

	if (cap == 0)
		return "";
	for (i = 0; i < len; i++) {
		size_t need = in[i] >= 0x20 && in[i] < 0x7f && in[i] != '\\' ? 1 : 4;

		if (used + need >= cap)
			break;
		if (need == 1) {
			out[used] = (char)in[i];
		} else {
			out[used] = '\\';
			out[used + 1] = 'x';
			out[used + 2] = hex[in[i] >> 4];
			out[used + 3] = hex[in[i] & 15];
		}
		used += need;
		if (used + sizeof(more) <= cap)
			fits = used;
	}
	if (i < len) {
		used = fits;
		if (used + sizeof(more) <= cap) {
			memcpy(out + used, more, sizeof(more) - 1);
			used += sizeof(more) - 1;
		}
	}
	out[used] = '\0';
	return out;
}
