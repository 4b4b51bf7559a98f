/* info.c -- see info.h.  A section is a function; the table at the end gives their order. */
#include "fs/info.h"
#include "fs/guard.h"
#include "fs/stats.h"
#include "fs/version.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* The first failure stays; everything after it is left out. */
struct info {
	const struct command_env *ce;
	struct bytes *out;
	int err;
};

static void line(struct info *i, const char *name, const char *value)
{
	if (i->err == 0)
		i->err = bytes_addf(i->out, "%s:%s\r\n", name, value);
}

static void number(struct info *i, const char *name, uint64_t n)
{
	if (i->err == 0)
		i->err = bytes_addf(i->out, "%s:%" PRIu64 "\r\n", name, n);
}

static void signed_number(struct info *i, const char *name, int64_t n)
{
	if (i->err == 0)
		i->err = bytes_addf(i->out, "%s:%" PRId64 "\r\n", name, n);
}

static void status(struct info *i, const char *name, bool ok)
{
	line(i, name, ok ? "ok" : "err");
}

/* As Redis: 512B, 1.50K, 3.25M ... */
static void human(struct info *i, const char *name, uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	double n = (double)bytes;
	size_t unit = 0;

	if (i->err != 0)
		return;
	if (bytes < 1024) {
		i->err = bytes_addf(i->out, "%s:%" PRIu64 "B\r\n", name, bytes);
		return;
	}
	for (n /= 1024; n >= 1024 && unit + 1 < sizeof(units) - 1; unit++)
		n /= 1024;
	i->err = bytes_addf(i->out, "%s:%.2f%c\r\n", name, n, units[unit]);
}

static void percent(struct info *i, const char *name, uint64_t done, uint64_t total)
{
	if (i->err == 0)
		i->err = bytes_addf(i->out, "%s:%.2f\r\n", name, total > 0 ? 100.0 * (double)done / (double)total : 0.0);
}

/* Text from outside must not make lines of its own. */
static void path(struct info *i, const char *name, const char *value)
{
	char quoted[4 * PATH_MAX + 1];

	line(i, name, error_quote(value, strlen(value), quoted, sizeof(quoted)));
}

static int64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void server(struct info *i)
{
	const struct control_env *env = i->ce->env;
	int64_t up_s = (monotonic_ns() - i->ce->counters->start_ns) / 1000000000;
	struct utsname u;

	line(i, "redis_version", KVFS_REDIS_VERSION);
	line(i, "redis_mode", "standalone");
	line(i, "kvfs_version", KVFS_VERSION);
	if (uname(&u) == 0 && i->err == 0)
		i->err = bytes_addf(i->out, "os:%s %s %s\r\n", u.sysname, u.release, u.machine);
	number(i, "arch_bits", 8 * sizeof(void *));
	signed_number(i, "process_id", getpid());
	signed_number(i, "uptime_in_seconds", up_s);
	signed_number(i, "uptime_in_days", up_s / 86400);
	path(i, "mountpoint", env->mountpoint);
	path(i, "dir", env->config->dir);
}

static void clients(struct info *i)
{
	number(i, "connected_clients", i->ce->counters->clients);
	number(i, "maxclients", CONTROL_CLIENTS_MAX);
	number(i, "blocked_clients", 0);
}

static void memory_used(struct info *i, const struct usage *u, const struct persist_info *p, const struct guard_info *g)
{
	const struct config *c = i->ce->env->config;
	uint64_t keyspace = u->bytes_total - u->bytes_idle, used = keyspace + p->snapshot_memory + p->aof_buffer_length;
	uint64_t peak = g->peak > used ? g->peak : used, resident = meminfo_resident();
	struct rusage self;

	number(i, "used_memory", used);
	human(i, "used_memory_human", used);
	number(i, "used_memory_rss", resident);
	human(i, "used_memory_rss_human", resident);
	number(i, "used_memory_peak", peak);
	human(i, "used_memory_peak_human", peak);
	if (i->err == 0)
		i->err = bytes_addf(i->out, "used_memory_peak_perc:%.2f%%\r\n", 100.0 * (double)used / (double)peak);
	if (getrusage(RUSAGE_SELF, &self) == 0)
		number(i, "used_memory_peak_rss", (uint64_t)self.ru_maxrss * 1024);
	number(i, "used_memory_overhead", used - u->bytes_values);
	number(i, "used_memory_dataset", u->bytes_values);
	number(i, "used_memory_keyspace", keyspace);
	number(i, "used_memory_idle", u->bytes_idle);
	number(i, "used_memory_snapshot", p->snapshot_memory);
	number(i, "total_system_memory", g->memory.system);
	human(i, "total_system_memory_human", g->memory.system);
	number(i, "maxmemory", u->bytes_max);
	human(i, "maxmemory_human", u->bytes_max);
	line(i, "maxmemory_policy", config_policy_word(c->policy));
	if (i->err == 0)
		i->err = bytes_addf(i->out, "mem_fragmentation_ratio:%.2f\r\n", used > 0 ? (double)resident / (double)used : 0.0);
}

static void memory(struct info *i)
{
	const struct control_env *env = i->ce->env;
	struct guard_info g;
	struct persist_info p;
	struct usage u;

	guard_look(env->guard);
	guard_get_info(env->guard, &g);
	keyspace_usage(env->ks, &u);
	persist_get_info(env->persist, &p);
	memory_used(i, &u, &p, &g);
	number(i, "mem_aof_buffer", p.aof_buffer_length);
	line(i, "mem_allocator", "libc");
	number(i, "memory_total", g.memory.total);
	number(i, "memory_available", g.memory.available);
	number(i, "memory_margin", g.margin);
	number(i, "memory_short", g.holds);
	number(i, "memory_short_count", g.held);
}

static void persistence_rdb(struct info *i, const struct persist_info *p)
{
	number(i, "loading", 0);
	number(i, "async_loading", 0);
	number(i, "current_cow_peak", p->snapshot_memory_peak);
	number(i, "current_cow_size", p->snapshot_memory);
	number(i, "current_cow_size_age", 0);
	percent(i, "current_fork_perc", p->current_save_keys_processed, p->current_save_keys_total);
	number(i, "current_save_keys_processed", p->current_save_keys_processed);
	number(i, "current_save_keys_total", p->current_save_keys_total);
	number(i, "rdb_changes_since_last_save", p->rdb_changes_since_last_save);
	number(i, "rdb_bgsave_in_progress", p->rdb_bgsave_in_progress);
	signed_number(i, "rdb_last_save_time", p->rdb_last_save_time);
	status(i, "rdb_last_bgsave_status", p->rdb_last_bgsave_ok);
	signed_number(i, "rdb_last_bgsave_time_sec", p->rdb_last_bgsave_time_sec);
	signed_number(i, "rdb_current_bgsave_time_sec", p->rdb_current_bgsave_time_sec);
	number(i, "rdb_saves", p->rdb_saves);
	number(i, "rdb_last_cow_size", p->rdb_last_cow_size);
	number(i, "rdb_last_load_keys_expired", p->rdb_last_load_keys_expired);
	number(i, "rdb_last_load_keys_loaded", p->rdb_last_load_keys_loaded);
}

static void persistence_aof(struct info *i, const struct persist_info *p)
{
	number(i, "aof_enabled", p->aof_enabled);
	number(i, "aof_rewrite_in_progress", p->aof_rewrite_in_progress);
	number(i, "aof_rewrite_scheduled", p->aof_rewrite_scheduled);
	signed_number(i, "aof_last_rewrite_time_sec", p->aof_last_rewrite_time_sec);
	signed_number(i, "aof_current_rewrite_time_sec", p->aof_current_rewrite_time_sec);
	status(i, "aof_last_bgrewrite_status", p->aof_last_bgrewrite_ok);
	number(i, "aof_rewrites", p->aof_rewrites);
	number(i, "aof_rewrites_consecutive_failures", p->aof_rewrites_consecutive_failures);
	status(i, "aof_last_write_status", p->aof_last_write_ok);
	number(i, "aof_last_cow_size", p->aof_last_cow_size);
	if (!p->aof_enabled)
		return;
	number(i, "aof_current_size", p->aof_current_size);
	number(i, "aof_base_size", p->aof_base_size);
	number(i, "aof_pending_rewrite", p->aof_rewrite_scheduled);
	number(i, "aof_buffer_length", p->aof_buffer_length);
	number(i, "aof_pending_bio_fsync", p->aof_pending_bio_fsync);
	number(i, "aof_delayed_fsync", p->aof_delayed_fsync);
}

/* What Redis does not have. */
static void persistence_own(struct info *i, const struct persist_info *p)
{
	number(i, "rdb_bgsave_scheduled", p->rdb_bgsave_scheduled);
	if (p->aof_enabled) {
		number(i, "aof_syncs", p->aof_syncs);
		number(i, "aof_writes", p->aof_writes);
	}
	line(i, "persistence_state", p->state);
	number(i, "seq_published", p->seq_published);
	number(i, "seq_kept", p->seq_kept);
	number(i, "seq_written", p->seq_written);
	number(i, "seq_durable", p->seq_durable);
	number(i, "journal_size", p->journal_size);
	number(i, "replies_parked", p->replies_parked);
}

static void persistence(struct info *i)
{
	struct persist_info p;

	persist_get_info(i->ce->env->persist, &p);
	persistence_rdb(i, &p);
	persistence_aof(i, &p);
	persistence_own(i, &p);
}

static void statistics(struct info *i)
{
	const struct command_counters *n = i->ce->counters;
	struct persist_info p;

	persist_get_info(i->ce->env->persist, &p);
	number(i, "total_connections_received", n->connections);
	number(i, "total_commands_processed", n->commands);
	number(i, "rejected_connections", n->rejected);
	number(i, "total_changes", p.changes);
	number(i, "client_output_buffer_limit_disconnections", n->monitors_dropped);
	number(i, "expired_keys", p.expired_keys);
	number(i, "evicted_keys", i->ce->env->stats->evicted);
	number(i, "total_fuse_messages", stats_total(i->ce->env->stats));
	number(i, "total_fuse_messages_by_io_uring", i->ce->env->stats->by_uring);
	number(i, "total_fuse_notifications", i->ce->env->stats->notified);
	number(i, "total_spins", i->ce->env->stats->spins);
	number(i, "total_spins_in_vain", i->ce->env->stats->spins_in_vain);
}

/* fuse_<opcode>: how many such messages the kernel sent. */
static void fuse(struct info *i)
{
	char name[64];

	for (uint32_t op = 0; op < STATS_OPCODES; op++) {
		const char *word = stats_opcode_name(op);

		if (word == NULL)
			continue;
		snprintf(name, sizeof(name), "fuse_%s", word);
		number(i, name, stats_get(i->ce->env->stats, op));
	}
}

static void keyspace(struct info *i)
{
	struct usage u;

	keyspace_usage(i->ce->env->ks, &u);
	if (u.keys > 0 && i->err == 0)
		i->err = bytes_addf(i->out, "db%" PRId64 ":keys=%" PRIu64 ",expires=%" PRIu64 ",avg_ttl=0\r\n",
		                    i->ce->env->config->persist.db, u.keys, u.expires);
	number(i, "kvfs_directories", u.directories);
	number(i, "kvfs_symlinks", u.symlinks);
	number(i, "kvfs_specials", u.specials);
	number(i, "kvfs_unlinked", u.unlinked);
}

static const struct {
	const char *name;
	void (*print)(struct info *i);
} sections[] = {
	{ "Server", server },       { "Clients", clients },  { "Memory", memory }, { "Persistence", persistence },
	{ "Stats", statistics },    { "Fuse", fuse },        { "Keyspace", keyspace },
};

static bool word_is(const struct resp_arg *a, const char *word)
{
	return a->len == strlen(word) && strncasecmp(a->data, word, a->len) == 0;
}

static bool is_wanted(const char *section, const struct resp_arg *words, size_t count)
{
	static const char *const everything[] = { "all", "default", "everything" };

	for (size_t w = 0; w < count; w++) {
		if (word_is(&words[w], section))
			return true;
		for (size_t k = 0; k < sizeof(everything) / sizeof(everything[0]); k++) {
			if (word_is(&words[w], everything[k]))
				return true;
		}
	}
	return count == 0;
}

int info_print(const struct command_env *ce, const struct resp_arg *words, size_t count, struct bytes *out)
{
	struct info i = { .ce = ce, .out = out };
	const char *between = "";

	for (size_t s = 0; s < sizeof(sections) / sizeof(sections[0]); s++) {
		if (!is_wanted(sections[s].name, words, count))
			continue;
		if (i.err == 0)
			i.err = bytes_addf(out, "%s# %s\r\n", between, sections[s].name);
		between = "\r\n";
		sections[s].print(&i);
	}
	return i.err;
}
