/* loop.h -- the readers of /dev/fuse.
 *
 * A reader takes a request, answers it, and looks for the next.  When there is none, one of them waits for it, the others sleep:
 *
 *      working --- nothing there --+-- nobody waits yet --> waiting: polls for spin_us, then blocks in poll(2) --- a request --> working
 *                                  +-- one waits already -> asleep, until a working reader takes a request that is long, or
 *                                                           finds those of several processes queueing up
 *
 * Polling first, since waking up costs more than a request does; each poll gives the CPU away to whoever wants it.  One reader polls,
 * never two, and only after a request: an idle mount burns nothing.  Nor does one whose requests come far apart: after some that no other
 * followed within spin_us nobody polls, until one follows another closely again.  Nor, on two CPUs, when several clients send requests (measured:
 * 10 us an overwrite of two, 9 to 31 with polling).  The waiting reader also holds the PM-QoS request (qos.h).
 *
 * How many: two.  The second costs a single client nothing, as it sleeps until several clients send requests and it is called: for a long request
 * always, so that short ones need not wait for it; for a queue only with more than two CPUs, for on two it takes the one that a client is to send its next request from (measured:
 * overwrites by 2 clients 9.5 us without, 13.7 with, by 8 clients 11 and 13).  All change one keyspace under S, which a change holds for some tenth of
 * the time that its message takes altogether, so beyond eight or so more readers wait for each other on any machine: with 64 CPUs try 4, then 8.
 * They share one descriptor: what libfuse lets a loop of its own do (fuse_session_receive_buf) knows no other, and a cloned one divides only the
 * list of requests under way, not the queue that readers wait at.  No splice: a request is copied once, an answer gathered from the value.
 * A write comes in pieces of 1 MiB, the most that libfuse and the kernel agree on, a read as the kernel reads ahead.
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
/* Other values for these options, from the next request on.  From any thread. */
void loop_set(struct loop *l, int64_t spin_us, bool latency);
/* -EAGAIN and others of pthread_create(3); then no thread runs. */
int loop_start(struct loop *l);
/* Readable when the readers have ended or are about to.  Owned by L. */
int loop_ended_fd(const struct loop *l);
/* Requests that are being handled are finished.  May be called when it has ended by itself. */
void loop_stop(struct loop *l);
void loop_free(struct loop *l);

#endif
