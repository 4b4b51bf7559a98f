/* monitor_record.h -- the inside of MONITOR's buffer: records one behind the other, written under S, read by the control thread. */
#ifndef KVFS_FS_MONITOR_RECORD_H
#define KVFS_FS_MONITOR_RECORD_H

#include "persist/bytes.h"

#include <stdint.h>

struct monitor_record {
	int64_t at_ns;
	uint32_t size;             /* with this */
	uint32_t args;             /* so many follow */
};

enum monitor_arg_kind { MONITOR_TEXT, MONITOR_PATH /* of a value: shown as its key */ };

struct monitor_arg {
	uint32_t kind;
	uint32_t kept;             /* bytes that follow, */
	uint64_t len;              /* of so many */
};

/* Appends the line of the record at DATA, which stands there whole.  SOURCE is what stands in brackets.  0 or -ENOMEM. */
int monitor_print(const char *data, const char *source, struct bytes *lines);
/* Appends "LEN BYTES", in quotes and in Redis's quoting, with what is said of MORE bytes that are left out. */
int monitor_quote(const char *data, size_t len, uint64_t more, struct bytes *out);

#endif
