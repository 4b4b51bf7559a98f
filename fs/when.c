/* when.c -- see when.h. */
#include "fs/when.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
	NUMBER_DIGITS_MAX = 12, NS_DIGITS = 9, YEAR_MIN = 1970, SECONDS_OF_MINUTE = 60, SECONDS_OF_HOUR = 3600, SECONDS_OF_DAY = 86400,
	SECONDS_OF_WEEK = 604800, HOURS_MAX = 23, MINUTES_MAX = 59,
	SECONDS_MAX = 60,          /* a leap second is the start of the next minute */
};

static const int64_t ns_per_s = 1000000000;

static const char why_none[] = "is no moment: seconds since 1970, a date as 2026-11-22T10:00:00Z or \"2026-11-22 10:00:00\", or a time as "
                               "\"10 minutes ago\"";
static const char why_field[] = "is no moment: there is no such day or time of day";
static const char why_zone[] = "is no moment: there is no such offset from UTC";
static const char why_gap[] = "is no moment: the clocks of the local time zone passed over it";
static const char why_far[] = "is too far away";

/* What is still to read. */
struct when {
	const char *p, *end;
	const char *why;
};

static int fail(struct when *w, const char *why)
{
	w->why = why;
	return -EINVAL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t digits_ahead(const struct when *w)
{
	size_t n = 0;

	while (w->p + n < w->end && is_digit(w->p[n]))
		n++;
	return n;
}

static bool take(struct when *w, char c)
{
	if (w->p == w->end || *w->p != c)
		return false;
	w->p++;
	return true;
}

static void skip_blanks(struct when *w)
{
	while (w->p < w->end && (*w->p == ' ' || *w->p == '\t'))
		w->p++;
}

/* A number of MIN to MAX digits, and not more of them. */
static bool take_number(struct when *w, size_t min, size_t max, int64_t *ret)
{
	size_t n = digits_ahead(w);

	if (n < min || n > max)
		return false;
	for (*ret = 0; n > 0; n--)
		*ret = *ret * 10 + (*w->p++ - '0');
	return true;
}

/* ".25" as ns; what is finer is left out. */
static bool take_fraction(struct when *w, int64_t *ret_ns)
{
	size_t n, i;

	*ret_ns = 0;
	if (!take(w, '.'))
		return true;
	n = digits_ahead(w);
	for (i = 0; i < NS_DIGITS; i++)
		*ret_ns = *ret_ns * 10 + (i < n ? w->p[i] - '0' : 0);
	w->p += n;
	return n > 0;
}

static int finish(struct when *w, int64_t seconds, int64_t ns, int64_t *ret_ns)
{
	int64_t sum;

	if (w->p != w->end)
		return fail(w, why_none);
	if (__builtin_mul_overflow(seconds, ns_per_s, &sum) || __builtin_add_overflow(sum, ns, &sum) || sum <= 0)
		return fail(w, why_far);
	*ret_ns = sum;
	return 0;
}

/* ---- 1763805600.25 ---- */

static int parse_seconds(struct when *w, int64_t *ret_ns)
{
	int64_t seconds, ns;

	if (!take_number(w, 1, NUMBER_DIGITS_MAX, &seconds) || !take_fraction(w, &ns))
		return fail(w, why_none);
	return finish(w, seconds, ns, ret_ns);
}

/* ---- 10 minutes ago ---- */

/* The letters ahead. */
static size_t take_word(struct when *w, const char **ret)
{
	*ret = w->p;
	while (w->p < w->end && ((*w->p >= 'a' && *w->p <= 'z') || (*w->p >= 'A' && *w->p <= 'Z')))
		w->p++;
	return (size_t)(w->p - *ret);
}

static int64_t unit_seconds(const char *word, size_t len)
{
	static const struct {
		const char *word;
		int64_t seconds;
	} units[] = {
		{ "s", 1 }, { "sec", 1 }, { "second", 1 }, { "seconds", 1 },
		{ "m", SECONDS_OF_MINUTE }, { "min", SECONDS_OF_MINUTE }, { "minute", SECONDS_OF_MINUTE }, { "minutes", SECONDS_OF_MINUTE },
		{ "h", SECONDS_OF_HOUR }, { "hour", SECONDS_OF_HOUR }, { "hours", SECONDS_OF_HOUR },
		{ "d", SECONDS_OF_DAY }, { "day", SECONDS_OF_DAY }, { "days", SECONDS_OF_DAY },
		{ "w", SECONDS_OF_WEEK }, { "week", SECONDS_OF_WEEK }, { "weeks", SECONDS_OF_WEEK },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strlen(units[i].word) == len && strncasecmp(units[i].word, word, len) == 0)
			return units[i].seconds;
	return 0;
}

static int parse_ago(struct when *w, int64_t now_ns, int64_t *ret_ns)
{
	int64_t ago = 0, n, unit;
	const char *word;
	size_t len;

	while (take_number(w, 1, NUMBER_DIGITS_MAX, &n)) {
		skip_blanks(w);
		len = take_word(w, &word);
		unit = unit_seconds(word, len);
		if (!unit)
			return fail(w, why_none);
		if (__builtin_mul_overflow(n, unit, &n) || __builtin_add_overflow(ago, n, &ago))
			return fail(w, why_far);
		skip_blanks(w);
	}
	len = take_word(w, &word);
	if (len != 3 || strncasecmp(word, "ago", len) != 0)
		return fail(w, why_none);
	if (ago > now_ns / ns_per_s)
		return fail(w, why_far);
	return finish(w, now_ns / ns_per_s - ago, now_ns % ns_per_s, ret_ns);
}

/* ---- 2026-11-22T10:00:00.123+01:00 ---- */

struct date {
	int64_t year, month, day, hour, minute, second, ns;
};

static bool is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int64_t month_days(int64_t year, int64_t month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && is_leap(year));
}

static int take_date(struct when *w, struct date *d)
{
	if (!take_number(w, 4, 4, &d->year) || !take(w, '-') || !take_number(w, 2, 2, &d->month) || !take(w, '-') ||
	    !take_number(w, 2, 2, &d->day))
		return fail(w, why_none);
	if (d->year < YEAR_MIN)
		return fail(w, why_far);
	if (d->month < 1 || d->month > 12 || d->day < 1 || d->day > month_days(d->year, d->month))
		return fail(w, why_field);
	return 0;
}

static int take_time(struct when *w, struct date *d)
{
	if (!take_number(w, 2, 2, &d->hour) || !take(w, ':') || !take_number(w, 2, 2, &d->minute))
		return fail(w, why_none);
	if (take(w, ':') && (!take_number(w, 2, 2, &d->second) || !take_fraction(w, &d->ns)))
		return fail(w, why_none);
	if (d->hour > HOURS_MAX || d->minute > MINUTES_MAX || d->second > SECONDS_MAX)
		return fail(w, why_field);
	return 0;
}

/* "Z", "+01:00", "-0800", "+01": seconds east of UTC. */
static int take_zone(struct when *w, int64_t *ret_offset)
{
	int64_t hours, minutes = 0;
	bool west;

	*ret_offset = 0;
	if (take(w, 'Z') || take(w, 'z'))
		return 0;
	west = *w->p++ == '-';
	if (digits_ahead(w) == 4) {
		take_number(w, 4, 4, &hours);
		minutes = hours % 100;
		hours /= 100;
	} else if (!take_number(w, 2, 2, &hours) || (take(w, ':') && !take_number(w, 2, 2, &minutes))) {
		return fail(w, why_none);
	}
	if (hours > HOURS_MAX || minutes > MINUTES_MAX)
		return fail(w, why_zone);
	*ret_offset = (west ? -1 : 1) * (hours * SECONDS_OF_HOUR + minutes * SECONDS_OF_MINUTE);
	return 0;
}

static int local_seconds(struct when *w, const struct date *d, int64_t *ret)
{
	struct tm tm = {
		.tm_year = (int)d->year - 1900, .tm_mon = (int)d->month - 1, .tm_mday = (int)d->day,
		.tm_hour = (int)d->hour, .tm_min = (int)d->minute, .tm_sec = 0, .tm_isdst = -1,
	};
	time_t t = mktime(&tm);

	if (t == (time_t)-1)
		return fail(w, why_far);
	if (tm.tm_mday != d->day || tm.tm_hour != d->hour || tm.tm_min != d->minute)
		return fail(w, why_gap);
	*ret = (int64_t)t + d->second;
	return 0;
}

static int parse_date(struct when *w, int64_t *ret_ns)
{
	static const char zone_starts[] = { 'Z', 'z', '+', '-' };
	struct date d = { 0 };
	struct tm tm;
	int64_t seconds, offset;
	int err = take_date(w, &d);

	if (!err && w->p != w->end) {
		if (!take(w, 'T') && !take(w, 't') && !take(w, ' '))
			return fail(w, why_none);
		err = take_time(w, &d);
		if (!err)
			skip_blanks(w);
	}
	if (err)
		return err;
	if (w->p == w->end || !memchr(zone_starts, *w->p, sizeof(zone_starts))) {
		err = local_seconds(w, &d, &seconds);
		return err ? err : finish(w, seconds, d.ns, ret_ns);
	}
	err = take_zone(w, &offset);
	if (err)
		return err;
	tm = (struct tm){ .tm_year = (int)d.year - 1900, .tm_mon = (int)d.month - 1, .tm_mday = (int)d.day, .tm_hour = (int)d.hour,
		          .tm_min = (int)d.minute };
	return finish(w, (int64_t)timegm(&tm) + d.second - offset, d.ns, ret_ns);
}

/* ---- which of them ---- */

static int parse(struct when *w, int64_t now_ns, int64_t *ret_ns)
{
	size_t digits, len = (size_t)(w->end - w->p);
	const char *behind;

	if (len == 3 && strncasecmp(w->p, "now", len) == 0) {
		*ret_ns = now_ns;
		return 0;
	}
	digits = digits_ahead(w);
	behind = w->p + digits;
	if (digits && behind < w->end && *behind == '-')
		return parse_date(w, ret_ns);
	if (digits && (behind == w->end || *behind == '.'))
		return parse_seconds(w, ret_ns);
	return digits ? parse_ago(w, now_ns, ret_ns) : fail(w, why_none);
}

int when_parse(const char *text, size_t len, int64_t now_ns, int64_t *ret_ns, const char **ret_why)
{
	struct when w = { .p = text, .end = text + len, .why = why_none };
	int err;

	if (len > WHEN_MAX) {
		*ret_why = why_none;
		return -EINVAL;
	}
	skip_blanks(&w);
	while (w.end > w.p && (w.end[-1] == ' ' || w.end[-1] == '\t'))
		w.end--;
	err = parse(&w, now_ns, ret_ns);
	if (err)
		*ret_why = w.why;
	return err;
}
