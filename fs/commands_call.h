/* commands_call.h -- what the files that implement commands share: one call, its errors, the functions of the table in commands.c. */
#ifndef KVFS_FS_COMMANDS_CALL_H
#define KVFS_FS_COMMANDS_CALL_H

#include "fs/commands.h"

struct call {
	const struct command_env *ce;
	void *client;
	const struct resp_arg *argv;
	size_t argc;
	struct bytes *out;
};

enum { COMMAND_SHOWN_MAX = 128 };  /* bytes of the client's own words in an error, as Redis */

/* Replies; each fails for no other reason than memory: -ENOMEM. */
int command_error(const struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int command_wrong_arity(const struct call *c, const char *name);
int command_syntax_error(const struct call *c);
/* Bytes of A that an error shows ("%.*s"). */
int command_shown_len(const struct resp_arg *a);
/* A reply that comes later, and one that does not after all. */
struct pending *command_park(const struct call *c, pending_reply_fn *reply, int64_t number);
void command_unpark(const struct call *c, struct pending *p);

/* ---- commands_save.c ---- */
int cmd_save(const struct call *c);
int cmd_bgsave(const struct call *c);
int cmd_bgrewriteaof(const struct call *c);
int cmd_lastsave(const struct call *c);
int cmd_shutdown(const struct call *c);

/* ---- commands_keys.c ---- */
int cmd_exists(const struct call *c);
int cmd_type(const struct call *c);
int cmd_ttl(const struct call *c);
int cmd_pttl(const struct call *c);
int cmd_expiretime(const struct call *c);
int cmd_pexpiretime(const struct call *c);
int cmd_expire(const struct call *c);
int cmd_pexpire(const struct call *c);
int cmd_expireat(const struct call *c);
int cmd_pexpireat(const struct call *c);
int cmd_persist(const struct call *c);
int cmd_del(const struct call *c);

/* ---- commands_scan.c ---- */
int cmd_scan(const struct call *c);
int cmd_keys(const struct call *c);
int cmd_get(const struct call *c);
int cmd_strlen(const struct call *c);
int cmd_memory(const struct call *c);

/* ---- commands_latency.c ---- */
int cmd_latency(const struct call *c);

/* ---- commands_client.c ---- */
int cmd_hello(const struct call *c);
int cmd_client(const struct call *c);
int cmd_monitor(const struct call *c);

/* ---- commands_config.c ---- */
int cmd_config(const struct call *c);

#endif
