/* Keys by their whole name: what is one, the conditions of EXPIRE, what the kernel has to be told, and that a key whose time is over is there
 * for nobody but a loader.  By the store's calls, with an observer that counts. */
#include "store/keyspace.h"
#include "store/observer.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { ROOT = KEYSPACE_ROOT, MS = 1000000, MANY = 300 };

static struct keyspace *ks;
static struct op op = { .now_ns = 1000ll * MS };
static struct keyspace_place place;
static int told[MUTATION_EXPIRE + 1];
static int refuse;

static int record(void *ctx, struct mutation *m)
{
	(void)ctx;
	if (refuse)
		return -refuse;
	told[m->kind]++;
	m->seq = 1;
	return 0;
}

static uint64_t file(uint64_t parent, const char *name)
{
	struct attr a;

	if (keyspace_mknod(ks, &op, parent, name, strlen(name), S_IFREG | 0644, &a) < 0)
		abort();
	return a.id;
}

static uint64_t dir(uint64_t parent, const char *name)
{
	struct attr a;

	if (keyspace_mkdir(ks, &op, parent, name, strlen(name), 0755, &a) < 0)
		abort();
	return a.id;
}

static int find(const char *key)
{
	struct attr a;

	return keyspace_find_key(ks, key, strlen(key), op.now_ns, &a);
}

static int64_t expiry(const char *key)
{
	struct attr a;

	return keyspace_find_key(ks, key, strlen(key), op.now_ns, &a) == 0 ? a.expire_at_ms : -2;
}

static int expire(const char *key, int64_t at_ms, unsigned rules)
{
	return keyspace_expire_key(ks, &op, key, strlen(key), at_ms, rules, &place);
}

static void test_names(void)
{
	static const char *const none[] = { "", "d", "d/e", "d/", "/d/k", "d//k", "d/none", "none/k", "d/k/x", "link", "d/.", "d/../d/k", "." };
	struct attr a;
	uint64_t d = dir(ROOT, "d");

	file(d, "k");
	dir(d, "e");
	keyspace_symlink(ks, &op, ROOT, "link", 4, "d/k", 3, &a);
	is(find("d/k"), 0, "a value is a key");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		is(find(none[i]), -ENOENT, "\"%s\" is none", none[i]);
	is(keyspace_remove_key(ks, &op, "d", 1, &place), -ENOENT, "none is removed");
	is(expire("link", 5000, 0), -ENOENT, "nor timed");
	is(keyspace_persist_key(ks, &op, "d/e", 3), -ENOENT, "nor kept");
}

static void test_rules(void)
{
	static const struct { int64_t was, at; unsigned rules; bool allowed; } rows[] = {
		{ 0, 5000, EXPIRE_NX, true }, { 6000, 5000, EXPIRE_NX, false }, { 0, 5000, EXPIRE_XX, false }, { 6000, 5000, EXPIRE_XX, true },
		{ 0, 5000, EXPIRE_GT, false }, { 5000, 5000, EXPIRE_GT, false }, { 4000, 5000, EXPIRE_GT, true }, { 6000, 5000, EXPIRE_GT, false },
		{ 0, 5000, EXPIRE_LT, true }, { 5000, 5000, EXPIRE_LT, false }, { 4000, 5000, EXPIRE_LT, false }, { 6000, 5000, EXPIRE_LT, true },
		{ 0, 5000, EXPIRE_XX | EXPIRE_LT, false }, { 0, 900, EXPIRE_GT, false }, { 6000, 900, EXPIRE_NX, false },
	};
	uint64_t id = file(ROOT, "rules");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		keyspace_expire_at(ks, &op, id, rows[i].was, NULL);
		is(expire("rules", rows[i].at, rows[i].rules), rows[i].allowed ? EXPIRE_SET : EXPIRE_REFUSED, "row %zu", i);
		is(expiry("rules"), rows[i].allowed ? rows[i].at : rows[i].was, "its expiry");
	}
	is(keyspace_persist_key(ks, &op, "rules", 5), 1, "taken away");
	is(keyspace_persist_key(ks, &op, "rules", 5), 0, "there is none any more");
}

static void test_past(void)
{
	uint64_t parent = dir(ROOT, "p"), id = file(parent, "k");
	int before = told[MUTATION_REMOVE];

	is(expire("p/k", 1001, 0), EXPIRE_SET, "a time to come");
	ok(place.parent == parent && place.id == id && place.known && place.len == 1 && place.name[0] == 'k', "where it is");
	keyspace_forget(ks, id, 1);
	is(expire("p/k", 1000, 0), EXPIRE_REMOVED, "a time that has come removes it");
	ok(!place.known && place.parent == parent, "of which the kernel knows nothing");
	is(told[MUTATION_REMOVE] - before, 1, "as DEL would");
	ok(find("p/k") == -ENOENT && op.seq == 1, "it is gone");
	file(parent, "k");
	refuse = EROFS;
	is(expire("p/k", 900, 0), -EROFS, "a journal that refuses");
	is(expire("p/k", 2000, 0), -EROFS, "refuses a time");
	is(keyspace_remove_key(ks, &op, "p/k", 3, &place), -EROFS, "and a removal");
	refuse = 0;
	ok(find("p/k") == 0 && expiry("p/k") == 0, "and nothing has changed");
}

/* Between its time and its removal it is there for nobody. */
static void test_over(void)
{
	uint64_t d = dir(ROOT, "o"), id = file(d, "k");
	struct attr a;

	file(d, "other");
	keyspace_expire_at(ks, &op, id, 1010, NULL);
	op.now_ns = 1010ll * MS;
	is(find("o/k"), -ENOENT, "no key");
	is(expire("o/k", 5000, 0), -ENOENT, "no new time");
	is(keyspace_expire_at(ks, &op, id, 5000, NULL), -ENOENT, "also not for who has it open");
	is(keyspace_persist_key(ks, &op, "o/k", 3), -ENOENT, "no keeping it");
	is(keyspace_unlink(ks, &op, d, "k", 1), -ENOENT, "no unlink");
	is(keyspace_rename(ks, &op, d, "k", 1, d, "new", 3, 0), -ENOENT, "no rename");
	is(keyspace_rename(ks, &op, d, "other", 5, d, "k", 1, RENAME_SWAP), -ENOENT, "no exchange");
	is(keyspace_rename(ks, &op, d, "other", 5, d, "k", 1, RENAME_NO_REPLACE), 0, "and in nobody's way");
	ok(keyspace_find_key(ks, "o/k", 3, op.now_ns, &a) == 0 && a.expire_at_ms == 0, "what came in its place has no expiry");
	is(keyspace_expire_due(ks, &op, 1, &place), 0, "nothing is left to remove");
}

static void test_rmdir(void)
{
	struct keyspace_place gone[MANY];
	uint64_t d = dir(ROOT, "r");
	char name[16];

	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%d", i);
		keyspace_expire_at(ks, &op, file(d, name), 1020, NULL);
	}
	file(d, "stays");
	op.now_ns = 1020ll * MS;
	is(keyspace_rmdir(ks, &op, ROOT, "r", 1), -ENOTEMPTY, "a directory with a key in it");
	is(keyspace_unlink(ks, &op, d, "stays", 5), 0, "without it");
	is(keyspace_rmdir(ks, &op, ROOT, "r", 1), 0, "it goes, with keys whose time is over");
	is(keyspace_expire_due(ks, &op, 1, gone), 0, "which have gone too");
	d = dir(ROOT, "r");
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "%d", i);
		keyspace_expire_at(ks, &op, file(d, name), 1030, NULL);
	}
	op.now_ns = 1030ll * MS;
	is(keyspace_rmdir(ks, &op, ROOT, "r", 1), -ENOTEMPTY, "more of them than one call removes");
	is(keyspace_expire_due(ks, &op, MANY, gone), MANY, "go in their own time");
	is(keyspace_rmdir(ks, &op, ROOT, "r", 1), 0, "and then the directory");
}

int main(void)
{
	struct keyspace_options o = { .hash_seed = { 1, 2 }, .value_max = 1 << 20, .root_mode = 0755, .now_ns = op.now_ns };
	struct observer observer = { .record = record };

	if (keyspace_new(&o, &ks) < 0)
		return 1;
	keyspace_set_observer(ks, &observer);
	test_names();
	test_rules();
	test_past();
	test_over();
	test_rmdir();
	keyspace_free(ks);
	return tap_end();
}
