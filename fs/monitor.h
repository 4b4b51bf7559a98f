/* monitor.h -- MONITOR: each change as it happens, as a line of Redis's.
 *
 *      +1699999999.123456 [0 unix:/mnt/kv] "SET" "key" "value"
 *
 * In Redis's quoting.  Where Redis names the client stands the mount point.  Changes for which Redis has a command are shown as that
 * command: SET, APPEND, SETRANGE, DEL, RENAME, PEXPIREAT, PERSIST.  The others have words of their own: MKDIR, RMDIR, SYMLINK, MKNOD, LINK,
 * UNLINK, EXCHANGE, TRUNCATE, ZERO, COPYRANGE, CHMOD, CHOWN, UTIMENS, SETXATTR, REMOVEXATTR.  A create or a cut to nothing and the write
 * that follows at once are one SET, as in the log.
 *
 *      a change, under S --> record in a buffer of MONITOR_BUFFER_MAX bytes --> every MONITOR_TICK_MS the control thread makes lines of them
 *
 * A writer never waits and never wakes anybody for it: it copies keys and at most MONITOR_ARG_MAX bytes of a value ("... (N more bytes)"
 * stands for the rest, as in Redis's SLOWLOG); what finds no room is lost, and the next monitor_take() says so.  Without a client nothing
 * is recorded, and there is no buffer.
 *
 * Locks: M, of the buffer, after S.  All calls by the control thread.                                                                  */
#ifndef KVFS_FS_MONITOR_H
#define KVFS_FS_MONITOR_H

#include "persist/bytes.h"
#include "store/keyspace.h"

#include <stdbool.h>

enum {
	MONITOR_ARG_MAX = 1024,
	MONITOR_BUFFER_MAX = 2 << 20,
	MONITOR_OUT_MAX = 8 << 20,      /* bytes of lines that wait for one client: a slower one is dropped */
	MONITOR_CLIENTS_MAX = 8,
	MONITOR_TICK_MS = 10,
	MONITOR_HOLD_MS = 100,          /* a create waits so long for its write, as in the log */
};

struct monitor;

/* KS is borrowed; DB and MOUNTPOINT for the lines.  NULL: no memory. */
struct monitor *monitor_new(struct keyspace *ks, int64_t db, const char *mountpoint);
/* No client is left.  NULL is fine. */
void monitor_free(struct monitor *m);

/* A client comes: 0; -EUSERS: there are too many; -ENOMEM.  And goes. */
int monitor_attach(struct monitor *m);
void monitor_detach(struct monitor *m);
bool monitor_is_on(const struct monitor *m);

/* Appends the lines of what has happened since the last time, at NOW_NS (CLOCK_REALTIME).  *RET_LOST: there was more than the buffer holds.
 * 0 or -ENOMEM. */
int monitor_take(struct monitor *m, int64_t now_ns, struct bytes *lines, bool *ret_lost);

#endif
