/* fake_stop.h -- a stop that only notes who asked for it.  Defines the functions of stop.h that the commands call; included by one file a
 * program. */
#ifndef KVFS_TESTS_FAKE_STOP_H
#define KVFS_TESTS_FAKE_STOP_H

#include "fs/stop.h"

struct stop {
	_Atomic int requests;
	struct stop_request last;
	bool in_progress;            /* what an ABORT finds */
};

void stop_request(struct stop *st, const struct stop_request *r)
{
	st->last = *r;
	st->requests++;
}

bool stop_abort(struct stop *st)
{
	return st->in_progress;
}

#endif
