/* glob.h -- patterns as Redis's CONFIG GET and KEYS have them: * ? [abc] [^a-z] \x.  Pure.
 *
 * Time is at most pattern length x text length, whatever the pattern. */
#ifndef KVFS_FS_GLOB_H
#define KVFS_FS_GLOB_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the pattern covers all of TEXT.  FOLD: ASCII letters match in either case. */
bool glob_match(const char *pattern, size_t pattern_len, const char *text, size_t text_len, bool fold);

#endif
