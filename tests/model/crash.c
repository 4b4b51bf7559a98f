/* A daemon that dies between any two calls to its disk leaves a directory that the next one opens, with all that was acknowledged.
 * One life (first base, changes, rewrites, snapshots, a stop, a second start) is stopped at its K-th call for every K: killed with SIGKILL,
 * or by a power cut that loses what was not synced.
 *
 *      crash [SEED [K]]                                                                                                                 */
#include "persist/persist.h"
#include "tests/lib/engine_rig.h"
#include "tests/lib/tap.h"
#include "tests/lib/tree_state.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum what { MKDIR, MKNOD, WRITE, TRUNCATE, CHMOD, XATTR, REMOVE, RENAME, SWAP, SYMLINK, LINK, FSYNC, SAVE, REWRITE, RESTART, OFF, ON };

struct step { enum what what; const char *path, *other; uint64_t number; };

/* What may be held back is followed by what it waits for. */
static const struct step script[] = {
	{ MKDIR, "d", NULL, 0 },
	{ MKNOD, "d/a", NULL, 0 }, { WRITE, "d/a", "one", 0 },
	{ WRITE, "d/a", "+two", 3 },
	{ MKNOD, "b", NULL, 0 }, { FSYNC, "b", NULL, 0 },
	{ SYMLINK, "d/link", "a", 0 },
	{ LINK, "d/a", "d/a2", 0 }, { LINK, "d/link", "link2", 0 },
	{ CHMOD, "d/a", NULL, 0400 },
	{ XATTR, "d/a", "value", 0 }, { XATTR, "d", "of a directory", 0 },
	{ REWRITE, NULL, NULL, 0 },
	{ TRUNCATE, "d/a", NULL, 0 }, { WRITE, "d/a", "other", 0 },
	{ RENAME, "d", "e", 0 },
	{ MKNOD, "c", NULL, 0 }, { WRITE, "c", "cc", 0 },
	{ SAVE, NULL, NULL, 0 },
	{ XATTR, "e/link", "of a link", 0 },
	{ SWAP, "b", "e", 0 },
	{ WRITE, "b/a2", "of both", 3 }, { TRUNCATE, "b/a", NULL, 7 },
	{ XATTR, "b/a", NULL, 0 },
	{ WRITE, "c", "x", 10 },
	{ FSYNC, "", NULL, 0 },
	{ RESTART, NULL, NULL, 0 },
	{ TRUNCATE, "c", NULL, 5 },
	{ REMOVE, "b/link", NULL, 0 },
	{ REWRITE, NULL, NULL, 0 },
	{ RENAME, "c", "e", 0 },
	{ REMOVE, "b/a", NULL, 0 },
	{ WRITE, "b/a2", "of what is left", 0 },
	{ REMOVE, "b/a2", NULL, 0 },
	{ REMOVE, "b", NULL, 0 },
	{ MKNOD, "z", NULL, 0 }, { WRITE, "z", "the last", 0 },
	{ OFF, NULL, NULL, 0 },
	{ MKDIR, "off", NULL, 0 },
	{ ON, NULL, NULL, 0 },
	{ WRITE, "z", "on again", 0 },
	{ OFF, NULL, NULL, 0 },
	{ MKDIR, "off/again", NULL, 0 },
	{ SAVE, NULL, NULL, 0 },
	{ WRITE, "z", "not saved", 0 },
	{ ON, NULL, NULL, 0 },
	{ RENAME, "off", "on", 0 },
	{ FSYNC, "", NULL, 0 },
};
enum { STEPS = sizeof script / sizeof *script };

static const int64_t between_ns = 1500000000;   /* so that every few batches have a stamp */

/* Shared with the process that dies. */
struct progress {
	_Atomic int begun, acknowledged, durable;   /* steps */
	_Atomic bool odd;                           /* a step failed though the disk had not stopped */
};

struct mode { const char *name; enum fsync_policy policy; bool ring, power; };

static uint64_t seed;
static struct progress *progress;
static struct tree_state expected[STEPS + 1];

static bool may_be_held(const struct step *s)
{
	return s->what == MKNOD || (s->what == TRUNCATE && s->number == 0);
}

static int take_step(struct rig *r, const struct step *s)
{
	if (!may_be_held(s) && s->what != WRITE)
		r->op.now_ns += between_ns;
	switch (s->what) {
	case MKDIR:
		return rig_mkdir(r, s->path);
	case MKNOD:
		return rig_mknod(r, s->path);
	case WRITE:
		return rig_write(r, s->path, s->number, s->other, strlen(s->other));
	case TRUNCATE:
		return rig_truncate(r, s->path, s->number);
	case CHMOD:
		return rig_chmod(r, s->path, (uint32_t)s->number);
	case XATTR:
		return rig_xattr(r, s->path, "user.name", s->other);
	case REMOVE:
		return rig_remove(r, s->path);
	case RENAME:
		return rig_rename(r, s->path, s->other, 0);
	case SWAP:
		return rig_rename(r, s->path, s->other, RENAME_SWAP);
	case SYMLINK:
		return rig_symlink(r, s->path, s->other);
	case LINK:
		return rig_link(r, s->path, s->other);
	case FSYNC:
		return r->p ? rig_fsync(r, s->path) : 0;
	case SAVE:
		return r->p ? rig_save(r) : 0;
	case REWRITE:
		return r->p ? rig_rewrite(r) : 0;
	case RESTART:
		if (!r->p)
			return 0;
		return rig_close(r, FINAL_SAVE_ALWAYS) ? -EIO : rig_open(r);
	case OFF:
	case ON:
		return r->p ? rig_switch(r, s->what == ON) : 0;
	}
	return -EINVAL;
}

/* The states that a keyspace with nothing behind it goes through. */
static void expect(void)
{
	struct keyspace_options o = { .hash_seed = { 1, 2 }, .value_max = 1 << 28, .root_mode = 0755, .now_ns = 1700000000000000000 };
	struct rig r;

	rig_init(&r, NULL);
	if (keyspace_new(&o, &r.ks) < 0)
		abort();
	for (int i = 0; i <= STEPS; i++) {
		tree_state_take(r.ks, &expected[i]);
		if (i < STEPS && take_step(&r, &script[i]) != 0)
			abort();
	}
	keyspace_free(r.ks);
	rig_fini(&r);
}

static void live(struct rig *r, struct disk_fault *f, const struct mode *m)
{
	bool on = true;
	int i = 0;

	atomic_store(&f->now_ns, r->op.now_ns);
	int err = rig_open(r);
	while (!err && i < STEPS && !atomic_load(&f->stopped)) {
		const struct step *s = &script[i++];
		atomic_store(&progress->begun, i);
		err = take_step(r, s);
		atomic_store(&f->now_ns, r->op.now_ns);
		if (err)
			break;
		/* Without a log a change is promised when a snapshot or the next log has it. */
		on = s->what == ON || (on && s->what != OFF);
		bool all = s->what == OFF || s->what == ON || (s->what == SAVE && !on);
		if (all || (on && (!may_be_held(s) || m->policy == FSYNC_ALWAYS)))
			atomic_store(&progress->acknowledged, i);
		if (all || (on && (s->what == FSYNC || s->what == RESTART || m->policy == FSYNC_ALWAYS)))
			atomic_store(&progress->durable, i);
	}
	if (r->p && rig_close(r, FINAL_SAVE_ALWAYS) == 0 && !err) {
		atomic_store(&progress->acknowledged, i);
		atomic_store(&progress->durable, i);
	}
	atomic_store(&progress->odd, err && !atomic_load(&f->stopped));
}

/* True when the life was over before K calls. */
static bool live_and_die(struct rig *r, struct disk_fault *f, const struct mode *m, bool *ret_odd)
{
	int status = 0;

	*progress = (struct progress){ 0 };
	if (m->power) {
		live(r, f, m);
		*ret_odd = atomic_load(&progress->odd);
		return !atomic_load(&f->stopped);
	}
	pid_t pid = fork();
	if (pid == 0) {
		f->kill = true;
		live(r, f, m);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	*ret_odd = !WIFSIGNALED(status) && (status || atomic_load(&progress->odd));
	return !WIFSIGNALED(status);
}

/* Which of the expected states that may be it is; -1: none. */
static int which_state(struct rig *r, bool power, char *why, size_t cap)
{
	int low = atomic_load(power ? &progress->durable : &progress->acknowledged), high = atomic_load(&progress->begun), found = -1;
	struct tree_state now = { 0 };

	tree_state_take(r->ks, &now);
	for (int i = low; i <= high && found < 0; i++)
		if (tree_state_same(&now, &expected[i], why, cap))
			found = i;
	tree_state_fini(&now);
	return found;
}

/* A start that works goes on working: a change, a stop, and the next start finds the same. */
static bool goes_on(struct rig *r, char *why, size_t cap)
{
	struct tree_state before = { 0 }, after = { 0 };

	int err = rig_put(r, "more", "changes");
	tree_state_take(r->ks, &before);
	int stopped = rig_close(r, FINAL_SAVE_NEVER);
	const char *litter = rig_litter(r);
	bool right = !err && !stopped && !litter;
	if (!right)
		snprintf(why, cap, "%s", litter ? litter : strerror(err ? -err : -stopped));
	if (right && rig_open(r) != 0) {
		snprintf(why, cap, "the second start: %.300s", r->error.text);
		right = false;
	}
	if (right) {
		tree_state_take(r->ks, &after);
		right = tree_state_same(&after, &before, why, cap);
		rig_close(r, FINAL_SAVE_NEVER);
	}
	tree_state_fini(&before);
	tree_state_fini(&after);
	return right;
}

/* False, and what is wrong in WHY. */
static bool survives(struct rig *r, const struct mode *m, char *why, size_t cap)
{
	r->config.appendonly = true;
	if (rig_open(r) != 0) {
		snprintf(why, cap, "%.300s", r->error.text);
		return false;
	}
	if (which_state(r, m->power, why, cap) >= 0)
		return goes_on(r, why, cap);
	rig_close(r, FINAL_SAVE_NEVER);
	return false;
}

static bool die_at(const struct mode *m, uint64_t k, bool *ret_over, char *why, size_t cap)
{
	struct disk_fault f;
	struct rig r;
	bool odd;

	disk_fault_init(&f, seed + k);
	f.stop_at = k;
	rig_init(&r, &f);
	r.config.aof_timestamp_enabled = m->ring;   /* stamps in the journal as well */
	r.config.appendfsync = m->policy;
	r.config.journal_dir = m->ring ? r.shared : "";
	*ret_over = live_and_die(&r, &f, m, &odd);
	char *after = NULL;
	if (m->power) {
		if (asprintf(&after, "%s/after", r.top) < 0 || mkdir(after, 0755) < 0)
			abort();
		disk_fault_power_cut(&f, r.data, after);
		free(r.data);
		r.data = after;
		r.config.dir = after;
		r.config.journal_dir = "";     /* a tmpfs is gone as well */
	}
	r.port.disk = NULL;
	bool right = !odd && survives(&r, m, why, cap);
	if (odd)
		snprintf(why, cap, "a step failed on a disk that works");
	rig_fini(&r);
	disk_fault_fini(&f);
	return right;
}

static void test_every_call(const struct mode *m, uint64_t only)
{
	uint64_t k = only ? only : 1, wrong = 0;
	char why[512] = "";
	bool over = false;

	for (; !over && (!only || k == only); k++) {
		if (die_at(m, k, &over, why, sizeof why))
			continue;
		wrong++;
		diag("%s: seed %" PRIu64 ", stopped at call %" PRIu64 " (after %d steps, %d acknowledged, %d durable): %s", m->name, seed, k,
		     atomic_load(&progress->begun), atomic_load(&progress->acknowledged), atomic_load(&progress->durable), why);
	}
	ok(!wrong && (only || k > 40), "%s: at each of %" PRIu64 " calls", m->name, k - 1);
}

int main(int argc, char **argv)
{
	static const struct mode modes[] = {
		{ "killed, always", FSYNC_ALWAYS, true, false },
		{ "killed, everysec", FSYNC_EVERYSEC, true, false },
		{ "killed, no shared journal", FSYNC_EVERYSEC, false, false },
		{ "power cut, always", FSYNC_ALWAYS, true, true },
		{ "power cut, everysec", FSYNC_EVERYSEC, true, true },
	};
	uint64_t only = argc > 2 ? strtoull(argv[2], NULL, 0) : 0;

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	diag("seed %" PRIu64, seed);
	progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (progress == MAP_FAILED)
		abort();
	expect();
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
		test_every_call(&modes[i], only);
	for (int i = 0; i <= STEPS; i++)
		tree_state_fini(&expected[i]);
	return tap_end();
}
