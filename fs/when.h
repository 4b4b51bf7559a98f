/* when.h -- a moment as people write it:
 *
 *      1763805600, 1763805600.25                seconds since the epoch
 *      2026-11-22T10:00:00Z                     RFC 3339; a space for the T, an offset for the Z; seconds, or all of the time, may be left
 *      2026-11-22 10:00:00.123                  out; without a zone it is local time
 *      10 minutes ago, 1 hour 30 minutes ago    seconds, minutes, hours, days, weeks
 *      now
 *
 * Pure, but for the local time zone (TZ).                                                                                              */
#ifndef KVFS_FS_WHEN_H
#define KVFS_FS_WHEN_H

#include <stddef.h>
#include <stdint.h>

enum { WHEN_MAX = 100 };       /* bytes of a text that can mean something */

/* LEN bytes of TEXT, when it is NOW_NS (ns since the epoch, as all here).  0; -EINVAL and *RET_WHY (static: "is no moment (...)"). */
int when_parse(const char *text, size_t len, int64_t now_ns, int64_t *ret_ns, const char **ret_why);

#endif
