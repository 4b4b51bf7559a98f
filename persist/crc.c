/* crc.c -- by folding with carry-less products, CRC32C of less than that pays for by the CPU's instruction; by eight tables where the CPU has neither.
 *
 * Tables: t[0][b] is the CRC of byte b; t[k][b] that of byte b followed by k zero bytes.  Eight bytes are then eight lookups that do
 * not wait for each other.
 *
 * Folding (V. Gopal et al., "Fast CRC computation for generic polynomials using PCLMULQDQ"): the register holds 16 bytes of message as
 * a polynomial H * x^64 + L.  Moving it n bits up modulo P is H * (x^(n+64) mod P) + L * (x^n mod P), two products of 64 bits.  In
 * reflected order a carry-less product comes out multiplied by x, so each constant is made for one power less.  What is left in the
 * register at the end has the same CRC as the message, and goes through the tables as 16 plain bytes.  Nothing of this depends on the
 * degree of P: a constant modulo one of degree 32 just has its upper 32 coefficients zero, which reflected are the lower bits.       */
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
	CRC32C_FOLD_MIN = 256,           /* bytes; below, the instruction is as fast */
};

/* Written once, under crc_once; constant afterwards. */
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;
static uint64_t crc64_table[8][256];
static uint32_t crc32c_table[8][256];
static struct fold {
	uint64_t lane[2];                /* x^(128+64), x^128 mod P, each less one power */
	uint64_t block[2];               /* x^(512+64), x^512, likewise */
} crc64_fold, crc32c_fold;
static bool crc_has_clmul, crc_has_sse42;

/* x^n mod P, reflected. */
static uint64_t crc64_power(unsigned n)
{
	uint64_t r = UINT64_C(1) << 63;

	while (n-- > 0)
		r = (r >> 1) ^ (r & 1 ? CRC64_POLY : 0);
	return r;
}

/* Likewise, in the upper half of 64 bits. */
static uint64_t crc32c_power(unsigned n)
{
	uint32_t r = UINT32_C(1) << 31;

	while (n-- > 0)
		r = (r >> 1) ^ (r & 1 ? CRC32C_POLY : 0);
	return (uint64_t)r << 32;
}

static void fold_init(struct fold *f, uint64_t (*power)(unsigned n))
{
	f->lane[0] = power(8 * CRC_LANE + 64 - 1);
	f->lane[1] = power(8 * CRC_LANE - 1);
	f->block[0] = power(8 * CRC_BLOCK + 64 - 1);
	f->block[1] = power(8 * CRC_BLOCK - 1);
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
	fold_init(&crc64_fold, crc64_power);
	fold_init(&crc32c_fold, crc32c_power);
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

static inline CLMUL __m128i fold_load(const unsigned char *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* REG moved up by the distance that K stands for, plus NEXT. */
static inline CLMUL __m128i fold_step(__m128i reg, __m128i k, __m128i next)
{
	return _mm_xor_si128(next, _mm_xor_si128(_mm_clmulepi64_si128(reg, k, 0x00), _mm_clmulepi64_si128(reg, k, 0x11)));
}

/* Folds the *LEN bytes at *P, at least CRC_BLOCK, with CRC of what came before, down to the 16 bytes at REST; what is left behind them, less than
 * 16, stays at *P. */
static CLMUL void fold(const struct fold *f, uint64_t crc, const unsigned char **p, size_t *len, unsigned char *rest)
{
	const __m128i lane = fold_load((const unsigned char *)f->lane);
	const __m128i block = fold_load((const unsigned char *)f->block);
	const unsigned char *at = *p;
	__m128i reg[CRC_LANES];
	size_t left = *len, i;

	for (i = 0; i < CRC_LANES; i++)
		reg[i] = fold_load(at + i * CRC_LANE);
	reg[0] = _mm_xor_si128(reg[0], _mm_set_epi64x(0, (long long)crc));
	for (at += CRC_BLOCK, left -= CRC_BLOCK; left >= CRC_BLOCK; at += CRC_BLOCK, left -= CRC_BLOCK) {
		for (i = 0; i < CRC_LANES; i++)
			reg[i] = fold_step(reg[i], block, fold_load(at + i * CRC_LANE));
	}
	for (i = 1; i < CRC_LANES; i++)
		reg[0] = fold_step(reg[0], lane, reg[i]);
	for (; left >= CRC_LANE; at += CRC_LANE, left -= CRC_LANE)
		reg[0] = fold_step(reg[0], lane, fold_load(at));
	_mm_storeu_si128((__m128i *)(void *)rest, reg[0]);
	*p = at;
	*len = left;
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
	const unsigned char *p = data;

	pthread_once(&crc_once, crc_init);
#ifdef CRC_X86
	if (crc_has_clmul && len >= CRC_BLOCK) {
		unsigned char rest[CRC_LANE];
		fold(&crc64_fold, crc, &p, &len, rest);
		crc = crc64_by_table(0, rest, sizeof(rest));
	}
#endif
	return crc64_by_table(crc, p, len);
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len)
{
	pthread_once(&crc_once, crc_init);
	return ~crc32c_by_table(~crc, data, len);
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	const unsigned char *p = data;

	pthread_once(&crc_once, crc_init);
	crc = ~crc;
#ifdef CRC_X86
	if (crc_has_clmul && len >= CRC32C_FOLD_MIN) {
		unsigned char rest[CRC_LANE];
		fold(&crc32c_fold, crc, &p, &len, rest);
		crc = crc32c_by_table(0, rest, sizeof(rest));
	}
	if (crc_has_sse42)
		return ~crc32c_by_instruction(crc, p, len);
#endif
	return ~crc32c_by_table(crc, p, len);
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
