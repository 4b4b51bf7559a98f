/* A pair of user and group has one number while a node has it, and no other pair has that: random nodes of random owners against an array. */
#include "store/owners.h"
#include "tests/lib/malloc_fail.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>

enum { NODES = 3000, STEPS = 100000 };

static struct { uint32_t uid, gid, number; } node[NODES];

int main(void)
{
	struct owners t = { 0 };
	uint32_t number;
	bool good = true;

	diag("the first line takes stdio's buffer");
	uint64_t base = malloc_live();
	is(owners_take(&t, 0, 0, &number), 0, "root");
	ok(number == 0 && t.bytes == 0, "is number 0 and takes no memory");
	for (int at = 1; at <= 2; at++) {
		malloc_fail_at(at);
		int err = owners_take(&t, 1, 2, &number);
		ok(malloc_fail_end() && err == -ENOMEM, "allocation %d refused", at);
	}
	is((int64_t)(malloc_live() - base), (int64_t)t.bytes, "and nothing is left of that");
	srandom(11);
	for (int i = 0; i < STEPS && good; i++) {
		int k = (int)(random() % NODES);
		owners_drop(&t, node[k].number);
		node[k].uid = (uint32_t)random() % (i < STEPS / 2 ? 2000 : 3);
		node[k].gid = random() % 9 ? UINT32_MAX - node[k].uid : 0;
		if (owners_take(&t, node[k].uid, node[k].gid, &node[k].number) < 0)
			break;
		k = (int)(random() % NODES);
		good = owners_uid(&t, node[k].number) == node[k].uid && owners_gid(&t, node[k].number) == node[k].gid;
	}
	ok(good, "%d times another owner", STEPS);
	for (int i = 1; i < NODES; i++)
		good &= (node[i].number == node[0].number) == (node[i].uid == node[0].uid && node[i].gid == node[0].gid);
	ok(good, "the same number is the same owner");
	ok(t.top < 2 * NODES, "%u numbers: they are used again", t.top);
	owners_share(&t, node[0].number);
	for (int i = 0; i < NODES; i++)
		owners_drop(&t, node[i].number);
	is(owners_uid(&t, node[0].number), node[0].uid, "a node more keeps it");
	is((int64_t)(malloc_live() - base), (int64_t)t.bytes, "memory is counted to the byte");
	owners_fini(&t);
	is((int64_t)(malloc_live() - base), 0, "nothing is left");
	return tap_end();
}
