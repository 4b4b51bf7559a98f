/* commands.c -- see commands.h. */
#include "fs/commands_call.h"
#include "fs/info.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

int command_error(const struct call *c, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p != '\0'; p++) {
		if (*p == '\r' || *p == '\n')
			*p = ' ';
	}
	return resp_reply_error(c->out, text);
}

int command_shown_len(const struct resp_arg *a)
{
	return (int)(a->len < COMMAND_SHOWN_MAX ? a->len : COMMAND_SHOWN_MAX);
}

int command_wrong_arity(const struct call *c, const char *name)
{
	return command_error(c, "ERR wrong number of arguments for '%s' command", name);
}

int command_syntax_error(const struct call *c)
{
	return command_error(c, "ERR syntax error");
}

struct pending *command_park(const struct call *c, pending_reply_fn *reply, int64_t number)
{
	return c->ce->park(c->ce->park_ctx, c->client, reply, number);
}

void command_unpark(const struct call *c, struct pending *p)
{
	c->ce->unpark(c->ce->park_ctx, p);
}

/* ---- connection ---- */

static int cmd_ping(const struct call *c)
{
	if (c->argc > 2)
		return command_wrong_arity(c, "ping");
	if (c->argc == 2)
		return resp_reply_bulk(c->out, c->argv[1].data, c->argv[1].len);
	return resp_reply_simple(c->out, "PONG");
}

static int cmd_echo(const struct call *c)
{
	return resp_reply_bulk(c->out, c->argv[1].data, c->argv[1].len);
}

static int cmd_select(const struct call *c)
{
	int64_t db;

	if (resp_int64(&c->argv[1], &db) < 0)
		return command_error(c, "ERR value is not an integer or out of range");
	if (db != c->ce->env->config->persist.db)
		return command_error(c, "ERR DB index is out of range");
	return resp_reply_simple(c->out, "OK");
}

static int cmd_quit(const struct call *c)
{
	int err = resp_reply_simple(c->out, "OK");

	return err < 0 ? err : COMMAND_QUITS;
}

/* ---- asking ---- */

static int cmd_dbsize(const struct call *c)
{
	struct usage u;

	keyspace_usage(c->ce->env->ks, &u);
	return resp_reply_int(c->out, (int64_t)u.keys);
}

static int cmd_info(const struct call *c)
{
	struct bytes text = { 0 };
	int err = info_print(c->ce, c->argv + 1, c->argc - 1, &text);

	if (err == 0)
		err = resp_reply_bulk(c->out, text.len > 0 ? text.data : "", text.len);
	bytes_fini(&text);
	return err;
}

/* ---- the table ---- */

static int cmd_command(const struct call *c);

static const struct command {
	const char *name;            /* small letters, as Redis's errors have it */
	size_t argc_min, argc_max;   /* with the name itself */
	int (*run)(const struct call *c);
} commands[] = {
	{ "ping", 1, SIZE_MAX, cmd_ping },
	{ "echo", 2, 2, cmd_echo },
	{ "info", 1, SIZE_MAX, cmd_info },
	{ "save", 1, 1, cmd_save },
	{ "bgsave", 1, SIZE_MAX, cmd_bgsave },
	{ "bgrewriteaof", 1, 1, cmd_bgrewriteaof },
	{ "lastsave", 1, 1, cmd_lastsave },
	{ "dbsize", 1, 1, cmd_dbsize },
	{ "scan", 2, SIZE_MAX, cmd_scan },
	{ "keys", 2, 2, cmd_keys },
	{ "get", 2, 2, cmd_get },
	{ "strlen", 2, 2, cmd_strlen },
	{ "memory", 2, SIZE_MAX, cmd_memory },
	{ "exists", 2, SIZE_MAX, cmd_exists },
	{ "type", 2, 2, cmd_type },
	{ "ttl", 2, 2, cmd_ttl },
	{ "pttl", 2, 2, cmd_pttl },
	{ "expiretime", 2, 2, cmd_expiretime },
	{ "pexpiretime", 2, 2, cmd_pexpiretime },
	{ "expire", 3, SIZE_MAX, cmd_expire },
	{ "pexpire", 3, SIZE_MAX, cmd_pexpire },
	{ "expireat", 3, SIZE_MAX, cmd_expireat },
	{ "pexpireat", 3, SIZE_MAX, cmd_pexpireat },
	{ "persist", 2, 2, cmd_persist },
	{ "del", 2, SIZE_MAX, cmd_del },
	{ "unlink", 2, SIZE_MAX, cmd_del },
	{ "config", 2, SIZE_MAX, cmd_config },
	{ "latency", 2, SIZE_MAX, cmd_latency },
	{ "shutdown", 1, SIZE_MAX, cmd_shutdown },
	{ "select", 2, 2, cmd_select },
	{ "hello", 1, SIZE_MAX, cmd_hello },
	{ "client", 2, SIZE_MAX, cmd_client },
	{ "command", 1, SIZE_MAX, cmd_command },
	{ "monitor", 1, 1, cmd_monitor },
	{ "quit", 1, SIZE_MAX, cmd_quit },
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

/* COUNT and LIST are true; redis-cli asks for the rest (for its hints), and nothing will do. */
static int cmd_command(const struct call *c)
{
	int err;

	if (c->argc == 2 && resp_is(&c->argv[1], "COUNT"))
		return resp_reply_int(c->out, COMMANDS);
	if (c->argc != 2 || !resp_is(&c->argv[1], "LIST"))
		return resp_reply_array(c->out, 0);
	err = resp_reply_array(c->out, COMMANDS);
	for (size_t i = 0; i < COMMANDS && err == 0; i++)
		err = resp_reply_bulk(c->out, commands[i].name, strlen(commands[i].name));
	return err;
}

static int unknown_command(const struct call *c)
{
	struct bytes args = { 0 };
	int err = 0;

	for (size_t i = 1; i < c->argc && args.len < COMMAND_SHOWN_MAX && err == 0; i++) {
		size_t room = COMMAND_SHOWN_MAX - args.len;

		err = bytes_addf(&args, "'%.*s' ", (int)(c->argv[i].len < room ? c->argv[i].len : room), c->argv[i].data);
	}
	if (err == 0) {
		err = command_error(c, "ERR unknown command '%.*s', with args beginning with: %.*s", command_shown_len(&c->argv[0]),
				  c->argv[0].data, (int)args.len, args.len > 0 ? args.data : "");
	}
	bytes_fini(&args);
	return err;
}

int command_run(const struct command_env *ce, void *client, const struct resp_command *cmd, struct bytes *out)
{
	struct call c = { .ce = ce, .client = client, .argv = cmd->argv, .argc = cmd->argc, .out = out };

	ce->counters->commands++;
	for (size_t i = 0; i < COMMANDS; i++) {
		const char *name = commands[i].name;

		if (strlen(name) != c.argv[0].len || strncasecmp(name, c.argv[0].data, c.argv[0].len) != 0)
			continue;
		if (c.argc < commands[i].argc_min || c.argc > commands[i].argc_max)
			return command_wrong_arity(&c, name);
		return commands[i].run(&c);
	}
	return unknown_command(&c);
}
