/* expirer.h -- the thread that removes keys when their time is over.
 *
 * It is a thread of its own, so that neither a slow disk nor a save makes a key stay.  It sleeps until the next expiry by the wall clock: a
 * clock that is set, and a machine that slept, wake it too.
 *
 *      round:  at most EXPIRER_BATCH keys under one hold of S, each an operation of its own; then the port is told of each;
 *      pause:  three times as long as the round took, without S.
 *
 * So a million keys that are due at once take S for a quarter of the time at most, in holds of some tens of microseconds, and whoever waits
 * for it gets it, because the expirer does not come back at once.  A key that is due and not yet removed is shown to nobody (keyspace.h).
 * No round is made while whoever takes part in it has too much to do: what waits for the kernel and for the log is bounded.
 *
 * Locks: E, its own.  S -> E: a new expiry is noted under S.                                                                            */
#ifndef KVFS_PERSIST_EXPIRER_H
#define KVFS_PERSIST_EXPIRER_H

#include "persist/persist.h"

#include <pthread.h>
#include <stdatomic.h>

enum { EXPIRER_BATCH = 32 };

/*  C  constant after start    E  lock    T  the thread's own    a  atomic  */
struct expirer {
	struct keyspace *ks;              /* C borrowed */
	const struct persist_port *port;  /* C borrowed */
	const struct disk *disk;          /* C borrowed: its clocks */
	bool (*is_behind)(void *ctx);     /* C whether a round would be too much now */
	void *ctx;                        /* C */
	pthread_t thread;                 /* C */
	bool running;                     /* of whoever starts and stops it */
	pthread_mutex_t lock;
	pthread_cond_t wake;              /* E  noted or stop */
	bool noted, stop;                 /* E */
	_Atomic int64_t wake_at_ms;       /* a  it sleeps until then; INT64_MIN: it is awake */
	_Atomic uint64_t expired;         /* a  keys removed so far */
	struct keyspace_place gone[EXPIRER_BATCH];  /* T */
};

void expirer_init(struct expirer *x, struct keyspace *ks, const struct persist_port *port, const struct disk *disk,
                  bool (*is_behind)(void *ctx), void *ctx);
void expirer_fini(struct expirer *x);
/* 0 or a negative errno. */
int expirer_start(struct expirer *x);
/* Does nothing when it does not run. */
void expirer_stop(struct expirer *x);
/* A round of at most MAX keys (EXPIRER_BATCH at most); by the thread, or by a test in its place.  How many keys it removed, or an error of the
 * journal. */
int expirer_round(struct expirer *x, int max);
/* A key goes at AT_MS.  With S held; never waits. */
void expirer_note(struct expirer *x, int64_t at_ms);

#endif
