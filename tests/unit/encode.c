/* What a Redis sees of each operation, command by command; what is held back, for how long, and what makes it be said.
 * Read from the journal; that the whole of it says what happened is model/journal's. */
#include "persist/encode.h"
#include "persist/recover.h"
#include "persist/replay.h"
#include "persist/resp.h"
#include "persist/seal.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

static const int64_t start_ns = 1700000000500000000;

struct world {
	struct keyspace *ks;
	struct journal *journal;
	struct encoder encoder;
	struct op op;
	struct bytes said;          /* the commands since the last look: "SET k v; ECHO" is one batch */
};

static int record(void *ctx, struct mutation *m)
{
	return encode_mutation(ctx, m);
}

static void take_data(void *ctx, unsigned number, const void *data, size_t len)
{
	encode_take_data(ctx, number, data, len);
}

static void world_open(struct world *w, bool hold)
{
	struct keyspace_options o = { .hash_seed = { 1, 2 }, .value_max = 1 << 20, .root_mode = 0755, .now_ns = start_ns };
	struct error why = { 0 };

	*w = (struct world){ .op = { .uid = 1, .gid = 2, .now_ns = start_ns } };
	if (keyspace_new(&o, &w->ks) < 0 || journal_open("", -1, &why, &w->journal) < 0)
		abort();
	encode_init(&w->encoder, w->ks, w->journal, 42, 0);
	w->encoder.hold = hold;
	keyspace_set_observer(w->ks, &(struct observer){ .ctx = &w->encoder, .record = record, .take_data = take_data });
}

static void world_close(struct world *w)
{
	keyspace_free(w->ks);
	encode_fini(&w->encoder);
	journal_close(w->journal, true);
	bytes_fini(&w->said);
}

static void say(struct world *w, const char *text, size_t len)
{
	if (bytes_add(&w->said, text, len) < 0)
		abort();
}

/* BATCH: where the batch begins. */
static void say_command(struct world *w, const char *batch, const struct resp_command *c)
{
	struct seal s;

	if (w->said.len)
		say(w, " ", 1);
	for (size_t i = 0; i < c->argc; i++) {
		if (i)
			say(w, " ", 1);
		const char *arg = c->argv[i].data;
		if (!seal_is(arg, c->argv[i].len) || seal_parse(arg, c->argv[i].len, &s) < 0)
			say(w, arg, c->argv[i].len);
		else if (seal_crc(batch, arg + c->argv[i].len) != s.crc)
			say(w, "wrong sum;", 10);
		else
			say(w, s.flags & SEAL_OPEN ? "open;" : ";", s.flags & SEAL_OPEN ? 5 : 1);
	}
}

/* What the journal has, as text; the journal is empty then. */
static const char *said(struct world *w)
{
	struct resp_limits limits = { .args_max = 16, .arg_max = INT32_MAX };
	struct resp_command c = { 0 };
	const char *data, *why;
	size_t len, used;

	w->said.len = 0;
	while ((len = journal_peek(w->journal, UINT64_MAX, &data))) {
		for (size_t at = 0; at < len; at += used) {
			if (data[at] == '#') {
				used = (size_t)((const char *)memchr(data + at, '\n', len - at) - data) + 1 - at;
				say(w, data + at, used - 2);
				continue;
			}
			if (resp_parse(data + at, len - at, &limits, false, &c, &used, &why) != RESP_OK)
				abort();
			say_command(w, data, &c);    /* without a ring each batch is by itself */
		}
		journal_consume(w->journal, len);
	}
	resp_command_fini(&c);
	say(w, "", 1);
	return w->said.data;
}

static uint64_t create(struct world *w, uint64_t dir, const char *name)
{
	struct attr a;

	w->op.now_ns += 1000000;
	if (keyspace_mknod(w->ks, &w->op, dir, name, strlen(name), S_IFREG | 0644, &a) < 0)
		abort();
	return a.id;
}

static uint64_t make_dir(struct world *w, uint64_t dir, const char *name)
{
	struct attr a;

	w->op.now_ns += 1000000;
	if (keyspace_mkdir(w->ks, &w->op, dir, name, strlen(name), 0755, &a) < 0)
		abort();
	return a.id;
}

static void put(struct world *w, uint64_t id, uint64_t off, const char *text)
{
	w->op.now_ns += 1000000;
	if (keyspace_write(w->ks, &w->op, id, off, text, strlen(text)) < 0)
		abort();
}

static void resize(struct world *w, uint64_t id, uint64_t size)
{
	struct attr_change c = { .mask = ATTR_SIZE, .size = size };
	struct attr a;

	w->op.now_ns += 1000000;
	if (keyspace_setattr(w->ks, &w->op, id, &c, &a) < 0)
		abort();
}

static void move(struct world *w, const char *from, const char *to, unsigned flags)
{
	if (keyspace_rename(w->ks, &w->op, KEYSPACE_ROOT, from, strlen(from), KEYSPACE_ROOT, to, strlen(to), flags) < 0)
		abort();
}

static void flush(struct world *w, uint64_t id)
{
	keyspace_lock(w->ks);
	is(encode_flush(&w->encoder, id), 0, "flush");
	keyspace_unlock(w->ks);
}

/* ---- one batch each ---- */

static void test_each_kind(void)
{
	struct world w;
	struct attr_change mode = { .mask = ATTR_MODE, .mode = 0600 };
	struct attr a;

	world_open(&w, false);
	is(encode_open(&w.encoder, start_ns), 0, "open");
	is_text(said(&w), "SELECT 0 ECHO open;", "a log is opened");
	uint64_t k = create(&w, KEYSPACE_ROOT, "k");
	is_text(said(&w), "SET k  ECHO ;", "create");
	ok(w.op.seq == journal_published(w.journal), "its position is told");
	put(&w, k, 0, "one");
	is_text(said(&w), "APPEND k one ECHO ;", "a write at the end");
	put(&w, k, 1, "x");
	is_text(said(&w), "SETRANGE k 1 x ECHO ;", "a write in the middle");
	put(&w, k, 7, "y");
	is_text(said(&w), "SETRANGE k 7 y ECHO ;", "a write beyond the end");
	resize(&w, k, 2);
	is_text(said(&w), "SET k ox KEEPTTL ECHO ;", "cut shorter, with its expiry");
	resize(&w, k, 2);
	is_text(said(&w), "ECHO ;", "the same size");
	resize(&w, k, 0);
	is_text(said(&w), "SET k  ECHO ;", "cut to nothing, without its expiry");
	keyspace_setattr(w.ks, &w.op, k, &mode, &a);
	is_text(said(&w), "ECHO ;", "chmod is nothing to a Redis");
	keyspace_expire_at(w.ks, &w.op, k, 4000000000000, NULL);
	is_text(said(&w), "PEXPIREAT k 4000000000000 ECHO ;", "expire");
	keyspace_expire_at(w.ks, &w.op, k, 0, NULL);
	is_text(said(&w), "PERSIST k ECHO ;", "persist");
	keyspace_symlink(w.ks, &w.op, KEYSPACE_ROOT, "l", 1, "k", 1, &a);
	is_text(said(&w), "ECHO ;", "symlink is nothing to a Redis");
	keyspace_unlink(w.ks, &w.op, KEYSPACE_ROOT, "l", 1);
	is_text(said(&w), "ECHO ;", "nor is its end");
	keyspace_mkspecial(w.ks, &w.op, KEYSPACE_ROOT, "p", 1, S_IFIFO | 0600, 0, &a);
	is_text(said(&w), "ECHO ;", "a FIFO is nothing to a Redis");
	keyspace_rename(w.ks, &w.op, KEYSPACE_ROOT, "p", 1, KEYSPACE_ROOT, "k", 1, 0);
	is_text(said(&w), "DEL k ECHO ;", "but takes a key's place");
	keyspace_unlink(w.ks, &w.op, KEYSPACE_ROOT, "k", 1);
	is_text(said(&w), "ECHO ;", "and goes");
	k = create(&w, KEYSPACE_ROOT, "k");
	is_text(said(&w), "SET k  ECHO ;", "create");
	keyspace_unlink(w.ks, &w.op, KEYSPACE_ROOT, "k", 1);
	is_text(said(&w), "DEL k ECHO ;", "unlink");
	put(&w, k, 0, "nobody will find this");
	is_text(said(&w), "", "what has no name is not told");
	is((int64_t)w.op.seq, 0, "and nothing to wait for");
	world_close(&w);
}

/* What changes a file with several names changes each of its keys. */
static void test_links(void)
{
	struct attr_change mode = { .mask = ATTR_MODE, .mode = 0600 };
	static char large[100000];
	struct world w;
	struct attr a;

	world_open(&w, false);
	uint64_t k = create(&w, KEYSPACE_ROOT, "k");
	put(&w, k, 0, "one");
	said(&w);
	keyspace_link(w.ks, &w.op, k, KEYSPACE_ROOT, "b", 1, NULL);
	is_text(said(&w), "COPY k b REPLACE ECHO ;", "link");
	put(&w, k, 3, "x");
	is_text(said(&w), "SETRANGE k 3 x SETRANGE b 3 x ECHO ;", "a short write, nothing is appended");
	put(&w, k, 0, "longer than a COPY");
	is_text(said(&w), "SETRANGE k 0 longer than a COPY COPY k b REPLACE ECHO ;", "a longer one");
	resize(&w, k, 2);
	is_text(said(&w), "SET k lo KEEPTTL COPY k b REPLACE ECHO ;", "cut shorter");
	resize(&w, k, 0);
	is_text(said(&w), "SET k  SET b  ECHO ;", "cut to nothing");
	keyspace_expire_at(w.ks, &w.op, k, 4000000000000, NULL);
	is_text(said(&w), "PEXPIREAT k 4000000000000 PEXPIREAT b 4000000000000 ECHO ;", "expire");
	keyspace_expire_at(w.ks, &w.op, k, 0, NULL);
	is_text(said(&w), "PERSIST k PERSIST b ECHO ;", "persist");
	keyspace_setattr(w.ks, &w.op, k, &mode, &a);
	is_text(said(&w), "ECHO ;", "chmod");
	keyspace_write(w.ks, &w.op, k, 0, memset(large, 'x', sizeof large), sizeof large);
	const char *text = said(&w);
	ok(strncmp(text, "SETRANGE k 0 xxx", 16) == 0 && strcmp(text + 13 + sizeof large, " COPY k b REPLACE ECHO ;") == 0, "a large write, which is copied without S");
	put(&w, k, 50, "little of a large value");
	is_text(said(&w), "SETRANGE k 50 little of a large value SETRANGE b 50 little of a large value ECHO ;", "is not copied");
	move(&w, "k", "m", 0);
	is_text(said(&w), "RENAME k m ECHO ;", "rename of one name");
	move(&w, "m", "b", 0);
	is_text(said(&w), "", "of one over the other");
	keyspace_unlink(w.ks, &w.op, KEYSPACE_ROOT, "m", 1);
	is_text(said(&w), "DEL m ECHO ;", "unlink of one");
	put(&w, k, 100000, "z");
	is_text(said(&w), "APPEND b z ECHO ;", "what is left has one name");
	world_close(&w);

	world_open(&w, true);
	k = create(&w, KEYSPACE_ROOT, "k");
	keyspace_link(w.ks, &w.op, k, KEYSPACE_ROOT, "b", 1, NULL);
	is_text(said(&w), "SET k  ECHO ; COPY k b REPLACE ECHO ;", "what was held back is there before it is linked");
	put(&w, k, 0, "v");
	said(&w);
	resize(&w, k, 0);
	put(&w, k, 0, "w");
	is_text(said(&w), "SET k w SET b w ECHO ;", "echo w > k");
	resize(&w, k, 0);
	flush(&w, 0);
	is_text(said(&w), "SET k  SET b  ECHO ;", "a truncation alone");
	world_close(&w);
}

static void test_renames(void)
{
	struct world w;

	world_open(&w, false);
	uint64_t d = make_dir(&w, KEYSPACE_ROOT, "d"), e = make_dir(&w, d, "e");
	create(&w, d, "a");
	create(&w, e, "b");
	create(&w, KEYSPACE_ROOT, "f");
	create(&w, KEYSPACE_ROOT, "g");
	said(&w);
	move(&w, "f", "g", 0);
	is_text(said(&w), "RENAME f g ECHO ;", "over another");
	move(&w, "d", "x", 0);
	const char *text = said(&w);
	ok(strstr(text, "RENAME d/a x/a") && strstr(text, "RENAME d/e/b x/e/b") && strlen(text) == strlen("RENAME d/a x/a RENAME d/e/b x/e/b ECHO ;"),
	   "a directory: each key below, in one batch");
	move(&w, "x", "g", RENAME_SWAP);
	text = said(&w);
	ok(strstr(text, "RENAME x/a /.kvfs-swap-000000000000002a-8/a") && strstr(text, " RENAME g x ") &&
	   strstr(text, "RENAME /.kvfs-swap-000000000000002a-8/a g/a"), "a swap: %s", text);
	world_close(&w);
}

/* Commands say keys, whatever the names are. */
static void test_escaped(void)
{
	struct world w;

	world_open(&w, true);
	uint64_t empty = make_dir(&w, KEYSPACE_ROOT, ".%"), a = make_dir(&w, empty, "a");
	said(&w);
	put(&w, create(&w, empty, ".%.."), 0, "v");
	is_text(said(&w), "SET /.. v ECHO ;", "a key with parts that are no names");
	put(&w, create(&w, empty, ".%a"), 0, "v");
	is_text(said(&w), "SET /a v ECHO ;", "a value beside a directory");
	put(&w, create(&w, a, "b"), 0, "w");
	is_text(said(&w), "SET /a/b w ECHO ;", "one in it");
	move(&w, ".%", "x", 0);
	const char *text = said(&w);
	ok(strstr(text, "RENAME /.. x/..") && strstr(text, "RENAME /a x/a ") && strstr(text, "RENAME /a/b x/a/b"), "a directory moves: %s", text);
	keyspace_unlink(w.ks, &w.op, a, "b", 1);
	keyspace_rmdir(w.ks, &w.op, empty, "a", 1);
	said(&w);
	keyspace_rename(w.ks, &w.op, empty, ".%a", 3, empty, "a", 1, 0);
	is_text(said(&w), "ECHO ;", "from one name of a key to the other: nothing to a Redis");
	keyspace_rename(w.ks, &w.op, empty, "a", 1, KEYSPACE_ROOT, ".%", 2, 0);
	is_text(said(&w), "RENAME x/a  ECHO ;", "to the empty key");
	keyspace_unlink(w.ks, &w.op, KEYSPACE_ROOT, ".%", 2);
	is_text(said(&w), "DEL  ECHO ;", "which goes");
	world_close(&w);
}

/* A value whose directory goes before it is told of has its second name in the log too. */
static void test_held_beside(void)
{
	struct keyspace_options o = { .value_max = 1 << 20, .root_mode = 0755, .now_ns = start_ns };
	struct aof_result res = { .continues = true };
	struct error e = { 0 };
	struct replay r;
	struct world w;
	struct keyspace *copy;
	const char *data;
	uint64_t id;
	size_t len;

	world_open(&w, true);
	make_dir(&w, KEYSPACE_ROOT, "a");
	create(&w, KEYSPACE_ROOT, ".%a");
	keyspace_rmdir(w.ks, &w.op, KEYSPACE_ROOT, "a", 1);
	flush(&w, 0);
	while ((len = journal_peek(w.journal, UINT64_MAX, &data))) {
		say(&w, data, len);
		journal_consume(w.journal, len);
	}
	if (keyspace_new(&o, &copy) < 0 || replay_init(&r, copy, 0, 0, start_ns) < 0)
		abort();
	is(aof_read(w.said.data, w.said.len, &r, &res, &e), 0, "the log is read%s", e.text);
	ok(loader_find(&r.l, ".%a", 3, &id) == 0 && loader_find(&r.l, "a", 1, &id) == -ENOENT, "and the value is where it was");
	replay_fini(&r);
	keyspace_free(copy);
	world_close(&w);
}

static void test_timestamps(void)
{
	struct world w;

	world_open(&w, false);
	w.encoder.timestamps = true;
	make_dir(&w, KEYSPACE_ROOT, "a");
	is_text(said(&w), "#TS:1700000000 ECHO ;", "the second, when it is a new one");
	make_dir(&w, KEYSPACE_ROOT, "b");
	is_text(said(&w), "ECHO ;", "not twice");
	w.op.now_ns -= 2000000000;
	make_dir(&w, KEYSPACE_ROOT, "c");
	is_text(said(&w), "ECHO ;", "never backwards");
	w.op.now_ns += 4000000000;
	make_dir(&w, KEYSPACE_ROOT, "d");
	is_text(said(&w), "#TS:1700000002 ECHO ;", "the next");
	world_close(&w);
}

/* ---- holding back ---- */

static void test_echo_to_file(void)
{
	struct world w;

	world_open(&w, true);
	uint64_t k = create(&w, KEYSPACE_ROOT, "k");
	is_text(said(&w), "", "a create waits");
	is((int64_t)w.op.seq, 0, "with nothing to wait for");
	put(&w, k, 0, "v");
	is_text(said(&w), "SET k v ECHO ;", "echo v > k: one SET");
	resize(&w, k, 0);
	is_text(said(&w), "", "a cut waits");
	put(&w, k, 0, "w");
	is_text(said(&w), "SET k w ECHO ;", "again: one SET");
	put(&w, k, 1, "x");
	is_text(said(&w), "APPEND k x ECHO ;", "echo >> k");
	resize(&w, k, 0);
	put(&w, k, 3, "y");
	is_text(said(&w), "SET k  ECHO ; SETRANGE k 3 y ECHO ;", "a write that is not at 0 is not the second half");
	world_close(&w);
}

static void test_what_ends_waiting(void)
{
	struct world w;
	struct attr_change mode = { .mask = ATTR_MODE, .mode = 0600 };
	struct attr a;
	int64_t next_ns;

	world_open(&w, true);
	uint64_t k = create(&w, KEYSPACE_ROOT, "k"), l = create(&w, KEYSPACE_ROOT, "l");
	flush(&w, k);
	is_text(said(&w), "SET k  ECHO ;", "fsync of that file");
	keyspace_setattr(w.ks, &w.op, l, &mode, &a);
	is_text(said(&w), "SET l  ECHO ; ECHO ;", "another change of that file");
	create(&w, KEYSPACE_ROOT, "m");
	move(&w, "m", "n", 0);
	is_text(said(&w), "SET m  ECHO ; RENAME m n ECHO ;", "a rename of that file");
	uint64_t d = make_dir(&w, KEYSPACE_ROOT, "d");
	create(&w, d, "o");
	said(&w);
	move(&w, "d", "e", 0);
	is_text(said(&w), "SET d/o  ECHO ; RENAME d/o e/o ECHO ;", "a rename of a directory above it");
	resize(&w, l, 0);
	move(&w, "k", "l", 0);
	is_text(said(&w), "SET l  ECHO ; RENAME k l ECHO ;", "a rename over it");
	int64_t held_ns = w.op.now_ns + 1000000;
	create(&w, KEYSPACE_ROOT, "p");
	keyspace_lock(w.ks);
	is(encode_flush_old(&w.encoder, held_ns + HOLD_NS - 1, &next_ns), 0, "before its time");
	is(next_ns, held_ns + HOLD_NS, "it says when to come again");
	is_text(said(&w), "", "nothing");
	is(encode_flush_old(&w.encoder, held_ns + HOLD_NS, &next_ns), 0, "a tenth of a second later");
	is(next_ns, INT64_MAX, "nothing is left");
	is_text(said(&w), "SET p  ECHO ;", "it is told by itself");
	keyspace_unlock(w.ks);
	create(&w, KEYSPACE_ROOT, "q");
	keyspace_lock(w.ks);
	is(encode_flush_old(&w.encoder, held_ns - 5000000000, &next_ns), 0, "the clock was set back");
	keyspace_unlock(w.ks);
	is_text(said(&w), "SET q  ECHO ;", "then too");
	world_close(&w);
}

static void test_many_held(void)
{
	struct world w;

	world_open(&w, true);
	for (int i = 0; i < HELD_MAX; i++) {
		char name[] = { 'k', (char)('0' + i / 10), (char)('0' + i % 10), 0 };
		create(&w, KEYSPACE_ROOT, name);
	}
	is_text(said(&w), "", "so many wait");
	create(&w, KEYSPACE_ROOT, "more");
	is_text(said(&w), "SET k00  ECHO ;", "one more: the oldest is told");
	flush(&w, 0);
	is(w.encoder.held_count, 0, "and all of them when asked");
	world_close(&w);
}

int main(void)
{
	test_each_kind();
	test_links();
	test_renames();
	test_escaped();
	test_held_beside();
	test_timestamps();
	test_echo_to_file();
	test_what_ends_waiting();
	test_many_held();
	return tap_end();
}
