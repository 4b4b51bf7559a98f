/* ctl_metrics.c -- kvfs-ctl metrics: INFO and the latencies in Prometheus's text exposition format 0.0.4.
 *
 * Names end in their base unit, counters in _total.  CONFIG RESETSTAT lets counters begin anew, which Prometheus takes for a restart. */
#include "fs/ctl.h"
#include "fs/ctl_sample.h"
#include "fs/ctl_show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct metric {
	const char *name, *type;
	const char *field;         /* of INFO; a number */
	const char *help;
} metrics[] = {
	{ "kvfs_uptime_seconds", "gauge", "uptime_in_seconds", "Time since the daemon started." },
	{ "kvfs_clients", "gauge", "connected_clients", "Connections to the control socket." },
	{ "kvfs_connections_total", "counter", "total_connections_received", "Connections that the control socket took." },
	{ "kvfs_connections_rejected_total", "counter", "rejected_connections", "Connections that were turned away." },
	{ "kvfs_commands_total", "counter", "total_commands_processed", "Commands on the control socket." },
	{ "kvfs_monitors_dropped_total", "counter", "client_output_buffer_limit_disconnections", "Clients of MONITOR that were dropped because they read too slowly." },
	{ "kvfs_directories", "gauge", "kvfs_directories", "Directories, with the root." },
	{ "kvfs_symlinks", "gauge", "kvfs_symlinks", "Symbolic links." },
	{ "kvfs_specials", "gauge", "kvfs_specials", "FIFOs, sockets and devices." },
	{ "kvfs_unlinked", "gauge", "kvfs_unlinked", "Files without a name that somebody has open." },
	{ "kvfs_expired_keys_total", "counter", "expired_keys", "Keys whose time was over." },
	{ "kvfs_evicted_keys_total", "counter", "evicted_keys", "Keys that went because of maxmemory." },
	{ "kvfs_notifications_total", "counter", "total_fuse_notifications", "Names that the kernel was told to forget." },
	{ "kvfs_memory_used_bytes", "gauge", "used_memory", "Memory of keys, values, snapshots and what waits for the log." },
	{ "kvfs_memory_dataset_bytes", "gauge", "used_memory_dataset", "Memory of values." },
	{ "kvfs_memory_resident_bytes", "gauge", "used_memory_rss", "Resident memory of the daemon." },
	{ "kvfs_memory_snapshot_bytes", "gauge", "used_memory_snapshot", "What a running snapshot keeps of the state before." },
	{ "kvfs_memory_limit_bytes", "gauge", "maxmemory", "maxmemory; 0: none." },
	{ "kvfs_changes_total", "counter", "total_changes", "Changes of the keyspace." },
	{ "kvfs_changes_unsaved", "gauge", "rdb_changes_since_last_save", "Changes since the last snapshot." },
	{ "kvfs_snapshot_running", "gauge", "rdb_bgsave_in_progress", "1 while a snapshot is written." },
	{ "kvfs_snapshots_total", "counter", "rdb_saves", "Snapshots since the start." },
	{ "kvfs_snapshot_last_timestamp_seconds", "gauge", "rdb_last_save_time", "When the last snapshot was written." },
	{ "kvfs_log_enabled", "gauge", "aof_enabled", "1 when there is a log and all is in it." },
	{ "kvfs_log_rewrite_running", "gauge", "aof_rewrite_in_progress", "1 while the log is rewritten." },
	{ "kvfs_log_rewrites_total", "counter", "aof_rewrites", "Rewrites of the log since the start." },
	{ "kvfs_log_size_bytes", "gauge", "aof_current_size", "Size of the log." },
	{ "kvfs_log_base_size_bytes", "gauge", "aof_base_size", "Size of the log after its last rewrite." },
	{ "kvfs_log_waiting_bytes", "gauge", "aof_buffer_length", "What the log's file does not have yet." },
	{ "kvfs_log_writes_total", "counter", "aof_writes", "Writes to the log's file." },
	{ "kvfs_log_syncs_total", "counter", "aof_syncs", "Syncs of the log's file." },
	{ "kvfs_log_slow_syncs_total", "counter", "aof_delayed_fsync", "Syncs that took more than a second." },
	{ "kvfs_replies_parked_total", "counter", "replies_parked", "Replies that had to wait for the log." },
};

static void head(const char *name, const char *type, const char *help)
{
	printf("# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* As a label's value: \, " and newline are escaped. */
static void label(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '"')
			putchar('\\');
		putchar(*text);
	}
}

static void gauge(const char *name, const char *help, uint64_t n)
{
	head(name, "gauge", help);
	printf("%s %" PRIu64 "\n", name, n);
}

static void print_texts(const struct ctl_sample *s)
{
	char text[256];

	head("kvfs_build_info", "gauge", "The version that runs; always 1.");
	fputs("kvfs_build_info{version=\"", stdout);
	label(ctl_sample_text(s, "kvfs_version", text, sizeof(text)));
	puts("\"} 1");
	head("kvfs_persistence_state", "gauge", "What keeps changes from lasting, \"ok\" if nothing does; always 1.");
	fputs("kvfs_persistence_state{state=\"", stdout);
	label(ctl_sample_text(s, "persistence_state", text, sizeof(text)));
	puts("\"} 1");
	gauge("kvfs_snapshot_last_ok", "1 unless the last snapshot failed.",
	      strcmp(ctl_sample_text(s, "rdb_last_bgsave_status", text, sizeof(text)), "ok") == 0);
	gauge("kvfs_log_last_write_ok", "1 unless the last write to the log failed.",
	      strcmp(ctl_sample_text(s, "aof_last_write_status", text, sizeof(text)), "ok") == 0);
}

static void print_messages(const struct ctl_sample *s)
{
	head("kvfs_fuse_messages_total", "counter", "Messages of the kernel, by kind.");
	for (uint32_t op = 0; op < STATS_OPCODES; op++) {
		const char *name = stats_opcode_name(op);
		char field[64];

		if (name == NULL)
			continue;
		snprintf(field, sizeof(field), "fuse_%s", name);
		printf("kvfs_fuse_messages_total{operation=\"%s\"} %" PRIu64 "\n", name, ctl_sample_number(s, field));
	}
}

/* The last bucket has no bound: it is +Inf. */
static void print_histogram(const struct ctl_op *op)
{
	static const char name[] = "kvfs_request_duration_seconds";
	uint64_t seen = 0;

	for (int i = 0; i < LATENCY_BUCKETS - 1; i++) {
		seen += op->bucket[i];
		printf("%s_bucket{operation=\"%s\",le=\"%.6f\"} %" PRIu64 "\n", name, op->name, (double)(UINT64_C(1) << i) / 1e6, seen);
	}
	printf("%s_bucket{operation=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name, op->name, op->calls);
	printf("%s_sum{operation=\"%s\"} %.6f\n", name, op->name, (double)op->usec / 1e6);
	printf("%s_count{operation=\"%s\"} %" PRIu64 "\n", name, op->name, op->calls);
}

int ctl_show_metrics(struct ctl_client *c, const struct ctl_show *s)
{
	struct ctl_sample sample = { .ops = 0 };
	int err = ctl_sample_take(c, &sample);

	(void)s;
	if (err == 0) {
		print_texts(&sample);
		gauge("kvfs_keys", "Keys: names of files.", ctl_sample_db(&sample, "keys"));
		gauge("kvfs_keys_expiring", "Keys with an end.", ctl_sample_db(&sample, "expires"));
		for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
			head(metrics[i].name, metrics[i].type, metrics[i].help);
			printf("%s %" PRIu64 "\n", metrics[i].name, ctl_sample_number(&sample, metrics[i].field));
		}
		print_messages(&sample);
		head("kvfs_request_duration_seconds", "histogram", "From taking a message of the kernel to its reply.");
		for (size_t i = 0; i < sample.ops; i++)
			print_histogram(&sample.op[i]);
	}
	ctl_sample_fini(&sample);
	return ctl_show_end(err);
}
