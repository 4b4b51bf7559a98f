/* control.c -- any bytes on the control socket, cut into any pieces: every session ends in replies that a client can parse, within its
 * bounds, and the pieces make no difference. */
#include "fs/commands.h"
#include "fs/monitor.h"
#include "fs/session.h"
#include "fs/stats.h"
#include "tests/lib/fake_park.h"
#include "tests/lib/fake_persist.h"
#include "tests/lib/fake_stop.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void configured(void *ctx)
{
	(void)ctx;
}

static void drain(struct session *s, const struct command_env *ce, struct bytes *to)
{
	const char *data;
	size_t len;

	while ((len = session_pending(s, &data)) > 0) {
		check(bytes_add(to, data, len) == 0);
		check(session_sent(s, ce, NULL, len) == 0);
	}
}

static void run(const struct command_env *ce, struct fake_park *park, const uint8_t *data, size_t len, size_t piece, struct bytes *out)
{
	struct session s = { .sent = 0 };
	struct bytes lines = { 0 };
	bool lost = false;

	while (len > 0) {
		size_t room = session_room(&s), n = len < piece ? len : piece;

		if (s.waiting) {
			check(room == 0 && fake_park_end(park, &s, ce, 0) == 0);
			continue;
		}
		if (room == 0) {
			drain(&s, ce, out);
			if (session_room(&s) == 0 && !s.waiting)
				break;
			continue;
		}
		n = n < room ? n : room;
		check(session_take(&s, ce, NULL, (const char *)data, n) == 0);
		check(s.in.len <= SESSION_IN_MAX);
		data += n;
		len -= n;
	}
	while (s.waiting)
		check(fake_park_end(park, &s, ce, -EIO) == 0);
	if (s.monitor != NULL) {
		check(monitor_take(ce->monitor, INT64_MAX, &lines, &lost) == 0);
		check(session_feed(&s, ce, &lines, lost) == 0);
		bytes_fini(&lines);
	}
	drain(&s, ce, out);
	session_fini(&s);
}

static void check_replies(const struct bytes *out)
{
	struct resp_value v;
	const char *why;
	size_t at = 0, used;

	while (at < out->len) {
		check(resp_parse_reply(out->data + at, out->len - at, &v, &used, &why) == RESP_OK);
		at += used;
	}
	check(at == out->len);
}

/* A key for the commands that want one. */
static void make_key(struct keyspace *ks)
{
	struct op op = { .now_ns = 1 };
	struct attr a;

	int err = keyspace_mknod(ks, &op, KEYSPACE_ROOT, "k", 1, S_IFREG | 0644, &a);
	check(err == 0 || err == -EEXIST);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct keyspace_options o = { .value_max = 1 << 20, .root_mode = 0755 };
	struct command_counters counters = { 0 };
	struct persist persist = { .save = 1, .bgsave = STARTED, .bgrewriteaof = -EALREADY };
	struct stats stats = { .notified = 0 };
	struct bytes out = { 0 };
	struct config config;
	struct stop stop = { .in_progress = false };
	struct control_env env = { .config = &config, .persist = &persist, .stats = &stats, .mountpoint = "/mnt/kv",
				   .stop = &stop, .configured = configured };
	struct command_env ce = { .env = &env, .counters = &counters };
	struct fake_park park;

	check(fake_park_init(&park, &ce) == 0 && config_init(&config) == 0 && keyspace_new(&o, &env.ks) == 0);
	ce.monitor = monitor_new(env.ks, 0, env.mountpoint);
	check(ce.monitor != NULL);
	make_key(env.ks);
	run(&ce, &park, data, len, len > 0 ? 1 + data[0] % 61 : 1, &out);
	check_replies(&out);
	out.len = 0;
	make_key(env.ks);
	run(&ce, &park, data, len, SIZE_MAX, &out);
	check_replies(&out);
	bytes_fini(&out);
	check(!monitor_is_on(ce.monitor));
	monitor_free(ce.monitor);
	keyspace_free(env.ks);
	fake_park_fini(&park);
	config_fini(&config);
	return 0;
}
