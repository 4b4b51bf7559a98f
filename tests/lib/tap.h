/* tap.h -- a test program's output (testanything.org): one line a test, "1..N" at the end.
 *
 *      int main(void)
 *      {
 *              ok(bytes_add(&b, "x", 1) == 0, "one byte is added");
 *              is(b.len, 1, "and counted");
 *              return tap_end();               1 when a test failed or none ran
 *      }
 *
 * Included by one file a program; not thread-safe.                                                                      */
#ifndef KVFS_TESTS_TAP_H
#define KVFS_TESTS_TAP_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct tap {
	int planned, run, failed;
};
static struct tap tap;

/* Says beforehand how many tests there are: a program that stops early then fails. */
static inline void plan(int n)
{
	tap.planned = n;
	printf("1..%d\n", n);
}

/* A comment. */
static inline __attribute__((format(printf, 1, 2))) void diag(const char *fmt, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

static inline bool tap_line(bool passed, const char *fmt, va_list ap)
{
	tap.run++;
	if (!passed)
		tap.failed++;
	printf("%sok %d - ", passed ? "" : "not ", tap.run);
	vprintf(fmt, ap);
	printf("\n");
	fflush(stdout);
	return passed;
}

static inline __attribute__((format(printf, 2, 3))) bool ok(bool passed, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tap_line(passed, fmt, ap);
	va_end(ap);
	return passed;
}

static inline __attribute__((format(printf, 3, 4))) bool is(int64_t got, int64_t want, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tap_line(got == want, fmt, ap);
	va_end(ap);
	if (got != want)
		diag("got %" PRId64 ", want %" PRId64, got, want);
	return got == want;
}

static inline __attribute__((format(printf, 5, 6))) bool is_bytes(const void *got, size_t got_len, const void *want, size_t want_len,
                                                                  const char *fmt, ...)
{
	bool same = got_len == want_len && (got_len == 0 || memcmp(got, want, got_len) == 0);
	va_list ap;

	va_start(ap, fmt);
	tap_line(same, fmt, ap);
	va_end(ap);
	if (!same)
		diag("got %zu bytes \"%.*s\", want %zu bytes \"%.*s\"", got_len, (int)(got_len < 200 ? got_len : 200),
		     got_len ? (const char *)got : "", want_len, (int)(want_len < 200 ? want_len : 200), want_len ? (const char *)want : "");
	return same;
}

static inline bool is_text(const char *got, const char *want, const char *what)
{
	return is_bytes(got, strlen(got), want, strlen(want), "%s", what);
}

/* What main returns. */
static inline int tap_end(void)
{
	if (tap.planned == 0)
		printf("1..%d\n", tap.run);
	if (tap.failed > 0)
		diag("%d of %d failed", tap.failed, tap.run);
	return tap.failed > 0 || tap.run == 0 || (tap.planned != 0 && tap.planned != tap.run);
}

#endif
