/* save.h -- one snapshot on its way to a file: dump.rdb, or the base of the log.
 *
 * The cut is taken by save_begin_locked(); the file is written by a thread of its own (save_start) or by the caller (save_run): temp file, RDB
 * (rdb.h), fdatasync; a dump is then renamed into place and its directory synced, a base is left under its temp name for aof_publish_base().
 * After an error or an abort no temp file is left.                                                                                        */
#ifndef KVFS_PERSIST_SAVE_H
#define KVFS_PERSIST_SAVE_H

#include "persist/bytes.h"
#include "persist/disk.h"
#include "persist/rdb.h"

#include <pthread.h>
#include <stdatomic.h>

/* Small enough that the kernel's part of it is no pause for whoever waits for this CPU. */
enum { SAVE_STEP = 1 << 20 };

enum save_kind { SAVE_NONE, SAVE_DUMP, SAVE_BASE, SAVE_KINDS };

/*  C constant after begin   W the thread that writes   a atomic  */
struct save {
	enum save_kind kind;              /* C */
	const struct disk *disk;          /* C */
	struct keyspace *ks;              /* C */
	int dir_fd;                       /* C of the directory the file goes to; borrowed */
	struct bytes temp;                /* C name, terminated; owned */
	const char *name;                 /* C DUMP: final name, borrowed */
	struct rdb_options rdb;           /* C */
	bool as_commands;                 /* C BASE: aof_base.h instead of RDB */
	bool incremental;                 /* C what is written goes to the disk every SAVE_STEP bytes, not all at the end */
	int64_t key_delay_us;             /* C for tests */
	struct snapshot *snapshot;        /* C */
	struct snapshot_totals totals;    /* C */
	uint64_t dirty;                   /* C changes since the last save, at the cut */
	int64_t begun_ns;                 /* C monotonic */
	int fd;                           /* W */
	uint64_t size;                    /* W bytes written */
	uint64_t written_out;             /* W of them, on their way to the disk already */
	_Atomic uint64_t processed;       /* a entries */
	_Atomic uint64_t memory;          /* a bytes of pre-images, as of the last batch of entries */
	_Atomic uint64_t memory_peak;     /* a bytes, likewise */
	_Atomic bool abort;               /* a: end soon with -ECANCELED */
	_Atomic bool finished;            /* a: err and size may be read */
	int err;
	pthread_t thread;
	bool has_thread;
	void (*on_finished)(void *ctx);   /* C called by the thread as its last act */
	void *ctx;
};

/* Takes the cut; the caller has filled in what is constant but snapshot, totals, and holds S.  0, -EBUSY, -ENOMEM. */
int save_begin_locked(struct save *s);
/* 0 or -errno (then save_fini() is due). */
int save_start(struct save *s);
/* Does it all in this thread; returns s->err. */
int save_run(struct save *s);
/* Joins the thread, ends the snapshot, frees; clears the struct. */
void save_fini(struct save *s);

#endif
