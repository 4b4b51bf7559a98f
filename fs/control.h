/* control.h -- the control socket: kvfs.sock in the data directory, speaking RESP to kvfs-ctl and to any redis-cli.
 *
 * One thread serves all clients with poll(2); nothing a client does or leaves undone makes another wait: sockets never block, buffers and
 * the number of clients are bounded, and a client that does not read its replies is not read from (session.h).  SAVE does not hold the
 * thread either: the log thread reports its end through an eventfd.
 *
 * The socket has mode 0600, and each peer's uid is asked of the kernel: root and the daemon's own user may talk, nobody else.
 *
 * Locks: the calls below from one thread.  Whatever else struct control holds belongs to its own thread, but for the list of finished
 * saves (lock W, a leaf).                                                                                                          */
#ifndef KVFS_FS_CONTROL_H
#define KVFS_FS_CONTROL_H

#include "fs/config.h"
#include "persist/persist.h"

struct stats;
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
	const char *mountpoint;
	/* SHUTDOWN: must only take note.  May be called more than once. */
	void (*request_stop)(void *ctx, enum persist_final_save how);
	void *stop_ctx;
	int dir_fd;                /* of the data directory, which the caller has locked: a socket there is a dead one's */
};

/* Listens before it returns.  0, or a negative errno with E set. */
int control_start(const struct control_env *env, struct error *e, struct control **ret);
/* Ends the thread, closes all clients, removes the socket.  Saves under way may end later.  NULL is fine. */
void control_stop(struct control *c);

#endif
