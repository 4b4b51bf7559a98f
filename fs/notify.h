/* notify.h -- tells the kernel what it cannot know: keys that vanished without its doing (expiry), and calls that failed although they
 * changed something (the change is in memory, and could not be made to last).
 *
 * The kernel keeps entries and attributes for ever, so both have to be told.  Telling can block on a directory that a process holds
 * while it waits for an answer of ours: so it is done by a thread of its own, which serves no request and holds no lock.
 *
 *      log thread -- notify_gone() --> queue --> notify thread --> FUSE_NOTIFY_DELETE; a name the kernel does not know may still
 *                                                                  stand in its copy of the directory: FUSE_NOTIFY_INVAL_INODE
 *
 * Life: notify_start() before the first key can expire; notify_stop() while requests are still served; notify_free() when nobody calls
 * notify_gone() any more.
 * Memory: the names not yet told, NOTIFY_QUEUE_MAX of them at most; one that does not fit is shown by the kernel until it drops the
 * entry by itself, which the log says once.
 * Locks: Q, the queue's own.                                                                                                        */
#ifndef KVFS_FS_NOTIFY_H
#define KVFS_FS_NOTIFY_H

#include "fs/log.h"
#include "fs/stats.h"

#include <stddef.h>

struct fuse_session;
struct notify;

enum { NOTIFY_QUEUE_MAX = 1 << 20 };

/* SE, STATS and LOG are borrowed.  0 or a negative errno. */
int notify_start(struct fuse_session *se, struct stats *stats, struct log *log, struct notify **ret);
/* Ends the thread; what is queued, and what comes later, is told to nobody.  NULL is fine, as below. */
void notify_stop(struct notify *n);
void notify_free(struct notify *n);
/* NAME (LEN bytes) of directory PARENT, node ID, has gone.  Never waits. */
void notify_gone(struct notify *n, uint64_t parent, const char *name, size_t len, uint64_t id);
/* What the kernel knows of node ID, or of NAME in PARENT, may be wrong.  Never waits. */
void notify_stale_node(struct notify *n, uint64_t id);
void notify_stale_name(struct notify *n, uint64_t parent, const char *name, size_t len);

#endif
