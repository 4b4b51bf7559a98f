/* commands_save.c -- SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE, SHUTDOWN. */
#include "fs/commands_call.h"
#include "fs/stop.h"

#include <errno.h>
#include <string.h>

static int reply_save(int64_t number, int err, struct bytes *out)
{
	(void)number;
	if (err == 0)
		return resp_reply_simple(out, "OK");
	return command_error(&(struct call){ .out = out }, "ERR Save failed: %s", strerrordesc_np(-err));
}

static int already_saving(const struct call *c)
{
	return command_error(c, "ERR Background save already in progress");
}

int cmd_save(const struct call *c)
{
	struct pending *p = command_park(c, reply_save, 0);
	int err;

	if (p == NULL)
		return -ENOMEM;
	err = persist_save(c->ce->env->persist, &p->waiter);
	if (err == 1)
		return COMMAND_WAITS;
	command_unpark(c, p);
	return err == -EALREADY ? already_saving(c) : reply_save(0, err, c->out);
}

static int bgsave_cancel(const struct call *c)
{
	int cancelled = persist_bgsave_cancel(c->ce->env->persist);

	if (cancelled == CANCELLED)
		return resp_reply_simple(c->out, "Background saving cancelled");
	if (cancelled == UNSCHEDULED)
		return resp_reply_simple(c->out, "Scheduled background saving cancelled");
	return command_error(c, "ERR Background saving is currently not in progress or scheduled");
}

/* As with Redis the moment of the snapshot is taken when the reply is read; how it goes on, INFO says. */
static int reply_bgsave(int64_t number, int err, struct bytes *out)
{
	(void)number, (void)err;
	return resp_reply_simple(out, "Background saving started");
}

static int reply_bgrewriteaof(int64_t number, int err, struct bytes *out)
{
	(void)number, (void)err;
	return resp_reply_simple(out, "Background append only file rewriting started");
}

int cmd_bgsave(const struct call *c)
{
	bool schedule = c->argc == 2 && resp_is(&c->argv[1], "SCHEDULE");
	struct pending *p;
	int started;

	if (c->argc == 2 && resp_is(&c->argv[1], "CANCEL"))
		return bgsave_cancel(c);

	if (c->argc > 1 && !schedule)
		return command_syntax_error(c);
	p = command_park(c, reply_bgsave, 0);
	if (!p)
		return -ENOMEM;
	started = persist_bgsave(c->ce->env->persist, schedule, &p->waiter);
	if (started == STARTED)
		return COMMAND_WAITS;
	command_unpark(c, p);
	if (started == SCHEDULED)
		return resp_reply_simple(c->out, "Background saving scheduled");
	if (started == -EALREADY)
		return already_saving(c);
	if (started == -EBUSY)
		return command_error(c, "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order "
					   "to schedule a BGSAVE whenever possible.");
	return command_error(c, "ERR Background save could not be started: %s", strerrordesc_np(-started));
}

int cmd_bgrewriteaof(const struct call *c)
{
	struct pending *p = command_park(c, reply_bgrewriteaof, 0);
	int started;

	if (!p)
		return -ENOMEM;
	started = persist_bgrewriteaof(c->ce->env->persist, &p->waiter);
	if (started == STARTED)
		return COMMAND_WAITS;
	command_unpark(c, p);
	if (started == SCHEDULED)
		return resp_reply_simple(c->out, "Background append only file rewriting scheduled");
	if (started == -EALREADY)
		return command_error(c, "ERR Background append only file rewriting already in progress");
	if (started == -EOPNOTSUPP)
		return command_error(c, "ERR There is no append only file: appendonly is no");
	return command_error(c, "ERR Can't execute an AOF background rewriting: %s", strerrordesc_np(-started));
}

int cmd_lastsave(const struct call *c)
{
	struct persist_info p;

	persist_get_info(c->ce->env->persist, &p);
	return resp_reply_int(c->out, p.rdb_last_save_time);
}

/* Only when the daemon goes on. */
static int reply_shutdown(int64_t number, int err, struct bytes *out)
{
	(void)number, (void)err;
	return resp_reply_error(out, "ERR Errors trying to SHUTDOWN. Check logs.");
}

/* The words, in any order; false: they do not go together. */
static bool shutdown_words(const struct call *c, struct stop_request *r, bool *ret_abort)
{
	bool save = false, nosave = false;

	*ret_abort = false;
	for (size_t i = 1; i < c->argc; i++) {
		const struct resp_arg *word = &c->argv[i];

		if (resp_is(word, "SAVE"))
			save = true;
		else if (resp_is(word, "NOSAVE"))
			nosave = true;
		else if (resp_is(word, "NOW"))
			r->now = true;
		else if (resp_is(word, "FORCE"))
			r->force = true;
		else if (resp_is(word, "ABORT"))
			*ret_abort = true;
		else
			return false;
	}
	r->save = save ? FINAL_SAVE_ALWAYS : nosave ? FINAL_SAVE_NEVER : FINAL_SAVE_BY_RULES;
	return !(save && nosave) && !(*ret_abort && (save || nosave || r->now || r->force));
}

int cmd_shutdown(const struct call *c)
{
	struct stop_request r = { .save = FINAL_SAVE_BY_RULES };
	struct stop *stop = c->ce->env->stop;
	struct pending *p;
	bool abort_it;

	if (!shutdown_words(c, &r, &abort_it))
		return command_syntax_error(c);
	if (abort_it)
		return stop_abort(stop) ? resp_reply_simple(c->out, "OK") : command_error(c, "ERR No shutdown in progress.");
	p = c->ce->park(c->ce->park_ctx, c->client, reply_shutdown, 0);
	if (!p)
		return -ENOMEM;
	r.waiter = &p->waiter;
	stop_request(stop, &r);
	return COMMAND_WAITS;
}
