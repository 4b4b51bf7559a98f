/* replay_db.h -- the databases of a data set while it is replayed.
 *
 * One is to be mounted and goes into the caller's keyspace.  The others are loaded too, each into a keyspace of its own, because SWAPDB,
 * MOVE and COPY can bring what they hold into the one; what is left in them at the end is counted exactly.
 *
 *      r->db        what SELECT says: anybody may set it, nothing else happens
 *      replay_enter()   makes it the one that r->l and r->tombs stand for
 *
 * One thread.  0, or a negative errno with E set.                                                                                      */
#ifndef KVFS_PERSIST_REPLAY_DB_H
#define KVFS_PERSIST_REPLAY_DB_H

#include "persist/replay.h"

enum { REPLAY_DBS_MAX = 1024 };         /* in one data set */

struct replay_db {
	uint64_t number;
	struct keyspace *ks;            /* owned, but for the caller's; NULL: nothing was loaded */
	struct tombs tombs;             /* while it is not entered */
	uint64_t counted;               /* keys of a dump that were counted alone */
};

int replay_enter_other(struct replay *r, struct error *e);
static inline int replay_enter(struct replay *r, struct error *e)
{
	return r->db == r->entered ? 0 : replay_enter_other(r, e);
}
/* A key in database DB that nothing can bring into another one: a dump's. */
int replay_count(struct replay *r, uint64_t db, struct error *e);
int replay_swap(struct replay *r, uint64_t a, uint64_t b, struct error *e);
/* FROM, of the database entered, becomes or is copied to TO of database DB. */
int replay_carry(struct replay *r, const struct resp_arg *from, const struct resp_arg *to, uint64_t db, bool move, struct error *e);
/* Forgets everything in all of them. */
void replay_clear_all(struct replay *r);
/* At the end: enters the one to be mounted, whose keys are in the caller's keyspace then. */
int replay_settle(struct replay *r, struct error *e);
/* Keys in a database that is not entered. */
uint64_t replay_db_keys(const struct replay_db *d);

#endif
