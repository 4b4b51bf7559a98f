/* commands.h -- the commands of the control socket: Redis's names, replies and errors.
 *
 * One table gives each command its name, how many words it takes and its function.  A command writes exactly one reply, unless it is
 * COMMAND_WAITS (the reply comes later) or COMMAND_STOPS (the server goes, as Redis, without a word).                              */
#ifndef KVFS_FS_COMMANDS_H
#define KVFS_FS_COMMANDS_H

#include "fs/control.h"
#include "persist/bytes.h"
#include "persist/resp.h"

struct command_counters {
	int64_t start_ns;            /* CLOCK_MONOTONIC */
	uint64_t clients;            /* now */
	uint64_t connections, rejected, commands;  /* so far */
};

struct command_env {
	const struct control_env *env;        /* borrowed */
	struct command_counters *counters;    /* borrowed */
	/* Starts a snapshot and sees to it that the session gets its reply when it has ended: 1; -EALREADY: one runs; else an error. */
	int (*save)(void *ctx, void *client);
	void *save_ctx;
};

enum command_result {
	COMMAND_DONE,      /* the reply is in OUT */
	COMMAND_WAITS,     /* SAVE: the reply follows */
	COMMAND_QUITS,     /* reply, then close */
	COMMAND_STOPS,     /* SHUTDOWN: no reply, nothing more is taken */
	/* -ENOMEM: OUT may hold part of a reply: the client is lost */
};

/* Runs one command (argc > 0) for CLIENT, which only save() looks at. */
int command_run(const struct command_env *ce, void *client, const struct resp_command *c, struct bytes *out);
/* The reply to SAVE, when it has ended with ERR. */
int command_reply_save(int err, struct bytes *out);

#endif
