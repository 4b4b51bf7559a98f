/* Snapshots and rewrites: called off, left alone by the syncs, written out step by step, and tried again after failures as Redis does.
 * With a disk that fails on demand and whose clock stands still until it is set. */
#include "persist/persist.h"
#include "tests/lib/engine_case.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEYS = 20, SAVE_DELAY_US = 300000, MIB = 1 << 20, VALUES = 300 };

static const int64_t second_ns = 1000000000;

static void end(void)
{
	stop_without_litter();
	case_end();
}

static void put_some(void)
{
	for (int i = 0; i < KEYS; i++) {
		char name[] = { 'k', (char)('a' + i), 0 };
		if (rig_put(&rig, name, "v") != 0)
			abort();
	}
}

static bool has_dump(void)
{
	char *path;

	if (asprintf(&path, "%s/dump.rdb", rig.data) < 0)
		abort();
	bool has = access(path, F_OK) == 0;
	free(path);
	return has;
}

/* ---- BGSAVE CANCEL ---- */

static _Atomic int answered, answer_err;

static void count_answer(struct persist_waiter *w, int err)
{
	(void)w;
	answer_err = err;
	answered++;
}

/* Whoever asked for a job in the background is answered when its moment is taken: what changes from then on is in the next one. */
static void test_cut(const char *what, bool rewrite)
{
	struct persist_waiter w = { .done = count_answer };

	case_begin(what);
	rig.config.rdb_key_save_delay_us = SAVE_DELAY_US;
	open_rig();
	put_some();
	answered = 0;
	is(rewrite ? persist_bgrewriteaof(rig.p, &w) : persist_bgsave(rig.p, false, &w), STARTED, "it starts");
	for (int tries = 0; !answered && tries < 10000; tries++)
		usleep(1000);
	struct persist_info i = rig_info(&rig);
	ok(answered == 1 && answer_err == 0, "who waits for its moment is answered");
	ok((rewrite ? i.aof_current_rewrite_time_sec : i.rdb_current_bgsave_time_sec) >= 0, "which is taken, while it runs on");
	answered = 0;
	is(rewrite ? persist_bgrewriteaof(rig.p, &w) : persist_bgsave(rig.p, false, &w), -EALREADY, "another has to wait");
	rig.config.rdb_key_save_delay_us = 0;
	persist_set(rig.p, &rig.config);
	end();
	is(answered, 0, "and nobody is called for it");
}

static void test_cut_fails(void)
{
	struct persist_waiter w = { .done = count_answer };

	case_begin("a snapshot that can't begin");
	open_rig();
	put_some();
	fail(DISK_OPEN, -ENOSPC, ".rdb", 1);
	answered = 0;
	is(persist_bgsave(rig.p, false, &w), STARTED, "it is asked for");
	for (int tries = 0; !answered && tries < 10000; tries++)
		usleep(1000);
	is(answered, 1, "who waits is answered");
	rig_wait_jobs(&rig);
	ok(!rig_info(&rig).rdb_last_bgsave_ok, "and INFO says how it went");
	end();
}

static void test_cancel_running(void)
{
	struct persist_waiter w = { .done = count_answer };

	case_begin("a snapshot that runs is cancelled");
	rig.config.rdb_key_save_delay_us = SAVE_DELAY_US;
	open_rig();
	put_some();
	is(persist_bgsave_cancel(rig.p), -ENOENT, "there is none");
	answered = 0;
	is(persist_save(rig.p, &w), 1, "one starts");
	while (rig_info(&rig).rdb_current_bgsave_time_sec < 0)
		usleep(1000);
	uint64_t dirty = rig_info(&rig).rdb_changes_since_last_save;
	is(persist_bgsave_cancel(rig.p), CANCELLED, "cancelled");
	rig_wait_jobs(&rig);
	struct persist_info i = rig_info(&rig);
	ok(i.rdb_last_bgsave_ok && i.rdb_saves == 0, "it neither failed nor succeeded");
	is((int64_t)i.rdb_changes_since_last_save, (int64_t)dirty, "nothing counts as saved");
	/* The answer follows what INFO says. */
	for (int tries = 0; !answered && tries < 10000; tries++)
		usleep(1000);
	is(answered, 1, "who waited is answered");
	is(answer_err, -ECANCELED, "with that");
	ok(!has_dump(), "there is no file");
	is(persist_bgsave_cancel(rig.p), -ENOENT, "it is gone");
	rig.config.rdb_key_save_delay_us = 0;
	persist_set(rig.p, &rig.config);
	is(rig_save(&rig), 0, "the next one is written");
	end();
}

static void test_cancel_keeps_failure(void)
{
	case_begin("a cancel does not mend a failure");
	rig.config.rdb_key_save_delay_us = SAVE_DELAY_US;
	rig.config.save = (struct save_rules){ .count = 1, .rule = { { .seconds = 3600, .changes = 1000 } } };
	open_rig();
	put_some();
	fail(DISK_OPEN, -ENOSPC, ".rdb", 1);
	is(rig_save(&rig), -ENOSPC, "a snapshot fails");
	is(persist_bgsave(rig.p, false, NULL), STARTED, "another starts");
	while (rig_info(&rig).rdb_current_bgsave_time_sec < 0)
		usleep(1000);
	is(persist_bgsave_cancel(rig.p), CANCELLED, "cancelled");
	rig_wait_jobs(&rig);
	ok(!rig_info(&rig).rdb_last_bgsave_ok, "the last one that ended failed");
	is(strcmp(rig_info(&rig).state, "save failed"), 0, "and so is the state");
	end();
}

static void test_cancel_scheduled(void)
{
	case_begin("a snapshot that waits is cancelled");
	rig.config.rdb_key_save_delay_us = SAVE_DELAY_US;
	open_rig();
	put_some();
	is(persist_bgrewriteaof(rig.p, NULL), STARTED, "a rewrite starts");
	while (rig_info(&rig).aof_current_rewrite_time_sec < 0)
		usleep(1000);
	is(persist_bgsave(rig.p, true, NULL), SCHEDULED, "a snapshot waits");
	is(persist_bgsave_cancel(rig.p), UNSCHEDULED, "cancelled");
	is(persist_bgsave_cancel(rig.p), -ENOENT, "it is gone");
	is(rig_switch(&rig, false), 0, "the rewrite is ended");
	ok(!rig_info(&rig).rdb_bgsave_in_progress && !rig_info(&rig).rdb_saves, "the snapshot was not begun");
	end();
}

/* ---- syncs and jobs ---- */

static void test_no_appendfsync(bool without)
{
	case_begin(without ? "no-appendfsync-on-rewrite" : "syncs while a snapshot runs");
	rig.config.rdb_key_save_delay_us = SAVE_DELAY_US;
	rig.config.no_appendfsync_on_rewrite = without;
	open_rig();
	put_some();
	is(persist_bgsave(rig.p, false, NULL), STARTED, "a snapshot starts");
	while (rig_info(&rig).rdb_current_bgsave_time_sec < 0)
		usleep(1000);
	is(rig_mkdir(&rig, "a"), 0, "a change");       /* may still have waited for the policy */
	uint64_t syncs = rig_info(&rig).aof_syncs;
	is(rig_mkdir(&rig, "b"), 0, "another");
	is(rig_info(&rig).aof_syncs > syncs, !without, "is synced by policy, or not");
	is(rig_fsync(&rig, ""), 0, "fsync");
	ok(rig_info(&rig).seq_durable >= rig.op.seq, "is honoured");
	is(persist_bgsave_cancel(rig.p), CANCELLED, "all that while the snapshot runs");
	rig_wait_jobs(&rig);
	is(rig_mkdir(&rig, "c"), 0, "a change");
	is(rig_mkdir(&rig, "d"), 0, "another");
	ok(rig_info(&rig).seq_durable >= rig.op.seq, "behind it the policy counts again");
	end();
}

static void put_random(const char *name, size_t size)
{
	char *data = malloc(size);

	if (!data)
		abort();
	for (size_t i = 0; i < size; i++)
		data[i] = (char)(i * 2654435761u >> 13);
	if (rig_mknod(&rig, name) != 0 || rig_write(&rig, name, 0, data, size) != 0)
		abort();
	free(data);
}

static void test_incremental(void)
{
	case_begin("files are written out step by step");
	rig.config.rdbcompression = false;
	open_rig();
	put_random("big", 9 * MIB);
	is(rig_save(&rig), 0, "a snapshot");
	is(rig_rewrite(&rig), 0, "a rewrite");
	is((int64_t)atomic_load(&fault.written_out), 0, "all at the end");
	rig.config.rdb_save_incremental_fsync = true;
	persist_set(rig.p, &rig.config);
	is(rig_save(&rig), 0, "a snapshot");
	uint64_t out = atomic_load(&fault.written_out);
	ok(out >= 4 * MIB && out <= 10 * MIB, "step by step");
	is(rig_rewrite(&rig), 0, "a rewrite");
	is((int64_t)atomic_load(&fault.written_out), (int64_t)out, "is another setting");
	rig.config.aof_rewrite_incremental_fsync = true;
	persist_set(rig.p, &rig.config);
	is(rig_rewrite(&rig), 0, "a rewrite");
	ok(atomic_load(&fault.written_out) >= out + 4 * MIB, "step by step");
	fail(DISK_WRITE_OUT, -EIO, NULL, 1);
	is(rig_save(&rig), -EIO, "an error there counts: no sync would tell it again");
	fail(DISK_WRITE_OUT, -EIO, NULL, 1);
	is(rig_rewrite(&rig), -EIO, "in a rewrite too");
	is(rig_rewrite(&rig), 0, "the next one succeeds");
	end();
}

/* ---- memory ---- */

static void put_values(const char *value)
{
	for (int i = 0; i < VALUES; i++) {
		char name[] = { 'v', (char)('a' + i / 20), (char)('a' + i % 20), 0 };
		if (rig_put(&rig, name, value) != 0)
			abort();
	}
}

static void test_memory(void)
{
	char value[1001];

	memset(value, 'v', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	case_begin("what a snapshot keeps of the past");
	rig.config.rdb_key_save_delay_us = SAVE_DELAY_US;
	rig.config.appendfsync = FSYNC_NO;
	open_rig();
	put_values(value);
	is(persist_bgsave(rig.p, false, NULL), STARTED, "a snapshot starts");
	while (rig_info(&rig).rdb_current_bgsave_time_sec < 0)
		usleep(1000);
	put_values("other");
	is(persist_bgsave_cancel(rig.p), CANCELLED, "all are changed while it runs");
	rig_wait_jobs(&rig);
	struct persist_info i = rig_info(&rig);
	/* It takes them in some order: half of them at least were still to come. */
	ok(i.rdb_last_cow_size > VALUES * 1000 / 2 && i.rdb_last_cow_size < VALUES * 2000, "it had to keep them: %llu bytes",
	   (unsigned long long)i.rdb_last_cow_size);
	is((int64_t)i.snapshot_memory, 0, "nothing is kept now");
	rig.config.rdb_key_save_delay_us = 0;
	persist_set(rig.p, &rig.config);
	is(rig_rewrite(&rig), 0, "a rewrite with nobody writing");
	is((int64_t)rig_info(&rig).aof_last_cow_size, 0, "has nothing to keep");
	ok(rig_info(&rig).rdb_last_cow_size == i.rdb_last_cow_size, "and says nothing of the snapshot");
	end();
}

/* ---- trying again ---- */

/* The engine has looked at everything with the clock as it is now: the second answer is of a round that began behind the first. */
static void let_it_look(void)
{
	static int turn;

	for (int i = 0; i < 2; i++)
		if (rig_chmod(&rig, "a", turn++ % 2 ? 0600 : 0640) != 0)
			abort();
}

static void set_clock(int64_t s)
{
	atomic_store(&fault.monotonic_ns, 1000 * second_ns + s * second_ns);
	atomic_store(&fault.now_ns, 1700000000 * second_ns + s * second_ns);
}

static void test_save_again(void)
{
	case_begin("a snapshot by rule is tried again after five seconds");
	rig.config.save = (struct save_rules){ .count = 1, .rule = { { .seconds = 0, .changes = 3 } } };
	rig.config.stop_writes_on_bgsave_error = false;
	set_clock(0);
	open_rig();
	fail(DISK_WRITE, -EIO, ".rdb", FOR_EVER);
	is(rig_put(&rig, "a", "one"), 0, "two changes");
	let_it_look();
	set_clock(2);
	let_it_look();
	for (int i = 0; i < 10000 && rig_info(&rig).rdb_last_bgsave_ok; i++)
		usleep(1000);
	rig_wait_jobs(&rig);
	is((int64_t)atomic_load(&fault.failed), 1, "one failed");
	set_clock(6);
	let_it_look();
	rig_wait_jobs(&rig);
	is((int64_t)atomic_load(&fault.failed), 1, "four seconds later none was tried");
	disk_fault_mend(&fault);
	set_clock(7);
	let_it_look();
	for (int i = 0; i < 10000 && !rig_info(&rig).rdb_saves; i++)
		usleep(1000);
	ok(rig_info(&rig).rdb_saves >= 1 && rig_info(&rig).rdb_last_bgsave_ok, "five seconds later one was");
	end();
}

static void wait_failures(uint64_t n)
{
	for (int i = 0; i < 10000 && rig_info(&rig).aof_rewrites_consecutive_failures < n; i++)
		usleep(1000);
	rig_wait_jobs(&rig);
}

static void test_rewrite_again(void)
{
	static const int minutes[] = { 1, 2, 4, 8, 16, 32, 60, 60 };
	int64_t s = 0;
	uint64_t n = 3;

	case_begin("a rewrite by size is tried again at once twice, then after 1, 2, 4 .. 60 minutes");
	rig.config.auto_aof_rewrite_min_size = 1;
	set_clock(0);
	open_rig();
	fail(DISK_OPEN, -ENOSPC, "temp-rewriteaof", FOR_EVER);
	put_some();
	is(rig_put(&rig, "a", "one"), 0, "the log has grown");
	wait_failures(n);
	let_it_look();
	is((int64_t)rig_info(&rig).aof_rewrites_consecutive_failures, (int64_t)n, "three failed");
	for (size_t i = 0; i < sizeof minutes / sizeof *minutes; i++) {
		set_clock(s + minutes[i] * 60 - 1);
		let_it_look();
		rig_wait_jobs(&rig);
		is((int64_t)rig_info(&rig).aof_rewrites_consecutive_failures, (int64_t)n, "none before %d minutes", minutes[i]);
		s += minutes[i] * 60;
		set_clock(s);
		let_it_look();
		wait_failures(++n);
		is((int64_t)rig_info(&rig).aof_rewrites_consecutive_failures, (int64_t)n, "one then");
	}
	is(rig_rewrite(&rig), -EIO, "who asks is not kept waiting");
	disk_fault_mend(&fault);
	is(rig_rewrite(&rig), 0, "one succeeds");
	is((int64_t)rig_info(&rig).aof_rewrites_consecutive_failures, 0, "all is forgotten");
	end();
}

int main(void)
{
	test_cut("the moment of a snapshot", false);
	test_cut("the moment of a rewrite", true);
	test_cut_fails();
	test_cancel_running();
	test_cancel_keeps_failure();
	test_cancel_scheduled();
	test_no_appendfsync(false);
	test_no_appendfsync(true);
	test_incremental();
	test_memory();
	test_save_again();
	test_rewrite_again();
	return tap_end();
}
