/* check_dir.h -- between the files of check: the directory of a log, file by file as its manifest has them. */
#ifndef KVFS_PERSIST_CHECK_DIR_H
#define KVFS_PERSIST_CHECK_DIR_H

#include "persist/check_one.h"

/* Looks at the log of MANIFEST_NAME ("appendonly.aof.manifest", which may be missing) in DIR_FD.  SHOWN stands before the names in lines: "" or
 * "appendonlydir/".  *RET_END is where it ends. */
void check_log_dir(struct check *c, int dir_fd, const char *manifest_name, const char *shown, struct check_chain *ret_end);
/* Whether NAME is that of a manifest in use. */
bool check_is_manifest(const char *name);
/* The name of the manifest in DIR_FD: of the log FILENAME if it is there, else of another; of one that is missing, if files of its log are
 * there.  NULL: this is no directory of a log.  To be freed. */
char *check_find_manifest(int dir_fd, const char *filename);

#endif
