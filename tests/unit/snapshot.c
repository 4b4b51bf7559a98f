/* A snapshot shows one moment while writers go on: keys written in pairs are at most one step apart, a directory is found under one name,
 * no value is half written, and readers keep what they hold.  By threads (for the thread sanitizer too), after a few plain cases.        */
#include "store/snapshot.h"
#include "tests/lib/tap.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { ROOT = KEYSPACE_ROOT, WRITERS = 2, READERS = 2, PAIRS = 8, MOVED = 600, ROUNDS = 8000, BIG = 40000 };

struct world {
	struct keyspace *ks;
	uint64_t dir, file[WRITERS][PAIRS][2];
	_Atomic int writing;         /* writers at work */
	_Atomic int wrong;
	_Atomic int snapshots, reads;
};

static struct op an_op(void)
{
	return (struct op){ .now_ns = 1000000 };
}

static uint64_t make(struct keyspace *ks, uint64_t parent, const char *name, bool dir)
{
	struct op op = an_op();
	struct attr a = { 0 };
	int err = dir ? keyspace_mkdir(ks, &op, parent, name, strlen(name), 0755, &a)
	              : keyspace_mknod(ks, &op, parent, name, strlen(name), S_IFREG | 0644, &a);
	return err ? 0 : a.id;
}

static void put(struct keyspace *ks, uint64_t id, const void *data, size_t len)
{
	struct op op = an_op();
	keyspace_write(ks, &op, id, 0, data, len);
}

static struct snapshot *begin(struct keyspace *ks, struct snapshot_totals *totals)
{
	struct snapshot *s = NULL;

	keyspace_lock(ks);
	int err = snapshot_begin_locked(ks, &s, totals);
	keyspace_unlock(ks);
	return err ? NULL : s;
}

/* ---- plain cases ---- */

static int count_all(struct snapshot *s)
{
	static struct snapshot_batch b;
	int n = 0;

	do {
		if (snapshot_next(s, &b) < 0)
			return -1;
		n += b.count;
	} while (b.count > 0);
	return n;
}

static void test_plain(struct keyspace *ks)
{
	struct snapshot_totals t, again;
	static char big[3 << 20];
	uint64_t a = make(ks, ROOT, "a", false), b = make(ks, ROOT, "b", false);
	struct op op = an_op();
	uint64_t peak;

	put(ks, a, big, sizeof big);
	struct snapshot *s = begin(ks, &t);
	ok(s && t.nodes == 3 && t.keys == 2, "totals at the cut");
	ok(begin(ks, &again) == NULL, "one at a time");
	make(ks, ROOT, "new", false);
	ok(snapshot_memory(s, &peak) > 0, "the root changed and was handed over");
	uint64_t before = snapshot_memory(s, &peak);
	put(ks, b, "b", 1);
	uint64_t once = snapshot_memory(s, &peak);
	put(ks, b, "bb", 2);
	ok(once > before && snapshot_memory(s, &peak) == once, "a pre-image is handed over once");
	keyspace_unlink(ks, &op, ROOT, "a", 1);
	make(ks, ROOT, "a", false);
	is(count_all(s), 3, "what was there at the cut is yielded");
	is((int64_t)snapshot_memory(s, &peak), 0, "no memory is left");
	ok(peak > once + VALUE_CHUNK && peak < once + VALUE_CHUNK + 1024, "and it is known how much it was: a large value counts as a chunk");
	is(count_all(s), 0, "and nothing again");
	snapshot_end(s);
	s = begin(ks, &t);
	keyspace_unlink(ks, &op, ROOT, "new", 3);
	snapshot_end(s);
	s = begin(ks, &t);
	is(count_all(s), 3, "after one that was not finished");
	snapshot_end(s);
	snapshot_end(NULL);
}

/* ---- threads ---- */

static void wrong(struct world *w, const char *what)
{
	if (atomic_fetch_add(&w->wrong, 1) < 5)
		diag("%s", what);
}

/* Whether all bytes are alike; *RET is what they are, -1 for none. */
static bool is_uniform(struct value *v, uint64_t size, int *ret)
{
	struct iovec iov[8];
	size_t covered;

	*ret = -1;
	for (uint64_t off = 0; off < size; off += covered) {
		int n = value_iov(v, size, off, size - off, iov, 8, &covered);
		for (int i = 0; i < n; i++) {
			const unsigned char *p = iov[i].iov_base;
			if (*ret < 0)
				*ret = p[0];
			if (p[0] != *ret || memcmp(p, p + 1, iov[i].iov_len - 1) != 0)
				return false;
		}
	}
	return true;
}

struct job { struct world *w; int number; };

static void *write_pairs(void *arg)
{
	struct job *job = arg;
	struct world *w = job->w;
	static _Thread_local char data[BIG];

	for (int round = 1; round <= ROUNDS; round++) {
		int pair = round % PAIRS;
		size_t len = pair < 2 ? BIG : 100;
		memset(data, round / PAIRS, len);
		put(w->ks, w->file[job->number][pair][0], data, len);
		put(w->ks, w->file[job->number][pair][1], data, len);
	}
	atomic_fetch_sub(&w->writing, 1);
	return NULL;
}

static void *move_directory(void *arg)
{
	struct world *w = ((struct job *)arg)->w;
	struct op op = an_op();

	for (int i = 0; atomic_load(&w->writing) > 0; i++)
		if (keyspace_rename(w->ks, &op, ROOT, i % 2 ? "there" : "here", i % 2 ? 5 : 4, ROOT, i % 2 ? "here" : "there", i % 2 ? 4 : 5, 0))
			wrong(w, "rename");
	return NULL;
}

static void *read_values(void *arg)
{
	struct job *job = arg;
	struct world *w = job->w;
	struct value *held[16] = { 0 };
	uint64_t size[16] = { 0 };
	int seen[16], byte;

	for (unsigned i = 0; atomic_load(&w->writing) > 0; i++) {
		unsigned k = i % 16;
		if (held[k]) {
			if (!is_uniform(held[k], size[k], &byte) || byte != seen[k])
				wrong(w, "a value changed under its reader");
			value_unref(held[k]);
			held[k] = NULL;
		}
		uint64_t id = w->file[i % WRITERS][(i + (unsigned)job->number) / 3 % PAIRS][i / 5 % 2];
		if (keyspace_get_value(w->ks, id, &held[k], &size[k]) != 0 || !is_uniform(held[k], size[k], &seen[k]))
			wrong(w, "a value half written");
		atomic_fetch_add(&w->reads, 1);
	}
	for (int k = 0; k < 16; k++)
		value_unref(held[k]);
	return NULL;
}

/* What one snapshot has shown so far. */
struct seen {
	int byte[WRITERS][PAIRS][2];
	int here, there;
	uint64_t nodes;
};

static void look(struct world *w, struct seen *seen, const struct snapshot_entry *e)
{
	int byte;

	seen->nodes++;
	if (S_ISDIR(e->attr.mode))
		return;
	if (!is_uniform(e->value, e->attr.size, &byte))
		wrong(w, "a snapshot of a value half written");
	if (e->key_len > 5 && memcmp(e->key, "here/", 5) == 0)
		seen->here++;
	else if (e->key_len > 6 && memcmp(e->key, "there/", 6) == 0)
		seen->there++;
	else
		seen->byte[e->key[0] - '0'][e->key[2] - '0'][e->key[4] - '0'] = byte;
}

static void *take_snapshots(void *arg)
{
	struct world *w = ((struct job *)arg)->w;
	static struct snapshot_batch b;
	struct snapshot_totals totals;

	while (atomic_load(&w->writing) > 0) {
		struct seen seen = { 0 };
		struct snapshot *s = begin(w->ks, &totals);
		if (!s) {
			wrong(w, "begin");
			break;
		}
		while (snapshot_next(s, &b) == 0 && b.count > 0)
			for (int i = 0; i < b.count; i++)
				look(w, &seen, &b.entry[i]);
		snapshot_end(s);
		if (seen.nodes != totals.nodes || seen.here + seen.there != MOVED || (seen.here && seen.there))
			wrong(w, "a snapshot of a directory on its way");
		for (int i = 0; i < WRITERS * PAIRS; i++) {
			const int *pair = seen.byte[i / PAIRS][i % PAIRS];
			int step = (pair[0] - pair[1]) & 255;
			if (pair[0] >= 0 && pair[1] >= 0 && step > 1)
				wrong(w, "a snapshot of two moments");
		}
		atomic_fetch_add(&w->snapshots, 1);
	}
	return NULL;
}

static void test_threads(struct keyspace *ks)
{
	enum { THREADS = WRITERS + READERS + 2 };
	void *(*const run[THREADS])(void *) = { write_pairs, write_pairs, read_values, read_values, move_directory, take_snapshots };
	struct world w = { .ks = ks, .writing = WRITERS };
	pthread_t thread[THREADS];
	struct job job[THREADS];
	char name[20];
	int started = 0;

	for (int i = 0; i < WRITERS * PAIRS * 2; i++) {
		snprintf(name, sizeof name, "%d.%d.%d", i / PAIRS / 2, i / 2 % PAIRS, i % 2);
		w.file[i / PAIRS / 2][i / 2 % PAIRS][i % 2] = make(ks, ROOT, name, false);
	}
	w.dir = make(ks, ROOT, "here", true);
	for (int i = 0; i < MOVED; i++) {
		snprintf(name, sizeof name, "%d", i);
		make(ks, w.dir, name, false);
	}
	for (; started < THREADS; started++) {
		job[started] = (struct job){ .w = &w, .number = started % WRITERS };
		if (pthread_create(&thread[started], NULL, run[started], &job[started]) != 0)
			break;
	}
	is(started, THREADS, "threads");
	for (int i = 0; i < started; i++)
		pthread_join(thread[i], NULL);
	is(atomic_load(&w.wrong), 0, "nothing wrong in %d snapshots and %d reads", atomic_load(&w.snapshots), atomic_load(&w.reads));
	ok(atomic_load(&w.snapshots) > 0 && atomic_load(&w.reads) > 0, "there were some of each");
}

int main(void)
{
	void (*const tests[])(struct keyspace *) = { test_plain, test_threads };

	for (int i = 0; i < 2; i++) {
		struct keyspace_options o = { .value_max = 1 << 30, .root_mode = 0755, .now_ns = 1 };
		struct keyspace *ks;
		if (keyspace_new(&o, &ks) != 0)
			return 1;
		tests[i](ks);
		keyspace_free(ks);
	}
	return tap_end();
}
