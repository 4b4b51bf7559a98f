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
#include "store/evict.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_VERBOSE, LOG_LEVEL_NOTICE, LOG_LEVEL_WARNING };  /* Redis's loglevel */

struct config {
	struct persist_config persist;  /* its strings are owned here */
	char *dir, *dbfilename, *appenddirname, *appendfilename, *journal_dir;  /* owned */
	char *file;                     /* owned; absolute path of the ini file that was read; NULL: none */
	char *mount_options;            /* owned; the kernel's own words out of `-o`, as "ro,nosuid,nodev"; "" for none */
	bool devices;                   /* `dev` among them, and no `nodev` behind it */
	enum atime_rule atime;          /* what `noatime`, `relatime` and `strictatime` say of it */
	bool nodiratime;                /* and `nodiratime` of directories */
	char *logfile;                  /* owned; "": standard error with -f, else syslog */
	enum log_level loglevel;
	int64_t maxmemory;              /* bytes, 0: no limit; below 0: so many percent of what the machine or the control group has */
	enum evict_policy policy;       /* maxmemory-policy */
	int samples;                    /* maxmemory-samples */
	char *memory_root;              /* owned; for tests: meminfo.h; "" else */
	uint64_t value_max;             /* bytes */
	int threads;                    /* readers of /dev/fuse */
	bool io_uring;                  /* take requests by io_uring where that is possible */
	int64_t spin_us;                /* a reader polls that long after a request before it sleeps; 0: never */
	bool latency;                   /* hold a PM-QoS request while requests keep coming */
	bool allow_other;               /* other users may enter (root's default: yes) */
	char *until;                    /* owned; the moment to look at, as when.h reads it; "": none */
	bool xattr;                     /* extended attributes */
	bool acl;                       /* and POSIX ACLs, with xattr */
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
 * given twice is one.  C remembers the file, for CONFIG REWRITE. */
int config_read_file(struct config *c, const char *path, struct error *e);
/* The same from memory: WHERE is what messages call it.  BASE: what a relative `dir` is relative to; NULL leaves it. */
int config_read_text(struct config *c, const char *text, size_t len, const char *where, const char *base, struct error *e);
/* "key=value,key=value"; a comma in a value is written "\,", a backslash "\\"; a boolean alone means yes; '_' may stand for '-'.  Words that
 * mount(8) and fstab(5) own (nofail, _netdev, noauto, user, x-*, ...) are swallowed, those of the kernel gathered in mount_options. */
int config_set_options(struct config *c, const char *options, struct error *e);
/* NAME in any case.  -ENOENT: no such option; -EINVAL; -ENOMEM.  After an error nothing has changed. */
int config_set(struct config *c, const char *name, const char *value, struct error *e);
/* Whether CONFIG SET may change it, in Redis's words: -ENOENT: no such option; -EPERM: it cannot change while running. */
int config_may_change(const char *name, struct error *e);
/* One pair of a CONFIG SET, in Redis's words: as config_may_change(), and -EINVAL. */
int config_set_running(struct config *c, const char *name, const char *value, struct error *e);
/* Takes over from NEXT whatever may change while it runs.  A plain copy of a struct config may be changed by config_set_running() and
 * thrown away, since none of that is owned. */
void config_take_running(struct config *c, const struct config *next);
/* Calls EACH for every option whose name matches the glob PATTERN (case-insensitive), value printed as Redis prints it.  Hidden options are
 * found by their whole name only.  0 or -ENOMEM. */
int config_each(const struct config *c, const char *pattern, void (*each)(void *ctx, const char *name, const char *value), void *ctx);
/* As maxmemory-policy has it. */
const char *config_policy_word(enum evict_policy policy);
/* Whether it is to be looked at only: `ro` among the mount options, or `until`. */
bool config_is_view(const struct config *c);
/* One line an option for `kvfs --help`.  STREAM is a FILE. */
void config_print_help(void *stream);

#endif
