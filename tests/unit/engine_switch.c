/* `appendonly` switched while the engine runs: what counts afterwards, what a failure or a death in between leaves, and that a snapshot
 * newer than the log is the one that counts.  With a disk that fails on demand; the keyspace after a restart is compared with the one before. */
#include "persist/persist.h"
#include "tests/lib/engine_case.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEYS = 20, SAVE_DELAY_US = 50000, CLIENTS = 4, TIMES = 30 };

static void begin(const char *what, bool appendonly)
{
	case_begin(what);
	rig.config.appendonly = appendonly;
}

static void put_some(const char *value)
{
	for (int i = 0; i < KEYS; i++) {
		char name[] = { 'k', (char)('a' + i), 0 };
		if (rig_put(&rig, name, value) != 0)
			abort();
	}
}

static void set_appendonly(bool on)
{
	rig.config.appendonly = on;
	persist_set(rig.p, &rig.config);
}

static bool reported(const char *text)
{
	return strstr(persist_load_report(rig.p), text) != NULL;
}

/* ---- on ---- */

static void test_on(bool ring)
{
	begin(ring ? "switched on" : "switched on, without a shared journal", false);
	if (!ring)
		rig.config.journal_dir = "";
	open_rig();
	put_some("before");
	is((int64_t)rig_info(&rig).seq_published, 0, "nothing is logged");
	is(rig_switch(&rig, true), 0, "on");
	is(strcmp(rig_info(&rig).state, "ok"), 0, "and ok");
	is(rig_info(&rig).journal_size > 0, ring, "with a journal");
	is(rig_put(&rig, "ka", "after"), 0, "a change");
	ok(rig_info(&rig).seq_durable >= rig.op.seq && rig.op.seq, "its reply waited for the disk");
	is(rig_rewrite(&rig), 0, "a rewrite");
	is(rig_put(&rig, "kb", "last"), 0, "a change");
	same_after_restart();
	case_end();
}

static void test_on_takes_a_while(void)
{
	begin("while the first base is written", false);
	rig.config.rdb_key_save_delay_us = SAVE_DELAY_US;
	open_rig();
	put_some("before");
	set_appendonly(true);
	struct persist_info i = rig_info(&rig);
	ok(!i.aof_enabled && (i.aof_rewrite_in_progress || i.aof_rewrite_scheduled), "a rewrite is said to be on at once");
	while (rig_info(&rig).aof_current_rewrite_time_sec < 0)
		usleep(1000);
	is(strcmp(rig_info(&rig).state, "log starting"), 0, "the state has a name");
	is(rig_put(&rig, "during", "the base"), 0, "a change");
	is(rig_fsync(&rig, "during"), 0, "fsync has nothing to wait for");
	is(rig_put(&rig, "kt", "changed"), 0, "a change of what is not saved yet");
	is(persist_bgrewriteaof(rig.p, NULL), -EALREADY, "it is the rewrite");
	ok(!rig_info(&rig).aof_enabled, "the log is not on yet");
	ok(rig_logs(&rig, true), "on");
	ok(rig_info(&rig).aof_rewrites == 1 && !rig_info(&rig).aof_rewrite_in_progress && !rig_info(&rig).aof_rewrite_scheduled, "by one rewrite");
	is(rig_put(&rig, "after", "it"), 0, "a change");
	same_after_restart();
	case_end();
}

static void test_on_then_off_then_on(void)
{
	begin("on, off and on in a hurry", false);
	rig.config.rdb_key_save_delay_us = SAVE_DELAY_US;
	open_rig();
	put_some("before");
	set_appendonly(true);
	while (rig_info(&rig).aof_current_rewrite_time_sec < 0)
		usleep(1000);
	is(rig_put(&rig, "during", "the base"), 0, "a change");
	is(rig_switch(&rig, false), 0, "off");
	rig_wait_jobs(&rig);
	ok(rig_info(&rig).aof_last_bgrewrite_ok, "a rewrite that was called off did not fail");
	ok(!rig_log_file(&rig, ".manifest") && !rig_log_file(&rig, ".incr.aof"), "no log");
	rig.config.rdb_key_save_delay_us = 0;
	is(rig_switch(&rig, true), 0, "on");
	is(rig_put(&rig, "after", "it"), 0, "a change");
	same_after_restart();
	case_end();
}

static void test_stop_while_starting(void)
{
	begin("a stop while the first base is written", false);
	rig.config.rdb_key_save_delay_us = SAVE_DELAY_US;
	open_rig();
	put_some("before");
	set_appendonly(true);
	while (rig_info(&rig).aof_current_rewrite_time_sec < 0)
		usleep(1000);
	is(rig_put(&rig, "during", "the base"), 0, "a change");
	rig.config.rdb_key_save_delay_us = 0;
	set_appendonly(true);
	same_after_restart();
	case_end();
}

struct client {
	struct rig rig;             /* the same engine, operations of its own */
	pthread_t thread;
	char dir[3];
};

static _Atomic bool enough;

static void *change_on_and_on(void *arg)
{
	struct client *me = arg;
	char path[] = "dx/kx";
	void *wrong = NULL;

	path[1] = me->dir[1];
	for (int i = 0; !enough; i++) {
		path[4] = (char)('a' + i % KEYS);
		rig_info(&me->rig);
		if (rig_put(&me->rig, path, me->dir) != 0 || (i % 8 == 0 && rig_fsync(&me->rig, path) != 0))
			wrong = arg;
	}
	return wrong;
}

static void test_while_others_write(bool ring)
{
	struct client client[CLIENTS];
	void *wrong;

	begin("on and off while others write", false);
	if (!ring)
		rig.config.journal_dir = "";
	open_rig();
	for (int i = 0; i < CLIENTS; i++) {
		memcpy(client[i].dir, "d0", 3);
		client[i].dir[1] = (char)('0' + i);
		is(rig_mkdir(&rig, client[i].dir), 0, "a directory");
		client[i].rig = rig;
		if (pthread_create(&client[i].thread, NULL, change_on_and_on, &client[i]) != 0)
			abort();
	}
	int failed = 0;
	for (int i = 0; i < 2 * TIMES; i++) {
		rig.config.appendfsync = i % 3 ? FSYNC_EVERYSEC : FSYNC_ALWAYS;
		failed += rig_switch(&rig, i % 2 == 0) != 0;
	}
	is(failed, 0, "on and off %d times", TIMES);
	is(rig_switch(&rig, true), 0, "on");
	enough = true;
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(client[i].thread, &wrong);
		ok(!wrong, "each change and each fsync was answered");
	}
	enough = false;
	same_after_restart();
	case_end();
}

/* ---- on fails ---- */

/* OLD: a log of before lies there, with "a" in it. */
static void make_old_log(void)
{
	rig.config.appendonly = true;
	open_rig();
	is(rig_put(&rig, "a", "of the old log"), 0, "a log");
	is(rig_close(&rig, FINAL_SAVE_NEVER), 0, "stops");
	rig.config.appendonly = false;
}

static void test_on_fails(enum disk_call call, const char *name, int err, bool old)
{
	begin("the log can't be begun, then it can", false);
	if (old)
		make_old_log();
	open_rig();
	put_some("before");
	disk_fault_rule(&fault, call, (struct disk_rule){ .err = err, .name = name, .count = FOR_EVER });
	is(rig_switch(&rig, true), -EIO, "on fails");
	is(strcmp(rig_info(&rig).state, "log start failed"), 0, "the state has a name");
	ok(!rig_info(&rig).aof_enabled && !rig_info(&rig).aof_last_bgrewrite_ok, "INFO says so");
	is(rig_put(&rig, "b", "two"), 0, "a change is taken");
	is(rig_fsync(&rig, "b"), 0, "fsync has nothing to wait for");
	is(rig_save(&rig), 0, "a snapshot can be taken");
	disk_fault_mend(&fault);
	ok(persist_bgrewriteaof(rig.p, NULL) != -EOPNOTSUPP, "BGREWRITEAOF tries at once");
	ok(rig_logs(&rig, true), "on");
	is(rig_put(&rig, "c", "three"), 0, "a change");
	ok(!rig_find(&rig, "a"), "the old log was not read");
	same_after_restart();
	case_end();
}

static void test_on_fails_to_the_end(void)
{
	begin("the log can't be begun: the old one stays", false);
	make_old_log();
	open_rig();
	put_some("new");
	fail(DISK_RENAME, -EIO, ".manifest", FOR_EVER);
	is(rig_switch(&rig, true), -EIO, "on fails");
	is(rig_put(&rig, "b", "two"), 0, "a change");
	is(rig_close(&rig, FINAL_SAVE_NEVER), -EIO, "the stop says that the log could not be begun");
	disk_fault_mend(&fault);
	open_rig();
	ok(rig_holds(&rig, "a", "of the old log") && !rig_find(&rig, "b"), "the old log is what it was");
	same_after_restart();
	case_end();
}

/* What a daemon that died left in the shared journal belongs to the old log as long as that counts. */
static void test_leftover_of_the_old_log(bool begun)
{
	int status;

	begin(begun ? "a leftover, and a new log" : "a leftover, and a new log that can't be begun", true);
	pid_t pid = fork();
	if (pid == 0) {
		rig.config.appendfsync = FSYNC_NO;
		if (rig_open(&rig) || rig_fsync(&rig, ""))
			_exit(1);
		fail(DISK_WRITE, -EIO, ".incr.aof", FOR_EVER);
		if (rig_put(&rig, "acknowledged", "yes"))
			_exit(2);
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, &status, 0);
	ok(WIFSIGNALED(status), "a daemon is killed");
	rig.config.appendonly = false;
	open_rig();
	put_some("new");
	if (!begun)
		fail(DISK_RENAME, -EIO, ".manifest", FOR_EVER);
	is(rig_switch(&rig, true), begun ? 0 : -EIO, "on");
	is(rig_put(&rig, "b", "two"), 0, "a change");
	is(rig_close(&rig, FINAL_SAVE_NEVER), begun ? 0 : -EIO, "stops");
	disk_fault_mend(&fault);
	open_rig();
	is(rig_holds(&rig, "acknowledged", "yes"), !begun, "the old log has it, the new one has not");
	is(rig_holds(&rig, "b", "two"), begun, "and the other way round");
	same_after_restart();
	case_end();
}

/* ---- off ---- */

static void test_off(void)
{
	begin("switched off", true);
	rig.config.appendfsync = FSYNC_NO;
	open_rig();
	put_some("before");
	is(rig_mknod(&rig, "held"), 0, "a file that waits for its first write");
	is(rig_switch(&rig, false), 0, "off");
	struct persist_info i = rig_info(&rig);
	ok(i.seq_durable == i.seq_published && i.seq_published, "everything is on disk");
	is(persist_bgrewriteaof(rig.p, NULL), -EOPNOTSUPP, "no rewrite");
	same_after_restart();
	case_end();
}

static void test_off_ends_a_rewrite(void)
{
	begin("off while a rewrite runs", true);
	rig.config.rdb_key_save_delay_us = SAVE_DELAY_US;
	open_rig();
	put_some("before");
	is(persist_bgrewriteaof(rig.p, NULL), STARTED, "a rewrite starts");
	while (rig_info(&rig).aof_current_rewrite_time_sec < 0)
		usleep(1000);
	is(rig_put(&rig, "during", "the rewrite"), 0, "a change");
	is(rig_switch(&rig, false), 0, "off");
	ok(!rig_info(&rig).aof_rewrite_in_progress && rig_info(&rig).aof_last_bgrewrite_ok, "no rewrite, and none that failed");
	same_after_restart();
	case_end();
}

static void test_off_heals(enum disk_call call)
{
	begin("off when the log can't be written", true);
	open_rig();
	is(rig_put(&rig, "a", "one"), 0, "before");
	fail(call, -EIO, NULL, FOR_EVER);
	ok(rig_put(&rig, "b", "") < 0 && rig_put(&rig, "c", "") < 0, "refused");
	set_appendonly(false);
	ok(rig_logs(&rig, false) && rig_becomes(&rig, "ok"), "off, and ok");
	ok(rig_said(&rig, "ends before its last changes"), "and the log says what it lacks");
	is(rig_put(&rig, "c", "three"), 0, "a change is taken");
	disk_fault_mend(&fault);
	set_appendonly(true);
	ok(rig_logs(&rig, true), "on");
	same_after_restart();
	case_end();
}

/* ---- a snapshot newer than the log ---- */

static void killed_with_a_newer_dump(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (rig_open(&rig) || rig_put(&rig, "a", "one") || rig_switch(&rig, false) || rig_put(&rig, "b", "two") || rig_mkdir(&rig, "d") ||
		    rig_save(&rig) || rig_put(&rig, "a", "not saved"))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, &status, 0);
	ok(WIFSIGNALED(status), "off, changes, a snapshot, killed");
}

static void test_newer_dump(void)
{
	begin("a snapshot is newer than the log that was switched off", true);
	killed_with_a_newer_dump();
	open_rig();
	ok(rig_holds(&rig, "a", "one") && rig_holds(&rig, "b", "two") && rig_find(&rig, "d"), "the snapshot is what counts");
	ok(reported("dump.rdb was loaded") && reported("newer than the log"), "and the report says so");
	is(rig_put(&rig, "c", "three"), 0, "a change");
	same_after_restart();
	ok(rig_open(&rig) == 0 && !reported("newer"), "the log has it all now");
	rig_close(&rig, FINAL_SAVE_NEVER);
	case_end();
}

static void test_older_dump(void)
{
	begin("a snapshot is older than the log", true);
	open_rig();
	is(rig_put(&rig, "a", "one"), 0, "a change");
	is(rig_save(&rig), 0, "a snapshot");
	is(rig_put(&rig, "b", "two"), 0, "a change");
	same_after_restart();
	is(rig_open(&rig), 0, "opens");
	ok(!reported("dump.rdb"), "nobody speaks of the snapshot");
	rig_close(&rig, FINAL_SAVE_NEVER);
	case_end();
}

static void test_damaged_newer_dump(void)
{
	struct stat st;
	char *path;

	begin("a snapshot is newer than the log, and damaged", true);
	killed_with_a_newer_dump();
	if (asprintf(&path, "%s/dump.rdb", rig.data) < 0 || stat(path, &st) < 0 || truncate(path, st.st_size - 5) < 0)
		abort();
	is(rig_open(&rig), -EPROTO, "is refused");
	ok(strstr(rig.error.text, "newer than the log") && strstr(rig.error.text, "move it away"), "with what to do");
	if (unlink(path) < 0)
		abort();
	open_rig();
	ok(rig_holds(&rig, "a", "one") && !rig_find(&rig, "b"), "without it the log counts");
	rig_close(&rig, FINAL_SAVE_NEVER);
	free(path);
	case_end();
}

/* dump.rdb.* */
static int kept_dumps(void)
{
	DIR *d = opendir(rig.data);
	int n = 0;

	for (struct dirent *x; d && (x = readdir(d));)
		n += strncmp(x->d_name, "dump.rdb.", 9) == 0;
	if (d)
		closedir(d);
	return n;
}

/* A log that lies there when appendonly is no from the start is another history, however far the snapshots go. */
static void test_log_beside(void)
{
	begin("a log lies beside", true);
	open_rig();
	is(rig_put(&rig, "a", "one"), 0, "a change");
	is(rig_save(&rig), 0, "a snapshot");
	is(rig_put(&rig, "only in the log", "two"), 0, "a change");
	is(rig_close(&rig, FINAL_SAVE_NEVER), 0, "stops");
	rig.config.appendonly = false;
	open_rig();
	ok(reported("was not read"), "a start without it says so");
	put_some("without the log");
	is(rig_close(&rig, FINAL_SAVE_ALWAYS), 0, "stops with a snapshot");
	rig.config.appendonly = true;
	open_rig();
	ok(rig_holds(&rig, "only in the log", "two"), "nothing of the log is lost");
	ok(reported("dump.rdb was not loaded") && reported("it is kept as dump.rdb."), "and the report names what was left out");
	is(kept_dumps(), 1, "and it is kept");
	same_after_restart();
	is(kept_dumps(), 1, "once");
	case_end();
}

/* Without a log from the start, from a snapshot that has all of it: whoever starts with it again wants what came since. */
static void test_went_on_without(bool restart_between)
{
	begin(restart_between ? "two daemons go on without the log" : "a daemon goes on without the log", true);
	open_rig();
	is(rig_put(&rig, "a", "one"), 0, "a change");
	is(rig_close(&rig, FINAL_SAVE_ALWAYS), 0, "stops with a snapshot");
	rig.config.appendonly = false;
	open_rig();
	is(rig_put(&rig, "b", "without"), 0, "a change");
	is(rig_close(&rig, FINAL_SAVE_ALWAYS), 0, "stops with a snapshot");
	if (restart_between) {
		open_rig();
		ok(rig_holds(&rig, "b", "without"), "the next has it");
		is(rig_put(&rig, "c", "without"), 0, "a change");
		is(rig_close(&rig, FINAL_SAVE_ALWAYS), 0, "stops with a snapshot");
	}
	rig.config.appendonly = true;
	open_rig();
	ok(rig_holds(&rig, "a", "one") && rig_holds(&rig, "b", "without"), "the snapshot is what counts");
	ok(rig_holds(&rig, "c", "without") == restart_between, "the last one");
	ok(reported("newer than the log"), "and the report says so");
	is(rig_put(&rig, "d", "with"), 0, "a change");
	is(rig_close(&rig, FINAL_SAVE_NEVER), 0, "stops");
	/* The snapshot speaks of a log that is no more; the one of now has more than it. */
	rig.config.appendonly = false;
	open_rig();
	is(rig_put(&rig, "e", "without"), 0, "a change");
	is(rig_close(&rig, FINAL_SAVE_ALWAYS), 0, "stops with a snapshot");
	rig.config.appendonly = true;
	open_rig();
	ok(rig_holds(&rig, "d", "with") && !rig_find(&rig, "e"), "then the log counts");
	is(kept_dumps(), 1, "and the snapshot is kept");
	same_after_restart();
	case_end();
}

/* Nothing was changed without the log: it is what it was. */
static void test_looked_without(void)
{
	begin("a daemon without the log changes nothing", true);
	open_rig();
	is(rig_put(&rig, "a", "one"), 0, "a change");
	is(rig_save(&rig), 0, "a snapshot");
	is(rig_put(&rig, "b", "two"), 0, "a change");
	is(rig_close(&rig, FINAL_SAVE_NEVER), 0, "stops");
	rig.config.appendonly = false;
	open_rig();
	is(rig_close(&rig, FINAL_SAVE_ALWAYS), 0, "one without the log stops with a snapshot");
	rig.config.appendonly = true;
	open_rig();
	ok(rig_holds(&rig, "b", "two") && !reported("dump.rdb") && kept_dumps() == 0, "the log counts, and nobody speaks of the snapshot");
	same_after_restart();
	case_end();
}

static void test_power_cut(void)
{
	char *after;

	begin("a power cut takes the end of the log and leaves a snapshot", true);
	rig.config.appendfsync = FSYNC_NO;
	rig.config.journal_dir = "";
	open_rig();
	is(rig_put(&rig, "a", "one"), 0, "a change");
	is(rig_fsync(&rig, ""), 0, "durable");
	is(rig_put(&rig, "b", "two"), 0, "a change that is not");
	is(rig_mkdir(&rig, "d"), 0, "another");
	is(rig_save(&rig), 0, "a snapshot");
	/* No sync from here on: the stop's is after the cut. */
	if (asprintf(&after, "%s/after", rig.top) < 0 || mkdir(after, 0755) < 0)
		abort();
	disk_fault_power_cut(&fault, rig.data, after);
	rig_close(&rig, FINAL_SAVE_NEVER);
	free(rig.data);
	rig.data = after;
	rig.config.dir = after;
	open_rig();
	ok(rig_holds(&rig, "a", "one") && rig_holds(&rig, "b", "two") && rig_find(&rig, "d"), "what the snapshot has is there");
	same_after_restart();
	case_end();
}

int main(void)
{
	test_on(true);
	test_on(false);
	test_on_takes_a_while();
	test_on_then_off_then_on();
	test_stop_while_starting();
	test_on_fails(DISK_OPEN, ".incr.aof", -ENOSPC, false);
	test_on_fails(DISK_OPEN, "temp-rewriteaof", -ENOSPC, true);
	test_on_fails(DISK_WRITE, "temp-rewriteaof", -ENOSPC, true);
	test_on_fails(DISK_WRITE, ".incr.aof", -ENOSPC, true);
	test_on_fails(DISK_FDATASYNC, ".aof", -EIO, true);
	test_on_fails(DISK_RENAME, ".base.rdb", -EIO, true);
	test_on_fails(DISK_RENAME, ".manifest", -EIO, false);
	test_while_others_write(true);
	test_while_others_write(false);
	test_on_fails_to_the_end();
	test_leftover_of_the_old_log(false);
	test_leftover_of_the_old_log(true);
	test_off();
	test_off_ends_a_rewrite();
	test_off_heals(DISK_WRITE);
	test_off_heals(DISK_FDATASYNC);
	test_newer_dump();
	test_older_dump();
	test_damaged_newer_dump();
	test_log_beside();
	test_went_on_without(false);
	test_went_on_without(true);
	test_looked_without();
	test_power_cut();
	return tap_end();
}
