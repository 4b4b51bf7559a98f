/* tree.h -- the inside of struct keyspace, shared by the files of store/ that make up its calls.
 *
 * A change goes through the same steps everywhere (keyspace.h): find and check, reserve, tree_touch() what will change (pre-images for a
 * running snapshot; harmless if the operation then fails), tree_record(), apply.                                                         */
#ifndef KVFS_STORE_TREE_H
#define KVFS_STORE_TREE_H

#include "store/directory.h"
#include "store/evict.h"
#include "store/expiry.h"
#include "store/extra.h"
#include "store/keyspace.h"
#include "store/lru.h"
#include "store/names.h"
#include "store/node.h"
#include "store/observer.h"
#include "store/owners.h"
#include "store/times.h"
#include "store/xattr.h"

#include <pthread.h>
#include <stdatomic.h>

enum { ROOT_SLOT = 1 };

struct snapshot;

/*  C constant after new   S keyspace lock   a atomic  */
struct keyspace {
	pthread_mutex_t lock;
	struct keyspace_options options;  /* C but memory_max and value_max: S */
	struct observer observer;         /* C after set_observer; record NULL: nobody to tell */
	struct watcher watcher;           /* S, as all below */
	struct node_table nodes;
	struct names names;
	struct expiry expiry;
	struct extras extras;             /* of nodes with NODE_EXTRA */
	struct owners owners;
	struct times times;               /* of nodes with NODE_TIMES */
	uint64_t directory_bytes;
	uint64_t flat_bytes;              /* of values that are flat: value.h */
	uint64_t xattr_bytes;
	uint64_t keys, directories, symlinks, specials, unlinked;
	uint64_t link_expires;            /* further names of nodes with an expiry */
	uint64_t escaped;                 /* nodes in the tree whose name begins with ".%" (keyname.h) */
	uint32_t epoch;                   /* of what is made now */
	struct snapshot *snapshot;        /* running, or NULL */
	uint64_t room_until;              /* what the machine leaves of tree_used(): keyspace_set_room() */
	bool no_copies;                   /* it does not even leave what a write beside a snapshot copies */
	enum evict_policy policy;
	int samples;
	uint64_t random;                  /* state of evict.c's chance; 0: not begun */
	uint32_t scan_at;                 /* where evict.c goes on when it looks at one slot after the other */
	struct lru lru;
	uint64_t wanted;                  /* bytes that the last change wanted which was refused for memory */
	struct value_limbo limbo;         /* what is to be freed without S: by keyspace_unlock(), or the reaper */
	_Atomic uint64_t reaping;         /* a: bytes that left the limbo and are not freed yet */
	void (*wake_reaper)(void *ctx);   /* NULL: there is none */
	void *reaper_ctx;
	bool reaper_called;               /* and has not come yet */
};

/* ---- finding ---- */

/* The node with that id: NULL and -ESTALE otherwise. */
struct node *tree_node(struct keyspace *ks, uint64_t id, uint32_t *ret_slot);
/* A directory that is still in the tree: 0, -ESTALE, -ENOTDIR, -ENOENT. */
int tree_directory(struct keyspace *ks, uint64_t id, struct node **ret, uint32_t *ret_slot);
/* Slot of NAME in directory PARENT, which may be that of a further name (links, below); 0: none. */
uint32_t tree_child(struct keyspace *ks, uint32_t parent, const char *name, size_t len);
int tree_check_name(const char *name, size_t len);
/* The node's extra; NULL: it has none.  Likewise, made (all zeros) if there is none; NULL: no memory.  Gives it back. */
struct extra *tree_extra(const struct keyspace *ks, const struct node *n, uint32_t slot);
struct extra *tree_make_extra(struct keyspace *ks, struct node *n, uint32_t slot);
void tree_drop_extra(struct keyspace *ks, struct node *n, uint32_t slot);
/* Likewise if it holds nothing. */
void tree_trim_extra(struct keyspace *ks, struct node *n, uint32_t slot);
/* The node's extended attributes, borrowed; NULL: none. */
struct xattrs *tree_xattrs(const struct keyspace *ks, const struct node *n, uint32_t slot);
/* Makes sure that tree_set_xattrs(X) finds memory; tree_trim_extra() takes it back.  -ENOMEM; -ENOSPC when X is more than memory_max allows. */
int tree_reserve_xattrs(struct keyspace *ks, struct node *n, uint32_t slot, const struct xattrs *x);
/* Takes X, which may be NULL, in the place of those it has.  Cannot fail. */
void tree_set_xattrs(struct keyspace *ks, struct node *n, uint32_t slot, struct xattrs *x);
/* Of the node, also when it is given by a further name. */
void tree_attr(struct keyspace *ks, const struct node *n, uint32_t slot, struct attr *ret);
void tree_count_lookup(struct node *n);
/* Bytes of the key, without a name -1. */
int64_t tree_key_len(struct keyspace *ks, uint32_t slot);
/* Writes it so that it ends before END; the caller knows it fits. */
char *tree_key_before(struct keyspace *ks, uint32_t slot, char *end);
/* Whether ANCESTOR is SLOT or above it. */
bool tree_is_below(struct keyspace *ks, uint32_t slot, uint32_t ancestor);

/* ---- links: nodes with several names (link.c) ----
 *
 * The first name of a node is in the node.  Each further one is a node with NODE_LINK that has nothing but a place, the type in its mode and
 * the slot of its target.  What looks for a name, moves one or takes one away deals with slots of names; whatever else there is of a node is
 * reached by tree_target().  When the first name goes, the node takes the place of a further one: a slot of a name is good until the next
 * change of a name.                                                                                                                      */

/* Slot of the node that the name in SLOT is a name of. */
static inline uint32_t tree_target(const struct keyspace *ks, uint32_t slot)
{
	const struct node *n = node_at(&ks->nodes, slot);
	return n->flags & NODE_LINK ? n->target : slot;
}

/* Further names of the node in SLOT: how many; the slot of the first, the next being in its link_next; 0: none. */
uint32_t tree_links(const struct keyspace *ks, uint32_t slot);
uint32_t tree_first_link(const struct keyspace *ks, uint32_t slot);
/* The name in LINK, which has left its directory, is gone from its target and given back. */
void tree_drop_link(struct keyspace *ks, uint32_t link, int64_t now_ns);
/* The node in SLOT, which has further names and has left its directory, takes the place of one of them. */
void tree_promote_link(struct keyspace *ks, uint32_t slot, int64_t now_ns);
/* Two names change places. */
void tree_swap_places(struct keyspace *ks, uint32_t a, uint32_t b);
/* The name in SLOT becomes a node of its own, equal to the one it named; *RET is its slot.  For a loader.  -ENOMEM. */
int tree_cut_loose(struct keyspace *ks, uint32_t slot, uint32_t *ret);
/* Sets the expiry of the node in SLOT (expiry.h), as expiry_set() but for what is counted. */
void tree_set_expiry(struct keyspace *ks, uint32_t slot, int64_t at_ms);

/* ---- names of keys that are no path (keyname.h) ---- */

/* Slot of what stands at PATH below SLOT; 0: nothing. */
uint32_t tree_find(struct keyspace *ks, uint32_t slot, const char *path, size_t len);
/* The second name that the value of NAME has, as a path from the directory of NAME; OUT has KEYNAME_BESIDE_MAX bytes.  What stands there. */
size_t tree_beside_name(const char *name, size_t len, char *out);
uint32_t tree_beside(struct keyspace *ks, uint32_t dir, const char *name, size_t len);
/* The value of KEY under either name; 0: none, or no memory to look for a key that is no path. */
uint32_t tree_find_value(struct keyspace *ks, const char *key, size_t len);
/* Whether it is a directory that holds how a part of a key goes on. */
bool tree_is_piece(const struct node *n);
/* Whether a node of type MODE may have that name, which is free or goes: 0; -EINVAL: it is no key's; -EEXIST: its key has a value under its
 * other name; -ENOMEM.  MOVER: slot of the node that comes there by a rename, 0: a new one. */
int tree_check_place(struct keyspace *ks, struct op *op, uint32_t dir, const char *name, size_t len, uint32_t mode, uint32_t mover);

/* ---- changing ---- */

/* As allocated; without what the next nodes will take: that is what limits are about; what it may become. */
uint64_t tree_bytes(const struct keyspace *ks);
/* Bytes of values. */
uint64_t tree_value_bytes(const struct keyspace *ks);
uint64_t tree_used(const struct keyspace *ks);
uint64_t tree_limit(const struct keyspace *ks);
/* Whether MORE bytes keep to the limit. */
bool tree_has_room(const struct keyspace *ks, int64_t more);
/* -ENOSPC when MORE bytes would lead over the limit; a change that needs none is never refused. */
int tree_check_memory(struct keyspace *ks, int64_t more);
/* -ENOSPC when a write to a value that a snapshot may still need would copy what there is no memory for. */
int tree_check_copy(const struct keyspace *ks);
/* Before a change of the node: hands its pre-images, one for each name, to a running snapshot that has not had them.  SLOT may be any of its
 * names.  -ENOMEM. */
int tree_touch(struct keyspace *ks, uint32_t slot);
/* Before a node changes its place, after tree_touch(): of all below a directory a running snapshot keeps where it was.  -ENOMEM. */
int tree_touch_place(struct keyspace *ks, uint32_t slot);
/* Tells the observer; sets op->seq.  What follows may set times (times.h).  -ENOMEM, or the observer's. */
int tree_record(struct keyspace *ks, struct op *op, struct mutation *m);

/* Finds the directory and makes sure NAME is free in it, short enough and a key's; what is over there goes. */
int tree_new_place(struct keyspace *ks, struct op *op, uint64_t parent, const char *name, size_t len, uint32_t mode, struct node **ret_dir,
                   uint32_t *ret_slot);
/* A new node on its way into the tree. */
struct tree_birth {
	struct node *node;
	uint32_t slot, parent, hash;
	struct node_name name;
};
/* Reserves everything for NAME in PARENT, which is a directory and has no such entry.  The node is owned by, and made at the time of, BY; NULL: it
 * becomes a further name.  -ENOMEM, -ENOSPC. */
int tree_birth_reserve(struct keyspace *ks, struct tree_birth *b, uint32_t parent, const char *name, size_t len, uint32_t mode,
                       const struct op *by);
void tree_birth_abort(struct keyspace *ks, struct tree_birth *b);
/* Puts it in; the parent's times become NOW_NS. */
void tree_birth_apply(struct keyspace *ks, struct tree_birth *b, int64_t now_ns);

/* Takes a name away (its directory is empty, if it is one); with the last one frees the node unless the kernel holds it. */
void tree_detach(struct keyspace *ks, uint32_t slot, int64_t now_ns);
/* The part of it that comes when the name has left its directory. */
void tree_drop_name(struct keyspace *ks, struct node *n, uint32_t slot, int64_t now_ns);
/* Whether the time of the node with a name in SLOT is over. */
bool tree_is_over(const struct keyspace *ks, uint32_t slot, int64_t now_ns);
/* ... for OP: never for what a loader does again. */
bool tree_is_over_for(const struct keyspace *ks, uint32_t slot, const struct op *op);
/* Removes a name (its directory is empty, if it is one), with everything that belongs to an operation.  KIND:
 * MUTATION_REMOVE, MUTATION_EXPIRED. */
int tree_remove(struct keyspace *ks, struct op *op, uint32_t slot, enum mutation_kind kind);
/* Removes a key whose time is over where a new name wants its place: -EEXIST when it is not over. */
int tree_remove_if_over(struct keyspace *ks, struct op *op, uint32_t slot);
/* Where a name is, and of what. */
void tree_place(const struct keyspace *ks, uint32_t slot, struct keyspace_place *ret);
/* Takes a name out of its directory's order and of the hash table; puts it into PARENT (directory_reserve() was called). */
void tree_leave_directory(struct keyspace *ks, struct node *n, uint32_t slot);
void tree_enter_directory(struct keyspace *ks, struct node *n, uint32_t slot, uint32_t parent);
/* Tells the directories above a node with a name and a place how far it reaches (directory.h). */
void tree_note_reach(struct keyspace *ks, uint32_t slot);
/* The first entry of a directory; 0: none, or no directory. */
uint32_t tree_first_child(struct keyspace *ks, uint32_t slot);
/* The next node of a walk over everything below TOP, parents first, AT being the one before (start with TOP); 0: no more.  The tree must not
 * change below TOP meanwhile. */
uint32_t tree_walk_next(struct keyspace *ks, uint32_t top, uint32_t at);
/* Moves a name to NAME in directory DIR, in the place of REPLACED (0: nothing is there), for a loader: the observer is not told, the times
 * of the directories stay.  Of two names of one file the one that moves goes.  -ENOMEM. */
int tree_move(struct keyspace *ks, uint32_t slot, uint32_t dir, const char *name, size_t len, uint32_t replaced, int64_t now_ns);
/* Gives a node its name, or another one. */
void tree_set_name(struct keyspace *ks, struct node *n, struct node_name *name);
/* keyspace_write() with S held. */
int tree_write(struct keyspace *ks, struct op *op, uint64_t id, uint64_t off, const void *data, size_t len);
/* -ENOSPC when an edit would lead over memory_max. */
int tree_check_edit(struct keyspace *ks, const struct value_edit *e);
/* The node's times when it is made, its value or entries change, anything else of it does. */
void tree_born(struct keyspace *ks, struct node *n, int64_t now_ns);
void tree_modified(struct keyspace *ks, struct node *n, int64_t now_ns);
void tree_changed(struct keyspace *ks, struct node *n, int64_t now_ns);
/* It was read: keyspace_accessed(). */
void tree_accessed(struct keyspace *ks, struct node *n, int64_t now_ns, enum atime_rule rule);
/* The node is of another owner from now on: a number that owners_take() gave, which it takes. */
void tree_set_owner(struct keyspace *ks, struct node *n, uint32_t owner);
/* The node's expiry; 0: none.  It is no further name. */
int64_t tree_expiry(const struct keyspace *ks, uint32_t slot);
/* Replaces the value by what an edit made. */
void tree_commit_value(struct keyspace *ks, struct node *n, struct value_edit *e, uint64_t off, const void *data, size_t len);

#endif
