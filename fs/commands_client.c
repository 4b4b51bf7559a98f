/* commands_client.c -- what clients say about themselves and ask about the server when they connect: HELLO, CLIENT (nothing depends on it);
 * and MONITOR, after which they are told of every change. */
#include "fs/commands_call.h"
#include "fs/monitor.h"
#include "fs/version.h"

#include <errno.h>
#include <string.h>

static int bulk(const struct call *c, const char *text)
{
	return resp_reply_bulk(c->out, text, strlen(text));
}

/* True, or false when the error is in OUT. */
static bool hello_words(const struct call *c, int *ret_result)
{
	int64_t version;

	if (c->argc > 1 && resp_int64(&c->argv[1], &version) < 0)
		*ret_result = command_error(c, "ERR Protocol version is not an integer or out of range");
	else if (c->argc > 1 && version != 2)
		*ret_result = command_error(c, "NOPROTO unsupported protocol version");
	else if (c->argc > 2 && !(c->argc == 4 && resp_is(&c->argv[2], "SETNAME")))
		*ret_result = command_error(c, "ERR Syntax error in HELLO option '%.*s'", command_shown_len(&c->argv[2]), c->argv[2].data);
	else
		return true;
	return false;
}

int cmd_hello(const struct call *c)
{
	static const char *const texts[][2] = { { "server", "redis" }, { "version", KVFS_REDIS_VERSION }, { "mode", "standalone" }, { "role", "master" } };
	const size_t count = sizeof(texts) / sizeof(texts[0]);
	int err = 0;

	if (!hello_words(c, &err))
		return err;
	err = resp_reply_array(c->out, 2 * (count + 2));
	for (size_t i = 0; i < count && err == 0; i++) {
		err = bulk(c, texts[i][0]);
		if (err == 0)
			err = bulk(c, texts[i][1]);
	}
	if (err == 0)
		err = bulk(c, "proto");
	if (err == 0)
		err = resp_reply_int(c->out, 2);
	if (err == 0)
		err = bulk(c, "modules");
	return err == 0 ? resp_reply_array(c->out, 0) : err;
}

int cmd_client(const struct call *c)
{
	if (resp_is(&c->argv[1], "SETNAME"))
		return c->argc == 3 ? resp_reply_simple(c->out, "OK") : command_wrong_arity(c, "client|setname");
	if (resp_is(&c->argv[1], "SETINFO"))
		return c->argc == 4 ? resp_reply_simple(c->out, "OK") : command_wrong_arity(c, "client|setinfo");
	return command_error(c, "ERR unknown subcommand '%.*s'. Try CLIENT HELP.", command_shown_len(&c->argv[1]), c->argv[1].data);
}

int cmd_monitor(const struct call *c)
{
	int err = c->ce->monitor != NULL ? monitor_attach(c->ce->monitor) : -EUSERS;

	if (err == -EUSERS)
		return command_error(c, "ERR max number of monitors reached");
	if (err == 0) {
		err = resp_reply_simple(c->out, "OK");
		if (err < 0)
			monitor_detach(c->ce->monitor);
	}
	return err < 0 ? err : COMMAND_MONITORS;
}
