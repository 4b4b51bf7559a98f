/* qos.h -- keeps the CPUs awake while requests keep coming, and only then.
 *
 * Waking a halted CPU costs more than a whole request, twice a request.  A PM-QoS request (an open /dev/cpu_dma_latency that says
 * 0 us) keeps CPUs out of deep sleep; it is held from the QOS_BURST-th request that follows its predecessor within QOS_GAP_NS until
 * QOS_SILENCE_NS after the last one.  A trickle of requests and an idle mount burn nothing.  Without the device or the right to open it, it
 * goes on without.
 *
 * Locks: none; used by one thread at a time (the reader that waits, loop.c).                                                        */
#ifndef KVFS_FS_QOS_H
#define KVFS_FS_QOS_H

#include <stdbool.h>
#include <stdint.h>

enum { QOS_BURST = 8, QOS_GAP_NS = 2000000, QOS_SILENCE_NS = 60000000 };

struct qos {
	int fd;             /* held while >= 0 */
	bool enabled;
	int burst;          /* requests in a row, each soon after the last */
	int64_t last_ns;
};

void qos_init(struct qos *q, bool enabled);
void qos_fini(struct qos *q);
/* A request came. */
void qos_note(struct qos *q, int64_t now_ns);
/* ms until it is to be let go, -1: not held.  0: now. */
int qos_timeout_ms(const struct qos *q, int64_t now_ns);
void qos_release(struct qos *q);

#endif
