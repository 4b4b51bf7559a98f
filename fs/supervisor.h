/* supervisor.h -- what is told to the service manager that started us (systemd, Type=notify): a datagram of "KEY=VALUE" lines to the socket
 * that NOTIFY_SOCKET names; see sd_notify(3).
 *
 *      loading     STATUS=Loading: 52%, 1204112 keys      each second, with EXTEND_TIMEOUT_USEC
 *      ready       READY=1
 *      saving      EXTEND_TIMEOUT_USEC, each second in which something more was written: by a thread, since the main one is writing
 *      stopping    STOPPING=1
 *
 * Who gets nowhere asks for no more time, and is ended when the unit's own timeout is over.
 *
 * Locks: V (of this file alone, a leaf).  supervisor_watch() and supervisor_unwatch() by the main thread.                          */
#ifndef KVFS_FS_SUPERVISOR_H
#define KVFS_FS_SUPERVISOR_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct supervisor {
	int fd;                          /* C  -1: nobody to tell */
	int64_t said_ms;                 /* the main thread's: when it was last told how far a load is */
	bool watching;                   /* the main thread's: the thread runs */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool end;                        /* V */
	uint64_t (*progress)(void *ctx); /* C while it runs */
	void *ctx;
};

/* Takes NOTIFY_SOCKET out of the environment, for it is meant for this process.  ASKED no: nobody is told. */
void supervisor_open(struct supervisor *s, bool asked);
void supervisor_close(struct supervisor *s);

/* LINES are separated by newlines. */
void supervisor_tell(struct supervisor *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same as STATUS, with more time, but no more often than each second. */
void supervisor_tell_slowly(struct supervisor *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Until supervisor_unwatch(): asks for more time whenever PROGRESS, called by a thread of its own, says another number than before. */
void supervisor_watch(struct supervisor *s, uint64_t (*progress)(void *ctx), void *ctx);
void supervisor_unwatch(struct supervisor *s);

#endif
