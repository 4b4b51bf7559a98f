/* config_table.h -- the one table of settings.  For config*.c and for the tests that hold kvfs.ini and the manual equal to it. */
#ifndef KVFS_FS_CONFIG_TABLE_H
#define KVFS_FS_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes;
struct config;
struct error;

enum { CONFIG_OPTIONS_MAX = 64 };  /* rows of the table, at most */

enum config_type {
	CONFIG_BOOL,      /* yes, no */
	CONFIG_ROOT_BOOL, /* yes, no, auto: yes for root */
	CONFIG_INT,
	CONFIG_MEMORY,    /* bytes, with Redis's units */
	CONFIG_MEMORY_SHARE,  /* likewise, or a percentage of what there is, which is kept as a number below 0 */
	CONFIG_CHOICE,    /* one of CHOICES */
	CONFIG_TEXT,      /* may be empty when MIN is 0; MAX bytes */
	CONFIG_FILENAME,  /* a name without '/' */
	CONFIG_SAVE,      /* "<seconds> <changes> ..." */
};

enum config_change {         /* whether CONFIG SET may change it */
	CONFIG_IMMUTABLE,
	CONFIG_RUNTIME,      /* never a TEXT or FILENAME: others borrow these strings */
	CONFIG_PROTECTED,    /* no, and Redis calls it so: it is for the administrator alone */
};

struct config_choice {
	const char *word;            /* NULL: the end */
	int value;
};

struct config_option {
	const char *section;         /* in kvfs.ini; only groups */
	const char *name;
	enum config_type type;
	const char *unit;            /* "us", "s", "%", "bytes" or "" */
	int64_t min, max;            /* INT, MEMORY: of the value; TEXT, FILENAME: of its length */
	const char *def;
	enum config_change change;
	bool hidden;                 /* for tests: not in kvfs.ini, the manual, --help, nor behind a pattern */
	const struct config_choice *choices;  /* CHOICE: in the order of messages */
	size_t offset, size;         /* of the member of struct config */
	const char *help;
};

extern const struct config_option config_table[];
extern const size_t config_table_count;

/* The option of that name (any case), or NULL. */
const struct config_option *config_option_find(const char *name, size_t len);
/* Appends the value of O in C as CONFIG GET prints it, not terminated.  -ENOMEM. */
int config_print_option(const struct config *c, const struct config_option *o, struct bytes *out);
/* Appends the whole of an ini file.  A negative errno with E set: also -EISDIR, -EFBIG. */
int config_file_bytes(const char *path, struct bytes *ret, struct error *e);

#endif
