/* Moments as people write them: each form means what it says, and what means nothing is refused with a reason.
 * By a table of texts, read at a fixed time in a fixed time zone with summer time. */
#include "fs/when.h"
#include "tests/lib/tap.h"

#include <stdlib.h>
#include <time.h>

static const int64_t now_ns = 1800000000500000000;      /* 2027-01-15T08:00:00.5Z */

static void means(const char *text, int64_t want_ns)
{
	int64_t ns = -1;
	const char *why = "";

	if (when_parse(text, strlen(text), now_ns, &ns, &why))
		diag("%s %s", text, why);
	is(ns, want_ns, "%s", text);
}

static void refused(const char *text, const char *because)
{
	int64_t ns = -1;
	const char *why = "";
	int err = when_parse(text, strlen(text), now_ns, &ns, &why);

	ok(err < 0 && strstr(why, because) != NULL && ns == -1, "%s", text);
}

static void test_seconds(void)
{
	means("1763805600", 1763805600000000000);
	means(" 1763805600\t", 1763805600000000000);
	means("1763805600.25", 1763805600250000000);
	means("1763805600.000000001", 1763805600000000001);
	means("1763805600.0000000019", 1763805600000000001);
	means("1", 1000000000);
	refused("0", "far");
	refused("9999999999", "far");
	refused("99999999999999999999", "no moment");
	refused("1763805600.", "no moment");
	refused("-5", "no moment");
	refused("1763805600 x", "no moment");
}

static void test_dates(void)
{
	means("2026-11-22T10:00:00Z", 1795341600000000000);
	means("2026-11-22t10:00:00z", 1795341600000000000);
	means("2026-11-22 10:00:00Z", 1795341600000000000);
	means("2026-11-22 10:00:00 Z", 1795341600000000000);
	means("2026-11-22T10:00:00.125Z", 1795341600125000000);
	means("2026-11-22T11:00:00+01:00", 1795341600000000000);
	means("2026-11-22T11:00:00+0100", 1795341600000000000);
	means("2026-11-22T11:00:00+01", 1795341600000000000);
	means("2026-11-22T05:30:00-04:30", 1795341600000000000);
	means("2026-11-22T10:00Z", 1795341600000000000);
	means("2028-02-29T00:00:00Z", 1835395200000000000);
	means("2026-12-31T23:59:60Z", 1798761600000000000);
	refused("2026-02-29T00:00:00Z", "no such day");
	refused("2100-02-29T00:00:00Z", "no such day");
	refused("2026-13-01", "no such day");
	refused("2026-00-01", "no such day");
	refused("2026-04-31", "no such day");
	refused("2026-11-22T24:00:00Z", "no such day or time");
	refused("2026-11-22T10:60:00Z", "no such day or time");
	refused("2026-11-22T10:00:61Z", "no such day or time");
	refused("2026-11-22T10:00:00+24:00", "offset");
	refused("2026-11-22T10:00:00+01:60", "offset");
	refused("2026-11-22T10:00:00.Z", "no moment");
	refused("2026-11-22T10:00:00ZZ", "no moment");
	refused("2026-11-22T10:00:00+", "no moment");
	refused("2026-11-22T10", "no moment");
	refused("2026-11-22T", "no moment");
	refused("2026-11-22x", "no moment");
	refused("2026-11-2", "no moment");
	refused("26-11-22", "no moment");
	refused("12026-11-22", "no moment");
	refused("2026-11", "no moment");
	refused("1969-12-31T23:59:59Z", "far");
	refused("2263-01-01T00:00:00Z", "far");
	refused("1970-01-01T00:00:00Z", "far");
}

/* Berlin's rules, spelled out. */
static void test_local(void)
{
	means("2026-11-22 10:00:00", 1795338000000000000);
	means("2026-11-22T10:00:00.5", 1795338000500000000);
	means("2026-11-22 10:00", 1795338000000000000);
	means("2026-11-22", 1795302000000000000);
	means("2026-11-22 ", 1795302000000000000);
	means("2026-07-01 12:00:00", 1782900000000000000);
	refused("2026-03-29 02:30:00", "passed over");
}

static void test_ago(void)
{
	means("10 minutes ago", now_ns - 600 * 1000000000LL);
	means("1 hour 30 minutes ago", now_ns - 5400 * 1000000000LL);
	means("1h30m ago", now_ns - 5400 * 1000000000LL);
	means("  2 Days   ago  ", now_ns - 172800 * 1000000000LL);
	means("1 week 1 day 1 hour 1 minute 1 second ago", now_ns - 694861 * 1000000000LL);
	means("0 seconds ago", now_ns);
	means("90 sec ago", now_ns - 90 * 1000000000LL);
	means("now", now_ns);
	means("NOW", now_ns);
	refused("10 minutes", "no moment");
	refused("minutes ago", "no moment");
	refused("10 ago", "no moment");
	refused("ago", "no moment");
	refused("10 fortnights ago", "no moment");
	refused("10 minutes ago now", "no moment");
	refused("1.5 hours ago", "no moment");
	refused("1000000000 days ago", "far");
	refused("999999999999 weeks 999999999999 weeks ago", "far");
	refused("yesterday", "no moment");
	refused("", "no moment");
	refused("   ", "no moment");
}

static void test_long(void)
{
	char text[WHEN_MAX + 2];
	const char *why = NULL;
	int64_t ns;

	memset(text, ' ', sizeof(text));
	text[0] = '1';
	is(when_parse(text, WHEN_MAX, now_ns, &ns, &why), 0, "as long as a text may be");
	ok(when_parse(text, WHEN_MAX + 1, now_ns, &ns, &why) < 0 && why, "and one byte more");
}

int main(void)
{
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	test_seconds();
	test_dates();
	test_local();
	test_ago();
	test_long();
	return tap_end();
}
