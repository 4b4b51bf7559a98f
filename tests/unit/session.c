/* Clients of the control socket get Redis's words, in order, whatever way their bytes arrive and however slowly they read.
 * By sessions without a socket, on a real (empty) keyspace and a persist that answers as told. */
#include "fs/commands.h"
#include "fs/session.h"
#include "fs/stats.h"
#include "tests/lib/fake_persist.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>

struct world {
	struct config config;
	struct keyspace *ks;
	struct persist persist;
	struct stats stats;
	struct control_env env;
	struct command_counters counters;
	struct command_env ce;
	int save_answer;
	int stops;
	enum persist_final_save how;
};

static void take_stop(void *ctx, enum persist_final_save how)
{
	struct world *w = ctx;

	w->stops++;
	w->how = how;
}

static int take_save(void *ctx, void *client)
{
	struct world *w = ctx;

	(void)client;
	return w->save_answer;
}

static bool world_init(struct world *w)
{
	struct keyspace_options o = { .value_max = 1 << 20, .root_mode = 0755 };

	memset(w, 0, sizeof(*w));
	if (config_init(&w->config) < 0 || keyspace_new(&o, &w->ks) < 0)
		return false;
	w->env = (struct control_env){ .config = &w->config, .ks = w->ks, .persist = &w->persist, .stats = &w->stats,
				       .mountpoint = "/mnt/a b\n", .request_stop = take_stop, .stop_ctx = w };
	w->ce = (struct command_env){ .env = &w->env, .counters = &w->counters, .save = take_save, .save_ctx = w };
	return true;
}

static void world_fini(struct world *w)
{
	config_fini(&w->config);
	keyspace_free(w->ks);
}

/* All that the session wants to send, sent; owned by S until the next call. */
static void drain(struct world *w, struct session *s, struct bytes *to)
{
	const char *data;
	size_t len;

	while ((len = session_pending(s, &data)) > 0) {
		(void)bytes_add(to, data, len);
		(void)session_sent(s, &w->ce, NULL, len);
	}
}

static void check(struct world *w, const char *in, const char *want)
{
	struct session s = { .sent = 0 };
	struct bytes got = { 0 };
	char quoted[80];

	ok(session_take(&s, &w->ce, NULL, in, strlen(in)) == 0, "%s", error_quote(in, strlen(in), quoted, sizeof(quoted)));
	drain(w, &s, &got);
	is_bytes(got.data, got.len, want, strlen(want), "is answered");
	bytes_fini(&got);
	session_fini(&s);
}

static void test_words(struct world *w)
{
	static const char *const cases[][2] = {
		{ "PING\r\n", "+PONG\r\n" },
		{ "ping \"a b\"\r\n", "$3\r\na b\r\n" },
		{ "*2\r\n$4\r\nECHO\r\n$3\r\na\r\n\r\n", "$3\r\na\r\n\r\n" },
		{ "SELECT 0\r\nSELECT 1\r\nSELECT x\r\n", "+OK\r\n-ERR DB index is out of range\r\n-ERR value is not an integer or out of range\r\n" },
		{ "DBSIZE\r\nLASTSAVE\r\n", ":0\r\n:1700000000\r\n" },
		{ "COMMAND DOCS\r\nCLIENT SETNAME x\r\n", "*0\r\n+OK\r\n" },
		{ "CLIENT x\r\n", "-ERR unknown subcommand 'x'. Try CLIENT HELP.\r\n" },
		{ "HELLO 3\r\n", "-ERR unknown command 'HELLO', with args beginning with: '3' \r\n" },
		{ "foo a b\r\n", "-ERR unknown command 'foo', with args beginning with: 'a' 'b' \r\n" },
		{ "\"f\\r\\no\"\r\n", "-ERR unknown command 'f  o', with args beginning with: \r\n" },
		{ "lastsave 1\r\n", "-ERR wrong number of arguments for 'lastsave' command\r\n" },
		{ "config\r\n", "-ERR wrong number of arguments for 'config' command\r\n" },
		{ "config get\r\n", "-ERR wrong number of arguments for 'config|get' command\r\n" },
		{ "config x\r\n", "-ERR unknown subcommand 'x'. Try CONFIG HELP.\r\n" },
		{ "config get appendfs* APPENDFSYNC sav?\r\n",
		  "*4\r\n$11\r\nappendfsync\r\n$8\r\neverysec\r\n$4\r\nsave\r\n$23\r\n3600 1 300 100 60 10000\r\n" },
		{ "config get nosuch\r\n", "*0\r\n" },
		{ "config set save\r\n", "-ERR wrong number of arguments for 'config|set' command\r\n" },
		{ "config set save '' dir\r\n", "-ERR syntax error\r\n" },
		{ "config set dir /x\r\n", "-ERR CONFIG SET failed (possibly related to argument 'dir') - can't set immutable config\r\n" },
		{ "config set nosuch 1\r\n", "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n" },
		{ "config set save '' SAVE ''\r\n", "-ERR CONFIG SET failed (possibly related to argument 'SAVE') - duplicate parameter\r\n" },
		{ "bgsave x\r\n", "-ERR syntax error\r\n" },
		{ "shutdown x\r\n", "-ERR syntax error\r\n" },
		{ "QUIT\r\nPING\r\n", "+OK\r\n" },
		{ "\r\n\r\n*0\r\nPING\r\n", "+PONG\r\n" },
		{ "*1\r\n+3\r\nPING\r\n", "-ERR Protocol error: expected '$'\r\n" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(w, cases[i][0], cases[i][1]);
}

static void test_saving(struct world *w)
{
	w->persist.bgsave = STARTED;
	check(w, "BGSAVE\r\n", "+Background saving started\r\n");
	ok(!w->persist.scheduled, "plain");
	w->persist.bgsave = SCHEDULED;
	check(w, "BGSAVE schedule\r\n", "+Background saving scheduled\r\n");
	ok(w->persist.scheduled, "SCHEDULE is passed on");
	w->persist.bgsave = -EALREADY;
	check(w, "BGSAVE\r\n", "-ERR Background save already in progress\r\n");
	w->persist.bgsave = -EBUSY;
	check(w, "BGSAVE\r\n", "-ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to "
			       "schedule a BGSAVE whenever possible.\r\n");
	w->persist.bgrewriteaof = STARTED;
	check(w, "BGREWRITEAOF\r\n", "+Background append only file rewriting started\r\n");
	w->persist.bgrewriteaof = SCHEDULED;
	check(w, "BGREWRITEAOF\r\n", "+Background append only file rewriting scheduled\r\n");
	w->persist.bgrewriteaof = -EALREADY;
	check(w, "BGREWRITEAOF\r\n", "-ERR Background append only file rewriting already in progress\r\n");
	w->save_answer = -EALREADY;
	check(w, "SAVE\r\n", "-ERR Background save already in progress\r\n");
	check(w, "SHUTDOWN\r\nPING\r\n", "");
	ok(w->stops == 1 && w->how == FINAL_SAVE_BY_RULES, "SHUTDOWN goes by the rules");
	check(w, "SHUTDOWN nosave\r\n", "");
	ok(w->stops == 2 && w->how == FINAL_SAVE_NEVER, "NOSAVE");
	check(w, "SHUTDOWN SAVE\r\n", "");
	ok(w->stops == 3 && w->how == FINAL_SAVE_ALWAYS, "SAVE");
}

static void test_config_set(struct world *w)
{
	check(w, "CONFIG SET save \"60 5\" appendfsync always\r\n", "+OK\r\n");
	ok(w->persist.sets == 1 && w->persist.rules.count == 1 && w->persist.rules.rule[0].changes == 5, "the rules reach persist");
	is(w->persist.appendfsync, FSYNC_ALWAYS, "and the policy");
	check(w, "CONFIG SET save \"7 7\" appendfsync x\r\n",
	      "-ERR CONFIG SET failed (possibly related to argument 'appendfsync') - argument(s) must be one of the following: "
	      "everysec, always, no\r\n");
	is(w->persist.sets, 1, "all or none");
	check(w, "CONFIG GET save\r\n", "*2\r\n$4\r\nsave\r\n$4\r\n60 5\r\n");
}

/* Replies keep the order of the commands, though SAVE takes its time. */
static void test_waiting(struct world *w)
{
	struct session s = { .sent = 0 };
	struct bytes got = { 0 };
	static const char in[] = "PING\r\nSAVE\r\nECHO later\r\n";

	w->save_answer = 1;
	ok(session_take(&s, &w->ce, NULL, in, sizeof(in) - 1) == 0, "a SAVE in the middle");
	drain(w, &s, &got);
	is_bytes(got.data, got.len, "+PONG\r\n", 7, "what stands before it is answered");
	is((int64_t)session_room(&s), 0, "nothing is read meanwhile");
	ok(session_save_done(&s, &w->ce, NULL, 0) == 0, "it ends");
	got.len = 0;
	drain(w, &s, &got);
	is_bytes(got.data, got.len, "+OK\r\n$5\r\nlater\r\n", 16, "then the rest");
	ok(session_room(&s) > 0, "and it reads again");
	ok(session_take(&s, &w->ce, NULL, "SAVE\r\n", 6) == 0 && session_save_done(&s, &w->ce, NULL, -ENOSPC) == 0, "one that fails");
	got.len = 0;
	drain(w, &s, &got);
	ok(got.len > 16 && memcmp(got.data, "-ERR Save failed", 16) == 0, "says so");
	bytes_fini(&got);
	session_fini(&s);
}

/* Byte by byte, a pipeline gives what it gives at once. */
static void test_pieces(struct world *w)
{
	static const char in[] = "PING\r\n*2\r\n$4\r\nECHO\r\n$5\r\nab\r\nc\r\nECHO 'x y'\r\nSELECT 0\r\n";
	static const char want[] = "+PONG\r\n$5\r\nab\r\nc\r\n$3\r\nx y\r\n+OK\r\n";
	struct session s = { .sent = 0 };
	struct bytes got = { 0 };
	int err = 0;

	for (size_t i = 0; i < sizeof(in) - 1 && err == 0; i++)
		err = session_take(&s, &w->ce, NULL, in + i, 1);
	is(err, 0, "byte by byte");
	drain(w, &s, &got);
	is_bytes(got.data, got.len, want, sizeof(want) - 1, "the same replies");
	bytes_fini(&got);
	session_fini(&s);
}

/* A client that sends and never reads costs a bounded amount of memory; when it reads, nothing was lost. */
static void test_slow_reader(struct world *w)
{
	enum { ROUNDS = 20000 };
	static const char info[] = "INFO fuse\r\n";
	struct session s = { .sent = 0 };
	struct bytes got = { 0 };
	uint64_t before = w->counters.commands;
	size_t taken = 0, replies = 0;
	int err = 0;

	for (int i = 0; i < ROUNDS && err == 0 && session_room(&s) >= sizeof(info) - 1; i++) {
		err = session_take(&s, &w->ce, NULL, info, sizeof(info) - 1);
		taken++;
	}
	is(err, 0, "INFO without reading");
	ok(taken < ROUNDS, "after %zu of them it is not read from any more", taken);
	ok(s.out.len < 2 * SESSION_OUT_MAX && s.in.len <= SESSION_IN_MAX, "%zu and %zu bytes are held", s.out.len, s.in.len);
	drain(w, &s, &got);
	is((int64_t)(w->counters.commands - before), (int64_t)taken, "each was run");
	for (size_t i = 0; i + 6 <= got.len; i++)
		replies += memcmp(got.data + i, "# Fuse", 6) == 0;
	is((int64_t)replies, (int64_t)taken, "each was answered");
	ok(session_room(&s) > 0, "and it is read from again");
	bytes_fini(&got);
	session_fini(&s);
}

static void test_too_big(struct world *w)
{
	struct session s = { .sent = 0 };
	struct bytes got = { 0 };
	char *much = malloc(SESSION_IN_MAX);
	int err = 0;

	if (!ok(much != NULL, "memory"))
		return;
	memset(much, 'x', SESSION_IN_MAX);
	while (err == 0 && session_room(&s) > 0)
		err = session_take(&s, &w->ce, NULL, much, session_room(&s));
	drain(w, &s, &got);
	ok(err == 0 && s.closing, "a line without end closes the connection");
	ok(got.len > 20 && memcmp(got.data, "-ERR Protocol error:", 20) == 0, "with Redis's error");
	bytes_fini(&got);
	session_fini(&s);
	check(w, "*1000000\r\n", "-ERR Protocol error: too many arguments\r\n");
	check(w, "*1\r\n$1000000000\r\n", "-ERR Protocol error: an argument is too long\r\n");
	free(much);
}

static void test_info(struct world *w)
{
	static const char *const fields[] = {
		"# Server\r\n", "\r\nprocess_id:", "\r\nmountpoint:/mnt/a b\\x0a\r\n", "\r\nused_memory:", "\r\nmaxmemory:0\r\n",
		"\r\nrdb_last_save_time:1700000000\r\n", "\r\nrdb_last_bgsave_status:ok\r\n", "\r\naof_enabled:1\r\n",
		"\r\npersistence_state:ok\r\n", "\r\nfuse_lookup:3\r\n", "\r\ntotal_fuse_messages:3\r\n", "\r\n\r\n# Keyspace\r\n",
	};
	struct session s = { .sent = 0 };
	struct bytes got = { 0 };

	for (int i = 0; i < 3; i++)
		stats_count(&w->stats, 1);
	ok(session_take(&s, &w->ce, NULL, "INFO\r\n", 6) == 0, "INFO");
	drain(w, &s, &got);
	(void)bytes_add(&got, "", 1);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const char *shown = fields[i] + strspn(fields[i], "\r\n");

		ok(strstr(got.data, fields[i]) != NULL, "has %.*s", (int)strcspn(shown, "\r"), shown);
	}
	got.len = 0;
	ok(session_take(&s, &w->ce, NULL, "info KEYSPACE nosuch\r\n", 22) == 0, "one section");
	drain(w, &s, &got);
	(void)bytes_add(&got, "", 1);
	ok(strstr(got.data, "# Keyspace\r\n") != NULL && strstr(got.data, "# Server") == NULL, "and only that");
	bytes_fini(&got);
	session_fini(&s);
	check(w, "info nosuch\r\n", "$0\r\n\r\n");
}

int main(void)
{
	struct world w;

	if (!ok(world_init(&w), "a world"))
		return tap_end();
	test_words(&w);
	test_saving(&w);
	test_config_set(&w);
	test_waiting(&w);
	test_pieces(&w);
	test_slow_reader(&w);
	test_too_big(&w);
	test_info(&w);
	world_fini(&w);
	return tap_end();
}
