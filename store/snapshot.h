/* snapshot.h -- a point-in-time view of the keyspace, without fork.
 *
 * snapshot_begin() takes the cut: epoch + 1.  Every node remembers the epoch it was last saved or made in.  Between begin
 * and end the cursor yields every name that existed at the cut exactly once, with its node as it was at the cut: it goes through
 * the slots in order, and the first change to a node not yet yielded hands its pre-image over before it is applied (its
 * key, its attributes, references to its value and its extended attributes).  Nodes made after the cut are skipped.  A rename
 * of a directory changes the key of all below it, and leaves behind where it stood at the cut: cut_path.h.
 *
 * Access times alone may be later than the cut (keyspace_accessed()).
 *
 * One snapshot at a time (-EBUSY).
 * Locks: begin and end take S; next takes S for at most SNAPSHOT_BATCH nodes, or SNAPSHOT_SCAN slots without one.
 * Memory: pre-images of nodes changed since the cut and not yet yielded, the paths of directories that moved, and one batch; nothing
 * else.                                                                                                                 */
#ifndef KVFS_STORE_SNAPSHOT_H
#define KVFS_STORE_SNAPSHOT_H

#include "store/keyspace.h"

enum { SNAPSHOT_BATCH = 32, SNAPSHOT_SCAN = 1024 };

struct snapshot;

struct snapshot_entry {
	struct attr attr;         /* with nlink above 1 other entries have the same id: the node's other names */
	int64_t expire_at_ms;
	const char *key;          /* its path; not terminated; the root's is empty; valid until the next snapshot_next() */
	size_t key_len;
	struct value *value;      /* borrowed until the next snapshot_next(); attr.size bytes; a symlink's target */
	struct xattrs *xattrs;    /* likewise; NULL: none */
};

struct snapshot_batch {
	int count;
	struct snapshot_entry entry[SNAPSHOT_BATCH];
};

struct snapshot_totals {
	uint64_t keys;            /* names of regular files at the cut */
	uint64_t expires;         /* of these with an expiry */
	uint64_t nodes;           /* names: everything that will be yielded */
	uint64_t escaped;         /* of these with a name that begins with ".%": with 0 each path is its key (keyname.h) */
};

/* With S held, so that the caller can mark the cut in a log of its own.  -EBUSY, -ENOMEM. */
int snapshot_begin_locked(struct keyspace *ks, struct snapshot **ret, struct snapshot_totals *ret_totals);
/* The next entries, up to SNAPSHOT_BATCH; 0 entries at the end.  0 or -ENOMEM (try again, or end). */
int snapshot_next(struct snapshot *s, struct snapshot_batch *b);
/* Ends it, done or not.  NULL is fine. */
void snapshot_end(struct snapshot *s);
/* Bytes of pre-images handed over and not yet yielded, and of paths, now and at most so far.  A value over VALUE_CHUNK counts as one chunk, which is what
 * an edit copies of it; when it was replaced or removed it is more. */
uint64_t snapshot_memory(struct snapshot *s, uint64_t *ret_peak);

#endif
