/* check_bit.c -- see check_bit.h. */
#include "persist/check_bit.h"

#include "persist/crc.h"
#include "persist/le.h"
#include "persist/rdb_format.h"

#include <stdlib.h>
#include <string.h>

/* ---- RDB: the checksum tells ---- */

/* Flips BIT of byte AT of M. */
static bool flip(struct mapped *m, size_t at, unsigned bit)
{
	char byte = (char)(m->data[at] ^ 1 << bit);

	return mapped_patch(m, at, &byte, 1) == 0;
}

bool check_bit_rdb(struct mapped *m, struct check_rdb *r, size_t *ret_at)
{
	size_t end = r->used ? r->used : m->len, covered, at;
	struct error ignored = { "" };
	struct check_rdb mended;
	uint64_t stored, diff;
	unsigned bit;

	if (end < RDB_HEADER_SIZE + 1 + RDB_CRC_SIZE)
		return false;
	covered = end - RDB_CRC_SIZE;
	stored = le_get64(m->data + covered);
	diff = crc64(0, m->data, covered) ^ stored;
	if (stored == 0 || diff == 0)
		return false;
	if (__builtin_popcountll(diff) == 1) {
		bit = (unsigned)__builtin_ctzll(diff);
		at = covered + bit / 8;
		bit %= 8;
	} else if (!crc64_find_bit(diff, covered, &at, &bit)) {
		return false;
	}
	if (!flip(m, at, bit))
		return false;
	if (check_rdb(m->data, m->len, &mended, &ignored) != 0 || mended.used != end) {
		(void)flip(m, at, bit);
		return false;
	}
	*r = mended;
	*ret_at = at;
	return true;
}

/* ---- a batch: every bit is tried ---- */

/* Whether the LEN bytes of TEXT begin with the batch that has to stand where BEFORE ends. */
static bool begins_well(const char *text, size_t len, const struct aof_result *before)
{
	struct error ignored = { "" };
	struct aof_result res = *before;

	(void)aof_read(text, len, NULL, &res, &ignored);
	if (before->last_seq || before->lineage)
		return res.first_seq == before->last_seq + 1;
	return res.first_seq != 0;
}

/* What the reader knew before the first batch that it refused, and where in the log that is. */
static struct aof_result before_damage(const struct check_log *l, const struct aof_result *first, size_t *ret_at)
{
	struct aof_result before = { .last_seq = l->res.last_seq, .lineage = l->res.lineage, .continues = true };

	*ret_at = (size_t)l->res.good;
	if (l->res.batches)
		return before;
	*ret_at = 0;        /* the log begins with it, and so with OPEN */
	return (struct aof_result){ .last_seq = first->last_seq, .lineage = first->lineage };
}

bool check_bit_log(struct mapped *m, size_t from, const struct check_log *l, const struct aof_result *first, size_t *ret_at)
{
	struct aof_result before;
	size_t start, len, bit;
	bool found = false;
	char *text;

	before = before_damage(l, first, &start);
	len = m->len - from - start < CHECK_BIT_WINDOW ? m->len - from - start : CHECK_BIT_WINDOW;
	text = malloc(len + 1);
	if (!text)
		return false;
	memcpy(text, m->data + from + start, len);
	for (bit = 0; bit < len * 8 && !found; bit++) {
		text[bit / 8] ^= (char)(1 << bit % 8);
		found = begins_well(text, len, &before);
		text[bit / 8] ^= (char)(1 << bit % 8);
	}
	free(text);
	if (!found)
		return false;
	bit--;
	*ret_at = from + start + bit / 8;
	return flip(m, *ret_at, bit % 8);
}
