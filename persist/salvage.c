/* salvage.c -- see salvage.h. */
#include "persist/salvage.h"

#include "persist/le.h"
#include "persist/seal.h"

#include <string.h>

enum {
	BATCH_MIN = 40,       /* bytes: no batch is smaller */
	LENGTH_DIGITS_MAX = 20,
	SEQ_AT = 8,           /* format.h */
};

static const char open_start[] = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*2\r\n$4\r\nECHO\r\n";

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

/* Whether the blob at AT is the end of an OPEN batch that counts. */
static bool open_counts(const char *data, size_t at, uint64_t blob_len, size_t bulk_start)
{
	size_t head = sizeof(open_start) - 1;
	struct seal s;

	if (bulk_start < head || memcmp(data + bulk_start - head, open_start, head) != 0)
		return false;
	return !seal_parse(data + at, blob_len, &s) && s.flags & SEAL_OPEN &&
	       s.crc == seal_crc(data + bulk_start - head, data + at + blob_len);
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

size_t salvage_written(const char *data, size_t len)
{
	while (len > 0 && data[len - 1] == '\0')
		len--;
	return len;
}
