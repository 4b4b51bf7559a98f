/* load_spot.h -- how a loader finds the place that a key or a path names, and makes it.  Private to load*.c; all of it with S held.
 *
 * A spot is a name in a directory, and what has it.  Its name is borrowed: from the key or path it was found by, or from the loader's scratch,
 * where it lasts until the next spot beside another is asked for.  Errors are those of load.h.                                                */
#ifndef KVFS_STORE_LOAD_SPOT_H
#define KVFS_STORE_LOAD_SPOT_H

#include "store/load.h"
#include "store/tree.h"

struct spot {
	uint32_t dir;               /* slot of the directory */
	const char *name;
	size_t len;
	uint32_t slot;              /* of the name that is there; 0: nothing */
	uint32_t target;            /* of the node it is a name of, which is NODE */
	struct node *node;
};

/* The name in SLOT (0: none) is what is there. */
void spot_set(struct loader *l, struct spot *s, uint32_t slot);
/* -EINVAL, and WHY is remembered. */
int spot_invalid(struct loader *l, const char *why);
/* *KEY, *LEN become the key's path. */
int spot_path_of_key(struct loader *l, const char **key, size_t *len);
/* A path from a file: each name in it must be one that could have been made; for a DIRECTORY or link. */
int spot_check_path(struct loader *l, const char *path, size_t len, bool directory);
/* Who asks, for the calls of keyspace.h. */
struct op spot_op(const struct loader *l);
int spot_make_directory(struct loader *l, uint32_t parent, const char *name, size_t len, uint32_t *ret_slot);
/* From the place of a name to that of the second name of its value, with the directories it takes. */
int spot_go_beside(struct loader *l, struct spot *s);
/* What stands at S, which is no directory, leaves its name to one. */
int spot_clear_way(struct loader *l, const struct spot *s);
/* The place at PATH, whose names are good; MAKE: with the directories on the way. */
int spot_find(struct loader *l, const char *path, size_t len, bool make, struct spot *s);
/* Where the value of KEY is; with MAKE where it would be, if S->node is NULL. */
int spot_find_value(struct loader *l, const char *key, size_t len, bool make, struct spot *s);
/* Where Redis has changed what is there (l->displace), other names of it stay as they are: the name gets a node of its own. */
int spot_cut_loose(struct loader *l, struct spot *s);
/* The value of KEY; MAKE: created empty if missing; cut loose. */
int spot_find_file(struct loader *l, const char *key, size_t len, bool make, struct spot *s);
void spot_modified(struct loader *l, struct node *n);
uint64_t spot_id(const struct spot *s);

#endif
