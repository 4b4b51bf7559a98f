/* journal.h -- the bytes on their way from an operation to the log file.
 *
 * One writer (whoever holds S) and one reader (the log thread) share a ring of memory that outlives the daemon: a file on a tmpfs, mapped
 * twice in a row so that a batch is contiguous wherever it begins.
 *
 *      shared file    [header 4096: magic, size, lineage, tail, head, unsure][ring .........]
 *      mapped         [header][ring .........][the same ring .........]
 *      positions      tail <= head <= tail + size; the log file has all before tail
 *
 * A batch in the ring survives the death of the daemon: head moves only when it is whole, and the next start finds what the log file
 * lacks between tail and head.  A batch that finds no room goes to the overflow, a list on the heap, and so do all after it until the log
 * thread has emptied it: those are kept only once they are written, and the replies wait (persist.h: KEPT).  So memory is bounded by the ring
 * and one request for each waiting client.  Without a ring (no tmpfs) everything takes that way.
 *
 * A position counts bytes since the start, ring and overflow alike: it is what persist.h calls a sequence number to wait for; 0 is none.
 *
 * A large batch has its place under S and gets its bytes without: it is open until journal_filled().  What lies behind an open batch is not kept
 * either, and does not leave the journal, though it has its place:
 *
 *      consumed           open          published
 *         |----------------|///////|--------|          the ring's head stands at the first open batch
 *
 * Locks: reserve and commit under S; peek and consume by the log thread; the overflow and the open batches have a lock of their own, J, held for a few
 * instructions.  S comes before J, nothing behind it.                                                                                   */
#ifndef KVFS_PERSIST_JOURNAL_H
#define KVFS_PERSIST_JOURNAL_H

#include "persist/error.h"

#include <stdbool.h>
#include <stdint.h>

struct journal;

enum {
	JOURNAL_SIZE = 4 << 20,
	JOURNAL_OPEN_MAX = 16,     /* open batches; more readers than that have a large write under way seldom */
};

/* Opens or makes the ring for the data directory DIR_FD in JOURNAL_DIR ("": none).  What a dead daemon left is kept until journal_reset().
 * When the place can't be used *RET_WHY says so (E's text) and the journal works without a ring.  -ENOMEM. */
int journal_open(const char *journal_dir, int dir_fd, struct error *ret_why, struct journal **ret);
/* The bytes a dead daemon left and by which keyspace; borrowed until journal_reset().  Length 0: none. */
const char *journal_leftover(const struct journal *j, size_t *ret_len, uint64_t *ret_lineage);
/* The ring starts empty, for this keyspace; until then what is left of the last one stays in it, and batches take the way of the overflow.
 * By the log thread, with S held or before there is a writer. */
void journal_reset(struct journal *j, uint64_t lineage);
/* A note for the next daemon: a sync of the log failed, so that what can be read of it may not be on disk (a power cut forgets the note, and what
 * was not on disk with it).  By the log thread. */
void journal_set_unsure(struct journal *j, bool unsure);
/* Whether a dead daemon left that note; until journal_reset(). */
bool journal_left_unsure(const struct journal *j);
/* REMOVE: the log file has everything, the ring goes away (not with a leftover or a note in it). */
void journal_close(struct journal *j, bool remove);

/* Room for LEN bytes, NULL without memory.  Nothing is visible before commit; a reserve without commit is forgotten by the next. */
char *journal_reserve(struct journal *j, size_t len);
/* The first LEN bytes of the room become a batch; returns the position behind it. */
uint64_t journal_commit(struct journal *j, size_t len);
/* Whether one more batch may be open. */
bool journal_may_open(struct journal *j);
/* As journal_commit(), when journal_may_open() said so under the same hold of S; the caller goes on filling the room and then calls, without S,
 * journal_filled(*RET_NUMBER), once.  *RET_NUMBER is below JOURNAL_OPEN_MAX and nobody else's until then. */
uint64_t journal_commit_open(struct journal *j, size_t len, unsigned *ret_number);
void journal_filled(struct journal *j, unsigned number);
/* Returns when no batch that begins before position SEQ is open: others are copying.  Without S. */
void journal_wait_filled(struct journal *j, uint64_t seq);

uint64_t journal_published(const struct journal *j);   /* behind the last batch, open or not */
uint64_t journal_kept(const struct journal *j);        /* all before it survives the daemon's death */
uint64_t journal_consumed(const struct journal *j);    /* all before it was consumed */
uint64_t journal_ring_size(const struct journal *j);
const char *journal_name(const struct journal *j);     /* of the ring's file; borrowed */
/* By the log thread: looks whether the ring's file is still where the next daemon would find it.  False, once, when somebody has removed it:
 * from then on nothing in the ring is kept. */
bool journal_still_there(struct journal *j);

/* Bytes next to be written, contiguous, up to position LIMIT at most; 0: none.  Borrowed until consumed.  Waits where an open batch is next. */
size_t journal_peek(struct journal *j, uint64_t limit, const char **ret);
void journal_consume(struct journal *j, size_t len);

#endif
