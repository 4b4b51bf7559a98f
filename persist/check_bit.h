/* check_bit.h -- the one wrong bit that explains why a checksum does not match: where it is and what it was is then known, and nothing is lost.
 *
 * A checksum of 64 bits has a different value for each; of 32 bits, among the bytes of a short batch, in all likelihood.                   */
#ifndef KVFS_PERSIST_CHECK_BIT_H
#define KVFS_PERSIST_CHECK_BIT_H

#include "persist/check_file.h"
#include "persist/mapped.h"

enum { CHECK_BIT_WINDOW = 16384 };   /* bytes: no longer batch is tried, since each of its bits is */

/* M is an RDB file that check_rdb() refuses, R what it said: the bit is put right in M, and R is what it says then.  A log may follow only
 * where the end of the RDB was found.  *RET_AT: the byte. */
bool check_bit_rdb(struct mapped *m, struct check_rdb *r, size_t *ret_at);
/* Likewise the log that begins at FROM in M, which check_log() refuses; L is what it said, FIRST what it was given. */
bool check_bit_log(struct mapped *m, size_t from, const struct check_log *l, const struct aof_result *first, size_t *ret_at);

#endif
