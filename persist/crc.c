/* crc.c -- CRC64 by folding with carry-less products, CRC32C by the CPU's instruction; both by eight tables where the CPU has neither.
 *
 * Tables: t[0][b] is the CRC of byte b; t[k][b] that of byte b followed by k zero bytes.  Eight bytes are then eight lookups that do
 * not wait for each other.
 *
 * Folding (V. Gopal et al., "Fast CRC computation for generic polynomials using PCLMULQDQ"): the register holds 16 bytes of message as
 * a polynomial H * x^64 + L.  Moving it n bits up modulo P is H * (x^(n+64) mod P) + L * (x^n mod P), two products of 64 bits.  In
 * reflected order a carry-less product comes out multiplied by x, so each constant is made for one power less.  What is left in the
 * register at the end has the same CRC as the message, and goes through the tables as 16 plain bytes.                               */
#include "persist/crc.h"

#include "persist/le.h"

#include <pthread.h>
#include <stdbool.h>

#if defined(__x86_64__)
#define CRC_X86 1
#include <immintrin.h>
#endif

#define CRC64_POLY UINT64_C(0x95ac9329ac4bc9b5)  /* ad93d23594c935a9 reflected */
#define CRC32C_POLY UINT32_C(0x82f63b78)         /* 1edc6f41 reflected */

enum {
	CRC_LANE = 16,                   /* bytes of a folding register */
	CRC_LANES = 4,                   /* registers folded side by side */
	CRC_BLOCK = CRC_LANE * CRC_LANES,
};

/* Written once, under crc_once; constant afterwards. */
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;
static uint64_t crc64_table[8][256];
static uint32_t crc32c_table[8][256];
static uint64_t crc64_fold_lane[2];   /* x^(128+64), x^128, each less one power */
static uint64_t crc64_fold_block[2];  /* x^(512+64), x^512, likewise */
static bool crc_has_clmul, crc_has_sse42;

/* x^n mod P, reflected. */
static uint64_t crc64_power(unsigned n)
{
	uint64_t r = UINT64_C(1) << 63;

	while (n-- > 0)
		r = (r >> 1) ^ (r & 1 ? CRC64_POLY : 0);
	return r;
}

static void crc_init(void)
{
	unsigned b, i, k;

	for (b = 0; b < 256; b++) {
		uint64_t c64 = b;
		uint32_t c32 = b;

		for (i = 0; i < 8; i++) {
			c64 = (c64 >> 1) ^ (c64 & 1 ? CRC64_POLY : 0);
			c32 = (c32 >> 1) ^ (c32 & 1 ? CRC32C_POLY : 0);
		}
		crc64_table[0][b] = c64;
		crc32c_table[0][b] = c32;
	}
	for (k = 1; k < 8; k++) {
		for (b = 0; b < 256; b++) {
			uint64_t c64 = crc64_table[k - 1][b];
			uint32_t c32 = crc32c_table[k - 1][b];

			crc64_table[k][b] = crc64_table[0][c64 & 0xff] ^ (c64 >> 8);
			crc32c_table[k][b] = crc32c_table[0][c32 & 0xff] ^ (c32 >> 8);
		}
	}
	crc64_fold_lane[0] = crc64_power(8 * CRC_LANE + 64 - 1);
	crc64_fold_lane[1] = crc64_power(8 * CRC_LANE - 1);
	crc64_fold_block[0] = crc64_power(8 * CRC_BLOCK + 64 - 1);
	crc64_fold_block[1] = crc64_power(8 * CRC_BLOCK - 1);
#ifdef CRC_X86
	__builtin_cpu_init();
	crc_has_clmul = __builtin_cpu_supports("pclmul");
	crc_has_sse42 = __builtin_cpu_supports("sse4.2");
#endif
}

static uint64_t crc64_by_table(uint64_t crc, const unsigned char *p, size_t len)
{
	for (; len >= 8; p += 8, len -= 8) {
		crc ^= le_get64(p);
		crc = crc64_table[7][crc & 0xff] ^ crc64_table[6][crc >> 8 & 0xff] ^ crc64_table[5][crc >> 16 & 0xff] ^
		      crc64_table[4][crc >> 24 & 0xff] ^ crc64_table[3][crc >> 32 & 0xff] ^ crc64_table[2][crc >> 40 & 0xff] ^
		      crc64_table[1][crc >> 48 & 0xff] ^ crc64_table[0][crc >> 56];
	}
	for (; len > 0; p++, len--)
		crc = crc64_table[0][(crc ^ *p) & 0xff] ^ (crc >> 8);
	return crc;
}

static uint32_t crc32c_by_table(uint32_t crc, const unsigned char *p, size_t len)
{
	for (; len >= 8; p += 8, len -= 8) {
		uint64_t c = crc ^ le_get64(p);

		crc = crc32c_table[7][c & 0xff] ^ crc32c_table[6][c >> 8 & 0xff] ^ crc32c_table[5][c >> 16 & 0xff] ^
		      crc32c_table[4][c >> 24 & 0xff] ^ crc32c_table[3][c >> 32 & 0xff] ^ crc32c_table[2][c >> 40 & 0xff] ^
		      crc32c_table[1][c >> 48 & 0xff] ^ crc32c_table[0][c >> 56];
	}
	for (; len > 0; p++, len--)
		crc = crc32c_table[0][(crc ^ *p) & 0xff] ^ (crc >> 8);
	return crc;
}

#ifdef CRC_X86
#define CLMUL __attribute__((target("pclmul,sse2")))

static inline CLMUL __m128i crc64_load(const unsigned char *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* REG moved up by the distance that K stands for, plus NEXT. */
static inline CLMUL __m128i crc64_fold(__m128i reg, __m128i k, __m128i next)
{
	return _mm_xor_si128(next, _mm_xor_si128(_mm_clmulepi64_si128(reg, k, 0x00), _mm_clmulepi64_si128(reg, k, 0x11)));
}

/* LEN is at least CRC_BLOCK. */
static CLMUL uint64_t crc64_by_clmul(uint64_t crc, const unsigned char *p, size_t len)
{
	const __m128i lane = crc64_load((const unsigned char *)crc64_fold_lane);
	const __m128i block = crc64_load((const unsigned char *)crc64_fold_block);
	unsigned char rest[CRC_LANE];
	__m128i reg[CRC_LANES];
	size_t i;

	for (i = 0; i < CRC_LANES; i++)
		reg[i] = crc64_load(p + i * CRC_LANE);
	reg[0] = _mm_xor_si128(reg[0], _mm_set_epi64x(0, (long long)crc));
	for (p += CRC_BLOCK, len -= CRC_BLOCK; len >= CRC_BLOCK; p += CRC_BLOCK, len -= CRC_BLOCK) {
		for (i = 0; i < CRC_LANES; i++)
			reg[i] = crc64_fold(reg[i], block, crc64_load(p + i * CRC_LANE));
	}
	for (i = 1; i < CRC_LANES; i++)
		reg[0] = crc64_fold(reg[0], lane, reg[i]);
	for (; len >= CRC_LANE; p += CRC_LANE, len -= CRC_LANE)
		reg[0] = crc64_fold(reg[0], lane, crc64_load(p));
	_mm_storeu_si128((__m128i *)(void *)rest, reg[0]);
	return crc64_by_table(crc64_by_table(0, rest, sizeof(rest)), p, len);
}

static __attribute__((target("sse4.2"))) uint32_t crc32c_by_instruction(uint32_t crc, const unsigned char *p, size_t len)
{
	uint64_t c = crc;

	for (; len >= 8; p += 8, len -= 8)
		c = _mm_crc32_u64(c, le_get64(p));
	for (; len > 0; p++, len--)
		c = _mm_crc32_u8((uint32_t)c, *p);
	return (uint32_t)c;
}
#endif

uint64_t crc64(uint64_t crc, const void *data, size_t len)
{
	pthread_once(&crc_once, crc_init);
#ifdef CRC_X86
	if (crc_has_clmul && len >= CRC_BLOCK)
		return crc64_by_clmul(crc, data, len);
#endif
	return crc64_by_table(crc, data, len);
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len)
{
	pthread_once(&crc_once, crc_init);
	return ~crc32c_by_table(~crc, data, len);
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	pthread_once(&crc_once, crc_init);
#ifdef CRC_X86
	if (crc_has_sse42)
		return ~crc32c_by_instruction(~crc, data, len);
#endif
	return ~crc32c_by_table(~crc, data, len);
}

/* A wrong bit that N bits follow changes the checksum by x^n times the polynomial of a last wrong bit, which is P itself: DIFF is divided by
 * x until that comes out. */
bool crc64_find_bit(uint64_t diff, size_t len, size_t *ret_at, unsigned *ret_bit)
{
	uint64_t v = diff;
	size_t behind;

	for (behind = 0; behind < len * 8; behind++) {
		if (v == CRC64_POLY) {
			*ret_at = len - 1 - behind / 8;
			*ret_bit = 7 - behind % 8;
			return true;
		}
		v = v >> 63 ? (v ^ CRC64_POLY) << 1 | 1 : v << 1;
	}
	return false;
}
