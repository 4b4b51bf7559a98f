/* notify.h -- tells the kernel what it cannot know: keys that vanished or got an expiry without its doing (their time was over, a command on
 * the control socket), and calls that failed although they changed something (the change is in memory, and could not be made to last).
 *
 * The kernel keeps entries and attributes for ever, but those of keys with an expiry (reply.h), so both have to be told.  Telling can block
 * on a directory that a process holds while it waits for an answer of ours: so it is done by a thread of its own, which serves no request
 * and holds no lock.  Who needs to know that the kernel has been told is called back.
 *
 *      log thread, control thread --> queue --> notify thread --> gone, known to the kernel:  FUSE_NOTIFY_DELETE
 *                                                                 gone, known by another name too:  FUSE_NOTIFY_INVAL_ENTRY and _INODE
 *                                                                 gone, not known:            its copy of the directory is dropped
 *                                                                 timed:                      FUSE_NOTIFY_INVAL_ENTRY (expire only) and _INODE
 *
 * Values are never pushed into the kernel's cache (FUSE_NOTIFY_STORE): that knows of no order with a write whose request is on its way, which has
 * put its bytes into the cache already.  The older ones then stay there for ever (tried, Linux 6.18).
 *
 * Life: notify_start() before the first key can expire; notify_stop() while requests are still served; notify_free() when nobody calls
 * notify_gone() any more.
 * Memory: the names not yet told, NOTIFY_QUEUE_MAX of them at most; whoever removes many keys asks notify_is_busy() first.  What does not
 * fit is shown by the kernel until it drops it by itself, which the log says once.
 * Locks: N, the queue's own.                                                                                                        */
#ifndef KVFS_FS_NOTIFY_H
#define KVFS_FS_NOTIFY_H

#include "fs/log.h"
#include "fs/stats.h"
#include "store/keyspace.h"

#include <stddef.h>

struct fuse_session;
struct notify;

enum {
	NOTIFY_QUEUE_MAX = 1 << 16,
	NOTIFY_BUSY = 1 << 12,
	NOTIFY_FULL = 1 << 15,
};

struct notify_waiter {
	/* Called once, by the notify thread or the one that stops it, no lock held: the kernel knows. */
	void (*done)(struct notify_waiter *w);
};

/* SE, STATS and LOG are borrowed.  0 or a negative errno. */
int notify_start(struct fuse_session *se, struct stats *stats, struct log *log, struct notify **ret);
/* Ends the thread; what is queued, and what comes later, is told to nobody.  NULL is fine, as below: nobody to tell. */
void notify_stop(struct notify *n);
void notify_free(struct notify *n);
/* So much is queued that no more keys may be evicted. */
bool notify_is_full(struct notify *n);
/* So much is queued that whoever has more of it to come should wait. */
bool notify_is_busy(struct notify *n);
/* A key has gone from PLACE; got an expiry there.  W may be NULL.  Never waits.  Returns 0: nothing to wait for, W is not used; 1: W is
 * called. */
int notify_gone(struct notify *n, const struct keyspace_place *place, struct notify_waiter *w);
/* Likewise, and its node, which the kernel may hold, is no more. */
void notify_evicted(struct notify *n, const struct keyspace_place *place);
int notify_timed(struct notify *n, const struct keyspace_place *place, struct notify_waiter *w);
/* What the kernel knows of node ID, or of NAME in PARENT, may be wrong.  Never waits. */
void notify_stale_node(struct notify *n, uint64_t id);
void notify_stale_name(struct notify *n, uint64_t parent, const char *name, size_t len);

#endif
