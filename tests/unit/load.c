/* The loader puts keys where their paths say, makes what is missing, refuses by name what can be no path, and leaves nothing half done
 * without memory.                                                                                                                     */
#include "store/load.h"
#include "tests/lib/malloc_fail.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

static struct keyspace *ks;
static struct loader l;

static void open_both(uint64_t memory_max)
{
	struct keyspace_options o = { .value_max = 1 << 20, .root_mode = 0755, .now_ns = 1, .memory_max = memory_max };

	if (keyspace_new(&o, &ks) != 0 || loader_init(&l, ks, 7, 8, 5000) != 0)
		exit(1);
}

static void close_both(void)
{
	loader_fini(&l);
	keyspace_free(ks);
}

static int set(const char *key, const char *value, uint64_t *id)
{
	return loader_set(&l, key, strlen(key), value, strlen(value), id);
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

static int find(const char *key, uint64_t *id)
{
	return loader_find(&l, key, strlen(key), id);
}

static int move(const char *from, const char *to, unsigned flags)
{
	return loader_rename(&l, from, strlen(from), to, strlen(to), flags);
}

static void test_keys(void)
{
	static const struct { const char *key; size_t len; const char *why; } bad[] = {
		{ "", 0, "is empty" }, { "/a", 2, "has an empty part" }, { "a/", 2, "has an empty part" }, { "a//b", 4, "has an empty part" },
		{ "a/./b", 5, "has a part \".\"" }, { ".", 1, "has a part \".\"" }, { "..", 2, "has a part \"..\"" },
		{ "a/..", 4, "has a part \"..\"" }, { "a\0b", 3, "has a NUL byte" },
	};
	static char longest[65536 + 255];

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		l.why = NULL;
		is(loader_set(&l, bad[i].key, bad[i].len, "x", 1, NULL), -EINVAL, "a key that %s", bad[i].why);
		is_text(l.why ? l.why : "", bad[i].why, "and why");
	}
	memset(longest, 'k', sizeof longest);
	is(loader_check_key(&l, longest, 255), 0, "a part of 255 bytes");
	is(loader_check_key(&l, longest, 256), -EINVAL, "a part of 256 bytes");
	is_text(l.why, "has a part over 255 bytes", "and why");
	for (int i = 255; i < 65536; i += 256)
		longest[i] = '/';
	is(loader_set(&l, longest, 65535, "deep", 4, NULL), 0, "the longest key");
	is(loader_check_key(&l, longest, 65537), -EINVAL, "a longer one");
	is_text(l.why, "is longer than 65535 bytes", "and why");
	is(loader_check_key(&l, "...", 3), 0, "three dots are a name");
	loader_clear(&l);
}

static void test_values(void)
{
	struct attr_change mode = { .mask = ATTR_MODE | ATTR_MTIME, .mode = 0600, .mtime_ns = 99 };
	uint64_t id, again, dir, size;
	struct value *v;
	struct attr a;

	is(set("a/b/c", "one", &id), 0, "set");
	ok(holds("a/b/c", "one"), "its value");
	keyspace_getattr(ks, id, &a);
	ok(a.uid == 7 && a.gid == 8 && a.mode == (S_IFREG | 0644) && a.mtime_ns == 5000 && a.nlink == 1, "its attributes");
	ok(find("a/b", &dir) == 0 && keyspace_getattr(ks, dir, &a) == 0 && a.mode == (S_IFDIR | 0755), "a directory was made");
	is(loader_attr(&l, id, &mode), 0, "attributes");
	loader_expire(&l, id, 777);
	keyspace_getattr(ks, id, &a);
	ok(a.mode == (S_IFREG | 0600) && a.mtime_ns == 99 && a.ctime_ns == 5000, "exactly what the mask names");
	is(loader_write(&l, "a/b/c", 5, 5, "two", 3, NULL), 0, "write behind the end");
	is(keyspace_next_expiry(ks), 777, "keeps the expiry");
	ok(loader_get(&l, "a/b/c", 5, &v, &size) == 0 && size == 8, "it grew");
	value_unref(v);
	is(set("a/b/c", "three", &again), 0, "set again");
	keyspace_getattr(ks, id, &a);
	ok(again == id && a.mode == (S_IFREG | 0600) && keyspace_next_expiry(ks) == INT64_MAX, "keeps the mode, clears the expiry");
	is(loader_write(&l, "new", 3, 10, "", 0, NULL), 0, "an empty write makes the key");
	ok(holds("new", ""), "and does not grow it");
	ok(set("empty", "", NULL) == 0 && holds("empty", ""), "an empty value");
	is(loader_resize(&l, "a/b/c", 5, 2), 0, "resize");
	ok(holds("a/b/c", "th"), "cut");
	is(loader_resize(&l, "none", 4, 2), -ENOENT, "nothing to resize");
	is(loader_write(&l, "a/b/c", 5, 1 << 20, "x", 1, NULL), -EFBIG, "a value over the limit");
	is(set("a/b", "x", NULL), -EISDIR, "a directory has no value");
	is(set("a/b/c/d", "x", NULL), -ENOTDIR, "a value has no keys below");
	is(loader_expire(&l, dir, 5), -EISDIR, "a directory does not expire");
	is(loader_remove(&l, "a", 1), -ENOTEMPTY, "a directory with something in it stays");
	is(loader_remove(&l, "a/b/c", 5), 0, "remove");
	ok(loader_remove(&l, "a/b", 3) == 0 && loader_remove(&l, "a", 1) == 0, "empty directories go too");
	is(find("a/b", &id), -ENOENT, "nothing there");
	ok(find("", &id) == 0 && id == KEYSPACE_ROOT, "the empty key finds the root");
	is(set("a/b/x", "back", NULL), 0, "the directory is made again");
	loader_clear(&l);
}

static void test_places(void)
{
	struct usage u;
	uint64_t id, link;

	set("d/k", "v", &id);
	loader_expire(&l, id, 12345);
	is(loader_copy(&l, "d/k", 3, "e/copy", 6), 0, "copy");
	find("e/copy", &link);
	keyspace_lock(ks);
	ok(keyspace_expiry_locked(ks, link) == 12345 && keyspace_value_locked(ks, link) == keyspace_value_locked(ks, id),
	   "shares the value, has the expiry");
	keyspace_unlock(ks);
	loader_write(&l, "d/k", 3, 0, "w", 1, NULL);
	ok(holds("e/copy", "v") && holds("d/k", "w"), "a change of one is none of the other");
	is(loader_copy(&l, "d/k", 3, "d/k", 3), 0, "copy to itself");
	is(move("d", "x/y/z", 0), 0, "a directory moves");
	ok(holds("x/y/z/k", "w") && find("d", &id) == -ENOENT, "with what is below");
	is(set("d/k", "fresh", NULL), 0, "its old key is new");
	ok(holds("x/y/z/k", "w"), "and the other its own");
	is(move("x", "x/y/q/r", 0), -EINVAL, "not into itself");
	is(move("nothing", "n", 0), -ENOENT, "nothing to move");
	is(move("d/k", "e/copy", RENAME_NO_REPLACE), -EEXIST, "no replace");
	is(move("d/k", "e/copy", RENAME_SWAP), 0, "swap");
	ok(holds("d/k", "v") && holds("e/copy", "fresh"), "swapped");
	is(loader_symlink(&l, "s/link", 6, "target", 6, &link), 0, "a link");
	is(set("s/link", "x", NULL), -EEXIST, "has no value of its own");
	is(set("s/link/below", "x", NULL), -ENOTDIR, "and nothing below");
	is(loader_mkdir(&l, "s/link", 6, &id), -EEXIST, "and is no directory");
	is(loader_remove(&l, "s/link", 6), 0, "it goes");
	ok(loader_mkdir(&l, "m/n", 3, &id) == 0 && loader_mkdir(&l, "m/n", 3, &link) == 0 && id == link, "mkdir, twice the same");
	ok(loader_mkdir(&l, "", 0, &id) == 0 && id == KEYSPACE_ROOT, "the root");
	loader_clear(&l);
	keyspace_usage(ks, &u);
	ok(u.keys == 0 && u.directories == 1 && u.symlinks == 0 && u.unlinked == 0 && u.expires == 0 && u.bytes_values == 0, "clear");
}

static void test_full(void)
{
	static char big[600000];
	struct usage u;

	close_both();
	open_both(1000000);
	is(loader_set(&l, "k", 1, big, sizeof big, NULL), 0, "a value");
	is(loader_set(&l, "k", 1, big, sizeof big, NULL), 0, "takes its own place");
	is(loader_set(&l, "other", 5, big, sizeof big, NULL), -ENOSPC, "two are too many");
	keyspace_usage(ks, &u);
	is((int64_t)u.keys, 1, "and no empty key stays");
}

static int script(int i)
{
	static char value[40000];
	uint64_t id;

	switch (i) {
	case 0: return loader_presize(&l, 30000);
	case 1: return set("a/long directory name of the first/b", "1", NULL);
	case 2: return loader_set(&l, "a/c", 3, value, sizeof value, NULL);
	case 3: return loader_write(&l, "a/c", 3, 80000, value, sizeof value, NULL);
	case 4: return loader_copy(&l, "a/c", 3, "a/copy", 6);
	case 5: return loader_write(&l, "a/copy", 6, 3, "x", 1, NULL);
	case 6: return loader_resize(&l, "a/c", 3, 70000);
	case 7: return move("a/c", "b/a name which is longer than it was", 0);
	case 8: return loader_symlink(&l, "b/link", 6, value, 100, &id);
	case 9: return loader_mkdir(&l, "x/y/z", 5, &id);
	case 10: return find("a/copy", &id) || loader_expire(&l, id, 9);
	case 11: return loader_remove(&l, "a/copy", 6);
	default: return 1;
	}
}

static uint64_t sum_of_values(void)
{
	struct usage u;
	keyspace_usage(ks, &u);
	return u.bytes_values;
}

static int add_value(void *ctx, const char *suffix, size_t len, const struct attr *a)
{
	(void)suffix, (void)len;
	*(uint64_t *)ctx += S_ISDIR(a->mode) ? 0 : value_memory(keyspace_value_locked(ks, a->id), a->size);
	return 0;
}

static void test_no_memory(void)
{
	uint64_t values, k;
	int failures = 0, err = 0;
	bool right = true;

	close_both();
	open_both(0);
	for (int i = 0; err != 1 && right; i++) {
		for (k = 1;; k++) {
			malloc_fail_at(k);
			err = script(i);
			bool failed = malloc_fail_end();
			keyspace_lock(ks);
			values = 0;
			right &= keyspace_walk_locked(ks, KEYSPACE_ROOT, add_value, &values) == 0;
			keyspace_unlock(ks);
			right &= values == sum_of_values();
			if (!failed)
				break;
			failures++;
			right &= err != 0;
		}
		right &= err >= 0;
	}
	ok(right && failures > 20, "%d failures: values stay counted", failures);
	ok(holds("a/long directory name of the first/b", "1"), "and everything got done at last");
}

int main(void)
{
	diag("the first line takes stdio's buffer");
	uint64_t base = malloc_live();
	open_both(0);
	test_keys();
	test_values();
	test_places();
	test_full();
	test_no_memory();
	close_both();
	is((int64_t)(malloc_live() - base), 0, "nothing leaks");
	return tap_end();
}
