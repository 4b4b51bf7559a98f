/* persist.h -- what makes the keyspace last: the append-only file, the snapshots, recovery.
 *
 * Life:  persist_open()   locks the data directory, recovers into the keyspace, opens the log; every human mistake ends here
 *        persist_start()  threads: the log thread (journal -> file, syncs, parked replies, rules), the expirer, a save thread a job
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
struct persist_waiter;

enum fsync_policy { FSYNC_ALWAYS, FSYNC_EVERYSEC, FSYNC_NO };

enum { SAVE_RULES_MAX = 16 };
struct save_rule { int64_t seconds, changes; };
struct save_rules { int count; struct save_rule rule[SAVE_RULES_MAX]; };

/*  R  may change while it runs: persist_set()  */
struct persist_config {
	const char *dir;                    /* borrowed for the life of the struct, as all strings here */
	const char *dbfilename;
	const char *appenddirname, *appendfilename;
	const char *journal_dir;            /* where the shared journal lives (a tmpfs); "": none, replies wait for the write */
	bool appendonly;                    /* R */
	enum fsync_policy appendfsync;      /* R */
	bool no_appendfsync_on_rewrite;     /* R */
	struct save_rules save;             /* R */
	bool rdbcompression;                /* R */
	bool rdbchecksum;
	bool rdb_save_incremental_fsync;    /* R */
	bool stop_writes_on_bgsave_error;   /* R */
	bool aof_load_truncated;            /* R this and the next: what the next load does */
	uint64_t aof_load_corrupt_tail_max_size;  /* R bytes */
	bool aof_use_rdb_preamble;          /* R */
	bool aof_timestamp_enabled;         /* R */
	int64_t auto_aof_rewrite_percentage;  /* R */
	uint64_t auto_aof_rewrite_min_size; /* R bytes */
	bool aof_rewrite_incremental_fsync; /* R */
	int64_t shutdown_timeout_s;         /* R */
	bool skip_non_strings;
	int64_t db;                         /* of Redis's databases the one that is mounted, and written */
	bool skip_other_dbs;
	int64_t key_load_delay_us;          /* R for tests: makes loads last */
	int64_t rdb_key_save_delay_us;      /* R likewise saves */
	uint32_t uid, gid;                  /* owner of keys that come without attributes */
};

enum persist_log_level { PERSIST_DEBUG, PERSIST_INFO, PERSIST_WARNING, PERSIST_ERROR };

/* What persist needs from above. */
struct persist_port {
	void *ctx;
	/* One line for the log, without newline. */
	void (*log)(void *ctx, enum persist_log_level level, const char *line);
	/* A key vanished on its own (expiry): the kernel's caches have to learn it.  No lock is held, but it must not wait: hand it on. */
	void (*gone)(void *ctx, const struct keyspace_place *place);
	/* So much of this is still on its way that more of it should wait.  May be NULL. */
	bool (*busy)(void *ctx);
	/* Loading: DONE of TOTAL bytes, KEYS so far.  May be NULL. */
	void (*loading)(void *ctx, uint64_t done, uint64_t total, uint64_t keys);
	const struct disk *disk;            /* NULL: disk_real() */
};

/* 0, or a negative errno with E set: -EWOULDBLOCK when another daemon holds the directory.  Both pointers stay borrowed. */
int persist_open(const struct persist_config *config, struct keyspace *ks, const struct persist_port *port, struct error *e,
                 struct persist **ret);
int persist_start(struct persist *p, struct error *e);
/* SAVE: as by SIGTERM (a snapshot if save rules are set and something changed), always, never, or if something changed. */
enum persist_final_save { FINAL_SAVE_BY_RULES, FINAL_SAVE_ALWAYS, FINAL_SAVE_NEVER, FINAL_SAVE_IF_DIRTY };
/* That snapshot while operations go on, for who wants to know whether a stop would succeed; jobs that run are ended for it.  0: none is due;
 * 1: parked; -EALREADY: a job is still on its way out, call again. */
int persist_save_before_stop(struct persist *p, enum persist_final_save save, struct persist_waiter *w);
/* Called once, when no more operations come.  TRY_AGAIN: what can't be written is tried again for shutdown-timeout seconds.  0, or what could
 * not be made to last (the log says what, and where it is). */
int persist_stop(struct persist *p, enum persist_final_save save, bool try_again);
int64_t persist_shutdown_timeout_s(struct persist *p);
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

/* What a mutation's reply waits for: by `appendfsync`, DURABLE (always) or KEPT.  Returns 0: go on, W is not used; 1: parked.  Waits only where large
 * writes before it are just being copied to the journal (journal.h: open); never for the disk.  Without a lock. */
int persist_wait_reply(struct persist *p, uint64_t seq, struct persist_waiter *w);
/* fsync(2) of node ID (0: of everything): logs what is held back for it, then waits for DURABLE.  0: nothing to wait for; 1: parked;
 * negative: it can't be. */
int persist_fsync(struct persist *p, uint64_t id, struct persist_waiter *w);

/* ---- commands: the words are Redis's ---- */

/* A snapshot now; W is called when it is on disk (ERR).  1: parked; -EALREADY: one is being saved. */
int persist_save(struct persist *p, struct persist_waiter *w);
enum persist_started { STARTED, SCHEDULED };
/* STARTED: W (NULL: nobody waits) is called when the snapshot's moment is taken, or the snapshot has failed before; SCHEDULED; -EALREADY: a
 * save runs; -EBUSY: a rewrite runs (without SCHEDULE); other errors: could not start.  W is used with STARTED alone. */
int persist_bgsave(struct persist *p, bool schedule, struct persist_waiter *w);
/* Ends the snapshot that runs, without a file or a failure: CANCELLED; or takes back the one that waits: UNSCHEDULED.  -ENOENT: there is none. */
enum persist_cancelled { CANCELLED, UNSCHEDULED };
int persist_bgsave_cancel(struct persist *p);
/* STARTED, with W as above; SCHEDULED (a save runs); -EALREADY; -EOPNOTSUPP with `appendonly no`. */
int persist_bgrewriteaof(struct persist *p, struct persist_waiter *w);

/* Takes over what may change while it runs: the members of C marked R.  From one thread at a time. */
void persist_set(struct persist *p, const struct persist_config *c);

/* A snapshot of the counters, named as INFO names them (INFO persistence of Redis 7). */
struct persist_info {
	uint64_t rdb_changes_since_last_save;
	uint64_t changes;                        /* since the start */
	bool rdb_bgsave_in_progress;
	int64_t rdb_last_save_time;              /* s since the epoch */
	bool rdb_last_bgsave_ok;
	int64_t rdb_last_bgsave_time_sec;        /* -1: none yet */
	int64_t rdb_current_bgsave_time_sec;     /* -1: none */
	uint64_t rdb_saves;
	uint64_t rdb_last_load_keys_expired, rdb_last_load_keys_loaded;
	uint64_t current_save_keys_processed, current_save_keys_total;
	uint64_t snapshot_memory;                /* bytes of pre-images now (current_cow_size) */
	uint64_t snapshot_memory_peak;           /* of the running snapshot (current_cow_peak) */
	uint64_t rdb_last_cow_size, aof_last_cow_size;  /* bytes: the most that the last one had */
	bool rdb_bgsave_scheduled;
	bool aof_enabled;                        /* appendonly, once everything is in the log */
	bool aof_rewrite_in_progress, aof_rewrite_scheduled;
	int64_t aof_last_rewrite_time_sec, aof_current_rewrite_time_sec;
	bool aof_last_bgrewrite_ok, aof_last_write_ok;
	uint64_t aof_rewrites, aof_rewrites_consecutive_failures;
	uint64_t aof_current_size, aof_base_size;
	uint64_t aof_buffer_length;              /* bytes in the journal that the file has not */
	uint64_t aof_delayed_fsync;              /* syncs that took over a second */
	uint64_t aof_pending_bio_fsync;          /* syncs of the log under way */
	uint64_t aof_syncs, aof_writes;          /* system calls made */
	uint64_t seq_published, seq_kept, seq_written, seq_durable;
	uint64_t journal_size;                   /* bytes of the shared journal, 0: none */
	uint64_t replies_parked;                 /* so far */
	uint64_t expired_keys;                   /* so far */
	const char *state;                       /* static: a row of the failure table in engine.h: "ok", ... */
};
void persist_get_info(struct persist *p, struct persist_info *ret);
/* What is said to be "so far" there, and aof_delayed_fsync, aof_syncs and aof_writes, count from 0 again. */
void persist_reset_stats(struct persist *p);

/* What the load said, for the starting terminal: keys, seconds, what was cut or left out.  Borrowed, "" for none. */
const char *persist_load_report(struct persist *p);

#endif
