/* The engine's failure table, each row entered and left: what is refused, what is answered, and that a restart finds everything.
 * With a disk that fails on demand; the keyspace after a restart is compared with the one before it. */
#include "persist/persist.h"
#include "tests/lib/engine_case.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { JOURNAL_BIG = 3 << 20, CLIENTS = 8, CLIENT_PUTS = 20 };

static const char renewed[] = "a new log are on disk: changes are accepted";

/* ---- the log can't be written ---- */

static void test_write_fails(int err, size_t part, bool cut_fails)
{
	case_begin("a write to the log fails");
	open_rig();
	is(rig_put(&rig, "a", "one"), 0, "before");
	disk_fault_rule(&fault, DISK_WRITE, (struct disk_rule){ .err = err, .name = ".incr.aof", .count = FOR_EVER, .part = part });
	if (cut_fails)
		fail(DISK_TRUNCATE, -EIO, NULL, FOR_EVER);
	is(rig_put(&rig, "b", "two"), err, "the reply that waits is the error");
	ok(rig_becomes(&rig, "log write failed"), "the state has a name");
	is(rig_put(&rig, "c", "three"), err, "a change is refused");
	is(rig_fsync(&rig, "a"), err, "fsync too");
	ok(rig_holds(&rig, "a", "one"), "reading goes on");
	ok(!rig_info(&rig).aof_last_write_ok, "INFO says so");
	disk_fault_mend(&fault);
	ok(rig_becomes(&rig, "ok"), "it recovers by itself");
	is(rig_put(&rig, "c", "three"), 0, "a change is taken");
	is(rig_fsync(&rig, ""), 0, "fsync too");
	ok(rig_info(&rig).aof_last_write_ok, "INFO says so");
	same_after_restart();
	case_end();
}

static void test_write_fails_until_the_end(void)
{
	case_begin("the log can't be written to the end");
	open_rig();
	is(rig_put(&rig, "a", "one"), 0, "before");
	disk_fault_rule(&fault, DISK_WRITE, (struct disk_rule){ .err = -ENOSPC, .name = ".incr.aof", .count = FOR_EVER, .part = 10 });
	fail(DISK_TRUNCATE, -EIO, NULL, FOR_EVER);
	is(rig_put(&rig, "b", ""), -ENOSPC, "refused");
	is(rig_close(&rig, FINAL_SAVE_NEVER), -EIO, "the stop says that not everything is on disk, and why at last");
	disk_fault_mend(&fault);
	open_rig();
	ok(rig_holds(&rig, "a", "one") && rig_holds(&rig, "b", ""), "the shared journal had it");
	same_after_restart();
	case_end();
}

/* ---- the log can't be synced ---- */

static void test_sync_fails(void)
{
	case_begin("a sync of the log fails once");
	open_rig();
	is(rig_put(&rig, "a", "one"), 0, "before");
	fail(DISK_FDATASYNC, -EIO, ".incr.aof", 1);
	is(rig_put(&rig, "b", "two"), -EROFS, "the reply that waits is EROFS");
	ok(rig_becomes(&rig, "ok"), "a new base and log by itself");
	ok(rig_said(&rig, renewed), "and says so");
	is(rig_put(&rig, "c", "three"), 0, "a change is taken");
	char *base = rig_log_file(&rig, ".base.rdb"), *incr = rig_log_file(&rig, ".incr.aof");
	ok(base && strstr(base, ".2.base.rdb") && incr && strstr(incr, ".2.incr.aof"), "they are new files");
	free(base);
	free(incr);
	same_after_restart();
	case_end();
}

static void test_sync_fails_when_quiet(void)
{
	case_begin("the sync of a second fails, and then nothing happens");
	rig.config.appendfsync = FSYNC_EVERYSEC;
	open_rig();
	fail(DISK_FDATASYNC, -EIO, ".incr.aof", 1);
	is(rig_put(&rig, "a", "one"), 0, "a change");
	for (int i = 0; i < 3000 && !rig_said(&rig, renewed); i++)
		usleep(1000);
	ok(rig_said(&rig, renewed), "renewed without anybody asking");
	is(rig_put(&rig, "b", "two"), 0, "a change is taken");
	same_after_restart();
	case_end();
}

static void test_renewal_fails(enum disk_call call, const char *name, int err)
{
	case_begin("the renewal fails, then succeeds");
	open_rig();
	is(rig_put(&rig, "a", "one"), 0, "before");
	fail(DISK_FDATASYNC, -EIO, ".incr.aof", 1);
	fail(call, err, name, FOR_EVER);
	is(rig_put(&rig, "b", ""), -EROFS, "EROFS");
	is(rig_put(&rig, "c", ""), -EROFS, "EROFS as long as it lasts");
	is(rig_fsync(&rig, ""), -EROFS, "fsync too");
	for (int i = 0; i < 10000 && atomic_load(&fault.failed) < 2; i++)
		usleep(1000);
	ok(atomic_load(&fault.failed) >= 2, "a renewal was tried");
	is(rig_put(&rig, "c", ""), -EROFS, "EROFS still");
	disk_fault_mend(&fault);
	ok(rig_becomes(&rig, "ok"), "recovers");
	is(rig_put(&rig, "c", "three"), 0, "a change is taken");
	same_after_restart();
	case_end();
}

static void test_sync_fails_at_the_end(void)
{
	case_begin("the log is renewed by the stop");
	open_rig();
	is(rig_put(&rig, "a", "one"), 0, "before");
	fail(DISK_FDATASYNC, -EIO, NULL, FOR_EVER);
	is(rig_put(&rig, "b", ""), -EROFS, "EROFS");
	ok(rig_becomes(&rig, "log sync failed"), "the state has a name");
	disk_fault_mend(&fault);
	same_after_restart();
	case_end();
}

/* The base was cut before the failure and knows nothing of what the log got since: it must not take its place. */
static void test_sync_fails_during_rewrite(void)
{
	case_begin("a sync fails between the switch and the end of a rewrite");
	rig.config.rdb_key_save_delay_us = 20000;
	open_rig();
	for (int i = 0; i < 20; i++) {
		char name[] = { 'k', (char)('a' + i), 0 };
		rig_put(&rig, name, "v");
	}
	is(persist_bgrewriteaof(rig.p, NULL), STARTED, "a rewrite starts");
	is(rig_put(&rig, "after", "the cut"), 0, "and a change comes");
	fail(DISK_FDATASYNC, -EIO, ".incr.aof", 1);
	is(rig_put(&rig, "failed", ""), -EROFS, "EROFS");
	ok(rig_becomes(&rig, "ok"), "recovers");
	is(rig_put(&rig, "last", "one"), 0, "a change is taken");
	rig_wait_jobs(&rig);
	rig.config.rdb_key_save_delay_us = 0;
	same_after_restart();
	case_end();
}

static void test_directory_sync_fails(uint64_t skip, const char *what)
{
	case_begin(what);
	open_rig();
	is(rig_put(&rig, "a", "one"), 0, "before");
	disk_fault_rule(&fault, DISK_FSYNC_DIR, (struct disk_rule){ .err = -EIO, .skip = skip, .count = 1 });
	rig_rewrite(&rig);
	is(atomic_load(&fault.failed), 1, "a directory could not be synced");
	ok(rig_becomes(&rig, "ok"), "the engine goes on");
	is(rig_put(&rig, "b", "two"), 0, "a change is taken");
	is(rig_rewrite(&rig), 0, "the next rewrite succeeds");
	is(rig_put(&rig, "c", "three"), 0, "a change is taken");
	same_after_restart();
	case_end();
}

static void test_switch_fails(enum disk_call call, const char *name)
{
	case_begin("the next log file can't be made");
	open_rig();
	is(rig_put(&rig, "a", "one"), 0, "before");
	fail(call, -ENOSPC, name, 1);
	is(rig_rewrite(&rig), -EIO, "the rewrite fails");
	is(rig_put(&rig, "b", "two"), 0, "the log goes on");
	is(rig_rewrite(&rig), 0, "the next rewrite succeeds");
	same_after_restart();
	case_end();
}

/* ---- a snapshot can't be written ---- */

static void test_save_fails(void)
{
	struct save_rules none = { 0 }, rules = { .count = 1, .rule = { { .seconds = 3600, .changes = 1000 } } };

	case_begin("a snapshot fails");
	rig.config.save = rules;
	open_rig();
	is(rig_put(&rig, "a", "one"), 0, "before");
	fail(DISK_WRITE, -ENOSPC, ".rdb", FOR_EVER);
	is(rig_save(&rig), -ENOSPC, "SAVE says why");
	is(strcmp(rig_info(&rig).state, "save failed"), 0, "the state has a name");
	is(rig_put(&rig, "b", "two"), -EROFS, "a change is refused");
	is(rig_fsync(&rig, ""), 0, "fsync is not concerned");
	rig.config.save = none;
	persist_set(rig.p, &rig.config);
	is(rig_put(&rig, "b", "two"), 0, "without rules it is taken");
	rig.config.save = rules;
	persist_set(rig.p, &rig.config);
	is(rig_put(&rig, "c", "three"), -EROFS, "with rules again it is not");
	disk_fault_mend(&fault);
	is(rig_save(&rig), 0, "a snapshot succeeds");
	ok(rig_info(&rig).rdb_changes_since_last_save == 0 && rig_info(&rig).rdb_last_bgsave_ok, "INFO knows");
	is(rig_put(&rig, "c", "three"), 0, "a change is taken");
	same_after_restart();
	case_end();
}

static void test_no_stop_writes(void)
{
	case_begin("a snapshot fails, and nobody wants that to stop writes");
	rig.config.save = (struct save_rules){ .count = 1, .rule = { { .seconds = 3600, .changes = 1000 } } };
	rig.config.stop_writes_on_bgsave_error = false;
	open_rig();
	fail(DISK_RENAME, -EACCES, "dump.rdb", 1);
	is(rig_save(&rig), -EACCES, "SAVE says why");
	is(rig_put(&rig, "b", "two"), 0, "a change is taken");
	same_after_restart();
	case_end();
}

/* ---- other ways to run ---- */

static void test_without_ring(const char *journal_dir)
{
	case_begin("without a shared journal");
	rig.config.journal_dir = journal_dir;
	rig.config.appendfsync = FSYNC_NO;
	open_rig();
	is((int64_t)rig_info(&rig).journal_size, 0, "none");
	is(rig_mkdir(&rig, "d"), 0, "a change waits for its write");
	ok(rig_info(&rig).seq_written >= rig.op.seq, "it is written");
	is(rig_put(&rig, "d/a", "one"), 0, "another");
	is(rig_fsync(&rig, "d/a"), 0, "fsync");
	same_after_restart();
	case_end();
}

static void test_overflow(void)
{
	static char big[JOURNAL_BIG];

	case_begin("more than the shared journal holds");
	rig.config.appendfsync = FSYNC_EVERYSEC;
	open_rig();
	memset(big, 'b', sizeof big);
	for (int i = 0; i < 6; i++) {
		char name[] = { 'k', (char)('a' + i), 0 };
		is(rig_mknod(&rig, name), 0, "new");
		is(rig_write(&rig, name, 0, big, sizeof big), 0, "a large value");
		is(rig_write(&rig, name, 5, "small", 5), 0, "a small change behind it");
	}
	same_after_restart();
	case_end();
}

/* Waits for the sync of the second to run, and keeps it from ending. */
static void hold_sync(void)
{
	atomic_store(&fault.sync_held, true);
	is(rig_mknod(&rig, "first"), 0, "new");
	while (!rig_info(&rig).aof_pending_bio_fsync)
		usleep(1000);
}

static void test_writes_beside_sync(void)
{
	static char big[JOURNAL_BIG];

	case_begin("everysec, a sync that takes long");
	rig.config.appendfsync = FSYNC_EVERYSEC;
	open_rig();
	hold_sync();
	memset(big, 'b', sizeof big);
	is(rig_mknod(&rig, "big"), 0, "new");
	for (int i = 0; i < 4; i++)
		is(rig_write(&rig, "big", (uint64_t)i * sizeof big, big, sizeof big), 0, "more than the journal holds is written meanwhile");
	struct persist_info info = rig_info(&rig);
	ok(info.aof_pending_bio_fsync && info.seq_durable < info.seq_written, "the sync still runs, and covers none of it");
	atomic_store(&fault.sync_held, false);
	is(rig_fsync(&rig, "big"), 0, "fsync waits for a sync of its own");
	ok(rig_info(&rig).seq_durable >= info.seq_written, "which covers it");
	same_after_restart();
	case_end();
}

static void *put_big(void *arg)
{
	static char big[JOURNAL_BIG];
	struct rig mine = rig;
	int err = 0;

	(void)arg;
	for (int i = 0; i < 3; i++)
		err = err ? err : rig_write(&mine, "big", (uint64_t)i * sizeof big, big, sizeof big);
	return err ? &rig : NULL;
}

static void test_sync_beside_is_late(void)
{
	struct persist_info info;
	pthread_t thread;
	void *wrong;

	case_begin("everysec, a disk that hangs");
	rig.config.appendfsync = FSYNC_EVERYSEC;
	open_rig();
	is(rig_mknod(&rig, "big"), 0, "new");
	hold_sync();
	usleep(2200 * 1000);
	uint64_t parked = rig_info(&rig).replies_parked;
	if (pthread_create(&thread, NULL, put_big, NULL) != 0)
		abort();
	do {
		usleep(1000);
		info = rig_info(&rig);
	} while (info.replies_parked == parked);
	ok(info.aof_pending_bio_fsync && info.seq_written < info.seq_published, "after two seconds what the journal does not hold waits for the disk");
	atomic_store(&fault.sync_held, false);
	pthread_join(thread, &wrong);
	ok(!wrong, "and goes on with it");
	ok(rig_info(&rig).aof_delayed_fsync > 0, "INFO counts it");
	same_after_restart();
	case_end();
}

static void test_sync_beside_fails(void)
{
	case_begin("everysec, a sync fails while others write");
	rig.config.appendfsync = FSYNC_EVERYSEC;
	open_rig();
	hold_sync();
	is(rig_put(&rig, "a", "one"), 0, "a change meanwhile");
	fail(DISK_FDATASYNC, -EIO, ".incr.aof", 1);
	atomic_store(&fault.sync_held, false);
	while (!rig_said(&rig, renewed))
		usleep(1000);
	is(rig_put(&rig, "b", "two"), 0, "a change behind it");
	same_after_restart();
	case_end();
}

static void test_sync_fails_of_a_log_that_vanished(void)
{
	char *dir, *away;

	case_begin("everysec, the log is moved away while it is synced, and the sync fails");
	rig.config.appendfsync = FSYNC_EVERYSEC;
	open_rig();
	hold_sync();
	if (asprintf(&dir, "%s/%s", rig.data, rig.config.appenddirname) < 0 || asprintf(&away, "%s.away", dir) < 0 || rename(dir, away) < 0)
		abort();
	while (strcmp(rig_info(&rig).state, "log vanished") != 0) {
		rig_put(&rig, "a", "one");
		usleep(1000);
	}
	fail(DISK_FDATASYNC, -EIO, ".incr.aof", 1);
	atomic_store(&fault.sync_held, false);
	while (!rig_said(&rig, renewed))
		usleep(1000);
	is(rig_put(&rig, "b", "two"), 0, "a change behind it");
	same_after_restart();
	case_end();
	free(away);
	free(dir);
}

static void test_stop_during_sync(void)
{
	case_begin("everysec, a stop while the log is synced");
	rig.config.appendfsync = FSYNC_EVERYSEC;
	open_rig();
	atomic_store(&fault.sync_us, 100000);
	is(rig_put(&rig, "a", "one"), 0, "a change");
	while (!rig_info(&rig).aof_pending_bio_fsync)
		usleep(1000);
	is(rig_put(&rig, "b", "two"), 0, "a change meanwhile");
	same_after_restart();
	case_end();
}

static void test_without_log(void)
{
	case_begin("appendonly no");
	rig.config.appendonly = false;
	open_rig();
	is(rig_put(&rig, "a", "one"), 0, "a change");
	is(rig_fsync(&rig, "a"), 0, "fsync has nothing to wait for");
	is(persist_bgrewriteaof(rig.p, NULL), -EOPNOTSUPP, "no rewrite");
	persist_set(rig.p, &rig.config);
	ok(!rig_info(&rig).aof_enabled && rig_info(&rig).rdb_changes_since_last_save == 2, "INFO knows");
	is(rig_save(&rig), 0, "SAVE");
	is(rig_put(&rig, "b", "two"), 0, "a change");
	is(rig_close(&rig, FINAL_SAVE_BY_RULES), 0, "stops; no rules, no snapshot");
	open_rig();
	ok(rig_holds(&rig, "a", "one") && !rig_find(&rig, "b"), "what was saved is there, what was not is not");
	is(rig_put(&rig, "b", "two"), 0, "a change");
	is(rig_close(&rig, FINAL_SAVE_ALWAYS), 0, "stops with a snapshot");
	open_rig();
	ok(rig_holds(&rig, "b", "two"), "it is there");
	is(rig_close(&rig, FINAL_SAVE_NEVER), 0, "stops");
	rig.config.appendonly = true;
	open_rig();
	ok(rig_holds(&rig, "a", "one") && rig_holds(&rig, "b", "two"), "a log begins with what the snapshot has");
	same_after_restart();
	case_end();
}

static void *put_many(void *arg)
{
	struct rig mine = rig;      /* the same engine, operations of its own */
	const char *dir = arg;
	char path[] = "dx/kx";
	int wrong = 0;

	path[1] = dir[1];
	for (int i = 0; i < CLIENT_PUTS; i++) {
		path[4] = (char)('a' + i);
		wrong += rig_mkdir(&mine, path) != 0 || rig_info(&mine).seq_durable < mine.op.seq;
	}
	return wrong ? arg : NULL;
}

static void test_group_commit(void)
{
	char dir[CLIENTS][3];
	pthread_t thread[CLIENTS];
	void *wrong;

	case_begin("always, many clients, a slow disk");
	open_rig();
	for (int i = 0; i < CLIENTS; i++) {
		memcpy(dir[i], "d0", 3);
		dir[i][1] = (char)('0' + i);
		is(rig_mkdir(&rig, dir[i]), 0, "a directory");
	}
	atomic_store(&fault.sync_us, 3000);
	uint64_t syncs = rig_info(&rig).aof_syncs;
	for (int i = 0; i < CLIENTS; i++)
		if (pthread_create(&thread[i], NULL, put_many, dir[i]) != 0)
			abort();
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(thread[i], &wrong);
		ok(!wrong, "each reply came when its change was durable");
	}
	syncs = rig_info(&rig).aof_syncs - syncs;
	ok(syncs >= CLIENT_PUTS && syncs < CLIENT_PUTS * CLIENTS / 2, "one sync answers many: %" PRIu64 " for %d", syncs, CLIENT_PUTS * CLIENTS);
	atomic_store(&fault.sync_us, 0);
	same_after_restart();
	case_end();
}

static void test_two_daemons(void)
{
	struct rig other;

	case_begin("two daemons, one directory");
	open_rig();
	rig_init(&other, NULL);
	other.config.dir = rig.data;
	is(rig_open(&other), -EWOULDBLOCK, "the second is refused");
	ok(strstr(other.error.text, "another kvfs holds it") != NULL, "and told why");
	rig_fini(&other);
	same_after_restart();
	case_end();
}

/* ---- saves and rewrites ---- */

static int answered, answer_err;

static void count_answer(struct persist_waiter *w, int err)
{
	(void)w;
	answered++;
	answer_err = err;
}

static void test_stop_with_jobs(void)
{
	struct persist_waiter w = { .done = count_answer }, again = { .done = count_answer };

	case_begin("a stop while a rewrite runs and a snapshot waits for it");
	rig.config.rdb_key_save_delay_us = 300000;
	open_rig();
	for (int i = 0; i < 20; i++) {
		char name[] = { 'k', (char)('a' + i), 0 };
		rig_put(&rig, name, "v");
	}
	is(persist_bgrewriteaof(rig.p, NULL), STARTED, "a rewrite starts");
	while (rig_info(&rig).aof_current_rewrite_time_sec < 0)
		usleep(1000);
	is(persist_bgrewriteaof(rig.p, NULL), -EALREADY, "one is enough");
	is(persist_bgsave(rig.p, false, NULL), -EBUSY, "BGSAVE has to wait");
	is(persist_bgsave(rig.p, true, NULL), SCHEDULED, "unless it is willing to");
	is(persist_save(rig.p, &w), 1, "SAVE waits");
	is(persist_save(rig.p, &again), -EALREADY, "one is enough");
	same_after_restart();
	is(answered, 1, "SAVE was answered once");
	is(answer_err, -ECANCELED, "with an error");
	case_end();
}

static void test_save_rules(void)
{
	case_begin("save rules");
	rig.config.save = (struct save_rules){ .count = 2, .rule = { { .seconds = 3600, .changes = 1 }, { .seconds = 0, .changes = 3 } } };
	open_rig();
	is(rig_mkdir(&rig, "a"), 0, "one change");
	is(rig_mkdir(&rig, "b"), 0, "two changes");
	usleep(1500000);
	is((int64_t)rig_info(&rig).rdb_saves, 0, "are not enough");
	is(rig_mkdir(&rig, "c"), 0, "three are");
	for (int i = 0; i < 5000 && !rig_info(&rig).rdb_saves; i++)
		usleep(1000);
	is((int64_t)rig_info(&rig).rdb_saves, 1, "saved");
	is((int64_t)rig_info(&rig).rdb_changes_since_last_save, 0, "nothing has changed since");
	is(rig_mkdir(&rig, "d"), 0, "a change");
	is(rig_close(&rig, FINAL_SAVE_BY_RULES), 0, "stops with a snapshot");
	rig.config.appendonly = false;
	open_rig();
	ok(rig_find(&rig, "d"), "that has it");
	rig_close(&rig, FINAL_SAVE_NEVER);
	case_end();
}

static void test_rewrite_by_size(void)
{
	char value[2001];

	case_begin("a log that has grown by 150 percent is rewritten");
	rig.config.auto_aof_rewrite_percentage = 0;      /* until there is a base: an empty one grows by more with the value alone */
	rig.config.auto_aof_rewrite_min_size = 100;
	rig.config.rdbcompression = false;
	memset(value, 'v', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	open_rig();
	is(rig_put(&rig, "a", value), 0, "a value");
	is(rig_rewrite(&rig), 0, "a base");
	uint64_t before = rig_info(&rig).aof_rewrites, base = rig_info(&rig).aof_base_size;
	ok(base > 2000 && base < 3000, "of the size of the log then");
	rig.config.auto_aof_rewrite_percentage = 150;
	persist_set(rig.p, &rig.config);
	is(rig_write(&rig, "a", 0, value, 2000), 0, "grown by about a hundred");
	usleep(300000);
	is((int64_t)rig_info(&rig).aof_rewrites, (int64_t)before, "that is not enough");
	is(rig_write(&rig, "a", 0, value, 2000), 0, "by about two hundred");
	for (int i = 0; i < 5000 && rig_info(&rig).aof_rewrites == before; i++)
		usleep(1000);
	is((int64_t)rig_info(&rig).aof_rewrites, (int64_t)before + 1, "rewritten");
	ok(rig_info(&rig).aof_current_size < 3000, "and small again");
	same_after_restart();
	case_end();
}

/* ---- between two daemons and a Redis ---- */

/* A daemon that is killed with batches in the shared journal alone. */
static void killed_child(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		rig.port.disk = &fault.disk;
		rig.config.appendfsync = FSYNC_NO;
		if (rig_open(&rig) || rig_put(&rig, "a", "one") || rig_fsync(&rig, ""))
			_exit(1);
		fail(DISK_WRITE, -EIO, ".incr.aof", FOR_EVER);
		if (rig_put(&rig, "b", "two") || rig_mkdir(&rig, "d"))
			_exit(2);
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, &status, 0);
	ok(WIFSIGNALED(status), "a daemon is killed");
}

static void test_leftover(bool redis_goes_on)
{
	static const char more[] = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$5\r\nredis\r\n$4\r\nhere\r\n";

	case_begin(redis_goes_on ? "killed, then a Redis went on writing" : "killed");
	killed_child();
	if (redis_goes_on) {
		char *incr = rig_log_file(&rig, ".incr.aof");
		int fd = open(incr, O_WRONLY | O_APPEND | O_CLOEXEC);
		ok(fd >= 0 && write(fd, more, sizeof more - 1) == sizeof more - 1, "a Redis writes to the log");
		close(fd);
		free(incr);
	}
	open_rig();
	ok(rig_holds(&rig, "a", "one") && rig_holds(&rig, "b", "two") && rig_find(&rig, "d"), "what was acknowledged is there");
	ok(rig_holds(&rig, "redis", "here") == redis_goes_on, "and what the Redis wrote");
	is(rig_put(&rig, "c", "three"), 0, "a change");
	same_after_restart();
	case_end();
}

/* What a failed sync left in the page cache alone can be read until the power goes: it must not be gone on from. */
static void test_killed_after_failed_sync(void)
{
	int status;

	case_begin("a sync fails, and killed before the log is renewed");
	pid_t pid = fork();
	if (pid == 0) {
		rig.config.appendfsync = FSYNC_EVERYSEC;
		if (rig_open(&rig) || rig_put(&rig, "a", "one"))
			_exit(1);
		fail(DISK_FDATASYNC, -EIO, ".incr.aof", FOR_EVER);
		fail(DISK_OPEN, -EIO, "temp-rewriteaof", FOR_EVER);
		if (rig_put(&rig, "b", "two") || rig_fsync(&rig, "") != -EROFS)
			_exit(2);
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, &status, 0);
	ok(WIFSIGNALED(status), "a daemon is killed");
	open_rig();
	ok(rig_said(&rig, "a new base and a new log are written"), "the next one says so");
	ok(rig_holds(&rig, "a", "one") && rig_holds(&rig, "b", "two"), "what was acknowledged is there");
	char *base = rig_log_file(&rig, ".2.base.rdb");
	ok(base != NULL, "and in a base");
	free(base);
	same_after_restart();
	ok(!rig_log_file(&rig, ".3.base.rdb"), "once");
	case_end();
}

int main(void)
{
	test_write_fails(-ENOSPC, 0, false);
	test_write_fails(-EIO, 17, false);
	test_write_fails(-ENOSPC, 17, true);
	test_write_fails_until_the_end();
	test_sync_fails();
	test_sync_fails_when_quiet();
	test_renewal_fails(DISK_OPEN, "temp-rewriteaof", -ENOSPC);
	test_renewal_fails(DISK_FDATASYNC, NULL, -EIO);
	test_renewal_fails(DISK_RENAME, ".manifest", -EIO);
	test_renewal_fails(DISK_FSYNC_DIR, NULL, -EIO);
	test_sync_fails_at_the_end();
	test_sync_fails_during_rewrite();
	test_directory_sync_fails(0, "the directory of a new log can't be synced");
	test_directory_sync_fails(1, "the directory of the manifest with the new log can't be synced");
	test_directory_sync_fails(2, "the directory of a new base can't be synced");
	test_directory_sync_fails(3, "the directory of the manifest with the new base can't be synced");
	test_switch_fails(DISK_OPEN, ".incr.aof");
	test_switch_fails(DISK_RENAME, ".manifest");
	test_switch_fails(DISK_RENAME, ".base.rdb");
	test_save_fails();
	test_no_stop_writes();
	test_without_ring("");
	test_without_ring("/nowhere/at/all");
	test_overflow();
	test_writes_beside_sync();
	test_sync_beside_is_late();
	test_sync_beside_fails();
	test_sync_fails_of_a_log_that_vanished();
	test_stop_during_sync();
	test_without_log();
	test_group_commit();
	test_two_daemons();
	test_stop_with_jobs();
	test_save_rules();
	test_rewrite_by_size();
	test_leftover(false);
	test_leftover(true);
	test_killed_after_failed_sync();
	return tap_end();
}
