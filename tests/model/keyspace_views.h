/* keyspace_views.h -- the lookers-on of the model test: readers that hold a value, scans of directories, snapshots.  Included by one file. */
#ifndef KVFS_TESTS_MODEL_KEYSPACE_VIEWS_H
#define KVFS_TESTS_MODEL_KEYSPACE_VIEWS_H

#include "tests/model/keyspace.h"
#include "tests/lib/malloc_fail.h"

#include <errno.h>

/* ---- readers ---- */

static void check_bytes(struct value *v, uint64_t size, const char *want)
{
	struct iovec iov[7];
	uint64_t off = 0;

	while (off < size) {
		size_t covered;
		int n = value_iov(v, size, off, size - off, iov, 7, &covered);
		CHECK(covered > 0 && covered <= size - off, "value_iov");
		for (int k = 0; k < n; k++) {
			CHECK(memcmp(iov[k].iov_base, want + off, iov[k].iov_len) == 0, "bytes at %" PRIu64 " of %" PRIu64, off, size);
			off += iov[k].iov_len;
		}
	}
	/* Behind the end of a value in chunks there are zeros, for whoever makes it longer. */
	if (v && value_flat_memory(v, size) == 0 && size % VALUE_CHUNK) {
		size_t behind = VALUE_CHUNK - size % VALUE_CHUNK;
		value_copy_out(v, size + behind, size, w.scratch, behind);
		CHECK(memcmp(w.scratch, value_hole(), behind) == 0, "bytes behind the end, %" PRIu64, size);
	}
	if (size) {
		uint64_t from = rnd(size);
		size_t len = size - from < 40000 ? size - from : 40000;
		value_copy_out(v, size, from, w.scratch, len);
		CHECK(memcmp(w.scratch, want + from, len) == 0, "value_copy_out");
	}
}

static void op_reader(void)
{
	struct reader *r = &w.reader[rnd(READERS)];

	if (r->active) {
		check_bytes(r->value, r->size, r->copy);
		value_unref(r->value);
		r->active = false;
		return;
	}
	int i = pick_file();
	if (!plain_is_file(&w.tree, i))
		return;
	CHECK(keyspace_get_value(w.ks, w.tree.node[i].attr.id, &r->value, &r->size) == 0, "value");
	memcpy(r->copy, w.tree.node[i].data, r->size);
	r->active = true;
}

/* ---- scans ---- */

static void scan_names(const struct scanner *s, bool there[NAMES])
{
	int dir = plain_by_id(&w.tree, s->dir);

	memset(there, 0, NAMES * sizeof there[0]);
	for (int i = 1; i < PLAIN_NODES; i++)
		if (w.tree.node[i].named && w.tree.node[i].parent == dir && !is_over(i))
			there[number_of(w.tree.node[i].name)] = true;
}

/* After each change, of the clock too: what is not there now was not there throughout. */
static void scans_follow(void)
{
	bool there[NAMES];

	for (int k = 0; k < SCANNERS; k++) {
		if (!w.scanner[k].active)
			continue;
		scan_names(&w.scanner[k], there);
		for (int n = 0; n < NAMES; n++)
			w.scanner[k].throughout[n] &= there[n];
	}
}

struct scan_step {
	struct scanner *scanner;
	int room, max;
	bool lookups;
};

static int scan_entry(void *ctx, const char *name, size_t len, uint64_t cookie, const struct attr *a)
{
	struct scan_step *step = ctx;
	struct scanner *s = step->scanner;

	if (step->room-- == 0)
		return 1;
	if (cookie >= 3)
		CHECK(step->max-- > 0, "more entries than were asked for");
	CHECK(cookie > s->cookie, "cookies only grow");
	s->cookie = cookie;
	if (cookie < 3) {
		CHECK(len == cookie && memcmp(name, "..", len) == 0, "dots");
		return 0;
	}
	int i = plain_name_of(&w.tree, a->id, plain_by_id(&w.tree, s->dir), name, len);
	CHECK(i >= 0, "entry of a scan");
	struct attr want = plain_attr(&w.tree, i);
	CHECK(same(a, &want), "attributes of an entry");
	s->seen[number_of(name)]++;
	w.tree.node[plain_target(&w.tree, i)].nlookup += step->lookups;
	return 0;
}

/* Notes where it is, or goes back to where it was, or to the start. */
static void scan_seek(struct scanner *s)
{
	if (one_in(8)) {
		s->mark = s->cookie;
		memcpy(s->seen_at_mark, s->seen, sizeof s->seen);
	} else if (one_in(12)) {
		s->cookie = s->mark;
		memcpy(s->seen, s->seen_at_mark, sizeof s->seen);
	}
}

static void op_scan(void)
{
	struct scanner *s = &w.scanner[rnd(SCANNERS)];
	bool at_end;

	if (!s->active) {
		int dir = pick_dir();
		if (!plain_is_dir(&w.tree, dir))
			return;
		*s = (struct scanner){ .active = true, .dir = w.tree.node[dir].attr.id };
		scan_names(s, s->throughout);
	}
	scan_seek(s);
	int max = 1 + (int)rnd(6);
	struct scan_step step = { .scanner = s, .room = (int)rnd(6), .max = max, .lookups = one_in(4) };
	int err = keyspace_readdir(w.ks, s->dir, s->cookie, step.lookups, max, w.now_ns, scan_entry, &step, &at_end);
	int dir = plain_by_id(&w.tree, s->dir);
	CHECK(err == (dir < 0 ? -ESTALE : 0), "readdir: %d", err);
	if (!err && !at_end)
		return;
	s->active = false;
	for (int n = 0; n < NAMES && !err; n++)
		CHECK(!s->throughout[n] || s->seen[n] == 1, "name %d seen %d times", n, s->seen[n]);
}

/* ---- snapshots ---- */

static void snapshot_start(void)
{
	struct snapshot_totals totals, want = { 0 };

	malloc_fail_at(one_in(4) ? 1 : 0);
	keyspace_lock(w.ks);
	int err = snapshot_begin_locked(w.ks, &w.snapshot, &totals);
	keyspace_unlock(w.ks);
	if (malloc_fail_end()) {
		CHECK(err == -ENOMEM && !w.snapshot, "begin without memory: %d", err);
		return;
	}
	CHECK(err == 0, "begin: %d", err);
	struct snapshot *second = NULL;
	struct snapshot_totals nothing;
	keyspace_lock(w.ks);
	CHECK(snapshot_begin_locked(w.ks, &second, &nothing) == -EBUSY, "one at a time");
	keyspace_unlock(w.ks);
	plain_copy(&w.cut, &w.tree);
	memset(w.yielded, 0, sizeof w.yielded);
	for (int i = 0; i < PLAIN_NODES; i++) {
		want.nodes += w.cut.node[i].named;
		want.keys += w.cut.node[i].named && plain_is_file(&w.cut, i);
		want.expires += w.cut.node[i].named && w.cut.node[plain_target(&w.cut, i)].expire_at_ms;
	}
	CHECK(memcmp(&totals, &want, sizeof want) == 0, "totals");
	w.count_snapshots++;
}

/* The name of that node with that key at the cut. */
static int name_at_cut(const struct snapshot_entry *e)
{
	static char key[PLAIN_NODES * 256];

	for (int i = 0; i < PLAIN_NODES; i++) {
		if (!w.cut.node[i].named || w.cut.node[plain_target(&w.cut, i)].attr.id != e->attr.id)
			continue;
		size_t len = plain_key(&w.cut, i, key);
		if (len == e->key_len && memcmp(key, e->key, len) == 0)
			return i;
	}
	return -1;
}

static void check_yielded(const struct snapshot_entry *e)
{
	int i = name_at_cut(e);

	CHECK(i >= 0, "yielded what was not there at the cut");
	CHECK(!w.yielded[i], "yielded twice");
	w.yielded[i] = true;
	w.count_links_yielded += w.cut.node[i].link;
	i = plain_target(&w.cut, i);
	struct attr want = plain_attr(&w.cut, i);
	CHECK(same(&want, &e->attr), "attributes at the cut");
	CHECK(e->expire_at_ms == w.cut.node[i].expire_at_ms, "expiry at the cut");
	if (plain_is_dir(&w.cut, i))
		CHECK(!e->value, "value of a directory");
	else
		check_bytes(e->value, e->attr.size, w.cut.node[i].data);
}

static void op_snapshot(void)
{
	if (!w.snapshot) {
		snapshot_start();
		return;
	}
	bool stop = one_in(10);
	if (!stop) {
		malloc_fail_at(one_in(4) ? 1 + rnd(2) : 0);
		int err = snapshot_next(w.snapshot, &w.batch);
		bool no_memory = malloc_fail_end();
		CHECK(err == 0 || (err == -ENOMEM && no_memory), "next: %d", err);
		if (err)
			return;
		for (int k = 0; k < w.batch.count; k++)
			check_yielded(&w.batch.entry[k]);
		if (w.batch.count > 0)
			return;
		for (int i = 0; i < PLAIN_NODES; i++)
			CHECK(w.yielded[i] == w.cut.node[i].named, "node %d at the end", i);
		CHECK(snapshot_memory(w.snapshot, &(uint64_t){ 0 }) == 0, "memory at the end");
	}
	snapshot_end(w.snapshot);
	w.snapshot = NULL;
}

#endif
