/* reply.h -- the one place that answers the kernel.
 *
 * Every request is answered exactly once.  What only reads is answered at once, by a function that takes the request.  What changes
 * something takes a struct reply first, before anything has changed, and gives it to reply_finish():
 *
 *      reply_new() -- the store's call -- reply_finish() --+-- error, or nothing to wait for: answered, freed
 *                                                          +-- parked: answered by the log thread when the change lasts, or with the
 *                                                              error that kept it from lasting; freed
 *
 * In the last case the change has happened, and the kernel believes that it has not: what it knows of the node and the names concerned
 * is then dropped (notify.h), which is why a reply holds them.
 *
 * Errors come as 0 or a negative errno; a code that is no errno is told as EIO.  Entry and attribute timeouts are infinite: every
 * change comes through this kernel, but for the control socket's (notify.h).  Those of a key with an expiry end before the key does.  An entry that could not be delivered gives its lookup back.
 *
 * Those that were freed are kept for the next ones (ops.h: spare), so that a change asks malloc for nothing but its value.
 *
 * Locks: none; every call from any thread.                                                                                        */
#ifndef KVFS_FS_REPLY_H
#define KVFS_FS_REPLY_H

#include "fs/latency.h"
#include "fs/ops.h"

enum reply_kind {
	REPLY_STATUS,             /* done, nothing to tell */
	REPLY_ENTRY,              /* ATTR is a new node with one lookup */
	REPLY_ATTR,               /* ATTR */
	REPLY_COUNT,              /* COUNT bytes written */
};

struct reply {
	struct persist_waiter waiter;  /* private */
	fuse_req_t req;                /* private */
	struct ops_env *env;           /* private */
	struct latency_request asked;  /* private */
	uint64_t id;                   /* private; 0: none */
	enum reply_kind kind;          /* C */
	struct attr attr;              /* the caller's to fill, as KIND says */
	size_t count;                  /* likewise */
	struct reply_name {
		uint64_t parent;
		size_t len;            /* 0: none */
		char name[KEYSPACE_NAME_MAX];
	} name[2];                     /* private */
};

/* ---- a change ---- */

/* For a change of node ID.  NULL: no memory; the request has been answered with it. */
struct reply *reply_new(fuse_req_t req, enum reply_kind kind, uint64_t id);
/* For a change of NAME in PARENT, and of NEW_NAME in NEW_PARENT unless that is NULL.  Likewise. */
struct reply *reply_new_names(fuse_req_t req, enum reply_kind kind, uint64_t parent, const char *name, uint64_t new_parent,
                              const char *new_name);
/* Takes R.  ERR is the outcome of the store's call, OP->seq what a success waits for. */
void reply_finish(struct reply *r, const struct op *op, int err);
/* Takes R.  fsync(2) of node ID. */
void reply_finish_fsync(struct reply *r, uint64_t id);

/* Frees what ENV keeps of replies for the next ones; when there is nobody left to answer. */
void reply_free_spare(struct ops_env *env);

/* ---- at once; each takes REQ ---- */

void reply_err(fuse_req_t req, int err);
void reply_none(fuse_req_t req);                             /* FORGET: there is no answer */
void reply_entry(fuse_req_t req, const struct attr *a);      /* takes one lookup of A */
void reply_no_entry(fuse_req_t req);                         /* the kernel may remember that there is none */
void reply_attr(fuse_req_t req, const struct attr *a);
void reply_bytes(fuse_req_t req, const void *data, size_t len);  /* DATA may be NULL when LEN is 0 */
/* LEN bytes at OFF of V (SIZE bytes), less behind its end.  Takes a reference on V.  Nothing is copied. */
void reply_value(fuse_req_t req, struct value *v, uint64_t size, uint64_t off, size_t len);
void reply_xattr_size(fuse_req_t req, size_t size);
void reply_offset(fuse_req_t req, uint64_t off);             /* SEEK_DATA, SEEK_HOLE */
void reply_link(fuse_req_t req, const char *target);
void reply_statfs(fuse_req_t req, const struct statvfs *s);

/* What stat(2) shows of A. */
void reply_fill_stat(const struct attr *a, struct stat *st);
/* An entry as the kernel takes it. */
void reply_fill_entry(const struct attr *a, struct fuse_entry_param *e);

#endif
