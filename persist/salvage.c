/* salvage.c -- see salvage.h. */
#include "persist/salvage.h"

#include "persist/crc.h"
#include "persist/le.h"
#include "persist/seal.h"

#include <stdio.h>
#include <string.h>

enum {
	BATCH_MIN = 40,       /* bytes: no batch is smaller */
	LENGTH_DIGITS_MAX = 20,
	OPEN_DIGITS_MAX = 10, /* of the number of a database */
	OPEN_START_MAX = 80,
	SEQ_AT = 8,           /* format.h */
	STAMP_MAX = 32,       /* bytes of "#TS:<seconds>" CRLF */
};

/* How a batch begins that opens a log: with a SELECT of a number of so many digits. */
struct open_start {
	char text[OPEN_START_MAX];
	size_t len;
	size_t digits;        /* where they are, WIDTH of them, any */
	size_t width;
};

static struct open_start open_start(unsigned width)
{
	struct open_start s = { .width = width };

	s.digits = (size_t)snprintf(s.text, sizeof(s.text), "*2\r\n$6\r\nSELECT\r\n$%u\r\n", width);
	s.len = s.digits + (size_t)snprintf(s.text + s.digits, sizeof(s.text) - s.digits, "%0*d\r\n*2\r\n$4\r\nECHO\r\n", (int)width, 0);
	return s;
}

/* Whether the first LEN bytes of it are those of DATA. */
static bool open_start_is(const struct open_start *s, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool digit = i >= s->digits && i < s->digits + s->width;

		if (digit ? data[i] < '0' || data[i] > '9' : data[i] != s->text[i])
			return false;
	}
	return true;
}

bool salvage_is_torn_open(const char *data, size_t len)
{
	static const char blob[] = "$38\r\n" SEAL_MAGIC;
	enum { BLOB = 38, BEFORE = 5, BEHIND = 2 };

	for (unsigned width = 1; width <= OPEN_DIGITS_MAX; width++) {
		struct open_start s = open_start(width);
		size_t known = len > s.len ? len - s.len : 0;

		if (len < s.len + BEFORE + BLOB + BEHIND && open_start_is(&s, data, len < s.len ? len : s.len) &&
		    memcmp(data + len - known, blob, known < sizeof(blob) - 1 ? known : sizeof(blob) - 1) == 0)
			return true;
	}
	return false;
}

/* The length in the "$<n>" CRLF that ends right before AT, and where it starts. */
static bool bulk_before(const char *data, size_t at, uint64_t *ret_n, size_t *ret_start)
{
	size_t i = at - 2, digits;
	uint64_t n = 0, scale = 1;

	if (at < 4 || data[at - 2] != '\r' || data[at - 1] != '\n')
		return false;
	for (digits = 0; i > 0 && digits < LENGTH_DIGITS_MAX - 1 && data[i - 1] >= '0' && data[i - 1] <= '9'; digits++) {
		n += (uint64_t)(data[--i] - '0') * scale;
		scale *= 10;
	}
	if (digits == 0 || i == 0 || data[i - 1] != '$')
		return false;
	*ret_n = n;
	*ret_start = i - 1;
	return true;
}

/* The line "#TS:" that ends at BATCH; BATCH when there is none. */
static const char *stamp_before(const char *data, const char *batch)
{
	size_t room = (size_t)(batch - data) < STAMP_MAX ? (size_t)(batch - data) : STAMP_MAX;
	const char *stamp = memrchr(batch - room, '#', room);

	return stamp ? stamp : batch;
}

/* Whether the blob at AT is the end of an OPEN batch that counts. */
static bool open_counts(const char *data, size_t at, uint64_t blob_len, size_t bulk_start)
{
	struct open_start start = open_start(1);
	const char *from;
	struct seal s;
	unsigned width;

	for (width = 1; width <= OPEN_DIGITS_MAX; width++) {
		start = open_start(width);
		if (bulk_start >= start.len && open_start_is(&start, data + bulk_start - start.len, start.len))
			break;
	}
	if (width > OPEN_DIGITS_MAX)
		return false;
	if (seal_parse(data + at, blob_len, &s) || !(s.flags & SEAL_OPEN))
		return false;
	from = data + bulk_start - start.len;
	if (s.flags & SEAL_STAMPED)
		from = stamp_before(data, from);
	return s.crc == seal_crc(from, data + at + blob_len);
}

bool salvage_find_seal(const char *data, size_t len, size_t from, uint64_t expected, size_t *ret_at)
{
	static const char magic[] = SEAL_MAGIC "\x01";
	const char *p = data + from, *end = data + len;

	_Static_assert(SEAL_VERSION == 1, "the magic above ends in the version");
	while (p < end && (p = memmem(p, (size_t)(end - p), magic, sizeof(magic) - 1))) {
		size_t at = (size_t)(p - data), start;
		uint64_t blob_len, seq;
		bool whole;

		p++;
		if (len - at < SEQ_AT + 8 || !bulk_before(data, at, &blob_len, &start) ||
		    blob_len < SEAL_HEADER_SIZE + SEAL_CRC_SIZE)
			continue;
		seq = le_get64(data + at + SEQ_AT);
		whole = blob_len <= len - at && len - at - blob_len >= 2;
		*ret_at = at;
		if (expected == 0 ? whole && open_counts(data, at, blob_len, start)
		                  : (seq == expected && whole) || (seq > expected && seq - expected <= (len - from) / BATCH_MIN))
			return true;
	}
	return false;
}

/* ---- whole batches behind a lost one ---- */

/* Where a batch may begin, and the checksum of the bytes from there as far as it was needed. */
struct anchor {
	bool set;
	size_t at, summed;
	uint32_t crc;
};

static struct anchor anchor_at(size_t at)
{
	return (struct anchor){ .set = true, .at = at, .summed = at };
}

/* Whether the bytes from A up to TO, which only grows from call to call, have the checksum CRC. */
static bool anchor_sums(struct anchor *a, const char *data, size_t to, uint32_t crc)
{
	if (!a->set || to < a->summed)
		return false;
	a->crc = crc32c(a->crc, data + a->summed, to - a->summed);
	a->summed = to;
	return a->crc == crc;
}

/* Whether there is a blob of a seal at AT with its line end; its parts go to S. */
static bool whole_seal(const char *data, size_t len, size_t at, struct seal *s, size_t *ret_blob_len, size_t *ret_start)
{
	uint64_t blob_len;

	if (!bulk_before(data, at, &blob_len, ret_start) || blob_len > len - at || len - at - blob_len < 2 ||
	    seal_parse(data + at, (size_t)blob_len, s))
		return false;
	*ret_blob_len = (size_t)blob_len;
	return data[at + blob_len] == '\r' && data[at + blob_len + 1] == '\n';
}

void salvage_count_later(const char *data, size_t len, size_t from, struct salvage_later *ret)
{
	struct anchor good = { 0 }, last = { 0 };  /* behind the last batch that was whole; behind the last seal */
	const char *p = data + from, *end = data + len;

	*ret = (struct salvage_later){ 0 };
	while (p < end && (p = memmem(p, (size_t)(end - p), SEAL_MAGIC, sizeof(SEAL_MAGIC) - 1))) {
		size_t at = (size_t)(p - data), blob_len, start, crc_at;
		struct seal s;
		bool whole;

		p++;
		if (!whole_seal(data, len, at, &s, &blob_len, &start))
			continue;
		crc_at = at + blob_len - SEAL_CRC_SIZE;
		whole = anchor_sums(&good, data, crc_at, s.crc);
		whole |= anchor_sums(&last, data, crc_at, s.crc);
		whole |= open_counts(data, at, blob_len, start);
		last = anchor_at(at + blob_len + 2);
		if (!whole)
			continue;
		if (ret->count++ == 0)
			ret->first = s.seq;
		ret->last = s.seq;
		good = last;
		p = data + last.at;
	}
}

size_t salvage_written(const char *data, size_t len)
{
	while (len > 0 && data[len - 1] == '\0')
		len--;
	return len;
}
