/* rdb_ahead.c -- reading on a thread of its own tells the same in the same order as reading without, whole, cut or damaged, and ends when the
 * handler wants no more.
 * Method: a file larger than all batches together, with strings of every encoding; each reading is summed up to one checksum of all that
 * the handler is told.                                                                                                                    */
#include "persist/rdb_ahead.h"

#include "persist/crc.h"
#include "persist/le.h"

#include "tests/lib/malloc_fail.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
	KEYS = 20000,
	LARGE = 1 << 20,           /* bytes of a value that is more than a batch copies; of zeros, so that it is compressed */
	MIDDLE = LARGE / 16,
	VALUE_MAX = 300,
	CUTS = 40,
};

/* ---- a handler that sums up what it is told ---- */

struct told {
	uint64_t sum;
	uint64_t calls, keys, soon, before;   /* BEFORE: keys that came without being told of */
	uint64_t made;             /* values */
	uint64_t fail_at;          /* the call that ends the reading; 0: none */
	size_t done;
	pthread_t thread;
};

static int call(struct told *t, const void *one, size_t one_len, const void *two, size_t two_len, struct error *e)
{
	uint64_t len[2] = {one_len, two_len};

	t->sum = crc64(t->sum, len, sizeof(len));
	t->sum = crc64(t->sum, one, one_len);
	t->sum = crc64(t->sum, two, two_len);
	if (++t->calls != t->fail_at)
		return 0;
	return e ? error_set(e, -ENOSPC, "enough") : -ENOSPC;
}

/* A value that was made; every third is taken. */
static int call_made(struct told *t, const struct rdb_key *k, struct error *e)
{
	struct value *v = *k->made;
	char *bytes = malloc(k->value_len);
	int r;

	if (!bytes)
		exit(1);
	value_copy_out(v, k->value_len, 0, bytes, k->value_len);
	if (t->made % 3 == 0) {
		*k->made = NULL;
		value_unref(v);
	}
	r = call(t, k->key, k->key_len, bytes, k->value_len, e);
	free(bytes);
	return r;
}

static int told_aux(void *ctx, const struct rdb_aux *a, struct error *e)
{
	return call(ctx, a->name, a->name_len, a->value, a->value_len, e);
}

static int told_resize(void *ctx, uint64_t db, uint64_t keys, uint64_t expires)
{
	uint64_t n[3] = {db, keys, expires};

	return call(ctx, n, sizeof(n), NULL, 0, NULL);
}

static int told_key(void *ctx, const struct rdb_key *k, struct error *e)
{
	struct told *t = ctx;
	uint64_t n[3] = {k->db, (uint64_t)k->expire_at_ms, k->offset};

	if (!pthread_equal(t->thread, pthread_self()))
		return error_set(e, -EINVAL, "another thread");
	t->keys++;
	t->before += t->keys > t->soon;
	t->sum = crc64(t->sum, n, sizeof(n));
	if (k->type)
		t->sum = crc64(t->sum, k->type, strlen(k->type));
	if (!k->made)
		return call(t, k->key, k->key_len, k->value, k->value_len, e);
	t->made++;
	return call_made(t, k, e);
}

static void told_progress(void *ctx, size_t done)
{
	struct told *t = ctx;

	t->done = done >= t->done ? done : SIZE_MAX;
}

static void told_soon(void *ctx, const char *key, size_t len)
{
	struct told *t = ctx;

	t->soon += len > 0 && key[0] != '\0';
}

typedef int read_fn(const void *data, size_t len, const struct rdb_handler *h, size_t *ret_used, struct error *e);

static int read_by(read_fn *read, const void *data, size_t len, uint64_t fail_at, struct told *t, size_t *ret_used, struct error *e)
{
	const struct rdb_handler h = {
		.ctx = t, .aux = told_aux, .resize = told_resize, .key = told_key, .progress = told_progress, .soon = told_soon,
	};

	*t = (struct told){.fail_at = fail_at, .thread = pthread_self()};
	*e = (struct error){""};
	*ret_used = 0;
	return read(data, len, &h, ret_used, e);
}

/* Both ways, on bytes that stand in memory of exactly their size. */
static bool same(const char *data, size_t len, uint64_t fail_at, int *ret, struct told *t, struct error *e)
{
	size_t used[2];
	struct error other;
	struct told alone;
	char *copy = malloc(len);
	bool is_same;

	if (!copy)
		exit(1);
	memcpy(copy, data, len);
	*ret = read_by(rdb_read_ahead, copy, len, fail_at, t, &used[0], e);
	is_same = read_by(rdb_read, copy, len, fail_at, &alone, &used[1], &other) == *ret;
	is_same = is_same && used[0] == used[1] && strcmp(e->text, other.text) == 0 && t->sum == alone.sum && t->calls == alone.calls;
	free(copy);
	return is_same;
}

/* ---- the file ---- */

static int sink(void *ctx, const void *data, size_t len)
{
	return bytes_add(ctx, data, len);
}

static struct value *make_value(const char *data, size_t len)
{
	struct value_edit e;

	if (len == 0)
		return NULL;
	if (value_edit_write(&e, NULL, 0, 0, len) < 0)
		exit(1);
	return value_edit_commit(&e, 0, data, len);
}

static void put(struct rdb_writer *w, const char *key, size_t key_len, const char *data, size_t len, int64_t expire_at_ms)
{
	struct snapshot_entry entry = {
		.attr = {.size = len, .mode = S_IFREG | 0644},
		.expire_at_ms = expire_at_ms,
		.key = key,
		.key_len = key_len,
		.value = make_value(data, len),
	};

	if (rdb_writer_entry(w, &entry) < 0)
		exit(1);
	value_unref(entry.value);
}

/* Plain, compressed and empty values, numbers; long keys, which are compressed too; a large one in the middle. */
static void write_file(struct bytes *file)
{
	static char large[LARGE];
	const struct rdb_options o = {.compress = true, .checksum = true, .now_ns = 1};
	const struct snapshot_totals totals = {.keys = KEYS, .nodes = KEYS};
	struct rdb_writer *w;
	unsigned state = 1, i, k;

	if (rdb_writer_new(&o, sink, file, &w) < 0 || rdb_writer_begin(w, &totals) < 0)
		exit(1);
	for (i = 0; i < KEYS; i++) {
		char key[200], value[VALUE_MAX];
		int key_len = snprintf(key, sizeof(key), i % 7 ? "key:%u" : "%0100u/%u", i, i);
		size_t len = i % 3 == 0 ? i % VALUE_MAX : (size_t)snprintf(value, sizeof(value), "%u", i * (i % 11 ? 1 : 7919));

		for (k = 0; i % 3 == 0 && k < len; k++) {
			state = state * 1664525 + 1013904223;
			value[k] = i % 2 ? 'x' : (char)(state >> 24);
		}
		put(w, key, (size_t)key_len, value, len, i % 5 ? 0 : 1000000 + i);
		if (i == KEYS / 2) {
			put(w, "large", 5, large, sizeof(large), 0);
			put(w, "another", 7, large, sizeof(large), 0);
		}
		if (i % 1000 == 0)
			put(w, key, (size_t)key_len - 1, large, MIDDLE, 0);
	}
	if (rdb_writer_end(w) < 0)
		exit(1);
	rdb_writer_free(w);
}

int main(void)
{
	struct bytes file = {0};
	struct error e;
	struct told t;
	bool right = true;
	int r, i, told_of = 0;
	uint64_t live;

	write_file(&file);
	ok(file.len > RDB_AHEAD_MIN, "a file of %zu bytes", file.len);
	ok(same(file.data, file.len, 0, &r, &t, &e) && r == 0 && t.keys == KEYS + KEYS / 1000 + 2, "read whole: the same");
	live = malloc_live();    /* with stdio's buffer and what libc keeps of a thread */
	ok(t.made > KEYS / 2 && t.made < t.keys, "values are made, but for empty ones");
	ok(t.soon == t.keys && t.before == 0, "each key is told of before it comes");
	ok(t.done > file.len - 100 && t.done <= file.len, "progress goes up to the end: %zu", t.done);
	for (i = 1; i < CUTS; i++) {
		right &= same(file.data, file.len / CUTS * (size_t)i, 0, &r, &t, &e) && r == -EPROTO;
		told_of += t.keys > 0;
	}
	ok(right && told_of > CUTS / 2, "cut: the same keys, the same sentence");
	file.data[file.len - 1] ^= 1;
	ok(same(file.data, file.len, 0, &r, &t, &e) && r == -EBADMSG, "damaged: %s", e.text);
	for (i = 1, right = true; i < 3 * KEYS / 2; i += i < 20 ? 1 : 997)
		right &= same(file.data, file.len, (uint64_t)i, &r, &t, &e) && r == -ENOSPC && t.calls == (uint64_t)i;
	ok(right, "ends where the handler says so");
	is((int64_t)(malloc_live() - live), 0, "what nobody took is freed");
	bytes_fini(&file);
	return tap_end();
}
