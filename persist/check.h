/* check.h -- `kvfs-ctl check`: what files that nobody has open are worth, and with `fix` what is left of them made usable again.
 *
 * PATH is an RDB file, a manifest, a file of a log, the directory of a log or a data directory; of kvfs or of a Redis.  Each file is looked at,
 * also behind the first damage; every finding is one line.  Nothing is written without `fix`; with it every file that is changed stays
 * beside the new one (check_fix.h):
 *
 *      one bit wrong, told by a checksum       the bit: nothing is lost (an RDB, a batch that is not large, a manifest of kvfs)
 *      log, cut short or damaged              cut behind the last batch or command that counts
 *      files of the log behind that           leave the manifest and are put aside, unless their batches go on where the cut is
 *      RDB, damaged                           ends behind the last key that can be read; a log behind it can't count
 *      RDB, only its checksum is wrong        gets the right one, and all its keys stay
 *      manifest, damaged or missing           made anew, where the files tell which of them count
 *
 * A directory that a daemon holds is not looked at: it is locked meanwhile.                                                            */
#ifndef KVFS_PERSIST_CHECK_H
#define KVFS_PERSIST_CHECK_H

#include "persist/error.h"

#include <stdbool.h>

/* As fsck's; the sum of what holds. */
enum check_found {
	CHECK_CLEAN = 0,
	CHECK_FIXED = 1,         /* damage, and it is repaired */
	CHECK_DAMAGED = 4,       /* damage is left */
	CHECK_FAILED = 8,        /* something could not be looked at: the disk, permissions, a daemon */
	CHECK_USAGE = 16,
};

struct check_options {
	bool fix;
	const char *dbfilename, *appenddirname, *appendfilename;  /* what they are called in a data directory; borrowed */
	void (*say)(void *ctx, const char *line);                 /* without newline */
	void *ctx;
};

/* Returns a sum of enum check_found.  With CHECK_FAILED or CHECK_USAGE E says why. */
unsigned check_path(const char *path, const struct check_options *o, struct error *e);

#endif
