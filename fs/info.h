/* info.h -- the text of INFO: Redis's sections and names, and what only kvfs has to tell.
 *
 *      Server  Clients  Memory  Persistence  Stats  Fuse  Keyspace
 *
 * Lines end in CRLF, sections are parted by an empty line, as in Redis.                                                            */
#ifndef KVFS_FS_INFO_H
#define KVFS_FS_INFO_H

#include "fs/commands.h"

/* Appends the sections that SECTIONS (borrowed words) name; none, "all", "default" or "everything": all of them.  A section that does not
 * exist is no error and empty.  0 or -ENOMEM. */
int info_print(const struct command_env *ce, const struct resp_arg *sections, size_t count, struct bytes *out);

#endif
