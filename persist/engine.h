/* engine.h -- the inside of struct persist, shared by persist.c (life and calls), open.c (start), engine.c (the log thread) and jobs.c (saves, rewrites).
 *
 * What may be trusted in which state (struct persist: log_health, save_failed):
 *
 *      state              changes get        entered by                    left by                          parked replies
 *      "ok"               done               -                             -                                -
 *      "log write failed" ENOSPC or EIO      a write to the log failed;    the next try (each second) that  get the errno
 *                                            the file is cut back to its   writes what waits in the
 *                                            last whole batch              journal
 *      "log sync failed"  EROFS              fdatasync of the log failed:  a new base and a new log on      get EROFS
 *                                            what it holds on disk is      disk (tried each second); that
 *                                            unknown, it is never synced   file is never used again
 *                                            again.  Likewise the log's
 *                                            directory after a switch
 *      "save failed"      EROFS, with        a snapshot failed, and save   a snapshot that succeeds         not concerned
 *                         stop-writes-on-    rules are set
 *                         bgsave-error
 *
 * Reading goes on in every state.  A change that was applied before the state was entered stays in the journal and gets to the new file.   */
#ifndef KVFS_PERSIST_ENGINE_H
#define KVFS_PERSIST_ENGINE_H

#include "persist/encode.h"
#include "persist/aof.h"
#include "persist/persist.h"
#include "persist/save.h"

enum log_health { LOG_OK, LOG_WRITE_FAILED, LOG_SYNC_FAILED };

enum { GONE_MAX = 128 };

struct gone_key {
	uint64_t parent, id;
	size_t len;
	char name[KEYSPACE_NAME_MAX];
};

/*  C constant after open   S keyspace lock   Q p->lock   L log thread (others: before it starts, after it ended)   a atomic  */
struct persist {
	const struct persist_config *config;  /* C but save, appendfsync, which live below */
	struct keyspace *ks;                  /* C */
	struct persist_port port;             /* C */
	const struct disk *disk;              /* C */
	int dir_fd;                           /* C the data directory, locked */
	struct bytes report;                  /* C */
	uint64_t keys_loaded, keys_expired;   /* C */

	struct journal *journal;              /* C NULL with `appendonly no` */
	struct encoder encoder;               /* S */
	_Atomic uint64_t dirty;               /* a changes since the last save */
	_Atomic int refuse;                   /* a errno that changes get; 0: none */
	_Atomic int fsync_policy;             /* a */

	pthread_mutex_t lock;                 /* Q */
	pthread_cond_t wake;                  /* Q */
	bool kicked, stop;                    /* Q */
	_Atomic bool idle;                    /* a the log thread sleeps until something happens */
	_Atomic uint64_t wake_at;             /* a ... or until the journal has come this far */
	struct persist_waiter *waiters;       /* Q */
	struct save_rules rules;              /* Q */
	bool want_save, want_rewrite;         /* Q asked for, not begun */
	bool save_scheduled, rewrite_scheduled;  /* Q to be begun when the running job has ended */
	struct persist_waiter *save_waiters;  /* Q of persist_save() */
	struct persist_info info;             /* Q what is not computed on the spot */

	pthread_t thread;
	bool has_thread;
	struct aof log;                       /* L */
	_Atomic uint64_t durable;             /* a position; written by L */
	_Atomic uint64_t log_size, log_base_size, log_writes, log_syncs;  /* a of `log`, for INFO; written by L */
	enum log_health log_health;           /* L, written and read by others under Q */
	int write_errno;                      /* Q: why, in LOG_WRITE_FAILED: EIO or ENOSPC */
	bool save_failed;                     /* Q: the last snapshot did */
	int64_t retry_ns;                     /* L monotonic: next try in a failed state */
	int64_t last_sync_ns;                 /* L monotonic */
	int64_t write_due_ns;                 /* L monotonic: what waits in the journal since then; 0: nothing */
	uint64_t switch_at;                   /* L position where the next incr begins; 0: none */
	uint64_t seen_dirty;                  /* L */
	int64_t last_try_ns;                  /* L monotonic: of a save by rule */
	int64_t rewrite_retry_ns;             /* L monotonic: not before, after failures */
	struct save job;                      /* L */
	enum save_kind starting;              /* Q, written by L: its cut is about to be taken; what was asked for before is covered */
	enum save_kind running;               /* Q, written by L: the job may be looked into by others */
	int gone_count;                       /* L */
	struct gone_key gone[GONE_MAX];       /* L */
};

enum {
	SECOND_NS = 1000 * 1000 * 1000,
	TICK_NS = 100 * 1000 * 1000,
	WRITE_DELAY_NS = 50 * 1000 * 1000,    /* what the shared journal keeps may wait that long for the file */
};

/* ---- persist.c ---- */
void engine_log(struct persist *p, enum persist_log_level level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Wakes the log thread. */
void engine_kick(struct persist *p);
/* From now on every change is told to the journal. */
void engine_observe(struct persist *p);

/* ---- engine.c ---- */
void *engine_thread(void *arg);
/* Writes everything the journal has and syncs it, in this thread (the log thread has ended).  0 or -errno. */
int engine_drain(struct persist *p);
/* After a change of log_health, save_failed or rules, with Q held. */
void engine_update_refuse_locked(struct persist *p);
/* Replies that are parked for what is not there yet get ERR. */
void engine_fail_waiters(struct persist *p, int err);

/* ---- jobs.c, all by the log thread ---- */
/* Begins what is asked for or due, ends what has finished.  *RET_NEXT_NS: when to come again. */
void jobs_step(struct persist *p, int64_t now_ns, int64_t *ret_next_ns);
/* After aof_switch(): its error ends the rewrite. */
void jobs_switched(struct persist *p, int err);
/* A job has finished and nothing keeps jobs_step() from ending it. */
bool jobs_can_end(struct persist *p);
/* Ends a running job without a result. */
void jobs_abort(struct persist *p);
/* Saves in this thread.  0 or -errno. */
int jobs_save_now(struct persist *p);
/* After a failed sync, with the log thread ended and no more changes: a new base that holds all of it.  0 or -errno. */
int jobs_renew_now(struct persist *p);
/* The first base, before anything runs. */
int jobs_first_base(struct persist *p, struct error *e);

#endif
