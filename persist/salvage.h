/* salvage.h -- telling a torn tail from damage: is there a seal behind the place where a batch could not be read?
 *
 * A batch that the end of the file cuts short has no whole seal, and nothing was written behind it.  A batch whose lengths were
 * damaged has both.  Pure functions on memory.                                                                                */
#ifndef KVFS_PERSIST_SALVAGE_H
#define KVFS_PERSIST_SALVAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Looks in DATA from FROM on for the seal of batch EXPECTED or of one that could have followed it (its number is not higher than
 * there is room for batches).  EXPECTED 0: no number is known; then for an OPEN batch whose checksum is right.  *RET_AT is the
 * offset of its blob. */
bool salvage_find_seal(const char *data, size_t len, size_t from, uint64_t expected, size_t *ret_at);
struct salvage_later { uint64_t count, first, last; };  /* batches; the numbers of the first and the last */
/* Counts the batches in DATA from FROM on, where one can't be read, that are whole by their own seals: each whose start is known, because a
 * seal ends before it or it opens a log. */
void salvage_count_later(const char *data, size_t len, size_t from, struct salvage_later *ret);
/* Whether the LEN bytes of DATA are how a batch begins that opens a log, and not all of it. */
bool salvage_is_torn_open(const char *data, size_t len);
/* Bytes of LEN without the NULs at the end: where a power loss leaves a file longer than what was written. */
size_t salvage_written(const char *data, size_t len);

#endif
