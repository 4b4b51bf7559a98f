/* settle.h -- before the files of a keyspace are looked at: what its daemon has acknowledged gets into them.
 *
 * That is fsync(2) on its mount, where one is to be seen in this namespace.  A daemon that hangs must not hang who only looks: so the call is
 * made by a child process, which is given up after a while.                                                                                */
#ifndef KVFS_FS_SETTLE_H
#define KVFS_FS_SETTLE_H

/* SOURCE, absolute and resolved: a data directory, or something below one.  0: done, or nobody has it mounted; else a negative errno: it
 * may lack what was changed last; -ETIMEDOUT: no answer.  Called while the process has one thread. */
int settle(const char *source);

#endif
