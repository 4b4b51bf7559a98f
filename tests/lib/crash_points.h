/* crash_points.h -- the points at which the daemon may die, by name: each call to the disk by its kind and its file.
 *
 * A call that none of them names is a step of a rewrite, a save or a recovery that nobody has thought of: the tests fail for it.       */
#ifndef KVFS_TESTS_CRASH_POINTS_H
#define KVFS_TESTS_CRASH_POINTS_H

#include "tests/lib/disk_fault.h"

enum { CRASH_POINTS = 26 };

struct crash_point {
	const char *name;
	enum disk_call call;
	const char *file;        /* in the file's name */
	bool life, recovery;     /* where it surely comes up: while it serves or stops; while it starts */
};

extern const struct crash_point crash_points[CRASH_POINTS];
/* -1: none. */
int crash_point_of(const struct disk_stop *s);

#endif
