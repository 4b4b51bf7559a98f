/* session.h -- one client of the control socket, without the socket: bytes in, commands run, bytes out.
 *
 *      reading     takes what comes, runs each whole command, gathers replies
 *      full        SESSION_OUT_MAX bytes of replies wait to be sent: nothing is run nor read until some of them went
 *      waiting     a reply comes later: the commands behind it stay where they are, so that replies keep the order of the commands
 *      closing     QUIT or a protocol error: what is in OUT is sent, nothing more is read
 *      monitoring  after MONITOR, beside any of these: lines come, too
 *
 * Memory: SESSION_IN_MAX, twice SESSION_OUT_MAX and one reply more; with MONITOR twice MONITOR_OUT_MAX more.  No locks: its thread's own.                                            */
#ifndef KVFS_FS_SESSION_H
#define KVFS_FS_SESSION_H

#include "fs/commands.h"

enum {
	SESSION_ARGS_MAX = 128,
	SESSION_ARG_MAX = 16 << 10,
	SESSION_IN_MAX = 64 << 10,   /* bytes of the largest command, and of what is read ahead */
	SESSION_OUT_MAX = 256 << 10,
};

struct session {
	struct bytes in, out;
	size_t sent;                 /* bytes of OUT that are out */
	struct resp_command command;
	bool waiting, closing;
	struct monitor *monitor;     /* it is attached to; NULL: to none */
};

/* {0} is a fresh one. */
void session_fini(struct session *s);
/* How many bytes it would take now; 0: do not read. */
size_t session_room(const struct session *s);
/* Takes LEN bytes (at most session_room()) and runs what is whole.  CLIENT is handed to the commands.  0; -ENOMEM: close it. */
int session_take(struct session *s, const struct command_env *ce, void *client, const char *data, size_t len);
/* What is to be sent, and that N bytes of it were.  Sending makes room: what waited behind a full OUT is run.  0; -ENOMEM: close it. */
size_t session_pending(const struct session *s, const char **ret_data);
int session_sent(struct session *s, const struct command_env *ce, void *client, size_t n);
/* What it waits for has ended: P, borrowed, writes the reply. */
int session_resume(struct session *s, const struct command_env *ce, void *client, const struct pending *p);

/* Lines for one that is monitoring.  What would make more than MONITOR_OUT_MAX bytes wait, or LOST (some are missing before these), ends it: it
 * is told so behind the line that is being sent, and is closing.  0; -ENOMEM: close it. */
int session_feed(struct session *s, const struct command_env *ce, const struct bytes *lines, bool lost);

#endif
