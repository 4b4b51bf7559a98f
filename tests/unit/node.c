/* The table of nodes: an id is never given twice, finds its node as long as that lives and nothing afterwards, and the memory of blocks that
 * hold no node is given back.  Random nodes come and go against an array of ids, with and without a run, and with allocations that fail. */
#include "store/node.h"
#include "tests/lib/malloc_fail.h"
#include "tests/lib/tap.h"

#include <stdlib.h>

enum { MANY = 20 * NODE_BLOCK, ROUNDS = 12 };

static uint64_t live[MANY];         /* ids */
static int count;
static uint64_t random_state = 7;

static uint32_t roll(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

static bool add(struct node_table *t)
{
	static const char name[] = "a name too long to stand in its node";
	struct node_name r;
	uint32_t slot;

	struct node *n = node_new(t, &slot);
	if (!n)
		return false;
	n->size = live[count++] = node_id(n, slot);
	if (roll(20) == 0 && node_name_reserve(&r, name, sizeof name) == 0)
		node_name_set(t, n, &r);
	return true;
}

static uint64_t take(struct node_table *t, int i)
{
	uint64_t id = live[i];

	node_free(t, (uint32_t)id);
	live[i] = live[--count];
	return id;
}

/* Each id finds its node, and going through the slots finds as many. */
static bool all_found(struct node_table *t)
{
	int used = 0;

	for (int i = 0; i < count; i++) {
		const struct node *n = node_find(t, live[i]);
		if (!n || n->size != live[i])
			return false;
	}
	for (uint32_t slot = 1; slot < t->top; slot++)
		used += (node_at(t, slot)->flags & NODE_USED) != 0;
	return used == count;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* Up and down, some of it in the order it came, some of it at random; a few stay. */
static void test_churn(uint64_t presize)
{
	static uint64_t dead[ROUNDS * MANY];
	struct node_table t;
	int died = 0, wrong = 0, twice = 0;
	uint64_t before = malloc_live();

	node_table_init(&t);
	if (presize && node_table_presize(&t, presize) < 0)
		abort();
	count = 0;
	for (int round = 0; round < ROUNDS; round++) {
		int top = round % 3 == 2 ? MANY / 3 : MANY, low = (int)roll(3) * (int)roll(400);
		while (count < top)
			if (!add(&t))
				abort();
		wrong += !all_found(&t);
		if (!presize)
			wrong += malloc_live() - before != t.bytes;
		while (count > low)
			dead[died++] = take(&t, round % 2 ? count - 1 : (int)roll((uint32_t)count));
		wrong += !all_found(&t);
		for (int i = 0; i < died; i += 7)
			wrong += node_find(&t, dead[i]) != NULL;
	}
	is(wrong, 0, "%d nodes came and went%s", died, presize ? ", in a run" : "");
	qsort(dead, (size_t)died, sizeof dead[0], compare);
	for (int i = 1; i < died; i++)
		twice += dead[i] == dead[i - 1];
	is(twice, 0, "no id came twice");
	ok(t.top <= MANY + NODE_BLOCK, "slots are used again");
	while (count)
		take(&t, 0);
	ok(t.bytes <= 3 * NODE_BLOCK * sizeof(struct node), "%" PRIu64 " bytes without a node: one block, and one of zeros", t.bytes);
	node_table_fini(&t);
}

static void test_no_memory(void)
{
	uint64_t before = malloc_live();
	struct node_table t;
	int wrong = 0;

	node_table_init(&t);
	count = 0;
	for (int i = 0; i < 400000; i++) {
		malloc_fail_at(roll(50) == 0 ? 1 + roll(3) : 0);
		if (count < MANY && roll(1000) < (i / 40000 % 2 ? 200u : 800u))
			(void)add(&t);
		else if (count)
			take(&t, count - 1);
		malloc_fail_end();
		if (i % 20000 == 0)
			wrong += !all_found(&t) || malloc_live() - before != t.bytes;
	}
	is(wrong, 0, "with allocations that fail");
	node_table_fini(&t);
}

int main(void)
{
	diag("nodes");     /* which takes memory */
	uint64_t before = malloc_live();

	test_churn(0);
	test_churn(8 * NODE_BLOCK);
	test_no_memory();
	is((int64_t)(malloc_live() - before), 0, "all memory came back");
	return tap_end();
}
