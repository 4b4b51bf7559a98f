/* syncer.h -- fdatasync of the log beside the thread that writes it.
 *
 * What a disk takes half a second to sync would keep the log thread from writing as long: the journal fills, and replies wait for the disk that
 * `everysec` promises not to wait for.  So the sync of each second is made by a thread of its own, one at a time.  What is on disk then, and is
 * much, leaves the page cache: nobody reads it before the next start, and a stream of large values would fill the memory with it.
 *
 *      syncer_begin()  the log thread writes on  syncer_poll() true: here is what came of it
 *
 * All calls but the thread's own come from one thread at a time.  Lock: Y, for its fields; nothing is taken under it.                          */
#ifndef KVFS_PERSIST_SYNCER_H
#define KVFS_PERSIST_SYNCER_H

#include "persist/disk.h"

#include <pthread.h>
#include <stdbool.h>

enum syncer_state { SYNCER_IDLE, SYNCER_BUSY, SYNCER_ENDED };

/*  C constant while the thread runs   Y lock  */
struct syncer {
	const struct disk *disk;          /* C */
	pthread_t thread;                 /* C */
	bool has_thread;                  /* C */
	void (*on_end)(void *ctx);        /* C called by the thread, without Y, when a sync has ended */
	void *ctx;                        /* C */
	pthread_mutex_t lock;             /* Y */
	pthread_cond_t cond;              /* Y */
	enum syncer_state state;          /* Y */
	int fd, err;                      /* Y */
	uint64_t drop_from, drop_to;      /* Y bytes of the file */
	bool stop;                        /* Y */
};

void syncer_init(struct syncer *s, const struct disk *d, void (*on_end)(void *ctx), void *ctx);
void syncer_fini(struct syncer *s);
/* Starts its thread.  0 or -errno: then it begins nothing. */
int syncer_start(struct syncer *s);
/* Waits for what runs, whose result stays to be polled; from then on it begins nothing. */
void syncer_stop(struct syncer *s);

/* Begins to sync FD, which stays open until the result was taken; bytes DROP_FROM up to DROP_TO of it are not needed in memory any more.  False
 * without a thread, or while a result is still to come or to be taken. */
bool syncer_begin(struct syncer *s, int fd, uint64_t drop_from, uint64_t drop_to);
/* Whether a sync has ended; takes its result, 0 or -errno. */
bool syncer_poll(struct syncer *s, int *ret_err);
/* Whether one runs, or its result is still to be taken. */
bool syncer_is_busy(struct syncer *s);
/* As syncer_poll(), waiting for one that runs.  False when none was begun. */
bool syncer_wait(struct syncer *s, int *ret_err);

#endif
