/* stop.h -- when the daemon ends: who asks for it, and the saving that comes first, while the mount still serves.
 *
 *      umount(2)                     it ends: there is no way back
 *      SIGTERM, SIGINT, SHUTDOWN     what is not on disk is written first; when that can't be done it is tried again for shutdown-timeout
 *                                    seconds, and then the daemon goes on, says so in its log and tells who asked
 *      SHUTDOWN NOSAVE               nothing is saved first
 *      NOW, FORCE, ABORT             no second try; it ends all the same; it goes on after all
 *      a second SIGTERM or SIGINT    while it is tried: it ends with what is on disk
 *
 * Locks: R, a leaf.  stop_request() and stop_abort() from any thread, the rest from one.                                             */
#ifndef KVFS_FS_STOP_H
#define KVFS_FS_STOP_H

#include "fs/log.h"
#include "persist/persist.h"

struct stop;

struct stop_request {
	enum persist_final_save save;
	bool now, force;
	struct persist_waiter *waiter;   /* called once: with an error when the daemon goes on, with 0 when all is over.  NULL: nobody */
};

/* Takes SIGTERM and SIGINT: from here on no thread that is started sees one.  LOG is borrowed.  0 or a negative errno. */
int stop_new(struct log *log, struct stop **ret);
/* After everybody else has ended.  NULL is fine. */
void stop_free(struct stop *st);

/* Takes note, no more; a second request while one is tried adds its words to it. */
void stop_request(struct stop *st, const struct stop_request *r);
/* False: nobody has asked for the end. */
bool stop_abort(struct stop *st);

/* What is left to do for persist_stop(). */
struct stop_how {
	enum persist_final_save save;
	bool try_again;
};
/* Returns when the daemon is to end.  P NULL: there is nothing to save.  ENDED_FD is readable when it was unmounted.  ON_TRY is told before a
 * stop is tried, and when the daemon goes on after all. */
void stop_wait(struct stop *st, struct persist *p, int ended_fd, void (*on_try)(void *ctx, bool trying), void *ctx, struct stop_how *ret);

#endif
