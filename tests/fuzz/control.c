/* control.c -- any bytes on the control socket, cut into any pieces: every session ends in replies that a client can parse, within its
 * bounds, and the pieces make no difference. */
#include "fs/commands.h"
#include "fs/session.h"
#include "fs/stats.h"
#include "tests/lib/fake_persist.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static int start_save(void *ctx, void *client)
{
	(void)ctx;
	(void)client;
	return 1;
}

static void stop(void *ctx, enum persist_final_save how)
{
	(void)ctx;
	(void)how;
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

static void run(const struct command_env *ce, const uint8_t *data, size_t len, size_t piece, struct bytes *out)
{
	struct session s = { .sent = 0 };

	while (len > 0) {
		size_t room = session_room(&s), n = len < piece ? len : piece;

		if (s.waiting) {
			check(room == 0 && session_save_done(&s, ce, NULL, 0) == 0);
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
		check(session_save_done(&s, ce, NULL, -EIO) == 0);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct keyspace_options o = { .value_max = 1 << 20, .root_mode = 0755 };
	struct command_counters counters = { 0 };
	struct persist persist = { .bgsave = STARTED, .bgrewriteaof = -EALREADY };
	struct stats stats = { .notified = 0 };
	struct bytes out = { 0 };
	struct config config;
	struct control_env env = { .config = &config, .persist = &persist, .stats = &stats, .mountpoint = "/mnt/kv",
				   .request_stop = stop };
	struct command_env ce = { .env = &env, .counters = &counters, .save = start_save };

	check(config_init(&config) == 0 && keyspace_new(&o, &env.ks) == 0);
	run(&ce, data, len, len > 0 ? 1 + data[0] % 61 : 1, &out);
	check_replies(&out);
	out.len = 0;
	run(&ce, data, len, SIZE_MAX, &out);
	check_replies(&out);
	bytes_fini(&out);
	keyspace_free(env.ks);
	config_fini(&config);
	return 0;
}
