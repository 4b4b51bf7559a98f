/* version.h -- what `--version` and INFO say. */
#ifndef KVFS_FS_VERSION_H
#define KVFS_FS_VERSION_H

#define KVFS_VERSION "0.1.0"
/* The Redis whose files, words and INFO fields kvfs follows. */
#define KVFS_REDIS_VERSION "7.0.15"

#endif
