/* aof.h -- the files of the append-only log: manifest, base, incr; opened, written, switched, published.
 *
 * One thread at a time (recovery, then the log thread), but for a sync that aof_sync_begin() has begun.  Every step that changes the set of files is durable before the next:
 *
 *      open       directory made, stale temp files gone, history unlinked, last incr opened at the end of what counts
 *      append     whole batches only; after a failed write the file is cut back to the last whole batch
 *      switch     (old incr synced before) new incr made, directory fsync, manifest with both       (start of a rewrite)
 *      publish    base renamed into place, directory fsync, manifest with the new base, history unlinked, manifest without it   (its end)
 *
 * A crash between any two leaves a manifest whose files are all there (redis-format.md, "Rewrite sequence").  When the directory can't be
 * synced after a manifest was renamed into place, a power loss may bring back the one before: then the files of both are kept (`unsure`). */
#ifndef KVFS_PERSIST_AOF_H
#define KVFS_PERSIST_AOF_H

#include "persist/disk.h"
#include "persist/manifest.h"
#include "persist/syncer.h"

#include <stdbool.h>

struct aof {
	const struct disk *disk;    /* borrowed */
	const char *filename;       /* appendfilename, borrowed */
	struct syncer *syncer;      /* borrowed; NULL: syncs are made by the caller's thread */
	const char *base_suffix;    /* static: decoration, a reader goes by the content */
	int dir_fd;                 /* of appenddirname; -1 when closed */
	struct manifest manifest;   /* as published */
	int fd;                     /* of the last incr; -1 */
	uint64_t size;              /* bytes of it that are whole batches */
	uint64_t cached;            /* from here on the page cache may have bytes of it */
	uint64_t older_size;        /* bytes of the incrs before it */
	uint64_t base_size;
	uint64_t rewrite_base_size; /* what growth is measured from: all of it when the last rewrite ended, at first the base */
	bool uncut;                 /* bytes of a failed write may stand behind `size` */
	bool unsure;                /* the manifest is in place, but its directory could not be synced */
	bool unpublished;           /* the manifest does not list the last incr yet (renewal after a failed fsync) */
	uint64_t writes, syncs;     /* system calls made */
};

void aof_init(struct aof *l, const struct disk *d, const char *filename);
/* Makes or opens DIRNAME in DATA_FD and unlinks stale temp files.  0 or -errno with E. */
int aof_open_dir(struct aof *l, int data_fd, const char *dirname, struct error *e);
/* Goes on where recovery ended: takes MANIFEST over, drops its history, opens the last incr (INCR_SIZE bytes count) or makes one. */
int aof_resume(struct aof *l, struct manifest *manifest, uint64_t incr_size, uint64_t base_size, struct error *e);
/* Takes over what the manifest in the directory lists, if there is one: for an aof_switch() and a base that make it history. */
int aof_adopt(struct aof *l, struct error *e);
void aof_close(struct aof *l);
/* Likewise, and the incr that no manifest lists goes. */
void aof_abandon(struct aof *l);

/* Appends whole batches.  0; -ENOSPC, -EIO ...: nothing of it counts. */
int aof_append(struct aof *l, const void *data, size_t len);
int aof_sync(struct aof *l);
/* Begins a sync of what was appended so far, beside whatever is appended from here on.  False: the caller has to aof_sync().  One whose file is
 * closed before its result was taken has none. */
bool aof_sync_begin(struct aof *l);
/* Makes the next incr the one that is written; what the old one has was synced before.  PUBLISH false: the old one can't be synced any
 * more, the manifest waits for aof_publish_base().  After an error the old incr is still written, but with `unsure` the new one. */
int aof_switch(struct aof *l, bool publish);
/* Name for the next base, RDB, while it is written: relative to dir_fd.  Stable until published. */
int aof_base_temp_name(const struct aof *l, struct bytes *out);
/* The temp file, complete and synced, of SIZE bytes, becomes the base: everything before the incr that aof_switch() made is history.
 * An error with `unsure`: the base counts, but nothing before it may go yet. */
int aof_publish_base(struct aof *l, uint64_t size);
/* Whether a start that opens DIRNAME in DATA_FD would find the incr that is written, and the manifest.  False for sure only. */
bool aof_is_there(const struct aof *l, int data_fd, const char *dirname);
/* Bytes of base and incrs. */
uint64_t aof_total_size(const struct aof *l);

#endif
