/* Recovery: which files count, what is cut and what is refused, as recover.h has it.  By small data directories, made file by file. */
#include "persist/rdb.h"
#include "persist/recover.h"
#include "store/load.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOT_MODE = 0755 };

#define MANIFEST "appendonlydir/appendonly.aof.manifest"
#define INCR(n) "appendonlydir/appendonly.aof." #n ".incr.aof"
#define BASE "appendonlydir/appendonly.aof.1.base.rdb"
#define LINE_BASE "file appendonly.aof.1.base.rdb seq 1 type b\n"
#define LINE_INCR(n) "file appendonly.aof." #n ".incr.aof seq " #n " type i\n"
#define SET(k, v) "*3\r\n$3\r\nSET\r\n$1\r\n" k "\r\n$1\r\n" v "\r\n"

static const int64_t long_ago_ms = 1000, far_away_ms = 4000000000000;

/* ---- a data directory ---- */

struct place {
	char path[32];
	int fd;
	struct persist_config config;
};

static void place_open(struct place *p)
{
	*p = (struct place){ .path = "/tmp/kvfs-recover.XXXXXX" };
	if (!mkdtemp(p->path))
		abort();
	p->fd = open(p->path, O_RDONLY | O_DIRECTORY);
	if (p->fd < 0 || mkdirat(p->fd, "appendonlydir", 0755))
		abort();
	p->config = (struct persist_config){
		.dir = p->path, .dbfilename = "dump.rdb", .appenddirname = "appendonlydir", .appendfilename = "appendonly.aof",
		.appendonly = true, .aof_load_truncated = true,
	};
}

static void place_close(struct place *p)
{
	char *command;

	close(p->fd);
	if (asprintf(&command, "rm -r %s", p->path) < 0 || system(command) != 0)
		abort();
	free(command);
}

static void put(struct place *p, const char *name, const void *data, size_t len)
{
	int fd = openat(p->fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, data, len) != (ssize_t)len || close(fd))
		abort();
}

static void put_text(struct place *p, const char *name, const char *text)
{
	put(p, name, text, strlen(text));
}

static int64_t size_of(struct place *p, const char *name)
{
	struct stat st;

	return fstatat(p->fd, name, &st, 0) ? -1 : (int64_t)st.st_size;
}

/* ---- an RDB file ---- */

static int sink(void *ctx, const void *data, size_t len)
{
	return bytes_add(ctx, data, len);
}

static struct snapshot_entry entry(const char *key, uint32_t mode, int64_t mtime_ns)
{
	return (struct snapshot_entry){
		.key = key, .key_len = strlen(key),
		.attr = { .mode = mode, .uid = 5, .gid = 6, .atime_ns = mtime_ns, .mtime_ns = mtime_ns, .ctime_ns = mtime_ns },
	};
}

/* A key before its directory, an empty directory, an expired key and one that will. */
static void make_rdb(struct bytes *out, uint64_t seq)
{
	struct rdb_options o = { .compress = true, .checksum = true, .origin = { .lineage = 77, .seq = seq }, .now_ns = 1 };
	struct snapshot_totals t = { .keys = 3, .expires = 2, .nodes = 6 };
	struct snapshot_entry e[] = {
		entry("d/k", S_IFREG | 0640, 11), entry("d", S_IFDIR | 0700, 22), entry("", S_IFDIR | 01777, 33),
		entry("empty", S_IFDIR | 0711, 44), entry("past", S_IFREG | 0600, 55), entry("later", S_IFREG | 0600, 66),
	};
	struct rdb_writer *w;
	size_t i;

	e[4].expire_at_ms = long_ago_ms;
	e[5].expire_at_ms = far_away_ms;
	if (rdb_writer_new(&o, sink, out, &w) || rdb_writer_begin(w, &t))
		abort();
	for (i = 0; i < sizeof(e) / sizeof(e[0]); i++)
		if (rdb_writer_entry(w, &e[i]))
			abort();
	if (rdb_writer_end(w))
		abort();
	rdb_writer_free(w);
}

static void put_rdb(struct place *p, const char *name, uint64_t seq, const char *behind)
{
	struct bytes b = { 0 };

	make_rdb(&b, seq);
	if (bytes_add(&b, behind, strlen(behind)))
		abort();
	put(p, name, b.data, b.len);
	bytes_fini(&b);
}

/* ---- a start ---- */

struct start {
	struct keyspace *ks;
	struct loader l;
	struct recovery rec;
	struct error e;
	int err;
};

static void start(struct start *s, struct place *p)
{
	struct keyspace_options o = { .hash_seed = { 1, 2 }, .value_max = 1 << 20, .root_mode = ROOT_MODE, .now_ns = 1 };
	struct persist_port port = { 0 };

	*s = (struct start){ 0 };
	if (keyspace_new(&o, &s->ks) || loader_init(&s->l, s->ks, 0, 0, 0))
		abort();
	s->err = recover(&p->config, p->fd, s->ks, &port, &s->rec, &s->e);
	if (s->err)
		diag("%s", s->e.text);
	else if (s->rec.report.len)
		diag("report: %.*s", (int)s->rec.report.len - 1, s->rec.report.data);
}

static void stop(struct start *s)
{
	if (!s->err)
		recovery_fini(&s->rec);
	loader_fini(&s->l);
	keyspace_free(s->ks);
}

static bool says(const struct start *s, const char *word)
{
	return s->err ? strstr(s->e.text, word) != NULL : s->rec.report.len && memmem(s->rec.report.data, s->rec.report.len, word, strlen(word));
}

static struct attr attr_of(struct start *s, const char *key)
{
	struct attr a = { 0 };
	uint64_t id;

	if (!loader_find(&s->l, key, strlen(key), &id))
		(void)keyspace_getattr(s->ks, id, &a);
	return a;
}

static bool there(struct start *s, const char *key)
{
	return attr_of(s, key).mode != 0;
}

/* ---- which files ---- */

static void test_sources(struct place *p)
{
	struct start s;

	start(&s, p);
	ok(!s.err && s.rec.source == RECOVER_EMPTY && s.rec.keys_loaded == 0, "nothing there: empty");
	stop(&s);

	put_rdb(p, "dump.rdb", 9, "trailing bytes");
	start(&s, p);
	ok(!s.err && s.rec.source == RECOVER_RDB, "dump.rdb alone counts, also with a log wanted");
	ok(s.rec.keys_loaded == 2 && s.rec.keys_expired == 1 && !there(&s, "past") && says(&s, "left out because their time is over: 1"),
	   "what is over is dropped and counted");
	ok(s.rec.lineage == 77 && s.rec.last_seq == 9, "lineage and number come with it");
	stop(&s);

	put_text(p, "appendonly.aof", SET("a", "1"));
	start(&s, p);
	ok(!s.err && s.rec.source == RECOVER_OLD_AOF && s.rec.keys_loaded == 1 && s.rec.base_size == strlen(SET("a", "1")),
	   "the old log comes before dump.rdb");
	stop(&s);

	put_text(p, MANIFEST, "# nothing\n");
	start(&s, p);
	ok(!s.err && s.rec.source == RECOVER_OLD_AOF, "a manifest of comments is none");
	stop(&s);

	put_text(p, MANIFEST, LINE_INCR(1));
	put_text(p, INCR(1), SET("b", "1"));
	start(&s, p);
	ok(!s.err && s.rec.source == RECOVER_AOF && there(&s, "b") && !there(&s, "a"), "the manifest comes before both");
	is((int64_t)s.rec.last_incr_size, (int64_t)strlen(SET("b", "1")), "the size of the last incr");
	is((int64_t)s.rec.manifest.count, 1, "and the manifest is handed on");
	stop(&s);

	p->config.appendonly = false;
	start(&s, p);
	ok(!s.err && s.rec.source == RECOVER_RDB && says(&s, "appendonlydir is there and was not read"), "appendonly no: only dump.rdb");
	stop(&s);
}

static void test_attributes(struct place *p)
{
	struct start s;
	struct attr a;

	put_rdb(p, "dump.rdb", 1, "");
	start(&s, p);
	a = attr_of(&s, "d/k");
	ok(a.mode == (S_IFREG | 0640) && a.uid == 5 && a.gid == 6 && a.mtime_ns == 11, "a value's attributes");
	a = attr_of(&s, "d");
	ok(a.mode == (S_IFDIR | 0700) && a.mtime_ns == 22 && a.ctime_ns == 22, "a directory's, though a key was made in it before");
	a = attr_of(&s, "empty");
	ok(a.mode == (S_IFDIR | 0711) && a.mtime_ns == 44, "an empty directory's");
	a = attr_of(&s, "");
	ok(a.mode == (S_IFDIR | 01777) && a.mtime_ns == 33, "the root's");
	stop(&s);
}

static void test_base_and_incrs(struct place *p)
{
	struct start s;

	put_text(p, MANIFEST, LINE_BASE LINE_INCR(1) LINE_INCR(2));
	put_rdb(p, BASE, 0, SET("c", "1"));
	put_text(p, INCR(1), "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n" SET("a", "1"));
	put_text(p, INCR(2), "");
	start(&s, p);
	ok(!s.err && there(&s, "d/k") && there(&s, "c") && there(&s, "a"), "base, the commands behind it, and each incr");
	ok(there(&s, "past") && s.rec.keys_expired == 0, "a base keeps what is over");
	ok(s.rec.base_size == (uint64_t)size_of(p, BASE) && s.rec.last_incr_size == 0, "sizes; an empty incr is fine");
	stop(&s);

	put_text(p, INCR(1), "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n" SET("a", "1"));
	start(&s, p);
	ok(s.err == -EINVAL && says(&s, "database 3"), "keys of another database are refused");
	stop(&s);

	put_text(p, INCR(1), "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n");
	put_text(p, INCR(2), SET("z", "1"));
	start(&s, p);
	ok(!s.err && there(&s, "z"), "each file starts in database 0");
	stop(&s);

	put_text(p, MANIFEST, LINE_BASE LINE_INCR(1) LINE_INCR(3));
	start(&s, p);
	ok(s.err == -ENOENT && says(&s, "appendonly.aof.3.incr.aof is listed in the manifest"), "a missing file is refused by name");
	stop(&s);

	put_text(p, MANIFEST, LINE_INCR(1) LINE_INCR(1));
	start(&s, p);
	ok(s.err < 0 && says(&s, "manifest"), "so is a manifest that Redis would refuse");
	stop(&s);
}

/* ---- torn and damaged ---- */

static void test_torn(struct place *p)
{
	static const char good[] = SET("a", "1"), torn[] = "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1";
	struct start s;

	put_text(p, MANIFEST, LINE_INCR(1) LINE_INCR(2));
	put_text(p, INCR(1), SET("a", "1") "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1");
	put_text(p, INCR(2), "");
	start(&s, p);
	ok(s.err == -EBADMSG && says(&s, "1.incr.aof") && says(&s, "more files follow"), "a torn file that is not the last is refused");
	is(size_of(p, INCR(1)), (int64_t)(strlen(good) + strlen(torn)), "and left as it is");
	stop(&s);

	put_text(p, MANIFEST, LINE_INCR(1));
	p->config.aof_load_truncated = false;
	start(&s, p);
	ok(s.err == -EBADMSG && says(&s, "aof-load-truncated"), "aof-load-truncated no: so is the last");
	is(size_of(p, INCR(1)), (int64_t)(strlen(good) + strlen(torn)), "and left as it is");
	stop(&s);

	p->config.aof_load_truncated = true;
	start(&s, p);
	ok(!s.err && there(&s, "a") && !there(&s, "b") && s.rec.last_incr_size == strlen(good), "else its tail is cut");
	ok(says(&s, "22 bytes") && says(&s, "appendonly.aof.1.incr.aof.torn-27"), "the report says how much, and where the copy is");
	is(size_of(p, INCR(1)), (int64_t)strlen(good), "the file ends with the last whole command");
	is(size_of(p, INCR(1) ".torn-27"), (int64_t)strlen(torn), "the copy has the rest");
	stop(&s);

	put_text(p, INCR(1), SET("a", "1") "*3\r\n$3\r\nSET\r\n");
	start(&s, p);
	ok(!s.err && size_of(p, INCR(1) ".torn-27.2") == 13 && size_of(p, INCR(1) ".torn-27") == (int64_t)strlen(torn),
	   "a second copy does not replace the first");
	stop(&s);

	put_text(p, INCR(1), SET("a", "1") "damage" SET("b", "1"));
	start(&s, p);
	ok(s.err == -EBADMSG && says(&s, "recover: appendonlydir: appendonly.aof.1.incr.aof: command at 27:"), "damage is refused, with file and offset");
	stop(&s);
}

static void test_corrupt_tail(struct place *p)
{
	struct start s;

	put_text(p, MANIFEST, LINE_INCR(1));
	put_text(p, INCR(1), SET("a", "1") "damage");
	p->config.aof_load_corrupt_tail_max_size = 5;
	start(&s, p);
	ok(s.err == -EBADMSG && says(&s, "its last 6 bytes: aof-load-corrupt-tail-max-size, now 5,"), "a longer end of garbage is refused, and measured");
	is(size_of(p, INCR(1)), 33, "and left as it is");
	stop(&s);

	p->config.aof_load_corrupt_tail_max_size = 6;
	start(&s, p);
	ok(!s.err && there(&s, "a") && s.rec.last_incr_size == 27 && says(&s, "6 bytes were damaged"), "one that is not longer is cut");
	ok(size_of(p, INCR(1)) == 27 && size_of(p, INCR(1) ".torn-27") == 6, "with a copy");
	stop(&s);

	put_text(p, MANIFEST, LINE_INCR(1) LINE_INCR(2));
	put_text(p, INCR(1), SET("a", "1") "damage");
	put_text(p, INCR(2), "");
	start(&s, p);
	ok(s.err == -EBADMSG && size_of(p, INCR(1)) == 33, "but not of a file that others follow");
	stop(&s);
}

static void test_bad_snapshot(struct place *p)
{
	struct bytes b = { 0 };
	struct start s;

	put_text(p, "dump.rdb", "");
	start(&s, p);
	ok(s.err == -EINVAL && says(&s, "dump.rdb: is empty"), "an empty dump.rdb is refused");
	stop(&s);

	make_rdb(&b, 1);
	b.data[b.len / 2] ^= 1;
	put(p, "dump.rdb", b.data, b.len);
	start(&s, p);
	ok(s.err < 0 && says(&s, "dump.rdb:"), "so is a damaged one");
	stop(&s);

	put(p, "dump.rdb", b.data, b.len / 2);
	start(&s, p);
	ok(s.err < 0 && says(&s, "dump.rdb:"), "and a cut one");
	stop(&s);
	bytes_fini(&b);
}

/* RDB keys of another type, and one that is no path, in a file without checksum. */
static void test_other_types(struct place *p)
{
	static const char rdb[] = "REDIS0009\xfe\0\x01\x01l\x01\x01x\0\x04" "a//b\x01v\0\x01k\x01v\xff\0\0\0\0\0\0\0";
	struct start s;

	put(p, "dump.rdb", rdb, sizeof(rdb));
	start(&s, p);
	ok(s.err == -EINVAL && says(&s, "1 key ") && says(&s, "\"l\" is of another type (list)"),
	   "keys that can't be mounted are named");
	stop(&s);

	p->config.skip_non_strings = true;
	start(&s, p);
	ok(!s.err && s.rec.keys_loaded == 2 && s.rec.keys_skipped == 1 && says(&s, "left out"), "skip-non-strings: they are left out and counted");
	stop(&s);
}

int main(void)
{
	static void (*const tests[])(struct place *) = {
		test_sources, test_attributes, test_base_and_incrs, test_torn, test_corrupt_tail, test_bad_snapshot, test_other_types,
	};
	size_t i;

	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		struct place p;

		place_open(&p);
		tests[i](&p);
		place_close(&p);
	}
	return tap_end();
}
