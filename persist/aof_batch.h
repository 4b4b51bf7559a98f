/* aof_batch.h -- commands that wait until it is known whether they count: those of a batch, and those between MULTI and EXEC. */
#ifndef KVFS_PERSIST_AOF_BATCH_H
#define KVFS_PERSIST_AOF_BATCH_H

#include "persist/recover.h"
#include "persist/replay.h"
#include "persist/seal.h"

struct batch_command {
	size_t first, argc;        /* in struct aof_batch: arg */
	uint64_t at;               /* offset in the file, for messages */
};

/* {0} is a valid empty one; memory is kept from batch to batch. */
struct aof_batch {
	struct resp_arg *arg;      /* owned; the bytes are the file's */
	size_t args, args_cap;
	struct batch_command *command;  /* owned */
	size_t count, cap;
};

/* 0 or -ENOMEM. */
int aof_batch_add(struct aof_batch *b, const struct resp_command *c, uint64_t at);
void aof_batch_clear(struct aof_batch *b);
/* Applies the commands in order; *RET_AT is the offset of the one that failed. */
int aof_batch_commands(const struct aof_batch *b, struct replay *r, uint64_t *ret_at, struct error *e);
/* Applies the records of S; RES->lineage is compared with or takes what a LINEAGE record says, RES->last_seq takes what a BASE record says.  -EBADMSG, with E set: they do not fit the
 * keyspace; or what the loader says. */
int aof_batch_records(const struct aof_batch *b, const struct seal *s, struct replay *r, struct aof_result *res,
                      struct error *e);
/* What these do to RES and E without a keyspace: 0 when the commands are known, -EPROTO with E set and *RET_AT; -EBADMSG with E set when the
 * records are malformed. */
int aof_batch_look(const struct aof_batch *b, uint64_t *ret_at, struct error *e);
int aof_batch_look_records(const struct aof_batch *b, const struct seal *s, struct aof_result *res, struct error *e);
void aof_batch_fini(struct aof_batch *b);

#endif
