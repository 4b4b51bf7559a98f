/* aof.c -- any bytes as a log file, read into a small keyspace: no crash, no overrun, nothing unbounded; what is taken is never more than
 * there is, and what counts of it counts again when it is read alone. */
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
