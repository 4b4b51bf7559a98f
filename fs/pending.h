/* pending.h -- replies on the control socket that come later: when a save has ended, when a change is kept.
 *
 * A reply and its client part company: the client may go before what it waits for has happened, and the control thread may end before
 * another thread calls back.  So a reply that comes later is an object of its own, and the place where it is handed over is counted:
 * the control thread and each reply under way hold it.
 *
 *      pending_new() -- given to persist or notify --+-- 1, parked: called back once, pending_done() --> pending_take()
 *                                                    +-- nothing to wait for: pending_free()
 *
 * Locks: P, of the place, a leaf.  pending_done() from any thread, the rest by the control thread.                                   */
#ifndef KVFS_FS_PENDING_H
#define KVFS_FS_PENDING_H

#include "fs/notify.h"
#include "persist/bytes.h"
#include "persist/persist.h"

struct pending_place;
struct pending;

/* Writes the reply: ERR is how it ended, NUMBER what the command left.  0 or -ENOMEM. */
typedef int pending_reply_fn(int64_t number, int err, struct bytes *out);

struct pending {
	struct persist_waiter waiter;    /* for persist to call back */
	struct notify_waiter told;       /* for notify; then the change with SEQ is waited for */
	struct persist *persist;         /* borrowed; only for TOLD, as SEQ */
	uint64_t seq;
	struct pending_place *place;     /* private */
	struct pending *next;            /* private */
	void *client;                    /* of the control thread; NULL when it has gone */
	pending_reply_fn *reply;
	int64_t number;
	int err;                         /* good when it was taken */
};

/* 0 or a negative errno. */
int pending_place_new(struct pending_place **ret);
void pending_place_unref(struct pending_place *place);
/* Readable when there is something to take, or somebody called pending_wake(). */
int pending_wake_fd(const struct pending_place *place);
void pending_wake(struct pending_place *place);

/* Owned by the caller until it is parked.  NULL: no memory. */
struct pending *pending_new(struct pending_place *place, void *client, pending_reply_fn *reply, int64_t number);
/* It is not parked, or it was taken.  NULL is fine. */
void pending_free(struct pending *p);
/* What it waits for has ended with ERR. */
void pending_done(struct pending *p, int err);
/* All that have ended, as a list by next, in no order; each to be freed. */
struct pending *pending_take(struct pending_place *place);

#endif
