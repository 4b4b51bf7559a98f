/* twin_run.h -- workers, each a process, and the search for the shortest run that still shows a difference: see twin.h. */
#ifndef KVFS_TESTS_TWIN_RUN_H
#define KVFS_TESTS_TWIN_RUN_H

#include "tests/lib/twin.h"

enum { WORKERS_MAX = 16 };

struct twin_run {
	uint64_t seed, calls;      /* calls of each worker in its own subtree */
	uint64_t stop_at;          /* the worker's call to stop before; UINT64_MAX: none */
	int workers, worker;       /* WORKER: whose calls are minimized */
	unsigned features;
	bool verbose;
	int top[SIDES];
	uint64_t (*counts)[2];     /* shared: of each kind, calls that succeeded and that failed */
	int turn[WORKERS_MAX][2];
};

void twin_init(struct twin *t, const struct twin_run *run, int worker);
void twin_fini(struct twin *t);
/* Makes a call on both sides: true when they agree.  A closed slot in C becomes, most times, one that is open. */
bool twin_make(struct twin *t, struct call *c, char *why, size_t cap);
/* Opens TOP/NAME, made if need be. */
int twin_subdirectory(int top, const char *name);
/* 0: no difference. */
int twin_workers(struct twin_run *run);
int twin_minimize(const struct twin_run *run);

#endif
