/* when.c -- any bytes as a moment; what has a meaning is after the epoch, and means the same when it is written as seconds. */
#include "fs/when.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const int64_t now_ns = 1800000000500000000, ns_per_s = 1000000000;
	const char *why = NULL;
	int64_t ns = 0, again = 0;
	char text[64];

	if (when_parse((const char *)data, len, now_ns, &ns, &why) < 0) {
		if (!why || !*why)
			abort();
		return 0;
	}
	snprintf(text, sizeof(text), "%" PRId64 ".%09" PRId64, ns / ns_per_s, ns % ns_per_s);
	if (ns <= 0 || when_parse(text, strlen(text), now_ns, &again, &why) < 0 || again != ns)
		abort();
	return 0;
}
