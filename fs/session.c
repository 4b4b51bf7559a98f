/* session.c -- see session.h. */
#include "fs/session.h"
#include "fs/monitor.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static void stop_monitoring(struct session *s)
{
	if (s->monitor != NULL)
		monitor_detach(s->monitor);
	s->monitor = NULL;
}

void session_fini(struct session *s)
{
	stop_monitoring(s);
	bytes_fini(&s->in);
	bytes_fini(&s->out);
	resp_command_fini(&s->command);
}

static bool is_reading(const struct session *s)
{
	return !s->waiting && !s->closing;
}

static bool is_full(const struct session *s)
{
	return s->out.len - s->sent >= SESSION_OUT_MAX;
}

size_t session_room(const struct session *s)
{
	if (!is_reading(s) || is_full(s) || s->in.len >= SESSION_IN_MAX)
		return 0;
	return SESSION_IN_MAX - s->in.len;
}

static int protocol_error(struct session *s, const char *why)
{
	int err = bytes_addf(&s->out, "-ERR Protocol error: %s\r\n", why);

	s->closing = true;
	return err;
}

/* Runs the command that was parsed. */
static int run_one(struct session *s, const struct command_env *ce, void *client)
{
	int result;

	if (s->command.argc == 0)
		return 0;
	result = command_run(ce, client, &s->command, &s->out);
	switch (result) {
	case COMMAND_WAITS:
		s->waiting = true;
		break;
	case COMMAND_QUITS:
		s->closing = true;
		break;
	case COMMAND_MONITORS:
		stop_monitoring(s);
		s->monitor = ce->monitor;
		break;
	}
	return result < 0 ? result : 0;
}

static int run(struct session *s, const struct command_env *ce, void *client)
{
	static const struct resp_limits limits = { .args_max = SESSION_ARGS_MAX, .arg_max = SESSION_ARG_MAX };
	size_t done = 0, used;
	const char *why = "";
	int err = 0, got;

	while (err == 0 && done < s->in.len && is_reading(s) && !is_full(s)) {
		got = resp_parse(s->in.data + done, s->in.len - done, &limits, true, &s->command, &used, &why);
		if (got == RESP_MORE && s->in.len - done >= SESSION_IN_MAX) {
			err = protocol_error(s, "too big request");
		} else if (got == RESP_MORE) {
			break;
		} else if (got == RESP_OK) {
			done += used;
			err = run_one(s, ce, client);
		} else if (got == -ENOMEM) {
			err = got;
		} else {
			err = protocol_error(s, why);
		}
	}
	bytes_drop_front(&s->in, done);
	return err;
}

int session_take(struct session *s, const struct command_env *ce, void *client, const char *data, size_t len)
{
	int err;

	assert(len <= session_room(s));
	err = bytes_add(&s->in, data, len);
	return err < 0 ? err : run(s, ce, client);
}

size_t session_pending(const struct session *s, const char **ret_data)
{
	if (s->out.len == s->sent)
		return 0;
	*ret_data = s->out.data + s->sent;
	return s->out.len - s->sent;
}

int session_sent(struct session *s, const struct command_env *ce, void *client, size_t n)
{
	assert(n <= s->out.len - s->sent);
	s->sent += n;
	if (s->sent == s->out.len) {
		bytes_fini(&s->out);
		s->sent = 0;
	} else if (s->sent >= SESSION_OUT_MAX) {
		bytes_drop_front(&s->out, s->sent);
		s->sent = 0;
	}
	return run(s, ce, client);
}

int session_resume(struct session *s, const struct command_env *ce, void *client, const struct pending *p)
{
	int err;

	assert(s->waiting);
	s->waiting = false;
	err = p->reply(p->number, p->err, &s->out);
	return err < 0 ? err : run(s, ce, client);
}

/* Drops what waits, but for the rest of a line that is being sent. */
static int drop_monitor(struct session *s, const struct command_env *ce)
{
	static const char why[] = "-ERR output buffer limit reached: changes came faster than this client read them\r\n";
	const char *waits, *end = NULL;
	size_t len = session_pending(s, &waits);
	struct bytes rest = { 0 };
	int err = 0;

	if (s->sent > 0 && len > 0 && waits[-1] != '\n')
		end = memchr(waits, '\n', len);
	if (end != NULL)
		err = bytes_add(&rest, waits, (size_t)(end + 1 - waits));
	if (err == 0)
		err = bytes_add(&rest, why, sizeof(why) - 1);
	bytes_fini(&s->out);
	s->out = rest;
	s->sent = 0;
	s->closing = true;
	stop_monitoring(s);
	ce->counters->monitors_dropped++;
	return err;
}

int session_feed(struct session *s, const struct command_env *ce, const struct bytes *lines, bool lost)
{
	if (lost || s->out.len - s->sent + lines->len > MONITOR_OUT_MAX)
		return drop_monitor(s, ce);
	return lines->len > 0 ? bytes_add(&s->out, lines->data, lines->len) : 0;
}
