/* When a change finds no room the right keys go, and only as many as it takes: those not used longest (nearly), those whose time is over next
 * (exactly), only those that may go, and none when nothing would help.  By calls of the store; seeded. */
#include "store/evict.h"
#include "store/observer.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { KEYS = 2000, VALUE = 1000, SECOND_NS = 1000000000 };

static struct keyspace *ks;
static struct op op;
static uint64_t id[KEYS];
static int removed, refuse;

static int record(void *ctx, struct mutation *m)
{
	(void)ctx;
	if (m->kind == MUTATION_REMOVE && refuse)
		return -refuse;
	removed += m->kind == MUTATION_REMOVE;
	return 0;
}

static int put(const char *name, size_t len, uint64_t *ret)
{
	static const char data[VALUE];
	struct attr a;
	int err = keyspace_mknod(ks, &op, KEYSPACE_ROOT, name, strlen(name), S_IFREG | 0644, &a);

	if (err == 0 && len)
		err = keyspace_write(ks, &op, a.id, 0, data, len);
	if (err == 0 && ret)
		*ret = a.id;
	return err;
}

static uint64_t used(void)
{
	struct usage u;

	keyspace_usage(ks, &u);
	return u.bytes_total - u.bytes_idle;
}

static bool is_there(int i)
{
	struct attr a;
	char name[16];

	snprintf(name, sizeof(name), "k%d", i);
	return keyspace_find_key(ks, name, strlen(name), 1, &a) == 0;
}

/* Keys k0, k1 ... with values, the last used last. */
static void begin(enum evict_policy policy, int samples)
{
	struct keyspace_options o = { .hash_seed = { 5, 7 }, .value_max = 1 << 30, .root_mode = 0755, .now_ns = 1 };
	struct observer observer = { .record = record };

	op = (struct op){ .now_ns = SECOND_NS };
	removed = 0;
	if (keyspace_new(&o, &ks) < 0)
		exit(1);
	keyspace_set_observer(ks, &observer);
	keyspace_set_eviction(ks, policy, samples);
	for (int i = 0; i < KEYS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "k%d", i);
		if (put(name, VALUE, &id[i]) < 0)
			exit(1);
	}
	keyspace_set_memory_max(ks, used());
	op.now_ns = 5ll * SECOND_NS;
}

/* A change that came to ERR is made again until it finds room: whether to go on. */
static bool again(int err, uint64_t spared)
{
	struct keyspace_place gone[EVICT_BATCH];
	bool enough;

	if (err != -ENOSPC)
		return false;
	int n = keyspace_evict(ks, &op, &spared, 1, gone, &enough);
	return n > 0 || (n == 0 && enough);
}

/* New keys N times, each in the place of what has to go for it; how many could be made. */
static int push(int n)
{
	static const char data[VALUE];
	int made = 0;

	for (int i = 0; i < n; i++) {
		uint64_t new = 0;
		char name[16];
		int err;

		snprintf(name, sizeof(name), "new%d", i);
		do
			err = put(name, 0, &new);
		while (again(err, 0));
		if (err)
			continue;
		do
			err = keyspace_write(ks, &op, new, 0, data, VALUE);
		while (again(err, new));
		made += err == 0;
	}
	return made;
}

static void test_lru(int samples, int percent)
{
	int right = 0, order[KEYS];

	begin(EVICT_ALLKEYS_LRU, samples);
	srand(42);
	for (int i = 0; i < KEYS; i++)
		order[i] = i;
	for (int i = KEYS - 1; i > 0; i--) {
		int k = rand() % (i + 1), was = order[i];
		order[i] = order[k];
		order[k] = was;
	}
	/* By each kind of message. */
	for (int i = 0; i < KEYS; i++) {
		struct value *v;
		struct attr a;
		uint64_t size;

		if (i % 3 == 0)
			keyspace_getattr(ks, id[order[i]], &a);
		else if (i % 3 == 1 && keyspace_get_value(ks, id[order[i]], &v, &size) == 0)
			value_unref(v);
		else
			keyspace_write(ks, &op, id[order[i]], 0, "x", 1);
	}
	is(push(KEYS / 2), KEYS / 2, "allkeys-lru: as many new keys as there is room for old ones");
	ok(removed >= KEYS / 2 - 50 && removed <= KEYS / 2 + 50, "one went for each: %d", removed);
	for (int i = KEYS / 2; i < KEYS; i++)
		right += is_there(order[i]);
	ok(right * 100 >= percent * (KEYS / 2), "%d samples: %d of the %d used last are there", samples, right, KEYS / 2);
	keyspace_free(ks);
}

static void test_ttl(void)
{
	int there = 0;

	begin(EVICT_VOLATILE_TTL, 5);
	for (int i = 0; i < KEYS; i += 2)
		keyspace_expire_at(ks, &op, id[i], 1000000 + (i * 7919) % KEYS, NULL);
	keyspace_set_memory_max(ks, used());
	is(push(300), 300, "volatile-ttl: keys go");
	int limit = 0;
	for (int i = 0; i < KEYS; i += 2)
		if (is_there(i) && (!limit || (i * 7919) % KEYS < limit))
			limit = (i * 7919) % KEYS;
	for (int i = 0; i < KEYS; i += 2)
		there += is_there(i) != ((i * 7919) % KEYS >= limit);
	is(there, 0, "those that end next, all of them");
	there = 0;
	for (int i = 1; i < KEYS; i += 2)
		there += is_there(i);
	is(there, KEYS / 2, "none without an expiry");
	keyspace_free(ks);
}

static void test_volatile(enum evict_policy policy, const char *name)
{
	int with = 0, without = 0;

	begin(policy, 5);
	for (int i = 0; i < KEYS; i += 10)
		keyspace_expire_at(ks, &op, id[i], 1000000, NULL);
	keyspace_set_memory_max(ks, used());
	int made = push(KEYS);
	for (int i = 0; i < KEYS; i++)
		*(i % 10 ? &without : &with) += is_there(i);
	is(without, KEYS - KEYS / 10, "%s: none without an expiry", name);
	is(with, 0, "all with one went");
	ok(made > KEYS / 10 - 20 && made < KEYS / 10 + 20, "then there is no room: %d", made);
	keyspace_free(ks);
}

static void test_who_stays(void)
{
	struct keyspace_place gone[EVICT_BATCH];
	struct attr a;
	bool enough;
	int there = 0;

	begin(EVICT_ALLKEYS_RANDOM, 5);
	keyspace_set_memory_max(ks, 0);
	keyspace_mkdir(ks, &op, KEYSPACE_ROOT, "dir", 3, 0755, &a);
	keyspace_symlink(ks, &op, KEYSPACE_ROOT, "link", 4, "to", 2, &a);
	keyspace_link(ks, &op, id[0], KEYSPACE_ROOT, "second", 6, &a);
	op.now_ns += 10ll * SECOND_NS;
	put("fresh", 0, NULL);
	keyspace_set_memory_max(ks, 1000);
	is(put("x", 0, NULL), -ENOSPC, "no room");
	refuse = EIO;
	is(keyspace_evict(ks, &op, &id[1], 1, gone, &enough), -EIO, "the journal takes nothing: nothing goes");
	refuse = 0;
	is(keyspace_getattr(ks, id[2], &a), 0, "nor is it half gone");
	int n = keyspace_evict(ks, &op, &id[1], 1, gone, &enough);
	is(n, EVICT_BATCH, "a batch goes");
	ok(gone[0].known && keyspace_getattr(ks, gone[0].id, &a) == -ESTALE, "its ids are unknown at once");
	keyspace_forget(ks, gone[0].id, 1);
	for (int i = 0; i < KEYS && keyspace_evict(ks, &op, &id[1], 1, gone, &enough) > 0; i++)
		;
	ok(!enough, "there is not enough for it");
	for (int i = 0; i < KEYS; i++)
		there += is_there(i);
	ok(there == 2 && is_there(0) && is_there(1), "what is spared, and what has two names, stay");
	struct usage u;
	keyspace_usage(ks, &u);
	ok(u.directories == 2 && u.symlinks == 1 && u.unlinked == 0, "directories and symlinks too, and nothing is left of the others");
	is(keyspace_find_key(ks, "fresh", 5, 1, &a), 0, "and what was just made empty");
	op.now_ns += 2ll * SECOND_NS;
	is(keyspace_evict(ks, &op, &id[1], 1, gone, &enough), 1, "but not for long");
	keyspace_free(ks);
}

static void test_in_vain(void)
{
	struct keyspace_place gone[EVICT_BATCH];
	struct usage before, after;
	bool enough;

	begin(EVICT_NONE, 5);
	keyspace_usage(ks, &before);
	is(put("x", VALUE, NULL), -ENOSPC, "noeviction: no room");
	is(keyspace_evict(ks, &op, NULL, 0, gone, &enough), 0, "nothing goes");
	ok(!enough, "and it is not enough");
	keyspace_set_eviction(ks, EVICT_ALLKEYS_LRU, 5);
	is(keyspace_reserve(ks, &op, id[0], 0, 100 << 20, false), -ENOSPC, "more than everything has");
	is(keyspace_evict(ks, &op, NULL, 0, gone, &enough), 0, "is no reason to remove keys");
	keyspace_usage(ks, &after);
	is((int64_t)after.keys, (int64_t)before.keys, "all are there");
	ok(after.bytes_total >= before.bytes_total, "stamps are counted");
	keyspace_set_eviction(ks, EVICT_NONE, 5);
	keyspace_usage(ks, &after);
	keyspace_free(ks);
}

int main(void)
{
	test_lru(5, 80);
	test_lru(10, 90);
	test_ttl();
	test_volatile(EVICT_VOLATILE_LRU, "volatile-lru");
	test_volatile(EVICT_VOLATILE_RANDOM, "volatile-random");
	test_volatile(EVICT_VOLATILE_TTL, "volatile-ttl");
	test_who_stays();
	test_in_vain();
	return tap_end();
}
