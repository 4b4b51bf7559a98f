/* Numbers beside nodes are found again, and take memory only while one of a block's is not 0: random settings against an array. */
#include "store/column.h"
#include "store/node.h"
#include "tests/lib/malloc_fail.h"
#include "tests/lib/tap.h"

#include <stdlib.h>

enum { SLOTS = 40 * NODE_BLOCK, STEPS = 200000 };

int main(void)
{
	static uint32_t want[SLOTS];
	struct column c = { 0 };
	bool good = true;

	diag("the first line takes stdio's buffer");
	uint64_t base = malloc_live();
	is(column_get(&c, 1) + column_get(&c, SLOTS), 0, "all zeros at first");
	column_set(&c, SLOTS, 0);
	is(c.bytes, 0, "a 0 takes no memory");
	for (int at = 1; at <= 2; at++) {
		malloc_fail_at(at);
		int err = column_reserve(&c, 5);
		ok(malloc_fail_end() && err < 0 && column_get(&c, 5) == 0, "allocation %d refused", at);
		column_fini(&c);
	}
	srandom(9);
	for (int i = 0; i < STEPS && good; i++) {
		uint32_t slot = (uint32_t)random() % SLOTS;
		want[slot] = random() % 2 ? (uint32_t)random() : 0;
		if (want[slot] && column_reserve(&c, slot) < 0)
			break;
		column_set(&c, slot, want[slot]);
		slot = (uint32_t)random() % SLOTS;
		good = column_get(&c, slot) == want[slot];
	}
	ok(good, "%d random settings", STEPS);
	is((int64_t)(malloc_live() - base), (int64_t)c.bytes, "memory is counted to the byte");
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		if (slot != 77)
			column_set(&c, slot, 0);
	ok(c.bytes < 3 * NODE_BLOCK * sizeof(uint32_t), "%" PRIu64 " bytes for the one that is left", c.bytes);
	is(column_get(&c, 77), want[77], "which is what it was");
	column_fini(&c);
	is((int64_t)(malloc_live() - base), 0, "nothing is left");
	return tap_end();
}
