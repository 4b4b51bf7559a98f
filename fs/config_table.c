/* config_table.c -- every setting.  To add one: a member in struct config, a row here, its lines in kvfs.ini and kvfs.ini(5). */
#include "fs/config_table.h"
#include "fs/config.h"

#include <limits.h>
#include <string.h>
#include <strings.h>

#define MEMBER(m) offsetof(struct config, m), sizeof(((struct config *)0)->m)

static const struct config_choice appendfsync_choices[] = {
	{ "everysec", FSYNC_EVERYSEC }, { "always", FSYNC_ALWAYS }, { "no", FSYNC_NO }, { NULL, 0 },
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
	/* section, name, type, unit, min, max, default, at run time, hidden, choices, member, help */
	{ "keyspace", "dir", CONFIG_TEXT, "", 1, TEXT_MAX, "/var/lib/kvfs", false, false, NULL,
	  MEMBER(dir), "data directory: log, snapshot, control socket" },
	{ "keyspace", "maxmemory", CONFIG_MEMORY, "bytes", 0, TEBIBYTE, "0", false, false, NULL,
	  MEMBER(maxmemory), "memory of the keyspace; what would grow it further gets ENOSPC; 0: no limit" },
	{ "keyspace", "value-max", CONFIG_MEMORY, "bytes", 1, TEBIBYTE, "1gb", false, false, NULL,
	  MEMBER(value_max), "largest value; more gets EFBIG" },
	{ "keyspace", "skip-non-strings", CONFIG_BOOL, "", 0, 0, "no", false, false, NULL,
	  MEMBER(persist.skip_non_strings), "load files that hold lists, sets, hashes ... without these keys" },

	{ "append-only file", "appendonly", CONFIG_BOOL, "", 0, 0, "yes", false, false, NULL,
	  MEMBER(persist.appendonly), "log every change" },
	{ "append-only file", "appendfsync", CONFIG_CHOICE, "", 0, 0, "everysec", true, false, appendfsync_choices,
	  MEMBER(persist.appendfsync), "when the log is synced to the disk" },
	{ "append-only file", "appenddirname", CONFIG_FILENAME, "", 1, FILENAME_MAX_BYTES, "appendonlydir", false, false, NULL,
	  MEMBER(appenddirname), "directory of the log, in dir" },
	{ "append-only file", "appendfilename", CONFIG_FILENAME, "", 1, FILENAME_MAX_BYTES, "appendonly.aof", false, false, NULL,
	  MEMBER(appendfilename), "what the names of the log's files begin with" },
	{ "append-only file", "auto-aof-rewrite-percentage", CONFIG_INT, "%", 0, INT_MAX, "100", false, false, NULL,
	  MEMBER(persist.auto_aof_rewrite_percentage), "rewrite the log when it has grown by that much; 0: never" },
	{ "append-only file", "auto-aof-rewrite-min-size", CONFIG_MEMORY, "bytes", 0, TEBIBYTE, "64mb", false, false, NULL,
	  MEMBER(persist.auto_aof_rewrite_min_size), "but not below this size" },
	{ "append-only file", "aof-load-truncated", CONFIG_BOOL, "", 0, 0, "yes", false, false, NULL,
	  MEMBER(persist.aof_load_truncated), "cut a torn end off the log (a copy is kept) instead of refusing to start" },
	{ "append-only file", "aof-use-rdb-preamble", CONFIG_BOOL, "", 0, 0, "yes", false, false, NULL,
	  MEMBER(persist.aof_use_rdb_preamble), "a rewrite writes its base in RDB format, else as commands" },
	{ "append-only file", "aof-timestamp-enabled", CONFIG_BOOL, "", 0, 0, "no", false, false, NULL,
	  MEMBER(persist.aof_timestamp_enabled), "write #TS: lines, for redis-check-aof --truncate-to-timestamp" },
	{ "append-only file", "journal-dir", CONFIG_TEXT, "", 0, TEXT_MAX, "/dev/shm", false, false, NULL,
	  MEMBER(journal_dir), "where the shared journal lives (a tmpfs); empty: none, replies wait for the write" },

	{ "snapshot", "save", CONFIG_SAVE, "", 0, 0, "3600 1 300 100 60 10000", true, false, NULL,
	  MEMBER(persist.save), "save after <seconds> if <changes> were made; empty: never" },
	{ "snapshot", "dbfilename", CONFIG_FILENAME, "", 1, FILENAME_MAX_BYTES, "dump.rdb", false, false, NULL,
	  MEMBER(dbfilename), "file of the snapshot, in dir" },
	{ "snapshot", "rdbcompression", CONFIG_BOOL, "", 0, 0, "yes", false, false, NULL,
	  MEMBER(persist.rdbcompression), "compress values with LZF" },
	{ "snapshot", "rdbchecksum", CONFIG_BOOL, "", 0, 0, "yes", false, false, NULL,
	  MEMBER(persist.rdbchecksum), "end the file with a CRC64" },
	{ "snapshot", "stop-writes-on-bgsave-error", CONFIG_BOOL, "", 0, 0, "yes", false, false, NULL,
	  MEMBER(persist.stop_writes_on_bgsave_error), "after a failed save changes get EROFS until one succeeds" },

	{ "mount", "threads", CONFIG_INT, "", 1, 64, "2", false, false, NULL,
	  MEMBER(threads), "threads that read requests of the kernel" },
	{ "mount", "spin", CONFIG_INT, "us", 0, 10000, "100", false, false, NULL,
	  MEMBER(spin_us), "a thread polls that long after a request before it sleeps; 0: never" },
	{ "mount", "latency", CONFIG_BOOL, "", 0, 0, "yes", false, false, NULL,
	  MEMBER(latency), "keep the CPUs awake while requests keep coming (/dev/cpu_dma_latency)" },
	{ "mount", "allow-other", CONFIG_ROOT_BOOL, "", 0, 0, "auto", false, false, NULL,
	  MEMBER(allow_other), "other users may enter; auto: when root mounts" },
	{ "mount", "start-timeout", CONFIG_INT, "s", 0, 86400, "60", false, false, NULL,
	  MEMBER(start_timeout_s), "wait that long for a daemon that still saves in the same directory" },

	{ "log", "loglevel", CONFIG_CHOICE, "", 0, 0, "notice", false, false, loglevel_choices,
	  MEMBER(loglevel), "the least weight that is written" },
	{ "log", "logfile", CONFIG_TEXT, "", 0, TEXT_MAX, "", false, false, NULL,
	  MEMBER(logfile), "file of the log lines; empty: syslog, with -f standard error" },

	{ "test", "key-load-delay", CONFIG_INT, "us", 0, 1000000, "0", false, true, NULL,
	  MEMBER(persist.key_load_delay_us), "sleep after each key loaded" },
	{ "test", "rdb-key-save-delay", CONFIG_INT, "us", 0, 1000000, "0", false, true, NULL,
	  MEMBER(persist.rdb_key_save_delay_us), "sleep after each key saved" },
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
