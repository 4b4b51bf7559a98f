/* observer.h -- the port through which the store tells of each change.  persist implements it, fs wires it.
 *
 * record() is called with S held exclusively, once an operation, in the order of applying, when everything the operation
 * needs is reserved and nothing has been changed: the tree still shows the state before.  What the state after will be is
 * in struct mutation.  When it returns 0 the change is applied, without fail, before S is released; when it returns a
 * negative errno the operation ends with that error and nothing has changed.
 *
 * It must not wait and must not do I/O.
 *
 * A write that says LATER lets it come to the data when S is released: record() then may set NUMBER, and whoever made the write calls take_data()
 * with that and the data, once, without S, before the operation returns.                                                 */
#ifndef KVFS_STORE_OBSERVER_H
#define KVFS_STORE_OBSERVER_H

#include "store/keyspace.h"
#include "store/xattr.h"

enum mutation_kind {
	MUTATION_CREATE,    /* ID (nobody knows it yet) with the attributes NODE as PARENT/NAME; TARGET for a symlink, NODE.rdev for a device */
	MUTATION_WRITE,     /* DATA at OFF of ID; NODE is the state after */
	MUTATION_SETATTR,   /* CHANGE of ID; NODE is the state after (a new size included) */
	MUTATION_REMOVE,    /* ID, at PARENT/NAME, loses that name (unlink, rmdir); NODE.nlink says how many a file had */
	MUTATION_EXPIRED,   /* likewise, because its time is over */
	MUTATION_RENAME,    /* ID moves from PARENT/NAME to NEW_PARENT/NEW_NAME; REPLACED (0: none) loses its name there; each
	                     * may have other names */
	MUTATION_SWAP,      /* ID at PARENT/NAME and REPLACED at NEW_PARENT/NEW_NAME change places */
	MUTATION_EXPIRE,    /* ID gets EXPIRE_AT_MS (0: none) */
	MUTATION_XATTR,     /* ID gets XATTR; NODE is the state after, CHANGE what else is set by it (perhaps nothing) */
	MUTATION_LINK,      /* ID gets the further name PARENT/NAME; NODE is the state after */
	MUTATION_COPY,      /* LEN bytes at OFF of ID become those at FROM_OFF of FROM, which has a name; NODE is the state after */
	MUTATION_ZERO,      /* LEN bytes at OFF of ID become zeros; NODE is the state after, with the size it may grow to */
};

struct mutation {
	enum mutation_kind kind;
	bool has_name;            /* WRITE, SETATTR, ZERO, COPY: false for an unlinked node, which nobody will find after a restart */
	uint64_t id, replaced;    /* node ids */
	int64_t now_ns;
	struct attr node;         /* after the change; REMOVE, RENAME, SWAP: of ID */
	struct attr other;        /* RENAME, SWAP: of REPLACED */
	uint64_t old_size;        /* WRITE, SETATTR, ZERO, COPY: before the change */
	uint64_t parent, new_parent;
	const char *name, *new_name;
	size_t name_len, new_name_len;
	const char *target;       /* CREATE of a symlink */
	size_t target_len;
	uint64_t off;             /* WRITE, ZERO, COPY */
	uint64_t from, from_off;  /* COPY */
	const void *data;         /* WRITE */
	size_t len;
	bool later;               /* WRITE: DATA stays where it is until take_data() */
	const struct attr_change *change;  /* SETATTR, XATTR */
	const struct xattr *xattr;         /* XATTR: one that is set or taken away; CREATE, SETATTR: those that come with it, */
	int xattrs;                        /* so many */
	int64_t expire_at_ms;     /* EXPIRE */
	uint64_t seq;             /* out: the batch that holds the change; 0: none to wait for */
	unsigned number;          /* out, when LATER: for take_data(); 0: it has them */
};

struct observer {
	void *ctx;
	int (*record)(void *ctx, struct mutation *m);
	void (*take_data)(void *ctx, unsigned number, const void *data, size_t len);   /* NULL: record() takes it */
};

/* Somebody else who wants to know, and has no say: called after record() has taken the change, in the same way. */
struct watcher {
	void *ctx;
	void (*changed)(void *ctx, const struct mutation *m);   /* NULL: nobody */
};

#endif
