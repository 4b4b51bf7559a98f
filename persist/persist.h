/* persist.h -- what makes the keyspace last: the append-only file, the snapshots, recovery.
 *
 * Life:  persist_open()   locks the data directory, recovers into the keyspace, opens the log; every human mistake ends here
 *        persist_start()  threads: the log thread (journal -> file, syncs, parked replies, rules, expiry), a save thread a job
 *        ...
 *        persist_stop()   threads end, everything is on disk, the last snapshot is written if rules ask for it
 *        persist_close()
 *
 * Every change that the store applies becomes one batch (format.h) in the journal, encoded under S.  What a reply has to wait for is a
 * sequence number (struct op: seq):
 *
 *      KEPT      survives the death of the daemon: it is in the shared journal or in the log file
 *      DURABLE   survives power loss: fdatasync covers it
 *
 * persist_wait() tells whether that is so already; otherwise it parks a waiter, and the log thread calls it back once.  Nobody blocks.
 *
 * Locks: S (store) comes before Q (journal), Q before nothing.  No call here is made with S held but the observer's.
 * All calls from any thread unless said otherwise.                                                                                  */
#ifndef KVFS_PERSIST_PERSIST_H
#define KVFS_PERSIST_PERSIST_H

#include "persist/disk.h"
#include "persist/error.h"
#include "store/keyspace.h"

struct persist;

enum fsync_policy { FSYNC_ALWAYS, FSYNC_EVERYSEC, FSYNC_NO };

enum { SAVE_RULES_MAX = 16 };
struct save_rule { int64_t seconds, changes; };
struct save_rules { int count; struct save_rule rule[SAVE_RULES_MAX]; };

struct persist_config {
	const char *dir;                    /* borrowed for the life of the struct, as all strings here */
	const char *dbfilename;
	const char *appenddirname, *appendfilename;
	const char *journal_dir;            /* where the shared journal lives (a tmpfs); "": none, replies wait for the write */
	bool appendonly;
	enum fsync_policy appendfsync;
	struct save_rules save;
	bool rdbcompression, rdbchecksum;
	bool stop_writes_on_bgsave_error;
	bool aof_load_truncated;
	bool aof_use_rdb_preamble;
	bool aof_timestamp_enabled;
	int64_t auto_aof_rewrite_percentage;
	uint64_t auto_aof_rewrite_min_size; /* bytes */
	bool skip_non_strings;
	int64_t key_load_delay_us, rdb_key_save_delay_us;  /* for tests: make loads and saves last */
	uint32_t uid, gid;                  /* owner of keys that come without attributes */
};

enum persist_log_level { PERSIST_DEBUG, PERSIST_INFO, PERSIST_WARNING, PERSIST_ERROR };

/* What persist needs from above. */
struct persist_port {
	void *ctx;
	/* One line for the log, without newline. */
	void (*log)(void *ctx, enum persist_log_level level, const char *line);
	/* A key vanished on its own (expiry): the kernel's caches have to learn it.  No lock is held, but it must not wait: hand it on. */
	void (*gone)(void *ctx, uint64_t parent, const char *name, size_t len, uint64_t id);
	/* Loading: DONE of TOTAL bytes, KEYS so far.  May be NULL. */
	void (*loading)(void *ctx, uint64_t done, uint64_t total, uint64_t keys);
	const struct disk *disk;            /* NULL: disk_real() */
};

/* 0, or a negative errno with E set: -EWOULDBLOCK when another daemon holds the directory.  Both pointers stay borrowed. */
int persist_open(const struct persist_config *config, struct keyspace *ks, const struct persist_port *port, struct error *e,
                 struct persist **ret);
int persist_start(struct persist *p, struct error *e);
/* SAVE: as by SIGTERM (a snapshot if save rules are set and something changed), always, or never.  Called once, when no more operations
 * come.  0, or what could not be made to last (also logged). */
enum persist_final_save { FINAL_SAVE_BY_RULES, FINAL_SAVE_ALWAYS, FINAL_SAVE_NEVER };
int persist_stop(struct persist *p, enum persist_final_save save);
void persist_close(struct persist *p);

/* ---- waiting ---- */

enum persist_need { PERSIST_KEPT, PERSIST_DURABLE };

struct persist_waiter {
	/* Called once by the log thread, no lock held.  ERR: 0, or -EIO, -ENOSPC, -EROFS when it could not be made to last. */
	void (*done)(struct persist_waiter *w, int err);
	uint64_t seq;                       /* private from here */
	enum persist_need need;
	struct persist_waiter *next;
};

/* What a mutation's reply waits for: by `appendfsync`, DURABLE (always) or KEPT.  Returns 0: go on, W is not used; 1: parked. */
int persist_wait_reply(struct persist *p, uint64_t seq, struct persist_waiter *w);
/* fsync(2) of node ID (0: of everything): logs what is held back for it, then waits for DURABLE.  0: nothing to wait for; 1: parked;
 * negative: it can't be. */
int persist_fsync(struct persist *p, uint64_t id, struct persist_waiter *w);

/* ---- commands: the words are Redis's ---- */

/* A snapshot now; W is called when it is on disk (ERR).  1: parked; -EALREADY: one is being saved. */
int persist_save(struct persist *p, struct persist_waiter *w);
enum persist_started { STARTED, SCHEDULED };
/* STARTED or SCHEDULED; -EALREADY: a save runs; -EBUSY: a rewrite runs (without SCHEDULE); other errors: could not start. */
int persist_bgsave(struct persist *p, bool schedule);
/* STARTED, SCHEDULED (a save runs); -EALREADY; -EOPNOTSUPP with `appendonly no`. */
int persist_bgrewriteaof(struct persist *p);

void persist_set_save(struct persist *p, const struct save_rules *r);
void persist_set_appendfsync(struct persist *p, enum fsync_policy f);

/* A snapshot of the counters, named as INFO names them (INFO persistence of Redis 7). */
struct persist_info {
	uint64_t rdb_changes_since_last_save;
	bool rdb_bgsave_in_progress;
	int64_t rdb_last_save_time;              /* s since the epoch */
	bool rdb_last_bgsave_ok;
	int64_t rdb_last_bgsave_time_sec;        /* -1: none yet */
	int64_t rdb_current_bgsave_time_sec;     /* -1: none */
	uint64_t rdb_saves;
	uint64_t rdb_last_load_keys_expired, rdb_last_load_keys_loaded;
	uint64_t current_save_keys_processed, current_save_keys_total;
	uint64_t snapshot_memory;                /* bytes of pre-images now */
	uint64_t snapshot_memory_peak;           /* of the last or running snapshot (rdb_last_cow_size) */
	bool rdb_bgsave_scheduled;
	bool aof_enabled;
	bool aof_rewrite_in_progress, aof_rewrite_scheduled;
	int64_t aof_last_rewrite_time_sec, aof_current_rewrite_time_sec;
	bool aof_last_bgrewrite_ok, aof_last_write_ok;
	uint64_t aof_rewrites, aof_rewrites_consecutive_failures;
	uint64_t aof_current_size, aof_base_size;
	uint64_t aof_buffer_length;              /* bytes in the journal that the file has not */
	uint64_t aof_delayed_fsync;              /* syncs that took over a second */
	uint64_t aof_syncs, aof_writes;          /* system calls made */
	uint64_t seq_published, seq_kept, seq_written, seq_durable;
	uint64_t journal_size;                   /* bytes of the shared journal, 0: none */
	uint64_t replies_parked;                 /* so far */
	uint64_t expired_keys;                   /* so far */
	const char *state;                       /* static: a row of the failure table in persist.c: "ok", ... */
};
void persist_get_info(struct persist *p, struct persist_info *ret);

/* What the load said, for the starting terminal: keys, seconds, what was cut or left out.  Borrowed, "" for none. */
const char *persist_load_report(struct persist *p);

#endif
