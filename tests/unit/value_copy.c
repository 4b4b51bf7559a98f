/* A copied range has the bytes of its source, takes no memory where chunks lie alike, and from then on each of the two is its own.  By ranges at
 * the boundaries of chunks and leaves, within one value and between two, each also with the k-th allocation failing, for each k.             */
#include "store/value_inside.h"
#include "tests/lib/malloc_fail.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>

enum { C = VALUE_CHUNK, LEAF = C * VALUE_LEAF_CHUNKS, LIMIT = LEAF * 4 };

struct subject {
	struct value *v;
	uint64_t size;
	char *plain;                /* LIMIT bytes */
};

static char a_plain[LIMIT], b_plain[LIMIT], got[LIMIT], data[LIMIT];

static bool holds(const struct subject *s)
{
	value_copy_out(s->v, s->size, 0, got, s->size);
	return memcmp(got, s->plain, s->size) == 0;
}

static void put(struct subject *s, uint64_t off, size_t len)
{
	struct value_edit e;

	if (value_edit_write(&e, s->v, s->size, off, len) < 0)
		abort();
	s->v = value_edit_commit(&e, off, data + off, len);
	if (e.size > s->size)
		memset(s->plain + s->size, 0, e.size - s->size);
	memcpy(s->plain + off, data + off, len);
	s->size = e.size;
}

static int copy(struct subject *to, uint64_t off, const struct subject *from, uint64_t from_off, uint64_t len)
{
	struct value_edit e;
	int err = value_edit_copy(&e, to->v, to->size, off, from->v, from->size, from_off, len);

	if (err)
		return err;
	to->v = value_edit_commit(&e, 0, NULL, 0);
	if (e.size > to->size)
		memset(to->plain + to->size, 0, e.size - to->size);
	memmove(to->plain + off, from->plain + from_off, len);
	to->size = e.size;
	return 0;
}

static void drop(struct subject *s)
{
	value_unref(s->v);
	s->v = NULL;
	s->size = 0;
}

/* A source with a hole in the middle of its second leaf, and a target with a hole in its first. */
static void begin(struct subject *a, struct subject *b)
{
	*a = (struct subject){ .plain = a_plain };
	*b = (struct subject){ .plain = b_plain };
	put(a, 0, 3 * C);
	put(a, LEAF - 2 * C, 4 * C);
	put(a, 2 * LEAF - C - 9, 3 * C);
	put(b, LEAF + 7, 2 * C);
}

static const struct { uint64_t off, from, len; } ranges[] = {
	{ 0, 0, 5 }, { 3, 9, 40000 }, { 0, 0, LEAF + 2 * C }, { C, 0, 2 * C }, { 10, C + 10, 2 * C }, { LEAF, LEAF, LEAF },
	{ LEAF, 0, LEAF }, { LEAF - C, LEAF - C, 3 * C }, { 2 * LEAF, LEAF, LEAF + 2 * C - 9 }, { 2 * LEAF + 5 * C, 2 * LEAF - C, 3 * C - 9 },
	{ 50, 2 * LEAF - 9, C }, { LEAF + 7, LEAF + 5 * C + 7, 4 * C }, { 0, 5 * C, 20 * C }, { LEAF * 3, 5 * C, C }, { 1, 5 * C, 3 * C },
};
enum { RANGES = sizeof ranges / sizeof ranges[0] };

static void test_ranges(bool shared)
{
	struct subject a, b;
	bool right = true;

	for (int i = 0; i < RANGES && right; i++) {
		begin(&a, &b);
		struct value *reader = shared ? value_ref(b.v) : NULL;
		right &= copy(&b, ranges[i].off, &a, ranges[i].from, ranges[i].len) == 0 && holds(&a) && holds(&b);
		put(&b, ranges[i].off, 3);
		put(&a, ranges[i].from + 1, 3);
		right &= holds(&a) && holds(&b);
		drop(&a);
		right &= holds(&b);
		drop(&b);
		value_unref(reader);
		if (!right)
			diag("range %d", i);
	}
	ok(right, "ranges of another value%s", shared ? ", while somebody reads" : "");
	is((int64_t)value_mapped_bytes(), 0, "and nothing is counted at the end");
}

static void test_within(void)
{
	struct subject a, b;

	begin(&a, &b);
	ok(copy(&a, 2 * LEAF + 4 * C, &a, LEAF - 2 * C, 4 * C) == 0 && holds(&a), "within one value");
	ok(copy(&a, 3 * LEAF, &a, LEAF, LEAF) == 0 && holds(&a), "a whole leaf");
	put(&a, 3 * LEAF + C, 1);
	put(&a, LEAF, 1);
	ok(holds(&a), "and each is its own");
	drop(&a);
	drop(&b);
	a.plain = a_plain;
	put(&a, 0, 3000);
	ok(copy(&a, 3000, &a, 10, 2000) == 0 && holds(&a) && copy(&a, 5000, &a, 0, 5000) == 0 && holds(&a), "within a flat one");
	ok(copy(&a, 40000, &a, 0, 10000) == 0 && holds(&a), "which stops being flat");
	drop(&a);
	/* The copy begins in the chunk in which its source ends, and shares that chunk. */
	put(&a, 0, 2 * C - 4000);
	ok(copy(&a, 2 * C - 2000, &a, C - 2000, C - 2000) == 0 && holds(&a), "from its end to behind its end");
	put(&a, 4 * C, 1);
	ok(holds(&a), "and zeros stand behind");
	drop(&a);
	is((int64_t)value_mapped_bytes(), 0, "nothing is counted at the end");
}

static void test_memory(void)
{
	struct subject a, b = { .plain = b_plain }, c = { .plain = got };
	uint64_t before;

	begin(&a, &b);
	drop(&b);
	before = malloc_live();
	ok(copy(&b, 0, &a, 0, a.size) == 0 && malloc_live() - before < 3000, "a whole copy takes a map: %" PRIu64 " bytes", malloc_live() - before);
	ok(value_memory(b.v, b.size) >= 9 * C, "and shows what it has");
	before = malloc_live();
	put(&b, 5, 1);
	ok(malloc_live() - before < C + 3000, "a byte written in it takes a chunk");
	is((int64_t)(malloc_live() - before), (int64_t)(memory_of(sizeof(struct chunk)) + memory_of(sizeof(struct leaf))), "which is counted");
	before = value_mapped_bytes();
	drop(&c);
	drop(&a);
	ok(value_mapped_bytes() < before && holds(&b), "the copy keeps what it has when the source goes");
	drop(&b);
	is((int64_t)value_mapped_bytes(), 0, "nothing is counted at the end");
}

static void test_no_memory(void)
{
	uint64_t base = malloc_live();
	struct subject a, b;
	bool right = true;
	int failures = 0;

	for (int i = 0; i < RANGES && right; i++) {
		begin(&a, &b);
		struct value *reader = i % 2 ? value_ref(b.v) : NULL;
		for (uint64_t k = 1; right; k++) {
			malloc_fail_at(k);
			int err = copy(&b, ranges[i].off, &a, ranges[i].from, ranges[i].len);
			if (!malloc_fail_end()) {
				right &= err == 0;
				break;
			}
			failures++;
			right &= err == -ENOMEM && value_mapped_bytes() <= malloc_live() - base;
			right &= k % 16 || (holds(&b) && holds(&a));
		}
		right &= holds(&b);
		drop(&a);
		drop(&b);
		value_unref(reader);
	}
	ok(right && failures > RANGES, "it happens whole or not at all: %d failures", failures);
	ok(malloc_live() == base && value_mapped_bytes() == 0, "and nothing leaks");
}

int main(void)
{
	diag("the first line takes stdio's buffer");
	for (int i = 0; i < LIMIT; i++)
		data[i] = (char)(i * 7 + i / 251 + 1);
	test_ranges(false);
	test_ranges(true);
	test_within();
	test_memory();
	test_no_memory();
	return tap_end();
}
