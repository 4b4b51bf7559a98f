/* latency.h -- how long the kernel's requests take, from being taken from /dev/fuse to their reply: a histogram an opcode.
 *
 *      bucket      0      1        2        ...   26         27
 *      us          <= 1   <= 2     <= 4           <= 2^26    more
 *
 * A reader thread notes what it takes and counts it when the handler is back; of a reply that is parked the other thread counts it that
 * answers.  The price is one look at the clock a request, since the end of one is the beginning of the next where requests queue up.
 *
 * Locks: none; counters are atomic, what a thread has taken is its own.                                                             */
#ifndef KVFS_FS_LATENCY_H
#define KVFS_FS_LATENCY_H

#include <stdatomic.h>
#include <stdint.h>

enum { LATENCY_BUCKETS = 28 };

struct latency {
	_Atomic uint64_t ns;                       /* a  the sum of all */
	_Atomic uint64_t bucket[LATENCY_BUCKETS];  /* a */
};

struct latency_request {
	uint32_t opcode;
	int64_t taken_ns;          /* CLOCK_MONOTONIC; 0: there is none */
};

struct stats;

void latency_note(struct latency *l, int64_t ns);
void latency_reset(struct latency *l);

/* This thread handles a request that was taken then. */
void latency_begin(uint32_t opcode, int64_t taken_ns);
/* The handler is back: the request is counted, unless latency_later() said otherwise. */
void latency_end(struct stats *s, int64_t now_ns);
/* What this thread handles, for who may park the reply, before it is parked; then latency_later(), after it was. */
struct latency_request latency_current(void);
void latency_later(void);
/* A parked reply has been sent. */
void latency_answered(struct stats *s, const struct latency_request *r);

#endif
