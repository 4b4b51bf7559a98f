/* moment.c -- see moment.h. */
#include "persist/moment.h"

#include <stdio.h>
#include <time.h>

const char *moment_format(int64_t ns, bool up, char buf[MOMENT_TEXT])
{
	const int64_t ns_per_ms = 1000000, ms_per_s = 1000;
	int64_t ms = ns / ns_per_ms + (up && ns % ns_per_ms > 0);
	time_t s = (time_t)(ms / ms_per_s);
	char date[MOMENT_TEXT / 2] = "?";
	struct tm tm;

	if (localtime_r(&s, &tm))
		strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(buf, MOMENT_TEXT, "%s.%03d", date, (int)(ms % ms_per_s));
	return buf;
}
