/* crc.c -- the checksums on disk are the published ones, whichever way they are computed and however the bytes are cut.
 * Method: check values, a bit-by-bit reference, every length and alignment around the block sizes, every cut in two.     */
#include "persist/crc.h"

#include "tests/lib/tap.h"

#include <stdlib.h>

enum { SIZE = 4096, LENGTHS = 600 };

static uint64_t slow_crc64(uint64_t crc, const unsigned char *p, size_t len)
{
	int i;

	for (; len > 0; p++, len--) {
		crc ^= *p;
		for (i = 0; i < 8; i++)
			crc = (crc >> 1) ^ (crc & 1 ? UINT64_C(0x95ac9329ac4bc9b5) : 0);
	}
	return crc;
}

static uint32_t slow_crc32c(uint32_t crc, const unsigned char *p, size_t len)
{
	int i;

	crc = ~crc;
	for (; len > 0; p++, len--) {
		crc ^= *p;
		for (i = 0; i < 8; i++)
			crc = (crc >> 1) ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
	}
	return ~crc;
}

static void test_lengths(const unsigned char *data)
{
	unsigned wrong64 = 0, wrong32 = 0, wrong_portable = 0;
	size_t len;

	for (len = 0; len < LENGTHS; len++) {
		const unsigned char *p = data + len % 17;
		uint64_t seed = len * UINT64_C(0x9e3779b97f4a7c15);

		wrong64 += crc64(seed, p, len) != slow_crc64(seed, p, len);
		wrong32 += crc32c((uint32_t)seed, p, len) != slow_crc32c((uint32_t)seed, p, len);
		wrong_portable += crc32c_portable((uint32_t)seed, p, len) != slow_crc32c((uint32_t)seed, p, len);
	}
	is(wrong64, 0, "crc64 at every length and alignment");
	is(wrong32, 0, "crc32c likewise");
	is(wrong_portable, 0, "crc32c_portable likewise");
}

static void test_cuts(const unsigned char *data)
{
	uint64_t whole64 = crc64(0, data, SIZE);
	uint32_t whole32 = crc32c(0, data, SIZE);
	unsigned wrong = 0;
	size_t cut;

	for (cut = 0; cut <= SIZE; cut++) {
		wrong += crc64(crc64(0, data, cut), data + cut, SIZE - cut) != whole64;
		wrong += crc32c(crc32c(0, data, cut), data + cut, SIZE - cut) != whole32;
	}
	is(wrong, 0, "cut anywhere, both continue to the same");
}

static void test_find_bit(unsigned char *data)
{
	uint64_t right = crc64(0, data, SIZE);
	size_t bit, at, wrong = 0;
	unsigned number;

	for (bit = 0; bit < SIZE * 8; bit += 13) {
		data[bit / 8] ^= (unsigned char)(1 << bit % 8);
		wrong += !crc64_find_bit(crc64(0, data, SIZE) ^ right, SIZE, &at, &number) || at != bit / 8 || number != bit % 8;
		data[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	is((int64_t)wrong, 0, "the one wrong bit is found by what it does to the checksum");
	data[5] ^= 0x11;
	ok(!crc64_find_bit(crc64(0, data, SIZE) ^ right, SIZE, &at, &number), "two wrong bits are not taken for one");
	data[5] ^= 0x11;
}

int main(void)
{
	static const char check[] = "123456789";
	/* RFC 3720, B.4: 32 bytes of zeros, of ones, rising */
	unsigned char vector[32];
	unsigned char *data = malloc(SIZE);
	unsigned i, state = 1;

	if (!data)
		return 1;
	for (i = 0; i < SIZE; i++) {
		state = state * 1103515245 + 12345;
		data[i] = (unsigned char)(state >> 16);
	}
	ok(crc64(0, check, 9) == UINT64_C(0xe9c6d914c4b8d9ca), "crc64: check value");
	ok(crc32c(0, check, 9) == 0xe3069283, "crc32c: check value");
	ok(crc32c_portable(0, check, 9) == 0xe3069283, "crc32c_portable: check value");
	memset(vector, 0, sizeof(vector));
	ok(crc32c(0, vector, sizeof(vector)) == 0x8a9136aa, "crc32c: zeros");
	memset(vector, 0xff, sizeof(vector));
	ok(crc32c(0, vector, sizeof(vector)) == 0x62a8ab43, "crc32c: ones");
	for (i = 0; i < sizeof(vector); i++)
		vector[i] = (unsigned char)i;
	ok(crc32c(0, vector, sizeof(vector)) == 0x46dd794e, "crc32c: rising");
	ok(crc64(7, NULL, 0) == 7 && crc32c(7, NULL, 0) == 7, "nothing changes nothing");
	test_lengths(data);
	test_cuts(data);
	test_find_bit(data);
	free(data);
	return tap_end();
}
