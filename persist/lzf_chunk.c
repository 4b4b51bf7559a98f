/* lzf_chunk.c -- see lzf_chunk.h.  LZF: a byte below 32 is followed by that many literal bytes and one; else its upper three bits are a length less
 * two (7: plus the next byte), and the rest, with the byte behind, how far back these bytes stand, less one. */
#include "persist/lzf_chunk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	LITERALS_MAX = 32,
	MATCH_MIN = 3,
	MATCH_MAX = 264,
	LENGTH_LONG = 7,
	DISTANCE_MAX = 8192,
	HASH_BITS = 12,
};

/* ---- packing ---- */

static unsigned hash_of(const unsigned char *p)
{
	return ((uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2]) * UINT32_C(2654435761) >> (32 - HASH_BITS);
}

static unsigned char *put_literals(unsigned char *out, const unsigned char *p, size_t len)
{
	while (len) {
		size_t n = len < LITERALS_MAX ? len : LITERALS_MAX;

		*out++ = (unsigned char)(n - 1);
		memcpy(out, p, n);
		out += n, p += n, len -= n;
	}
	return out;
}

static unsigned char *put_match(unsigned char *out, size_t len, size_t distance)
{
	size_t l = len - 2, d = distance - 1;

	*out++ = (unsigned char)((l < LENGTH_LONG ? l : LENGTH_LONG) << 5 | d >> 8);
	if (l >= LENGTH_LONG)
		*out++ = (unsigned char)(l - LENGTH_LONG);
	*out++ = (unsigned char)d;
	return out;
}

size_t lzf_chunk_pack(const void *data, size_t len, bool compress, char *out)
{
	uint16_t last[1 << HASH_BITS] = { 0 };     /* place + 1 of the last three bytes with that hash */
	const unsigned char *in = data, *literals = in, *p = in, *end = in + len;
	unsigned char *to = (unsigned char *)out;

	while (compress && end - p >= MATCH_MIN) {
		unsigned h = hash_of(p);
		const unsigned char *ref = last[h] ? in + last[h] - 1 : NULL;

		last[h] = (uint16_t)(p - in + 1);
		if (!ref || p - ref > DISTANCE_MAX || memcmp(ref, p, MATCH_MIN) != 0) {
			p++;
			continue;
		}
		size_t most = (size_t)(end - p) < MATCH_MAX ? (size_t)(end - p) : MATCH_MAX, n = MATCH_MIN;
		while (n < most && ref[n] == p[n])
			n++;
		to = put_literals(to, literals, (size_t)(p - literals));
		to = put_match(to, n, (size_t)(p - ref));
		p += n;
		literals = p;
	}
	to = put_literals(to, literals, (size_t)(end - literals));
	return (size_t)(to - (unsigned char *)out);
}

/* ---- unpacking ---- */

enum { FLUSH = 4 * VALUE_CHUNK };

/* The last DISTANCE_MAX bytes that were flushed, then what was not. */
struct window {
	struct value_build *build;
	uint64_t off;               /* of the first byte that was not flushed, in the value */
	uint64_t made;              /* bytes in all */
	size_t len;                 /* not flushed */
	unsigned char byte[DISTANCE_MAX + FLUSH + MATCH_MAX];
};

static int flush(struct window *w, size_t n)
{
	int err = value_build_add(w->build, w->off, w->byte + DISTANCE_MAX, n);

	memmove(w->byte, w->byte + n, DISTANCE_MAX + w->len - n);
	w->off += n;
	w->len -= n;
	return err;
}

static int made(struct window *w, size_t n)
{
	w->len += n;
	w->made += n;
	return w->len >= FLUSH ? flush(w, FLUSH) : 0;
}

static int take_match(struct window *w, const unsigned char **p, const unsigned char *end, uint64_t len)
{
	unsigned control = *(*p)++;
	size_t n = control >> 5, distance;

	if (end - *p < (n == LENGTH_LONG ? 2 : 1))
		return -EPROTO;
	if (n == LENGTH_LONG)
		n += *(*p)++;
	n += 2;
	distance = ((size_t)(control & 0x1f) << 8) + *(*p)++ + 1;
	if (distance > w->made || n > len - w->made)
		return -EPROTO;
	unsigned char *to = w->byte + DISTANCE_MAX + w->len;
	const unsigned char *from = to - distance;
	for (size_t i = 0; i < n; i++)
		to[i] = from[i];
	return made(w, n);
}

static int take_literals(struct window *w, const unsigned char **p, const unsigned char *end, uint64_t len)
{
	size_t n = (size_t)*(*p)++ + 1;

	if ((size_t)(end - *p) < n || n > len - w->made)
		return -EPROTO;
	memcpy(w->byte + DISTANCE_MAX + w->len, *p, n);
	*p += n;
	return made(w, n);
}

int lzf_unpack(const void *packed, size_t packed_len, uint64_t len, struct value_build *b)
{
	const unsigned char *p = packed, *end = p + packed_len;
	struct window *w = calloc(1, sizeof *w);
	int err = 0;

	if (!w)
		return -ENOMEM;
	w->build = b;
	w->off = b->size;
	while (p < end && !err)
		err = *p < LITERALS_MAX ? take_literals(w, &p, end, len) : take_match(w, &p, end, len);
	if (!err)
		err = w->made == len ? flush(w, w->len) : -EPROTO;
	free(w);
	return err;
}
