/* The name table finds what was put in and nothing else, while it grows and shrinks by a bucket at a time, and gives memory back: 100,000
 * names in a few directories, in and out, counted to the byte.                                                                        */
#include "store/names.h"
#include "tests/lib/malloc_fail.h"
#include "tests/lib/tap.h"

#include <stdlib.h>

enum { COUNT = 100000, DIRECTORIES = 7 };

static const uint64_t seed[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

struct table {
	struct names names;
	struct node_table nodes;
	uint32_t slot[COUNT];
};

static size_t name_of(int i, char *buf, size_t cap)
{
	return (size_t)snprintf(buf, cap, i % 5 ? "key:%d" : "a name that is too long to stand in its node:%d", i);
}

static uint32_t find(const struct table *t, int i)
{
	char name[100];
	size_t len = name_of(i, name, sizeof name);
	uint32_t parent = 1000000 + (uint32_t)i % DIRECTORIES;
	return names_find(&t->names, &t->nodes, parent, name, len, names_hash(&t->names, parent, name, len));
}

static bool put(struct table *t, int i)
{
	char name[100];
	size_t len = name_of(i, name, sizeof name);
	struct node_name r;

	if (names_reserve(&t->names) < 0 || node_name_reserve(&r, name, len) < 0)
		return false;
	struct node *n = node_new(&t->nodes, &t->slot[i]);
	if (!n) {
		node_name_abort(&r);
		return false;
	}
	n->parent = 1000000 + (uint32_t)i % DIRECTORIES;
	node_name_set(&t->nodes, n, &r);
	names_insert(&t->names, &t->nodes, t->slot[i], names_hash(&t->names, n->parent, name, len));
	return true;
}

static void take(struct table *t, int i)
{
	names_remove(&t->names, &t->nodes, t->slot[i]);
	node_free(&t->nodes, t->slot[i]);
	t->slot[i] = 0;
}

static bool all_found(const struct table *t)
{
	for (int i = 0; i < COUNT; i++)
		if (find(t, i) != t->slot[i])
			return false;
	return true;
}

static uint32_t longest_chain(const struct table *t)
{
	uint32_t longest = 0;
	for (uint32_t i = 0; i < t->names.base + t->names.split; i++) {
		uint32_t n = 0;
		for (uint32_t s = t->names.segment[i / 4096][i % 4096]; s; s = node_at(&t->nodes, s)->hash_next)
			n++;
		longest = n > longest ? n : longest;
	}
	return longest;
}

static void test_in_and_out(struct table *t)
{
	uint64_t empty = t->names.bytes;
	bool right = true;

	for (int i = 0; i < COUNT; i++)
		right &= put(t, i);
	ok(right && all_found(t), "%d names", COUNT);
	ok(t->names.base + t->names.split >= COUNT, "as many buckets");
	ok(longest_chain(t) < 16, "no long chain: %u", longest_chain(t));
	for (int i = 0; i < COUNT; i += 2)
		take(t, i);
	ok(all_found(t), "half of them gone");
	for (int i = 0; i < COUNT; i += 2)
		put(t, i);
	ok(all_found(t), "and back");
	for (int i = COUNT - 1; i >= 0; i--)
		take(t, i);
	ok(all_found(t) && t->names.count == 0, "all gone");
	ok(t->names.bytes < empty + 70000, "and their memory: %" PRIu64 ", empty %" PRIu64, t->names.bytes, empty);
	ok(names_presize(&t->names, COUNT) == 0, "presize");
	for (int i = 0; i < COUNT; i++)
		put(t, i);
	ok(all_found(t), "names in a table made to measure");
	ok(names_presize(&t->names, COUNT * 8) == 0 && all_found(t), "too late for presize");
	for (int i = 0; i < COUNT; i++)
		take(t, i);
	ok(all_found(t), "gone again");
}

/* One step of a walk: counts in SEEN what the bucket has that was not before it.  Where the next one begins. */
static uint32_t walk(const struct table *t, uint32_t position, uint8_t *seen)
{
	uint32_t next, slot = names_bucket(&t->names, position, &next);

	for (; slot; slot = node_at(&t->nodes, slot)->hash_next)
		if (names_position(node_at(&t->nodes, slot)->hash) >= position)
			seen[slot]++;
	return next;
}

/* One name in a hundred stays; the others come and go, so that the table grows and shrinks during the walk. */
static void test_walk(struct table *t)
{
	static uint8_t seen[2 * COUNT];
	uint32_t at = 0, steps = 0, most = 0;
	bool once = true, up = true;
	int in = 0;

	for (int i = 0; i < COUNT; i += 100)
		put(t, i);
	do {
		at = walk(t, at, seen);
		for (int k = 0; k < 40; k++) {
			up = up ? in < COUNT : in == 0;
			int i = up ? in++ : --in;
			if (i % 100 && up)
				put(t, i);
			else if (i % 100)
				take(t, i);
		}
		most = t->names.base > most ? t->names.base : most;
		steps++;
	} while (at);
	for (int i = 0; i < COUNT; i += 100)
		once &= seen[t->slot[i]] == 1;
	ok(once, "a walk of %u steps sees each name that stays once", steps);
	ok(most > 32768, "while the table grows to %u buckets", most);
	for (int i = 0; i < COUNT; i++)
		if (t->slot[i])
			take(t, i);
}

static void test_no_memory(struct table *t)
{
	int failures = 0;
	bool right = true;

	for (int i = 0; i < COUNT; i++) {
		for (uint64_t k = 1;; k++) {
			malloc_fail_at(k);
			bool done = put(t, i);
			bool failed = malloc_fail_end();
			right &= done == !failed;
			if (done)
				break;
			failures++;
			right &= t->names.count == (uint64_t)i && find(t, i) == 0;
		}
	}
	ok(right && all_found(t) && failures > 20000, "without memory nothing is put in: %d times", failures);
}

/* Nodes of a table made to measure lie side by side, those behind them wherever. */
static void test_nodes_in_a_run(void)
{
	enum { RUN = COUNT / NODE_BLOCK * NODE_BLOCK };
	struct node_table nodes;
	bool side_by_side = true;
	struct node *first = NULL;

	node_table_init(&nodes);
	ok(node_table_presize(&nodes, COUNT) == 0 && nodes.bytes == 0, "room for nodes costs nothing before they come");
	for (uint32_t i = 1, slot; i < COUNT; i++) {
		struct node *n = node_new(&nodes, &slot);
		first = first ? first : n;
		side_by_side &= n && slot == i && (i >= RUN || n == first + (i - 1));
	}
	ok(side_by_side && nodes.bytes >= COUNT * sizeof(struct node), "they lie side by side and are counted");
	ok(node_table_presize(&nodes, COUNT) == 0 && nodes.run_blocks == RUN / NODE_BLOCK, "a second time is ignored");
	node_table_fini(&nodes);
}

int main(void)
{
	static struct table t;

	diag("the first line takes stdio's buffer");
	uint64_t base = malloc_live();
	malloc_fail_at(2);
	ok(names_init(&t.names, seed) < 0, "no table without memory");
	malloc_fail_end();
	names_fini(&t.names);
	is((int64_t)(malloc_live() - base), 0, "and no leak");
	names_init(&t.names, seed);
	node_table_init(&t.nodes);
	test_in_and_out(&t);
	test_walk(&t);
	memset(t.slot, 0, sizeof t.slot);
	test_no_memory(&t);
	is((int64_t)(malloc_live() - base), (int64_t)(t.names.bytes + t.nodes.bytes), "memory is counted to the byte");
	names_fini(&t.names);
	node_table_fini(&t.nodes);
	test_nodes_in_a_run();
	is((int64_t)(malloc_live() - base), 0, "nothing leaks");
	return tap_end();
}
