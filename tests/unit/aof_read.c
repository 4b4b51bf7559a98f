/* The append-only log as it is read: what counts counts, a torn tail is told from damage, and what a Redis appended is kept.
 * By logs that are built with seal.h, then cut at every byte, damaged at every byte, and mixed with what a Redis writes. */
#include "persist/recover.h"
#include "persist/replay.h"
#include "persist/seal.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { ROOT_MODE = 0755, BATCHES_MAX = 32 };

static const int64_t load_time_ns = 1700000000000000000, first_time_ns = 1800000000000000000;

/* ---- writing logs ---- */

struct log {
	struct bytes text;
	uint64_t seq;
	size_t end[BATCHES_MAX];    /* of each batch */
	int batches;
};

static void add(struct bytes *b, const void *data, size_t len)
{
	if (bytes_add(b, data, len))
		abort();
}

/* A command of words; NULL ends it. */
static void put_command(struct log *l, const char *word, ...)
{
	const char *argv[8];
	size_t argc = 0, i;
	va_list ap;

	va_start(ap, word);
	for (; word; word = va_arg(ap, const char *))
		argv[argc++] = word;
	va_end(ap);
	if (bytes_addf(&l->text, "*%zu\r\n", argc))
		abort();
	for (i = 0; i < argc; i++)
		if (bytes_addf(&l->text, "$%zu\r\n%s\r\n", strlen(argv[i]), argv[i]))
			abort();
}

/* The seal of the batch that began at FROM. */
static void put_seal(struct log *l, size_t from, unsigned flags, const struct seal_record *rec, unsigned count)
{
	size_t records_len = 0, size;
	unsigned i;
	char *p;

	for (i = 0; i < count; i++)
		records_len += seal_record_size(&rec[i]);
	size = seal_size(records_len);
	if (bytes_reserve(&l->text, size))
		abort();
	l->seq++;
	p = seal_begin(l->text.data + l->text.len, records_len, flags, count, l->seq, first_time_ns + (int64_t)l->seq);
	for (i = 0; i < count; i++)
		p = seal_put_record(p, &rec[i]);
	p = seal_finish(l->text.data + from, p);
	l->text.len += size;
	if (p != l->text.data + l->text.len)
		abort();
	l->end[l->batches++] = l->text.len;
}

static void put_open(struct log *l, uint64_t lineage)
{
	struct seal_record rec = { .kind = SEAL_LINEAGE, .path = "", .number = lineage };
	size_t from = l->text.len;

	put_command(l, "SELECT", "0", NULL);
	put_seal(l, from, SEAL_OPEN, &rec, 1);
}

static void put_set(struct log *l, const char *key, const char *value)
{
	struct seal_record rec = { .kind = SEAL_ATTR, .path_is_key = true };
	size_t from = l->text.len;

	rec.attr = (struct attr_change){ .mask = ATTR_MODE | ATTR_UID, .mode = 0600, .uid = 42 };
	put_command(l, "SET", key, value, NULL);
	put_seal(l, from, 0, &rec, 1);
}

static struct seal_record record(enum seal_record_kind kind, const char *path)
{
	return (struct seal_record){ .kind = kind, .path = path, .path_len = strlen(path) };
}

/* A tree, a symlink, renames: one batch of each sort. */
static void put_all_sorts(struct log *l)
{
	struct seal_record mkdir = record(SEAL_MKDIR, "d"), link = record(SEAL_SYMLINK, "d/link"), move = record(SEAL_RENAME, "d");
	struct seal_record cut = record(SEAL_RESIZE, "e/a"), attr = record(SEAL_ATTR, "e"), gone = record(SEAL_REMOVE, "e/link");
	struct seal_record when = record(SEAL_PARENT_TIME, "e/a");
	size_t from;

	put_open(l, 99);
	mkdir.attr = (struct attr_change){ .mode = 0700, .uid = 1, .gid = 2 };
	put_seal(l, l->text.len, 0, &mkdir, 1);
	put_set(l, "d/a", "hello");
	link.attr = (struct attr_change){ .mode = 0777, .uid = 3, .gid = 4 };
	link.to = "a/b";
	link.to_len = 3;
	put_seal(l, l->text.len, 0, &link, 1);
	from = l->text.len;
	put_command(l, "RENAME", "d/a", "e/a", NULL);
	move.to = "e";
	move.to_len = 1;
	put_seal(l, from, SEAL_RECORDS_ONLY, &move, 1);
	from = l->text.len;
	put_command(l, "SET", "e/a", "hel", "KEEPTTL", NULL);
	cut.number = 3;
	put_seal(l, from, SEAL_RECORDS_ONLY, &cut, 1);
	from = l->text.len;
	put_command(l, "APPEND", "e/a", "p", NULL);
	put_seal(l, from, 0, NULL, 0);
	attr.attr = (struct attr_change){ .mask = ATTR_MTIME, .mtime_ns = 5 };
	put_seal(l, l->text.len, 0, &attr, 1);
	if (bytes_addf(&l->text, "#TS:1800000000\r\n"))
		abort();
	put_set(l, "w", "a stamp that no seal covers");
	from = l->text.len;
	if (bytes_addf(&l->text, "#TS:1800000001\r\n"))
		abort();
	put_command(l, "SET", "x", "last but one", NULL);
	put_seal(l, from, SEAL_STAMPED, NULL, 0);
	put_seal(l, l->text.len, 0, &gone, 1);
	when.number = 77;
	put_seal(l, l->text.len, 0, &when, 1);
}

/* ---- reading them ---- */

struct world {
	struct keyspace *ks;
	struct replay r;
	struct aof_result res;
	struct error e;
};

static void world_open(struct world *w)
{
	struct keyspace_options o = { .hash_seed = { 1, 2 }, .value_max = 1 << 20, .root_mode = ROOT_MODE, .now_ns = 1 };

	*w = (struct world){ 0 };
	if (keyspace_new(&o, &w->ks) || replay_init(&w->r, w->ks, 7, 8, load_time_ns))
		abort();
}

static void world_close(struct world *w)
{
	replay_fini(&w->r);
	keyspace_free(w->ks);
}

static int describe(void *ctx, const char *suffix, size_t len, const struct attr *a)
{
	struct bytes *out = ctx;

	return bytes_addf(out, "%.*s %o %u %u %llu %lld\n", (int)len, suffix, a->mode, a->uid, a->gid, (unsigned long long)a->size,
	                  (long long)a->mtime_ns);
}

/* A number for all that is in the keyspace. */
static uint64_t fingerprint(struct world *w)
{
	struct bytes text = { 0 };
	uint64_t h = 14695981039346656037u;
	size_t i;

	keyspace_lock(w->ks);
	if (keyspace_walk_locked(w->ks, KEYSPACE_ROOT, describe, &text))
		abort();
	keyspace_unlock(w->ks);
	for (i = 0; i < text.len; i++)
		h = (h ^ (unsigned char)text.data[i]) * 1099511628211u;
	bytes_fini(&text);
	return h;
}

/* Reads from a copy that ends where the bytes end, so that a sanitizer sees a step beyond. */
static int read_log(struct world *w, const char *data, size_t len)
{
	char *copy = malloc(len ? len : 1);
	int err;

	if (!copy)
		abort();
	if (len)
		memcpy(copy, data, len);
	err = aof_read(copy, len, &w->r, &w->res, &w->e);
	free(copy);
	return err;
}

static bool value_is(struct world *w, const char *key, const char *want)
{
	struct value *v;
	uint64_t size;
	char got[64];

	if (loader_get(&w->r.l, key, strlen(key), &v, &size))
		return !want;
	value_copy_out(v, size, 0, got, size < sizeof(got) ? size : sizeof(got));
	value_unref(v);
	return want && size == strlen(want) && !memcmp(got, want, size);
}

static struct attr attr_of(struct world *w, const char *key)
{
	struct attr a = { 0 };
	uint64_t id;

	if (!loader_find(&w->r.l, key, strlen(key), &id))
		(void)keyspace_getattr(w->ks, id, &a);
	return a;
}

/* ---- what counts ---- */

static void test_whole(const struct log *l)
{
	struct world w;
	struct attr a;

	world_open(&w);
	is(read_log(&w, l->text.data, l->text.len), 0, "a log of ours is read");
	ok(!w.res.torn && w.res.sealed && w.res.good == l->text.len, "to its end");
	is((int64_t)w.res.last_seq, (int64_t)l->seq, "its last number is known");
	is((int64_t)w.res.lineage, 99, "and whose it is");
	ok(value_is(&w, "e/a", "help") && value_is(&w, "x", "last but one") && value_is(&w, "d/a", NULL), "values");
	a = attr_of(&w, "e/a");
	ok(a.mode == (S_IFREG | 0600) && a.uid == 42 && a.gid == 8 && a.mtime_ns == first_time_ns + 7, "attributes of a value; its time is the append's");
	a = attr_of(&w, "e");
	ok(a.mode == (S_IFDIR | 0700) && a.uid == 1 && a.gid == 2 && a.mtime_ns == 77, "a directory keeps its own over a rename");
	is(attr_of(&w, "e/link").mode, 0, "a removed symlink is gone");
	world_close(&w);
}

/* Every cut is either between batches or torn, and brings the state after the last whole batch. */
static void test_every_cut(const struct log *l)
{
	uint64_t state[BATCHES_MAX + 1];
	int wrong = 0, whole = 0;
	struct world w;
	size_t cut;

	for (cut = 0; cut <= l->text.len; cut++) {
		bool at_end = cut == 0 || (whole < l->batches && cut == l->end[whole]);
		size_t good;
		int err;

		if (whole < l->batches && cut == l->end[whole])
			whole++;
		good = whole ? l->end[whole - 1] : 0;
		world_open(&w);
		err = read_log(&w, l->text.data, cut);
		if (at_end)
			state[whole] = fingerprint(&w);
		/* a cut right behind the SELECT of the first OPEN, or behind a comment, is no cut inside of a batch */
		if (err || w.res.last_seq != (uint64_t)whole || fingerprint(&w) != state[whole] || (whole && w.res.good < good) ||
		    (at_end && (w.res.torn || w.res.good != cut)) || (!w.res.torn && w.res.good != cut)) {
			if (!wrong++)
				diag("cut at %zu: %d %s, torn %d, good %llu", cut, err, w.e.text, w.res.torn, (unsigned long long)w.res.good);
		}
		world_close(&w);
	}
	is(wrong, 0, "cut at each of %zu bytes: the state of the last whole batch", l->text.len);
	is(whole, l->batches, "all batches were met");
}

/* NULs behind a cut are what a power loss leaves. */
static void test_nul_tail(const struct log *l)
{
	size_t from = l->end[l->batches - 2], cut;
	struct bytes text = { 0 };
	int wrong = 0;

	for (cut = from; cut < l->text.len; cut++) {
		struct world w;

		text.len = 0;
		add(&text, l->text.data, cut);
		if (bytes_reserve(&text, 5000))
			abort();
		memset(text.data + text.len, 0, 5000);
		text.len += 5000;
		world_open(&w);
		if (read_log(&w, text.data, text.len) || !w.res.torn || w.res.good != from)
			wrong++;
		world_close(&w);
	}
	is(wrong, 0, "a tail of NULs is a torn tail");
	bytes_fini(&text);
}

/* One bit at each byte: found, or in a comment, or (in the last batch) at worst a torn tail, never a changed state. */
static void test_every_damage(const struct log *l)
{
	struct bytes text = { 0 };
	int silent = 0, unnamed = 0;
	uint64_t whole_state;
	struct world w;
	size_t at;

	world_open(&w);
	(void)read_log(&w, l->text.data, l->text.len);
	whole_state = fingerprint(&w);
	world_close(&w);
	add(&text, l->text.data, l->text.len);
	for (at = 0; at < l->end[l->batches - 2]; at++) {
		int err;

		text.data[at] ^= 1 << at % 8;
		world_open(&w);
		err = read_log(&w, text.data, text.len);
		if (!err && !(w.res.good == text.len && !w.res.torn && fingerprint(&w) == whole_state)) {
			if (!silent++)
				diag("bit at %zu: not found; good %llu of %zu, torn %d", at, (unsigned long long)w.res.good, text.len, w.res.torn);
		}
		if (err && !strstr(w.e.text, " at "))
			unnamed++;
		world_close(&w);
		text.data[at] ^= 1 << at % 8;
	}
	is(silent, 0, "a bit flipped at each byte before the last batch is found");
	is(unnamed, 0, "and its offset is named");
	bytes_fini(&text);
}

static void test_numbers(void)
{
	struct log l = { 0 };
	struct world w;

	put_open(&l, 1);
	put_set(&l, "a", "1");
	l.seq++;
	put_set(&l, "b", "2");
	world_open(&w);
	is(read_log(&w, l.text.data, l.text.len), -EBADMSG, "a missing number is damage");
	ok(strstr(w.e.text, "number 4 where number 3") != NULL, "both are named");
	world_close(&w);

	world_open(&w);
	w.res.last_seq = 7;
	is(read_log(&w, l.text.data, l.end[1]), -EBADMSG, "an OPEN that does not follow the files before is damage");
	world_close(&w);

	world_open(&w);
	w.res.lineage = 2;
	is(read_log(&w, l.text.data, l.end[1]), -EBADMSG, "a log of another keyspace is refused");
	ok(strstr(w.e.text, "another keyspace") != NULL, "and called so");
	world_close(&w);
	bytes_fini(&l.text);
}

/* ---- a Redis and we, in turns ---- */

static void test_redis_alone(void)
{
	struct log l = { 0 };
	struct world w;
	size_t multi;

	if (bytes_addf(&l.text, "#TS:1600000000\r\n"))
		abort();
	put_command(&l, "SELECT", "0", NULL);
	put_command(&l, "set", "a", "1", NULL);
	put_command(&l, "MULTI", NULL);
	put_command(&l, "SELECT", "0", NULL);
	put_command(&l, "SET", "b", "2", NULL);
	put_command(&l, "EXEC", NULL);
	multi = l.text.len;
	put_command(&l, "MULTI", NULL);
	put_command(&l, "SET", "c", "3", NULL);
	world_open(&w);
	ok(!read_log(&w, l.text.data, l.text.len) && w.res.torn && w.res.good == multi, "a MULTI without EXEC is a torn tail");
	ok(value_is(&w, "a", "1") && value_is(&w, "b", "2") && value_is(&w, "c", NULL), "what stands before counts");
	is(attr_of(&w, "a").mtime_ns, 1600000000000000000, "its time is that of #TS:");
	is(w.res.sealed, false, "nothing of it is ours");
	world_close(&w);

	put_command(&l, "EXEC", NULL);
	multi = l.text.len;
	put_command(&l, "DEL", "a", NULL);
	world_open(&w);
	ok(!read_log(&w, l.text.data, l.text.len - 3) && w.res.torn && w.res.good == multi, "a cut command is a torn tail");
	ok(value_is(&w, "a", "1") && value_is(&w, "c", "3"), "it does not count");
	world_close(&w);

	world_open(&w);
	add(&l.text, "#half a comment", 15);
	ok(!read_log(&w, l.text.data, l.text.len) && w.res.torn && w.res.good == l.text.len - 15, "so is a comment without its end");
	world_close(&w);
	l.text.len -= 15;

	add(&l.text, "garbage", 7);
	world_open(&w);
	is(read_log(&w, l.text.data, l.text.len), -EBADMSG, "garbage is damage");
	world_close(&w);
	bytes_fini(&l.text);
}

static void test_redis_went_on(void)
{
	struct log l = { 0 };
	struct world w;
	size_t lost;

	put_open(&l, 5);
	put_set(&l, "a", "1");
	put_command(&l, "SELECT", "0", NULL);
	put_command(&l, "SET", "b", "2", NULL);
	put_command(&l, "APPEND", "a", "1", NULL);
	world_open(&w);
	ok(!read_log(&w, l.text.data, l.text.len) && !w.res.torn && !w.res.sealed, "what a Redis appended is no torn batch");
	ok(value_is(&w, "a", "11") && value_is(&w, "b", "2"), "and counts");
	is(attr_of(&w, "a").mode, S_IFREG | 0600, "over our attributes");
	world_close(&w);

	put_open(&l, 5);
	put_set(&l, "c", "3");
	lost = l.text.len;
	put_command(&l, "SET", "d", "4", NULL);
	put_command(&l, "SELECT", "0", NULL);
	put_command(&l, "SET", "e", "5", NULL);
	world_open(&w);
	ok(!read_log(&w, l.text.data, l.text.len) && !w.res.torn, "we, a Redis that cut our torn batch at a command, and it went on");
	ok(value_is(&w, "d", "4") && value_is(&w, "e", "5"), "it applied that command: so do we");
	world_close(&w);

	put_open(&l, 5);
	put_set(&l, "f", "6");
	world_open(&w);
	ok(!read_log(&w, l.text.data, l.text.len) && w.res.sealed && w.res.last_seq == l.seq, "and we again");
	ok(value_is(&w, "f", "6"), "to the end");
	world_close(&w);

	world_open(&w);
	ok(!read_log(&w, l.text.data, lost + 30) && w.res.torn && w.res.good == lost, "without a SELECT behind it that batch is torn");
	world_close(&w);

	l.text.len = lost;
	put_command(&l, "MULTI", NULL);
	put_command(&l, "SELECT", "0", NULL);
	put_command(&l, "SET", "m", "1", NULL);
	put_command(&l, "EXEC", NULL);
	world_open(&w);
	ok(!read_log(&w, l.text.data, l.text.len) && !w.res.torn && value_is(&w, "m", "1"), "a Redis that begins with MULTI is one too");
	world_close(&w);
	bytes_fini(&l.text);
}

static void test_no_seal(void)
{
	struct log l = { 0 };
	struct world w;

	put_open(&l, 5);
	put_command(&l, "SET", "a", "1", NULL);
	put_open(&l, 5);
	world_open(&w);
	is(read_log(&w, l.text.data, l.text.len), -EBADMSG, "a batch without seal before our next opening is damage");
	world_close(&w);

	world_open(&w);
	l.text.len = 0;
	put_set(&l, "a", "1");
	is(read_log(&w, l.text.data, l.text.len), -EBADMSG, "a batch where no OPEN stands is damage");
	world_close(&w);

	/* The disk had the start of OPEN and what came behind it, not its middle. */
	l.text.len = 0;
	put_command(&l, "SELECT", "0", NULL);
	put_command(&l, "ECHO", "KV", NULL);
	put_command(&l, "SET", "a", "1", NULL);
	world_open(&w);
	is(read_log(&w, l.text.data, l.text.len), -EBADMSG, "an OPEN without its seal does not make Redis's commands of ours");
	ok(value_is(&w, "a", NULL), "which are not applied");
	world_close(&w);
	bytes_fini(&l.text);
}

int main(void)
{
	struct log l = { 0 };

	put_all_sorts(&l);
	test_whole(&l);
	test_every_cut(&l);
	test_nul_tail(&l);
	test_every_damage(&l);
	test_numbers();
	test_redis_alone();
	test_redis_went_on();
	test_no_seal();
	bytes_fini(&l.text);
	return tap_end();
}
