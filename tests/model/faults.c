/* Whatever fails on the disk, in whatever order: when it works again the engine recovers by itself, and a restart finds the keyspace as it
 * was, and every change that was ever acknowledged.  Random calls fail while random changes, saves and rewrites go on.
 *
 *      faults [SEED [ROUNDS]]                                                                                                          */
#include "persist/persist.h"
#include "tests/lib/engine_rig.h"
#include "tests/lib/tap.h"
#include "tests/lib/tree_state.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 12, STEPS = 60, NAMES = 8 };

static uint64_t random_state;

static uint64_t rnd(uint64_t n)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % n;
}

static void break_something(struct disk_fault *f)
{
	static const char *const names[] = { NULL, ".incr.aof", "manifest", ".rdb", "temp-", "base" };
	static const int errors[] = { -EIO, -ENOSPC, -EDQUOT };
	struct disk_rule r = { .err = errors[rnd(3)], .name = names[rnd(6)], .skip = rnd(6), .count = 1 + rnd(rnd(3) ? 2 : 20), .part = rnd(40) };

	disk_fault_rule(f, (enum disk_call)rnd(DISK_CALLS), r);
}

/* The value of a key, or that it is gone, as it was last acknowledged; whatever was tried and failed since may have come true as well. */
struct known { char value[24], tried[STEPS][24]; int tries; };

static void change(struct rig *r, struct known *k, int name, int step)
{
	char path[] = { 'k', (char)('a' + name), 0 }, value[24] = "";
	int err;

	if (rnd(4)) {
		snprintf(value, sizeof value, "value %d", step);
		err = rig_put(r, path, value);
	} else {
		err = rig_remove(r, path);
	}
	if (err == -ENOENT)
		return;
	if (err) {
		memcpy(k->tried[k->tries++], value, sizeof value);
		return;
	}
	memcpy(k->value, value, sizeof value);
	k->tries = 0;
}

static bool is_known(struct rig *r, const struct known *k, int name)
{
	char path[] = { 'k', (char)('a' + name), 0 };
	bool there = rig_find(r, path) != 0;

	/* A put that failed after its first half leaves nothing behind the name. */
	bool found = k->value[0] ? rig_holds(r, path, k->value) : !there;
	for (int i = 0; i < k->tries && !found; i++)
		found = k->tried[i][0] ? rig_holds(r, path, k->tried[i]) || rig_holds(r, path, "") : !there;
	return found;
}

static void live(struct rig *r, struct disk_fault *f, struct known *known)
{
	for (int i = 0; i < STEPS; i++) {
		int name = (int)rnd(NAMES);
		if (rnd(10) == 0)
			break_something(f);
		switch (rnd(16)) {
		case 0:
			rig_save(r);
			break;
		case 1:
			persist_bgrewriteaof(r->p, NULL);
			break;
		case 2:
			rig_fsync(r, "");
			break;
		case 3:
			usleep((useconds_t)rnd(30000));
			break;
		case 4:
			r->config.appendonly = rnd(3);
			persist_set(r->p, &r->config);
			break;
		default:
			change(r, &known[name], name, i);
		}
	}
}

static bool same(struct rig *r, const struct tree_state *want, const struct known *known, char *why, size_t cap)
{
	struct tree_state got = { 0 };

	tree_state_take(r->ks, &got);
	bool right = tree_state_same(&got, want, why, cap);
	tree_state_fini(&got);
	for (int i = 0; i < NAMES && right; i++) {
		right = is_known(r, &known[i], i);
		if (!right)
			snprintf(why, cap, "key %d is neither \"%s\" nor what was tried since", i, known[i].value);
	}
	return right;
}

static bool play(uint64_t seed, char *why, size_t cap)
{
	static const enum fsync_policy policies[] = { FSYNC_ALWAYS, FSYNC_EVERYSEC, FSYNC_NO };
	struct known known[NAMES] = { 0 };
	struct tree_state before = { 0 };
	struct disk_fault f;
	struct rig r;
	bool right;

	random_state = seed;
	disk_fault_init(&f, seed);
	rig_init(&r, &f);
	r.config.appendfsync = policies[rnd(3)];
	r.config.rdb_key_save_delay_us = (int64_t)rnd(3) * 1000;
	r.config.aof_use_rdb_preamble = rnd(4);
	r.config.save = (struct save_rules){ .count = (int)rnd(2), .rule = { { .seconds = 1, .changes = 5 } } };
	if (rnd(4) == 0)
		r.config.journal_dir = "";
	if (rig_open(&r) != 0)
		abort();
	live(&r, &f, known);
	bool mended = rnd(3);
	if (mended)
		disk_fault_mend(&f);
	r.config.appendonly = true;
	persist_set(r.p, &r.config);
	/* Or a log that could not be begun waits for minutes.  A rewrite that runs may have failed already. */
	while (mended && persist_bgrewriteaof(r.p, NULL) == -EALREADY)
		usleep(1000);
	if (mended && strcmp(rig_info(&r).state, "save failed") == 0)
		rig_save(&r);
	right = !mended || rig_becomes(&r, "ok") || (strcmp(rig_info(&r).state, "save failed") == 0 && rig_save(&r) == 0);
	if (!right)
		snprintf(why, cap, "it stays in \"%s\"", rig_info(&r).state);
	disk_fault_mend(&f);
	tree_state_take(r.ks, &before);
	int stopped = rig_close(&r, rnd(2) ? FINAL_SAVE_BY_RULES : FINAL_SAVE_NEVER);
	if (right && stopped) {
		snprintf(why, cap, "stop: %s", strerror(-stopped));
		right = false;
	}
	if (right && rig_open(&r) != 0) {
		snprintf(why, cap, "%.300s", r.error.text);
		right = false;
	} else if (right) {
		right = same(&r, &before, known, why, cap);
		rig_close(&r, FINAL_SAVE_NEVER);
	}
	const char *litter = right ? rig_litter(&r) : NULL;
	if (litter) {
		snprintf(why, cap, "%s", litter);
		right = false;
	}
	tree_state_fini(&before);
	rig_fini(&r);
	disk_fault_fini(&f);
	return right;
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL) * 1000;
	const char *many = argc > 2 ? argv[2] : getenv("FAULT_LIVES");
	uint64_t rounds = many ? strtoull(many, NULL, 0) : ROUNDS, wrong = 0;
	char why[512];

	diag("seeds from %" PRIu64 " on", seed);
	for (uint64_t i = 0; i < rounds; i++) {
		if (play(seed + i, why, sizeof why))
			continue;
		wrong++;
		diag("seed %" PRIu64 ": %s", seed + i, why);
	}
	is((int64_t)wrong, 0, "%" PRIu64 " lives on a disk that fails", rounds);
	return tap_end();
}
