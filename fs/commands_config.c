/* commands_config.c -- CONFIG. */
#include "fs/commands_call.h"
#include "fs/config_table.h"
#include "fs/config_rewrite.h"
#include "fs/stats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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
	const char *name[CONFIG_OPTIONS_MAX];
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
		return command_wrong_arity(c, "config|get");
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
		return command_error(c, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'", command_shown_len(name),
				   name->data);
	}
	return command_error(c, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s", command_shown_len(name), name->data, why);
}

static bool was_given_before(const struct call *c, size_t at)
{
	for (size_t i = 2; i < at; i += 2) {
		if (c->argv[i].len == c->argv[at].len && strncasecmp(c->argv[i].data, c->argv[at].data, c->argv[at].len) == 0)
			return true;
	}
	return false;
}

/* Whether the pair at AT names what may be set, and none before it names the same. */
static int check_name(const struct call *c, size_t at, struct error *e)
{
	int err;
	char *name = copy_arg(&c->argv[at], &err);

	if (name == NULL)
		return err < 0 ? err : -ENOENT;
	err = config_may_change(name, e);
	free(name);
	if (err == 0 && was_given_before(c, at))
		err = error_set(e, -EINVAL, "duplicate parameter");
	return err;
}

static int set_pair(const struct call *c, size_t at, struct config *next, struct error *e)
{
	char *name, *value = NULL;
	int err;

	name = copy_arg(&c->argv[at], &err);
	if (err == 0)
		value = copy_arg(&c->argv[at + 1], &err);
	if (err == 0 && value == NULL)
		err = error_set(e, -EINVAL, "the value has a NUL byte");
	if (err == 0)
		err = config_set_running(next, name, value, e);
	free(name);
	free(value);
	return err;
}

/* All or none: first all names, then all values, into a copy. */
static int config_set_pairs(const struct call *c)
{
	const struct control_env *env = c->ce->env;
	struct config next = *env->config;
	struct error e = { { 0 } };
	size_t i;
	int err = 0;

	if (c->argc < 4)
		return command_wrong_arity(c, "config|set");
	if (c->argc % 2 != 0)
		return command_syntax_error(c);
	for (i = 2; i < c->argc && err == 0; i += 2)
		err = check_name(c, i, &e);
	if (err < 0)
		return reply_config_error(c, err, &c->argv[i - 2], e.text);
	for (i = 2; i < c->argc && err == 0; i += 2)
		err = set_pair(c, i, &next, &e);
	if (err < 0)
		return reply_config_error(c, err, &c->argv[i - 2], e.text);
	config_take_running(env->config, &next);
	env->configured(env->configured_ctx);
	return resp_reply_simple(c->out, "OK");
}

static int config_rewrite(const struct call *c)
{
	const struct config *config = c->ce->env->config;
	struct error e = { { 0 } };

	if (c->argc > 2)
		return command_wrong_arity(c, "config|rewrite");
	if (config->file == NULL)
		return command_error(c, "ERR The server is running without a config file");
	if (config_rewrite_file(config, &e) < 0)
		return command_error(c, "ERR Rewriting config file: %s", e.text);
	return resp_reply_simple(c->out, "OK");
}

/* What INFO counts "so far" counts from now.  Not what tells one save or rewrite from the next (rdb_saves, aof_rewrites). */
static int config_resetstat(const struct call *c)
{
	struct command_counters *n = c->ce->counters;

	if (c->argc > 2)
		return command_wrong_arity(c, "config|resetstat");
	n->connections = n->rejected = n->commands = n->monitors_dropped = 0;
	stats_reset(c->ce->env->stats);
	persist_reset_stats(c->ce->env->persist);
	return resp_reply_simple(c->out, "OK");
}

static int config_help(const struct call *c)
{
	static const char *const lines[] = {
		"CONFIG <subcommand> [<arg> ...]. Subcommands are:",
		"GET <pattern> [<pattern> ...]",
		"    Names and values of the settings that match (* ? [abc]).",
		"SET <name> <value> [<name> <value> ...]",
		"    Change settings while mounted: all of them or none.",
		"REWRITE",
		"    Write the settings back to the ini file.",
		"RESETSTAT",
		"    Let INFO count from 0 again.",
		"HELP",
		"    This text.",
	};
	const size_t count = sizeof(lines) / sizeof(lines[0]);
	int err;

	if (c->argc > 2)
		return command_wrong_arity(c, "config|help");
	err = resp_reply_array(c->out, count);
	for (size_t i = 0; i < count && err == 0; i++)
		err = resp_reply_simple(c->out, lines[i]);
	return err;
}

int cmd_config(const struct call *c)
{
	if (resp_is(&c->argv[1], "GET"))
		return config_get(c);
	if (resp_is(&c->argv[1], "SET"))
		return config_set_pairs(c);
	if (resp_is(&c->argv[1], "REWRITE"))
		return config_rewrite(c);
	if (resp_is(&c->argv[1], "RESETSTAT"))
		return config_resetstat(c);
	if (resp_is(&c->argv[1], "HELP"))
		return config_help(c);
	return command_error(c, "ERR unknown subcommand '%.*s'. Try CONFIG HELP.", command_shown_len(&c->argv[1]), c->argv[1].data);
}

