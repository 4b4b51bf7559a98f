/* node.h -- the nodes and the table they live in.
 *
 * Nodes stand in blocks of NODE_BLOCK that never move; a slot is a node's number, 0 is none.  A freed slot is used again with the next
 * generation, so that an old id finds nothing.
 *
 * The memory of a block whose last node went is given back, but for one block, so that a table that goes up and down does not do it each
 * time.  In its place stands a block of zeros that all such share, so that whoever goes through the slots finds nodes that are not used;
 * its slots come again with a generation that none of them has had.
 *
 * Private to store/.  All of it under S.                                                                                                  */
#ifndef KVFS_STORE_NODE_H
#define KVFS_STORE_NODE_H

#include "store/owners.h"
#include "store/value.h"

#include <sys/stat.h>

enum { NODE_BLOCK = 1024, NODE_INLINE_NAME = 16, NODE_COOKIE_BITS = 48, NODE_SIZE_BITS = 48, NODE_ATIME_BITS = 64 - OWNER_BITS };

enum node_flags {
	NODE_USED = 1,
	NODE_NAMED = 2,             /* has a place in the tree; the root has one too */
	NODE_EXTRA = 4,             /* there is more of it in extra.h */
	NODE_LINK = 8,              /* a further name of another node, and no more than that: link.c */
	NODE_TIMES = 16,            /* its times have a record: times.h */
	NODE_EXPIRES = 32,          /* it stands in the expiry heap: expiry.h */
};

struct directory;

/* 80 bytes: with its name and a flat value a key of 16 + 100 bytes takes 192 in two allocations' worth of memory.  What a walk along a hash chain
 * looks at stands in front. */
struct node {
	uint32_t generation;
	uint32_t hash;              /* of (parent, name): names.h */
	uint32_t hash_next;         /* chain; in a free slot the next free one */
	uint32_t parent;            /* slot; 0 without a name */
	union {
		char inline_name[NODE_INLINE_NAME];
		char *name;             /* when name_len > NODE_INLINE_NAME */
	};
	uint64_t cookie : NODE_COOKIE_BITS;  /* place in the parent's order: directory.h */
	uint64_t name_len : 8;
	uint64_t flags : 8;
	uint64_t size : NODE_SIZE_BITS;      /* value or target */
	uint64_t mode : 16;         /* type and permissions */
	union {
		int64_t mtime_ns;
		struct {                /* NODE_LINK; of its mode only the type counts, and what stands above */
			uint32_t target;        /* slot of the node it names */
			uint32_t link_next;     /* further names of the same node; 0: none */
		};
	};
	union {
		struct {
			uint64_t atime : NODE_ATIME_BITS;  /* and ctime: times.h */
			uint64_t owner : OWNER_BITS;       /* owners.h */
		};
		uint32_t link_prev;     /* NODE_LINK */
	};
	uint32_t nlookup;           /* what the kernel holds; UINT32_MAX sticks */
	uint32_t epoch;             /* of being made or last saved: snapshot.h */
	union {
		struct value *value;          /* regular file, symlink: may be NULL */
		struct directory *directory;  /* NULL: empty */
		uint32_t rdev;                /* FIFO, socket, device: Linux's number of the device, or 0 */
	};
};
_Static_assert(sizeof(struct node) == 80, "a node grew: bytes a key are counted in the benchmarks");
_Static_assert(VALUE_SIZE_MAX < (uint64_t)1 << NODE_SIZE_BITS, "a node holds any value's size");

/* What the table knows of a block.  Lists are of numbers + 1; 0: the end. */
struct node_block {
	uint32_t used;              /* nodes */
	uint32_t fresh;             /* how many of its slots were taken since its memory came: those behind are all free */
	uint32_t free;              /* chain of free slots among these */
	uint32_t generation;        /* of the fresh: above that of any node that was here */
	uint32_t next, prev;        /* of blocks with room */
};

struct node_table {
	struct node **block;
	struct node_block *about;   /* each of them */
	uint32_t blocks, block_cap, about_cap;
	uint32_t top;               /* slots ever used are below */
	uint32_t room;              /* list of blocks with memory and a free slot */
	uint32_t gone;              /* list of blocks without memory: by next */
	uint32_t spare;             /* the one that has memory and no node; 0: none */
	struct node *zeros;         /* stands for those without memory; NULL: there was none yet */
	uint64_t bytes;             /* memory of blocks and long names */
	uint64_t idle;              /* of these, what no node takes in blocks that have memory: the next ones will */
	struct node *run;           /* blocks of node_table_presize(), in one piece; NULL: none */
	uint32_t run_first, run_blocks;
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

static inline bool node_has_value(const struct node *n)
{
	return S_ISREG(n->mode) || S_ISLNK(n->mode);
}

/* FIFO, socket or device. */
static inline bool node_is_special(const struct node *n)
{
	return S_ISFIFO(n->mode) || S_ISSOCK(n->mode) || S_ISCHR(n->mode) || S_ISBLK(n->mode);
}

void node_table_init(struct node_table *t);
/* Frees blocks and names; values and directories are the caller's. */
void node_table_fini(struct node_table *t);
/* The blocks of the next COUNT nodes will lie side by side, in large pages where the system has them: fewer page faults while they fill up,
 * fewer misses of address translation ever after.  Costs address space, no memory.  Once, and only a hint: -ENOMEM changes nothing. */
int node_table_presize(struct node_table *t, uint64_t count);
/* A cleared node with NODE_USED; the same generation counting goes on.  *RET_SLOT; NULL without memory. */
struct node *node_new(struct node_table *t, uint32_t *ret_slot);
/* Gives the slot back; the node holds nothing any more but perhaps a name. */
void node_free(struct node_table *t, uint32_t slot);

/* A name on its way into a node: reserve may fail, set cannot. */
struct node_name { char *heap; const char *bytes; uint8_t len; };
int node_name_reserve(struct node_name *r, const char *name, size_t len);   /* borrows NAME; -ENOMEM */
void node_name_abort(struct node_name *r);
void node_name_set(struct node_table *t, struct node *n, struct node_name *r);
/* N gets the name that FROM has, which has none then. */
void node_name_take(struct node_table *t, struct node *n, struct node *from);

#endif
