/* check_fix.h -- putting a repaired file in the place of a damaged one, which stays beside it: NAME.before-fix, or that and .2, .3 ...
 *
 * Durable and in an order that a crash can't harm: the new file is written and synced under another name, the old one gets its second name,
 * then the new one is renamed into place; the directory is synced after each.  Where the filesystem has no hard links the old one is
 * renamed away just before.  All calls return 0, or a negative errno with E set.                                                        */
#ifndef KVFS_PERSIST_CHECK_FIX_H
#define KVFS_PERSIST_CHECK_FIX_H

#include "persist/error.h"

#include <sys/uio.h>

/* NAME in DIR_FD becomes the COUNT parts, with the owner and mode it has; it may be missing.  *RET_KEPT: the name of the old one (owned), NULL
 * when there was none. */
int check_fix_replace(int dir_fd, const char *name, const struct iovec *part, int count, char **ret_kept, struct error *e);
/* NAME gets the other name alone. */
int check_fix_aside(int dir_fd, const char *name, char **ret_kept, struct error *e);

#endif
