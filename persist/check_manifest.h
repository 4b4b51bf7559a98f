/* check_manifest.h -- what a manifest must have said that is damaged, or is not there. */
#ifndef KVFS_PERSIST_CHECK_MANIFEST_H
#define KVFS_PERSIST_CHECK_MANIFEST_H

#include "persist/manifest.h"

/* A manifest of ours in which one bit is wrong: the only one that makes its checksum right.  True: *RET is what it was (to be freed by
 * manifest_fini()), *RET_AT the damaged byte.  TEXT is as before. */
bool check_manifest_bit(char *text, size_t len, struct manifest *ret, size_t *ret_at);

/* Whether NAME is one of the files of the log PREFIX: PREFIX.<number>.base.rdb, .base.aof or .incr.aof. */
bool check_is_part(const char *name, const char *prefix, uint64_t *ret_number, bool *ret_base);

/* From the files PREFIX.<n>.base.* and PREFIX.<n>.incr.aof in DIR_FD, by their names and by the batches in them: only where one answer is
 * possible.  0; -ENOENT: there are none; -EINVAL with E set: why not; -ENOMEM and what opening a file says. */
int check_manifest_rebuild(int dir_fd, const char *prefix, struct manifest *ret, struct error *e);

#endif
