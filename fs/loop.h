/* loop.h -- the readers of /dev/fuse.
 *
 * A reader takes a request, answers it, and looks for the next.  When there is none, one of them waits for it, the others sleep:
 *
 *      working --- nothing there --+-- nobody waits yet --> waiting: polls for spin_us, then blocks in poll(2) --- a request --> working
 *                                  +-- one waits already -> asleep, until a working reader finds the queue filling up or
 *                                                           takes a request that is long
 *
 * Polling first, since waking up costs more than a request does; each poll gives the CPU away to whoever wants it.  One reader polls,
 * never two, and only after a request: an idle mount burns nothing.  The waiting reader also holds the PM-QoS request (qos.h).
 *
 * Life: loop_new, loop_start; ends by itself when the kernel has unmounted, or by loop_stop.  loop_ended_fd() becomes readable then.
 * Locks: W, for the sleepers alone; never held while a request is handled.                                                          */
#ifndef KVFS_FS_LOOP_H
#define KVFS_FS_LOOP_H

#include "fs/log.h"
#include "fs/stats.h"

struct fuse_session;
struct loop;

struct loop_options {
	int threads;
	int64_t spin_us;
	bool latency;             /* hold the PM-QoS request */
};

/* SE, STATS and LOG are borrowed.  SE is mounted.  0 or a negative errno. */
int loop_new(struct fuse_session *se, const struct loop_options *o, struct stats *stats, struct log *log, struct loop **ret);
/* -EAGAIN and others of pthread_create(3); then no thread runs. */
int loop_start(struct loop *l);
/* Readable when the readers have ended or are about to.  Owned by L. */
int loop_ended_fd(const struct loop *l);
/* Requests that are being handled are finished.  May be called when it has ended by itself. */
void loop_stop(struct loop *l);
void loop_free(struct loop *l);

#endif
