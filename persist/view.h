/* view.h -- a data set as it is, or as it was at a moment, read beside whoever writes it: no lock is taken, and nothing near it is
 * written, cut, made or unlinked.
 *
 *      SOURCE is                      then this is read
 *      a data directory               as a start reads it (recover.h): the log, else the single log of older servers, else the dump
 *      a directory with a manifest    that log
 *      a manifest                     that log
 *      an RDB file, a log file        that file
 *
 * A dump of the same keyspace that goes on where its log ends counts instead, as at a start.
 *
 * The state is that after the last change that counts: with `until`, after the last that is not later.  In our stretches of a log the time
 * of a batch is its seal's; in Redis's the #TS: lines decide, and what has none was there when its file was written last, and is refused when
 * that was later; a dump and a base are of the moment in which they were begun.  A torn end is where the writer was, no damage.
 *
 * The clock of a view stands still at its moment (ret->clock_ns): keys that were over then are not there, the others stay.           */
#ifndef KVFS_PERSIST_VIEW_H
#define KVFS_PERSIST_VIEW_H

#include "persist/bytes.h"
#include "persist/error.h"
#include "persist/persist.h"

struct view {
	int64_t time_ns;               /* of the last change that counts, as far as the files tell; else when the file was written last */
	uint64_t last_seq;             /* of the last batch that counts; 0: none */
	uint64_t keys;
	int64_t clock_ns;              /* see above */
	struct bytes report;           /* lines for people: which moment, what was left out.  Owned, terminated. */
};

enum view_file { VIEW_NO_FILE, VIEW_RDB, VIEW_LOG, VIEW_MANIFEST };

/* What the file at PATH is by its first bytes, a manifest by its name; VIEW_NO_FILE: nothing that can be viewed (an ini file), or it can't
 * be read. */
enum view_file view_classify(const char *path);

/* Loads what is at PATH into KS.  C names the files of a data directory and says what to do with other types; UNTIL_NS 0: as it is.
 * 0; or a negative errno with E set, and KS is to be thrown away: -ERANGE: nothing is known of a moment so early; -ENODATA: the files have
 * no times; -ENOENT: nothing to view. */
int view_load(const char *path, const struct persist_config *c, int64_t until_ns, struct keyspace *ks, const struct persist_port *port,
              struct view *ret, struct error *e);
void view_fini(struct view *v);

#endif
