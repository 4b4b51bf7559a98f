/* malloc_fail.h -- an allocator that fails when told to, and counts what lives.
 *
 * A program that calls one of these is linked with it instead of libc's malloc(); each block gets a header of its own.
 * Failures are told to the calling thread alone; what lives is counted for all.                                       */
#ifndef KVFS_TESTS_MALLOC_FAIL_H
#define KVFS_TESTS_MALLOC_FAIL_H

#include <stdbool.h>
#include <stdint.h>

/* The K-th allocation from now (1: the next) fails, once.  0: none. */
void malloc_fail_at(uint64_t k);
/* Forgets it; true when it did fail. */
bool malloc_fail_end(void);
/* Bytes that live, each block as glibc rounds it. */
uint64_t malloc_live(void);

#endif
