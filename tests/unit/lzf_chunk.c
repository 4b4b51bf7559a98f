/* What is packed chunk by chunk is one LZF string, for liblzf too; what is unpacked is what was packed, with its holes; and a string that is
 * none, or of another length, is refused.  By bytes of several kinds, at the boundaries of chunks, and by cutting and changing what was packed. */
#include "persist/lzf_chunk.h"
#include "tests/lib/malloc_fail.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <liblzf/lzf.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT = 40 * LZF_CHUNK };

static char data[LIMIT], packed[LIMIT + LIMIT / 16], got[LIMIT];
static uint32_t seed = 1;

static unsigned rnd(unsigned n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static size_t pack(size_t len, bool compress)
{
	size_t n = 0;

	for (size_t at = 0; at < len; at += LZF_CHUNK)
		n += lzf_chunk_pack(data + at, len - at < LZF_CHUNK ? len - at : LZF_CHUNK, compress, packed + n);
	return n;
}

static int unpack(size_t n, size_t len, struct value **ret)
{
	struct value_build b = { 0 };
	int err = lzf_unpack(packed, n, len, &b);

	if (!err)
		err = value_build_end(&b, len, ret);
	value_build_drop(&b);
	return err;
}

/* Both ways: by us and by liblzf. */
static bool round_trip(size_t len, bool compress)
{
	size_t n = pack(len, compress);
	struct value *v = NULL;

	if (pack(len, compress) != n || unpack(n, len, &v) != 0)
		return false;
	value_copy_out(v, len, 0, got, len);
	value_unref(v);
	return memcmp(got, data, len) == 0 && lzf_decompress(packed, (unsigned)n, got, LIMIT) == len && memcmp(got, data, len) == 0;
}

static void fill(int kind, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = kind == 0 ? 0 : kind == 1 ? (char)rnd(256) : kind == 2 ? "a line of text\n"[i % 15] : (char)(rnd(9) ? 'x' : rnd(256));
	if (kind == 4)
		memset(data + len / 3, 0, len / 2);
}

static void test_round_trips(void)
{
	static const size_t lengths[] = { 1, 2, 3, 4, 31, 32, 33, 264, 265, 300, 8191, 8193, LZF_CHUNK - 1, LZF_CHUNK, LZF_CHUNK + 1, 5 * LZF_CHUNK + 7, LIMIT };
	bool right = true;

	for (int kind = 0; kind < 5; kind++) {
		for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
			fill(kind, lengths[i]);
			right &= round_trip(lengths[i], true) && round_trip(lengths[i], false);
		}
	}
	ok(right, "what is packed is what it was, for liblzf too");
	fill(0, LZF_CHUNK);
	ok(lzf_chunk_pack(data, LZF_CHUNK, true, packed) < 200, "a hole is short");
	fill(1, LZF_CHUNK);
	ok(lzf_chunk_pack(data, LZF_CHUNK, true, packed) <= LZF_CHUNK_PACKED_MAX, "what does not shrink grows by little");
	fill(1, LIMIT);
	size_t n = lzf_compress(data, LIMIT / 2, packed, sizeof packed);
	struct value *v = NULL;
	fill(2, LIMIT);
	n = lzf_compress(data, LIMIT, packed, sizeof packed);
	ok(n && unpack(n, LIMIT, &v) == 0, "what liblzf packed in one piece is read");
	value_copy_out(v, LIMIT, 0, got, LIMIT);
	ok(memcmp(got, data, LIMIT) == 0, "and the same");
	value_unref(v);
}

static void test_holes(void)
{
	struct value *v = NULL;
	uint64_t base = malloc_live();

	memset(data, 0, LIMIT);
	data[20 * LZF_CHUNK + 5] = 1;
	size_t n = pack(LIMIT, true);
	is(unpack(n, LIMIT, &v), 0, "a chunk among zeros");
	ok(malloc_live() - base < 2 * LZF_CHUNK, "takes the memory of one: %" PRIu64, malloc_live() - base);
	value_unref(v);
	is((int64_t)(malloc_live() - base), 0, "which is given back");
}

static void test_damaged(void)
{
	struct value *v = NULL;
	uint64_t base = malloc_live();
	bool right = true;

	fill(3, 50000);
	size_t n = pack(50000, true);
	right &= unpack(n, 49999, &v) == -EPROTO && unpack(n, 50001, &v) == -EPROTO;
	for (size_t cut = 0; cut < n; cut += 1 + rnd(40))
		right &= unpack(cut, 50000, &v) == -EPROTO;
	ok(right, "another length is refused");
	packed[0] = (char)0xe0;
	is(unpack(n, 50000, &v), -EPROTO, "nothing stands before the start");
	for (int i = 0; i < 2000; i++) {
		pack(3000, true);
		for (int k = 0; k < 3; k++)
			packed[rnd(2000)] = (char)rnd(256);
		if (unpack(2000, 3000, &v) == 0)
			value_unref(v);
	}
	bool whole = true;
	fill(2, 50000);
	n = pack(50000, true);
	for (uint64_t k = 1;; k++) {
		malloc_fail_at(k);
		int err = unpack(n, 50000, &v);
		if (!malloc_fail_end()) {
			value_unref(v);
			break;
		}
		whole &= err == -ENOMEM;
	}
	ok(whole, "without memory it ends");
	is((int64_t)(malloc_live() - base), 0, "and nothing leaks");
}

int main(void)
{
	diag("the first line takes stdio's buffer");
	test_round_trips();
	test_holes();
	test_damaged();
	return tap_end();
}
