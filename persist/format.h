/* format.h -- what kvfs adds to Redis's files.  This page is the specification; golden files stand in tests/data/.
 *
 * All integers little endian.  A varint is LEB128: seven bits a byte, low first, at most 10 bytes.  A string is varint length, bytes.
 *
 * ---- The append-only file ----
 *
 * A batch is one operation: zero or more stock Redis commands, then a seal: ECHO <blob>.
 *
 *      blob    offset  size
 *              0       4     magic "KVFS"
 *              4       1     version, 1
 *              5       1     flags: 1 RECORDS_ONLY, 2 OPEN
 *              6       2     count of records
 *              8       8     sequence number, from 1
 *              16      8     time of the operation, ns since the epoch
 *              24      ..    records
 *              end-4   4     CRC32C over all bytes of the batch from its first '*' up to here
 *      (the batch ends with the CRLF behind the blob)
 *
 * A batch counts if and only if its seal is whole, its CRC matches and its sequence number is the one after the last batch's.
 *
 * Meaning: the commands are applied as Redis does, at the time of the seal (mtime, ctime of the file; of its directory where a name
 * comes or goes), then the records in order.  RECORDS_ONLY: the commands are what Redis needs to follow; kvfs applies the records alone.
 * OPEN: the batch is SELECT 0 and this seal; the first thing kvfs writes whenever it opens a log; it starts a sealed stretch and says by
 * which keyspace (record OPEN).  Commands with no seal behind them count as Redis has it in a stretch that Redis wrote: from the start of
 * a file up to the first OPEN, and from a SELECT (that no OPEN seal follows at once) up to the next OPEN.
 *
 *      record  1 byte kind, | 0x80 when its path is the key of the batch's first command, else a string follows
 *      1 ATTR          mask byte (enum attr_change_mask without SIZE), then what it names, in the order of the bits:
 *                      mode u32, uid u32, gid u32, atime i64, mtime i64, ctime i64
 *      2 MKDIR         mode u32, uid u32, gid u32
 *      3 SYMLINK       mode u32, uid u32, gid u32, string target
 *      4 REMOVE        (what Redis has no key for: a directory or a symlink)
 *      5 RENAME        flags byte (enum rename_flags), string new path
 *      6 OPEN          u64 lineage: random number of this keyspace; the path is empty
 *      7 PARENT_TIME   i64 ns: mtime and ctime of the directory that holds the path
 *      8 RESIZE        u64 size of the value
 *      9 BASE          u64 sequence number: the file up to here is a base (aof-use-rdb-preamble no), numbered from 1 by itself, and includes all
 *                      batches of the log up to that number; the path is empty
 *
 * Torn tail: a batch that the end of the last file cuts short, with no seal of a later or the same sequence number behind its start.  It
 * is cut off, a copy is kept.  NUL bytes at the end of the file count as not there: a power loss leaves such.  Anything else that does not
 * count is damage.
 *
 * ---- The RDB file ----
 *
 * REDIS0009.  AUX "kvfs-id" (lineage, 16 hex digits) and AUX "kvfs-seq" (decimal: the last batch the file includes) at the top.
 * AUX "kvfs" before each key with the attributes of that key; for directories and symlinks alone, with the path inside:
 *
 *      1 version, 1    1 kind (1 value, 2 directory, 3 symlink)    1 flags (1: atime = mtime, 2: ctime = mtime)
 *      u32 mode  u32 uid  u32 gid  i64 mtime  [i64 atime]  [i64 ctime]
 *      directory, symlink: string path (the root's is empty)    symlink: string target
 *
 * Another version: the blob is ignored and defaults are used.                                                                        */
#ifndef KVFS_PERSIST_FORMAT_H
#define KVFS_PERSIST_FORMAT_H

#define SEAL_MAGIC "KVFS"

enum {
	SEAL_VERSION = 1,
	SEAL_HEADER_SIZE = 24,
	SEAL_CRC_SIZE = 4,
	SEAL_RECORDS_ONLY = 1,
	SEAL_OPEN = 2,
	SEAL_PATH_IS_KEY = 0x80,
};

enum seal_record_kind {
	SEAL_ATTR = 1, SEAL_MKDIR, SEAL_SYMLINK, SEAL_REMOVE, SEAL_RENAME, SEAL_LINEAGE, SEAL_PARENT_TIME, SEAL_RESIZE,
	SEAL_BASE,
};

#define AUX_ATTR "kvfs"
#define AUX_LINEAGE "kvfs-id"
#define AUX_SEQ "kvfs-seq"

enum { AUX_VERSION = 1, AUX_VALUE = 1, AUX_DIRECTORY = 2, AUX_SYMLINK = 3, AUX_ATIME_IS_MTIME = 1, AUX_CTIME_IS_MTIME = 2 };

#endif
