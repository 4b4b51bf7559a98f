/* aof.c -- any bytes as a log file, read into a small keyspace: no crash, no overrun, nothing unbounded; what is taken is never more than
 * there is, and what counts of it counts again when it is read alone; so does what counts up to a moment. */
#include "persist/recover.h"
#include "persist/replay.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { VALUE_MAX = 1 << 20, MEMORY_MAX = 64 << 20, ROOT_MODE = 0755 };

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* Who only looks sees what was read. */
static void check_look(const uint8_t *data, size_t len, const struct aof_result *want)
{
	struct aof_result got = { 0 };
	struct error e = { 0 };

	check(aof_read(data, len, NULL, &got, &e) == 0);
	check(got.good == want->good && got.torn == want->torn && got.last_seq == want->last_seq && got.first_seq == want->first_seq &&
	      got.batches == want->batches && got.commands == want->commands && got.sealed == want->sealed && got.lineage == want->lineage);
}

/* Up to just before the last time in it, a log ends where it would if it had been cut there. */
static void check_until(const uint8_t *data, size_t len, const struct aof_result *whole)
{
	struct aof_result part = { .until_ns = whole->time_ns - 1 }, cut = { 0 };
	struct error e = { 0 };

	if (part.until_ns <= 0)
		return;
	check(aof_read(data, len, NULL, &part, &e) == 0);
	check(part.good <= whole->good && part.time_ns <= part.until_ns);
	if (!part.stopped)
		return;
	check(part.stop_ns > part.until_ns);
	check(aof_read(data, part.good, NULL, &cut, &e) == 0);
	check(!cut.torn && cut.good == part.good && cut.last_seq == part.last_seq && cut.batches == part.batches && cut.commands == part.commands);
}

static int read_log(const uint8_t *data, size_t len, struct aof_result *res, uint64_t *ret_keys)
{
	struct keyspace_options o = { .hash_seed = { 1, 2 }, .value_max = VALUE_MAX, .memory_max = MEMORY_MAX, .root_mode = ROOT_MODE };
	struct bytes report = { 0 };
	struct error e = { 0 };
	struct keyspace *ks;
	struct replay r;
	struct usage u;
	int err;

	*res = (struct aof_result){ 0 };
	check(keyspace_new(&o, &ks) == 0 && replay_init(&r, ks, 0, 0, 1) == 0);
	r.skip_non_strings = len & 1;
	err = aof_read(data, len, &r, res, &e);
	check(err == 0 || e.text[0] != '\0');
	check(res->good <= len && (err || res->torn || res->good == len));
	check(err == 0 || res->bad_at <= len);
	if (err == 0) {
		check_look(data, len, res);
		check_until(data, len, res);
	}
	if (!err && replay_finish(&r, &report, &e))
		check(e.text[0] != '\0');
	keyspace_usage(ks, &u);
	*ret_keys = u.keys;
	bytes_fini(&report);
	replay_fini(&r);
	keyspace_free(ks);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct aof_result res, again;
	uint64_t keys, keys_again;

	if (read_log(data, len, &res, &keys) || !res.torn)
		return 0;
	check(read_log(data, res.good, &again, &keys_again) == 0);
	check(!again.torn && again.good == res.good && again.last_seq == res.last_seq && keys_again == keys);
	return 0;
}
