/* replay_hll.c -- PFADD and PFMERGE.
 *
 * A HyperLogLog is a string: 16 bytes of head ("HYLL", encoding, 3 unused, 8 of cached count, whose top bit says that it is stale),
 * then 16384 registers of 6 bits, dense or sparse:
 *
 *      dense    register i is the 6 bits from bit 6 * i on, low bits first
 *      sparse   00nnnnnn            n + 1 registers are 0
 *               01nnnnnn nnnnnnnn   n + 1 registers are 0
 *               1vvvvvnn            n + 1 registers are v + 1
 *
 * What we write holds the registers that Redis would hold; where Redis has a choice of encoding ours may be another. */
#include "persist/le.h"
#include "persist/replay_verb.h"

#include <errno.h>
#include <string.h>

enum {
	HEAD = 16,
	REGISTERS = 16384,
	REGISTER_BITS = 6,
	INDEX_BITS = 14,
	HASH_BITS = 64 - INDEX_BITS,
	DENSE_SIZE = HEAD + REGISTERS * REGISTER_BITS / 8,
	SPARSE_MAX = HEAD + 3000,      /* as hll-sparse-max-bytes */
	SPARSE_VALUE_MAX = 32,
	ENCODING_AT = 4, STALE_AT = 15,
	DENSE = 0, SPARSE = 1,
	STALE = 0x80,
};

/* MurmurHash64A, little endian, with Redis's seed: it decides which register an element counts in. */
static uint64_t hll_hash(const char *data, size_t len)
{
	const uint64_t m = 0xc6a4a7935bd1e995u;
	uint64_t h = 0xadc83b19u ^ (len * m), k;
	size_t i;

	for (i = 0; i + 8 <= len; i += 8) {
		k = le_get64(data + i) * m;
		k = (k ^ k >> 47) * m;
		h = (h ^ k) * m;
	}
	if (i < len) {
		for (k = 0; len > i; len--)
			k = k << 8 | (unsigned char)data[len - 1];
		h = (h ^ k) * m;
	}
	h = (h ^ h >> 47) * m;
	return h ^ h >> 47;
}

static bool hll_add(unsigned char *reg, const char *data, size_t len)
{
	uint64_t h = hll_hash(data, len);
	unsigned char rank = (unsigned char)(__builtin_ctzll(h >> INDEX_BITS | (uint64_t)1 << HASH_BITS) + 1);
	size_t index = h & (REGISTERS - 1);

	if (reg[index] >= rank)
		return false;
	reg[index] = rank;
	return true;
}

/* ---- from and to a string ---- */

/* Raises each register to what the string says.  False: it is none. */
static bool hll_take_dense(unsigned char *reg, const unsigned char *p)
{
	size_t i;

	for (i = 0; i < REGISTERS; i++) {
		size_t bit = i * REGISTER_BITS;
		unsigned two = p[bit / 8] | (bit / 8 + 1 < DENSE_SIZE - HEAD ? (unsigned)p[bit / 8 + 1] << 8 : 0);
		unsigned char value = (unsigned char)(two >> bit % 8 & 63);

		if (value > reg[i])
			reg[i] = value;
	}
	return true;
}

static bool hll_take_sparse(unsigned char *reg, const unsigned char *p, size_t len)
{
	const unsigned char *end = p + len;
	size_t i = 0, run;

	while (p < end) {
		unsigned char op = *p++, value = 0;

		if (op & 0x80) {
			value = (unsigned char)((op >> 2 & 31) + 1);
			run = (op & 3u) + 1;
		} else if (op & 0x40) {
			if (p == end)
				return false;
			run = ((op & 63u) << 8 | *p++) + 1;
		} else {
			run = (op & 63u) + 1;
		}
		if (run > REGISTERS - i)
			return false;
		for (; run > 0; run--, i++)
			if (value > reg[i])
				reg[i] = value;
	}
	return i == REGISTERS;
}

static bool hll_take(unsigned char *reg, const char *data, size_t len)
{
	const unsigned char *registers = (const unsigned char *)data + HEAD;

	if (len < HEAD || memcmp(data, "HYLL", 4) != 0)
		return false;
	if (data[ENCODING_AT] == DENSE)
		return len == DENSE_SIZE && hll_take_dense(reg, registers);
	return data[ENCODING_AT] == SPARSE && hll_take_sparse(reg, registers, len - HEAD);
}

static size_t hll_run(const unsigned char *reg, size_t i, size_t max)
{
	size_t n = 1;

	while (n < max && i + n < REGISTERS && reg[i + n] == reg[i])
		n++;
	return n;
}

/* Bytes written behind the head, or 0: it takes more than SPARSE_MAX, or a value is too large. */
static size_t hll_put_sparse(const unsigned char *reg, unsigned char *p)
{
	size_t i, run, n = 0;

	for (i = 0; i < REGISTERS; i += run) {
		if (n + 2 > SPARSE_MAX - HEAD || reg[i] > SPARSE_VALUE_MAX)
			return 0;
		run = hll_run(reg, i, reg[i] ? 4 : REGISTERS);
		if (reg[i]) {
			p[n++] = (unsigned char)(0x80 | (reg[i] - 1) << 2 | (run - 1));
		} else if (run <= 64) {
			p[n++] = (unsigned char)(run - 1);
		} else {
			p[n++] = (unsigned char)(0x40 | (run - 1) >> 8);
			p[n++] = (unsigned char)((run - 1) & 0xff);
		}
	}
	return n;
}

static void hll_put_dense(const unsigned char *reg, unsigned char *p)
{
	size_t i;

	memset(p, 0, DENSE_SIZE - HEAD);
	for (i = 0; i < REGISTERS; i++) {
		size_t bit = i * REGISTER_BITS;
		unsigned two = (unsigned)reg[i] << bit % 8;

		p[bit / 8] |= (unsigned char)two;
		if (two > 0xff)
			p[bit / 8 + 1] |= (unsigned char)(two >> 8);
	}
}

static int hll_store(struct replay *r, const struct resp_arg *key, const unsigned char *reg, bool stale, struct error *e)
{
	unsigned char out[DENSE_SIZE] = "HYLL";
	size_t len = hll_put_sparse(reg, out + HEAD);

	out[ENCODING_AT] = len ? SPARSE : DENSE;
	out[STALE_AT] = stale ? STALE : 0;
	if (len == 0) {
		hll_put_dense(reg, out + HEAD);
		len = DENSE_SIZE - HEAD;
	}
	return replay_put_keep(r, key, out, HEAD + len, e);
}

/* Raises REG by what KEY holds.  As replay_value(). */
static int hll_load(struct replay *r, const struct resp_arg *key, unsigned char *reg, struct error *e)
{
	int found = replay_scratch(r, key, e);

	if (found == REPLAY_FOUND && (r->scratch.len == 0 || !hll_take(reg, r->scratch.data, r->scratch.len)))
		return replay_bad(key, "holds no HyperLogLog", e);
	return found;
}

/* ---- the verbs ---- */

int replay_pfadd(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	unsigned char reg[REGISTERS] = { 0 };
	int found = hll_load(r, &argv[1], reg, e);
	bool changed = false;
	size_t i;

	if (found < 0 || found == REPLAY_LEFT_OUT)
		return found < 0 ? found : 0;
	for (i = 2; i < argc; i++)
		if (hll_add(reg, argv[i].data, argv[i].len))
			changed = true;
	if (found == REPLAY_FOUND && !changed)
		return 0;
	return hll_store(r, &argv[1], reg, changed, e);
}

int replay_pfmerge(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	unsigned char reg[REGISTERS] = { 0 };
	size_t i;

	for (i = 1; i < argc; i++) {
		int found = hll_load(r, &argv[i], reg, e);

		if (found < 0)
			return found;
		if (found == REPLAY_LEFT_OUT)
			return i == 1 ? 0 : replay_note(r, &argv[1], TOMB_NO_PATH, "came from a key that is no path", e);
	}
	return hll_store(r, &argv[1], reg, true, e);
}
