/* config.h -- every setting, in one table.
 *
 * The table (config.c) gives each option its section, name, type, unit, bounds, default, whether it can change at run time and one line of
 * help.  It drives kvfs.ini (through inih), `-o`, CONFIG GET and SET, `--help`, and a test holds kvfs.ini and the manual equal to it.
 * Redis's directives keep Redis's names, units and defaults.  Sections only group: any section name is accepted, key names are unique.
 *
 * A value read from outside is either in its bounds or refused, with where it stood and what is allowed:
 *      kvfs: kvfs.ini:12: appendfsync: "sometimes" is not one of always, everysec, no
 *
 * Not thread-safe: read before the threads start, afterwards the control thread is the only one that calls.                         */
#ifndef KVFS_FS_CONFIG_H
#define KVFS_FS_CONFIG_H

#include "persist/persist.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_VERBOSE, LOG_LEVEL_NOTICE, LOG_LEVEL_WARNING };  /* Redis's loglevel */

struct config {
	struct persist_config persist;  /* its strings are owned here */
	char *dir, *dbfilename, *appenddirname, *appendfilename, *journal_dir;  /* owned */
	char *mount_options;            /* owned; the kernel's own words out of `-o`, as "ro,nosuid,nodev"; "" for none */
	char *logfile;                  /* owned; "": standard error with -f, else syslog */
	enum log_level loglevel;
	uint64_t maxmemory;             /* bytes, 0: no limit */
	uint64_t value_max;             /* bytes */
	int threads;                    /* readers of /dev/fuse */
	int64_t spin_us;                /* a reader polls that long after a request before it sleeps; 0: never */
	bool latency;                   /* hold a PM-QoS request while requests keep coming */
	bool allow_other;               /* other users may enter (root's default: yes) */
	int64_t start_timeout_s;        /* wait that long for a daemon that is still saving in the same directory */
};

enum {
	CONFIG_FILE_MAX = 1 << 20,      /* bytes of an ini file */
	CONFIG_LINE_MAX = 8000,         /* bytes of one line of it */
};

/* Defaults.  -ENOMEM. */
int config_init(struct config *c);
void config_fini(struct config *c);
/* Reads an ini file; a relative `dir` in it is relative to the file.  The first error ends it: file, line, what is allowed.  A key that is
 * given twice is one. */
int config_read_file(struct config *c, const char *path, struct error *e);
/* The same from memory: WHERE is what messages call it.  BASE: what a relative `dir` is relative to; NULL leaves it. */
int config_read_text(struct config *c, const char *text, size_t len, const char *where, const char *base, struct error *e);
/* "key=value,key=value"; a comma in a value is written "\,", a backslash "\\"; a boolean alone means yes; '_' may stand for '-'.  Words that
 * mount(8) and fstab(5) own (nofail, _netdev, noauto, user, x-*, ...) are swallowed, those of the kernel gathered in mount_options. */
int config_set_options(struct config *c, const char *options, struct error *e);
/* NAME in any case.  -ENOENT: no such option; -EINVAL; -ENOMEM.  After an error nothing has changed. */
int config_set(struct config *c, const char *name, const char *value, struct error *e);
/* As CONFIG SET, with Redis's words: -ENOENT: no such option; -EPERM: cannot change while running; -EINVAL. */
int config_set_running(struct config *c, const char *name, const char *value, struct error *e);
/* Calls EACH for every option whose name matches the glob PATTERN (case-insensitive), value printed as Redis prints it.  Hidden options are
 * found by their whole name only.  0 or -ENOMEM. */
int config_each(const struct config *c, const char *pattern, void (*each)(void *ctx, const char *name, const char *value), void *ctx);
/* One line an option for `kvfs --help`.  STREAM is a FILE. */
void config_print_help(void *stream);

#endif
