/* ctl_jobs.h -- `bgsave --wait` and `bgrewriteaof --wait`: watch a job of the server until it has ended. */
#ifndef KVFS_FS_CTL_JOBS_H
#define KVFS_FS_CTL_JOBS_H

#include "fs/ctl_client.h"

/* The job that COMMAND (any case) starts, or NULL: none that can be waited for.  Static. */
struct ctl_job;
const struct ctl_job *ctl_job_find(const char *command);

/* How often the job has succeeded so far: asked before it is started.  0, or a negative errno of the connection. */
int ctl_job_count(struct ctl_client *c, const struct ctl_job *job, int64_t *ret);
/* Polls INFO until the job, which was started or scheduled over C when it had succeeded BEFORE times, has ended.  Shows a bar when standard
 * error is a terminal.  Returns an enum ctl_exit. */
int ctl_job_wait(struct ctl_client *c, const struct ctl_job *job, int64_t before);

/* The value of a field in the text of INFO: borrowed from it, NULL when it is not there. */
const char *ctl_info_field(const char *text, size_t len, const char *name, size_t *ret_len);

#endif
