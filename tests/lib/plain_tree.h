/* plain_tree.h -- what a keyspace should hold, as plainly as can be: an array of nodes and a flat buffer for each value.
 *
 * The oracle of the model test.  It allocates nothing with malloc() (malloc_fail.h counts that), finds everything by going through
 * the array, and knows rules of names and times only from keyspace.h.                                                              */
#ifndef KVFS_TESTS_PLAIN_TREE_H
#define KVFS_TESTS_PLAIN_TREE_H

#include "store/keyspace.h"

enum {
	PLAIN_NODES = 160,
	PLAIN_SMALL = 64 << 10,      /* bytes of most values at most */
	PLAIN_LARGE = 9 << 20,       /* of those with an index that LARGE_STEP divides: two leaves and a bit */
	PLAIN_LARGE_STEP = 16,
};

/* A node with its name; or (link) a further name of another, which has only what is up to NAME and the type. */
struct plain_node {
	bool used, named;            /* used, not named: unlinked and still held */
	bool link;
	int target;                  /* of a link: the node, else itself */
	int parent;
	size_t name_len;
	char name[KEYSPACE_NAME_MAX];
	struct attr attr;            /* nlink is counted when asked for */
	int64_t expire_at_ms;
	uint32_t nlookup;
	char *data;                  /* attr.size bytes of plain_capacity() */
};

struct plain_tree {
	struct plain_node node[PLAIN_NODES];   /* [0] is the root */
	char *memory;
};

int plain_init(struct plain_tree *t);
void plain_fini(struct plain_tree *t);
void plain_copy(struct plain_tree *to, const struct plain_tree *from);
uint64_t plain_capacity(int i);

/* Indexes; -1: none. */
int plain_child(const struct plain_tree *t, int dir, const char *name, size_t len);
int plain_by_id(const struct plain_tree *t, uint64_t id);
int plain_unused(const struct plain_tree *t);

/* The node of a name; how many further names it has. */
int plain_target(const struct plain_tree *t, int i);
int plain_links(const struct plain_tree *t, int i);
/* The name of node ID in directory DIR; -1: it is none of its names. */
int plain_name_of(const struct plain_tree *t, uint64_t id, int dir, const char *name, size_t len);
bool plain_is_dir(const struct plain_tree *t, int i);
bool plain_is_file(const struct plain_tree *t, int i);
bool plain_is_below(const struct plain_tree *t, int i, int ancestor);
bool plain_is_empty(const struct plain_tree *t, int dir);
/* Its attributes with nlink; of a link its node's. */
struct attr plain_attr(const struct plain_tree *t, int i);
/* Writes the key to BUF, which has room. */
size_t plain_key(const struct plain_tree *t, int i, char *buf);

/* New entry NAME in DIR, at index I. */
void plain_enter(struct plain_tree *t, int i, int dir, const char *name, size_t len, int64_t now_ns);
/* A further name for node I, at index LINK. */
void plain_link(struct plain_tree *t, int link, int i, int dir, const char *name, size_t len, int64_t now_ns);
/* The name goes; when it was the last one and nobody holds the node, that too. */
void plain_leave(struct plain_tree *t, int i, int64_t now_ns);
void plain_move(struct plain_tree *t, int i, int dir, const char *name, size_t len, int64_t now_ns);
void plain_swap(struct plain_tree *t, int a, int b, int64_t now_ns);
void plain_resize(struct plain_tree *t, int i, uint64_t size);
void plain_write(struct plain_tree *t, int i, uint64_t off, const void *data, size_t len);
void plain_forget(struct plain_tree *t, int i, uint32_t n);

#endif
