/* commands.h -- the commands of the control socket: Redis's names, replies and errors.
 *
 * One table gives each command its name, how many words it takes and its function.  A command writes exactly one reply, unless it is
 * COMMAND_WAITS: the reply comes later (or never: after SHUTDOWN the server goes, as Redis, without a word).                       */
#ifndef KVFS_FS_COMMANDS_H
#define KVFS_FS_COMMANDS_H

#include "fs/control.h"
#include "fs/pending.h"
#include "persist/bytes.h"
#include "persist/resp.h"

struct command_counters {
	int64_t start_ns;            /* CLOCK_MONOTONIC */
	uint64_t clients;            /* now */
	uint64_t connections, rejected, commands;  /* so far, as */
	uint64_t monitors_dropped;   /* that read too slowly */
};

struct monitor;

struct command_env {
	const struct control_env *env;        /* borrowed */
	struct command_counters *counters;    /* borrowed */
	struct monitor *monitor;              /* borrowed; NULL: there is none */
	/* For a reply of CLIENT that comes later (pending.h), if the command then returns COMMAND_WAITS; NULL: no memory.  And for one that
	 * does not have to wait after all: P is freed. */
	struct pending *(*park)(void *ctx, void *client, pending_reply_fn *reply, int64_t number);
	void (*unpark)(void *ctx, struct pending *p);
	void *park_ctx;
};

enum command_result {
	COMMAND_DONE,      /* the reply is in OUT */
	COMMAND_WAITS,     /* the reply follows */
	COMMAND_QUITS,     /* reply, then close */
	COMMAND_MONITORS,  /* done, and the session is attached to the monitor */
	/* -ENOMEM: OUT may hold part of a reply: the client is lost */
};

/* Runs one command (argc > 0) for CLIENT, which only park() looks at. */
int command_run(const struct command_env *ce, void *client, const struct resp_command *c, struct bytes *out);

#endif
