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
 *              5       1     flags: 1 RECORDS_ONLY, 2 OPEN, 4 STAMPED, 8 ESCAPED
 *              6       2     count of records
 *              8       8     sequence number, from 1
 *              16      8     time of the operation, ns since the epoch
 *              24      ..    records
 *              end-4   4     CRC32C over all bytes of the batch from its first '*' (STAMPED: from the '#' before it) up to here
 *      (the batch ends with the CRLF behind the blob)
 *
 * A batch counts if and only if its seal is whole, its CRC matches and its sequence number is the one after the last batch's.  Where no file
 * before says of which keyspace it is, there is no last batch, and any OPEN batch begins.
 *
 * Meaning: the commands are applied as Redis does, at the time of the seal (mtime, ctime of the file; of its directory where a name
 * comes or goes), then the records in order.  RECORDS_ONLY: the commands are what Redis needs to follow; kvfs applies the records alone.
 * STAMPED: right before the batch stands a line "#TS:<seconds>" CRLF that belongs to it.
 * OPEN: the batch is SELECT and this seal; the first thing kvfs writes whenever it opens a log; it starts a sealed stretch and says by
 * which keyspace (record OPEN).  Commands with no seal behind them count as Redis has it in a stretch that Redis wrote: from the start of
 * a file up to the first OPEN, and from a SELECT (that no OPEN seal follows at once) up to the next OPEN.
 *
 * Commands hold keys, records hold paths (store/keyname.h).  ESCAPED: one of the paths has a name that begins with ".%", as keyname.h has
 * it.  Without ESCAPED the bytes of each path are those of the key.
 *
 *      record  1 byte kind, | 0x80 when its path is that of the key of the batch's first command, else a string follows
 *      1 ATTR          mask byte (enum attr_change_mask without SIZE), then what it names, in the order of the bits:
 *                      mode u32, uid u32, gid u32, atime i64, mtime i64, ctime i64
 *      2 MKDIR         mode u32, uid u32, gid u32
 *      3 SYMLINK       mode u32, uid u32, gid u32, string target
 *      4 REMOVE        (what Redis has no key for: all but values)
 *      5 RENAME        flags byte (enum rename_flags), string new path; a directory goes with all below it
 *      6 OPEN          u64 lineage: random number of this keyspace; the path is empty
 *      7 PARENT_TIME   i64 ns: mtime and ctime of the directory that holds the path
 *      8 RESIZE        u64 size of the value
 *      9 BASE          u64 sequence number: the file up to here is a base (aof-use-rdb-preamble no), numbered from 1 by itself, and includes all
 *                      batches of the log up to that number; the path is empty
 *      10 BESIDE       (the value of the path has its key's second name; the path is the key of the batch's first command)
 *      11 LINK         string: a further name of what the path names.  For Redis each name of a file is a key with the value: what changes
 *                      one says so of all, in commands that change nothing when kvfs does them again to the file they share
 *      12 MKNOD        mode u32 with the type (FIFO, socket, character or block device), uid u32, gid u32, device u32 as Linux numbers it
 *                      (12 bits of minor's upper, 12 of major, 8 of minor's lower part; 0 for a FIFO or socket)
 *      13 XATTR        flags byte (1: it is taken away), string name, string value: one extended attribute of whatever the path names
 *      14 ZERO         u64 offset, u64 length: zeros, and the size is not less than their end
 *      15 COPY         u64 offset, u64 length: these bytes are those of another file, string path, at u64 offset
 *
 * A directory with much below it moves for Redis by one command, EVAL RENAME_SCRIPT 0 FROM/ TO/: each key that begins with FROM/ gets another
 * beginning.  (An exchange: three of them, by way of a beginning that no other key has.)  Scripts stand in RECORDS_ONLY batches, but for
 * script_beyond; script.h has the others.
 *
 * Torn tail: a batch that the end of the last file cuts short, with no seal of a later or the same sequence number behind its start.  It
 * is cut off, a copy is kept.  NUL bytes at the end of the file count as not there: a power loss leaves such.  Anything else that does not
 * count is damage.
 *
 * ---- The manifest ----
 *
 * Redis's lines, and before them one that Redis takes for a comment:
 *
 *      # kvfs crc32c XXXXXXXX        CRC32C over all bytes behind this line, 8 lower-case hex digits
 *
 * It is the first line or there is none (Redis wrote the manifest).  A comment in the first line that says "kvfs" or "crc32c" and is not that
 * line is damage.
 *
 * ---- The RDB file ----
 *
 * REDIS0009.  AUX "kvfs-id" (lineage, 16 hex digits) and AUX "kvfs-seq" (decimal: the last batch the file includes) at the top.
 * AUX "kvfs-parent" (lineage, colon, decimal) where a daemon without a log went on from a snapshot while a log lay beside: of which keyspace that
 * snapshot was, and its last batch.
 * AUX "kvfs" before each key with the attributes of that key; for what is no key alone, with the path inside:
 *
 *      1 version, 1    1 kind (1 value, 2 directory, 3 symlink, 4 FIFO, socket or device: its mode has the type)
 *      1 flags (1: atime = mtime, 2: ctime = mtime, 4: the path is ESCAPED as above, or the value BESIDE, 8: LINKED,
 *              16: XATTRS, 32: atime = mtime with its last 22 bits 0; not with 1)
 *      u32 mode  u32 uid  u32 gid  i64 mtime  [i64 atime]  [i64 ctime]
 *      LINKED: u64, not 0: what is of the same kind and has this number too is a further name of the same file (a value is there whole each time)
 *      all but a value: string path (the root's is empty)    symlink: string target    FIFO, socket, device: device u32, as in MKNOD
 *      XATTRS: varint count, then so many times: string name, string value
 *
 * Before the AUX of a value that is larger than Redis can hold, and whose key has an empty value for Redis, stand its pieces; what is not among
 * them is a hole:
 *
 *      1 version, 1    1 kind (5 SPARSE)    u64 size of the value    u64 offset    bytes, up to the end of the blob; pieces in order
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
	SEAL_STAMPED = 4,
	SEAL_ESCAPED = 8,
	SEAL_PATH_IS_KEY = 0x80,
};

enum seal_record_kind {
	SEAL_ATTR = 1, SEAL_MKDIR, SEAL_SYMLINK, SEAL_REMOVE, SEAL_RENAME, SEAL_LINEAGE, SEAL_PARENT_TIME, SEAL_RESIZE,
	SEAL_BASE, SEAL_BESIDE, SEAL_LINK, SEAL_MKNOD, SEAL_XATTR, SEAL_ZERO, SEAL_COPY,
};

enum { SEAL_XATTR_REMOVED = 1 };

/* The signs that mean something to KEYS are escaped by the script, so that the arguments are the bytes themselves. */
#define RENAME_SCRIPT \
	"for _, key in ipairs(redis.call('KEYS', (ARGV[1]:gsub('[*?%[\\\\]', '\\\\%0')) .. '*')) do " \
	"redis.call('RENAME', key, ARGV[2] .. key:sub(#ARGV[1] + 1)) end"

/* Bytes of the largest value that Redis is told of, in a log or an RDB file; what is larger is kvfs's alone.  (redis-server 7.0 takes any size from
 * a file, and dies of one that its memory can't hold.) */
#define REDIS_VALUE_MAX 0xffffffffu

#define MANIFEST_SUM "# kvfs crc32c "

#define AUX_ATTR "kvfs"
#define AUX_LINEAGE "kvfs-id"
#define AUX_PARENT "kvfs-parent"
#define AUX_SEQ "kvfs-seq"

enum { AUX_VERSION = 1, AUX_VALUE = 1, AUX_DIRECTORY = 2, AUX_SYMLINK = 3, AUX_SPECIAL = 4, AUX_SPARSE = 5, AUX_ATIME_IS_MTIME = 1,
       AUX_CTIME_IS_MTIME = 2, AUX_ESCAPED = 4, AUX_LINKED = 8, AUX_XATTRS = 16, AUX_ATIME_AT_MTIME = 32 };

#endif
