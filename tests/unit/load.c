/* The loader puts keys where their paths say, and a value beside a directory of its name whichever came first; makes what is missing; and
 * leaves nothing half done without memory.                                                                                                                     */
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

/* Everything in the tree, by path, in any order: "path=value;" for values, "path/;" and "path@;" for directories and links. */
static char shown[4000];

static int show_one(void *ctx, const char *suffix, size_t len, const struct attr *a)
{
	size_t at = strlen(shown);

	(void)ctx;
	at += (size_t)snprintf(shown + at, sizeof shown - at, "%.*s%s", (int)len, suffix, S_ISREG(a->mode) ? "=" : S_ISDIR(a->mode) ? "/" : "@");
	if (S_ISREG(a->mode) && a->size) {
		value_copy_out(keyspace_value_locked(ks, a->id), a->size, 0, shown + at, a->size);
		at += a->size;
	}
	memcpy(shown + at, ";", 2);
	return 0;
}

/* Whether the tree has exactly these entries: WANT as shown, each once, COUNT of them. */
static bool tree_is(int count, const char *const *want)
{
	bool same = true;
	size_t len = 0;

	shown[0] = '\0';
	keyspace_lock(ks);
	keyspace_walk_locked(ks, KEYSPACE_ROOT, show_one, NULL);
	keyspace_unlock(ks);
	for (int i = 0; i < count; i++) {
		const char *at = strstr(shown, want[i]);
		len += strlen(want[i]);
		same &= at && (at == shown || at[-1] == ';');
	}
	same &= len == strlen(shown);
	if (!same)
		diag("the tree: %s", shown);
	return same;
}

#define TREE(...) tree_is(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(const char *), (const char *const[]){ __VA_ARGS__ })

static void test_keys(void)
{
	static char longest[65536 + 255];
	uint64_t id;

	ok(set("", "1", NULL) == 0 && set("/a", "2", NULL) == 0 && set("a/", "3", NULL) == 0 && set("a//b", "4", NULL) == 0 &&
	   set(".", "5", NULL) == 0 && set("../x", "6", NULL) == 0 && loader_set(&l, "a\0b", 3, "7", 1, NULL) == 0 &&
	   set(".%x", "8", NULL) == 0 && set("x%", "9", NULL) == 0, "keys that are no path");
	ok(TREE(".%%=" "=1;", ".%/;", ".%/a=2;", "a/;", "a/.%%==3;", "a/.%/;", "a/.%/b=4;", ".%.=5;", ".%../;", ".%../x=6;", ".%a%00b=7;",
	        ".%.%25x=8;", "x%=9;"), "have one");
	ok(holds("", "1") && holds("a/", "3") && holds("a//b", "4") && holds(".%x", "8"), "and are found");
	is(loader_find_value(&l, ".%.%25x", 7, &id), -ENOENT, "a path is no key");
	loader_clear(&l);
	memset(longest, 'k', sizeof longest);
	ok(loader_set(&l, longest, 255, "x", 1, &id) == 0 && loader_find(&l, longest, 255, &id) == 0, "a part of 255 bytes is a name");
	ok(loader_set(&l, longest, 256, "x", 1, NULL) == 0 && loader_find(&l, longest, 256, &id) == -EINVAL, "a part of 256 bytes is none");
	for (int i = 255; i < 65536; i += 256)
		longest[i] = '/';
	is(loader_set(&l, longest, 65535, "deep", 4, NULL), 0, "the longest key");
	is(loader_set(&l, longest, 65536, "x", 1, NULL), -EINVAL, "a longer one");
	is_text(l.why, "is too long: its path would have more than 65535 bytes", "and why");
	memset(longest, 0, 22000);
	is(loader_set(&l, longest, 22000, "x", 1, NULL), -EINVAL, "a shorter one whose path is longer");
	loader_clear(&l);
}

/* A value and a directory of one name, in each order. */
static void test_both(void)
{
	static const char *const orders[][3] = { { "a", "a/b", "a/b/c" }, { "a/b/c", "a/b", "a" }, { "a/b", "a", "a/b/c" }, { "a/b", "a/b/c", "a" } };
	uint64_t id, again;

	for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
		int err = 0;
		for (int k = 0; k < 3; k++)
			err |= set(orders[i][k], orders[i][k], NULL);
		ok(!err && TREE("a/;", ".%a=a;", "a/b/;", "a/.%b=a/b;", "a/b/c=a/b/c;"), "%s, %s, %s: the same tree", orders[i][0], orders[i][1],
		   orders[i][2]);
		loader_clear(&l);
	}
	ok(set("a", "1", &id) == 0 && loader_expire(&l, id, 77) == 0 && set("a/b", "2", NULL) == 0, "a value gives way to a directory");
	ok(loader_find_value(&l, "a", 1, &again) == 0 && again == id && keyspace_next_expiry(ks) == 77, "it is the same, with its time");
	ok(loader_write(&l, "a", 1, 1, "x", 1, NULL) == 0 && holds("a", "1x"), "and found by its key");
	ok(loader_move(&l, "a", 1, "a/b", 3) == 0 && TREE("a/;", "a/b=1x;"), "it moves over another");
	ok(loader_move(&l, "a/b", 3, "a", 1) == 0 && TREE("a/;", ".%a=1x;"), "and back");
	ok(loader_copy(&l, "a", 1, "a//", 3) == 0 && loader_delete(&l, "a", 1) == 0 && TREE("a/;", "a/.%/;", "a/.%/.%=1x;"), "copy, delete");
	is(loader_delete(&l, "a", 1), -ENOENT, "it is gone");
	loader_clear(&l);
	ok(set("x", "1", NULL) == 0 && loader_move(&l, "x", 1, "x/y", 3) == 0 && TREE("x/;", "x/y=1;"), "a key moves below itself");
	loader_clear(&l);

	ok(loader_mkdir(&l, "d", 1, &id) == 0 && set("d", "1", NULL) == 0 && TREE("d/;", ".%d=1;"), "an empty directory stays");
	loader_clear(&l);
	l.displace = true;
	ok(loader_mkdir(&l, "d", 1, &id) == 0 && set("d", "1", NULL) == 0 && TREE("d=1;"), "unless the change is Redis's");
	ok(loader_symlink(&l, "s", 1, "t", 1, &id) == 0 && set("s", "2", NULL) == 0 && TREE("d=1;", "s@;", ".%s=2;"), "a value beside a link");
	ok(l.links_gone == 0 && set("s/k", "3", NULL) == 0 && TREE("d=1;", "s/;", "s/k=3;", ".%s=2;") && l.links_gone == 1,
	   "a link gives way to a directory");
	l.displace = false;
	loader_clear(&l);
	ok(set("s", "1", NULL) == 0 && loader_symlink(&l, "s", 1, "t", 1, &id) == 0 && TREE("s@;", ".%s=1;"), "a value gives way to a link");
	is(set("s/k", "2", NULL), -ENOTDIR, "a link of ours stays");
	loader_clear(&l);
	ok(set("b", "1", NULL) == 0 && loader_set_beside(&l, "b", 1) == 0 && TREE(".%b=1;") && loader_set_beside(&l, "b", 1) == 0 &&
	   set("b", "2", NULL) == 0 && TREE(".%b=2;"), "beside nothing, when a file says so");
	is(loader_mkdir(&l, ".%b", 3, &id), -EINVAL, "no directory is there");
	is(loader_symlink(&l, ".%b", 3, "t", 1, &id), -EEXIST, "nor a link");
	is(loader_mkdir(&l, ".%%41", 5, &id), -EINVAL, "nor has one a name that is no key's");
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
	is(loader_resize(&l, id, 2), 0, "resize");
	ok(holds("a/b/c", "th"), "cut");
	is(loader_resize(&l, dir, 2), -EISDIR, "a directory has no size");
	is(loader_write(&l, "a/b/c", 5, 1 << 20, "x", 1, NULL), -EFBIG, "a value over the limit");
	is(loader_expire(&l, dir, 5), -EISDIR, "a directory does not expire");
	ok(set("old", "x", &id) == 0 && loader_expire(&l, id, 1) == 0, "a key whose time is over long since");
	is(loader_rename(&l, "old", 3, "older", 5, 0), 0, "is there for a log that renames it");
	is(loader_remove(&l, "older", 5), 0, "and for one that removes it");
	is(loader_remove(&l, "a", 1), -ENOTEMPTY, "a directory with something in it stays");
	is(loader_remove(&l, "a/b/c", 5), 0, "remove");
	ok(loader_remove(&l, "a/b", 3) == 0 && loader_remove(&l, "a", 1) == 0, "empty directories go too");
	is(find("a/b", &id), -ENOENT, "nothing there");
	ok(find("", &id) == 0 && id == KEYSPACE_ROOT, "the empty key finds the root");
	is(set("a/b/x", "back", NULL), 0, "the directory is made again");
	loader_clear(&l);
}

static void test_copy_of_large(void)
{
	static char large[VALUE_CHUNK * 3];
	uint64_t id, copy = 0, before;

	loader_set(&l, "large", 5, large, sizeof large, &id);
	before = value_mapped_bytes();
	ok(loader_copy(&l, "large", 5, "again", 5) == 0 && find("again", &copy) == 0, "copy of a large value");
	keyspace_lock(ks);
	ok(keyspace_value_locked(ks, copy) == keyspace_value_locked(ks, id) && value_mapped_bytes() == before, "shares it and takes no memory");
	keyspace_unlock(ks);
	loader_clear(&l);
	is((int64_t)value_mapped_bytes(), 0, "and goes with the last");
}

static void test_places(void)
{
	struct usage u;
	struct attr a;
	uint64_t id, link;

	set("d/k", "v", &id);
	loader_expire(&l, id, 12345);
	is(loader_copy(&l, "d/k", 3, "e/copy", 6), 0, "copy");
	find("e/copy", &link);
	keyspace_lock(ks);
	ok(keyspace_expiry_locked(ks, link) == 12345 && keyspace_value_locked(ks, link) != keyspace_value_locked(ks, id),
	   "has its own bytes, and the expiry");
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
	is(set("s/link/below", "x", NULL), -ENOTDIR, "and nothing below");
	is(loader_mkdir(&l, "s/link", 6, &id), -EEXIST, "and is no directory");
	is(loader_remove(&l, "s/link", 6), 0, "it goes");
	is(loader_special(&l, "s/null", 6, S_IFCHR | 0666, 0x103, &link), 0, "a device");
	ok(keyspace_getattr(ks, link, &a) == 0 && a.mode == (S_IFCHR | 0666) && a.rdev == 0x103 && a.size == 0 && a.nlink == 1, "as it was made");
	is(loader_special(&l, "s/null", 6, S_IFIFO | 0666, 0, &id), -EEXIST, "once");
	is(loader_special(&l, "s/pipe", 6, S_IFIFO | 0600, 7, &id), 0, "a FIFO");
	ok(keyspace_getattr(ks, id, &a) == 0 && a.mode == (S_IFIFO | 0600) && a.rdev == 0, "which has no number");
	is(loader_special(&l, "s/dir", 5, S_IFDIR | 0600, 7, &id), -EPERM, "nothing else");
	is(set("s/null/below", "x", NULL), -ENOTDIR, "and nothing below");
	keyspace_usage(ks, &u);
	is((int64_t)u.specials, 2, "counted");
	is(move("s/pipe", "s/null", 0), 0, "one over the other");
	ok(loader_mkdir(&l, "m/n", 3, &id) == 0 && loader_mkdir(&l, "m/n", 3, &link) == 0 && id == link, "mkdir, twice the same");
	ok(loader_mkdir(&l, "", 0, &id) == 0 && id == KEYSPACE_ROOT, "the root");
	loader_clear(&l);
	keyspace_usage(ks, &u);
	ok(u.keys == 0 && u.directories == 1 && u.symlinks == 0 && u.specials == 0 && u.unlinked == 0 && u.expires == 0 && u.bytes_values == 0, "clear");
}

/* Telling of keys changes nothing, whatever they look like and whether they ever come. */
static void test_expected(void)
{
	static const char *const keys[] = { "", "/", "//", "a//b", ".", "../x", "e1", "e2/b", "e2/b/c", "e2/b/c/", "e1/below a value", "never" };
	char long_part[300];
	struct usage before, after;

	memset(long_part, 'x', sizeof long_part);
	set("e1", "1", NULL);
	keyspace_usage(ks, &before);
	for (int round = 0; round < 100; round++) {
		for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
			loader_expect(&l, keys[i], strlen(keys[i]));
		loader_expect(&l, long_part, sizeof long_part);
	}
	keyspace_usage(ks, &after);
	ok(memcmp(&before, &after, sizeof before) == 0, "expecting keys makes none");
	ok(set("e2/b", "2", NULL) == 0 && holds("e2/b", "2") && holds("e1", "1") && set("e1/below a value", "", NULL) == 0 && holds("e1", "1"),
	   "and their places are what they were");
	loader_clear(&l);
}

static void test_full(void)
{
	static char big[600000];
	struct usage u;

	close_both();
	open_both(1000000);
	memset(big, 'x', sizeof big);
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
	case 6: return find("a/c", &id) || loader_resize(&l, id, 70000);
	case 7: return move("a/c", "b/a name which is longer than it was", 0);
	case 8: return loader_symlink(&l, "b/link", 6, value, 100, &id);
	case 9: return loader_mkdir(&l, "x/y/z", 5, &id);
	case 10: return find("a/copy", &id) || loader_expire(&l, id, 9);
	case 11: return set("a/copy/below", "1", NULL);
	case 12: return loader_move(&l, "a/long directory name of the first/b", 36, "//", 2);
	case 13: return loader_delete(&l, "a/copy", 6);
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
	*(uint64_t *)ctx += S_ISDIR(a->mode) ? 0 : value_flat_memory(keyspace_value_locked(ks, a->id), a->size);
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
			right &= values + value_mapped_bytes() == sum_of_values();
			if (!failed)
				break;
			failures++;
			right &= err != 0;
		}
		right &= err >= 0;
	}
	ok(right && failures > 20, "%d failures: values stay counted", failures);
	ok(holds("//", "1"), "and everything got done at last");
}

int main(void)
{
	diag("the first line takes stdio's buffer");
	uint64_t base = malloc_live();
	open_both(0);
	test_keys();
	test_both();
	test_values();
	test_copy_of_large();
	test_places();
	test_expected();
	test_full();
	test_no_memory();
	close_both();
	is((int64_t)(malloc_live() - base), 0, "nothing leaks");
	return tap_end();
}
