/* ctl_client.h -- kvfs-ctl's end of the control socket: one connection, one command at a time. */
#ifndef KVFS_FS_CTL_CLIENT_H
#define KVFS_FS_CTL_CLIENT_H

#include "fs/ctl_mounts.h"
#include "persist/bytes.h"
#include "persist/error.h"
#include "persist/resp.h"

#include <stdbool.h>

struct ctl_client {
	int fd;               /* -1: not connected */
	struct bytes in;      /* received, not yet taken */
	size_t taken;         /* bytes of IN that were */
};

/* To the socket at PATH, of any length.  0, or a negative errno with E set. */
int ctl_connect(struct ctl_client *c, const char *path, struct error *e);
/* Likewise to kvfs.sock in the data directory DIR. */
int ctl_connect_dir(struct ctl_client *c, const char *dir, struct error *e);
/* Likewise of the keyspace that is mounted there; E begins with the mount point. */
int ctl_connect_mount(struct ctl_client *c, const struct ctl_mount *mount, struct error *e);
void ctl_disconnect(struct ctl_client *c);

/* A descriptor that becomes readable when the daemon behind the connection has ended; owned by the caller.  -errno: there is no telling
 * (the daemon lives in another pid namespace). */
int ctl_daemon_pidfd(const struct ctl_client *c);

/* Sends one command.  0 or a negative errno. */
int ctl_send(struct ctl_client *c, const struct resp_arg *argv, size_t argc);
int ctl_send_words(struct ctl_client *c, const char *const *words, size_t count);
/* Waits for the next value of a reply; its bytes are good until the next call.  0; -ECONNRESET: the server closed the connection; -EPROTO. */
int ctl_receive(struct ctl_client *c, struct resp_value *ret);

/* Waits for a whole reply and prints it as redis-cli prints to a pipe: bare text, one element a line; errors go to standard error.
 * *RET_ERROR: it was (or holds) an error.  0; -ECONNRESET; -EPROTO; -EIO: standard output does not take it. */
int ctl_print_reply(struct ctl_client *c, bool *ret_error);

#endif
