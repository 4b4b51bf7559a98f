/* config_table.c -- every setting.  To add one: a member in struct config, a row here, its lines in kvfs.ini and kvfs.ini(5).  One that
 * changes at run time also has to reach who goes by it: hand_over_settings() in service.c, and behind persist_set() engine_take_config(). */
#include "fs/config_table.h"
#include "fs/config.h"
#include "fs/when.h"

#include <limits.h>
#include <string.h>
#include <strings.h>

#define MEMBER(m) offsetof(struct config, m), sizeof(((struct config *)0)->m)

static const struct config_choice appendfsync_choices[] = {
	{ "everysec", FSYNC_EVERYSEC }, { "always", FSYNC_ALWAYS }, { "no", FSYNC_NO }, { NULL, 0 },
};
static const struct config_choice policy_choices[] = {
	{ "volatile-lru", EVICT_VOLATILE_LRU }, { "volatile-random", EVICT_VOLATILE_RANDOM }, { "volatile-ttl", EVICT_VOLATILE_TTL },
	{ "allkeys-lru", EVICT_ALLKEYS_LRU }, { "allkeys-random", EVICT_ALLKEYS_RANDOM }, { "noeviction", EVICT_NONE }, { NULL, 0 },
};
static const struct config_choice loglevel_choices[] = {
	{ "debug", LOG_LEVEL_DEBUG }, { "verbose", LOG_LEVEL_VERBOSE }, { "notice", LOG_LEVEL_NOTICE },
	{ "warning", LOG_LEVEL_WARNING }, { NULL, 0 },
};

enum {
	TEXT_MAX = PATH_MAX - 1,
	FILENAME_MAX_BYTES = 200,  /* Redis appends ".<seq>.incr.aof" and the like */
};

#define TEBIBYTE ((int64_t)1 << 40)

/* clang-format off */
const struct config_option config_table[] = {
	/* section, name, type, unit, min, max, default, change, hidden, choices, member, help */
	{ "keyspace", "dir", CONFIG_TEXT, "", 1, TEXT_MAX, "/var/lib/kvfs", CONFIG_PROTECTED, false, NULL,
	  MEMBER(dir), "data directory: log, snapshot, control socket" },
	{ "keyspace", "maxmemory", CONFIG_MEMORY_SHARE, "bytes", 0, TEBIBYTE, "0", CONFIG_RUNTIME, false, NULL,
	  MEMBER(maxmemory), "memory of the keyspace, or a percentage (75%) of what there is; what would grow it further gets ENOSPC; 0: no limit" },
	{ "keyspace", "maxmemory-policy", CONFIG_CHOICE, "", 0, 0, "noeviction", CONFIG_RUNTIME, false, policy_choices,
	  MEMBER(policy), "what happens at maxmemory: ENOSPC, or which keys go" },
	{ "keyspace", "maxmemory-samples", CONFIG_INT, "keys", 1, EVICT_SAMPLES_MAX, "5", CONFIG_RUNTIME, false, NULL,
	  MEMBER(samples), "of so many keys the one that was not used longest goes" },
	{ "keyspace", "value-max", CONFIG_MEMORY, "bytes", 1, TEBIBYTE, "1gb", CONFIG_RUNTIME, false, NULL,
	  MEMBER(value_max), "largest value; more gets EFBIG" },
	{ "keyspace", "skip-non-strings", CONFIG_BOOL, "", 0, 0, "no", CONFIG_IMMUTABLE, false, NULL,
	  MEMBER(persist.skip_non_strings), "load files that hold lists, sets, hashes ... without these keys" },

	{ "keyspace", "db", CONFIG_INT, "", 0, INT_MAX, "0", false, false, NULL,
	  MEMBER(persist.db), "of Redis's databases the one that is mounted, and written" },
	{ "keyspace", "skip-other-dbs", CONFIG_BOOL, "", 0, 0, "no", false, false, NULL,
	  MEMBER(persist.skip_other_dbs), "load files that hold keys in other databases without these" },

	{ "append-only file", "appendonly", CONFIG_BOOL, "", 0, 0, "yes", CONFIG_RUNTIME, false, NULL,
	  MEMBER(persist.appendonly), "log every change" },
	{ "append-only file", "appendfsync", CONFIG_CHOICE, "", 0, 0, "everysec", CONFIG_RUNTIME, false, appendfsync_choices,
	  MEMBER(persist.appendfsync), "when the log is synced to the disk" },
	{ "append-only file", "no-appendfsync-on-rewrite", CONFIG_BOOL, "", 0, 0, "no", CONFIG_RUNTIME, false, NULL,
	  MEMBER(persist.no_appendfsync_on_rewrite), "leave these syncs out while a snapshot or a rewrite is written" },
	{ "append-only file", "appenddirname", CONFIG_FILENAME, "", 1, FILENAME_MAX_BYTES, "appendonlydir", CONFIG_IMMUTABLE, false, NULL,
	  MEMBER(appenddirname), "directory of the log, in dir" },
	{ "append-only file", "appendfilename", CONFIG_FILENAME, "", 1, FILENAME_MAX_BYTES, "appendonly.aof", CONFIG_IMMUTABLE, false, NULL,
	  MEMBER(appendfilename), "what the names of the log's files begin with" },
	{ "append-only file", "auto-aof-rewrite-percentage", CONFIG_INT, "%", 0, INT_MAX, "100", CONFIG_RUNTIME, false, NULL,
	  MEMBER(persist.auto_aof_rewrite_percentage), "rewrite the log when it has grown by that much; 0: never" },
	{ "append-only file", "auto-aof-rewrite-min-size", CONFIG_MEMORY, "bytes", 0, TEBIBYTE, "64mb", CONFIG_RUNTIME, false, NULL,
	  MEMBER(persist.auto_aof_rewrite_min_size), "but not below this size" },
	{ "append-only file", "aof-rewrite-incremental-fsync", CONFIG_BOOL, "", 0, 0, "yes", CONFIG_RUNTIME, false, NULL,
	  MEMBER(persist.aof_rewrite_incremental_fsync), "a rewrite goes to the disk every MiB, not all at its end" },
	{ "append-only file", "aof-load-truncated", CONFIG_BOOL, "", 0, 0, "yes", CONFIG_RUNTIME, false, NULL,
	  MEMBER(persist.aof_load_truncated), "cut a torn end off the log (a copy is kept) instead of refusing to start" },
	{ "append-only file", "aof-load-corrupt-tail-max-size", CONFIG_MEMORY, "bytes", 0, TEBIBYTE, "0", CONFIG_RUNTIME, false, NULL,
	  MEMBER(persist.aof_load_corrupt_tail_max_size), "cut a damaged end likewise when it is no longer than this" },
	{ "append-only file", "aof-use-rdb-preamble", CONFIG_BOOL, "", 0, 0, "yes", CONFIG_RUNTIME, false, NULL,
	  MEMBER(persist.aof_use_rdb_preamble), "a rewrite writes its base in RDB format, else as commands" },
	{ "append-only file", "aof-timestamp-enabled", CONFIG_BOOL, "", 0, 0, "no", CONFIG_RUNTIME, false, NULL,
	  MEMBER(persist.aof_timestamp_enabled), "write #TS: lines, for redis-check-aof --truncate-to-timestamp" },
	{ "append-only file", "journal-dir", CONFIG_TEXT, "", 0, TEXT_MAX, "/dev/shm", CONFIG_IMMUTABLE, false, NULL,
	  MEMBER(journal_dir), "where the shared journal lives (a tmpfs); empty: none, replies wait for the write" },

	{ "snapshot", "save", CONFIG_SAVE, "", 0, 0, "3600 1 300 100 60 10000", CONFIG_RUNTIME, false, NULL,
	  MEMBER(persist.save), "save after <seconds> if <changes> were made; empty: never" },
	{ "snapshot", "dbfilename", CONFIG_FILENAME, "", 1, FILENAME_MAX_BYTES, "dump.rdb", CONFIG_PROTECTED, false, NULL,
	  MEMBER(dbfilename), "file of the snapshot, in dir" },
	{ "snapshot", "rdbcompression", CONFIG_BOOL, "", 0, 0, "yes", CONFIG_RUNTIME, false, NULL,
	  MEMBER(persist.rdbcompression), "compress values with LZF" },
	{ "snapshot", "rdbchecksum", CONFIG_BOOL, "", 0, 0, "yes", CONFIG_IMMUTABLE, false, NULL,
	  MEMBER(persist.rdbchecksum), "end the file with a CRC64" },
	{ "snapshot", "rdb-save-incremental-fsync", CONFIG_BOOL, "", 0, 0, "yes", CONFIG_RUNTIME, false, NULL,
	  MEMBER(persist.rdb_save_incremental_fsync), "a snapshot goes to the disk every MiB, not all at its end" },
	{ "snapshot", "stop-writes-on-bgsave-error", CONFIG_BOOL, "", 0, 0, "yes", CONFIG_RUNTIME, false, NULL,
	  MEMBER(persist.stop_writes_on_bgsave_error), "after a failed save changes get EROFS until one succeeds" },

	{ "mount", "threads", CONFIG_INT, "", 1, 64, "2", CONFIG_IMMUTABLE, false, NULL,
	  MEMBER(threads), "threads that read requests of the kernel" },
	{ "mount", "io-uring", CONFIG_BOOL, "", 0, 0, "no", CONFIG_IMMUTABLE, false, NULL,
	  MEMBER(io_uring), "take requests by io_uring where libfuse (3.18) and the kernel (fuse.enable_uring=1) can" },
	{ "mount", "spin", CONFIG_INT, "us", 0, 10000, "100", CONFIG_RUNTIME, false, NULL,
	  MEMBER(spin_us), "a thread polls that long after a request before it sleeps; 0: never" },
	{ "mount", "latency", CONFIG_BOOL, "", 0, 0, "yes", CONFIG_RUNTIME, false, NULL,
	  MEMBER(latency), "keep the CPUs awake while requests keep coming (as root)" },
	{ "mount", "allow-other", CONFIG_ROOT_BOOL, "", 0, 0, "auto", CONFIG_IMMUTABLE, false, NULL,
	  MEMBER(allow_other), "other users may enter; auto: when root mounts" },
	{ "mount", "xattr", CONFIG_BOOL, "", 0, 0, "no", CONFIG_IMMUTABLE, false, NULL,
	  MEMBER(xattr), "keep extended attributes; costs a message before each write" },
	{ "mount", "acl", CONFIG_BOOL, "", 0, 0, "no", CONFIG_IMMUTABLE, false, NULL,
	  MEMBER(acl), "keep POSIX ACLs, and let the kernel go by them; needs xattr" },
	{ "mount", "start-timeout", CONFIG_INT, "s", 0, 86400, "60", CONFIG_IMMUTABLE, false, NULL,
	  MEMBER(start_timeout_s), "wait that long for a daemon that still saves in the same directory" },
	{ "mount", "shutdown-timeout", CONFIG_INT, "s", 0, INT_MAX, "10", CONFIG_RUNTIME, false, NULL,
	  MEMBER(persist.shutdown_timeout_s), "after an unmount, try that long to write what can't be written" },

	{ "view", "until", CONFIG_TEXT, "", 0, WHEN_MAX, "", CONFIG_IMMUTABLE, false, NULL,
	  MEMBER(until), "mount the state of that moment, read-only: a date, seconds since 1970, or \"10 minutes ago\"" },

	{ "log", "loglevel", CONFIG_CHOICE, "", 0, 0, "notice", CONFIG_RUNTIME, false, loglevel_choices,
	  MEMBER(loglevel), "the least weight that is written" },
	{ "log", "logfile", CONFIG_TEXT, "", 0, TEXT_MAX, "", CONFIG_IMMUTABLE, false, NULL,
	  MEMBER(logfile), "file of the log lines; empty: syslog, with -f standard error" },

	{ "test", "key-load-delay", CONFIG_INT, "us", 0, 1000000, "0", CONFIG_RUNTIME, true, NULL,
	  MEMBER(persist.key_load_delay_us), "sleep after each key loaded" },
	{ "test", "rdb-key-save-delay", CONFIG_INT, "us", 0, 1000000, "0", CONFIG_RUNTIME, true, NULL,
	  MEMBER(persist.rdb_key_save_delay_us), "sleep after each key saved" },
	{ "test", "memory-root", CONFIG_TEXT, "", 0, TEXT_MAX, "", CONFIG_IMMUTABLE, true, NULL,
	  MEMBER(memory_root), "what is left of memory is read below this directory" },
};
/* clang-format on */

const size_t config_table_count = sizeof(config_table) / sizeof(config_table[0]);

const struct config_option *config_option_find(const char *name, size_t len)
{
	for (size_t i = 0; i < config_table_count; i++) {
		const struct config_option *o = &config_table[i];

		if (strlen(o->name) == len && strncasecmp(o->name, name, len) == 0)
			return o;
	}
	return NULL;
}

const char *config_policy_word(enum evict_policy policy)
{
	const struct config_choice *c = policy_choices;

	while (c->value != (int)policy)
		c++;
	return c->word;
}
