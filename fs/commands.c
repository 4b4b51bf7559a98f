/* commands.c -- see commands.h. */
#include "fs/commands.h"
#include "fs/info.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct call {
	const struct command_env *ce;
	void *client;
	const struct resp_arg *argv;
	size_t argc;
	struct bytes *out;
};

enum { SHOWN_MAX = 128 };  /* bytes of the client's own words in an error, as Redis */

/* A reply never fails for another reason than memory; what is left to say then is nothing. */
static int reply_error(struct bytes *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int reply_error(struct bytes *out, const char *fmt, ...)
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
	return resp_reply_error(out, text);
}

static int shown_len(const struct resp_arg *a)
{
	return (int)(a->len < SHOWN_MAX ? a->len : SHOWN_MAX);
}

static int wrong_arity(const struct call *c, const char *name)
{
	return reply_error(c->out, "ERR wrong number of arguments for '%s' command", name);
}

static int syntax_error(const struct call *c)
{
	return reply_error(c->out, "ERR syntax error");
}

/* ---- connection ---- */

static int cmd_ping(const struct call *c)
{
	if (c->argc > 2)
		return wrong_arity(c, "ping");
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
		return reply_error(c->out, "ERR value is not an integer or out of range");
	if (db != 0)
		return reply_error(c->out, "ERR DB index is out of range");
	return resp_reply_simple(c->out, "OK");
}

static int cmd_quit(const struct call *c)
{
	int err = resp_reply_simple(c->out, "OK");

	return err < 0 ? err : COMMAND_QUITS;
}

/* What client libraries send when they connect; nothing depends on it. */
static int cmd_client(const struct call *c)
{
	if (resp_is(&c->argv[1], "SETNAME"))
		return c->argc == 3 ? resp_reply_simple(c->out, "OK") : wrong_arity(c, "client|setname");
	if (resp_is(&c->argv[1], "SETINFO"))
		return c->argc == 4 ? resp_reply_simple(c->out, "OK") : wrong_arity(c, "client|setinfo");
	return reply_error(c->out, "ERR unknown subcommand '%.*s'. Try CLIENT HELP.", shown_len(&c->argv[1]), c->argv[1].data);
}

/* redis-cli asks for the table of commands (for its hints); an empty one will do. */
static int cmd_command(const struct call *c)
{
	return resp_reply_array(c->out, 0);
}

/* ---- saving ---- */

int command_reply_save(int err, struct bytes *out)
{
	if (err == 0)
		return resp_reply_simple(out, "OK");
	return reply_error(out, "ERR Save failed: %s", strerrordesc_np(-err));
}

static int already_saving(const struct call *c)
{
	return reply_error(c->out, "ERR Background save already in progress");
}

static int cmd_save(const struct call *c)
{
	int err = c->ce->save(c->ce->save_ctx, c->client);

	if (err == 1)
		return COMMAND_WAITS;
	if (err == -EALREADY)
		return already_saving(c);
	return command_reply_save(err, c->out);
}

static int cmd_bgsave(const struct call *c)
{
	bool schedule = c->argc == 2 && resp_is(&c->argv[1], "SCHEDULE");
	int started;

	if (c->argc > 1 && !schedule)
		return syntax_error(c);
	started = persist_bgsave(c->ce->env->persist, schedule);
	if (started == STARTED)
		return resp_reply_simple(c->out, "Background saving started");
	if (started == SCHEDULED)
		return resp_reply_simple(c->out, "Background saving scheduled");
	if (started == -EALREADY)
		return already_saving(c);
	if (started == -EBUSY)
		return reply_error(c->out, "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order "
					   "to schedule a BGSAVE whenever possible.");
	return reply_error(c->out, "ERR Background save could not be started: %s", strerrordesc_np(-started));
}

static int cmd_bgrewriteaof(const struct call *c)
{
	int started = persist_bgrewriteaof(c->ce->env->persist);

	if (started == STARTED)
		return resp_reply_simple(c->out, "Background append only file rewriting started");
	if (started == SCHEDULED)
		return resp_reply_simple(c->out, "Background append only file rewriting scheduled");
	if (started == -EALREADY)
		return reply_error(c->out, "ERR Background append only file rewriting already in progress");
	if (started == -EOPNOTSUPP)
		return reply_error(c->out, "ERR There is no append only file: appendonly is no");
	return reply_error(c->out, "ERR Can't execute an AOF background rewriting: %s", strerrordesc_np(-started));
}

static int cmd_lastsave(const struct call *c)
{
	struct persist_info p;

	persist_get_info(c->ce->env->persist, &p);
	return resp_reply_int(c->out, p.rdb_last_save_time);
}

static int cmd_shutdown(const struct call *c)
{
	enum persist_final_save how = FINAL_SAVE_BY_RULES;

	if (c->argc == 2 && resp_is(&c->argv[1], "NOSAVE"))
		how = FINAL_SAVE_NEVER;
	else if (c->argc == 2 && resp_is(&c->argv[1], "SAVE"))
		how = FINAL_SAVE_ALWAYS;
	else if (c->argc > 1)
		return syntax_error(c);
	c->ce->env->request_stop(c->ce->env->stop_ctx, how);
	return COMMAND_STOPS;
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

/* ---- CONFIG ---- */

/* A terminated copy; NULL with *RET_ERR 0 when it has a NUL byte (then it names nothing), or -ENOMEM. */
static char *copy_arg(const struct resp_arg *a, int *ret_err)
{
	char *copy = NULL;

	*ret_err = 0;
	if (memchr(a->data, '\0', a->len) == NULL) {
		copy = strndup(a->data, a->len);
		if (copy == NULL)
			*ret_err = -ENOMEM;
	}
	return copy;
}

/* Names and values found, each once, by name. */
struct found {
	const char *name[64];
	size_t pairs;
	struct bytes reply;
	int err;
};

static void found_add(void *ctx, const char *name, const char *value)
{
	struct found *f = ctx;

	for (size_t i = 0; i < f->pairs; i++) {
		if (f->name[i] == name)
			return;
	}
	if (f->err == 0 && f->pairs == sizeof(f->name) / sizeof(f->name[0]))
		f->err = -ENOMEM;
	if (f->err == 0)
		f->err = resp_reply_bulk(&f->reply, name, strlen(name));
	if (f->err == 0)
		f->err = resp_reply_bulk(&f->reply, value, strlen(value));
	if (f->err == 0)
		f->name[f->pairs++] = name;
}

static int config_get(const struct call *c)
{
	struct found f = { .pairs = 0 };
	int err = 0;

	if (c->argc < 3)
		return wrong_arity(c, "config|get");
	for (size_t i = 2; i < c->argc && err == 0; i++) {
		char *pattern = copy_arg(&c->argv[i], &err);

		if (pattern != NULL)
			err = config_each(c->ce->env->config, pattern, found_add, &f);
		if (err == 0)
			err = f.err;
		free(pattern);
	}
	if (err == 0)
		err = resp_reply_array(c->out, 2 * f.pairs);
	if (err == 0)
		err = bytes_add(c->out, f.reply.data, f.reply.len);
	bytes_fini(&f.reply);
	return err;
}

static int reply_config_error(const struct call *c, int err, const struct resp_arg *name, const char *why)
{
	if (err == -ENOMEM)
		return err;
	if (err == -ENOENT) {
		return reply_error(c->out, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'", shown_len(name),
				   name->data);
	}
	return reply_error(c->out, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s", shown_len(name), name->data, why);
}

static bool was_given_before(const struct call *c, size_t at)
{
	for (size_t i = 2; i < at; i += 2) {
		if (c->argv[i].len == c->argv[at].len && strncasecmp(c->argv[i].data, c->argv[at].data, c->argv[at].len) == 0)
			return true;
	}
	return false;
}

static int set_pair(struct config *config, const struct resp_arg *name, const struct resp_arg *value, struct error *e)
{
	char *n = NULL, *v = NULL;
	int err;

	n = copy_arg(name, &err);
	if (err == 0)
		v = copy_arg(value, &err);
	if (n == NULL && err == 0)
		err = -ENOENT;
	else if (v == NULL && err == 0)
		err = error_set(e, -EINVAL, "the value has a NUL byte");
	if (err == 0)
		err = config_set_running(config, n, v, e);
	free(n);
	free(v);
	return err;
}

/* All or none. */
static int config_set_pairs(const struct call *c)
{
	struct config *config = c->ce->env->config;
	struct save_rules save = config->persist.save;
	enum fsync_policy appendfsync = config->persist.appendfsync;
	struct error e = { { 0 } };
	size_t i;
	int err = 0;

	if (c->argc < 4)
		return wrong_arity(c, "config|set");
	if (c->argc % 2 != 0)
		return syntax_error(c);
	for (i = 2; i < c->argc && err == 0; i += 2) {
		if (was_given_before(c, i))
			err = error_set(&e, -EINVAL, "duplicate parameter");
		else
			err = set_pair(config, &c->argv[i], &c->argv[i + 1], &e);
	}
	if (err < 0) {
		config->persist.save = save;
		config->persist.appendfsync = appendfsync;
		return reply_config_error(c, err, &c->argv[i - 2], e.text);
	}
	persist_set_save(c->ce->env->persist, &config->persist.save);
	persist_set_appendfsync(c->ce->env->persist, config->persist.appendfsync);
	return resp_reply_simple(c->out, "OK");
}

static int cmd_config(const struct call *c)
{
	if (resp_is(&c->argv[1], "GET"))
		return config_get(c);
	if (resp_is(&c->argv[1], "SET"))
		return config_set_pairs(c);
	return reply_error(c->out, "ERR unknown subcommand '%.*s'. Try CONFIG HELP.", shown_len(&c->argv[1]), c->argv[1].data);
}

/* ---- the table ---- */

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
	{ "config", 2, SIZE_MAX, cmd_config },
	{ "shutdown", 1, SIZE_MAX, cmd_shutdown },
	{ "select", 2, 2, cmd_select },
	{ "client", 2, SIZE_MAX, cmd_client },
	{ "command", 1, SIZE_MAX, cmd_command },
	{ "quit", 1, SIZE_MAX, cmd_quit },
};

static int unknown_command(const struct call *c)
{
	struct bytes args = { 0 };
	int err = 0;

	for (size_t i = 1; i < c->argc && args.len < SHOWN_MAX && err == 0; i++) {
		size_t room = SHOWN_MAX - args.len;

		err = bytes_addf(&args, "'%.*s' ", (int)(c->argv[i].len < room ? c->argv[i].len : room), c->argv[i].data);
	}
	if (err == 0) {
		err = reply_error(c->out, "ERR unknown command '%.*s', with args beginning with: %.*s", shown_len(&c->argv[0]),
				  c->argv[0].data, (int)args.len, args.len > 0 ? args.data : "");
	}
	bytes_fini(&args);
	return err;
}

int command_run(const struct command_env *ce, void *client, const struct resp_command *cmd, struct bytes *out)
{
	struct call c = { .ce = ce, .client = client, .argv = cmd->argv, .argc = cmd->argc, .out = out };

	ce->counters->commands++;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const char *name = commands[i].name;

		if (strlen(name) != c.argv[0].len || strncasecmp(name, c.argv[0].data, c.argv[0].len) != 0)
			continue;
		if (c.argc < commands[i].argc_min || c.argc > commands[i].argc_max)
			return wrong_arity(&c, name);
		return commands[i].run(&c);
	}
	return unknown_command(&c);
}
