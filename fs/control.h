/* control.h -- the control socket: kvfs.sock in the data directory, speaking RESP to kvfs-ctl and to any redis-cli.
 *
 * One thread serves all clients with poll(2); nothing a client does or leaves undone makes another wait: sockets never block, buffers and
 * the number of clients are bounded, and a client that does not read its replies is not read from (session.h).  A reply that
 * has to wait (a save, a change that is to be kept) does not hold the thread either: pending.h.
 *
 * The socket has mode 0600, and each peer's uid is asked of the kernel: root and the daemon's own user may talk, nobody else.
 *
 * Locks: the calls below from one thread.  Whatever else struct control holds belongs to its own thread.                             */
#ifndef KVFS_FS_CONTROL_H
#define KVFS_FS_CONTROL_H

#include "fs/config.h"
#include "persist/persist.h"

struct stats;
struct notify;
struct guard;
struct stop;
struct control;

#define CONTROL_SOCKET "kvfs.sock"

enum {
	CONTROL_CLIENTS_MAX = 64,
	CONTROL_IDLE_MAX_S = 60,   /* when all places are taken, a client that was silent for longer gives up its own */
};

/* What it serves; everything borrowed until control_stop(). */
struct control_env {
	struct config *config;     /* only the control thread changes it while the daemon runs */
	struct keyspace *ks;
	struct persist *persist;
	struct stats *stats;
	struct notify *notify;     /* NULL: no kernel to tell */
	struct guard *guard;       /* NULL: nobody looks at what the machine has left */
	const char *mountpoint;
	struct stop *stop;         /* for SHUTDOWN */
	/* CONFIG SET has changed CONFIG: whoever goes by it gets what it says now.  By the control thread. */
	void (*configured)(void *ctx);
	void *configured_ctx;
	int dir_fd;                /* of the data directory, which the caller has locked: a socket there is a dead one's */
};

/* Listens before it returns.  0, or a negative errno with E set. */
int control_start(const struct control_env *env, struct error *e, struct control **ret);
/* Ends the thread, closes all clients, removes the socket.  What replies wait for may end later.  NULL is fine. */
void control_stop(struct control *c);

#endif
