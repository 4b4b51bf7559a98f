/* check_one.h -- between the files of check: one file is looked at, talked about and, if that is asked for, repaired. */
#ifndef KVFS_PERSIST_CHECK_ONE_H
#define KVFS_PERSIST_CHECK_ONE_H

#include "persist/check.h"

#include <stdint.h>

/* A run. */
struct check {
	const struct check_options *o;
	struct error *e;
	unsigned found;              /* so far */
};

struct check_spot {
	int dir_fd;
	const char *name;            /* in there */
	const char *shown;           /* as lines call it */
};

enum check_role { ROLE_DUMP, ROLE_BASE, ROLE_INCR, ROLE_ALONE };

/* What goes from file to file of a log. */
struct check_chain { uint64_t last_seq, lineage; };

enum check_counts {
	COUNTS_ALL,                  /* also when only its checksum is wrong */
	COUNTS_UP_TO,                /* the damage: what is written behind that can't count */
	COUNTS_MISSING,              /* there is no such file; left to the caller to count as damage */
	COUNTS_UNKNOWN,              /* it could not be looked at, or is not for kvfs */
};

void check_say(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Notes that something could not be looked at; the first reason stays. */
void check_failed(struct check *c, const struct check_spot *s, const struct error *why);

/* IS_LAST: nothing of the same log follows. */
enum check_counts check_one(struct check *c, const struct check_spot *s, enum check_role role, bool is_last, struct check_chain *chain);
/* A file behind a lost one: whether its batches go on behind CHAIN all the same; else says what is whole in it and does not count. */
bool check_goes_on(struct check *c, const struct check_spot *s, const struct check_chain *chain);
void check_say_lost(struct check *c, const struct check_spot *s);
/* Cuts " (kvfs-ctl check DIR tells more)" off, which helps nobody here. */
void check_drop_advice(struct error *e);
/* What was done to S, or that it could not be done. */
void check_fixed(struct check *c, const struct check_spot *s, int err, const char *kept, struct error *why);

#endif
