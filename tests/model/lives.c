/* Whatever happens to the machine, in whatever order, the next start finds a state that the keyspace was in, and none before the last
 * promise.  A world is a row of lives on one disk, all drawn from one seed: random changes, syncs, snapshots and rewrites of both kinds,
 * a disk that fails with EIO, ENOSPC and short writes; each life ends at a random call to the disk, by the death of the process or by
 * a power cut, many of them while they still recover from the one before.  What is on disk after a power cut: lose_the_last() and
 * lose_any() in disk_fault.c.
 *
 * No thread runs by itself and no time passes (steps.h), so a seed is one world for ever.
 *
 *      promised     a reply in `always`, and fsync: survive both
 *                   a reply else: survives the process; and a second later, in everysec, also a power cut
 *      in disorder  (each change of a file is there or not, whatever came behind it) the start may refuse, naming the damage
 *
 *      lives [SEED [WORLDS]]                    of one world it says all that happens in it                                         */
#include "persist/persist.h"
#include "tests/lib/crash_points.h"
#include "tests/lib/engine_rig.h"
#include "tests/lib/steps.h"
#include "tests/lib/tap.h"
#include "tests/lib/tree_state.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WORLDS = 2000, LIVES_MAX = 5, OPS_MAX = 40, STATES_MAX = 400, OPEN_TRIES = 40, PATHS = 10 };

static const int64_t first_ns = 1700000000000000000, promise_ns = 1200000000, tenth_ns = 100000000;

/* A state that the keyspace was in. */
struct moment { struct tree_state tree; int64_t at_ns; };

struct world {
	uint64_t seed, random;
	struct disk_fault f;
	struct disk_stop stop;
	struct steps steps;
	struct rig r;
	struct moment moment[STATES_MAX];
	int moments;
	int kept, durable;           /* the last moment that must be there after a death, after a power cut */
	bool healthy;                /* in this life: no call was made to fail */
	bool on;                     /* in this life: `appendonly`, as last set */
	bool in_order;               /* what a power cut loses */
	uint64_t expired;
	bool died_opening;           /* since the last start that worked */
	bool met_expired;            /* since the last start that worked: an operation was made while a key was there whose time was over */
	const char *past;            /* what the life before ended with */
	char why[400];
};

/* What the worlds had in them: a run that never got there proves nothing. */
struct tally { uint64_t lives, kills, cuts, died_opening, clean, refused, failed_calls, saves, rewrites, switches, expired, moments_lost; };

static struct tally tally;
static uint64_t died_at[2][CRASH_POINTS];    /* in a life, in a start */
static uint64_t died_elsewhere;
static const char by_death[] = "the death of the process";

static uint64_t rnd(struct world *w, uint64_t n)
{
	uint64_t z = w->random += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % n;
}

static int64_t now_ns(struct world *w)
{
	return atomic_load(&w->f.now_ns);
}

/* ---- history ---- */

static void note(struct world *w)
{
	struct tree_state now = { 0 };
	char why[128];

	if (w->moments == STATES_MAX)
		abort();
	tree_state_take(w->r.ks, &now);
	if (w->moments && tree_state_same(&now, &w->moment[w->moments - 1].tree, why, sizeof why)) {
		tree_state_fini(&now);
		return;
	}
	w->moment[w->moments++] = (struct moment){ .tree = now, .at_ns = now_ns(w) };
}

/* Keys that went by themselves. */
static void before_expiry(void *ctx)
{
	note(ctx);
}

static void on_turn(void *ctx)
{
	struct world *w = ctx;
	uint64_t expired = rig_info(&w->r).expired_keys;

	if (expired != w->expired)
		note(w);
	w->expired = expired;
}

static void forget_moments(struct world *w, int from, int to)
{
	for (int i = from; i < to; i++)
		tree_state_fini(&w->moment[i].tree);
}

/* History begins anew with moment I. */
static void begin_with(struct world *w, int i)
{
	struct moment first = w->moment[i];

	forget_moments(w, 0, i);
	forget_moments(w, i + 1, w->moments);
	w->moment[0] = first;
	w->moments = 1;
	w->kept = w->durable = 0;
}

/* ---- a life ---- */

static const char *path_of(uint64_t n)
{
	static const char *const path[PATHS] = { "a", "b", "c", "d", "d/a", "d/b", "e", "e/a", "e/d", "e/d/a" };
	return path[n];
}

static bool is_held_policy(const struct world *w)
{
	return w->r.config.appendfsync != FSYNC_ALWAYS;
}

/* A create or a truncation is one with the write behind it where it may be held back. */
static int put(struct world *w, const char *path)
{
	char text[300];

	size_t len = 1 + rnd(w, rnd(w, 8) ? 30 : sizeof text);
	memset(text, 'a' + (int)rnd(w, 26), sizeof text);
	int err = rig_find(&w->r, path) ? rig_truncate(&w->r, path, 0) : rig_mknod(&w->r, path);
	if (err && !is_held_policy(w))
		return err;
	note(w);
	return err ? err : rig_write(&w->r, path, 0, text, len);
}

static uint64_t size_of(struct world *w, const char *path)
{
	struct attr a = { 0 };

	return keyspace_getattr(w->r.ks, rig_find(&w->r, path), &a) < 0 ? 0 : a.size;
}

/* Anything but a cut to nothing, which may be held back. */
static int cut(struct world *w, const char *path)
{
	uint64_t size = 1 + rnd(w, 400);

	return rig_truncate(&w->r, path, is_held_policy(w) ? size : rnd(w, 2) * size);
}

static int change(struct world *w)
{
	const char *path = path_of(rnd(w, PATHS)), *other = path_of(rnd(w, PATHS));
	struct rig *r = &w->r;

	switch (rnd(w, 17)) {
	case 0:
	case 1:
		return rig_mkdir(r, path);
	case 2:
		return rig_symlink(r, path, other);
	case 3:
		return rig_remove(r, path);
	case 4:
		return rig_rename(r, path, other, 0);
	case 5:
		return rig_rename(r, path, other, rnd(w, 2) ? RENAME_SWAP : RENAME_NO_REPLACE);
	case 6:
		if (rnd(w, 2))
			return rig_chmod(r, path, (uint32_t)rnd(w, 01000));
		return rig_xattr(r, path, rnd(w, 2) ? "user.a" : "security.b", rnd(w, 3) ? other : NULL);
	case 7:
		return cut(w, path);
	case 8:
		return rig_write(r, path, size_of(w, path), "appended", 8);
	case 9:
		return rig_write(r, path, rnd(w, 50), "in the middle", 13);
	case 16:
		return rig_link(r, path, other);
	case 10:
		return rig_expire(r, path, rnd(w, 4) ? now_ns(w) / 1000000 + (int64_t)rnd(w, 3000) : 0);
	default:
		return put(w, path);
	}
}

/* A refusal promises nothing, and neither does a change that changes nothing. */
static bool log_is_on(struct world *w)
{
	return rig_info(&w->r).aof_enabled;
}

/* The operation that meets such a key removes it first: a state of its own, which nobody sees but the log. */
static void look_for_expired(struct world *w)
{
	const struct tree_state *t = &w->moment[w->moments - 1].tree;

	for (size_t i = 0; i < t->count; i++)
		w->met_expired |= t->entry[i].expire_at_ms && t->entry[i].expire_at_ms <= now_ns(w) / 1000000;
}

static void operate(struct world *w)
{
	bool on = log_is_on(w);

	look_for_expired(w);
	int err = change(w), before = w->moments;

	note(w);
	if (w->f.trace)
		diag("moment %d%s: %s", w->moments - 1, w->moments == before ? "" : " is new", strerror(-err));
	if (err || w->moments == before || !on || !log_is_on(w) || atomic_load(&w->f.stopped))
		return;
	w->kept = w->moments - 1;
	if (w->r.config.appendfsync == FSYNC_ALWAYS)
		w->durable = w->moments - 1;
}

static void sync_all(struct world *w)
{
	bool on = log_is_on(w);
	int upto = w->moments - 1, err = rig_fsync(&w->r, "");

	if (!err && on && log_is_on(w) && !atomic_load(&w->f.stopped))
		w->kept = w->durable = upto;
	if (w->f.trace)
		diag("fsync: %s", strerror(-err));
}

/* Whoever sets it off waits for it (CONFIG SET does not): what was acknowledged before is on disk then.  On is on when INFO says so. */
static void switch_log(struct world *w)
{
	struct persist_config c = w->r.config;
	int upto = w->moments - 1;
	bool was_on = log_is_on(w);

	c.appendonly = w->on = !w->on;
	persist_set(w->r.p, &c);
	tally.switches++;
	if (w->f.trace)
		diag("appendonly %s", w->on ? "yes" : "no");
	if (w->on)
		return;
	steps_live(&w->steps, tenth_ns);
	if (was_on && w->healthy && !log_is_on(w) && !atomic_load(&w->f.stopped))
		w->kept = w->durable = upto;
}

static void break_something(struct world *w)
{
	static const char *const names[] = { NULL, ".incr.aof", "manifest", ".rdb", "temp-", "base" };
	static const int errors[] = { -EIO, -ENOSPC, -EDQUOT };
	struct disk_rule rule = { .err = errors[rnd(w, 3)], .name = names[rnd(w, 6)], .skip = rnd(w, 4), .count = 1 + rnd(w, rnd(w, 3) ? 2 : 12),
		                  .part = rnd(w, 60) };

	disk_fault_rule(&w->f, (enum disk_call)rnd(w, DISK_CALLS), rule);
	w->healthy = false;
}

static void live(struct world *w, bool breaks)
{
	for (uint64_t n = rnd(w, OPS_MAX); n && !atomic_load(&w->f.stopped); n--) {
		if (breaks && rnd(w, 8) == 0)
			break_something(w);
		switch (rnd(w, 13)) {
		case 12:
			if (rnd(w, 3) == 0)
				switch_log(w);
			break;
		case 0:
			sync_all(w);
			break;
		case 1:
			tally.saves += persist_bgsave(w->r.p, rnd(w, 2), NULL) == STARTED;
			break;
		case 2:
			tally.rewrites += persist_bgrewriteaof(w->r.p, NULL) == STARTED;
			break;
		case 3:
			steps_live(&w->steps, (int64_t)rnd(w, 20) * tenth_ns);
			break;
		case 4:
			if (breaks)
				disk_fault_mend(&w->f);
			break;
		default:
			operate(w);
		}
		if (!atomic_load(&w->f.stopped))
			steps_some(&w->steps);
	}
}

/* ---- death ---- */

/* What a second's sync covers, on a disk where nothing failed. */
static void promise_of_everysec(struct world *w)
{
	if (w->r.config.appendfsync != FSYNC_EVERYSEC || !w->healthy)
		return;
	for (int i = w->durable + 1; i <= w->kept && w->moment[i].at_ns <= now_ns(w) - promise_ns; i++)
		w->durable = i;
}

static void power_cut(struct world *w, int n)
{
	char *after;

	if (asprintf(&after, "%s/after-%d", w->r.top, n) < 0 || mkdir(after, 0755) < 0)
		abort();
	w->f.any_order = !w->in_order;
	disk_fault_power_cut(&w->f, w->r.data, after);
	free(w->r.data);
	w->r.data = after;
	w->r.config.dir = after;
	disk_fault_forget(&w->f);
	w->kept = w->durable;
	w->past = w->in_order ? "a power cut" : "a power cut in disorder";
	tally.cuts++;
}

static void kill_process(struct world *w)
{
	w->past = by_death;
	tally.kills++;
}

/* The engine's memory is given back; its disk takes nothing any more. */
static void bury(struct world *w)
{
	if (!w->r.p)
		return;
	persist_stop(w->r.p, FINAL_SAVE_NEVER, false);
	persist_close(w->r.p);
	keyspace_free(w->r.ks);
	w->r.p = NULL;
	w->r.ks = NULL;
}

static void count_point(struct world *w, bool starting)
{
	int i = crash_point_of(&w->stop);

	if (!w->stop.stopped)
		return;
	if (i < 0 && !died_elsewhere++)
		diag("%s of %s is no point that crash_points.c knows", disk_call_name(w->stop.call), w->stop.name);
	if (i >= 0)
		died_at[starting][i]++;
	w->stop.stopped = false;
}

static void die(struct world *w, int n)
{
	/* The engine that is buried gives up what its shared journal has when the log is going off; one that dies does not. */
	bool gives_up = w->r.p && w->r.config.journal_dir[0] && !(w->on && log_is_on(w));

	atomic_store(&w->f.stopped, true);
	bury(w);
	disk_fault_mend(&w->f);
	/* After a failed sync the page cache still shows what the disk has not: the shared journal has a note of it. */
	bool noted = !disk_fault_has_lost(&w->f) || w->r.config.journal_dir[0];
	if (rnd(w, 3) == 0 && noted && !gives_up)
		kill_process(w);
	else
		power_cut(w, n);
}

/* ---- the next start ---- */

/* LEFT_OUT: this load, or one that died, may have left out keys whose time was over. */
static bool is_moment(struct world *w, const struct tree_state *now, int i, bool left_out)
{
	struct tree_state got = { 0 }, want = { 0 };

	if (!left_out)
		return tree_state_same(now, &w->moment[i].tree, w->why, sizeof w->why);
	tree_state_without_expired(now, now_ns(w) / 1000000, &got);
	tree_state_without_expired(&w->moment[i].tree, now_ns(w) / 1000000, &want);
	bool same = tree_state_same(&got, &want, w->why, sizeof w->why);
	tree_state_fini(&got);
	tree_state_fini(&want);
	return same;
}

/* The moment that the keyspace is in again; -1: none that it may be in. */
static int find_moment(struct world *w)
{
	bool left_out = rig_info(&w->r).rdb_last_load_keys_expired || w->died_opening;
	struct tree_state now = { 0 };
	int found = -1;

	tree_state_take(w->r.ks, &now);
	for (int i = w->kept; i < w->moments && found < 0; i++)
		if (is_moment(w, &now, i, left_out))
			found = i;
	for (int i = w->kept; i < w->moments && found < 0 && w->met_expired; i++)
		if (is_moment(w, &now, i, true))
			found = i, left_out = true;
	if (found >= 0 && left_out) {     /* as it is now, it was never before */
		tree_state_fini(&w->moment[found].tree);
		w->moment[found].tree = now;
		return found;
	}
	tree_state_fini(&now);
	return found;
}

/* Whether the error is the one that a disorder at the end of the log may give. */
static bool may_refuse(const struct world *w)
{
	return !w->in_order && strstr(w->r.error.text, ".incr.aof");
}

static void choose_config(struct world *w)
{
	static const enum fsync_policy policies[] = { FSYNC_ALWAYS, FSYNC_EVERYSEC, FSYNC_EVERYSEC, FSYNC_NO };
	struct persist_config *c = &w->r.config;

	c->appendfsync = policies[rnd(w, 4)];
	c->aof_use_rdb_preamble = rnd(w, 2);
	if (w->past != by_death)      /* else what it left stands there */
		c->journal_dir = rnd(w, 3) ? "" : w->r.shared;
	c->rdbcompression = rnd(w, 2);
	c->aof_timestamp_enabled = rnd(w, 4) == 0;
	c->save = (struct save_rules){ .count = (int)rnd(w, 2), .rule = { { .seconds = 1, .changes = 5 } } };
	c->auto_aof_rewrite_min_size = rnd(w, 3) ? 64 << 20 : 500;
	c->aof_load_corrupt_tail_max_size = rnd(w, 2) << 20;
}

enum opened { OPENED, DIED, REFUSED, WRONG };

/* A start, or several that die on the way. */
static enum opened open_again(struct world *w, int n)
{
	for (int i = 0; i < OPEN_TRIES; i++) {
		bool breaks = rnd(w, 6) == 0;
		disk_fault_go_on(&w->f, rnd(w, 3) ? 1 + rnd(w, rnd(w, 3) ? 150 : 12) : 0);
		choose_config(w);
		w->healthy = w->on = true;
		w->expired = 0;
		if (breaks)
			break_something(w);
		if (rig_open(&w->r) == 0)
			return OPENED;
		if (may_refuse(w))
			return REFUSED;
		if (!atomic_load(&w->f.stopped) && w->healthy) {
			snprintf(w->why, sizeof w->why, "%.390s", w->r.error.text);
			return WRONG;
		}
		count_point(w, true);
		tally.died_opening++;
		w->died_opening = true;
		die(w, n * OPEN_TRIES + i);
	}
	return DIED;
}

/* False when what was found is not what may be found. */
static bool one_life(struct world *w, int n)
{
	enum opened opened = open_again(w, n);

	if (opened != OPENED) {
		tally.refused += opened == REFUSED;
		return opened == REFUSED;
	}
	tally.lives++;
	if (!w->moments)
		note(w);
	int i = find_moment(w);
	if (i < 0)
		return false;
	w->died_opening = w->met_expired = false;
	if (w->f.trace)
		diag("start %d, after %s: moment %d of %d", n, w->past ? w->past : "nothing", i, w->moments - 1);
	tally.moments_lost += (uint64_t)(w->moments - 1 - i);
	begin_with(w, i);
	live(w, rnd(w, 4) == 0);
	tally.expired += w->expired;
	if (!atomic_load(&w->f.stopped) && log_is_on(w) && rnd(w, 4) == 0) {
		disk_fault_mend(&w->f);
		w->f.stop_at = 0;
		int err = rig_close(&w->r, FINAL_SAVE_BY_RULES);
		if (err)
			snprintf(w->why, sizeof w->why, "stop: %s", strerror(-err));
		w->kept = w->durable = w->moments - 1;
		w->past = "a stop";
		tally.clean++;
		return !err;
	}
	promise_of_everysec(w);
	count_point(w, false);
	die(w, n * OPEN_TRIES + OPEN_TRIES - 1);
	return true;
}

/* On a disk that works: it opens, is right, takes a change, and leaves no litter. */
static bool last_life(struct world *w)
{
	disk_fault_go_on(&w->f, 0);
	choose_config(w);
	if (rig_open(&w->r) != 0) {
		snprintf(w->why, sizeof w->why, "%.390s", w->r.error.text);
		return may_refuse(w);
	}
	if (!w->moments)
		note(w);
	bool right = find_moment(w) >= 0;
	int err = rig_put(&w->r, "more", "changes");
	int stopped = rig_close(&w->r, FINAL_SAVE_NEVER);
	const char *litter = right ? rig_litter(&w->r) : NULL;
	if (right && (err || stopped || litter))
		snprintf(w->why, sizeof w->why, "at the end: %s", litter ? litter : strerror(err ? -err : -stopped));
	return right && !err && !stopped && !litter;
}

/* TRACE: says what it does. */
static bool play(uint64_t seed, bool trace, char *why, size_t cap)
{
	struct world *w = calloc(1, sizeof *w);
	bool right = true;
	uint64_t refused = tally.refused;

	if (!w)
		abort();
	w->seed = w->random = seed;
	disk_fault_init(&w->f, seed);
	w->f.trace = trace;
	w->f.stop = &w->stop;
	rig_init(&w->r, &w->f);
	steps_init(&w->steps, &w->f, seed, first_ns);
	w->steps.on_turn = on_turn;
	w->steps.before_expiry = before_expiry;
	w->steps.ctx = w;
	w->r.steps = &w->steps;
	w->in_order = rnd(w, 2);
	for (int n = 0, lives = 1 + (int)rnd(w, LIVES_MAX); n < lives && right && tally.refused == refused; n++)
		right = one_life(w, n);
	if (right && tally.refused == refused)
		right = last_life(w);
	snprintf(why, cap, "after %s, with moments %d to %d promised: %s", w->past ? w->past : "nothing", w->kept, w->moments - 1, w->why);
	tally.failed_calls += atomic_load(&w->f.failed);
	bury(w);
	forget_moments(w, 0, w->moments);
	steps_fini(&w->steps);
	rig_fini(&w->r);
	disk_fault_fini(&w->f);
	free(w);
	return right;
}

/* Whether the daemon has died at each point where it can. */
static bool died_everywhere(void)
{
	for (int i = 0; i < CRASH_POINTS; i++)
		if ((crash_points[i].life && !died_at[0][i]) || (crash_points[i].recovery && !died_at[1][i]))
			return false;
	return true;
}

/* WORLDS; EVERYWHERE: and more, up to ten times as many, until there was a death at each point. */
static void test_worlds(uint64_t seed, uint64_t worlds, bool everywhere)
{
	uint64_t wrong = 0, i;
	char why[512];

	for (i = 0; i < worlds || (everywhere && i < 10 * worlds && !died_everywhere()); i++) {
		if (play(seed + i, worlds == 1, why, sizeof why))
			continue;
		wrong++;
		diag("seed %" PRIu64 ": %s", seed + i, why);
	}
	is((int64_t)wrong, 0, "%" PRIu64 " worlds from seed %" PRIu64 " on: each start found what was promised", i, seed);
}

/* In a run of some length everything that can happen has happened. */
static void test_tally(void)
{
	const struct { const char *what; uint64_t n; } row[] = {
		{ "starts that worked", tally.lives }, { "deaths of the process", tally.kills }, { "power cuts", tally.cuts },
		{ "deaths while recovering", tally.died_opening }, { "ends in order", tally.clean }, { "refusals of a damaged log", tally.refused },
		{ "calls made to fail", tally.failed_calls }, { "snapshots begun", tally.saves }, { "rewrites begun", tally.rewrites },
		{ "times the log was switched on or off", tally.switches }, { "keys expired", tally.expired }, { "changes lost that nobody had promised", tally.moments_lost },
	};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++)
		ok(row[i].n > 0, "%" PRIu64 " %s", row[i].n, row[i].what);
}

static void test_points(void)
{
	for (int i = 0; i < CRASH_POINTS; i++) {
		const struct crash_point *p = &crash_points[i];
		if (p->life)
			ok(died_at[0][i] > 0, "died where %s, %" PRIu64 " times", p->name, died_at[0][i]);
		if (p->recovery)
			ok(died_at[1][i] > 0, "died in a start where %s, %" PRIu64 " times", p->name, died_at[1][i]);
	}
	is((int64_t)died_elsewhere, 0, "died nowhere else");
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL) * 1000000;
	const char *many = argc > 2 ? argv[2] : getenv("WORLDS");
	uint64_t worlds = many ? strtoull(many, NULL, 0) : WORLDS;

	test_worlds(seed, worlds, worlds >= WORLDS);
	if (worlds >= WORLDS) {
		test_tally();
		test_points();
	}
	return tap_end();
}
