/* reaper.h -- frees large values, beside the readers of requests.
 *
 * The chunks of 1 GiB take a tenth of a second to free, most of it in the kernel.  Whoever waits for the reader that does it waits as long; so
 * what a removed, cut or replaced value had is given to a thread of its own (keyspace_set_reaper()).
 *
 * Lock: G, for its fields; nothing is taken under it.                                                                          */
#ifndef KVFS_FS_REAPER_H
#define KVFS_FS_REAPER_H

#include "store/keyspace.h"

#include <pthread.h>

/*  C constant while the thread runs   G lock  */
struct reaper {
	struct keyspace *ks;      /* C borrowed */
	pthread_t thread;         /* C */
	bool running;             /* C */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool wanted, stop;        /* G */
};

/* 0 or -errno: whoever takes a value away frees it then. */
int reaper_start(struct reaper *r, struct keyspace *ks);
/* Does nothing when it was not started. */
void reaper_stop(struct reaper *r);

#endif
