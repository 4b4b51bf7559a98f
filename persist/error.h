/* error.h -- one sentence for the human who has to mend it, built from the inside out.
 *
 * The place that finds the fault says what is wrong and what to do; each level above prepends where:
 *      recover: appendonly.aof.3.incr.aof: batch at 81920: checksum does not match (kvfs-ctl check DIR tells more)
 * The first error wins: error_set() on one that is set already changes nothing.  Cut at ERROR_MAX bytes, never overrun. */
#ifndef KVFS_PERSIST_ERROR_H
#define KVFS_PERSIST_ERROR_H

#include <stddef.h>

enum { ERROR_MAX = 2048 };

struct error {
	char text[ERROR_MAX];  /* "" when nothing is set */
};

/* Returns CODE, so that a function can end in: return error_set(e, -EINVAL, "..."). */
int error_set(struct error *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* "FMT: what was there".  Returns CODE. */
int error_prepend(struct error *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A printable form of LEN bytes in OUT (CAP bytes, terminated): what is not printable becomes \xHH, what is too long ends in "...". */
const char *error_quote(const void *bytes, size_t len, char *out, size_t cap);

#endif
