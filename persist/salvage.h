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
/* Bytes of LEN without the NULs at the end: where a power loss leaves a file longer than what was written. */
size_t salvage_written(const char *data, size_t len);

#endif
