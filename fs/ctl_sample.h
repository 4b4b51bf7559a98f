/* ctl_sample.h -- what the daemon says about itself at one moment, for the commands of kvfs-ctl that show it: INFO and LATENCY HISTOGRAM. */
#ifndef KVFS_FS_CTL_SAMPLE_H
#define KVFS_FS_CTL_SAMPLE_H

#include "fs/ctl_client.h"
#include "fs/latency.h"
#include "fs/stats.h"

/* The requests of one kind. */
struct ctl_op {
	char name[32];
	uint64_t calls, usec;
	uint64_t bucket[LATENCY_BUCKETS];   /* not cumulated */
};

struct ctl_sample {
	int64_t at_ns;                      /* CLOCK_MONOTONIC */
	struct bytes info;                  /* owned */
	struct ctl_op op[STATS_OPCODES];    /* in the server's order */
	size_t ops;
};

/* Asks for INFO alone, or for all; {0} before the first time, memory is kept from one to the next.  0, or an error of ctl_receive(). */
int ctl_sample_info(struct ctl_client *c, struct ctl_sample *s);
int ctl_sample_take(struct ctl_client *c, struct ctl_sample *s);
void ctl_sample_fini(struct ctl_sample *s);

/* A field of INFO; 0: it is not there, or no number. */
uint64_t ctl_sample_number(const struct ctl_sample *s, const char *name);
/* Its text, cut to CAP bytes with the NUL; "" when it is not there.  Returns OUT. */
const char *ctl_sample_text(const struct ctl_sample *s, const char *name, char *out, size_t cap);
/* The number behind NAME= in field db0, db1, ... */
uint64_t ctl_sample_db(const struct ctl_sample *s, const char *name);
/* The requests of that kind; NULL: there were none. */
const struct ctl_op *ctl_sample_op(const struct ctl_sample *s, const char *name);

/* *OP less BEFORE (NULL: nothing), of the same kind; after a RESETSTAT in between, *OP. */
struct ctl_op ctl_op_since(const struct ctl_op *op, const struct ctl_op *before);
/* us that so many percent took at most, as a power of two; 0: there were none. */
uint64_t ctl_op_percentile(const struct ctl_op *op, double percent);

#endif
