/* Keys that are due together go in rounds of bounded size, never before their time, while others use the keyspace, and nobody is shown one
 * that is due; whatever keeps the expirer waiting lets it go on afterwards.  By the thread itself with the real clock; nothing depends on how
 * soon it gets a CPU. */
#include "persist/expirer.h"
#include "store/observer.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum { MANY = 20000, PATIENCE_MS = 60000 };

struct world {
	struct keyspace *ks;
	struct persist_port port;
	struct expirer expirer;
	_Atomic int refuse;                      /* errno of the journal, to removals */
	_Atomic bool busy;
	_Atomic int told, rounds, deleted;
	_Atomic int64_t not_before_ms;           /* no key goes sooner */
	_Atomic bool too_soon, too_many;
	int in_round;                            /* the expirer's own */
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct op op_now(void)
{
	return (struct op){ .now_ns = now_ms() * 1000000 };
}

static int record(void *ctx, struct mutation *m)
{
	struct world *w = ctx;

	if (w->refuse && m->kind == MUTATION_EXPIRED)
		return -w->refuse;
	if (m->kind == MUTATION_EXPIRE && m->expire_at_ms)
		expirer_note(&w->expirer, m->expire_at_ms);
	if (m->kind == MUTATION_EXPIRED) {
		w->deleted++;
		if (now_ms() < w->not_before_ms)
			w->too_soon = true;
	}
	return 0;
}

static void take_gone(void *ctx, const struct keyspace_place *place)
{
	struct world *w = ctx;

	(void)place;
	w->told++;
	if (++w->in_round > EXPIRER_BATCH)
		w->too_many = true;
}

/* Asked once before each round. */
static bool is_busy(void *ctx)
{
	struct world *w = ctx;

	w->in_round = 0;
	w->rounds++;
	return w->busy;
}

static void key_name(char *buf, size_t size, int i)
{
	snprintf(buf, size, "k%d", i);
}

static uint64_t make(struct world *w, const char *name)
{
	struct op op = op_now();
	struct attr a;

	if (keyspace_mknod(w->ks, &op, KEYSPACE_ROOT, name, strlen(name), S_IFREG | 0644, &a) < 0)
		abort();
	return a.id;
}

static int expire(struct world *w, const char *name, int64_t at_ms)
{
	struct op op = { .now_ns = 1 };
	struct keyspace_place place;

	return keyspace_expire_key(w->ks, &op, name, strlen(name), at_ms, 0, &place);
}

static bool is_there(struct world *w, const char *name)
{
	struct attr a;

	return keyspace_find_key(w->ks, name, strlen(name), now_ms() * 1000000, &a) == 0;
}

/* Waits until COUNT keys were told of; false when that takes too long. */
static bool wait_told(struct world *w, int count)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	int64_t deadline = now_ms() + PATIENCE_MS;

	while (w->told < count && now_ms() < deadline)
		nanosleep(&moment, NULL);
	return w->told == count;
}

static void begin(struct world *w, const char *what)
{
	struct keyspace_options o = { .hash_seed = { 1, 2 }, .value_max = 1 << 20, .root_mode = 0755 };
	struct observer observer = { .ctx = w, .record = record };

	diag("%s", what);
	memset(w, 0, sizeof(*w));
	if (keyspace_new(&o, &w->ks) < 0)
		exit(1);
	w->port = (struct persist_port){ .ctx = w, .gone = take_gone };
	expirer_init(&w->expirer, w->ks, &w->port, disk_real(), is_busy, w);
	keyspace_set_observer(w->ks, &observer);
	is(expirer_start(&w->expirer), 0, "it starts");
}

static void end(struct world *w)
{
	expirer_stop(&w->expirer);
	expirer_fini(&w->expirer);
	keyspace_free(w->ks);
	ok(!w->too_soon, "no key went before its time");
	ok(!w->too_many, "no round was larger than %d", EXPIRER_BATCH);
}

/* A client that works while they go: all it does succeeds, and it sees none that is due. */
static void use_meanwhile(struct world *w)
{
	uint64_t other = make(w, "other");
	int seen = 0, failed = 0, i = 0;
	int64_t deadline = now_ms() + PATIENCE_MS;
	char name[16];

	while (w->told < MANY && now_ms() < deadline) {
		struct op op = op_now();
		failed += keyspace_write(w->ks, &op, other, 0, "x", 1) != 0;
		key_name(name, sizeof(name), i++ % MANY);
		seen += is_there(w, name);
	}
	is(seen, 0, "a client sees none that is due");
	is(failed, 0, "and all it does succeeds");
}

static void test_many(struct world *w)
{
	int64_t at_ms = now_ms() + 3600000;
	struct usage u;
	char name[16];

	begin(w, "many at once");
	w->not_before_ms = at_ms;
	for (int i = 0; i < MANY; i++) {
		key_name(name, sizeof(name), i);
		make(w, name);
		if (expire(w, name, at_ms) != EXPIRE_SET)
			abort();
	}
	is(w->told, 0, "none goes before");
	/* Now, all of them: their time is one that was, so that none can be there. */
	at_ms = now_ms() - 1;
	w->not_before_ms = at_ms;
	for (int i = 0; i < MANY; i++) {
		key_name(name, sizeof(name), i);
		if (expire(w, name, at_ms) != EXPIRE_SET)
			abort();
	}
	use_meanwhile(w);
	ok(wait_told(w, MANY), "all are told");
	is(w->deleted, MANY, "and logged");
	ok(w->rounds >= MANY / EXPIRER_BATCH, "in %d rounds", w->rounds);
	keyspace_usage(w->ks, &u);
	ok(u.keys == 1 && u.expires == 0, "nothing else went");
	is((int64_t)atomic_load(&w->expirer.expired), MANY, "they are counted");
	end(w);
}

static void test_woken(struct world *w)
{
	begin(w, "a nearer time wakes it");
	make(w, "far");
	make(w, "near");
	expire(w, "far", now_ms() + 3600000);
	w->not_before_ms = now_ms() + 50;
	expire(w, "near", w->not_before_ms);
	ok(wait_told(w, 1), "goes");
	ok(is_there(w, "far"), "what is farther stays");
	expire(w, "far", now_ms() + 1);
	ok(wait_told(w, 2), "until its time is moved");
	end(w);
}

static void test_held_up(struct world *w)
{
	begin(w, "what keeps it waiting");
	make(w, "a");
	make(w, "b");
	w->busy = true;
	int rounds = w->rounds;
	expire(w, "a", now_ms() - 1);
	while (w->rounds < rounds + 3)
		;
	ok(w->told == 0 && !is_there(w, "a"), "nothing is removed while somebody is behind, and nothing shown");
	w->busy = false;
	ok(wait_told(w, 1), "then it goes");
	w->refuse = EIO;
	rounds = w->rounds;
	expire(w, "b", now_ms() - 1);
	while (w->rounds < rounds + 2)
		;
	ok(w->told == 1 && !is_there(w, "b"), "nor while the journal refuses");
	w->refuse = 0;
	ok(wait_told(w, 2), "gone when it accepts");
	end(w);
}

static void test_stop(struct world *w)
{
	begin(w, "it stops while it sleeps");
	make(w, "k");
	expire(w, "k", now_ms() + 3600000);
	end(w);
	begin(w, "it stops while it waits");
	w->busy = true;
	make(w, "k");
	expire(w, "k", now_ms() - 1);
	while (w->rounds < 1)
		;
	end(w);
	is(w->told, 0, "with nothing told");
}

int main(void)
{
	static struct world w;

	test_many(&w);
	test_woken(&w);
	test_held_up(&w);
	test_stop(&w);
	return tap_end();
}
