/* The heap of expiries always knows the earliest one, and each node its own: random settings against an array. */
#include "store/expiry.h"
#include "tests/lib/malloc_fail.h"
#include "tests/lib/tap.h"

#include <stdlib.h>

enum { NODES = 500, STEPS = 50000 };

static int64_t want[NODES + 1];

static bool right(const struct expiry *e, const struct node_table *nodes)
{
	int64_t first = 0;
	uint32_t count = 0;

	for (uint32_t i = 1; i <= NODES; i++) {
		if (expiry_of(e, node_at(nodes, i), i) != want[i])
			return false;
		if (!want[i])
			continue;
		count++;
		if (!first || want[i] < first)
			first = want[i];
	}
	const struct expiry_entry *x = expiry_first(e);
	return e->count == count && (x ? x->at_ms : 0) == first;
}

int main(void)
{
	struct node_table nodes;
	struct expiry e = { 0 };
	bool good = true;
	uint32_t slot;

	diag("the first line takes stdio's buffer");
	uint64_t base = malloc_live();
	node_table_init(&nodes);
	for (int i = 0; i < NODES; i++)
		node_new(&nodes, &slot);
	ok(expiry_first(&e) == NULL, "an empty heap has no first");
	malloc_fail_at(1);
	ok(expiry_reserve(&e, 1) < 0 && malloc_fail_end(), "no room without memory");
	srandom(3);
	for (int i = 0; i < STEPS && good; i++) {
		slot = 1 + (uint32_t)random() % NODES;
		want[slot] = random() % 3 ? 1 + random() % 2000 : 0;
		if (expiry_reserve(&e, slot) < 0)
			break;
		expiry_set(&e, &nodes, slot, want[slot]);
		good &= right(&e, &nodes);
	}
	ok(good, "%d random settings", STEPS);
	int64_t last = 0;
	while (expiry_first(&e)) {
		slot = expiry_first(&e)->slot;
		good &= expiry_first(&e)->at_ms >= last;
		last = expiry_first(&e)->at_ms;
		want[slot] = 0;
		expiry_set(&e, &nodes, slot, 0);
	}
	ok(good && right(&e, &nodes), "they come out in the order of time");
	is((int64_t)(malloc_live() - base), (int64_t)(e.bytes + e.place.bytes + nodes.bytes), "memory is counted to the byte");
	expiry_fini(&e);
	node_table_fini(&nodes);
	return tap_end();
}
