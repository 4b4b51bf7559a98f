/* Extended attributes are what was set last, whatever their number and order; a change happens whole or not at all; their memory is counted,
 * limited and given back; a snapshot shows those of its cut.  Random changes against an array, each allocation refused once.            */
#include "store/acl.h"
#include "store/observer.h"
#include "store/snapshot.h"
#include "store/xattr.h"
#include "tests/lib/malloc_fail.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { NAMES = 40, STEPS = 3000, ROOT = KEYSPACE_ROOT };

static struct op op = { .now_ns = 5000 };

static struct keyspace *new_keyspace(uint64_t memory_max)
{
	struct keyspace_options o = { .hash_seed = { 1, 2 }, .value_max = 1 << 20, .memory_max = memory_max, .root_mode = 0755, .now_ns = 1000 };
	struct keyspace *ks;

	if (keyspace_new(&o, &ks) < 0)
		abort();
	return ks;
}

static int set(struct keyspace *ks, uint64_t id, const char *name, const void *value, size_t len, unsigned flags)
{
	return keyspace_setxattr(ks, &op, id, name, strlen(name), value, len, flags);
}

static int take_away(struct keyspace *ks, uint64_t id, const char *name)
{
	return keyspace_removexattr(ks, &op, id, name, strlen(name));
}

/* Whether ID has NAME with that value; with VALUE NULL whether it has not. */
static bool has(struct keyspace *ks, uint64_t id, const char *name, const char *value)
{
	struct xattrs *x = NULL;
	struct xattr a;
	bool found;

	if (keyspace_get_xattrs(ks, id, &x) < 0)
		return false;
	found = xattrs_find(x, name, strlen(name), &a);
	found = value ? found && a.len == strlen(value) && memcmp(a.value, value, a.len) == 0 : !found;
	xattrs_unref(x);
	return found;
}

/* ---- the block ---- */

static void test_random(void)
{
	struct { char name[8], value[12]; bool set; } known[NAMES];
	struct xattrs *x = NULL, *next;
	bool good = true;

	srandom(9);
	for (int i = 0; i < NAMES; i++) {
		snprintf(known[i].name, sizeof known[i].name, "n%0*d", 1 + i % 4, i);
		known[i].set = false;
	}
	for (int step = 0; step < STEPS && good; step++) {
		int k = (int)(random() % NAMES);
		known[k].set = random() % 3;
		snprintf(known[k].value, sizeof known[k].value, "%.*d", (int)(random() % 10), step);
		struct xattr c = { .name = known[k].name, .name_len = strlen(known[k].name), .value = known[k].set ? known[k].value : NULL,
			           .len = known[k].set ? strlen(known[k].value) : 0 };
		good &= xattrs_with(x, &c, &next) == 0;
		xattrs_unref(x);
		x = next;
		unsigned count = 0;
		for (int i = 0; i < NAMES; i++) {
			struct xattr a;
			bool there = xattrs_find(x, known[i].name, strlen(known[i].name), &a);
			good &= there == known[i].set && (!there || (a.len == strlen(known[i].value) && !memcmp(a.value, known[i].value, a.len)));
			count += there;
		}
		good &= count == xattrs_count(x) && (count > 0) == (x != NULL);
		struct xattr before = { .name = "" }, a;
		for (size_t pos = 0; xattrs_next(x, &pos, &a); before = a, count--) {
			size_t shorter = a.name_len < before.name_len ? a.name_len : before.name_len;
			int d = memcmp(before.name, a.name, shorter);
			good &= d < 0 || (d == 0 && before.name_len < a.name_len);
		}
		good &= count == 0;
	}
	ok(good, "%d random changes, in the order of the names", STEPS);
	xattrs_unref(x);
}

static void test_bounds(struct keyspace *ks)
{
	static char big[XATTRS_VALUE_MAX + 1], name[XATTRS_NAME_MAX + 2];
	int err = 0, n = 0;

	memset(name, 'n', sizeof name - 1);
	is(set(ks, ROOT, name, "v", 1, 0), -ERANGE, "a name of 256 bytes");
	name[XATTRS_NAME_MAX] = '\0';
	is(set(ks, ROOT, name, "v", 1, 0), 0, "one of 255");
	is(set(ks, ROOT, "", "v", 1, 0), -EINVAL, "none");
	is(keyspace_setxattr(ks, &op, ROOT, "a\0b", 3, "v", 1, 0), -EINVAL, "one with a NUL");
	is(set(ks, ROOT, "big", big, sizeof big, 0), -E2BIG, "a value above 64 KiB");
	is(set(ks, ROOT, "big", big, sizeof big - 1, 0), 0, "one of 64 KiB");
	for (n = 1; n < 1000 && !err; n++) {
		snprintf(name, sizeof name, "%0250d", n);
		err = set(ks, ROOT, name, NULL, 0, 0);
	}
	ok(err == -ENOSPC && n == 262, "names of more than 64 KiB are refused (the %dth of 250 bytes)", n - 1);
	is(take_away(ks, ROOT, "big"), 0, "one goes");
	is(set(ks, ROOT, "big", big, 0, 0), 0, "and another finds room");
	for (n = 1; n < 1000; n++) {
		snprintf(name, sizeof name, "%0250d", n);
		take_away(ks, ROOT, name);
	}
	for (n = 0, err = 0; n < 100 && !err; n++) {
		snprintf(name, sizeof name, "big%d", n);
		err = set(ks, ROOT, name, big, sizeof big - 1, 0);
	}
	ok(err == -ENOSPC && n == 16, "and so are values of more than 1 MiB in all (the %dth of 64 KiB)", n);
}

/* ---- nodes ---- */

static void test_calls(struct keyspace *ks, uint64_t id)
{
	struct attr a, b;

	is(take_away(ks, id, "user.a"), -ENODATA, "none to take away");
	is(set(ks, id, "user.a", "1", 1, KEYSPACE_XATTR_REPLACE), -ENODATA, "none to replace");
	is(set(ks, id, "user.a", "1", 1, KEYSPACE_XATTR_CREATE), 0, "made");
	is(set(ks, id, "user.a", "2", 1, KEYSPACE_XATTR_CREATE), -EEXIST, "not made again");
	ok(has(ks, id, "user.a", "1") && has(ks, id, "user.", NULL) && has(ks, id, "user.aa", NULL), "as it was made");
	keyspace_getattr(ks, id, &a);
	op.now_ns += 1000;
	is(set(ks, id, "user.a", "22", 2, KEYSPACE_XATTR_REPLACE), 0, "replaced");
	keyspace_getattr(ks, id, &b);
	ok(b.ctime_ns == op.now_ns && b.mtime_ns == a.mtime_ns && b.atime_ns == a.atime_ns, "the time of the change moves, and no other");
	is(set(ks, id, "user.b", "", 0, 0), 0, "an empty one");
	ok(has(ks, id, "user.a", "22") && has(ks, id, "user.b", ""), "both are there");
	is(take_away(ks, id, "user.a"), 0, "one goes");
	ok(has(ks, id, "user.a", NULL) && has(ks, id, "user.b", ""), "and the other stays");
	is(set(ks, 1ull << 40 | 7, "user.a", "1", 1, 0), -ESTALE, "of no node");
}

static uint64_t bytes(struct keyspace *ks)
{
	struct usage u;

	keyspace_usage(ks, &u);
	return u.bytes_total;
}

/* What limits are about. */
static uint64_t used(struct keyspace *ks)
{
	struct usage u;

	keyspace_usage(ks, &u);
	return u.bytes_total - u.bytes_idle;
}

static void test_memory(void)
{
	struct keyspace *ks = new_keyspace(0);
	static char value[5000];
	struct attr a;

	keyspace_mknod(ks, &op, ROOT, "f", 1, S_IFREG | 0644, &a);
	set(ks, ROOT, "user.first", "", 0, 0);       /* the index of extra.h stays */
	uint64_t before = bytes(ks), live = malloc_live();
	set(ks, a.id, "user.a", value, sizeof value, 0);
	ok(bytes(ks) - before == malloc_live() - live && bytes(ks) - before > sizeof value, "what they take is counted");
	take_away(ks, a.id, "user.a");
	ok(bytes(ks) == before && malloc_live() == live, "and given back");
	set(ks, a.id, "user.a", value, sizeof value, 0);
	keyspace_unlink(ks, &op, ROOT, "f", 1);
	ok(bytes(ks) > before && has(ks, a.id, "user.b", NULL), "a file without a name has them still");
	uint64_t held = bytes(ks);
	keyspace_forget(ks, a.id, 1);
	ok(held - bytes(ks) >= sizeof value, "and gives them back when nobody holds it");
	keyspace_set_memory_max(ks, used(ks) + 1000);
	is(set(ks, ROOT, "user.a", value, sizeof value, 0), -ENOSPC, "more than maxmemory");
	is(set(ks, ROOT, "user.a", value, 100, 0), 0, "less");
	keyspace_set_memory_max(ks, 1);
	is(take_away(ks, ROOT, "user.a"), 0, "taking away is always possible");
	keyspace_free(ks);
}

static void test_no_memory(void)
{
	struct keyspace *ks = new_keyspace(0);
	struct attr a;
	uint64_t refused = 0;
	bool good = true;

	/* What the keyspace takes once, for whoever changes anything. */
	set(ks, ROOT, "user.b", "1", 1, 0);
	take_away(ks, ROOT, "user.b");
	keyspace_getattr(ks, ROOT, &a);
	int64_t ctime_ns = a.ctime_ns;
	uint64_t before = bytes(ks);
	op.now_ns++;
	for (;; refused++) {
		malloc_fail_at(refused + 1);
		int err = set(ks, ROOT, "user.a", "1", 1, 0);
		bool failed = malloc_fail_end();
		if (!failed) {
			good &= err == 0;
			break;
		}
		keyspace_getattr(ks, ROOT, &a);
		good &= err == -ENOMEM && has(ks, ROOT, "user.a", NULL) && a.ctime_ns == ctime_ns;
	}
	ok(good && refused >= 3, "each of its allocations refused (%d): nothing has changed", (int)refused);
	take_away(ks, ROOT, "user.a");
	ok(bytes(ks) - before < 200, "and no extra is left behind");
	keyspace_free(ks);
}

static int refuse(void *ctx, struct mutation *m)
{
	(void)m;
	return *(int *)ctx;
}

static void test_refused(void)
{
	struct keyspace *ks = new_keyspace(0);
	int err = -EROFS;

	keyspace_set_observer(ks, &(struct observer){ .ctx = &err, .record = refuse });
	is(set(ks, ROOT, "user.a", "1", 1, 0), -EROFS, "the journal refuses");
	uint64_t before = bytes(ks);
	is(set(ks, ROOT, "user.a", "1", 1, 0), -EROFS, "again");
	ok(has(ks, ROOT, "user.a", NULL) && bytes(ks) == before, "and nothing has changed");
	keyspace_free(ks);
}

/* ---- ACLs ---- */

/* The owner, user 9, the group, the mask, others. */
#define SOME_ACL "\2\0\0\0" "\1\0\7\0\377\377\377\377" "\2\0\6\0\11\0\0\0" "\4\0\5\0\377\377\377\377" "\20\0\7\0\377\377\377\377" \
	         "\40\0\1\0\377\377\377\377"

static uint32_t mode_of(struct keyspace *ks, uint64_t id)
{
	struct attr a = { 0 };

	keyspace_getattr(ks, id, &a);
	return a.mode & 07777;
}

static void test_acl(void)
{
	struct op with = { .now_ns = 5000, .acl = true, .umask = 027 };
	struct keyspace *ks = new_keyspace(0);
	struct attr d, f, sub;

	keyspace_mkdir(ks, &with, ROOT, "d", 1, 0777, &d);
	is(mode_of(ks, d.id), 0750, "without a default ACL the umask counts");
	is(set(ks, d.id, ACL_DEFAULT, SOME_ACL, sizeof SOME_ACL - 1, 0), 0, "a default ACL");
	is(mode_of(ks, d.id), 0750, "does nothing to the mode");
	bool good = true;
	int refused = 0;
	for (;; refused++) {
		malloc_fail_at((uint64_t)refused + 1);
		int err = keyspace_mknod(ks, &with, d.id, "f", 1, S_IFREG | 0666, &f);
		if (!malloc_fail_end())
			break;
		good &= err == -ENOMEM && keyspace_lookup(ks, d.id, "f", 1, 0, &f) == -ENOENT;
	}
	ok(good && refused >= 4 && f.mode == (S_IFREG | 0660), "a file gets it as far as it asked for, or is not made (%d)", refused);
	ok(xattrs_count(keyspace_xattrs_locked(ks, f.id)) == 1 && has(ks, f.id, ACL_DEFAULT, NULL), "as its access ACL");
	keyspace_mkdir(ks, &with, d.id, "sub", 3, 0777, &sub);
	ok(sub.mode == (S_IFDIR | 0771) && xattrs_count(keyspace_xattrs_locked(ks, sub.id)) == 2, "a directory gets both");
	is(set(ks, f.id, ACL_DEFAULT, SOME_ACL, sizeof SOME_ACL - 1, 0), -EACCES, "a file has no default ACL");
	is(set(ks, f.id, ACL_ACCESS, SOME_ACL, sizeof SOME_ACL - 2, 0), -EINVAL, "what is no ACL");
	struct attr_change c = { .mask = ATTR_MODE, .mode = 0604 };
	for (refused = 0;; refused++) {
		malloc_fail_at((uint64_t)refused + 1);
		int err = keyspace_setattr(ks, &with, f.id, &c, &f);
		if (!malloc_fail_end())
			break;
		good &= err == -ENOMEM && mode_of(ks, f.id) == 0660;
	}
	ok(good && refused >= 2 && mode_of(ks, f.id) == 0604, "chmod, or not");
	struct xattr a;
	ok(xattrs_find(keyspace_xattrs_locked(ks, f.id), ACL_ACCESS, strlen(ACL_ACCESS), &a) && ((const char *)a.value)[ACL_HEADER + 3 * ACL_ENTRY + 2] == 0,
	   "sets the mask");
	c.mode = 02604;
	keyspace_setattr(ks, &with, f.id, &c, &f);
	with.no_member = true;
	keyspace_setxattr(ks, &with, f.id, ACL_ACCESS, strlen(ACL_ACCESS), SOME_ACL, sizeof SOME_ACL - 1, 0);
	is(mode_of(ks, f.id), 0771, "an ACL sets the mode; who is not of the group takes the set-group-ID bit away");
	is(set(ks, f.id, ACL_ACCESS, "\2\0\0\0" "\1\0\6\0\377\377\377\377" "\4\0\4\0\377\377\377\377" "\40\0\0\0\377\377\377\377", 28, 0), 0, "one that is a mode");
	ok(mode_of(ks, f.id) == 0640 && has(ks, f.id, ACL_ACCESS, NULL), "is kept as one");
	keyspace_free(ks);
}

/* ---- snapshots ---- */

static void test_snapshot(struct keyspace *ks, uint64_t id)
{
	static struct snapshot_batch b;
	struct snapshot_totals t;
	struct snapshot *s = NULL;
	struct xattr a;
	int right = 0, yielded = 0;

	set(ks, id, "user.s", "before", 6, 0);
	set(ks, ROOT, "user.s", "before", 6, 0);
	keyspace_lock(ks);
	snapshot_begin_locked(ks, &s, &t);
	keyspace_unlock(ks);
	set(ks, id, "user.s", "after", 5, 0);
	while (snapshot_next(s, &b) == 0 && b.count) {
		set(ks, ROOT, "user.s", "after", 5, 0);      /* while it is lent */
		for (int i = 0; i < b.count; i++, yielded++)
			right += xattrs_find(b.entry[i].xattrs, "user.s", 6, &a) && a.len == 6 && memcmp(a.value, "before", 6) == 0;
	}
	ok(yielded == 2 && right == 2, "a snapshot has those of its cut");
	snapshot_end(s);
	ok(has(ks, id, "user.s", "after") && has(ks, ROOT, "user.s", "after"), "and the tree those of now");
}

int main(void)
{
	struct attr a;

	diag("the first line takes stdio's buffer");
	uint64_t live = malloc_live();
	struct keyspace *ks = new_keyspace(0);
	test_random();
	keyspace_mknod(ks, &op, ROOT, "f", 1, S_IFREG | 0644, &a);
	test_calls(ks, a.id);
	test_calls(ks, ROOT);
	test_snapshot(ks, a.id);
	test_bounds(ks);
	keyspace_free(ks);
	test_memory();
	test_no_memory();
	test_refused();
	test_acl();
	ok(malloc_live() == live, "everything is given back");
	return tap_end();
}
