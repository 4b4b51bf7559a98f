/* disk_fault.h -- a struct disk that fails, stops and forgets, in front of the real one.
 *
 *      rules        the next calls of a kind fail with an errno, after some that succeed; a write may first take a part
 *      stop_at      at the K-th call that changes something the machine stops: the process is killed, or nothing is done from then on and
 *                   every call is -EIO; a write at that place may have taken a part
 *      power cut    what was not synced may be lost: a directory keeps a prefix of its changes since its last fsync, a file a prefix of its
 *                   bytes since its last fdatasync, perhaps with NULs behind it; with `any_order` each single change of either may be lost,
 *                   whatever became of those before and behind it
 *      gate         threads but one wait at each call until that one lets them pass (steps.h)
 *
 * Calls are done for real as well, but for the syncs, which only count here.  Its clocks are `now_ns` and `monotonic_ns` when those are
 * set.  Seeded.  Any thread.                                                                                                          */
#ifndef KVFS_TESTS_DISK_FAULT_H
#define KVFS_TESTS_DISK_FAULT_H

#include "persist/disk.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum disk_call { DISK_OPEN, DISK_WRITE, DISK_TRUNCATE, DISK_FDATASYNC, DISK_FSYNC_DIR, DISK_RENAME, DISK_UNLINK, DISK_WRITE_OUT, DISK_CALLS };

const char *disk_call_name(enum disk_call call);

struct disk_rule {
	int err;                     /* 0: no rule; else negative */
	const char *name;            /* only of files whose name has this in it; NULL: of all */
	uint64_t skip;               /* calls that still succeed */
	uint64_t count;              /* then so many fail */
	size_t part;                 /* of a write: bytes taken before the first error */
};

/* Where the machine stopped. */
struct disk_stop { bool stopped; enum disk_call call; char name[80]; };

struct fault_file;
struct fault_dir;
struct steps;

/*  C constant while in use   F lock   a atomic  */
struct disk_fault {
	struct disk disk;            /* C: what persist gets */
	pthread_mutex_t lock;        /* F */
	uint64_t random;             /* F */
	_Atomic int64_t now_ns, monotonic_ns;  /* a */
	_Atomic int64_t sync_us;     /* a: how long a sync takes */
	_Atomic bool sync_held;      /* a: none ends before this is false again */
	_Atomic uint64_t written_out;  /* a: bytes */
	_Atomic uint64_t calls;      /* a: that change something, so far */
	uint64_t stop_at;            /* C; 0: never */
	bool kill;                   /* C */
	struct disk_stop *stop;      /* C, borrowed: is told where; may be in shared memory; NULL: nobody wants to know */
	bool any_order;              /* C */
	bool trace;                  /* C: each call is printed */
	struct steps *gate;          /* C; NULL: none */
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
/* A machine that was stopped goes on, as after the death of the process alone: what was not synced is still on its way.  It stops again
 * after so many more calls; 0: never. */
void disk_fault_go_on(struct disk_fault *f, uint64_t calls);
/* A sync failed, and what it should have written is lost for ever. */
bool disk_fault_has_lost(struct disk_fault *f);
/* Makes INTO, an empty directory, what a power cut would leave of DIR and its directories.  Nothing else may use F. */
void disk_fault_power_cut(struct disk_fault *f, const char *dir, const char *into);
/* Knows no file and no directory any more: what is found from here on is durable. */
void disk_fault_forget(struct disk_fault *f);

#endif
