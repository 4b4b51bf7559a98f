/* ctl_copy.h -- `backup` and `restore-to`: a data directory becomes another one.  Here: what their words mean, and where the data are. */
#ifndef KVFS_FS_CTL_COPY_H
#define KVFS_FS_CTL_COPY_H

#include "fs/config.h"
#include "fs/ctl.h"
#include "fs/ctl_client.h"
#include "fs/ctl_mounts.h"

#include <stdbool.h>

struct ctl_copy {
	const char *from;          /* --from; NULL: a mount's data directory */
	const char *dir;           /* to be made */
	bool restore;
	int64_t when_ns;           /* restore: the moment */
};

/* Where the data are. */
struct ctl_source {
	const char *path;          /* a data directory; restore: whatever view.h takes */
	const char *mountpoint;    /* of its daemon; NULL: none is known of */
	struct ctl_client client;  /* to its daemon; fd -1: none */
	struct config config;      /* as the daemon has it, or as the ini file says, or the defaults */
};

/* Whether COMMAND is one of the two (any case). */
bool ctl_is_copy(const char *command);
/* "backup [--from SOURCE] DIR", "restore-to [--from SOURCE] TIME... DIR".  An enum ctl_exit, as below. */
int ctl_copy_parse(const char *const *words, size_t count, struct ctl_copy *c);
/* Does it, from C->from or else from MOUNT. */
int ctl_copy_run(const struct ctl_copy *c, const struct ctl_mount *mount);
/* fsync(2) on the mount, if there is one: what its daemon has acknowledged is in the log file afterwards. */
int ctl_source_sync(const struct ctl_source *s);

/* ctl_backup.c, ctl_restore.c */
int ctl_backup(struct ctl_source *s, const char *dir);
int ctl_restore(struct ctl_source *s, int64_t when_ns, const char *dir);

#endif
