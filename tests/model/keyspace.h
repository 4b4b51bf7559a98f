/* keyspace.h -- the world of the model test: what it holds and how it chooses.  Included by one file. */
#ifndef KVFS_TESTS_MODEL_KEYSPACE_H
#define KVFS_TESTS_MODEL_KEYSPACE_H

#include "store/observer.h"
#include "store/snapshot.h"
#include "tests/lib/plain_tree.h"
#include "tests/lib/tap.h"

#include <stdlib.h>

enum { NAMES = 40, READERS = 3, SCANNERS = 4, DEAD = 64, POOL = 1 << 20, STEPS = 60000, COPIED_AT_ONCE = 256 << 10 };

struct reader {
	bool active;
	struct value *value;
	uint64_t size;
	char *copy;
};

struct scanner {
	bool active;
	uint64_t dir, cookie;
	bool throughout[NAMES];
	int seen[NAMES];
	uint64_t mark;               /* as telldir(3) gives it, and what had been seen then; 0: none */
	int seen_at_mark[NAMES];
};

/* What the observer saw of one call. */
struct told {
	uint64_t refuse_at;          /* the Nth is refused; 0: none */
	bool refused;
	int accepted;                /* but those of expiry */
	int expired_count;
	struct { uint64_t id, parent; size_t len; char name[KEYSPACE_NAME_MAX]; } expired[PLAIN_NODES];
	struct mutation last;
};

struct world {
	uint64_t seed, random, step, seq;
	int64_t now_ns;
	struct keyspace *ks;
	struct op op;
	struct plain_tree tree, cut;
	struct snapshot *snapshot;
	struct snapshot_batch batch;
	bool yielded[PLAIN_NODES];
	struct reader reader[READERS];
	struct scanner scanner[SCANNERS];
	struct told told;
	uint64_t dead[DEAD];
	uint64_t memory_max;
	uint64_t live_base;          /* malloc_live() less bytes_total of an empty keyspace */
	char *pool, *scratch, *zeros, *copied;   /* the last two: PLAIN_LARGE bytes */
	uint64_t count_linked, count_links_yielded;
	uint64_t count_ok, count_error, count_memory, count_refused, count_full, count_snapshots;
};

static struct world w;

#define CHECK(cond, ...) ((cond) ? (void)0 : failed(__LINE__, #cond, __VA_ARGS__))

static _Noreturn __attribute__((format(printf, 3, 4))) void failed(int line, const char *cond, const char *fmt, ...)
{
	va_list ap;

	printf("not ok 1 - seed %" PRIu64 ", step %" PRIu64 ", line %d: %s: ", w.seed, w.step, line, cond);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n1..1\n");
	exit(1);
}

static uint64_t rnd(uint64_t n)
{
	uint64_t z = w.random += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % n;
}

static bool one_in(uint64_t n)
{
	return rnd(n) == 0;
}

/* Name K of the pool: its number, then as many x as make it short, just inline, or as long as can be. */
static size_t name_of(int k, char *buf)
{
	static const int length[] = { 2, 5, 23, 24, 25, 60, 255 };
	size_t len = (size_t)length[k % 7];

	memset(buf, 'x', len);
	buf[0] = (char)('0' + k / 10);
	buf[1] = (char)('0' + k % 10);
	return len;
}

static int number_of(const char *name)
{
	return (name[0] - '0') * 10 + (name[1] - '0');
}

/* ---- choosing ---- */

static int pick_used(void)
{
	for (int tries = 0; tries < 200; tries++) {
		int i = (int)rnd(PLAIN_NODES);
		if (w.tree.node[i].used && !w.tree.node[i].link)
			return i;
	}
	return 0;
}

/* Any name, also a further one of a node. */
static int pick_name(void)
{
	for (int tries = 0; tries < 200; tries++) {
		int i = (int)rnd(PLAIN_NODES);
		if (w.tree.node[i].used)
			return i;
	}
	return 0;
}

static int pick_file(void)
{
	for (int tries = 0; tries < 200; tries++) {
		int i = (int)rnd(PLAIN_NODES);
		if (w.tree.node[i].used && !w.tree.node[i].link && plain_is_file(&w.tree, i))
			return i;
	}
	return pick_used();
}

static int pick_dir(void)
{
	if (one_in(40))
		return pick_used();
	if (one_in(3))
		return 0;
	for (int tries = 0; tries < 100; tries++) {
		int i = (int)rnd(PLAIN_NODES);
		if (w.tree.node[i].named && plain_is_dir(&w.tree, i))
			return i;
	}
	return 0;
}

static bool is_over(int i)
{
	int64_t at_ms = w.tree.node[plain_target(&w.tree, i)].expire_at_ms;
	return at_ms && at_ms <= w.now_ns / 1000000;
}

/* The plain tree knows nothing of the memory of values. */
static bool same(const struct attr *a, const struct attr *b)
{
	struct attr x = *a, y = *b;

	x.memory = y.memory = 0;
	return memcmp(&x, &y, sizeof x) == 0;
}

/* Whether A is what the plain tree has of node I. */
static bool same_attr(const struct attr *a, int i)
{
	const struct attr want = plain_attr(&w.tree, i);

	return same(a, &want);
}

/* A size or offset up to CAP, often beside a boundary of chunks or leaves. */
static uint64_t pick_offset(uint64_t cap)
{
	static const uint64_t unit[] = { VALUE_CHUNK, (uint64_t)VALUE_CHUNK * VALUE_LEAF_CHUNKS, 256, 4096 };
	uint64_t at;

	switch (rnd(4)) {
	case 0:
		at = rnd(300);
		break;
	case 1:
		at = rnd(cap + 1);
		break;
	default:
		at = unit[rnd(4)] * rnd(9) + rnd(5);
		at = at > 2 ? at - 2 : 0;
	}
	return at < cap ? at : cap;
}

#endif
