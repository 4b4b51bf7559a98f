/* check.c -- any bytes as a file that kvfs-ctl check looks at: no crash, no overrun; what it says counts is never more than there is, and
 * counts again, whole, when it stands alone: that is what --fix makes of it. */
#include "persist/check_bit.h"
#include "persist/check_file.h"
#include "persist/rdb.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { SHORT_MAX = 200 };

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void look_at_rdb(const char *data, size_t len)
{
	struct check_rdb r, again;
	struct error e = { "" };
	int err = check_rdb(data, len, &r, &e);
	char *fixed;

	check(r.good <= len && r.used <= len && (err == 0 || e.text[0] != '\0'));
	check(err != 0 || r.used > 0);
	if (err == 0 || r.good == 0)
		return;
	fixed = malloc(r.good + CHECK_RDB_END);
	check(fixed != NULL);
	memcpy(fixed, data, r.good);
	len = r.good + check_rdb_end(data, &r, fixed + r.good);
	e.text[0] = '\0';
	err = check_rdb(fixed, len, &again, &e);
	check(again.used == len && err == 0 && again.keys == r.keys && again.directories == r.directories && again.symlinks == r.symlinks && again.good == r.good);
	free(fixed);
}

/* Every bit of a short one is tried; what is put right counts further than before. */
static void look_for_bit(const char *data, size_t len, const struct check_log *was)
{
	struct mapped m = { .data = malloc(len), .len = len, .in_memory = true };
	struct aof_result first = { 0 };
	struct check_log now = { .res = { 0 } };
	struct error e = { "" };
	size_t at;

	check(m.data != NULL);
	memcpy((char *)m.data, data, len);
	if (check_bit_log(&m, 0, was, &first, &at)) {
		(void)check_log(m.data, len, &now, &e);
		check(at < len && now.res.batches > was->res.batches && now.res.good > at);
	}
	mapped_fini(&m);
}

static void look_at_log(const char *data, size_t len)
{
	struct check_log l = { .res = { 0 } }, again = { .res = { 0 } };
	struct error e = { "" };
	int err = check_log(data, len, &l, &e);

	check(l.res.good <= len && (err == 0 || e.text[0] != '\0') && strlen(l.what) < sizeof(l.what));
	check(l.later.count == 0 || l.later.first > 0);
	(void)check_opens_with(data, len);
	if (err && len > 0 && len <= SHORT_MAX)
		look_for_bit(data, len, &l);
	e.text[0] = '\0';
	check(check_log(data, (size_t)l.res.good, &again, &e) == 0 && !again.res.torn && again.res.good == l.res.good);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *bytes = (const char *)data;

	if (rdb_is(bytes, len))
		look_at_rdb(bytes, len);
	else
		look_at_log(bytes, len);
	return 0;
}
