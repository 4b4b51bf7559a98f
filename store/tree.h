/* tree.h -- the inside of struct keyspace, shared by the files of store/ that make up its calls.
 *
 * A change goes through the same steps everywhere (keyspace.h): find and check, reserve, tree_touch() what will change (pre-images for a
 * running snapshot; harmless if the operation then fails), tree_record(), apply.                                                         */
#ifndef KVFS_STORE_TREE_H
#define KVFS_STORE_TREE_H

#include "store/directory.h"
#include "store/expiry.h"
#include "store/keyspace.h"
#include "store/names.h"
#include "store/node.h"
#include "store/observer.h"

#include <pthread.h>

enum { ROOT_SLOT = 1 };

struct snapshot;

/*  C constant after new   S keyspace lock  */
struct keyspace {
	pthread_mutex_t lock;
	struct keyspace_options options;  /* C but memory_max: S */
	struct observer observer;         /* C after set_observer; record NULL: nobody to tell */
	struct node_table nodes;          /* S, as all below */
	struct names names;
	struct expiry expiry;
	uint64_t directory_bytes;
	uint64_t value_bytes;
	uint64_t keys, directories, symlinks, unlinked;
	uint32_t epoch;                   /* of what is made now */
	struct snapshot *snapshot;        /* running, or NULL */
};

/* ---- finding ---- */

/* The node with that id: NULL and -ESTALE otherwise. */
struct node *tree_node(struct keyspace *ks, uint64_t id, uint32_t *ret_slot);
/* A directory that is still in the tree: 0, -ESTALE, -ENOTDIR, -ENOENT. */
int tree_directory(struct keyspace *ks, uint64_t id, struct node **ret, uint32_t *ret_slot);
/* Slot of NAME in directory PARENT; 0: none. */
uint32_t tree_child(struct keyspace *ks, uint32_t parent, const char *name, size_t len);
int tree_check_name(const char *name, size_t len);
void tree_attr(struct keyspace *ks, const struct node *n, uint32_t slot, struct attr *ret);
/* Bytes of the key, without a name -1. */
int64_t tree_key_len(struct keyspace *ks, uint32_t slot);
/* Writes it so that it ends before END; the caller knows it fits. */
char *tree_key_before(struct keyspace *ks, uint32_t slot, char *end);
/* Whether ANCESTOR is SLOT or above it. */
bool tree_is_below(struct keyspace *ks, uint32_t slot, uint32_t ancestor);

/* ---- changing ---- */

uint64_t tree_bytes(const struct keyspace *ks);
/* -ENOSPC when MORE bytes would lead over memory_max. */
int tree_check_memory(const struct keyspace *ks, int64_t more);
/* Before a change of the node: hands its pre-image to a running snapshot that has not had it.  -ENOMEM. */
int tree_touch(struct keyspace *ks, uint32_t slot);
/* Likewise of all below a directory. */
int tree_touch_below(struct keyspace *ks, uint32_t slot);
/* Tells the observer; sets op->seq. */
int tree_record(struct keyspace *ks, struct op *op, struct mutation *m);

/* A new node on its way into the tree. */
struct tree_birth {
	struct node *node;
	uint32_t slot, parent, hash;
	struct node_name name;
};
/* Reserves everything for NAME in PARENT, which is a directory and has no such entry. */
int tree_birth_reserve(struct keyspace *ks, struct tree_birth *b, uint32_t parent, const char *name, size_t len, uint32_t mode);
void tree_birth_abort(struct keyspace *ks, struct tree_birth *b);
/* Puts it in; the parent's times become NOW_NS. */
void tree_birth_apply(struct keyspace *ks, struct tree_birth *b, int64_t now_ns);

/* Takes the node's name away (its directory is empty, if it is one) and frees it unless the kernel holds it. */
void tree_detach(struct keyspace *ks, uint32_t slot, int64_t now_ns);
/* The part of it that comes when the node has left its directory. */
void tree_drop_name(struct keyspace *ks, struct node *n, uint32_t slot, int64_t now_ns);
/* Removes a key whose time is over, with everything that belongs to an operation. */
int tree_expire(struct keyspace *ks, struct op *op, uint32_t slot);
/* Likewise where a new name wants its place: -EEXIST when its time is not over. */
int tree_remove_if_over(struct keyspace *ks, struct op *op, uint32_t slot);
/* Takes a node out of its directory's order and of the hash table; puts it into PARENT (directory_reserve() was called). */
void tree_leave_directory(struct keyspace *ks, struct node *n, uint32_t slot);
void tree_enter_directory(struct keyspace *ks, struct node *n, uint32_t slot, uint32_t parent);
/* The first entry of a directory; 0: none, or no directory. */
uint32_t tree_first_child(struct keyspace *ks, uint32_t slot);
/* The next node of a walk over everything below TOP, parents first, AT being the one before (start with TOP); 0: no more.  The tree must not
 * change below TOP meanwhile. */
uint32_t tree_walk_next(struct keyspace *ks, uint32_t top, uint32_t at);
/* Replaces the value by what an edit made. */
void tree_commit_value(struct keyspace *ks, struct node *n, struct value_edit *e, uint64_t off, const void *data, size_t len);
/* Forgets an edit, also one that failed to begin. */
void tree_abort_value(struct keyspace *ks, struct value_edit *e);

#endif
