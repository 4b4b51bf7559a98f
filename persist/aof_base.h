/* aof_base.h -- a snapshot as a log: the base of `aof-use-rdb-preamble no`.
 *
 * OPEN, then one batch for each value, symlink and special file (a large value: SET and as many APPENDs, SETRANGE behind a hole), then the directories, then a batch with the
 * record BASE (format.h), by which alone the file is complete.  Directories come last because what is made in them changes their times;
 * they are remembered until then.                                                                                                          */
#ifndef KVFS_PERSIST_AOF_BASE_H
#define KVFS_PERSIST_AOF_BASE_H

#include "persist/rdb.h"

struct aof_base;
/* LINEAGE, SEQ and NOW_NS of O; the sink is rdb.h's. */
int aof_base_new(const struct rdb_options *o, rdb_sink_fn *sink, void *ctx, struct aof_base **ret);
/* T: of the snapshot. */
int aof_base_begin(struct aof_base *w, const struct snapshot_totals *t);
int aof_base_entry(struct aof_base *w, const struct snapshot_entry *e);
/* Everything has gone to the sink when it returns 0. */
int aof_base_end(struct aof_base *w);
void aof_base_free(struct aof_base *w);

#endif
