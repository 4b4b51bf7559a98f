/* crc.h -- the two checksums on disk.
 *
 * CRC64 "Jones", reflected, polynomial ad93d23594c935a9, init 0, xorout 0: what ends an RDB file.  check("123456789") = e9c6d914c4b8d9ca.
 * CRC32C (Castagnoli, RFC 3720), reflected, init and xorout all ones: what ends a seal.  check("123456789") = e3069283.
 * Both continue: pass the previous result to go on, 0 to start.  Some 10 GB/s with what x86 CPUs have for it, 1 to 2 without (crc.c).          */
#ifndef KVFS_PERSIST_CRC_H
#define KVFS_PERSIST_CRC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t crc64(uint64_t crc, const void *data, size_t len);
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);  /* the fallback, for the test that compares them */

/* A checksum that was computed and the one that was stored differ by DIFF (their exclusive or), and LEN bytes are covered: true when that is
 * because of one wrong bit in those; *RET_AT is its byte, *RET_BIT its number there.  Time grows with LEN: a second for some 100 MB. */
bool crc64_find_bit(uint64_t diff, size_t len, size_t *ret_at, unsigned *ret_bit);

#endif
