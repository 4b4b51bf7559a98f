/* A file with several names: each finds the same node, it lives as long as one of them, its time takes them all, and the number of names is
 * bounded.  In a load names that Redis has changed by themselves are cut loose.  Random operations are the model's (tests/model/keyspace.c). */
#include "store/load.h"
#include "tests/lib/malloc_fail.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { ROOT = KEYSPACE_ROOT, NOW = 5000 };

static struct keyspace *ks;
static struct loader l;
static uint64_t file;           /* "a", whose further name is "b", both "1" */

static struct op an_op(void)
{
	return (struct op){ .now_ns = NOW * INT64_C(1000000) };
}

static int make_name(uint64_t id, const char *name)
{
	struct op op = an_op();
	return keyspace_link(ks, &op, id, ROOT, name, strlen(name), NULL);
}

static int remove_name(const char *name)
{
	struct op op = an_op();
	return keyspace_unlink(ks, &op, ROOT, name, strlen(name));
}

static uint64_t id_of(const char *name)
{
	struct attr a;

	if (keyspace_lookup(ks, ROOT, name, strlen(name), NOW * INT64_C(1000000), &a) != 0)
		return 0;
	keyspace_forget(ks, a.id, 1);
	return a.id;
}

static uint32_t nlink_of(const char *name)
{
	struct attr a = { 0 };
	keyspace_getattr(ks, id_of(name), &a);
	return a.nlink;
}

static int64_t expiry_of_key(const char *key)
{
	struct attr a = { 0 };
	return keyspace_find_key(ks, key, strlen(key), 0, &a) ? -1 : a.expire_at_ms;
}

static bool holds(const char *key, const char *want)
{
	struct value *v;
	char buf[100];
	uint64_t size;

	if (loader_get(&l, key, strlen(key), &v, &size) != 0 || size > sizeof buf)
		return false;
	value_copy_out(v, size, 0, buf, size);
	value_unref(v);
	return size == strlen(want) && memcmp(buf, want, size) == 0;
}

static int set(const char *key, const char *value)
{
	return loader_set(&l, key, strlen(key), value, strlen(value), NULL);
}

static void begin(void)
{
	struct keyspace_options o = { .value_max = 1 << 20, .root_mode = 0755, .now_ns = 1 };

	if (keyspace_new(&o, &ks) != 0 || loader_init(&l, ks, 7, 8, 5000) != 0)
		exit(1);
	if (set("a", "1") != 0 || loader_find(&l, "a", 1, &file) != 0 || make_name(file, "b") != 0)
		exit(1);
}

static void end(void)
{
	loader_fini(&l);
	keyspace_free(ks);
}

/* ---- names ---- */

static void test_names(void)
{
	struct usage u;
	struct attr a;
	struct op op = an_op();

	begin();
	ok(id_of("a") == file && id_of("b") == file && nlink_of("a") == 2, "two names of one file");
	keyspace_usage(ks, &u);
	ok(u.keys == 2 && u.bytes_values == 32, "two keys, one value");
	is(make_name(file, "a"), -EEXIST, "a name that is taken");
	is(make_name(ROOT, "c"), -EPERM, "a directory has one name");
	is(make_name(file + (UINT64_C(9) << 32), "c"), -ESTALE, "no such node");
	is(keyspace_link(ks, &op, file, file, "c", 1, NULL), -ENOTDIR, "below a file");
	is(make_name(file, "x/y"), -EINVAL, "no name");
	is(keyspace_link(ks, &op, file, ROOT, "c", 1, &a), 0, "a third one, looked up");
	ok(a.id == file && a.nlink == 3, "is the file");
	ok(remove_name("a") == 0 && id_of("a") == 0 && id_of("b") == file && id_of("c") == file && nlink_of("b") == 2, "the first name goes");
	ok(remove_name("c") == 0 && remove_name("b") == 0 && keyspace_getattr(ks, file, &a) == 0 && a.nlink == 0, "the last one goes");
	is(make_name(file, "d"), -ENOENT, "a file without a name gets none");
	keyspace_forget(ks, file, 1);
	is(keyspace_getattr(ks, file, &a), -ESTALE, "nobody holds it");
	keyspace_usage(ks, &u);
	ok(u.keys == 0 && u.bytes_values == 0, "and nothing is left");
	end();
}

static void test_bound(void)
{
	char name[16];
	int err = 0;

	begin();
	for (int i = 2; i < KEYSPACE_LINK_MAX && !err; i++) {
		snprintf(name, sizeof name, "n%d", i);
		err = make_name(file, name);
	}
	ok(!err && nlink_of("a") == KEYSPACE_LINK_MAX, "as many names as there may be");
	is(make_name(file, "more"), -EMLINK, "one too many");
	end();
}

static void test_rename(void)
{
	struct op op = an_op();

	begin();
	is(keyspace_rename(ks, &op, ROOT, "a", 1, ROOT, "b", 1, 0), 0, "one name over another of the same file");
	ok(id_of("a") == file && id_of("b") == file, "does nothing");
	is(keyspace_rename(ks, &op, ROOT, "a", 1, ROOT, "b", 1, RENAME_SWAP), 0, "nor does their exchange");
	is(keyspace_rename(ks, &op, ROOT, "a", 1, ROOT, "b", 1, RENAME_NO_REPLACE), -EEXIST, "which may be refused");
	ok(set("o", "other") == 0 && keyspace_rename(ks, &op, ROOT, "o", 1, ROOT, "a", 1, 0) == 0, "another file takes the first name");
	ok(holds("a", "other") && id_of("b") == file && nlink_of("b") == 1, "the node has the other");
	end();
}

/* ---- time ---- */

static void test_time(void)
{
	struct keyspace_place gone[4];
	struct op op = an_op();
	struct usage u;

	begin();
	is(keyspace_expire_key(ks, &op, "b", 1, NOW - 1, 0, gone), EXPIRE_SET, "a time that is over, by one name");
	ok(id_of("a") == 0 && id_of("b") == 0, "hides them all");
	keyspace_usage(ks, &u);
	is((int64_t)u.expires, 2, "two keys with an expiry");
	is(make_name(file, "c"), -ENOENT, "no name for what is over");
	is(keyspace_expire_due(ks, &op, 4, gone), 2, "each name goes");
	ok(gone[0].linked && !gone[1].linked && gone[0].id == file && gone[1].id == file && gone[0].name[0] != gone[1].name[0], "by itself");
	keyspace_usage(ks, &u);
	ok(u.keys == 0 && u.expires == 0, "nothing is left");
	end();

	begin();
	ok(keyspace_expire_key(ks, &op, "b", 1, NOW + 1, 0, gone) == EXPIRE_SET && make_name(file, "c") == 0, "a name for what will be over");
	keyspace_usage(ks, &u);
	is((int64_t)u.expires, 3, "three keys with an expiry");
	ok(keyspace_remove_key(ks, &op, "a", 1, gone) == 0 && id_of("b") && gone[0].linked, "DEL takes one name");
	is(keyspace_persist_key(ks, &op, "c", 1), 1, "PERSIST is for all");
	keyspace_usage(ks, &u);
	is((int64_t)u.expires, 0, "none has an expiry");
	end();
}

/* ---- a load ---- */

static void test_load(void)
{
	struct attr a;

	begin();
	ok(set("b", "2") == 0 && holds("a", "2"), "a change of ours is of both");
	ok(loader_expire(&l, file, NOW + 9) == 0 && expiry_of_key("b") == NOW + 9, "so is a time");
	is(loader_link_value(&l, file, "a", 1), -EEXIST, "a key that is there");
	ok(loader_link_value(&l, file, "d/c", 3) == 0 && holds("d/c", "2") && nlink_of("a") == 3, "a key as a further name");
	ok(loader_link(&l, file, "e/f", 3) == 0 && holds("e/f", "2"), "a path likewise");
	ok(loader_move(&l, "a", 1, "d/c", 3) == 0 && id_of("a") == 0 && holds("d/c", "2") && nlink_of("b") == 3, "of two names the one that moves goes");
	loader_clear(&l);
	is(keyspace_getattr(ks, file, &a), -ESTALE, "all goes");
	end();
}

/* Which name is changed: the first of the node, or a further one. */
static void test_displace(const char *changed, const char *kept)
{
	uint64_t id = 0, was;
	struct usage u;

	begin();
	l.displace = true;
	ok(set(changed, "2") == 0 && holds(kept, "1") && holds(changed, "2"), "SET %s is of that alone", changed);
	ok(nlink_of("a") == 1 && nlink_of("b") == 1 && id_of("a") != id_of("b"), "they are two files now");
	end();

	begin();
	l.displace = true;
	loader_expire(&l, file, 77);
	ok(loader_own_value(&l, changed, 1, &id) == 0 && expiry_of_key(changed) == 77 && holds(changed, "1"), "%s for itself is as before", changed);
	ok(loader_expire(&l, id, 99) == 0 && expiry_of_key(changed) == 99 && expiry_of_key(kept) == 77, "EXPIRE is of that alone");
	keyspace_usage(ks, &u);
	is((int64_t)u.expires, 2, "expiries are counted");
	end();

	begin();
	l.displace = true;
	ok(loader_write(&l, changed, 1, 1, "x", 1, NULL) == 0 && holds(kept, "1") && holds(changed, "1x"), "APPEND %s is of that alone", changed);
	ok(loader_copy(&l, kept, 1, changed, 1) == 0 && holds(changed, "1"), "COPY back");
	end();

	begin();
	l.displace = true;
	was = file;
	ok(loader_copy(&l, kept, 1, changed, 1) == 0 && holds(kept, "1") && holds(changed, "1"), "COPY %s to the other name", kept);
	ok(id_of("a") == was || id_of("b") == was, "the node goes on");
	ok(loader_delete(&l, changed, 1) == 0 && holds(kept, "1"), "DEL is of one");
	end();
}

static void test_no_memory(void)
{
	uint64_t live = malloc_live();
	int n;

	for (n = 1; n < 50; n++) {
		struct attr a;
		begin();
		malloc_fail_at((uint64_t)n);
		struct op op = an_op();
		int err = keyspace_link(ks, &op, file, ROOT, "a name of more than 24 bytes is not in the node", 47, &a);
		bool failed = malloc_fail_end();
		if (failed != (err == -ENOMEM) || nlink_of("a") != (failed ? 2 : 3)) {
			ok(false, "allocation %d: %d", n, err);
			return;
		}
		if (!err)
			keyspace_forget(ks, a.id, 1);
		end();
		if (!failed)
			break;
	}
	ok(n > 1 && n < 50 && malloc_live() == live, "each allocation fails once, %d in all", n);
}

int main(void)
{
	test_names();
	test_bound();
	test_rename();
	test_time();
	test_load();
	test_displace("a", "b");
	test_displace("b", "a");
	test_no_memory();
	return tap_end();
}
