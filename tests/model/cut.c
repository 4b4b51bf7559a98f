/* A snapshot is exactly the state at its cut, and base and incr together are exactly the state at the end, while several threads go on
 * changing everything.  The log, which model/journal holds to be true, is the witness: replayed up to the number that a dump says it
 * includes it must give the same tree as the dump.
 *
 *      cut [SEED]                                                                                                                      */
#include "persist/recover.h"
#include "persist/replay.h"
#include "persist/seal.h"
#include "tests/lib/engine_rig.h"
#include "tests/lib/tap.h"
#include "tests/lib/tree_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 3, NAMES = 10, SAVES = 6, REWRITES = 8, VALUE_MAX_LEN = 40000 };

struct mutator {
	pthread_t thread;
	struct rig *rig;
	uint64_t random, done, failed;
	_Atomic bool *stop;
};

static const int64_t first_ns = 1700000000000000000;
static char pool[2 * VALUE_MAX_LEN];

static uint64_t rnd(struct mutator *m, uint64_t n)
{
	uint64_t z = m->random += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % n;
}

/* ---- the threads that change everything ---- */

/* A directory: the root, or one that another thread may be moving at this moment. */
static uint64_t some_dir(struct mutator *m)
{
	uint64_t at = KEYSPACE_ROOT;
	struct attr a;

	while (rnd(m, 3)) {
		char name = (char)('a' + rnd(m, NAMES));
		if (keyspace_lookup(m->rig->ks, at, &name, 1, first_ns, &a) < 0)
			break;
		keyspace_forget(m->rig->ks, a.id, 1);
		if (!S_ISDIR(a.mode))
			break;
		at = a.id;
	}
	return at;
}

static int change_file(struct mutator *m, struct op *op, uint64_t dir, const char *name)
{
	struct attr_change c = { .mask = ATTR_SIZE, .size = rnd(m, 2) ? 0 : rnd(m, 3000) };
	struct keyspace *ks = m->rig->ks;
	size_t len = rnd(m, 12) ? 1 + rnd(m, 60) : rnd(m, VALUE_MAX_LEN);
	struct attr a;

	int err = keyspace_lookup(ks, dir, name, 1, first_ns, &a);
	if (err)
		return err;
	switch (rnd(m, 5)) {
	case 0:
		err = keyspace_write(ks, op, a.id, rnd(m, a.size + 10), pool + rnd(m, VALUE_MAX_LEN), len);
		break;
	case 1:
		err = a.size > 200000 ? -EFBIG : keyspace_write(ks, op, a.id, a.size, pool + rnd(m, VALUE_MAX_LEN), len);
		break;
	case 2:
		c = (struct attr_change){ .mask = ATTR_MODE | ATTR_MTIME, .mode = (uint32_t)rnd(m, 07777), .mtime_ns = (int64_t)rnd(m, 1u << 31) };
		err = keyspace_setattr(ks, op, a.id, &c, &a);
		break;
	case 3:
		err = keyspace_expire_at(ks, op, a.id, rnd(m, 2) ? 4000000000000 + (int64_t)rnd(m, 1000) : 0, NULL);
		break;
	default:
		err = keyspace_setattr(ks, op, a.id, &c, &a);
		if (!err)
			err = keyspace_write(ks, op, a.id, 0, pool + rnd(m, VALUE_MAX_LEN), len);
	}
	keyspace_forget(ks, a.id, 1);
	return err;
}

static int change_names(struct mutator *m, struct op *op, uint64_t dir, const char *name)
{
	struct keyspace *ks = m->rig->ks;
	char other = (char)('a' + rnd(m, NAMES));
	struct attr a;
	int err;

	switch (rnd(m, 11)) {
	case 10:
		err = keyspace_lookup(ks, dir, name, 1, first_ns, &a);
		if (err)
			return err;
		err = keyspace_link(ks, op, a.id, some_dir(m), &other, 1, NULL);
		keyspace_forget(ks, a.id, 1);
		return err;
	case 0:
		err = keyspace_unlink(ks, op, dir, name, 1);
		return err == -EISDIR ? keyspace_rmdir(ks, op, dir, name, 1) : err;
	case 1:
	case 2:
		return keyspace_rename(ks, op, dir, name, 1, some_dir(m), &other, 1, rnd(m, 3) ? 0 : RENAME_SWAP);
	case 3:
		err = keyspace_mkdir(ks, op, dir, name, 1, 0755, &a);
		break;
	case 4:
		err = keyspace_symlink(ks, op, dir, name, 1, pool, 1 + rnd(m, 50), &a);
		break;
	case 5:
		err = keyspace_mkspecial(ks, op, dir, name, 1, S_IFCHR | 0600, 0x501, &a);
		break;
	default:
		err = keyspace_mknod(ks, op, dir, name, 1, S_IFREG | 0644, &a);
		if (!err && rnd(m, 4))
			err = keyspace_write(ks, op, a.id, 0, pool + rnd(m, VALUE_MAX_LEN), 1 + rnd(m, 100));
	}
	if (!err || err == -ESTALE)
		keyspace_forget(ks, a.id, 1);
	return err;
}

static void *mutate(void *arg)
{
	struct mutator *m = arg;

	while (!atomic_load(m->stop)) {
		struct op op = { .uid = (uint32_t)rnd(m, 4), .gid = 1, .now_ns = disk_real()->now_ns(NULL) };
		char name = (char)('a' + rnd(m, NAMES));
		uint64_t dir = some_dir(m);
		int err = rnd(m, 3) ? change_file(m, &op, dir, &name) : change_names(m, &op, dir, &name);
		*(err ? &m->failed : &m->done) += 1;
		if (rnd(m, 10) == 0)
			usleep(1000);
	}
	return NULL;
}

static void start(struct mutator *m, struct rig *r, uint64_t seed, _Atomic bool *stop)
{
	atomic_store(stop, false);
	for (int i = 0; i < THREADS; i++) {
		m[i] = (struct mutator){ .rig = r, .random = seed + (uint64_t)i, .stop = stop };
		if (pthread_create(&m[i].thread, NULL, mutate, &m[i]) != 0)
			abort();
	}
}

static void stop_all(struct mutator *m, _Atomic bool *stop)
{
	uint64_t done = 0, failed = 0;

	atomic_store(stop, true);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(m[i].thread, NULL);
		done += m[i].done;
		failed += m[i].failed;
	}
	diag("%" PRIu64 " changes, %" PRIu64 " refused", done, failed);
	ok(done > 1000, "much was changed");
}

/* ---- dumps ---- */

static struct keyspace *empty(void)
{
	struct keyspace_options o = { .hash_seed = { 3, 4 }, .value_max = 1 << 28, .root_mode = 0755, .now_ns = first_ns };
	struct keyspace *ks;

	if (keyspace_new(&o, &ks) < 0)
		abort();
	return ks;
}

/* The tree in a dump, and the number of the last batch that it includes. */
static bool load_dump(struct rig *r, const char *name, struct tree_state *ret, uint64_t *ret_seq)
{
	struct persist_config config = r->config;
	struct persist_port port = { .log = r->port.log, .ctx = r };
	struct keyspace *ks = empty();
	struct recovery rec = { 0 };
	struct error e = { 0 };

	config.appendonly = false;
	config.dbfilename = name;
	int dir_fd = open(r->data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = recover(&config, dir_fd, ks, &port, &rec, &e);
	close(dir_fd);
	if (err) {
		diag("%s", e.text);
	} else {
		tree_state_take(ks, ret);
		*ret_seq = rec.last_seq;
		recovery_fini(&rec);
	}
	keyspace_free(ks);
	return !err;
}

/* Bytes of the log up to the end of batch SEQ. */
static size_t end_of(const struct bytes *log, uint64_t seq)
{
	struct resp_limits limits = { .args_max = 1 << 20, .arg_max = INT32_MAX };
	struct resp_command c = { 0 };
	size_t at = 0, used, found = 0;
	const char *why;
	struct seal s;

	while (!found && at < log->len && resp_parse(log->data + at, log->len - at, &limits, false, &c, &used, &why) == RESP_OK) {
		at += used;
		if (c.argc == 2 && resp_is(&c.argv[0], "ECHO") && !seal_parse(c.argv[1].data, c.argv[1].len, &s) && s.seq == seq)
			found = at;
	}
	resp_command_fini(&c);
	return found;
}

static bool replay_to(const struct bytes *log, uint64_t seq, struct tree_state *ret)
{
	struct aof_result res = { 0 };
	struct keyspace *ks = empty();
	struct error e = { 0 };
	struct replay r;

	if (replay_init(&r, ks, 0, 0, first_ns) < 0)
		abort();
	int err = aof_read(log->data, end_of(log, seq), &r, &res, &e);
	if (err)
		diag("%s", e.text);
	tree_state_take(ks, ret);
	replay_fini(&r);
	keyspace_free(ks);
	return !err && res.last_seq == seq;
}

static void read_log(struct rig *r, struct bytes *log)
{
	char *name = rig_log_file(r, ".incr.aof");
	struct stat st;
	int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;

	free(name);
	if (fd < 0 || fstat(fd, &st) < 0 || bytes_reserve(log, (size_t)st.st_size) < 0 ||
	    read(fd, log->data, (size_t)st.st_size) != st.st_size)
		abort();
	log->len = (size_t)st.st_size;
	close(fd);
}

static void check_dump(struct rig *r, const struct bytes *log, const char *name)
{
	struct tree_state dump = { 0 }, then = { 0 };
	char why[256] = "";
	uint64_t seq = 0;

	if (ok(load_dump(r, name, &dump, &seq), "%s loads", name) && ok(replay_to(log, seq, &then), "the log up to %" PRIu64, seq)) {
		if (!ok(tree_state_same(&dump, &then, why, sizeof why), "%s is the state at its cut: %zu nodes", name, dump.count))
			diag("%s", why);
	}
	tree_state_fini(&dump);
	tree_state_fini(&then);
}

static void move_dump(struct rig *r, int i)
{
	char *from, *to;

	if (asprintf(&from, "%s/dump.rdb", r->data) < 0 || asprintf(&to, "%s/dump.%d", r->data, i) < 0)
		abort();
	ok(rename(from, to) == 0, "a dump was made");
	free(from);
	free(to);
}

/* ---- the two halves ---- */

static void test_dumps(uint64_t seed)
{
	struct mutator m[THREADS];
	struct bytes log = { 0 };
	_Atomic bool stop;
	struct rig r;

	rig_init(&r, NULL);
	r.config.rdb_key_save_delay_us = 200;
	r.config.auto_aof_rewrite_percentage = 0;     /* the log is the witness: it stays whole */
	if (!ok(rig_open(&r) == 0, "opens"))
		exit(1);
	start(m, &r, seed, &stop);
	for (int i = 0; i < SAVES; i++) {
		usleep(50000);
		is(rig_save(&r), 0, "SAVE");
		move_dump(&r, i);
	}
	stop_all(m, &stop);
	is(rig_close(&r, FINAL_SAVE_NEVER), 0, "stops");
	read_log(&r, &log);
	for (int i = 0; i < SAVES; i++) {
		char name[] = { 'd', 'u', 'm', 'p', '.', (char)('0' + i), 0 };
		check_dump(&r, &log, name);
	}
	bytes_fini(&log);
	rig_fini(&r);
}

static void test_rewrites(uint64_t seed, const char *what, bool preamble, bool ring)
{
	struct tree_state before = { 0 }, after = { 0 };
	struct mutator m[THREADS];
	char why[256] = "";
	_Atomic bool stop;
	struct rig r;

	diag("%s", what);
	rig_init(&r, NULL);
	r.config.rdb_key_save_delay_us = 100;
	r.config.aof_use_rdb_preamble = preamble;
	if (!ring)
		r.config.journal_dir = "";
	if (!ok(rig_open(&r) == 0, "opens"))
		exit(1);
	start(m, &r, seed, &stop);
	for (int i = 0; i < REWRITES; i++) {
		usleep(20000);
		is(rig_rewrite(&r), 0, "BGREWRITEAOF");
		is(rig_fsync(&r, ""), 0, "fsync");
	}
	stop_all(m, &stop);
	tree_state_take(r.ks, &before);
	is(rig_close(&r, FINAL_SAVE_NEVER), 0, "stops");
	const char *litter = rig_litter(&r);
	if (!ok(!litter, "no litter"))
		diag("%s", litter);
	if (ok(rig_open(&r) == 0, "opens again")) {
		tree_state_take(r.ks, &after);
		if (!ok(tree_state_same(&after, &before, why, sizeof why), "base and incr are the state at the end: %zu nodes", before.count))
			diag("%s", why);
		rig_close(&r, FINAL_SAVE_NEVER);
	} else {
		diag("%s", r.error.text);
	}
	tree_state_fini(&before);
	tree_state_fini(&after);
	rig_fini(&r);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);

	diag("seed %" PRIu64 " (what the threads do is seeded, when is not)", seed);
	for (size_t i = 0; i < sizeof pool; i++)
		pool[i] = (char)(1 + i * 7 % 251);
	test_dumps(seed);
	test_rewrites(seed + 100, "rewrites", true, true);
	test_rewrites(seed + 200, "rewrites into commands, without a shared journal", false, false);
	return tap_end();
}
