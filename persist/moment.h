/* moment.h -- a moment as text for people: local time, "2026-11-22 10:00:00.123". */
#ifndef KVFS_PERSIST_MOMENT_H
#define KVFS_PERSIST_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

enum { MOMENT_TEXT = 64 };     /* bytes of room */

/* NS since the epoch, down to the millisecond; UP: the next one if it is none, so that who gives the text back as a moment is not before
 * it.  Returns BUF. */
const char *moment_format(int64_t ns, bool up, char buf[MOMENT_TEXT]);

#endif
