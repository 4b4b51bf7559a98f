/* Expiry against a slow disk: it goes on while the log thread is in a sync, and what it leaves for the log is bounded.  By a disk whose syncs take
 * long and whose clock is ours. */
#include "persist/engine.h"
#include "tests/lib/engine_rig.h"
#include "tests/lib/tap.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum { KEYS = 8000, SYNC_US = 300000, PATIENCE = 60000 };

static const int64_t begin_ns = 1700000000000000000;

static struct disk_fault fault;
static struct rig rig;

static void moment(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* Long names, so that their DELs are some megabytes; all with one end. */
static void make_keys(int64_t at_ms)
{
	struct op op = { .now_ns = begin_ns };
	char name[KEYSPACE_NAME_MAX];
	struct attr a;

	for (int i = 0; i < KEYS; i++) {
		memset(name, 'k', sizeof(name));
		snprintf(name, sizeof(name), "%d", i);
		name[strlen(name)] = 'k';
		if (keyspace_mknod(rig.ks, &op, KEYSPACE_ROOT, name, sizeof(name), S_IFREG | 0644, &a) < 0 ||
		    keyspace_expire_at(rig.ks, &op, a.id, at_ms, NULL) < 0)
			abort();
		keyspace_forget(rig.ks, a.id, 1);
	}
}

static bool all_durable(void)
{
	struct persist_info i = rig_info(&rig);

	return i.seq_durable == i.seq_published;
}

int main(void)
{
	uint64_t most = 0;
	int tries = 0, behind_sync = 0;

	disk_fault_init(&fault, 1);
	fault.now_ns = begin_ns;
	rig_init(&rig, &fault);
	rig.config.appendfsync = FSYNC_ALWAYS;
	rig.config.journal_dir = "";
	if (!ok(rig_open(&rig) == 0, "opens"))
		return tap_end();
	make_keys(begin_ns / 1000000 + 500);
	for (; !all_durable() && tries < PATIENCE; tries++)
		moment();
	ok(all_durable() && rig_info(&rig).expired_keys == 0, "%d keys are on disk", KEYS);

	fault.sync_us = SYNC_US;
	fault.now_ns = begin_ns + 1000000000;
	for (tries = 0; rig_info(&rig).expired_keys < KEYS && tries < PATIENCE; tries++) {
		struct persist_info i = rig_info(&rig);
		most = i.seq_published - i.seq_kept > most ? i.seq_published - i.seq_kept : most;
		behind_sync += i.aof_pending_bio_fsync && i.expired_keys > 0 && i.seq_published > i.seq_written;
		moment();
	}
	is((int64_t)rig_info(&rig).expired_keys, KEYS, "all of them go");
	ok(behind_sync > 0, "also while the log thread is in a sync");
	diag("at most %llu bytes waited", (unsigned long long)most);
	ok(most < EXPIRE_BEHIND_MAX + (64 << 10), "and what they leave for the log is bounded");
	fault.sync_us = 0;
	is(rig_close(&rig, FINAL_SAVE_NEVER), 0, "stops");
	ok(rig_open(&rig) == 0 && rig_info(&rig).rdb_last_load_keys_expired == 0, "starts");
	struct usage u;
	keyspace_usage(rig.ks, &u);
	is((int64_t)u.keys, 0, "they are gone from the log");
	rig_close(&rig, FINAL_SAVE_NEVER);
	rig_fini(&rig);
	disk_fault_fini(&fault);
	return tap_end();
}
