/* node.h -- the nodes and the table they live in.
 *
 * Nodes stand in blocks of NODE_BLOCK that never move; a slot is a node's number, 0 is none.  A freed slot is used again with the next
 * generation, so that an old id finds nothing.  Private to store/.  All of it under S.                                                    */
#ifndef KVFS_STORE_NODE_H
#define KVFS_STORE_NODE_H

#include "store/value.h"

#include <sys/stat.h>

enum { NODE_BLOCK = 1024, NODE_INLINE_NAME = 24 };

enum node_flags {
	NODE_USED = 1,
	NODE_NAMED = 2,             /* has a place in the tree; the root has one too */
};

struct directory;

/* 112 bytes: with its name and a flat value a key of 16 + 100 bytes takes two allocations' worth of memory. */
struct node {
	uint32_t generation;
	uint32_t hash;              /* of (parent, name): names.h */
	uint32_t hash_next;         /* chain; in a free slot the next free one */
	uint32_t parent;            /* slot; 0 without a name */
	uint64_t cookie;            /* place in the parent's order: directory.h */
	uint16_t mode;              /* type and permissions */
	uint8_t flags;
	uint8_t name_len;
	uint32_t uid, gid;
	uint32_t nlookup;           /* what the kernel holds; UINT32_MAX sticks */
	int64_t atime_ns, mtime_ns, ctime_ns;
	uint64_t size;              /* value or target */
	uint32_t epoch;             /* of being made or last saved: snapshot.h */
	uint32_t expiry;            /* place in the expiry heap + 1; 0: none */
	union {
		struct value *value;          /* regular file, symlink: may be NULL */
		struct directory *directory;  /* NULL: empty */
	};
	union {
		char inline_name[NODE_INLINE_NAME];
		char *name;             /* when name_len > NODE_INLINE_NAME */
	};
};
_Static_assert(sizeof(struct node) == 112, "a node grew: bytes a key are counted in the benchmarks");

struct node_table {
	struct node **block;
	uint32_t blocks, block_cap;
	uint32_t top;               /* slots ever used are below */
	uint32_t free;              /* chain of free slots */
	uint64_t bytes;             /* memory of blocks and long names */
};

static inline struct node *node_at(const struct node_table *t, uint32_t slot)
{
	return &t->block[slot / NODE_BLOCK][slot % NODE_BLOCK];
}

static inline uint64_t node_id(const struct node *n, uint32_t slot)
{
	return slot | (uint64_t)n->generation << 32;
}

/* The node with that id, or NULL. */
static inline struct node *node_find(const struct node_table *t, uint64_t id)
{
	uint32_t slot = (uint32_t)id;
	if (slot == 0 || slot >= t->top)
		return NULL;
	struct node *n = node_at(t, slot);
	return (n->flags & NODE_USED) && n->generation == id >> 32 ? n : NULL;
}

static inline const char *node_name(const struct node *n)
{
	return n->name_len > NODE_INLINE_NAME ? n->name : n->inline_name;
}

static inline bool node_is_dir(const struct node *n)
{
	return S_ISDIR(n->mode);
}

void node_table_init(struct node_table *t);
/* Frees blocks and names; values and directories are the caller's. */
void node_table_fini(struct node_table *t);
/* A cleared node with NODE_USED; the same generation counting goes on.  *RET_SLOT; NULL without memory. */
struct node *node_new(struct node_table *t, uint32_t *ret_slot);
/* Gives the slot back; the node holds nothing any more but perhaps a name. */
void node_free(struct node_table *t, uint32_t slot);

/* A name on its way into a node: reserve may fail, set cannot. */
struct node_name { char *heap; const char *bytes; uint8_t len; };
int node_name_reserve(struct node_name *r, const char *name, size_t len);   /* borrows NAME; -ENOMEM */
void node_name_abort(struct node_name *r);
void node_name_set(struct node_table *t, struct node *n, struct node_name *r);

#endif
