/* progress.h -- the bar a terminal shows while a keyspace is loaded.
 *
 *      kvfs: loading [##########..........]  52%  1204112 keys  812004/s  0:02 left
 *
 * Shown when standard error is a terminal and the load takes longer than a blink; wiped off when it is over.  Locks: none, one thread. */
#ifndef KVFS_FS_PROGRESS_H
#define KVFS_FS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool enabled;             /* standard error is a terminal */
	bool shown;
	int64_t start_ns, drawn_ns;
};

void progress_init(struct progress *p);
/* DONE of TOTAL bytes, KEYS so far. */
void progress_update(struct progress *p, uint64_t done, uint64_t total, uint64_t keys);
/* Wipes the bar. */
void progress_end(struct progress *p);
/* Since progress_init(). */
int64_t progress_elapsed_ns(const struct progress *p);

#endif
