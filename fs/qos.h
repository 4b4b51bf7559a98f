/* qos.h -- keeps the CPUs awake while requests keep coming, and only then.
 *
 * Waking a halted CPU costs more than a whole request, twice a request.  A PM-QoS request keeps CPUs out of deep sleep; it is held from the
 * QOS_BURST-th request that follows its predecessor within QOS_GAP_NS until QOS_SILENCE_NS after the last one.  A trickle of requests and an
 * idle mount burn nothing.
 *
 *      up to QOS_ALL_CPUS CPUs    all of them: /dev/cpu_dma_latency, open, says 0 us; the kernel takes it back when it is closed
 *      more                       those that the reader and its client run on (awake.h), looked up anew each QOS_LOOK_NS; where that can't
 *                                 be had, all of them
 *
 * Without the right to either it goes on without.
 *
 * Locks: none; used by one thread at a time (the reader that waits, loop.c), but for qos_enable().                                  */
#ifndef KVFS_FS_QOS_H
#define KVFS_FS_QOS_H

#include "fs/awake.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { QOS_BURST = 8, QOS_GAP_NS = 2000000, QOS_SILENCE_NS = 60000000, QOS_LOOK_NS = 20000000, QOS_ALL_CPUS = 8 };

struct qos {
	const char *root;   /* borrowed; "": the system's files; a test's directory */
	bool single;        /* CPUs one by one */
	bool held;
	int fd;             /* of the device; -1: not open */
	struct awake awake;
	_Atomic bool enabled;
	int burst;          /* requests in a row, each soon after the last */
	int64_t last_ns, looked_ns;
};

/* CPUS: how many there are. */
void qos_init(struct qos *q, bool enabled, const char *root, int cpus);
void qos_fini(struct qos *q);
/* From any thread; off: it is let go at the next request or the next silence. */
void qos_enable(struct qos *q, bool enabled);
/* A request came, from process PID (0: nobody knows). */
void qos_note(struct qos *q, pid_t pid, int64_t now_ns);
/* ms until it is to be let go, -1: not held.  0: now. */
int qos_timeout_ms(const struct qos *q, int64_t now_ns);
void qos_release(struct qos *q);

#endif
