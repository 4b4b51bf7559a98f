/* engine_case.h -- a case of an engine test: one rig, with a disk that fails on demand.
 *
 *      case_begin("what it is about")  open_rig() ... same_after_restart()  case_end()
 *
 * Included by one file a program, as tap.h is. */
#ifndef KVFS_TESTS_ENGINE_CASE_H
#define KVFS_TESTS_ENGINE_CASE_H

#include "tests/lib/engine_rig.h"
#include "tests/lib/tap.h"
#include "tests/lib/tree_state.h"

#include <limits.h>
#include <stdlib.h>

enum { FOR_EVER = INT_MAX };

static struct disk_fault fault;
static struct rig rig;

/* In `always`, so that each reply says that its change is on disk. */
static inline void case_begin(const char *what)
{
	diag("%s", what);
	disk_fault_init(&fault, 1);
	rig_init(&rig, &fault);
	rig.config.appendfsync = FSYNC_ALWAYS;
}

static inline void case_end(void)
{
	rig_fini(&rig);
	disk_fault_fini(&fault);
}

static inline void open_rig(void)
{
	int err = rig_open(&rig);

	if (!ok(err == 0, "opens"))
		diag("%s", rig.error.text);
	if (err)
		exit(1);
}

static inline void stop_without_litter(void)
{
	is(rig_close(&rig, FINAL_SAVE_NEVER), 0, "stops");
	const char *litter = rig_litter(&rig);
	if (!ok(!litter, "leaves no litter"))
		diag("%s", litter);
}

/* Stops, starts again from the log, and everything is as it was. */
static inline void same_after_restart(void)
{
	struct tree_state before = { 0 }, after = { 0 };
	char why[256] = "";

	tree_state_take(rig.ks, &before);
	stop_without_litter();
	rig.config.appendonly = true;
	open_rig();
	tree_state_take(rig.ks, &after);
	if (!ok(tree_state_same(&after, &before, why, sizeof why), "a restart finds everything"))
		diag("%s", why);
	rig_close(&rig, FINAL_SAVE_NEVER);
	tree_state_fini(&before);
	tree_state_fini(&after);
}

/* The next COUNT calls of that kind fail, of files whose name has NAME in it (NULL: of all). */
static inline void fail(enum disk_call call, int err, const char *name, uint64_t count)
{
	disk_fault_rule(&fault, call, (struct disk_rule){ .err = err, .name = name, .count = count });
}

#endif
