/* disk_fault.h -- a struct disk that fails, stops and forgets, in front of the real one.
 *
 *      rules        the next calls of a kind fail with an errno, after some that succeed; a write may first take a part
 *      stop_at      at the K-th call that changes something the machine stops: the process is killed, or nothing is done from then on and
 *                   every call is -EIO; a write at that place may have taken a part
 *      power cut    what was not synced may be lost: a directory keeps a prefix of its changes since its last fsync, a file a prefix of its
 *                   bytes since its last fdatasync, perhaps with NULs behind it
 *
 * Calls are done for real as well, but for the syncs, which only count here.  Its clock is `now_ns` when that is set.  Seeded.
 * Any thread.                                                                                                                        */
#ifndef KVFS_TESTS_DISK_FAULT_H
#define KVFS_TESTS_DISK_FAULT_H

#include "persist/disk.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum disk_call { DISK_OPEN, DISK_WRITE, DISK_TRUNCATE, DISK_FDATASYNC, DISK_FSYNC_DIR, DISK_RENAME, DISK_UNLINK, DISK_CALLS };

struct disk_rule {
	int err;                     /* 0: no rule; else negative */
	const char *name;            /* only of files whose name has this in it; NULL: of all */
	uint64_t skip;               /* calls that still succeed */
	uint64_t count;              /* then so many fail */
	size_t part;                 /* of a write: bytes taken before the first error */
};

struct fault_file;
struct fault_dir;

/*  C constant while in use   F lock   a atomic  */
struct disk_fault {
	struct disk disk;            /* C: what persist gets */
	pthread_mutex_t lock;        /* F */
	uint64_t random;             /* F */
	_Atomic int64_t now_ns;      /* a */
	_Atomic int64_t sync_us;     /* a: how long a sync takes */
	_Atomic uint64_t calls;      /* a: that change something, so far */
	uint64_t stop_at;            /* C; 0: never */
	bool kill;                   /* C */
	_Atomic bool stopped;        /* a */
	_Atomic uint64_t failed;     /* a: calls that a rule made fail */
	struct disk_rule rule[DISK_CALLS];   /* F */
	struct fault_file *files;    /* F */
	struct fault_dir *dirs;      /* F */
	struct fault_file **fd;      /* F: by descriptor */
	size_t fds;                  /* F */
};

void disk_fault_init(struct disk_fault *f, uint64_t seed);
void disk_fault_fini(struct disk_fault *f);
/* From now on. */
void disk_fault_rule(struct disk_fault *f, enum disk_call call, struct disk_rule r);
void disk_fault_mend(struct disk_fault *f);
/* Makes INTO, an empty directory, what a power cut would leave of DIR and its directories.  Nothing else may use F. */
void disk_fault_power_cut(struct disk_fault *f, const char *dir, const char *into);

#endif
