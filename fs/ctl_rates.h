/* ctl_rates.h -- what went on between two samples, a second: for kvfs-ctl top. */
#ifndef KVFS_FS_CTL_RATES_H
#define KVFS_FS_CTL_RATES_H

#include "fs/ctl_sample.h"

/* Kinds of messages. */
enum ctl_group {
	CTL_LOOK,      /* names and attributes: lookup, getattr, ... */
	CTL_READ,      /* values and directories */
	CTL_WRITE,     /* values and attributes */
	CTL_NAMES,     /* that come, move and go */
	CTL_SYNC,
	CTL_OTHER,
	CTL_GROUPS,
};

struct ctl_rates {
	double seconds;
	double changes, messages, group[CTL_GROUPS];
	struct ctl_op all;             /* of that time: every request, whatever it was */
};

/* A word in small letters. */
const char *ctl_group_name(enum ctl_group g);
/* BEFORE NULL: since the daemon started. */
void ctl_rates_between(const struct ctl_sample *before, const struct ctl_sample *now, struct ctl_rates *ret);

/* "45.2M", "45.2M, rewriting", "off"; "12s ago", "writing 45%", "failed".  Each returns OUT. */
enum { CTL_STATE_MAX = 64 };
const char *ctl_log_state(const struct ctl_sample *s, char out[CTL_STATE_MAX]);
const char *ctl_snapshot_state(const struct ctl_sample *s, char out[CTL_STATE_MAX]);

#endif
