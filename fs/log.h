/* log.h -- the daemon's log: one line an event, as Redis writes it.
 *
 *      4711:M 22 Nov 2026 07:22:01.123 * Background saving started          to a file; each line is one write(2)
 *      kvfs: Background saving started                                      to standard error (-f), and to syslog without "kvfs:"
 *      <5>Background saving started                                         to standard error when that is systemd's journal
 *
 * Marks: # warning, * notice, - verbose, . debug.  Lines below the level are dropped.  A line is cut at LOG_LINE_MAX bytes, control
 * characters in it are shown as '?', so that a name from outside cannot forge a line.
 *
 * While the program still has its terminal (log_set_starting), warnings are shown there as well, wherever the log goes.
 *
 * Locks: none; every call from any thread.                                                                                        */
#ifndef KVFS_FS_LOG_H
#define KVFS_FS_LOG_H

#include "fs/config.h"

#include <stdarg.h>
#include <stdatomic.h>

enum { LOG_LINE_MAX = 4096 };

enum log_target { LOG_TO_STDERR, LOG_TO_SYSLOG, LOG_TO_FILE };

struct log {
	enum log_target target;   /* C */
	int fd;                   /* C  LOG_TO_FILE; else -1 */
	bool journal;             /* C  standard error is systemd's journal */
	_Atomic int level;        /* a  enum log_level */
	_Atomic bool starting;    /* a */
};

/* LOGFILE as in the config: a path (made if missing), or "" for standard error (FOREGROUND) or syslog.  0, or a negative errno with E
 * set. */
int log_open(struct log *l, const char *logfile, bool foreground, enum log_level level, struct error *e);
void log_close(struct log *l);
void log_set_level(struct log *l, enum log_level level);
void log_set_starting(struct log *l, bool starting);

/* One line, without newline. */
void log_line(struct log *l, enum log_level level, const char *text);
void log_printf(struct log *l, enum log_level level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
