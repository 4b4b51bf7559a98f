/* A value keeps its bytes for whoever holds it, holes cost nothing, and a change that fails leaves no trace: not a byte, not in what
 * is counted.  By cases at the boundaries of chunks and leaves, each also with the k-th allocation failing, for each k.              */
#include "store/value_inside.h"
#include "tests/lib/malloc_fail.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>

enum { LEAF = VALUE_CHUNK * VALUE_LEAF_CHUNKS, LIMIT = LEAF * 2 + 100000 };

static char plain[LIMIT], got[LIMIT], data[LIMIT];

struct subject {
	struct value *v;
	uint64_t size, memory;
};

static bool holds(const struct subject *s, const char *want)
{
	value_copy_out(s->v, s->size, 0, got, s->size);
	return memcmp(got, want, s->size) == 0 && value_memory(s->v, s->size) == s->memory;
}

enum kind { WRITE, ZERO, RESERVE };

/* A write (LEN > 0), zeros or a reservation, which grow it unless KEEP, or a resize to OFF, of S and of the plain bytes. */
static int change_by(struct subject *s, enum kind kind, uint64_t off, size_t len, bool keep)
{
	uint64_t size = !keep && off + len > s->size ? off + len : s->size;
	struct value_edit e;
	int err = kind == ZERO ? value_edit_zero(&e, s->v, s->size, off, len, size)
	        : kind == RESERVE ? value_edit_reserve(&e, s->v, s->size, off, len, size)
	        : len ? value_edit_write(&e, s->v, s->size, off, len) : value_edit_resize(&e, s->v, s->size, off);

	if (err) {
		s->memory += (uint64_t)e.memory;
		return err;
	}
	s->v = value_edit_commit(&e, off, data, kind == WRITE ? len : 0);
	s->memory += (uint64_t)e.memory;
	if (e.size > s->size)
		memset(plain + s->size, 0, e.size - s->size);
	if (kind == WRITE && len)
		memcpy(plain + off, data, len);
	if (kind == ZERO && off < e.size)
		memset(plain + off, 0, len < e.size - off ? len : e.size - off);
	s->size = e.size;
	return 0;
}

static int change(struct subject *s, uint64_t off, size_t len)
{
	return change_by(s, WRITE, off, len, false);
}

static void drop(struct subject *s)
{
	value_unref(s->v);
	*s = (struct subject){ 0 };
}

struct step { uint64_t off; size_t len; enum kind kind; bool keep; };   /* len 0: resize to off */

static const struct step script[] = {
	{ 0, 100, WRITE, false }, { 100, 1, WRITE, false }, { 50, 300, WRITE, false }, { VALUE_CHUNK - 1, 1, WRITE, false },
	{ VALUE_CHUNK, 1, WRITE, false }, { 3, 0, WRITE, false }, { 20, 0, WRITE, false }, { VALUE_CHUNK + 1, 0, WRITE, false },
	{ VALUE_CHUNK - 5, 10, WRITE, false }, { LEAF - 3, 6, WRITE, false }, { LEAF, 0, WRITE, false }, { LEAF + 1, 0, WRITE, false },
	{ LEAF * 2 + 7, 20000, WRITE, false }, { LEAF * 2 + 8, 0, WRITE, false }, { LEAF * 2 + 30000, 0, WRITE, false },
	{ LEAF + 5, VALUE_CHUNK * 3, WRITE, false }, { LEAF - 1, 0, WRITE, false }, { 70000, 0, WRITE, false },
	{ 65536, 0, WRITE, false }, { 65537, 0, WRITE, false }, { 65530, 100, WRITE, false }, { VALUE_CHUNK, 0, WRITE, false },
	{ 90000, 5, WRITE, false }, { 0, 0, WRITE, false }, { 500000, 0, WRITE, false }, { 100, 10, WRITE, false },
	{ 0, 0, WRITE, false }, { 9000, 0, WRITE, false }, { 8, 8, WRITE, false }, { 0, 0, WRITE, false }, { 0, 4000, WRITE, false },
	{ 10, 20, ZERO, false }, { 3990, 100, ZERO, true }, { 3990, 100, ZERO, false }, { 0, 8000, RESERVE, false },
	{ 9000, 70000, RESERVE, true }, { 0, 0, WRITE, false }, { 9000, 10, RESERVE, true }, { 5000, 0, WRITE, false },
	{ 4000, 3000, WRITE, false }, { 100, 0, WRITE, false }, { 0, 0, WRITE, false }, { LEAF - 6 * VALUE_CHUNK, 11 * VALUE_CHUNK + 77, WRITE, false },
	{ 5, 10, ZERO, false }, { 100, VALUE_CHUNK, ZERO, false }, { VALUE_CHUNK * 2, VALUE_CHUNK, ZERO, false },
	{ LEAF - 5, 10, ZERO, false }, { LEAF + 5 * VALUE_CHUNK + 3, 500, ZERO, true }, { LEAF + 10, 4 * VALUE_CHUNK, ZERO, false },
	{ 1, LEAF - 2, ZERO, false }, { LEAF, 4, RESERVE, false }, { LEAF - 4 * VALUE_CHUNK, 5 * VALUE_CHUNK, RESERVE, false }, { LEAF * 2, 5000, RESERVE, true },
	{ LEAF * 2 + 30, 10, WRITE, false }, { LEAF * 2 + 10, 90000, ZERO, false }, { 0, LEAF, ZERO, false },
	{ 7, LIMIT - 7, ZERO, true }, { 0, LIMIT, ZERO, false }, { 0, 0, WRITE, false }, { 0, LIMIT, ZERO, false },
	{ 40000, 20, WRITE, false }, { 0, 0, WRITE, false },
};

enum { SCRIPT = sizeof script / sizeof script[0] };

static int step(struct subject *s, int i)
{
	return change_by(s, script[i].kind, script[i].off, script[i].len, script[i].keep);
}

static void test_script(bool shared)
{
	static char before[LIMIT];
	struct subject s = { 0 };
	bool right = true, kept = true;

	for (int i = 0; i < SCRIPT; i++) {
		struct subject old = s;
		struct value *reader = shared ? value_ref(s.v) : NULL;
		memcpy(before, plain, s.size);
		right &= step(&s, i) == 0 && holds(&s, plain);
		if (shared)
			kept &= holds(&(struct subject){ reader, old.size, old.memory }, before);
		value_unref(reader);
		if (!right || !kept) {
			diag("step %d", i);
			break;
		}
	}
	ok(right, "a script of changes%s", shared ? " while a reader holds each state" : "");
	ok(kept, "readers keep what they hold");
	ok(s.memory == 0 && s.size == 0, "and nothing is counted at the end");
	drop(&s);
}

/* Each step of the script from the state before it, with the k-th allocation failing. */
static void test_no_memory(bool shared)
{
	uint64_t base = malloc_live();
	struct subject s = { 0 };
	bool right = true;
	int failures = 0;

	for (int i = 0; i < SCRIPT && right; i++) {
		struct value *reader = shared ? value_ref(s.v) : NULL;
		for (uint64_t k = 1;; k++) {
			uint64_t size = s.size;
			malloc_fail_at(k);
			int err = step(&s, i);
			if (!malloc_fail_end()) {
				right &= err == 0;
				break;
			}
			failures++;
			right &= err == -ENOMEM && s.size == size && holds(&s, plain);
		}
		value_unref(reader);
		right &= holds(&s, plain) && malloc_live() - base == s.memory && value_mapped_bytes() == s.memory - value_flat_memory(s.v, s.size);
	}
	ok(right && failures > 30, "every change happens whole or not at all: %d failures%s", failures, shared ? ", shared" : "");
	drop(&s);
	is((int64_t)(malloc_live() - base), 0, "and nothing leaks");
}

static void test_refused(void)
{
	struct subject s = { 0 };
	struct value_edit e;

	change(&s, 0, 20000);
	change(&s, LEAF * 2, 0);
	uint64_t memory = s.memory;
	for (uint64_t at = 40000; at < LEAF * 2 - 40000; at += 400000) {
		value_edit_write(&e, s.v, s.size, at, 30000);
		value_edit_abort(&e);
		s.memory += (uint64_t)e.memory;
	}
	ok(holds(&s, plain), "a refused write changes nothing");
	is((int64_t)s.memory, (int64_t)memory, "and leaves no memory in a hole");
	value_edit_write(&e, s.v, s.size, LEAF * 4ull, 10);
	value_edit_abort(&e);
	is(e.memory, 0, "nor behind the end");
	value_edit_resize(&e, s.v, s.size, 5);
	value_edit_abort(&e);
	ok(holds(&s, plain) && e.memory == 0, "a refused cut changes nothing");
	drop(&s);
	change(&s, 0, 300000);      /* what its chunks hold is found in the next ones */
	drop(&s);
	change(&s, 0, 20000);
	memory = s.memory;
	value_edit_write(&e, s.v, s.size, 20000, 280000);
	value_edit_abort(&e);
	s.memory += (uint64_t)e.memory;
	is((int64_t)s.memory, (int64_t)memory, "a refused write of many chunks behind the end leaves no memory");
	change(&s, 300000, 0);
	ok(holds(&s, plain), "and zeros for who grows the value");
	change(&s, 40001, 200000);
	ok(holds(&s, plain), "a large write at an odd place is the bytes that were given");
	drop(&s);
}

static void test_holes(void)
{
	struct subject s = { 0 };
	struct iovec iov[4];
	size_t covered;

	change(&s, LIMIT, 0);
	is((int64_t)s.memory, 0, "a hole costs nothing");
	int n = value_iov(s.v, s.size, 5, 100000, iov, 4, &covered);
	ok(n == 2 && covered == 100000, "a hole is read in %d pieces", n);
	ok(value_seek(s.v, s.size, 5, true) == s.size && value_seek(s.v, s.size, 5, false) == 5, "and has no data");
	change(&s, LEAF + 10, 1);
	ok(value_seek(s.v, s.size, 5, true) == LEAF && value_seek(s.v, s.size, LEAF + 3, true) == LEAF + 3, "data is found");
	ok(value_seek(s.v, s.size, LEAF, false) == LEAF + VALUE_CHUNK && value_seek(s.v, s.size, LEAF + VALUE_CHUNK, true) == s.size,
	   "and what lies behind");
	ok(s.memory < 2 * VALUE_CHUNK, "a byte in a hole costs a chunk: %" PRIu64, s.memory);
	n = value_iov(s.v, s.size, LEAF - VALUE_CHUNK, VALUE_CHUNK * 2, iov, 4, &covered);
	ok(n == 2 && covered == VALUE_CHUNK * 2, "a hole and a chunk are two pieces");
	n = value_iov(s.v, s.size, 0, s.size, iov, 4, &covered);
	ok(n == 4 && covered == VALUE_CHUNK * 4, "no more pieces than there is room for");
	drop(&s);
}

static void test_sharing(void)
{
	struct subject s = { 0 };
	uint64_t before;

	change(&s, 0, LEAF * 2);
	struct value *reader = value_ref(s.v);
	before = malloc_live();
	change(&s, 5000000, 1);
	ok(malloc_live() - before < VALUE_CHUNK + 3000, "a write beside a reader copies one chunk: %" PRIu64 " bytes", malloc_live() - before);
	before = malloc_live();
	change(&s, 5000001, 1);
	is((int64_t)(malloc_live() - before), 0, "and only once");
	value_unref(reader);
	is((int64_t)malloc_live(), (int64_t)(before - memory_of(sizeof(struct chunk)) - memory_of(sizeof(struct leaf)) - value_map_memory(2)), "what the reader held goes with it");
	drop(&s);
}

/* S gets LEN bytes of data at OFF from a stage. */
static bool change_staged(struct subject *s, uint64_t off, size_t len)
{
	struct value *stage;
	struct value_edit e;
	uint64_t from;

	if (value_stage(off, data, len, &stage, &from) < 0 ||
	    value_edit_copy(&e, s->v, s->size, off, stage, from + len, from, len) < 0)
		return false;
	s->v = value_edit_commit(&e, 0, NULL, 0);
	s->memory += (uint64_t)e.memory;
	if (e.size > s->size)
		memset(plain + s->size, 0, e.size - s->size);
	s->size = e.size;
	memcpy(plain + off, data, len);
	value_unref(stage);
	return holds(s, plain);
}

static void test_stage(void)
{
	static const struct { uint64_t off; size_t len; const char *what; } cases[] = {
		{ 0, 1 << 20, "into nothing" }, { 0, 1 << 20, "over itself" }, { 1 << 20, 1 << 20, "at the end" },
		{ 5000, 70000, "not at the start of a chunk" }, { LEAF - 50000, 100000, "over the edge of a leaf" },
		{ LEAF + 200000, 65536, "behind a hole" }, { VALUE_CHUNK * 3, VALUE_CHUNK, "a chunk" }, { 0, LEAF + 5, "a leaf and more" },
	};
	struct subject s = { 0 };
	uint64_t before = malloc_live();

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		ok(change_staged(&s, cases[i].off, cases[i].len) && value_mapped_bytes() == value_memory(s.v, s.size), "a staged write %s", cases[i].what);
	struct value *reader = value_ref(s.v);
	uint64_t size = s.size;
	char *had = malloc(size), *has = malloc(size);
	memcpy(had, plain, size);
	data[0]++;
	ok(change_staged(&s, 10000, 200000), "beside a reader");
	value_copy_out(reader, size, 0, has, size);
	ok(memcmp(has, had, size) == 0 && memcmp(has, plain, size) != 0, "who has what it had");
	free(had);
	free(has);
	value_unref(reader);
	drop(&s);
	is((int64_t)(malloc_live() - before), 0, "all of it is freed");
	is((int64_t)value_mapped_bytes(), 0, "and counted as such");
}

static void test_kept_chunks(void)
{
	struct subject s = { 0 };
	uint64_t before = malloc_live();

	value_keep_chunks(4);
	change(&s, 0, VALUE_CHUNK * 10);
	drop(&s);
	is((int64_t)(malloc_live() - before), 4 * (int64_t)memory_of(sizeof(struct chunk)), "four chunks are kept");
	is((int64_t)value_mapped_bytes(), 0, "which count for nobody");
	change(&s, 0, VALUE_CHUNK * 2 + 100);
	change(&s, VALUE_CHUNK * 4, 1);
	ok(holds(&s, plain), "what they had shows nowhere");
	is((int64_t)(malloc_live() - before), (int64_t)value_memory(s.v, s.size), "and they are the next that are taken");
	drop(&s);
	value_keep_chunks(0);
	is((int64_t)(malloc_live() - before), 0, "until none is to be kept");
}

static void test_append(void)
{
	struct subject s = { 0 };
	int moves = 0;

	for (uint64_t i = 0; i < VALUE_CHUNK; i++) {
		const struct value *before = s.v;
		change(&s, i, 1);
		moves += s.v != before;
	}
	ok(moves < 80 && holds(&s, plain), "appending byte by byte moves the value %d times", moves);
	drop(&s);
}

int main(void)
{
	diag("the first line takes stdio's buffer");
	uint64_t base = malloc_live();
	for (int i = 0; i < LIMIT; i++)
		data[i] = (char)(i * 7 + i / 251 + 1);
	test_script(false);
	test_script(true);
	test_no_memory(false);
	test_no_memory(true);
	test_refused();
	test_holes();
	test_sharing();
	test_stage();
	test_kept_chunks();
	test_append();
	is((int64_t)(malloc_live() - base), 0, "nothing leaks");
	return tap_end();
}
