/* What is kept beside a node is found again, and only there: random comings and goings against an array. */
#include "store/extra.h"
#include "tests/lib/malloc_fail.h"
#include "tests/lib/tap.h"

#include <stdlib.h>

enum { SLOTS = 100000, KNOWN = 300, STEPS = 20000 };

int main(void)
{
	struct { uint32_t slot; bool set; } known[KNOWN];
	struct extras t;
	bool good = true;

	diag("the first line takes stdio's buffer");
	uint64_t base = malloc_live();
	extras_init(&t);
	ok(!extra_find(&t, 1) && !extra_find(&t, SLOTS), "nothing is there at first");
	int refused = 0;
	for (;; refused++) {
		malloc_fail_at(refused + 1);
		struct extra *x = extra_make(&t, 5000);
		bool failed = malloc_fail_end();
		if (x) {
			ok(!failed && x == extra_find(&t, 5000), "made when there is memory");
			break;
		}
		good &= failed && !extra_find(&t, 5000);
		extras_fini(&t);     /* so that the next round asks for all three again */
	}
	ok(good && refused == 3, "without memory for each of its three parts it is not made");
	extra_drop(&t, 5000);
	srandom(5);
	for (int i = 0; i < KNOWN; i++) {
		known[i].slot = (uint32_t)(i * (SLOTS / KNOWN)) + 1;
		known[i].set = false;
	}
	for (int i = 0; i < STEPS && good; i++) {
		int k = (int)(random() % KNOWN);
		struct extra *x = extra_find(&t, known[k].slot);
		good &= known[k].set == (x != NULL) && (!x || x->links == (uint32_t)k);
		if (random() % 2) {
			x = extra_make(&t, known[k].slot);
			good &= x != NULL;
			if (x)
				x->links = (uint32_t)k;
			known[k].set = true;
		} else {
			extra_drop(&t, known[k].slot);
			known[k].set = false;
		}
		good &= !extra_find(&t, known[k].slot + 1);
	}
	ok(good, "%d random steps", STEPS);
	for (int i = 0; i < KNOWN; i++)
		extra_drop(&t, known[i].slot);
	ok(t.bytes > 0 && t.bytes < 4096, "empty, it holds its index and nothing else (%llu bytes)", (unsigned long long)t.bytes);
	extras_fini(&t);
	ok(t.bytes == 0 && malloc_live() == base, "everything is given back");
	return tap_end();
}
