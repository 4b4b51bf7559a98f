/* What the log says is what happened: random operations are encoded, and the bytes replayed into a second keyspace give the same tree, to
 * the last nanosecond; and to somebody who knows Redis's commands alone they give exactly the values of the regular files.
 *
 *      journal [SEED [ROUNDS]]                                                                                                         */
#include "persist/encode.h"
#include "persist/recover.h"
#include "persist/replay.h"
#include "persist/script.h"
#include "store/acl.h"
#include "store/keyname.h"
#include "store/observer.h"
#include "tests/lib/malloc_fail.h"
#include "tests/lib/tap.h"
#include "tests/lib/tree_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NAMES = 12, OPEN_FILES = 6, POOL = 160 << 10, STEPS = 600, CHECK_EVERY = 60, ROUNDS = 60, MAP_MAX = 4096 };

/* What a Redis that replays the log would hold. */
struct redis_key { char *key, *value; size_t key_len, len; int64_t expire_at_ms; };
struct redis { struct redis_key key[MAP_MAX]; size_t count; };

struct world {
	uint64_t seed, random, round, step;
	int64_t now_ns;
	struct keyspace *ks, *copy;
	struct op op;
	struct journal *journal;
	struct encoder encoder;
	uint64_t open[OPEN_FILES];      /* ids held by the kernel, with or without a name */
	struct tree_state tree, replayed;
	struct replay replay;
	struct aof_result aof;
	struct redis redis;
	char *pool;
	uint64_t count_linked;
	uint64_t count_ok, count_refused, count_memory, count_merged, count_flushed, count_expired, count_beside, batches;
};

static struct world w;

#define CHECK(cond, ...) ((cond) ? (void)0 : failed(__LINE__, #cond, __VA_ARGS__))

static _Noreturn __attribute__((format(printf, 3, 4))) void failed(int line, const char *cond, const char *fmt, ...)
{
	va_list ap;

	printf("not ok 1 - seed %" PRIu64 ", round %" PRIu64 ", step %" PRIu64 ", line %d: %s: ", w.seed, w.round, w.step, line, cond);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n1..1\n");
	exit(1);
}

static uint64_t rnd(uint64_t n)
{
	uint64_t z = w.random += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % n;
}

static bool one_in(uint64_t n)
{
	return rnd(n) == 0;
}

/* ---- Redis, as plainly as can be ---- */

static struct redis_key *redis_find(const char *key, size_t len)
{
	for (size_t i = 0; i < w.redis.count; i++)
		if (w.redis.key[i].key_len == len && memcmp(w.redis.key[i].key, key, len) == 0)
			return &w.redis.key[i];
	return NULL;
}

static struct redis_key *redis_find_arg(const struct resp_arg *a)
{
	struct redis_key *k = redis_find(a->data, a->len);
	CHECK(k, "a Redis does not know the key \"%.*s\"", (int)a->len, a->data);
	return k;
}

static char *copy_of(const void *data, size_t len)
{
	char *p = malloc(len + 1);
	CHECK(p, "memory");
	memcpy(p, data, len);
	return p;
}

static void redis_del(struct redis_key *k)
{
	free(k->key);
	free(k->value);
	*k = w.redis.key[--w.redis.count];
}

static void redis_set(const struct resp_command *c)
{
	const struct resp_arg *a = c->argv;
	struct redis_key *k = redis_find(a[1].data, a[1].len);
	int64_t expire_at_ms = 0;

	if (c->argc == 4) {
		CHECK(resp_is(&a[3], "KEEPTTL"), "an option of SET");
		expire_at_ms = k ? k->expire_at_ms : 0;
	}
	if (k)
		redis_del(k);
	CHECK(w.redis.count < MAP_MAX, "too many keys");
	w.redis.key[w.redis.count++] = (struct redis_key){ .key = copy_of(a[1].data, a[1].len), .key_len = a[1].len,
		.value = copy_of(a[2].data, a[2].len), .len = a[2].len, .expire_at_ms = expire_at_ms };
}

static void redis_write(const struct resp_arg *key, uint64_t off, const struct resp_arg *data)
{
	struct redis_key *k = redis_find_arg(key);
	uint64_t end = off + data->len, size = end > k->len ? end : k->len;
	char *value = calloc(1, size + 1);

	CHECK(value, "memory");
	memcpy(value, k->value, k->len);
	memcpy(value + off, data->data, data->len);
	free(k->value);
	k->value = value;
	k->len = size;
}

static void redis_rename(const struct resp_arg *from, const struct resp_arg *to)
{
	struct redis_key *there = redis_find(to->data, to->len);

	redis_find_arg(from);
	if (there)
		redis_del(there);
	struct redis_key *k = redis_find_arg(from);
	free(k->key);
	k->key = copy_of(to->data, to->len);
	k->key_len = to->len;
}

/* With its expiry. */
static void redis_copy(const struct resp_arg *from, const struct resp_arg *to)
{
	struct redis_key *there = redis_find(to->data, to->len);

	redis_find_arg(from);
	CHECK(from->len != to->len || memcmp(from->data, to->data, to->len), "a copy onto itself, which Redis refuses");
	if (there)
		redis_del(there);
	const struct redis_key *k = redis_find_arg(from);
	CHECK(w.redis.count < MAP_MAX, "too many keys");
	w.redis.key[w.redis.count++] = (struct redis_key){ .key = copy_of(to->data, to->len), .key_len = to->len,
		.value = copy_of(k->value, k->len), .len = k->len, .expire_at_ms = k->expire_at_ms };
}

static void redis_command(const struct resp_command *c)
{
	const struct resp_arg *a = c->argv;
	int64_t n;

	if (resp_is(&a[0], "ECHO") || (resp_is(&a[0], "SELECT") && a[1].len == 1 && a[1].data[0] == '0'))
		return;
	if (resp_is(&a[0], "SET") && c->argc >= 3) {
		redis_set(c);
	} else if (resp_is(&a[0], "APPEND") && c->argc == 3) {
		redis_write(&a[1], redis_find_arg(&a[1])->len, &a[2]);
	} else if (resp_is(&a[0], "SETRANGE") && c->argc == 4) {
		CHECK(resp_int64(&a[2], &n) == 0, "an offset");
		redis_write(&a[1], (uint64_t)n, &a[3]);
	} else if (resp_is(&a[0], "DEL") && c->argc == 2) {
		redis_del(redis_find_arg(&a[1]));
	} else if (resp_is(&a[0], "RENAME") && c->argc == 3) {
		redis_rename(&a[1], &a[2]);
	} else if (resp_is(&a[0], "COPY") && c->argc == 4 && resp_is(&a[3], "REPLACE")) {
		redis_copy(&a[1], &a[2]);
	} else if (resp_is(&a[0], "PEXPIREAT") && c->argc == 3) {
		CHECK(resp_int64(&a[2], &n) == 0, "a time");
		redis_find_arg(&a[1])->expire_at_ms = n;
	} else if (resp_is(&a[0], "EVAL") && c->argc == 5 && a[1].len == strlen(script_cut) && !memcmp(a[1].data, script_cut, a[1].len)) {
		struct redis_key *k = redis_find_arg(&a[3]);
		CHECK(resp_int64(&a[4], &n) == 0 && (size_t)n <= k->len, "a cut makes it shorter");
		k->len = (size_t)n;
	} else if (resp_is(&a[0], "PERSIST") && c->argc == 2) {
		redis_find_arg(&a[1])->expire_at_ms = 0;
	} else {
		CHECK(false, "command %.*s of %zu arguments", (int)a[0].len, a[0].data, c->argc);
	}
}

static void redis_replay(const char *data, size_t len)
{
	struct resp_limits limits = { .args_max = 16, .arg_max = INT32_MAX };
	struct resp_command c = { 0 };
	const char *why;
	size_t at = 0, used;

	while (at < len) {
		if (data[at] == '#') {
			const char *newline = memchr(data + at, '\n', len - at);
			CHECK(newline && memcmp(data + at, "#TS:", 4) == 0, "a comment");
			at = (size_t)(newline - data) + 1;
			continue;
		}
		CHECK(resp_parse(data + at, len - at, &limits, false, &c, &used, &why) == RESP_OK, "a command at %zu", at);
		redis_command(&c);
		at += used;
	}
	resp_command_fini(&c);
}

static void redis_check(void)
{
	size_t files = 0;

	for (size_t i = 0; i < w.tree.count; i++) {
		const struct tree_entry *e = &w.tree.entry[i];
		if (!S_ISREG(e->attr.mode))
			continue;
		char *key = malloc(e->key_len);
		enum keyname_kind kind;
		size_t key_len;
		CHECK(key && keyname_to_key(e->key, e->key_len, key, &key_len, &kind) == 0, "no path of a key: \"%s\"", e->key);
		struct redis_key *k = redis_find(key, key_len);
		free(key);
		w.count_beside += kind == KEYNAME_BESIDE;
		files++;
		CHECK(k, "a Redis has no \"%s\"", e->key);
		CHECK(k->len == e->attr.size && memcmp(k->value, e->data, k->len) == 0, "a Redis has another value of \"%s\"", e->key);
		CHECK(k->expire_at_ms == e->expire_at_ms, "a Redis has another expiry of \"%s\"", e->key);
	}
	CHECK(files == w.redis.count, "a Redis has %zu keys, not %zu", w.redis.count, files);
}

/* ---- the log ---- */

static void drain(struct bytes *log)
{
	const char *data;
	size_t len;

	while ((len = journal_peek(w.journal, UINT64_MAX, &data))) {
		/* In pieces too: who writes to a file may take less than all. */
		size_t part = one_in(3) ? 1 + rnd(len) : len;
		CHECK(bytes_add(log, data, part) == 0, "memory");
		journal_consume(w.journal, part);
	}
	CHECK(journal_published(w.journal) == journal_consumed(w.journal), "something is left");
}

static void check(void)
{
	struct bytes log = { 0 };
	struct error e = { 0 };
	char why[256];

	keyspace_lock(w.ks);
	CHECK(encode_flush(&w.encoder, 0) == 0 && w.encoder.held_count == 0, "flush");
	keyspace_unlock(w.ks);
	drain(&log);
	w.aof.continues = w.aof.last_seq > 0;
	int err = aof_read(log.data, log.len, &w.replay, &w.aof, &e);
	CHECK(err == 0, "%s", e.text);
	CHECK(!w.aof.torn && w.aof.good == log.len && w.aof.last_seq == w.encoder.seq, "everything counts");
	redis_replay(log.data, log.len);
	bytes_fini(&log);
	tree_state_take(w.ks, &w.tree);
	tree_state_take(w.copy, &w.replayed);
	CHECK(tree_state_same(&w.replayed, &w.tree, why, sizeof why), "%s", why);
	redis_check();
}

/* ---- choosing ---- */

static const struct tree_entry *pick(mode_t type)
{
	for (int tries = 0; tries < 60; tries++) {
		const struct tree_entry *e = &w.tree.entry[rnd(w.tree.count)];
		if (!type || (e->attr.mode & S_IFMT) == type)
			return e;
	}
	return &w.tree.entry[0];
}

static uint64_t pick_dir(void)
{
	return one_in(3) ? (uint64_t)KEYSPACE_ROOT : pick(S_IFDIR)->attr.id;
}

static uint64_t pick_file(void)
{
	return one_in(6) ? w.open[rnd(OPEN_FILES)] : pick(S_IFREG)->attr.id;
}

/* Names of parts that are none, and second names; and what is no name at all, but may be tried. */
static size_t pick_escaped(char *buf)
{
	static const char *const names[] = { ".%", ".%..", ".%%=", ".%..%=", ".%a", ".%b", ".%c", ".%d", ".%a%00", ".%a%00%=", ".%.%25", ".%%41" };

	if (!one_in(5)) {
		const char *name = names[rnd(sizeof names / sizeof *names)];
		memcpy(buf, name, strlen(name));
		return strlen(name);
	}
	memcpy(buf, ".%", 2);
	memset(buf + 2, 'k', KEYNAME_BODY_MAX);
	memcpy(buf + 2 + KEYNAME_BODY_MAX, "%+", 2);
	return 2 + KEYNAME_BODY_MAX + 2 * rnd(2);
}

static size_t pick_name(char *buf)
{
	if (w.round % 2 && one_in(3))
		return pick_escaped(buf);
	size_t len = one_in(8) ? KEYSPACE_NAME_MAX : 1 + rnd(2);

	memset(buf, '\r', len);
	buf[0] = (char)('a' + rnd(NAMES));
	return len;
}

/* Parent id and name of an entry. */
static uint64_t place_of(const struct tree_entry *e, const char **ret_name, size_t *ret_len)
{
	const char *slash = e->key_len ? memrchr(e->key, '/', e->key_len) : NULL;
	const struct tree_entry *parent = tree_state_find(&w.tree, e->key, slash ? (size_t)(slash - e->key) : 0);

	*ret_name = slash ? slash + 1 : e->key;
	*ret_len = e->key_len - (size_t)(*ret_name - e->key);
	return parent->attr.id;
}

static uint64_t pick_length(void)
{
	return one_in(20) ? rnd(one_in(2) ? POOL / 2 : POOL / 4) : one_in(2) ? rnd(20) : rnd(300);
}

/* ---- operations ---- */

static int do_create(void)
{
	char name[KEYSPACE_NAME_MAX];
	size_t len = pick_name(name);
	uint64_t dir = pick_dir();
	uint32_t mode = (uint32_t)rnd(07777 + 1);
	struct attr a;
	int err;

	switch (rnd(7)) {
	case 6:
		err = keyspace_mkspecial(w.ks, &w.op, dir, name, len, (one_in(2) ? S_IFBLK : S_IFSOCK) | mode, (uint32_t)rnd(UINT32_MAX), &a);
		break;
	case 0:
		err = keyspace_mkdir(w.ks, &w.op, dir, name, len, mode, &a);
		break;
	case 1:
		err = keyspace_symlink(w.ks, &w.op, dir, name, len, w.pool, 1 + rnd(100), &a);
		break;
	default:
		err = keyspace_mknod(w.ks, &w.op, dir, name, len, S_IFREG | mode, &a);
	}
	if (err)
		return err;
	int i = (int)rnd(OPEN_FILES);
	if (S_ISREG(a.mode) && one_in(3)) {
		if (w.open[i])
			keyspace_forget(w.ks, w.open[i], 1);
		w.open[i] = a.id;
	} else {
		keyspace_forget(w.ks, a.id, 1);
	}
	/* echo v > k */
	uint64_t seq = w.encoder.seq;
	bool held = w.op.seq == 0;
	if (S_ISREG(a.mode) && one_in(2))
		err = keyspace_write(w.ks, &w.op, a.id, one_in(8) ? rnd(9) : 0, w.pool + rnd(POOL / 2), 1 + pick_length());
	if (!err && held && w.encoder.seq == seq + 1)
		w.count_merged++;
	return err;
}

static int do_link(void)
{
	uint64_t id = one_in(4) ? pick(one_in(2) ? S_IFLNK : 0)->attr.id : pick_file(), dir = pick_dir();
	char name[KEYSPACE_NAME_MAX];
	size_t len = pick_name(name);

	int err = keyspace_link(w.ks, &w.op, id, dir, name, len, NULL);
	w.count_linked += err == 0;
	return err;
}

static int do_write(void)
{
	uint64_t id = pick_file(), off;
	struct attr a;

	if (keyspace_getattr(w.ks, id, &a) < 0)
		return -ESTALE;
	switch (rnd(4)) {
	case 0:
		off = 0;
		break;
	case 1:
		off = a.size;
		break;
	case 2:
		off = a.size ? rnd(a.size) : 0;
		break;
	default:
		off = a.size + rnd(50);
	}
	return off > 2 * POOL ? -EFBIG : keyspace_write(w.ks, &w.op, id, off, w.pool + rnd(POOL / 2), pick_length());
}

static int do_cut(void)
{
	uint64_t id = pick_file();
	struct attr_change c = { .mask = ATTR_SIZE };
	struct attr a;

	if (keyspace_getattr(w.ks, id, &a) < 0)
		return -ESTALE;
	c.size = one_in(2) ? 0 : one_in(2) ? rnd(a.size + 1) : a.size + rnd(40);
	if (one_in(3)) {
		c.mask |= ATTR_MTIME | ATTR_CTIME;
		c.mtime_ns = c.ctime_ns = w.now_ns;
	}
	int err = keyspace_setattr(w.ks, &w.op, id, &c, &a);
	if (!err && one_in(2))
		err = keyspace_write(w.ks, &w.op, id, 0, w.pool, 1 + pick_length());
	return err;
}

static int do_setattr(void)
{
	uint64_t id = one_in(3) ? pick_dir() : one_in(3) ? pick(S_IFLNK)->attr.id : pick_file();
	struct attr_change c = { .mask = (uint32_t)rnd(128), .mode = (uint32_t)rnd(07777 + 1), .uid = (uint32_t)rnd(9), .gid = (uint32_t)rnd(9),
		                 .size = one_in(2) ? 0 : rnd(200) };
	struct attr a;

	if (!one_in(4))
		c.mask &= ~(uint32_t)ATTR_SIZE;
	c.atime_ns = one_in(2) ? w.now_ns : (int64_t)rnd(2000000000) * 1000000007;
	c.mtime_ns = one_in(2) ? w.now_ns : (int64_t)rnd(2000000000) * 1000000007;
	c.ctime_ns = one_in(2) ? w.now_ns : -(int64_t)rnd(2000000000);
	return keyspace_setattr(w.ks, &w.op, id, &c, &a);
}

static int do_xattr(void)
{
	static const char *const names[] = { "user.a", "user.b", "security.c", "trusted.d" };
	/* The owner, user 9, the group, the mask, others. */
	static const unsigned char acl[] = "\2\0\0\0" "\1\0\7\0\377\377\377\377" "\2\0\6\0\11\0\0\0" "\4\0\5\0\377\377\377\377" "\20\0\7\0\377\377\377\377"
	                                   "\40\0\4\0\377\377\377\377";
	const char *name = names[rnd(4)];
	uint64_t id = one_in(3) ? pick_dir() : one_in(4) ? pick(S_IFLNK)->attr.id : pick_file();

	if (one_in(3)) {
		name = one_in(2) ? ACL_ACCESS : ACL_DEFAULT;
		if (!one_in(3))
			return keyspace_setxattr(w.ks, &w.op, id, name, strlen(name), acl, sizeof acl - 1, 0);
	}
	if (one_in(3))
		return keyspace_removexattr(w.ks, &w.op, id, name, strlen(name));
	return keyspace_setxattr(w.ks, &w.op, id, name, strlen(name), w.pool + rnd(POOL / 2), one_in(8) ? rnd(3000) : rnd(40), (unsigned)rnd(3));
}

static int do_remove(void)
{
	const struct tree_entry *e = pick(one_in(4) ? S_IFDIR : 0);
	const char *name;
	size_t len;

	if (!e->key_len)
		return -EBUSY;
	uint64_t parent = place_of(e, &name, &len);
	return S_ISDIR(e->attr.mode) ? keyspace_rmdir(w.ks, &w.op, parent, name, len) : keyspace_unlink(w.ks, &w.op, parent, name, len);
}

static int do_rename(void)
{
	const struct tree_entry *from = pick(one_in(3) ? S_IFDIR : 0), *to = pick(one_in(2) ? from->attr.mode & S_IFMT : 0);
	const char *name, *new_name;
	char buf[KEYSPACE_NAME_MAX];
	size_t len, new_len;
	unsigned flags = one_in(3) ? RENAME_SWAP : one_in(8) ? RENAME_NO_REPLACE : 0;

	if (!from->key_len || !to->key_len)
		return -EBUSY;
	uint64_t parent = place_of(from, &name, &len), new_parent = place_of(to, &new_name, &new_len);
	if (flags != RENAME_SWAP && one_in(2)) {
		new_parent = pick_dir();
		new_name = buf;
		new_len = pick_name(buf);
	}
	return keyspace_rename(w.ks, &w.op, parent, name, len, new_parent, new_name, new_len, flags);
}

static int do_expire(void)
{
	if (one_in(3)) {
		struct keyspace_place gone[3];
		int n = keyspace_expire_due(w.ks, &w.op, 1 + (int)rnd(3), gone);
		w.count_expired += n < 0 ? 0 : (uint64_t)n;
		return n < 0 ? n : 0;
	}
	return keyspace_expire_at(w.ks, &w.op, pick_file(), one_in(4) ? 0 : w.now_ns / 1000000 + (int64_t)rnd(400) - 20, NULL);
}

/* What the log thread, fsync(2) and CONFIG SET do in between. */
static int do_flush(void)
{
	int before = w.encoder.held_count, err = 0;
	int64_t next_ns;

	keyspace_lock(w.ks);
	switch (rnd(4)) {
	case 0:
		err = encode_flush(&w.encoder, pick_file());
		break;
	case 1:
		w.encoder.hold = !one_in(4);
		if (!w.encoder.hold)
			err = encode_flush(&w.encoder, 0);
		break;
	default:
		err = encode_flush_old(&w.encoder, w.now_ns, &next_ns);
		CHECK(err || (next_ns == INT64_MAX) == (w.encoder.held_count == 0), "when to come again");
		for (int i = 0; i < w.encoder.held_count && !err && i == 0; i++)
			CHECK(w.now_ns - w.encoder.held[i].since_ns < HOLD_NS && w.encoder.held[i].since_ns <= w.now_ns, "held too long");
	}
	keyspace_unlock(w.ks);
	w.count_flushed += (uint64_t)(before - w.encoder.held_count);
	return err;
}

static int operation(void)
{
	uint64_t n = rnd(100);

	if (one_in(8))
		return do_link();
	return n < 22 ? do_create() : n < 37 ? do_write() : n < 50 ? do_cut() : n < 58 ? do_setattr() : n < 64 ? do_xattr() : n < 70 ? do_remove() :
	       n < 84 ? do_rename() : n < 92 ? do_expire() : do_flush();
}

static void step(void)
{
	w.now_ns += one_in(4) ? 0 : one_in(60) ? -(int64_t)rnd(3000000000) : (int64_t)rnd(40000000);
	w.op = (struct op){ .uid = (uint32_t)rnd(5), .gid = (uint32_t)rnd(5), .now_ns = w.now_ns, .acl = w.round % 2, .umask = 022,
	                    .no_member = one_in(2) };
	tree_state_take(w.ks, &w.tree);
	if (one_in(10))
		malloc_fail_at(1 + rnd(6));
	int err = operation();
	bool no_memory = malloc_fail_end();
	CHECK(err != -ENOMEM || no_memory, "no memory without a reason");
	if (!err)
		w.count_ok++;
	else if (err == -ENOMEM)
		w.count_memory++;
	else
		w.count_refused++;
}

/* ---- rounds ---- */

static int record(void *ctx, struct mutation *m)
{
	(void)ctx;
	return encode_mutation(&w.encoder, m);
}

static void take_data(void *ctx, unsigned number, const void *data, size_t len)
{
	(void)ctx;
	encode_take_data(&w.encoder, number, data, len);
}

static struct keyspace *new_keyspace(int64_t now_ns)
{
	struct keyspace_options o = { .hash_seed = { w.seed, w.round }, .value_max = 1 << 20, .root_mode = 0755, .now_ns = now_ns };
	struct keyspace *ks;

	CHECK(keyspace_new(&o, &ks) == 0, "keyspace_new");
	return ks;
}

static void round_begin(int data_fd, const char *journal_dir)
{
	struct error why = { 0 };

	w.now_ns = 1700000000000000000 + (int64_t)rnd(1000000000);
	w.ks = new_keyspace(w.now_ns);
	w.copy = new_keyspace(w.now_ns);
	w.aof = (struct aof_result){ 0 };
	memset(w.open, 0, sizeof w.open);
	CHECK(journal_open(one_in(2) ? journal_dir : "", data_fd, &why, &w.journal) == 0 && !why.text[0], "%s", why.text);
	journal_reset(w.journal, 42);
	encode_init(&w.encoder, w.ks, w.journal, 42, 0);
	w.encoder.hold = !one_in(3);
	w.encoder.timestamps = one_in(3);
	CHECK(encode_open(&w.encoder, w.now_ns) == 0, "encode_open");
	keyspace_set_observer(w.ks, &(struct observer){ .record = record, .take_data = take_data });
	CHECK(replay_init(&w.replay, w.copy, 0, 0, w.now_ns) == 0, "replay_init");
}

static void round_end(void)
{
	struct bytes report = { 0 };
	struct error e = { 0 };

	w.batches += w.encoder.seq;
	CHECK(replay_finish(&w.replay, &report, &e) == 0 && report.len == 0, "%s", e.text);
	replay_fini(&w.replay);
	bytes_fini(&report);
	encode_fini(&w.encoder);
	journal_close(w.journal, true);
	keyspace_free(w.ks);
	keyspace_free(w.copy);
	while (w.redis.count)
		redis_del(&w.redis.key[0]);
	tree_state_fini(&w.tree);
	tree_state_fini(&w.replayed);
}

int main(int argc, char **argv)
{
	uint64_t rounds = argc > 2 ? strtoull(argv[2], NULL, 0) : ROUNDS;
	char dir[] = "/tmp/kvfs-model-journal-XXXXXX";

	w.seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	w.random = w.seed;
	diag("seed %" PRIu64, w.seed);
	w.pool = malloc(POOL);
	CHECK(w.pool && mkdtemp(dir), "a place to work in");
	for (int i = 0; i < POOL; i++)
		w.pool[i] = (char)(1 + rnd(255));
	int data_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t before = malloc_live();
	for (w.round = 0; w.round < rounds; w.round++) {
		round_begin(data_fd, dir);
		for (w.step = 0; w.step < STEPS; w.step++) {
			step();
			if (w.step % CHECK_EVERY == 0)
				check();
		}
		check();
		round_end();
	}
	CHECK(malloc_live() == before, "leaked %" PRIu64 " bytes", malloc_live() - before);
	diag("%" PRIu64 " done, %" PRIu64 " refused, %" PRIu64 " without memory, %" PRIu64 " merged, %" PRIu64 " flushed, %" PRIu64 " expired, %" PRIu64
	     " batches, %" PRIu64 " beside, %" PRIu64 " linked", w.count_ok, w.count_refused, w.count_memory, w.count_merged, w.count_flushed, w.count_expired, w.batches, w.count_beside, w.count_linked);
	ok(w.count_ok && w.count_refused && w.count_memory && w.count_merged && w.count_flushed && w.count_expired && w.count_beside && w.count_linked,
	   "the log of %" PRIu64 " rounds says what happened", rounds);
	close(data_fd);
	CHECK(rmdir(dir) == 0, "something is left in %s", dir);
	free(w.pool);
	return tap_end();
}
