/* uring.h -- requests that come by io_uring instead of read(2) of /dev/fuse, where libfuse (3.18) and the kernel (6.14, with fuse.enable_uring=1)
 * have that.
 *
 * libfuse then runs a thread a CPU, which takes the requests of the processes on that CPU and sends each reply with the next call into the
 * kernel.  Measured with libfuse 3.19-rc and Linux 6.18 on 2 CPUs, us an overwrite and a write(2), by /dev/fuse and by io_uring:
 *
 *      clients        1            2            4            8
 *      overwrite      46   58      36   29      30   26      26   27
 *      write(2)       26   36      20   15      15   14      14   12 to 15
 *
 * One alone is slower, since it and the thread share a CPU where a polling reader (loop.h) has one of its own.  So it is for who asks for it.  Left to
 * our readers is what still comes by /dev/fuse: INIT, FORGET, and everything where any of this is missing.
 *
 *      kernel --- ring of a CPU --- libfuse's thread --- a handler of uring_table: counted, through the gate --- op_*
 *             `-- /dev/fuse ------- reader (loop.c), who counts ------------------ the same handler ---------- op_*
 *
 * A reply that is parked keeps its place in the ring of its CPU.  There are URING_DEPTH of them; who comes when all are taken waits for one of these
 * replies.  Each place has a buffer for the largest message, so messages are smaller than by /dev/fuse.
 *
 * The gate: libfuse has no call that ends its threads while the session lives.  So at the stop the gate is closed: who is inside is waited for, who comes
 * later gets ENOTCONN without a look at the keyspace, and the threads end with the session (mount_close()).
 *
 * Lock: U, for who waits at the gate; nothing is taken under it.                                                                       */
#ifndef KVFS_FS_URING_H
#define KVFS_FS_URING_H

#include "fs/ops.h"

#include <pthread.h>

enum {
	URING_DEPTH = 16,             /* requests of one CPU at a time */
	URING_MESSAGE_MAX = 256 << 10,  /* bytes of data; by /dev/fuse a MiB */
};

/*  a  atomic   U  lock  */
struct uring {
	_Atomic int inside;           /* a  handlers that run */
	_Atomic bool closed;          /* a  only becomes true */
	pthread_mutex_t lock;
	pthread_cond_t empty;         /* U */
};

/* Whether this program was built with a libfuse that can. */
bool uring_is_built(void);
/* Why requests will be read all the same; NULL: they will not. */
const char *uring_obstacle(void);
/* "io_uring,...": what fuse_session_new() has to be told. */
const char *uring_options(void);
/* The handlers of ops_table, for a session whose ops_env has a struct uring. */
extern const struct fuse_lowlevel_ops uring_table;

void uring_init(struct uring *u);
void uring_fini(struct uring *u);
/* Into the gate, unless it is closed; and out. */
bool uring_enter(struct uring *u);
void uring_leave(struct uring *u);
/* Closes the gate, and returns when nobody is inside. */
void uring_close(struct uring *u);
/* Ends libfuse's threads; afterwards no reply may be sent. */
void uring_end_threads(struct fuse_session *se);

#endif
