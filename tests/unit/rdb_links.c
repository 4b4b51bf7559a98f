/* Files with several names in an RDB: what was written as one file is one again, whatever it is; and numbers that no kvfs wrote make files of
 * their own, and no harm.                                                                                                                  */
#include "persist/number_map.h"
#include "persist/rdb_load.h"
#include "tests/lib/tap.h"

#include <stdlib.h>
#include <sys/stat.h>

enum { MANY = KEYSPACE_LINK_MAX + 6 };

struct file { const char *key; uint64_t id; uint32_t mode, nlink; const char *value; };

static struct keyspace *ks;

static int sink(void *ctx, const void *data, size_t len)
{
	return bytes_add(ctx, data, len);
}

static void put(struct rdb_writer *w, const struct file *f)
{
	size_t len = f->value ? strlen(f->value) : 0;
	struct value *v = value_new(f->value, len);
	struct snapshot_entry e = { .attr = { .id = f->id, .mode = f->mode, .nlink = f->nlink, .size = len, .mtime_ns = 7, .atime_ns = 7, .ctime_ns = 8 },
		                    .key = f->key, .key_len = strlen(f->key), .value = v };

	if (rdb_writer_entry(w, &e) < 0)
		exit(1);
	value_unref(v);
}

/* The keyspace that an RDB with these entries becomes. */
static int load(const struct file *file, size_t count)
{
	const struct keyspace_options ko = { .value_max = 1 << 20, .root_mode = 0755, .now_ns = 1 };
	const struct rdb_options o = { .checksum = true };
	const struct snapshot_totals totals = { .keys = count, .nodes = count };
	struct rdb_loaded l = { 0 };
	struct bytes out = { 0 };
	struct rdb_writer *w;
	struct error e = { 0 };
	struct replay r;

	keyspace_free(ks);
	if (rdb_writer_new(&o, sink, &out, &w) < 0 || rdb_writer_begin(w, &totals) < 0 || keyspace_new(&ko, &ks) < 0)
		exit(1);
	for (size_t i = 0; i < count; i++)
		put(w, &file[i]);
	if (rdb_writer_end(w) < 0 || replay_init(&r, ks, 0, 0, 1) < 0)
		exit(1);
	int err = rdb_load(out.data, out.len, &r, &l, &e);
	if (err)
		diag("%s", e.text);
	replay_fini(&r);
	rdb_writer_free(w);
	bytes_fini(&out);
	return err;
}

static struct attr stat_of(const char *key)
{
	struct attr a = { 0 };

	if (keyspace_lookup(ks, KEYSPACE_ROOT, key, strlen(key), 1, &a) == 0)
		keyspace_forget(ks, a.id, 1);
	return a;
}

static void test_links(void)
{
	static const struct file files[] = {
		{ "a", 5, S_IFREG | 0644, 2, "one" }, { "l", 6, S_IFLNK | 0777, 2, "target" }, { "other", 7, S_IFREG | 0644, 1, "one" },
		{ "b", 5, S_IFREG | 0644, 2, "one" }, { "m", 6, S_IFLNK | 0777, 2, "target" }, { "p", 8, S_IFIFO | 0600, 2, NULL },
		{ "q", 8, S_IFIFO | 0600, 2, NULL },
	};
	struct usage u;

	is(load(files, 7), 0, "a file with links is loaded");
	ok(stat_of("a").id == stat_of("b").id && stat_of("a").nlink == 2, "values");
	ok(stat_of("l").id == stat_of("m").id && stat_of("l").nlink == 2 && S_ISLNK(stat_of("l").mode), "symbolic links");
	ok(stat_of("p").id == stat_of("q").id && stat_of("p").nlink == 2 && S_ISFIFO(stat_of("p").mode), "FIFOs");
	ok(stat_of("other").id != stat_of("a").id && stat_of("other").nlink == 1, "what is equal and has one name is by itself");
	ok(stat_of("b").ctime_ns == 8 && stat_of("b").mtime_ns == 7, "times are those of the file");
	keyspace_usage(ks, &u);
	is((int64_t)u.keys, 3, "each name of a file is a key");
}

static void test_nonsense(void)
{
	static const struct file mixed[] = {
		{ "a", 5, S_IFREG | 0644, 2, "one" }, { "l", 5, S_IFLNK | 0777, 2, "target" }, { "p", 5, S_IFIFO | 0600, 2, NULL },
		{ "s", 5, S_IFSOCK | 0600, 2, NULL },
	};
	static const struct file twice[] = { { "a", 5, S_IFREG | 0644, 2, "one" }, { "a", 5, S_IFREG | 0644, 2, "two" } };
	struct file *many = calloc(MANY, sizeof *many);
	char (*name)[8] = calloc(MANY, sizeof *name);
	struct usage u;

	if (!many || !name)
		exit(1);
	is(load(mixed, 4), 0, "one number for what can't be one file");
	ok(stat_of("a").nlink == 1 && stat_of("l").nlink == 1 && stat_of("p").nlink == 1 && stat_of("s").nlink == 1, "is four files");
	is(load(twice, 2), 0, "one name twice");
	ok(stat_of("a").nlink == 1 && stat_of("a").size == 3, "is one file");
	for (int i = 0; i < MANY; i++) {
		snprintf(name[i], sizeof name[i], "%d", i);
		many[i] = (struct file){ name[i], 5, S_IFREG | 0644, MANY, "v" };
	}
	is(load(many, MANY), 0, "more names than a file may have");
	keyspace_usage(ks, &u);
	ok(u.keys == MANY && stat_of("0").nlink == KEYSPACE_LINK_MAX && stat_of("1029").nlink == MANY - KEYSPACE_LINK_MAX, "are all there");
	free(many);
	free(name);
}

static void test_number_map(void)
{
	struct number_map m = { 0 };
	uint64_t got = 0;
	int wrong = 0;

	ok(!number_map_get(&m, 1, &got), "an empty map");
	for (uint64_t n = 1; n <= 5000; n++)
		wrong += number_map_set(&m, n * n, n) != 0;
	for (uint64_t n = 1; n <= 5000; n++)
		wrong += !number_map_get(&m, n * n, &got) || got != n;
	is(wrong, 0, "5000 numbers");
	ok(number_map_set(&m, 4, 9) == 0 && number_map_get(&m, 4, &got) && got == 9, "another value");
	ok(!number_map_get(&m, 5, &got) && m.count == 5000, "and no others");
	number_map_fini(&m);
}

int main(void)
{
	test_links();
	test_nonsense();
	test_number_map();
	keyspace_free(ks);
	return tap_end();
}
