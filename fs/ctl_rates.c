/* ctl_rates.c -- see ctl_rates.h. */
#include "fs/ctl_rates.h"
#include "fs/ctl_term.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

const char *ctl_group_name(enum ctl_group g)
{
	static const char *const names[] = {
		[CTL_LOOK] = "look", [CTL_READ] = "read", [CTL_WRITE] = "write", [CTL_NAMES] = "names", [CTL_SYNC] = "sync", [CTL_OTHER] = "other",
	};

	return names[g];
}

static enum ctl_group group_of(const char *operation)
{
	static const struct { const char *operation; enum ctl_group group; } groups[] = {
		{ "lookup", CTL_LOOK },     { "getattr", CTL_LOOK },     { "access", CTL_LOOK },     { "statfs", CTL_LOOK },
		{ "getxattr", CTL_LOOK },   { "listxattr", CTL_LOOK },   { "lseek", CTL_LOOK },      { "read", CTL_READ },
		{ "readdir", CTL_READ },    { "readdirplus", CTL_READ }, { "readlink", CTL_READ },   { "write", CTL_WRITE },
		{ "setattr", CTL_WRITE },   { "setxattr", CTL_WRITE },   { "removexattr", CTL_WRITE }, { "fallocate", CTL_WRITE },
		{ "copy_file_range", CTL_WRITE }, { "mknod", CTL_NAMES }, { "mkdir", CTL_NAMES },    { "create", CTL_NAMES },
		{ "symlink", CTL_NAMES },   { "link", CTL_NAMES },       { "unlink", CTL_NAMES },    { "rmdir", CTL_NAMES },
		{ "rename", CTL_NAMES },    { "rename2", CTL_NAMES },    { "tmpfile", CTL_NAMES },   { "fsync", CTL_SYNC },
		{ "fsyncdir", CTL_SYNC },   { "syncfs", CTL_SYNC },
	};

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (strcmp(operation, groups[i].operation) == 0)
			return groups[i].group;
	}
	return CTL_OTHER;
}

/* How much a counter has grown; after a RESETSTAT, what it is. */
static double growth(const struct ctl_sample *before, const struct ctl_sample *now, const char *field)
{
	uint64_t is = ctl_sample_number(now, field), was = before != NULL ? ctl_sample_number(before, field) : 0;

	return (double)(is >= was ? is - was : is);
}

void ctl_rates_between(const struct ctl_sample *before, const struct ctl_sample *now, struct ctl_rates *ret)
{
	uint64_t up_s = ctl_sample_number(now, "uptime_in_seconds");
	char field[64];

	*ret = (struct ctl_rates){ .seconds = before != NULL ? (double)(now->at_ns - before->at_ns) / 1e9 : up_s > 0 ? (double)up_s : 1 };
	for (uint32_t op = 0; op < STATS_OPCODES; op++) {
		const char *name = stats_opcode_name(op);
		double rate;

		if (name == NULL)
			continue;
		snprintf(field, sizeof(field), "fuse_%s", name);
		rate = growth(before, now, field) / ret->seconds;
		ret->messages += rate;
		ret->group[group_of(name)] += rate;
	}
	for (size_t i = 0; i < now->ops; i++) {
		struct ctl_op d = ctl_op_since(&now->op[i], before != NULL ? ctl_sample_op(before, now->op[i].name) : NULL);

		ret->all.calls += d.calls;
		ret->all.usec += d.usec;
		for (int k = 0; k < LATENCY_BUCKETS; k++)
			ret->all.bucket[k] += d.bucket[k];
	}
	ret->changes = growth(before, now, "total_changes") / ret->seconds;
}

/* ---- states ---- */

static bool is(const struct ctl_sample *s, const char *field, const char *text)
{
	char got[CTL_STATE_MAX];

	return strcmp(ctl_sample_text(s, field, got, sizeof(got)), text) == 0;
}

const char *ctl_log_state(const struct ctl_sample *s, char out[CTL_STATE_MAX])
{
	char size[CTL_NUMBER_MAX];
	const char *beside = "";

	if (!is(s, "aof_enabled", "1"))
		snprintf(size, sizeof(size), "off");
	else
		ctl_show_bytes((double)ctl_sample_number(s, "aof_current_size"), size);
	if (is(s, "aof_rewrite_in_progress", "1"))
		beside = ", rewriting";
	else if (!is(s, "aof_last_write_status", "ok"))
		beside = ", failing";
	snprintf(out, CTL_STATE_MAX, "%s%s", size, beside);
	return out;
}

const char *ctl_snapshot_state(const struct ctl_sample *s, char out[CTL_STATE_MAX])
{
	int64_t ago = (int64_t)time(NULL) - (int64_t)ctl_sample_number(s, "rdb_last_save_time");

	if (ago < 0)
		ago = 0;
	if (is(s, "rdb_bgsave_in_progress", "1"))
		snprintf(out, CTL_STATE_MAX, "writing %" PRIu64 "%%", ctl_sample_number(s, "current_fork_perc"));
	else if (!is(s, "rdb_last_bgsave_status", "ok"))
		snprintf(out, CTL_STATE_MAX, "failed");
	else if (ago < 120)
		snprintf(out, CTL_STATE_MAX, "%" PRId64 "s ago", ago);
	else if (ago < 7200)
		snprintf(out, CTL_STATE_MAX, "%" PRId64 "m ago", ago / 60);
	else
		snprintf(out, CTL_STATE_MAX, "%" PRId64 "h ago", ago / 3600);
	return out;
}
