/* The keyspace does what a plain array of nodes does, whatever comes: operations that fail do nothing, snapshots show their cut, scans
 * show each name once, readers keep what they hold, memory is counted to the byte.  Random operations against tests/lib/plain_tree.h,
 * with allocations that fail and a journal that refuses now and then.
 *
 *      keyspace [SEED [STEPS]]                                                                                                    */
#include "tests/model/keyspace_views.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

/* ---- the journal's side ---- */

static void check_before(const struct mutation *m)
{
	int i = plain_by_id(&w.tree, m->id);
	struct attr now, want;

	CHECK(i >= 0, "told of an unknown node");
	want = plain_attr(&w.tree, i);
	CHECK(keyspace_stat_locked(w.ks, m->id, &now) == 0, "id of a mutation");
	if (m->kind == MUTATION_REMOVE && w.told.expired_count)
		want.mtime_ns = want.ctime_ns = w.now_ns, want.size = 2 * DIRECTORY_ENTRY_SIZE;   /* keys that were in rmdir's way have gone before */
	for (int k = 0; m->kind == MUTATION_EXPIRED && k < w.told.expired_count; k++) {
		if (w.told.expired[k].id == m->id) {           /* another name of it has gone before */
			want.ctime_ns = w.now_ns;
			want.nlink--;
		}
	}
	CHECK(same(&now, &want), "record() comes before the change");
	CHECK(m->has_name == w.tree.node[i].named, "has_name");
	if (m->kind == MUTATION_WRITE || (m->kind == MUTATION_SETATTR && !S_ISDIR(want.mode)))
		CHECK(m->old_size == want.size, "old_size");
	if (m->name && m->kind != MUTATION_LINK)
		CHECK(plain_name_of(&w.tree, m->id, plain_by_id(&w.tree, m->parent), m->name, m->name_len) >= 0, "name");
	if (m->replaced)
		CHECK(plain_name_of(&w.tree, m->replaced, plain_by_id(&w.tree, m->new_parent), m->new_name, m->new_name_len) >= 0,
		      "name of what is replaced");
}

static int record(void *ctx, struct mutation *m)
{
	struct told *t = ctx;

	if (m->kind != MUTATION_CREATE)
		check_before(m);
	CHECK(m->now_ns == w.now_ns, "now_ns");
	if (t->refuse_at && --t->refuse_at == 0) {
		t->refused = true;
		return -EIO;
	}
	m->seq = ++w.seq;
	if (m->kind == MUTATION_EXPIRED) {
		t->expired[t->expired_count].id = m->id;
		t->expired[t->expired_count].parent = m->parent;
		t->expired[t->expired_count].len = m->name_len;
		memcpy(t->expired[t->expired_count++].name, m->name, m->name_len);
	} else {
		t->accepted++;
	}
	t->last = *m;
	return 0;
}

/* ---- around each call ---- */

static void bury(int i)
{
	if (!w.tree.node[i].link)
		w.dead[rnd(DEAD)] = w.tree.node[i].attr.id;
	plain_leave(&w.tree, i, w.now_ns);
}

static void begin(void)
{
	w.now_ns += (int64_t)rnd(3000000);
	scans_follow();
	w.op = (struct op){ .uid = (uint32_t)rnd(3), .gid = (uint32_t)rnd(3), .now_ns = w.now_ns, .seq = 77 };
	w.told = (struct told){ .refuse_at = one_in(12) ? 1 + rnd(2) : 0 };
	malloc_fail_at(one_in(6) ? 1 + rnd(6) : 0);
}

/* Whether it happened: ERR is what the call returned, WANT what it has to but for the troubles that were made.  A change is told of with
 * KIND; -1: nothing to tell. */
static bool end(int err, int want, int kind)
{
	bool no_memory = malloc_fail_end();

	for (int k = 0; k < w.told.expired_count; k++) {
		int i = plain_name_of(&w.tree, w.told.expired[k].id, plain_by_id(&w.tree, w.told.expired[k].parent), w.told.expired[k].name,
		                      w.told.expired[k].len);
		CHECK(i >= 0 && is_over(i), "expired too early");
		bury(i);
	}
	if (err != 0 || want != 0 || kind < 0)
		CHECK(w.told.accepted == 0, "told of a change that did not happen: %d", err);
	if (err == -ENOMEM && no_memory) {
		w.count_memory++;
		return false;
	}
	if (err == -EIO && w.told.refused) {
		w.count_refused++;
		return false;
	}
	if (err == -ENOSPC && w.memory_max && want == 0) {
		w.count_full++;
		return false;
	}
	CHECK(err == want, "got %d, want %d, kind %d", err, want, kind);
	if (err) {
		w.count_error++;
		return false;
	}
	w.count_ok++;
	if (kind >= 0) {
		CHECK(w.told.accepted == 1 && (int)w.told.last.kind == kind, "told %d times", w.told.accepted);
		CHECK(w.op.seq == w.seq && !w.told.refused, "seq");
	} else if (w.told.expired_count == 0) {
		CHECK(w.op.seq == 0 || w.op.seq == 77, "seq of nothing");
	}
	return true;
}

/* ---- comparing ---- */

static bool is_special(int i)
{
	return S_ISFIFO(w.tree.node[i].attr.mode) || S_ISCHR(w.tree.node[i].attr.mode);
}

static uint64_t value_memory_of(int i)
{
	uint64_t id = w.tree.node[i].attr.id, memory;
	struct attr a;

	keyspace_lock(w.ks);
	memory = keyspace_stat_locked(w.ks, id, &a) == 0 ? value_memory(keyspace_value_locked(w.ks, id), a.size) : 0;
	keyspace_unlock(w.ks);
	return memory;
}

/* Returns the memory of its value, if it is flat. */
static uint64_t check_node(int i)
{
	const struct plain_node *n = &w.tree.node[i];
	struct attr got, want = plain_attr(&w.tree, i);
	struct value *v;
	uint64_t size, memory;

	CHECK(keyspace_getattr(w.ks, want.id, &got) == 0, "node %d", i);
	CHECK(got.memory == value_memory_of(i), "memory");
	CHECK(same(&got, &want), "attributes of node %d: size %" PRIu64 " %" PRIu64 " nlink %u %u", i, got.size, want.size,
	      got.nlink, want.nlink);
	keyspace_lock(w.ks);
	CHECK(keyspace_expiry_locked(w.ks, want.id) == n->expire_at_ms, "expiry");
	keyspace_unlock(w.ks);
	if (plain_is_dir(&w.tree, i)) {
		CHECK(keyspace_get_value(w.ks, want.id, &v, &size) == -EISDIR, "value of a directory");
		return 0;
	}
	if (is_special(i)) {
		CHECK(keyspace_get_value(w.ks, want.id, &v, &size) == -EINVAL, "value of a special file");
		CHECK(keyspace_readlink(w.ks, want.id, w.now_ns, ATIME_ALWAYS, &v, &size) == -EINVAL, "target of a special file");
		return 0;
	}
	CHECK(keyspace_get_value(w.ks, want.id, &v, &size) == 0 && size == want.size, "size");
	check_bytes(v, size, n->data);
	memory = value_flat_memory(v, size);
	value_unref(v);
	return memory;
}

/* How often WANT is among the keys of the node; *RET: how many keys that are. */
static int count_keys(uint64_t id, const char *want, size_t want_len, int *ret)
{
	static char got_buf[PLAIN_NODES * 256];
	int count = 0;
	size_t got_len;

	*ret = 0;
	for (uint64_t name = id; name; name = keyspace_next_name_locked(w.ks, name), ++*ret) {
		const char *got = keyspace_key_locked(w.ks, name, got_buf, sizeof got_buf, &got_len);
		CHECK(got && keyspace_key_len_locked(w.ks, name) == (int64_t)got_len, "length of key");
		count += got_len == want_len && memcmp(got, want, want_len) == 0;
		if (got_len)
			CHECK(!keyspace_key_locked(w.ks, name, got_buf, got_len - 1, &got_len), "key without room");
		CHECK(name == id || keyspace_stat_locked(w.ks, name, &(struct attr){ 0 }) == -ESTALE, "a name is no node");
	}
	return count;
}

static void check_place(int i)
{
	static char want[PLAIN_NODES * 256];
	const struct plain_node *n = &w.tree.node[i];
	uint64_t id = w.tree.node[plain_target(&w.tree, i)].attr.id;
	size_t want_len = plain_key(&w.tree, i, want);
	struct attr a;
	int names;

	keyspace_lock(w.ks);
	CHECK(count_keys(id, want, want_len, &names) == 1, "key");
	CHECK(names == 1 + plain_links(&w.tree, plain_target(&w.tree, i)), "keys of a node");
	keyspace_unlock(w.ks);
	if (i == 0)
		return;
	int err = keyspace_lookup(w.ks, w.tree.node[n->parent].attr.id, n->name, n->name_len, w.now_ns, &a);
	CHECK(err == (is_over(i) ? -ENOENT : 0), "lookup: %d", err);
	if (!err) {
		CHECK(a.id == id, "lookup of a name");
		keyspace_forget(w.ks, a.id, 1);
	}
}

static int count_entry(void *ctx, const char *name, size_t len, uint64_t cookie, const struct attr *a)
{
	(void)name, (void)len, (void)cookie, (void)a;
	++*(int *)ctx;
	return 0;
}

static void check_directory(int dir)
{
	int got = 0, want = 2;
	bool at_end;

	for (int i = 1; i < PLAIN_NODES; i++)
		want += w.tree.node[i].named && w.tree.node[i].parent == dir && !is_over(i);
	CHECK(keyspace_readdir(w.ks, w.tree.node[dir].attr.id, 0, false, 1000, w.now_ns, count_entry, &got, &at_end) == 0, "readdir");
	CHECK(at_end && got == want, "readdir: %d entries, want %d", got, want);
}

static bool anybody_holds(void)
{
	for (int i = 0; i < READERS; i++)
		if (w.reader[i].active)
			return true;
	return w.snapshot;
}

static void check_usage(uint64_t values)
{
	struct usage got, want = { .bytes_values = values + value_mapped_bytes(), .bytes_max = w.memory_max };

	for (int i = 0; i < PLAIN_NODES; i++) {
		const struct plain_node *n = &w.tree.node[i];
		if (!n->used)
			continue;
		want.unlinked += !n->named;
		want.keys += n->named && plain_is_file(&w.tree, i);
		want.directories += n->named && plain_is_dir(&w.tree, i);
		want.symlinks += n->named && S_ISLNK(n->attr.mode);
		want.specials += n->named && is_special(i);
		want.expires += w.tree.node[plain_target(&w.tree, i)].expire_at_ms != 0;
	}
	keyspace_usage(w.ks, &got);
	want.bytes_total = got.bytes_total;
	want.bytes_idle = got.bytes_idle;
	want.bytes_limit = w.memory_max ? w.memory_max : UINT64_MAX;
	CHECK(memcmp(&got, &want, sizeof got) == 0, "usage: values %" PRIu64 " %" PRIu64 " keys %" PRIu64 " %" PRIu64, got.bytes_values,
	      want.bytes_values, got.keys, want.keys);
	if (!anybody_holds())
		CHECK(malloc_live() - w.live_base == got.bytes_total, "live %" PRIu64 ", counted %" PRIu64, malloc_live() - w.live_base,
		      got.bytes_total);
}

static void check_all(void)
{
	uint64_t values = 0;
	struct attr a;

	for (int i = 0; i < PLAIN_NODES; i++) {
		if (!w.tree.node[i].used)
			continue;
		if (!w.tree.node[i].link)
			values += check_node(i);
		if (w.tree.node[i].named)
			check_place(i);
		if (plain_is_dir(&w.tree, i) && w.tree.node[i].named)
			check_directory(i);
	}
	check_usage(values);
	for (int k = 0; k < DEAD; k++)
		if (w.dead[k] && plain_by_id(&w.tree, w.dead[k]) < 0)
			CHECK(keyspace_getattr(w.ks, w.dead[k], &a) == -ESTALE, "a dead id");
}

/* ---- operations ---- */

static int place_error(int dir)
{
	return !plain_is_dir(&w.tree, dir) ? -ENOTDIR : !w.tree.node[dir].named ? -ENOENT : 0;
}

enum { RDEV = 0x12345 };

static int make(int type, int dir, const char *name, size_t len, uint32_t mode, const char *target, size_t target_len, struct attr *a)
{
	uint64_t parent = w.tree.node[dir].attr.id;

	if (type == S_IFREG)
		return keyspace_mknod(w.ks, &w.op, parent, name, len, S_IFREG | mode, a);
	if (type == S_IFDIR)
		return keyspace_mkdir(w.ks, &w.op, parent, name, len, mode, a);
	if (type != S_IFLNK)
		return keyspace_mkspecial(w.ks, &w.op, parent, name, len, (uint32_t)type | mode, RDEV, a);
	return keyspace_symlink(w.ks, &w.op, parent, name, len, target, target_len, a);
}

static void op_create(void)
{
	static const int types[] = { S_IFREG, S_IFREG, S_IFREG, S_IFREG, S_IFDIR, S_IFDIR, S_IFLNK, S_IFLNK, S_IFIFO, S_IFCHR };
	char name[KEYSPACE_NAME_MAX];
	int type = types[rnd(10)], dir = pick_dir();
	size_t len = name_of((int)rnd(NAMES), name), target_len = 1 + rnd(one_in(4) ? 4095 : 30);
	const char *target = w.pool + rnd(POOL - 5000);
	uint32_t mode = (uint32_t)rnd(01000) | (one_in(9) ? S_ISGID : 0);
	struct attr a, want;

	if (plain_unused(&w.tree) < 0)
		return;
	begin();
	int err = place_error(dir);
	int there = err ? -1 : plain_child(&w.tree, dir, name, len);
	if (there >= 0 && !is_over(there))
		err = -EEXIST;
	if (!end(make(type, dir, name, len, mode, target, target_len, &a), err, MUTATION_CREATE))
		return;
	CHECK(w.told.last.parent == w.tree.node[dir].attr.id && w.told.last.name_len == len, "place of a mutation");
	CHECK(same(&w.told.last.node, &a) && w.told.last.id == a.id, "node of a mutation");

	int i = plain_unused(&w.tree);
	const struct attr *parent = &w.tree.node[dir].attr;
	bool inherit = parent->mode & S_ISGID;
	w.tree.node[i].attr = (struct attr){ .id = a.id, .uid = w.op.uid, .gid = inherit ? parent->gid : w.op.gid,
		                             .rdev = type == S_IFCHR ? RDEV : 0,
		                             .mode = (uint32_t)type | (type == S_IFLNK ? 0777 : mode) };
	if (inherit && type == S_IFDIR)
		w.tree.node[i].attr.mode |= S_ISGID;
	w.tree.node[i].nlookup = 1;
	plain_enter(&w.tree, i, dir, name, len, w.now_ns);
	if (type == S_IFLNK)
		plain_write(&w.tree, i, 0, target, target_len);
	want = plain_attr(&w.tree, i);
	CHECK(same(&a, &want), "attributes of what was created");
}

/* Nothing but keys whose time is over. */
static bool looks_empty(int dir)
{
	for (int i = 1; i < PLAIN_NODES; i++)
		if (w.tree.node[i].named && w.tree.node[i].parent == dir && !is_over(i))
			return false;
	return true;
}

static void op_link(void)
{
	char name[KEYSPACE_NAME_MAX];
	int i = one_in(10) ? pick_used() : pick_file(), dir = pick_dir(), link = plain_unused(&w.tree);
	size_t len = name_of((int)rnd(NAMES), name);
	struct attr got;

	if (link < 0)
		return;
	begin();
	int err = plain_is_dir(&w.tree, i) ? -EPERM : !w.tree.node[i].named || is_over(i) ? -ENOENT : place_error(dir);
	int there = err ? -1 : plain_child(&w.tree, dir, name, len);
	if (there >= 0 && !is_over(there))
		err = -EEXIST;
	if (!end(keyspace_link(w.ks, &w.op, w.tree.node[i].attr.id, w.tree.node[dir].attr.id, name, len, &got), err, MUTATION_LINK))
		return;
	CHECK(w.told.last.parent == w.tree.node[dir].attr.id && w.told.last.name_len == len, "place of a link");
	if (w.tree.node[link].used)
		link = plain_unused(&w.tree);
	plain_link(&w.tree, link, i, dir, name, len, w.now_ns);
	w.tree.node[i].nlookup++;
	CHECK(same_attr(&got, i) && same_attr(&w.told.last.node, i), "attributes of what was linked");
	w.count_linked++;
}

static void op_remove(void)
{
	char name[KEYSPACE_NAME_MAX];
	int i = pick_name(), dir = w.tree.node[i].parent;
	size_t len = w.tree.node[i].name_len;
	bool rmdir = plain_is_dir(&w.tree, i) != one_in(20);

	memcpy(name, w.tree.node[i].name, len);
	if (i == 0 || !w.tree.node[i].named) {
		dir = pick_dir();
		len = name_of((int)rnd(NAMES), name);
	}
	begin();
	int err = place_error(dir);
	i = err ? -1 : plain_child(&w.tree, dir, name, len);
	if (!err && i < 0)
		err = -ENOENT;
	else if (!err && rmdir != plain_is_dir(&w.tree, i))
		err = rmdir ? -ENOTDIR : -EISDIR;
	else if (!err && is_over(i))
		err = -ENOENT;
	else if (!err && rmdir && !looks_empty(i))
		err = -ENOTEMPTY;
	uint64_t parent = w.tree.node[dir].attr.id;
	int got = rmdir ? keyspace_rmdir(w.ks, &w.op, parent, name, len) : keyspace_unlink(w.ks, &w.op, parent, name, len);
	if (end(got, err, MUTATION_REMOVE))
		bury(i);
}

/* The rules of rename(2); *TO becomes -1 where what is there has expired. */
static int rename_error(int from, int *to, int from_dir, int to_dir, unsigned flags)
{
	const struct plain_tree *t = &w.tree;
	bool swap = flags & RENAME_SWAP;

	if (from < 0 || is_over(from) || (swap && (*to < 0 || is_over(*to))))
		return -ENOENT;
	if (!swap && *to >= 0 && *to != from && is_over(*to))
		*to = -1;
	if ((flags & RENAME_NO_REPLACE) && *to >= 0)
		return -EEXIST;
	if (plain_is_dir(t, from) && plain_is_below(t, to_dir, from))
		return -EINVAL;
	if (swap && plain_is_dir(t, *to) && plain_is_below(t, from_dir, *to))
		return -EINVAL;
	if (*to < 0 || swap || *to == from)
		return 0;
	if (plain_is_dir(t, from) && !plain_is_dir(t, *to))
		return -ENOTDIR;
	if (!plain_is_dir(t, from) && plain_is_dir(t, *to))
		return -EISDIR;
	return plain_is_dir(t, *to) && !plain_is_empty(t, *to) ? -ENOTEMPTY : 0;
}

static void op_rename(void)
{
	static const unsigned all_flags[] = { 0, 0, RENAME_NO_REPLACE, RENAME_SWAP };
	char name[KEYSPACE_NAME_MAX], new_name[KEYSPACE_NAME_MAX];
	unsigned flags = all_flags[rnd(4)];
	int i = pick_name(), k = one_in(8) ? plain_target(&w.tree, i) : pick_name();
	int from_dir = w.tree.node[i].parent, to_dir = w.tree.node[k].parent;
	size_t len = w.tree.node[i].name_len, new_len = w.tree.node[k].name_len;

	if (i == 0 || !w.tree.node[i].named || one_in(20))
		from_dir = pick_dir(), len = name_of((int)rnd(NAMES), name);
	else
		memcpy(name, w.tree.node[i].name, len);
	if (k == 0 || !w.tree.node[k].named || one_in(2))
		to_dir = one_in(3) ? from_dir : pick_dir(), new_len = name_of((int)rnd(NAMES), new_name);
	else
		memcpy(new_name, w.tree.node[k].name, new_len);
	begin();
	int err = place_error(from_dir);
	if (!err)
		err = place_error(to_dir);
	int from = err ? -1 : plain_child(&w.tree, from_dir, name, len);
	int to = err ? -1 : plain_child(&w.tree, to_dir, new_name, new_len);
	if (!err)
		err = rename_error(from, &to, from_dir, to_dir, flags);
	bool swap = flags & RENAME_SWAP;
	int got = keyspace_rename(w.ks, &w.op, w.tree.node[from_dir].attr.id, name, len, w.tree.node[to_dir].attr.id, new_name, new_len, flags);
	bool same = from >= 0 && to >= 0 && plain_target(&w.tree, from) == plain_target(&w.tree, to);
	int kind = same ? -1 : swap ? MUTATION_SWAP : MUTATION_RENAME;
	if (!end(got, err, kind) || kind < 0)
		return;
	CHECK(w.told.last.replaced == (to < 0 ? 0 : w.tree.node[plain_target(&w.tree, to)].attr.id), "replaced");
	if (swap) {
		plain_swap(&w.tree, from, to, w.now_ns);
	} else {
		if (to >= 0)
			bury(to);      /* which leaves FROM where it is: they are not of one node */
		plain_move(&w.tree, from, to_dir, new_name, new_len, w.now_ns);
	}
	check_node(from_dir);
	check_node(to_dir);
	check_node(plain_target(&w.tree, from));
}

static int value_error(int i)
{
	return plain_is_dir(&w.tree, i) ? -EISDIR : !plain_is_file(&w.tree, i) ? -EINVAL : 0;
}

static void op_write(void)
{
	int i = one_in(30) ? pick_used() : pick_file();
	uint64_t cap = plain_capacity(i), off = one_in(3) ? w.tree.node[i].attr.size : pick_offset(cap);
	size_t len = 1 + rnd(one_in(4) ? 200000 : one_in(3) ? 70000 : one_in(2) ? 3000 : 120);
	const char *data = one_in(9) ? memset(w.scratch, 0, len) : w.pool + rnd(POOL - len);

	if (off + len > cap)
		off = cap - (len = len < cap ? len : cap);
	bool too_big = one_in(100);
	if (too_big)
		off = PLAIN_LARGE - len + 1;
	begin();
	int err = value_error(i);
	if (!err && too_big)
		err = -EFBIG;
	if (end(keyspace_write(w.ks, &w.op, w.tree.node[i].attr.id, off, data, len), err, MUTATION_WRITE)) {
		CHECK(w.told.last.off == off && w.told.last.len == len && w.told.last.data == data, "data of a mutation");
		plain_write(&w.tree, i, off, data, len);
		w.tree.node[i].attr.mtime_ns = w.tree.node[i].attr.ctime_ns = w.now_ns;
		CHECK(same_attr(&w.told.last.node, i), "node of a mutation");
	}
	check_node(i);
}

static void op_zero(void)
{
	int i = one_in(30) ? pick_used() : pick_file();
	struct attr *a = &w.tree.node[i].attr;
	uint64_t cap = plain_capacity(i), off = pick_offset(cap), len = 1 + (one_in(2) ? pick_offset(cap) : rnd(5000));
	bool keep = one_in(2);

	if (off + len > cap)
		len = cap - off;
	if (len == 0)
		return;
	begin();
	int err = plain_is_dir(&w.tree, i) ? -EISDIR : !plain_is_file(&w.tree, i) ? -ENODEV : 0;
	bool changes = !keep || off < a->size;
	if (end(keyspace_zero(w.ks, &w.op, a->id, off, len, keep), err, changes ? MUTATION_ZERO : MUTATION_SETATTR)) {
		a->mtime_ns = a->ctime_ns = w.now_ns;
		uint64_t zeros = !changes ? 0 : keep && len > a->size - off ? a->size - off : len;
		if (changes)
			plain_write(&w.tree, i, off, w.zeros, zeros);
		CHECK(same_attr(&w.told.last.node, i) && (!changes || (w.told.last.off == off && w.told.last.len == zeros)), "node of a mutation");
	}
	check_node(i);
}

static void op_copy(void)
{
	int from = one_in(30) ? pick_used() : pick_file(), i = one_in(4) ? from : pick_file();
	struct attr *a = &w.tree.node[i].attr, *b = &w.tree.node[from].attr;
	uint64_t cap = plain_capacity(i), off = pick_offset(cap), from_off = pick_offset(b->size + 10);
	uint64_t len = 1 + (one_in(2) ? pick_offset(cap) : rnd(20000)), done = 99;

	if (one_in(2))
		from_off = off % VALUE_CHUNK + rnd(3) * VALUE_CHUNK;
	if (one_in(5))
		off = from_off = 0;
	if (off + len > cap)
		len = cap - off;
	uint64_t want = from_off >= b->size ? 0 : len < b->size - from_off ? len : b->size - from_off;
	begin();
	int err = 0;
	for (int k = 0; k < 2 && !err; k++)
		err = plain_is_dir(&w.tree, k ? i : from) ? -EISDIR : !plain_is_file(&w.tree, k ? i : from) ? -ENODEV : 0;
	if (!err && want && i == from && off < from_off + want && from_off < off + want)
		err = -EINVAL;
	bool written = want <= 4096 || (!w.tree.node[from].named && w.tree.node[i].named);
	if (end(keyspace_copy(w.ks, &w.op, b->id, from_off, a->id, off, len, &done), err, !want ? -1 : written ? MUTATION_WRITE : MUTATION_COPY)) {
		CHECK(done <= want && (done == want || done == COPIED_AT_ONCE), "%" PRIu64 " of %" PRIu64 " bytes copied", done, want);
		if (want) {
			memcpy(w.copied, w.tree.node[from].data + from_off, done);
			plain_write(&w.tree, i, off, w.copied, done);
			a->mtime_ns = a->ctime_ns = w.now_ns;
			CHECK(same_attr(&w.told.last.node, i) && w.told.last.off == off && w.told.last.len == done, "node of a mutation");
		}
	}
	check_node(i);
	check_node(from);
}

static void op_reserve(void)
{
	int i = one_in(30) ? pick_used() : pick_file();
	struct attr *a = &w.tree.node[i].attr;
	uint64_t cap = plain_capacity(i), off = pick_offset(cap), len = 1 + rnd(one_in(4) ? cap : 40000);
	bool keep = one_in(2);

	if (off + len > cap)
		len = cap - off;
	if (len == 0)
		return;
	begin();
	int err = plain_is_dir(&w.tree, i) ? -EISDIR : !plain_is_file(&w.tree, i) ? -ENODEV : 0;
	bool grows = !keep && off + len > a->size;
	int got = keyspace_reserve(w.ks, &w.op, a->id, off, len, keep);
	if (end(got, err, MUTATION_SETATTR)) {
		if (grows)
			plain_resize(&w.tree, i, off + len);
		a->mtime_ns = a->ctime_ns = w.now_ns;
		CHECK(same_attr(&w.told.last.node, i), "node of a mutation");
	}
	if (!got && !err) {
		keyspace_lock(w.ks);
		const struct value *v = keyspace_value_locked(w.ks, a->id);
		CHECK(value_flat_memory(v, a->size) || value_missing(v, off, len) == 0, "memory that is reserved");
		keyspace_unlock(w.ks);
	}
	check_node(i);
}

static void change_attributes(int i, const struct attr_change *c)
{
	struct attr *a = &w.tree.node[i].attr;

	if (c->mask & ATTR_SIZE) {
		plain_resize(&w.tree, i, c->size);
		a->mtime_ns = w.now_ns;
		if (c->size == 0)
			w.tree.node[i].expire_at_ms = 0;
	}
	if (c->mask & ATTR_MODE)
		a->mode = (a->mode & S_IFMT) | c->mode;
	if (c->mask & ATTR_UID)
		a->uid = c->uid;
	if (c->mask & ATTR_GID)
		a->gid = c->gid;
	if (c->mask & ATTR_ATIME)
		a->atime_ns = c->atime_ns;
	if (c->mask & ATTR_MTIME)
		a->mtime_ns = c->mtime_ns;
	a->ctime_ns = c->mask & ATTR_CTIME ? c->ctime_ns : w.now_ns;
}

static void op_setattr(void)
{
	int i = one_in(10) ? pick_used() : pick_file();
	uint64_t size = one_in(3) ? 0 : pick_offset(plain_capacity(i));
	struct attr_change c = { .mask = one_in(3) ? (uint32_t)rnd(128) : ATTR_SIZE, .mode = (uint32_t)rnd(010000), .uid = (uint32_t)rnd(9),
		                 .gid = (uint32_t)rnd(9), .atime_ns = (int64_t)rnd(1000), .mtime_ns = (int64_t)rnd(1000),
		                 .ctime_ns = (int64_t)rnd(1000), .size = size };
	struct attr got;

	begin();
	int err = c.mask & ATTR_SIZE ? value_error(i) : 0;
	if (end(keyspace_setattr(w.ks, &w.op, w.tree.node[i].attr.id, &c, &got), err, MUTATION_SETATTR)) {
		change_attributes(i, &c);
		CHECK(same_attr(&got, i) && same_attr(&w.told.last.node, i), "attributes after");
	}
	check_node(i);
}

static void op_expire(void)
{
	int i = pick_file();
	int64_t at_ms = one_in(5) ? 0 : w.now_ns / 1000000 + (int64_t)rnd(400) - 20;

	begin();
	int err = value_error(i);
	if (!err && (!w.tree.node[i].named || is_over(i)))
		err = -ENOENT;
	if (end(keyspace_expire_at(w.ks, &w.op, w.tree.node[i].attr.id, at_ms, NULL), err, MUTATION_EXPIRE)) {
		CHECK(w.told.last.expire_at_ms == at_ms, "expiry of a mutation");
		w.tree.node[i].expire_at_ms = at_ms;
	}
}

static void check_gone(const struct keyspace_place *p)
{
	int i = plain_by_id(&w.tree, p->id);

	CHECK(plain_name_of(&w.tree, p->id, plain_by_id(&w.tree, p->parent), p->name, p->len) >= 0, "gone: name");
	CHECK(p->known == (w.tree.node[i].nlookup > 0), "gone: known");
	CHECK(p->linked || plain_links(&w.tree, i) == 0 || w.told.expired_count > 1, "gone: linked");
}

static void op_expire_due(void)
{
	int64_t next = INT64_MAX;
	struct keyspace_place gone[4];
	int over = 0, max = (int)rnd(4);

	begin();
	for (int i = 0; i < PLAIN_NODES; i++) {
		int64_t at_ms = w.tree.node[i].used ? w.tree.node[plain_target(&w.tree, i)].expire_at_ms : 0;
		over += at_ms && is_over(i);
		next = at_ms && at_ms < next ? at_ms : next;
	}
	CHECK(keyspace_next_expiry(w.ks) == next, "next expiry");
	int got = keyspace_expire_due(w.ks, &w.op, max, gone);
	for (int i = 0; i < got; i++)
		check_gone(&gone[i]);
	int want = got >= 0 ? (over < max ? over : max) : 0;
	CHECK(w.told.expired_count == (got < 0 ? 0 : got), "gone %d of %d", got, w.told.expired_count);
	if (got >= 0 && got < want)
		CHECK(w.told.refused || malloc_fail_end(), "expired %d, want %d", got, want);
	end(got < 0 ? got : 0, 0, -1);
}

static void op_lookup(void)
{
	int i = pick_name();
	struct plain_node *n = &w.tree.node[i];
	struct attr got, want = plain_attr(&w.tree, i);

	if (i == 0 || !n->named)
		return;
	int err = keyspace_lookup(w.ks, w.tree.node[n->parent].attr.id, n->name, n->name_len, w.now_ns, &got);
	CHECK(err == (is_over(i) ? -ENOENT : 0), "lookup: %d", err);
	if (!err) {
		CHECK(same(&got, &want), "attributes of lookup");
		w.tree.node[plain_target(&w.tree, i)].nlookup++;
	}
}

static void op_forget(void)
{
	int i = pick_used();
	uint32_t n = one_in(2) ? w.tree.node[i].nlookup : (uint32_t)rnd(w.tree.node[i].nlookup + 1);

	if (i == 0)
		return;
	keyspace_forget(w.ks, w.tree.node[i].attr.id, n);
	plain_forget(&w.tree, i, n);
}

/* ---- the run ---- */

static void op_memory_max(void)
{
	struct usage u;

	keyspace_usage(w.ks, &u);
	w.memory_max = w.memory_max ? 0 : u.bytes_total + rnd(100000);
	keyspace_set_memory_max(w.ks, w.memory_max);
}

static void step(void)
{
	static const struct { unsigned weight; void (*run)(void); } ops[] = {
		{ 18, op_create }, { 30, op_link }, { 10, op_remove }, { 14, op_rename }, { 22, op_write }, { 14, op_setattr }, { 4, op_expire },
		{ 3, op_expire_due }, { 5, op_lookup }, { 10, op_forget }, { 5, op_reader }, { 25, op_scan }, { 2, op_snapshot },
		{ 1, op_memory_max }, { 6, op_zero }, { 8, op_copy }, { 4, op_reserve },
	};
	unsigned total = 0, at;

	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
		total += ops[i].weight;
	at = (unsigned)rnd(total);
	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
		if (at < ops[i].weight) {
			ops[i].run();
			break;
		}
		at -= ops[i].weight;
	}
	scans_follow();
}

static void start(void)
{
	struct keyspace_options o = { .hash_seed = { rnd(UINT64_MAX), rnd(UINT64_MAX) }, .value_max = PLAIN_LARGE, .root_mode = 0755,
		                      .now_ns = w.now_ns };
	struct observer observer = { .ctx = &w.told, .record = record };
	struct usage u;

	w.live_base = malloc_live();
	CHECK(keyspace_new(&o, &w.ks) == 0, "keyspace_new");
	keyspace_usage(w.ks, &u);
	w.live_base = malloc_live() - u.bytes_total;
	keyspace_set_observer(w.ks, &observer);
	struct plain_node *root = &w.tree.node[0];
	root->used = root->named = true;
	root->attr = (struct attr){ .id = KEYSPACE_ROOT, .mode = S_IFDIR | 0755, .atime_ns = keyspace_atime_at(w.now_ns), .mtime_ns = w.now_ns, .ctime_ns = w.now_ns };
}

/* Everything goes, and all memory comes back. */
static void finish(void)
{
	for (int i = 0; i < READERS; i++)
		if (w.reader[i].active)
			value_unref(w.reader[i].value);
	snapshot_end(w.snapshot);
	w.snapshot = NULL;
	memset(w.reader, 0, sizeof w.reader);
	for (int i = 1; i < PLAIN_NODES; i++) {
		if (!w.tree.node[i].used || w.tree.node[i].link)
			continue;
		keyspace_forget(w.ks, w.tree.node[i].attr.id, w.tree.node[i].nlookup);
		plain_forget(&w.tree, i, w.tree.node[i].nlookup);
	}
	struct keyspace_place over;
	while (w.told = (struct told){ 0 }, keyspace_expire_due(w.ks, &w.op, 1, &over) == 1)
		plain_leave(&w.tree, plain_name_of(&w.tree, over.id, plain_by_id(&w.tree, over.parent), over.name, over.len), w.now_ns);
	for (bool again = true; again;) {
		again = false;
		for (int i = 1; i < PLAIN_NODES; i++) {
			const struct plain_node *n = &w.tree.node[i];
			if (!n->named || (plain_is_dir(&w.tree, i) && !plain_is_empty(&w.tree, i)))
				continue;
			uint64_t parent = w.tree.node[n->parent].attr.id;
			w.told = (struct told){ 0 };
			int err = plain_is_dir(&w.tree, i) ? keyspace_rmdir(w.ks, &w.op, parent, n->name, n->name_len)
			                                   : keyspace_unlink(w.ks, &w.op, parent, n->name, n->name_len);
			CHECK(err == 0, "removing everything: %d", err);
			plain_leave(&w.tree, i, w.now_ns);
			again = true;
		}
	}
	check_all();
	keyspace_free(w.ks);
}

static char *area(size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(p != MAP_FAILED, "mmap");
	return p;
}

int main(int argc, char **argv)
{
	uint64_t before, steps = argc > 2 ? strtoull(argv[2], NULL, 0) : STEPS;

	w.seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	w.random = w.seed;
	w.now_ns = 1000000000000000000;
	diag("seed %" PRIu64, w.seed);
	CHECK(plain_init(&w.tree) == 0 && plain_init(&w.cut) == 0, "mmap");
	w.scratch = area(POOL);
	w.pool = area(POOL);
	w.zeros = area(PLAIN_LARGE);
	w.copied = area(PLAIN_LARGE);
	for (int i = 0; i < POOL; i++)
		w.pool[i] = (char)rnd(256);
	for (int i = 0; i < READERS; i++)
		w.reader[i].copy = area(PLAIN_LARGE);
	before = malloc_live();
	start();
	for (w.step = 0; w.step < steps; w.step++) {
		step();
		if (w.step % 256 == 0)
			check_all();
	}
	finish();
	CHECK(malloc_live() == before, "leaked %" PRIu64 " bytes", malloc_live() - before);
	diag("%" PRIu64 " done, %" PRIu64 " rightly refused, %" PRIu64 " without memory, %" PRIu64 " refused by the journal, %" PRIu64
	     " full, %" PRIu64 " snapshots, %" PRIu64 " links, %" PRIu64 " yielded", w.count_ok, w.count_error, w.count_memory, w.count_refused, w.count_full, w.count_snapshots,
	     w.count_linked, w.count_links_yielded);
	ok(w.count_ok && w.count_error && w.count_memory && w.count_refused && w.count_full && w.count_snapshots && w.count_linked && w.count_links_yielded, "%" PRIu64 " random operations",
	   steps);
	return tap_end();
}
