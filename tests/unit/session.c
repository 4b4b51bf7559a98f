/* Clients of the control socket get Redis's words, in order, whatever way their bytes arrive and however slowly they read.
 * By sessions without a socket, on a real (empty) keyspace and a persist that answers as told. */
#include "fs/commands.h"
#include "fs/monitor.h"
#include "fs/monitor_record.h"
#include "fs/session.h"
#include "fs/stats.h"
#include "tests/lib/fake_park.h"
#include "tests/lib/fake_persist.h"
#include "tests/lib/fake_stop.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

struct world {
	struct config config;
	struct keyspace *ks;
	struct persist persist;
	struct stats stats;
	struct control_env env;
	struct command_counters counters;
	struct command_env ce;
	struct fake_park park;
	struct stop stop;
	int configured;
};

static void take_settings(void *ctx)
{
	struct world *w = ctx;

	w->configured++;
}

static bool world_init(struct world *w)
{
	struct keyspace_options o = { .value_max = 1 << 20, .root_mode = 0755 };

	memset(w, 0, sizeof(*w));
	if (config_init(&w->config) < 0 || keyspace_new(&o, &w->ks) < 0)
		return false;
	w->env = (struct control_env){ .config = &w->config, .ks = w->ks, .persist = &w->persist, .stats = &w->stats,
				       .mountpoint = "/mnt/a b\n", .stop = &w->stop,
				       .configured = take_settings, .configured_ctx = w };
	w->ce = (struct command_env){ .env = &w->env, .counters = &w->counters };
	return fake_park_init(&w->park, &w->ce) == 0;
}

static void world_fini(struct world *w)
{
	config_fini(&w->config);
	keyspace_free(w->ks);
	fake_park_fini(&w->park);
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
		{ "HELLO 3\r\nHELLO x\r\n", "-NOPROTO unsupported protocol version\r\n-ERR Protocol version is not an integer or out of range\r\n" },
		{ "hello 2 setname x\r\n",
		  "*12\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n"
		  "$4\r\nrole\r\n$6\r\nmaster\r\n$5\r\nproto\r\n:2\r\n$7\r\nmodules\r\n*0\r\n" },
		{ "hello 2 x y\r\n", "-ERR Syntax error in HELLO option 'x'\r\n" },
		{ "SCAN 0\r\nKEYS *\r\n", "*2\r\n$1\r\n0\r\n*0\r\n*0\r\n" },
		{ "SCAN x\r\nSCAN -1\r\nSCAN 4294967296\r\n", "-ERR invalid cursor\r\n-ERR invalid cursor\r\n-ERR invalid cursor\r\n" },
		{ "SCAN 0 MATCH\r\nSCAN 0 COUNT 0\r\nSCAN 0 x y\r\n", "-ERR syntax error\r\n-ERR syntax error\r\n-ERR syntax error\r\n" },
		{ "SCAN 0 COUNT x\r\n", "-ERR value is not an integer or out of range\r\n" },
		{ "GET k\r\nSTRLEN k\r\nMEMORY USAGE k SAMPLES 0\r\n", "$-1\r\n:0\r\n$-1\r\n" },
		{ "MEMORY USAGE\r\nMEMORY x\r\n", "-ERR wrong number of arguments for 'memory|usage' command\r\n-ERR unknown subcommand 'x'. Try MEMORY HELP.\r\n" },
		{ "foo a b\r\n", "-ERR unknown command 'foo', with args beginning with: 'a' 'b' \r\n" },
		{ "\"f\\r\\no\"\r\n", "-ERR unknown command 'f  o', with args beginning with: \r\n" },
		{ "lastsave 1\r\n", "-ERR wrong number of arguments for 'lastsave' command\r\n" },
		{ "config\r\n", "-ERR wrong number of arguments for 'config' command\r\n" },
		{ "config get\r\n", "-ERR wrong number of arguments for 'config|get' command\r\n" },
		{ "config rewrite\r\n", "-ERR The server is running without a config file\r\n" },
		{ "config rewrite x\r\n", "-ERR wrong number of arguments for 'config|rewrite' command\r\n" },
		{ "config resetstat x\r\n", "-ERR wrong number of arguments for 'config|resetstat' command\r\n" },
		{ "config help x\r\n", "-ERR wrong number of arguments for 'config|help' command\r\n" },
		{ "config x\r\n", "-ERR unknown subcommand 'x'. Try CONFIG HELP.\r\n" },
		{ "config get appendfs* APPENDFSYNC sav?\r\n",
		  "*4\r\n$11\r\nappendfsync\r\n$8\r\neverysec\r\n$4\r\nsave\r\n$23\r\n3600 1 300 100 60 10000\r\n" },
		{ "config get nosuch\r\n", "*0\r\n" },
		{ "config set save\r\n", "-ERR wrong number of arguments for 'config|set' command\r\n" },
		{ "config set save '' dir\r\n", "-ERR syntax error\r\n" },
		{ "config set dir /x\r\n", "-ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config\r\n" },
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

/* LINE is answered with WANT, but not before what it waits for has happened. */
static void check_later(struct world *w, const char *line, const char *want)
{
	struct session s = { .sent = 0 };
	struct bytes got = { 0 };

	ok(session_take(&s, &w->ce, NULL, line, strlen(line)) == 0, "%.*s", (int)strcspn(line, "\r"), line);
	drain(w, &s, &got);
	is((int64_t)got.len, 0, "is not answered at once");
	ok(fake_park_end(&w->park, &s, &w->ce, 0) == 0, "what it waits for happens");
	drain(w, &s, &got);
	is_bytes(got.data, got.len, want, strlen(want), "then it is");
	bytes_fini(&got);
	session_fini(&s);
}

static void test_saving(struct world *w)
{
	w->persist.bgsave = STARTED;
	check_later(w, "BGSAVE\r\n", "+Background saving started\r\n");
	ok(!w->persist.scheduled, "plain");
	w->persist.bgsave = SCHEDULED;
	check(w, "BGSAVE schedule\r\n", "+Background saving scheduled\r\n");
	ok(w->persist.scheduled, "SCHEDULE is passed on");
	w->persist.bgsave = -EALREADY;
	check(w, "BGSAVE\r\n", "-ERR Background save already in progress\r\n");
	w->persist.bgsave = -EBUSY;
	check(w, "BGSAVE\r\n", "-ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to "
			       "schedule a BGSAVE whenever possible.\r\n");
	w->persist.bgsave_cancel = CANCELLED;
	check(w, "BGSAVE CANCEL\r\n", "+Background saving cancelled\r\n");
	w->persist.bgsave_cancel = UNSCHEDULED;
	check(w, "BGSAVE cancel\r\n", "+Scheduled background saving cancelled\r\n");
	w->persist.bgsave_cancel = -ENOENT;
	check(w, "BGSAVE CANCEL\r\n", "-ERR Background saving is currently not in progress or scheduled\r\n");
	check(w, "BGSAVE CANCEL x\r\n", "-ERR syntax error\r\n");
	w->persist.bgrewriteaof = STARTED;
	check_later(w, "BGREWRITEAOF\r\n", "+Background append only file rewriting started\r\n");
	w->persist.bgrewriteaof = SCHEDULED;
	check(w, "BGREWRITEAOF\r\n", "+Background append only file rewriting scheduled\r\n");
	w->persist.bgrewriteaof = -EALREADY;
	check(w, "BGREWRITEAOF\r\n", "-ERR Background append only file rewriting already in progress\r\n");
	w->persist.save = -EALREADY;
	check(w, "SAVE\r\n", "-ERR Background save already in progress\r\n");
}

/* WORDS ask for a stop, without a word for an answer; then the daemon goes on. */
static void check_shutdown(struct world *w, const char *words, enum persist_final_save save, bool now, bool force)
{
	static const char goes_on[] = "-ERR Errors trying to SHUTDOWN. Check logs.\r\n+PONG\r\n";
	struct session s = { .sent = 0 };
	struct bytes got = { 0 }, in = { 0 };
	int before = w->stop.requests;

	(void)bytes_addf(&in, "%s\r\nPING\r\n", words);
	ok(session_take(&s, &w->ce, NULL, in.data, in.len) == 0 && w->stop.requests == before + 1, "%s", words);
	drain(w, &s, &got);
	is((int64_t)got.len, 0, "has no answer, nor has what follows");
	ok(w->stop.last.save == save && w->stop.last.now == now && w->stop.last.force == force, "is understood");
	ok(w->stop.last.waiter == &w->park.parked->waiter, "and would be told");
	ok(fake_park_end(&w->park, &s, &w->ce, -EIO) == 0, "that it failed");
	drain(w, &s, &got);
	is_bytes(got.data, got.len, goes_on, sizeof(goes_on) - 1, "which it says, and goes on");
	bytes_fini(&got);
	bytes_fini(&in);
	session_fini(&s);
}

static void test_shutdown(struct world *w)
{
	static const char syntax[] = "-ERR syntax error\r\n";

	check_shutdown(w, "SHUTDOWN", FINAL_SAVE_BY_RULES, false, false);
	check_shutdown(w, "SHUTDOWN nosave", FINAL_SAVE_NEVER, false, false);
	check_shutdown(w, "shutdown SAVE", FINAL_SAVE_ALWAYS, false, false);
	check_shutdown(w, "SHUTDOWN NOW", FINAL_SAVE_BY_RULES, true, false);
	check_shutdown(w, "SHUTDOWN FORCE NOW SAVE", FINAL_SAVE_ALWAYS, true, true);
	check(w, "SHUTDOWN SAVE NOSAVE\r\n", syntax);
	check(w, "SHUTDOWN NOW ABORT\r\n", syntax);
	check(w, "SHUTDOWN x\r\n", syntax);
	check(w, "SHUTDOWN ABORT\r\n", "-ERR No shutdown in progress.\r\n");
	w->stop.in_progress = true;
	check(w, "SHUTDOWN abort\r\n", "+OK\r\n");
}

static void test_config_set(struct world *w)
{
	check(w, "CONFIG SET save \"60 5\" appendfsync always MaxMemory 1mb\r\n", "+OK\r\n");
	is(w->configured, 1, "who goes by them is told, once");
	ok(w->config.persist.save.count == 1 && w->config.persist.save.rule[0].changes == 5 && w->config.persist.appendfsync == FSYNC_ALWAYS &&
	   w->config.maxmemory == 1 << 20, "and finds all three");
	check(w, "CONFIG SET save \"7 7\" appendfsync x\r\n",
	      "-ERR CONFIG SET failed (possibly related to argument 'appendfsync') - argument(s) must be one of the following: "
	      "everysec, always, no\r\n");
	check(w, "CONFIG SET maxmemory 0 dir /x\r\n", "-ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config\r\n");
	check(w, "CONFIG SET maxmemory 0 appendfsync x nosuch 1\r\n", "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n");
	check(w, "CONFIG SET save '' maxmemory \"a\\x00b\"\r\n",
	      "-ERR CONFIG SET failed (possibly related to argument 'maxmemory') - the value has a NUL byte\r\n");
	is(w->configured, 1, "all or none");
	check(w, "CONFIG GET maxmemory save\r\n", "*4\r\n$9\r\nmaxmemory\r\n$7\r\n1048576\r\n$4\r\nsave\r\n$4\r\n60 5\r\n");
}

static void test_resetstat(struct world *w)
{
	stats_count(&w->stats, 1);
	w->counters.connections = w->counters.rejected = 5;
	w->counters.clients = 2;
	check(w, "CONFIG RESETSTAT\r\n", "+OK\r\n");
	ok(stats_total(&w->stats) == 0 && w->persist.resets == 1, "messages count from 0, and persist is told");
	ok(w->counters.connections == 0 && w->counters.rejected == 0 && w->counters.commands == 0, "so do connections and commands");
	is((int64_t)w->counters.clients, 2, "who is connected still is");
	w->counters.clients = 0;
}

/* Replies keep the order of the commands, though SAVE takes its time. */
static void test_waiting(struct world *w)
{
	struct session s = { .sent = 0 };
	struct bytes got = { 0 };
	static const char in[] = "PING\r\nSAVE\r\nECHO later\r\n";

	w->persist.save = 1;
	ok(session_take(&s, &w->ce, NULL, in, sizeof(in) - 1) == 0, "a SAVE in the middle");
	drain(w, &s, &got);
	is_bytes(got.data, got.len, "+PONG\r\n", 7, "what stands before it is answered");
	is((int64_t)session_room(&s), 0, "nothing is read meanwhile");
	ok(fake_park_end(&w->park, &s, &w->ce, 0) == 0, "it ends");
	got.len = 0;
	drain(w, &s, &got);
	is_bytes(got.data, got.len, "+OK\r\n$5\r\nlater\r\n", 16, "then the rest");
	ok(session_room(&s) > 0, "and it reads again");
	ok(session_take(&s, &w->ce, NULL, "SAVE\r\n", 6) == 0 && fake_park_end(&w->park, &s, &w->ce, -ENOSPC) == 0, "one that fails");
	got.len = 0;
	drain(w, &s, &got);
	ok(got.len > 16 && memcmp(got.data, "-ERR Save failed", 16) == 0, "says so");
	bytes_fini(&got);
	session_fini(&s);
}

static void make_key(struct world *w, const char *name)
{
	struct op op = { .now_ns = 1 };
	struct attr a;

	is(keyspace_mknod(w->ks, &op, KEYSPACE_ROOT, name, strlen(name), S_IFREG | 0644, &a), 0, "a key");
}

/* A change is answered when the log has it, and with the log's error when it can't have it. */
static void test_changes_wait(struct world *w)
{
	static const char *const changes[] = { "EXPIRE k 100\r\n", "PERSIST k\r\n", "PEXPIREAT k 99999999999999\r\n", "DEL k\r\n" };
	struct session s = { .sent = 0 };
	struct bytes got = { 0 };

	make_key(w, "k");
	w->persist.parks = true;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		ok(session_take(&s, &w->ce, NULL, changes[i], strlen(changes[i])) == 0 && s.waiting, "waits: %.7s", changes[i]);
		ok(fake_park_end(&w->park, &s, &w->ce, 0) == 0, "it is kept");
	}
	drain(w, &s, &got);
	is_bytes(got.data, got.len, ":1\r\n:1\r\n:1\r\n:1\r\n", 16, "then they are answered");
	make_key(w, "k");
	ok(session_take(&s, &w->ce, NULL, "EXPIRE k 100\r\n", 14) == 0 && fake_park_end(&w->park, &s, &w->ce, -ENOSPC) == 0, "one that can't be kept");
	got.len = 0;
	drain(w, &s, &got);
	is_bytes(got.data, got.len, "-MISCONF Errors writing to the AOF file: No space left on device\r\n", 66, "says so");
	w->persist.parks = false;
	bytes_fini(&got);
	session_fini(&s);
	check(w, "EXPIRE none 1\r\nPERSIST none\r\nDEL none\r\n", ":0\r\n:0\r\n:0\r\n");
	check(w, "UNLINK k none k\r\nEXISTS k\r\n", ":1\r\n:0\r\n");
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

/* Takes what was recorded and feeds it to S. */
static void feed(struct world *w, struct session *s, int64_t now_ns)
{
	struct bytes lines = { 0 };
	bool lost;

	is(monitor_take(w->ce.monitor, now_ns, &lines, &lost), 0, "lines");
	is(session_feed(s, &w->ce, &lines, lost), 0, "for the session");
	bytes_fini(&lines);
}

static void check_feed(struct world *w, struct session *s, int64_t now_ns, const char *want)
{
	struct bytes got = { 0 };

	feed(w, s, now_ns);
	drain(w, s, &got);
	is_bytes(got.data, got.len, want, strlen(want), "it gets");
	bytes_fini(&got);
}

static void put(struct world *w, uint64_t id, uint64_t off, size_t len)
{
	static const char data[4096];
	struct op op = { .now_ns = 1700000000123456789 };

	if (keyspace_write(w->ks, &op, id, off, data, len) < 0)
		abort();
}

static void test_monitor(struct world *w)
{
	static const char create[] = "+1700000000.123456 [0 unix:/mnt/a b\\x0a] \"SET\" \"d/m\" \"\"\r\n";
	static const char dropped[] = "\"\r\n-ERR output buffer limit reached: changes came faster than this client read them\r\n";
	struct op op = { .now_ns = 1700000000123456789 };
	struct session s = { .sent = 0 }, other = { .sent = 0 };
	struct bytes got = { 0 };
	struct attr d, a;
	static const char in[] = "MONITOR\r\nPING\r\nMONITOR\r\n";
	const char *data = "";
	size_t len;

	w->ce.monitor = monitor_new(w->ks, 0, w->env.mountpoint);
	ok(session_take(&s, &w->ce, NULL, in, sizeof(in) - 1) == 0 && monitor_is_on(w->ce.monitor), "MONITOR, and still a client");
	drain(w, &s, &got);
	is_bytes(got.data, got.len, "+OK\r\n+PONG\r\n+OK\r\n", 17, "is answered");
	is(keyspace_mkdir(w->ks, &op, KEYSPACE_ROOT, "d", 1, 0755, &d), 0, "a directory");
	is(keyspace_mknod(w->ks, &op, d.id, "m", 1, S_IFREG | 0644, &a), 0, "a key");
	check_feed(w, &s, op.now_ns + 1, "+1700000000.123456 [0 unix:/mnt/a b\\x0a] \"MKDIR\" \"d\"\r\n");
	check_feed(w, &s, op.now_ns + MONITOR_HOLD_MS * 1000000ll, create);
	put(w, a.id, 0, 1);
	check_feed(w, &s, op.now_ns, "+1700000000.123456 [0 unix:/mnt/a b\\x0a] \"SET\" \"d/m\" \"\\x00\"\r\n");
	/* One that stops reading in the middle of a line. */
	ok(session_take(&other, &w->ce, NULL, "MONITOR\r\n", 9) == 0, "another");
	put(w, a.id, 1, 4096);
	feed(w, &other, op.now_ns);
	is(session_sent(&other, &w->ce, NULL, 100), 0, "that reads a hundred bytes");
	for (int i = 0; i < 5000 && !other.closing; i++) {
		put(w, a.id, 1, 4096);
		if (i % 100 == 0)
			feed(w, &other, op.now_ns);
	}
	ok(other.closing && other.monitor == NULL && w->counters.monitors_dropped == 1, "is dropped");
	len = session_pending(&other, &data);
	if (ok(other.out.cap < 16384 && len > sizeof(dropped), "its %zu bytes are freed", other.out.cap))
		is_bytes(data + len - (sizeof(dropped) - 1), sizeof(dropped) - 1, dropped, sizeof(dropped) - 1, "and it is told behind the line");
	/* More than the buffer holds before anybody takes it. */
	for (int i = 0; i < 3000; i++)
		put(w, a.id, 1, 4096);
	feed(w, &s, op.now_ns);
	ok(s.closing && !monitor_is_on(w->ce.monitor), "what finds no room in the buffer ends all");
	bytes_fini(&got);
	session_fini(&s);
	session_fini(&other);
	monitor_free(w->ce.monitor);
	w->ce.monitor = NULL;
	check(w, "MONITOR x\r\nDEL d/m\r\n", "-ERR wrong number of arguments for 'monitor' command\r\n:1\r\n");
}

static void test_quoting(void)
{
	struct bytes got = { 0 };

	ok(monitor_quote("a\"\\\n\r\t\a\b\0\x7f\xff z", 13, 0, &got) == 0, "bytes");
	is_bytes(got.data, got.len, "\"a\\\"\\\\\\n\\r\\t\\a\\b\\x00\\x7f\\xff z\"", 31, "quoted as Redis does");
	bytes_fini(&got);
}

int main(void)
{
	struct world w;

	if (!ok(world_init(&w), "a world"))
		return tap_end();
	test_words(&w);
	test_saving(&w);
	test_shutdown(&w);
	test_config_set(&w);
	test_resetstat(&w);
	test_waiting(&w);
	test_changes_wait(&w);
	test_pieces(&w);
	test_slow_reader(&w);
	test_too_big(&w);
	test_info(&w);
	test_monitor(&w);
	test_quoting();
	world_fini(&w);
	return tap_end();
}
