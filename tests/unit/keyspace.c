/* The rules of keyspace.h, case by case: which errno, which times and owners, what expires when, what a full keyspace refuses; and that
 * every operation happens whole or not at all when the k-th allocation fails, for each k.                                             */
#include "store/keyspace.h"
#include "store/observer.h"
#include "tests/lib/malloc_fail.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { ROOT = KEYSPACE_ROOT, VALUE_MAX = 32 << 20, MS = 1000000 };

static struct op op = { .uid = 10, .gid = 20, .now_ns = 1000 * (int64_t)MS };
static char data[200000];

static struct keyspace *new_keyspace(void)
{
	struct keyspace_options o = { .value_max = VALUE_MAX, .root_uid = 1, .root_gid = 2, .root_mode = 0751, .now_ns = 5 };
	struct keyspace *ks = NULL;

	op.now_ns = 1000 * (int64_t)MS;
	return keyspace_new(&o, &ks) == 0 ? ks : NULL;
}

static int mknod_in(struct keyspace *ks, uint64_t dir, const char *name, struct attr *a)
{
	return keyspace_mknod(ks, &op, dir, name, strlen(name), S_IFREG | 0644, a);
}

static int mkdir_in(struct keyspace *ks, uint64_t dir, const char *name, struct attr *a)
{
	return keyspace_mkdir(ks, &op, dir, name, strlen(name), 0755, a);
}

static int rename_in(struct keyspace *ks, uint64_t dir, const char *name, uint64_t new_dir, const char *new_name, unsigned flags)
{
	return keyspace_rename(ks, &op, dir, name, strlen(name), new_dir, new_name, strlen(new_name), flags);
}

static int unlink_in(struct keyspace *ks, uint64_t dir, const char *name)
{
	return keyspace_unlink(ks, &op, dir, name, strlen(name));
}

static int lookup_in(struct keyspace *ks, uint64_t dir, const char *name, struct attr *a)
{
	return keyspace_lookup(ks, dir, name, strlen(name), op.now_ns, a);
}

static void test_names(struct keyspace *ks)
{
	char longest[256];
	struct attr a, d;

	memset(longest, 'n', sizeof longest);
	is(keyspace_mknod(ks, &op, ROOT, longest, 256, S_IFREG, &a), -ENAMETOOLONG, "a name of 256 bytes");
	is(keyspace_lookup(ks, ROOT, longest, 256, 0, &a), -ENAMETOOLONG, "looked up");
	is(keyspace_unlink(ks, &op, ROOT, longest, 256), -ENAMETOOLONG, "removed");
	is(keyspace_mknod(ks, &op, ROOT, longest, 255, S_IFREG, &a), 0, "a name of 255 bytes");
	is(keyspace_mknod(ks, &op, ROOT, "", 0, S_IFREG, &a), -ENOENT, "an empty name");
	is(keyspace_mknod(ks, &op, ROOT, "a/b", 3, S_IFREG, &a), -EINVAL, "a slash in a name");
	is(keyspace_mknod(ks, &op, ROOT, "a\0b", 3, S_IFREG, &a), -EINVAL, "a NUL in a name");
	is(mkdir_in(ks, ROOT, "..", &a), -EEXIST, "dots");
	is(keyspace_mknod(ks, &op, ROOT, "p", 1, S_IFIFO | 0644, &a), -EPERM, "a pipe");
	is(keyspace_symlink(ks, &op, ROOT, "l", 1, "", 0, &a), -ENOENT, "a link to nothing");
	is(keyspace_symlink(ks, &op, ROOT, "l", 1, data, 4096, &a), -ENAMETOOLONG, "a link too long");
	is(keyspace_symlink(ks, &op, ROOT, "l", 1, data, 4095, &a), 0, "the longest link");
	is(mknod_in(ks, a.id, "x", &a), -ENOTDIR, "below a link");
	is(mkdir_in(ks, ROOT, "gone", &d), 0, "mkdir");
	is(keyspace_rmdir(ks, &op, ROOT, "gone", 4), 0, "rmdir");
	is(mknod_in(ks, d.id, "x", &a), -ENOENT, "in a directory that is gone");
	is(lookup_in(ks, d.id, "x", &a), -ENOENT, "looked up there");
	keyspace_forget(ks, d.id, 1);
	is(mknod_in(ks, d.id, "x", &a), -ESTALE, "in one that is forgotten");
	is(keyspace_getattr(ks, 0, &a), -ESTALE, "node 0");
	is(keyspace_getattr(ks, UINT64_MAX, &a), -ESTALE, "a node that never was");
}

/* The directory DEPTH below the root, all named alike. */
static uint64_t parent_of(struct keyspace *ks, int depth, const char *part)
{
	struct attr a = { .id = ROOT };

	while (depth-- > 0)
		if (keyspace_lookup(ks, a.id, part, 255, 0, &a) != 0)
			return 0;
	return a.id;
}

static void test_key_length(struct keyspace *ks)
{
	char part[256];
	struct attr d = { .id = ROOT }, a;
	int depth = 0;

	memset(part, 'd', sizeof part);
	while (keyspace_mkdir(ks, &op, d.id, part, 255, 0755, &a) == 0) {
		d = a;
		depth++;
	}
	is(depth, (KEYSPACE_KEY_MAX + 1) / 256, "directories down to the longest key");
	is(keyspace_mknod(ks, &op, d.id, part, 255, S_IFREG, &a), -ENAMETOOLONG, "a key too long");
	is(mkdir_in(ks, ROOT, "short", &a), 0, "mkdir");
	is(keyspace_rename(ks, &op, ROOT, part, 255, a.id, "x", 1, 0), 0, "a rename that makes keys shorter");
	is(keyspace_rename(ks, &op, a.id, "x", 1, ROOT, part, 255, 0), 0, "and back");
	is(keyspace_rename(ks, &op, ROOT, part, 255, a.id, part, 255, 0), -ENAMETOOLONG, "six bytes longer is too long for what is below");
	is(keyspace_unlink(ks, &op, d.id, part, 255), -ENOENT, "which is empty");
	d.id = parent_of(ks, depth - 1, part);
	is(keyspace_rmdir(ks, &op, d.id, part, 255), 0, "and goes");
	is(keyspace_rename(ks, &op, ROOT, part, 255, a.id, part, 255, 0), 0, "then it is not");
	is(keyspace_rename(ks, &op, ROOT, "short", 5, ROOT, part, 255, 0), 0, "nor are 250 more bytes");
	is(keyspace_mkdir(ks, &op, d.id, "x", 1, 0755, &a), -ENAMETOOLONG, "that was the longest");
}

static void test_owners(struct keyspace *ks)
{
	struct attr_change c = { .mask = ATTR_MODE | ATTR_GID, .mode = 02775, .gid = 99 };
	struct attr a, d;

	mknod_in(ks, ROOT, "mine", &a);
	ok(a.uid == 10 && a.gid == 20 && a.mode == (S_IFREG | 0644) && a.nlink == 1 && a.mtime_ns == op.now_ns, "a new file's attributes");
	mkdir_in(ks, ROOT, "team", &d);
	is(keyspace_setattr(ks, &op, d.id, &c, &d), 0, "setgid");
	mknod_in(ks, d.id, "file", &a);
	ok(a.gid == 99 && !(a.mode & S_ISGID), "a file takes the group of a setgid directory");
	mkdir_in(ks, d.id, "sub", &a);
	ok(a.gid == 99 && (a.mode & S_ISGID), "a directory its bit too");
	c = (struct attr_change){ .mask = ATTR_SIZE, .size = 1 };
	is(keyspace_setattr(ks, &op, d.id, &c, &a), -EISDIR, "a directory's size");
	keyspace_symlink(ks, &op, ROOT, "link", 4, "t", 1, &a);
	is(keyspace_setattr(ks, &op, a.id, &c, &a), -EINVAL, "a link's size");
	mknod_in(ks, ROOT, "big", &a);
	c.size = VALUE_MAX + 1ull;
	is(keyspace_setattr(ks, &op, a.id, &c, &a), -EFBIG, "a size over the limit");
	is(keyspace_write(ks, &op, a.id, VALUE_MAX, data, 1), -EFBIG, "a write over the limit");
	is(keyspace_write(ks, &op, a.id, UINT64_MAX - 5, data, 100), -EFBIG, "a write that wraps around");
	is(keyspace_write(ks, &op, a.id, VALUE_MAX - 1, data, 1), 0, "a write up to the limit");
	is(keyspace_write(ks, &op, d.id, 0, data, 1), -EISDIR, "a write to a directory");
}

static int64_t atime(struct keyspace *ks, uint64_t id, int64_t now_ns, enum atime_rule rule)
{
	struct attr a;

	keyspace_accessed(ks, id, now_ns, rule);
	return keyspace_getattr(ks, id, &a) == 0 ? a.atime_ns : -1;
}

static void test_access(struct keyspace *ks)
{
	const int64_t tick = INT64_C(1) << KEYSPACE_ATIME_SHIFT, day = (INT64_C(24) * 3600 * 1000000000 / tick + 1) * tick;
	const int64_t t = keyspace_atime_at(op.now_ns) + 9 * tick;
	struct attr_change c = { .mask = ATTR_ATIME | ATTR_CTIME, .atime_ns = INT64_MIN, .ctime_ns = t };
	struct attr a;

	mknod_in(ks, ROOT, "read", &a);
	ok(a.atime_ns == keyspace_atime_at(op.now_ns) && a.mtime_ns == op.now_ns && a.ctime_ns == op.now_ns, "what is new has the clock's times");
	is(atime(ks, a.id, t, ATIME_NEVER), keyspace_atime_at(a.mtime_ns), "noatime");
	is(atime(ks, a.id, t + 1, ATIME_RELATIVE), t, "the first read of what was written");
	is(atime(ks, a.id, t + day - tick, ATIME_RELATIVE), t, "the second");
	is(atime(ks, a.id, t + 5 * tick + 3, ATIME_ALWAYS), t + 5 * tick, "strictatime");
	is(atime(ks, a.id, t + 5 * tick + day, ATIME_RELATIVE), t + 5 * tick + day, "a day later");
	c.ctime_ns = t + 5 * tick + day;
	is(keyspace_setattr(ks, &op, a.id, &c, &a), 0, "an atime as old as can be");
	is(a.atime_ns, INT64_MIN, "is kept to the nanosecond");
	is(atime(ks, a.id, t, ATIME_RELATIVE), t, "is older than a day");
	is(atime(ks, a.id, t + tick, ATIME_RELATIVE), t + tick, "ctime is later");
	is(atime(ks, a.id + 1, t, ATIME_ALWAYS), -1, "no such node");
	mknod_in(ks, ROOT, "soon", &a);
	is(atime(ks, a.id, op.now_ns + 1, ATIME_RELATIVE), op.now_ns + 1, "a read a moment after the write is later than it");
	is(atime(ks, a.id, op.now_ns + 2, ATIME_RELATIVE), op.now_ns + 1, "so that a second one is none");
	keyspace_mkdir(ks, &op, ROOT, "list", 4, 0755, &a);
	is(atime(ks, a.id, t, ATIME_RELATIVE), t, "a directory");
}

static void test_unlinked(struct keyspace *ks)
{
	struct attr a, again;
	struct value *v;
	struct usage u;
	uint64_t size;

	mknod_in(ks, ROOT, "open", &a);
	unlink_in(ks, ROOT, "open");
	is(keyspace_write(ks, &op, a.id, 100, data, 50), 0, "an unlinked file is written");
	ok(keyspace_get_value(ks, a.id, &v, &size) == 0 && size == 150, "and read");
	value_unref(v);
	is(keyspace_expire_at(ks, &op, a.id, 5, NULL), -ENOENT, "but does not expire");
	keyspace_usage(ks, &u);
	ok(u.unlinked == 1 && u.keys == 0 && u.bytes_values > 0, "it is counted as unlinked");
	keyspace_forget(ks, a.id, 1);
	keyspace_usage(ks, &u);
	ok(u.unlinked == 0 && u.bytes_values == 0, "forgotten it is gone");
	mknod_in(ks, ROOT, "next", &again);
	ok((uint32_t)again.id == (uint32_t)a.id && again.id != a.id, "its slot is used again with another generation");
	is(keyspace_getattr(ks, a.id, &again), -ESTALE, "the old id finds nothing");
}

static int count_entries(void *ctx, const char *name, size_t len, uint64_t cookie, const struct attr *a)
{
	(void)name, (void)len, (void)cookie, (void)a;
	++*(int *)ctx;
	return 0;
}

static void test_expiry(struct keyspace *ks)
{
	static struct keyspace_place gone[600];
	struct attr a, b, d;
	char name[20];
	bool end;
	int n = 0;

	mknod_in(ks, ROOT, "k", &a);
	is(keyspace_expire_at(ks, &op, a.id, 1001, NULL), 0, "expire");
	is(keyspace_next_expiry(ks), 1001, "the next expiry");
	is(lookup_in(ks, ROOT, "k", &b), 0, "not yet over");
	op.now_ns = 1001 * (int64_t)MS;
	is(lookup_in(ks, ROOT, "k", &b), -ENOENT, "over at its millisecond");
	is(rename_in(ks, ROOT, "k", ROOT, "k", RENAME_NO_REPLACE), -ENOENT, "then there is nothing to rename");
	is(mknod_in(ks, ROOT, "k", &b), 0, "a new one takes its place");
	ok(b.id != a.id && keyspace_next_expiry(ks) == INT64_MAX, "without expiry");
	keyspace_expire_at(ks, &op, b.id, 1002, NULL);
	op.now_ns = 1005 * (int64_t)MS;
	mkdir_in(ks, ROOT, "d", &d);
	is(rename_in(ks, ROOT, "d", ROOT, "k", 0), 0, "an expired key is not in a directory's way");
	mknod_in(ks, ROOT, "s", &a);
	keyspace_expire_at(ks, &op, a.id, 2000, NULL);
	struct attr_change c = { .mask = ATTR_SIZE, .size = 0 };
	keyspace_setattr(ks, &op, a.id, &c, &a);
	is(keyspace_next_expiry(ks), INT64_MAX, "a cut to 0 clears the expiry");
	is(keyspace_expire_at(ks, &op, d.id, 2000, NULL), -EISDIR, "a directory does not expire");
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "%d", i);
		mknod_in(ks, d.id, name, &a);
		if (i != 999)
			keyspace_expire_at(ks, &op, a.id, 1010 + i % 7, NULL);
	}
	op.now_ns = 2000 * (int64_t)MS;
	ok(keyspace_readdir(ks, d.id, 0, false, 10, op.now_ns, count_entries, &n, &end) == 0 && n == 3, "a scan passes expired keys");
	is(keyspace_expire_due(ks, &op, 600, gone), 600, "at most so many at once");
	is(keyspace_expire_due(ks, &op, 600, gone), 399, "then the rest");
	is(keyspace_expire_due(ks, &op, 600, gone), 0, "then none");
	ok(gone[0].parent == d.id && gone[0].known && gone[0].len > 0, "each was told");
}

static void test_full(struct keyspace *ks)
{
	struct usage before, after;
	struct attr a;
	int64_t err = 0;

	mknod_in(ks, ROOT, "v", &a);
	keyspace_write(ks, &op, a.id, 0, data, 100000);
	keyspace_usage(ks, &before);
	keyspace_set_memory_max(ks, before.bytes_total - before.bytes_idle + 5000);
	for (uint64_t at = 1 << 20; at < VALUE_MAX - 1; at += 1 << 20)
		err += keyspace_write(ks, &op, a.id, at, data, 1);
	is(err, 31 * -ENOSPC, "a full keyspace refuses to fill holes");
	keyspace_usage(ks, &after);
	ok(after.bytes_values == before.bytes_values, "and they stay holes");
	is(keyspace_write(ks, &op, a.id, 50, data, 99000), 0, "what is there may be overwritten");
	for (int i = 0; err != -ENOSPC && i < 100000; i++) {
		char name[20];
		snprintf(name, sizeof name, "%d", i);
		err = mknod_in(ks, ROOT, name, &a);
	}
	is(err, -ENOSPC, "no more keys either");
	is(unlink_in(ks, ROOT, "v"), 0, "removing always works");
	keyspace_set_memory_max(ks, 0);
	is(mknod_in(ks, ROOT, "w", &a), 0, "without the limit it goes on");
}

static int woken;
static void wake(void *ctx)
{
	(void)ctx;
	woken++;
}

static uint64_t used(struct keyspace *ks)
{
	struct usage u;

	keyspace_usage(ks, &u);
	return u.bytes_total - u.bytes_idle;
}

static uint64_t make_large(struct keyspace *ks, const char *name, uint64_t size)
{
	struct attr a;

	mknod_in(ks, ROOT, name, &a);
	for (uint64_t at = 0; at < size; at += sizeof data)
		if (keyspace_write(ks, &op, a.id, at, data, sizeof data) < 0)
			ok(false, "%s gets its bytes", name);
	keyspace_forget(ks, a.id, 1);
	return a.id;
}

/* What is large is freed by whoever is told to, and counts as free at once. */
static void test_reaper(struct keyspace *ks)
{
	enum { LARGE = 20 << 20, LITTLE = 2 << 20 };
	const struct attr_change less = { .mask = ATTR_SIZE, .size = VALUE_CHUNK * VALUE_LEAF_CHUNKS };
	uint64_t empty = used(ks), live;
	struct attr a;

	woken = 0;
	make_large(ks, "v", LARGE);
	live = malloc_live();
	unlink_in(ks, ROOT, "v");
	ok(live - malloc_live() > LARGE && used(ks) < empty + 100000, "without a reaper a large value is freed by who removes it");

	keyspace_set_reaper(ks, wake, NULL);
	make_large(ks, "v", LARGE);
	live = malloc_live();
	unlink_in(ks, ROOT, "v");
	ok(woken == 1 && live - malloc_live() < 10000, "with one it is not");
	ok(used(ks) < empty + 100000, "but counts as free");
	keyspace_reap(ks);
	ok(live - malloc_live() > LARGE && used(ks) < empty + 100000, "and is, when the reaper comes");

	uint64_t id = make_large(ks, "v", LARGE);
	live = malloc_live();
	is(keyspace_setattr(ks, &op, id, &less, &a), 0, "most of it is cut off");
	ok(woken == 2 && live - malloc_live() < 10000 && used(ks) < empty + less.size + 100000, "likewise what is cut off");
	keyspace_reap(ks);
	ok(live - malloc_live() > LARGE - less.size, "until the reaper comes");

	struct value *reader;
	uint64_t size;
	keyspace_get_value(ks, id, &reader, &size);
	unlink_in(ks, ROOT, "v");
	is(woken, 2, "what a reader holds is not to be freed");
	live = malloc_live();
	value_unref(reader);
	ok(live - malloc_live() > less.size, "but by the reader");

	make_large(ks, "v", LITTLE);
	live = malloc_live();
	unlink_in(ks, ROOT, "v");
	ok(woken == 2 && live - malloc_live() > LITTLE, "for less nobody is woken");

	make_large(ks, "v", LARGE);
	make_large(ks, "w", LITTLE);
	keyspace_set_memory_max(ks, used(ks) + 100000);
	id = make_large(ks, "x", 0);
	is(keyspace_write(ks, &op, id, 0, data, sizeof data), -ENOSPC, "a full keyspace");
	unlink_in(ks, ROOT, "v");
	is(keyspace_write(ks, &op, id, 0, data, sizeof data), 0, "has room as soon as a large value went");
	keyspace_set_memory_max(ks, 0);
	make_large(ks, "v", LARGE);
	unlink_in(ks, ROOT, "v");
	live = malloc_live();
	keyspace_set_reaper(ks, NULL, NULL);
	ok(live - malloc_live() > LARGE, "what a reaper leaves when it goes is freed");
	unlink_in(ks, ROOT, "w");
}

static void test_rename(struct keyspace *ks)
{
	struct attr a, b, d, e;

	mknod_in(ks, ROOT, "a", &a);
	mkdir_in(ks, ROOT, "d", &d);
	mkdir_in(ks, d.id, "e", &e);
	is(rename_in(ks, ROOT, "none", ROOT, "x", 0), -ENOENT, "nothing to rename");
	is(rename_in(ks, ROOT, "d", e.id, "x", 0), -EINVAL, "a directory into itself");
	is(rename_in(ks, ROOT, "a", ROOT, "d", 0), -EISDIR, "a file over a directory");
	is(rename_in(ks, ROOT, "d", ROOT, "a", 0), -ENOTDIR, "a directory over a file");
	is(rename_in(ks, ROOT, "a", ROOT, "d", RENAME_NO_REPLACE), -EEXIST, "no replace");
	is(rename_in(ks, ROOT, "a", ROOT, "x", RENAME_SWAP), -ENOENT, "swap with nothing");
	is(rename_in(ks, ROOT, "a", ROOT, "x", RENAME_SWAP | RENAME_NO_REPLACE), -EINVAL, "both flags");
	is(rename_in(ks, d.id, "e", ROOT, "d", RENAME_SWAP), -EINVAL, "swap with what is above");
	is(rename_in(ks, ROOT, "a", d.id, "e", RENAME_SWAP), 0, "a file and a directory swap");
	keyspace_getattr(ks, ROOT, &b);
	is(b.nlink, 4, "the root has two directories");
	keyspace_getattr(ks, d.id, &b);
	is(b.nlink, 2, "the other has none");
	ok(lookup_in(ks, d.id, "e", &b) == 0 && b.id == a.id, "the file stands in the directory's place");
	mkdir_in(ks, ROOT, "empty", &b);
	is(rename_in(ks, ROOT, "empty", ROOT, "d", 0), -ENOTEMPTY, "over a directory with something in it");
	is(rename_in(ks, ROOT, "d", ROOT, "empty", 0), 0, "over an empty one");
	keyspace_getattr(ks, ROOT, &b);
	is(b.nlink, 4, "one directory less");
}

/* ---- out of memory ---- */

struct digest { uint64_t sum; struct keyspace *ks; };

static void mix(struct digest *g, const void *p, size_t len)
{
	for (const unsigned char *c = p; len; c++, len--)
		g->sum = (g->sum ^ *c) * 0x100000001b3;
}

static int digest_visit(void *ctx, const char *suffix, size_t len, const struct attr *a)
{
	struct digest *g = ctx;
	const struct value *v = keyspace_value_locked(g->ks, a->id);
	char *bytes = data + sizeof data / 2;
	int64_t expiry = keyspace_expiry_locked(g->ks, a->id);

	mix(g, suffix, len);
	mix(g, a, sizeof *a);
	mix(g, &expiry, sizeof expiry);
	if (!S_ISDIR(a->mode)) {
		value_copy_out(v, a->size, 0, bytes, a->size);
		mix(g, bytes, a->size);
	}
	return 0;
}

/* Everything there is to see. */
static uint64_t digest(struct keyspace *ks)
{
	struct digest g = { .sum = 0xcbf29ce484222325, .ks = ks };
	struct usage u;
	struct attr root;

	keyspace_usage(ks, &u);
	u.bytes_total = u.bytes_idle = 0;      /* room made stays */
	mix(&g, &u, sizeof u);
	keyspace_getattr(ks, ROOT, &root);
	mix(&g, &root, sizeof root);
	keyspace_lock(ks);
	int err = keyspace_walk_locked(ks, ROOT, digest_visit, &g);
	keyspace_unlock(ks);
	return err ? 0 : g.sum;
}

static struct attr_change cut = { .mask = ATTR_SIZE };
static struct attr made[4];

static int script(struct keyspace *ks, int i)
{
	struct attr a;

	op.now_ns += MS;
	switch (i) {
	case 0: return mknod_in(ks, ROOT, "first", &made[0]);
	case 1: return keyspace_write(ks, &op, made[0].id, 0, data, 100);
	case 2: return keyspace_write(ks, &op, made[0].id, 90, data, 1000);
	case 3: return keyspace_write(ks, &op, made[0].id, 30000, data, 40000);
	case 4: return mkdir_in(ks, ROOT, "a directory with a name that is long", &made[1]);
	case 5: return mknod_in(ks, made[1].id, "a file with a name that is long too", &made[2]);
	case 6: return keyspace_write(ks, &op, made[2].id, 5, data, 17000);
	case 7: return keyspace_symlink(ks, &op, made[1].id, "link", 4, data, 300, &a);
	case 8: return keyspace_expire_at(ks, &op, made[2].id, 1 << 20, NULL);
	case 9: return rename_in(ks, ROOT, "first", made[1].id, "a second name longer than the first", 0);
	case 10: return mkdir_in(ks, made[1].id, "sub", &made[3]);
	case 11: return rename_in(ks, made[1].id, "link", made[3].id, "a link with a longer name, moved", 0);
	case 12: return cut.size = 50000, keyspace_setattr(ks, &op, made[0].id, &cut, &a);
	case 13: return cut.size = 500, keyspace_setattr(ks, &op, made[0].id, &cut, &a);
	case 14: return cut.size = 90000, keyspace_setattr(ks, &op, made[0].id, &cut, &a);
	case 15: return keyspace_write(ks, &op, made[0].id, 5000, data, 80000);
	case 16: return rename_in(ks, made[1].id, "a second name longer than the first", made[1].id, "a file with a name that is long too", 0);
	case 17: return rename_in(ks, made[1].id, "sub", ROOT, "a directory with a name that is long", RENAME_SWAP) == -EINVAL ? 0 : -EBADE;
	case 18: return unlink_in(ks, made[1].id, "a file with a name that is long too");
	default: return 1;
	}
}

static void test_no_memory(void)
{
	struct keyspace *ks = NULL;
	uint64_t base = malloc_live(), k = 0;
	int failures = 0, err = -ENOMEM;
	bool right = true;

	while (!ks) {
		malloc_fail_at(++k);
		ks = new_keyspace();
		right &= !ks == malloc_fail_end();
	}
	ok(right && k > 3, "no keyspace without memory");
	for (int i = 0; err != 1 && right; i++) {
		for (k = 1;; k++) {
			uint64_t before = digest(ks);
			malloc_fail_at(k);
			err = script(ks, i);
			if (!malloc_fail_end())
				break;
			failures++;
			right &= err == -ENOMEM && digest(ks) == before;
		}
		right &= err >= 0;
		if (!right)
			diag("step %d, allocation %" PRIu64 ": %d", i, k, err);
	}
	ok(right && failures > 20, "%d failures, each without trace", failures);
	keyspace_free(ks);
	is((int64_t)(malloc_live() - base), 0, "and without a leak");
}

int main(void)
{
	static void (*const tests[])(struct keyspace *) = {
		test_names, test_key_length, test_owners, test_access, test_unlinked, test_expiry, test_full, test_reaper, test_rename,
	};

	diag("the first line takes stdio's buffer");
	uint64_t base = malloc_live();
	memset(data, 'v', sizeof data);
	for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
		struct keyspace *ks = new_keyspace();
		tests[i](ks);
		keyspace_free(ks);
	}
	test_no_memory();
	is((int64_t)(malloc_live() - base), 0, "nothing leaks");
	return tap_end();
}
