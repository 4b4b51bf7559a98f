/* bytes.c -- see bytes.h. */
#include "persist/bytes.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_MIN = 64 };

int bytes_reserve(struct bytes *b, size_t more)
{
	size_t cap = b->cap;
	char *data;

	if (more <= b->cap - b->len)
		return 0;
	if (more > SIZE_MAX / 2 - b->len)
		return -ENOMEM;
	if (cap < BYTES_MIN)
		cap = BYTES_MIN;
	while (cap - b->len < more)
		cap *= 2;
	data = realloc(b->data, cap);
	if (!data)
		return -ENOMEM;
	b->data = data;
	b->cap = cap;
	return 0;
}

int bytes_add(struct bytes *b, const void *data, size_t len)
{
	int r;

	if (len == 0)
		return 0;
	r = bytes_reserve(b, len);
	if (r < 0)
		return r;
	memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}

int bytes_addf(struct bytes *b, const char *fmt, ...)
{
	size_t room = b->cap - b->len;
	va_list ap, again;
	int n, r = 0;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(room ? b->data + b->len : NULL, room, fmt, ap);
	if (n < 0)
		r = -ENOMEM;
	if (r == 0 && (size_t)n >= room) {
		r = bytes_reserve(b, (size_t)n + 1);
		if (r == 0)
			vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
	}
	va_end(again);
	va_end(ap);
	if (r == 0)
		b->len += (size_t)n;
	return r;
}

void bytes_drop_front(struct bytes *b, size_t n)
{
	assert(n <= b->len);
	if (n == 0)
		return;
	b->len -= n;
	memmove(b->data, b->data + n, b->len);
}

void bytes_fini(struct bytes *b)
{
	free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
}
