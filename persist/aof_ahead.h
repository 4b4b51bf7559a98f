/* aof_ahead.h -- the commands of a log, parsed some way ahead of whoever applies them, so that the loader can fetch the places of their keys
 * meanwhile (loader_expect()).
 *
 *      file    ... [applied] [last taken] [parsed] [parsed] .. AOF_AHEAD at most .. [parsed]  not looked at ...
 *
 * What stands at an offset does not depend on what stood before it, so reading ahead changes nothing but the time: lines that begin with '#'
 * are stepped over, and at the first thing that is no whole command the reading ahead stops until the reader has come there by itself.
 * One thread. */
#ifndef KVFS_PERSIST_AOF_AHEAD_H
#define KVFS_PERSIST_AOF_AHEAD_H

#include "persist/resp.h"
#include "store/load.h"

enum { AOF_AHEAD = LOADER_AHEAD, AOF_AHEAD_RING = AOF_AHEAD * 2 };

struct aof_ahead_command {
	struct resp_command c;
	size_t at, end;             /* in the file */
};

/* {.data, .len, .l} is a valid empty one. */
struct aof_ahead {
	const char *data;           /* the file, borrowed */
	size_t len;
	struct loader *l;           /* borrowed; told of keys; NULL: nobody is */
	struct aof_ahead_command ring[AOF_AHEAD_RING];  /* owned memory, reused */
	unsigned head, tail;        /* parsed, taken so far */
	size_t pos;                 /* parsed up to here */
	bool stopped;               /* until the reader is there */
};

/* The command at AT, as resp_parse() has it; *RET_END is where it ends.  RET is borrowed until the next call. */
int aof_ahead_parse(struct aof_ahead *w, size_t at, struct resp_command *ret, size_t *ret_end, const char **ret_why);
void aof_ahead_fini(struct aof_ahead *w);

extern const struct resp_limits aof_ahead_limits;   /* none: a file is as large as it is */

#endif
