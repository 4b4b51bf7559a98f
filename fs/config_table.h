/* config_table.h -- the one table of settings.  For config*.c and for the tests that hold kvfs.ini and the manual equal to it. */
#ifndef KVFS_FS_CONFIG_TABLE_H
#define KVFS_FS_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
	CONFIG_BOOL,      /* yes, no */
	CONFIG_ROOT_BOOL, /* yes, no, auto: yes for root */
	CONFIG_INT,
	CONFIG_MEMORY,    /* bytes, with Redis's units */
	CONFIG_CHOICE,    /* one of CHOICES */
	CONFIG_TEXT,      /* may be empty when MIN is 0; MAX bytes */
	CONFIG_FILENAME,  /* a name without '/' */
	CONFIG_SAVE,      /* "<seconds> <changes> ..." */
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
	bool runtime;                /* CONFIG SET may change it; never a TEXT or FILENAME */
	bool hidden;                 /* for tests: not in kvfs.ini, the manual, --help, nor behind a pattern */
	const struct config_choice *choices;  /* CHOICE: in the order of messages */
	size_t offset, size;         /* of the member of struct config */
	const char *help;
};

extern const struct config_option config_table[];
extern const size_t config_table_count;

/* The option of that name (any case), or NULL. */
const struct config_option *config_option_find(const char *name, size_t len);

#endif
