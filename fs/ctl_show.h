/* ctl_show.h -- the commands of kvfs-ctl that show what goes on: info --json, latency, metrics, monitor, top. */
#ifndef KVFS_FS_CTL_SHOW_H
#define KVFS_FS_CTL_SHOW_H

#include "fs/ctl_client.h"

struct ctl_show {
	int (*run)(struct ctl_client *c, const struct ctl_show *s);  /* NULL: another command; returns an enum ctl_exit */
	bool json;
	int64_t interval_ms;                  /* top */
	int64_t count;                        /* top; 0: without end */
	bool has_count;
	const char **words;                   /* owned, the words borrowed: what is left behind the name */
	size_t word_count;
};

/* CTL_DONE, with RUN when it is one of these; or CTL_USAGE, after a complaint. */
int ctl_show_parse(const char *const *words, size_t count, struct ctl_show *ret);
void ctl_show_fini(struct ctl_show *s);

/* The exit status after ERR of the connection, or 0: then all must be on standard output.  Complains. */
int ctl_show_end(int err);

int ctl_show_latency(struct ctl_client *c, const struct ctl_show *s);
int ctl_show_metrics(struct ctl_client *c, const struct ctl_show *s);
int ctl_show_monitor(struct ctl_client *c, const struct ctl_show *s);
int ctl_show_top(struct ctl_client *c, const struct ctl_show *s);

#endif
