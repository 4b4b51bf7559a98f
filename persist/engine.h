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
 *      "log vanished"     EROFS              looked at each second while      all is back in its place: it   get EROFS
 *                                            changes come: the data           goes on; or the data directory
 *                                            directory, the log's, its        is: a new base and a new log
 *                                            manifest or last file is not     on disk (tried each second)
 *                                            where a start would look         (not when a sync of it
 *                                                                             failed meanwhile)
 *      "log starting"     done               appendonly became yes; its      base and log on disk          wait for nothing
 *                                            first base is being written                                   but room
 *      "log start failed" done               that failed; the files are as   the next try succeeds, with   get 0
 *                                            they were                       the back-off of rewrites,
 *                                                                            by BGREWRITEAOF at once, or
 *                                                                            appendonly becomes no
 *      "save failed"      EROFS, with        a snapshot failed, and save   a snapshot that succeeds         not concerned
 *                         stop-writes-on-    rules are set; likewise when
 *                         bgsave-error       the data directory vanished
 *
 * appendonly becoming no leaves every state of the log: what can't be written then is given up, and the daemon's log says so.
 * A shared journal that vanished is no failure: replies wait for the log file instead.
 * Reading goes on in every state.  A change that was applied before the state was entered stays in the journal and gets to the new file.   */
#ifndef KVFS_PERSIST_ENGINE_H
#define KVFS_PERSIST_ENGINE_H

#include "persist/encode.h"
#include "persist/aof.h"
#include "persist/expirer.h"
#include "persist/persist.h"
#include "persist/save.h"

/* Whether changes go to the log (switch.c). */
enum log_mode {
	LOG_OFF,         /* they are only counted */
	LOG_STARTING,    /* to the next incr, while the base that belongs before it is written; nothing of it counts yet */
	LOG_ON,
	LOG_ENDING,      /* they are only counted; what was logged before is on its way to the disk */
};

enum log_health { LOG_OK, LOG_WRITE_FAILED, LOG_SYNC_FAILED, LOG_VANISHED };

/*  C constant after open   S keyspace lock   Q p->lock   L log thread (others: before it starts, after it ended)   a atomic  */
struct persist {
	struct persist_config config;         /* C, and what is marked R there: Q, written by L (save and appendfsync live below) */
	struct keyspace *ks;                  /* C */
	struct persist_port port;             /* C */
	const struct disk *disk;              /* C */
	int dir_fd;                           /* C the data directory, locked */
	struct bytes report;                  /* C */
	uint64_t keys_loaded, keys_expired;   /* C */

	_Atomic(struct journal *) journal;    /* a NULL until the log is on for the first time; from then on the same until persist_stop() */
	_Atomic int mode;                     /* a enum log_mode; written by L under S, so that each change is in one mode */
	struct expirer expirer;               /* its own locks */
	uint64_t parent, parent_seq;          /* C until the log is on, then 0: L; rdb.h */
	struct encoder encoder;               /* S; its seq counts the changes in each mode */
	_Atomic uint64_t dirty;               /* a changes since the last save */
	uint64_t saved;                       /* Q changes before that */
	_Atomic int refuse;                   /* a errno that changes get; 0: none */
	_Atomic int fsync_policy;             /* a */
	_Atomic bool policy_paused;           /* a no-appendfsync-on-rewrite, and a job runs; written by L */

	pthread_mutex_t lock;                 /* Q */
	pthread_cond_t wake;                  /* Q */
	bool kicked, stop;                    /* Q */
	bool has_wanted;                      /* Q */
	struct persist_config wanted;         /* Q by persist_set(), for L to take over */
	_Atomic bool idle;                    /* a the log thread sleeps until something happens */
	_Atomic uint64_t wake_at;             /* a ... or until the journal has come this far */
	struct persist_waiter *waiters;       /* Q */
	struct save_rules rules;              /* Q */
	bool want_save, want_rewrite;         /* Q asked for, not begun */
	bool save_scheduled, rewrite_scheduled;  /* Q to be begun when the running job has ended */
	struct persist_waiter *save_waiters;  /* Q of persist_save() */
	struct persist_waiter *cut_waiters[SAVE_KINDS];  /* Q of persist_bgsave(), persist_bgrewriteaof(): until the moment is taken */
	bool cancel_save, cancel_rewrite;     /* Q asked for */
	struct persist_info info;             /* Q what is not computed on the spot */

	pthread_t thread;
	bool has_thread;
	struct aof log;                       /* L */
	_Atomic uint64_t durable;             /* a position; written by L */
	_Atomic uint64_t log_size, log_base_size, log_writes, log_syncs;  /* a of `log`, for INFO; written by L */
	uint64_t writes_before, syncs_before; /* Q: of these, not counted any more since persist_reset_stats() */
	enum log_health log_health;           /* L, written and read by others under Q */
	int write_errno;                      /* Q: why, in LOG_WRITE_FAILED: EIO or ENOSPC */
	bool save_failed;                     /* Q: the last snapshot did */
	bool save_cancelled;                  /* L: the last snapshot was; rules wait as after a failure */
	struct syncer syncer;                 /* its own lock */
	_Atomic bool syncing;                 /* a a sync runs, or ran beside and its result is still to be taken; written by L */
	uint64_t sync_upto;                   /* L position that it covers */
	bool sync_late;                       /* L it takes long, nothing is written until it has ended */
	int64_t retry_ns;                     /* L monotonic: next try in a failed state */
	int64_t last_sync_ns;                 /* L monotonic: when the last one began */
	int64_t last_look_ns;                 /* L monotonic: at the places of the files */
	int64_t write_due_ns;                 /* L monotonic: what waits in the journal since then; 0: nothing */
	uint64_t switch_at;                   /* L position where the next incr begins; 0: none */
	uint64_t seen_dirty;                  /* L */
	int64_t last_try_ns;                  /* L monotonic: of a save by rule */
	int64_t rewrite_retry_ns;             /* L monotonic: not before, after failures */
	struct save job;                      /* L */
	enum save_kind starting;              /* Q, written by L: its cut is about to be taken; what was asked for before is covered */
	enum save_kind running;               /* Q, written by L: the job may be looked into by others */
};

enum {
	SECOND_NS = 1000 * 1000 * 1000,
	TICK_NS = 100 * 1000 * 1000,
	EXPIRE_BEHIND_MAX = 1 << 20,          /* bytes of batches that nothing keeps yet */
	SYNC_LATE_S = 2,                      /* a sync beside that takes longer keeps the log from being written, as in Redis: no more gets into it
	                                       * that a power cut would take */
	SYNC_AHEAD = 32 << 20,                /* bytes that everysec syncs before the second is over */
	WRITE_DELAY_NS = 50 * 1000 * 1000,    /* what the shared journal keeps may wait that long for the file */
};

/* ---- persist.c ---- */
void engine_log(struct persist *p, enum persist_log_level level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Wakes the log thread. */
void engine_kick(struct persist *p);
/* Whether so much waits for the log or for the port that keys whose time is over have to wait too.  CTX is the engine. */
bool engine_is_behind(void *ctx);
/* From now on every change is told to the journal. */
void engine_observe(struct persist *p);

/* ---- engine.c ---- */
/* What persist_set() asked for counts from here on; by L, or before it starts. */
void engine_take_config(struct persist *p);
void *engine_thread(void *arg);
/* One round of everything that is due; when to come again (monotonic).  By L; a test may take L's place. */
int64_t engine_step(struct persist *p);
/* What INFO says of the log's files is what they are now. */
void engine_publish_counters(struct persist *p);
/* Writes everything the journal has and syncs it, in this thread (the log thread has ended).  0 or -errno. */
int engine_drain(struct persist *p);
/* After a change of log_health, save_failed or rules, with Q held. */
void engine_update_refuse_locked(struct persist *p);
/* Replies that are parked for what is not there yet get ERR. */
void engine_fail_waiters(struct persist *p, int err);

/* Writes what the journal has.  A failure has become a state when it returns. */
void engine_write_journal(struct persist *p);
/* After aof_sync() by somebody else: the log is healthy, and durable up to position UPTO. */
void engine_log_is_good(struct persist *p, uint64_t upto);

/* The log is not what a start would find, or nobody knows: only a new base and a new log will do.  By L, or with Q. */
static inline bool log_is_lost(const struct persist *p)
{
	return p->log_health == LOG_SYNC_FAILED || p->log_health == LOG_VANISHED;
}

/* ---- places.c, all by the log thread: whether the files are where the next start will look for them ---- */
bool places_dir_is_there(const struct persist *p);
bool places_log_is_there(const struct persist *p);
/* Opens the log's directory anew, making it if need be, after its old one vanished.  0 or -errno. */
int places_reopen_log(struct persist *p);

/* ---- switch.c, all by the log thread ---- */
/* Opens the log's directory and takes over what its manifest lists.  0 or -errno, and the log has said why. */
int switch_open_dir(struct persist *p);
/* `appendonly` became no: ends a rewrite, writes and syncs what waits, closes the log. */
void switch_off(struct persist *p);
/* The log is to begin: opens journal, directory and the next incr, which no manifest lists yet.  0 or -errno (then switch_undo() is due). */
int switch_prepare(struct persist *p);
/* At the cut of the first base: changes go to that incr from here on.  0 or -ENOMEM. */
int switch_start_locked(struct persist *p, int64_t now_ns);
/* That base, of SIZE bytes, is on disk: base and incr become the log.  0 or -errno. */
int switch_finish(struct persist *p, uint64_t size);
/* Back to LOG_OFF after a failure: the files are as they were before. */
void switch_undo(struct persist *p);
/* With the log thread ended: the log that was asked for and had not begun, with all there is.  0 or -errno. */
int switch_on_now(struct persist *p);

/* ---- jobs.c, all by the log thread ---- */
/* Begins what is asked for or due, ends what has finished.  *RET_NEXT_NS: when to come again. */
void jobs_step(struct persist *p, int64_t now_ns, int64_t *ret_next_ns);
/* After aof_switch(): its error ends the rewrite. */
void jobs_switched(struct persist *p, int err);
/* A job has finished and nothing keeps jobs_step() from ending it. */
bool jobs_can_end(struct persist *p);
/* Ends a running job without a result.  WHY: -ECANCELED, or what made it useless. */
void jobs_abort(struct persist *p, int why);
/* Saves in this thread.  0 or -errno. */
int jobs_save_now(struct persist *p);
/* After a failed sync, with the log thread ended and no more changes: a new base that holds all of it.  0 or -errno. */
int jobs_renew_now(struct persist *p);
/* The first base, before or after anything runs.  0 or -errno. */
int jobs_first_base(struct persist *p);

#endif
