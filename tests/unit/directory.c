/* A directory lists each entry once in the order of cookies, whatever came and went, and gives its memory back: random additions,
 * removals and replacements against an array indexed by cookie.                                                                   */
#include "store/directory.h"
#include "tests/lib/malloc_fail.h"
#include "tests/lib/tap.h"

#include <stdlib.h>

enum { COOKIES = 300000 };

static uint32_t slot_of[COOKIES];   /* 0: no such entry */

static bool lists(const struct directory *d, uint64_t from)
{
	struct directory_cursor c;
	uint64_t cookie = 0, want = from == UINT64_MAX ? from : from + 1;
	uint32_t slot;

	directory_seek(d, from, &c);
	while ((slot = directory_next(d, &c, &cookie)) != 0) {
		while (want < cookie)
			if (slot_of[want++])
				return false;
		if (slot_of[want++] != slot)
			return false;
	}
	for (; want < d->next_cookie; want++)
		if (slot_of[want])
			return false;
	return true;
}

static uint64_t add(struct directory *d, uint64_t *bytes)
{
	static uint32_t next_slot;
	if (directory_reserve(d, bytes) < 0)
		return 0;
	uint64_t cookie = directory_add(d, ++next_slot);
	slot_of[cookie] = next_slot;
	return cookie;
}

static void take(struct directory *d, uint64_t cookie, uint64_t *bytes)
{
	directory_remove(d, cookie, bytes);
	slot_of[cookie] = 0;
}

static void test_small(uint64_t *bytes)
{
	struct directory *d = directory_new(bytes);

	ok(lists(d, 0) && d->count == 0, "a new one is empty");
	is((int64_t)add(d, bytes), DIRECTORY_FIRST, "the first cookie");
	ok(lists(d, 0) && lists(d, DIRECTORY_FIRST), "one entry");
	ok(lists(d, UINT64_MAX - 1) && lists(d, UINT64_MAX), "a cookie far behind the end");
	directory_replace(d, DIRECTORY_FIRST, 77);
	slot_of[DIRECTORY_FIRST] = 77;
	ok(lists(d, 0), "another in its place");
	take(d, DIRECTORY_FIRST, bytes);
	ok(lists(d, 0) && d->pages == 0, "empty again");
	ok(add(d, bytes) == DIRECTORY_FIRST + 1, "cookies are not used twice");
	take(d, DIRECTORY_FIRST + 1, bytes);
	directory_free(d, bytes);
}

static void test_random(uint64_t *bytes)
{
	struct directory *d = directory_new(bytes);
	uint64_t count = 0;
	bool right = true;

	srandom(7);
	memset(slot_of, 0, sizeof slot_of);
	for (int i = 0; i < 400000 && d->next_cookie < COOKIES; i++) {
		/* Grows for a while, then shrinks for a while. */
		if ((unsigned)random() % 100 < (i / 50000 % 2 ? 30 : 75)) {
			count += add(d, bytes) != 0;
		} else {
			uint64_t cookie = (uint64_t)random() % d->next_cookie;
			if (i % 3 == 0)
				while (cookie < d->next_cookie && !slot_of[cookie])
					cookie++;
			if (cookie < d->next_cookie && slot_of[cookie]) {
				take(d, cookie, bytes);
				count--;
			}
		}
		right &= d->count == count;
		if (i % 20000 == 0)
			right &= lists(d, (uint64_t)random() % d->next_cookie) && lists(d, 0);
	}
	ok(right && lists(d, 0), "random additions and removals");
	for (uint64_t cookie = d->next_cookie - 1; cookie; cookie--)
		if (slot_of[cookie])
			take(d, cookie, bytes);
	ok(d->count == 0 && d->pages == 0 && d->cap <= 16, "no page stays");
	directory_free(d, bytes);
}

/* Entries leave in the order in which they came: the pages in front go first. */
static void test_queue(uint64_t *bytes)
{
	struct directory *d = directory_new(bytes);
	bool right = true;

	memset(slot_of, 0, sizeof slot_of);
	for (int i = 0; i < 200000; i++)
		add(d, bytes);
	uint64_t full = *bytes;
	for (uint64_t cookie = DIRECTORY_FIRST; cookie < 200000; cookie++) {
		take(d, cookie, bytes);
		if (cookie % 20001 == 0)
			right &= lists(d, 0) && lists(d, cookie + 5);
	}
	ok(right && lists(d, 0), "first in, first out");
	ok(*bytes < full / 20, "memory comes back: %" PRIu64 " of %" PRIu64, *bytes, full);
	directory_free(d, bytes);
}

static void test_no_memory(uint64_t *bytes)
{
	struct directory *d = directory_new(bytes);
	bool right = true;
	int failures = 0;

	memset(slot_of, 0, sizeof slot_of);
	for (int i = 0; i < 3000; i++) {
		uint64_t k = 0;
		do {
			malloc_fail_at(++k);
			int err = directory_reserve(d, bytes);
			right &= (err == 0) == !malloc_fail_end() && lists(d, d->next_cookie > 9 ? d->next_cookie - 9 : 0);
			failures += err != 0;
		} while (k < 3);
		add(d, bytes);
	}
	ok(right && failures > 10, "without memory for one more nothing changes: %d times", failures);
	directory_free(d, bytes);
}

int main(void)
{
	uint64_t bytes = 0;

	diag("the first line takes stdio's buffer");
	uint64_t base = malloc_live();
	test_small(&bytes);
	test_random(&bytes);
	test_queue(&bytes);
	test_no_memory(&bytes);
	is((int64_t)bytes, 0, "what was counted came back");
	is((int64_t)(malloc_live() - base), 0, "nothing leaks");
	return tap_end();
}
