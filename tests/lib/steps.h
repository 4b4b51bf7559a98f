/* steps.h -- the engine without threads that run by themselves: a test takes the turns of the log thread, lets a saving thread go on from
 * one call to the disk to the next, and moves the clock.  So a run is the same whenever it is made from the same seed.
 *
 *      steps_init(&s, &fault, seed, first_ns)      fault.gate and its clocks are set
 *      rig.steps = &s;  rig_open() ...             rig_*() then take the turns until their reply has come
 *
 * One thread calls; the saving threads wait in steps_wait_turn() for it.                                                                */
#ifndef KVFS_TESTS_STEPS_H
#define KVFS_TESTS_STEPS_H

#include "persist/engine.h"

#include <pthread.h>

struct disk_fault;

/*  C constant after init   G gate lock  */
struct steps {
	struct disk_fault *f;        /* C */
	struct persist *p;           /* the engine that runs; NULL: none */
	pthread_t owner;             /* C */
	uint64_t random;
	int64_t next_ns;             /* monotonic: when the log thread wants to come again */
	int at_once;                 /* turns of it one after the other without a rest */
	void (*before_expiry)(void *ctx);  /* a key is about to go, while an operation may wait for its answer; NULL likewise */
	void (*on_turn)(void *ctx);  /* after each turn of the log thread; NULL: nobody wants to know */
	void *ctx;
	pthread_mutex_t lock;        /* G */
	pthread_cond_t cond;         /* G */
	bool waiting, turn;          /* G: of the saving thread */
};

void steps_init(struct steps *s, struct disk_fault *f, uint64_t seed, int64_t first_ns);
void steps_fini(struct steps *s);
/* In place of persist_start(). */
int steps_start(struct steps *s, struct persist *p);
/* The clocks go on by NS; what time it is then (realtime). */
int64_t steps_pass(struct steps *s, int64_t ns);
/* Turns that are due, and some that are not. */
void steps_some(struct steps *s);
/* NS pass, each turn taken when it is due; no more when the machine has stopped. */
void steps_live(struct steps *s, int64_t ns);
/* Turns until *DONE.  Aborts when that does not come. */
void steps_until(struct steps *s, const _Atomic int *done);
/* Turns until no save and no rewrite runs. */
void steps_until_no_job(struct steps *s);
/* By disk_fault: a thread that is not the owner waits for its turn; a job that is being aborted needs none. */
void steps_wait_turn(struct steps *s);

#endif
