/* ctl_top.c -- kvfs-ctl top, one line a sample, as vmstat: the first is about the time since the daemon started. */
#include "fs/ctl_top.h"
#include "fs/ctl.h"
#include "fs/ctl_json.h"
#include "fs/ctl_rates.h"
#include "fs/ctl_term.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void print_head(const struct ctl_term *t)
{
	printf("%s%7s %7s %7s %8s %8s %7s %7s %7s %7s %6s %6s %6s  %-18s %-12s %s%s\n", ctl_term_colour(t, CTL_BOLD), "keys", "memory", "dirty",
	       "changes", "messages", "look", "read", "write", "names", "mean", "50%<=", "99%<=", "log", "snapshot", "state",
	       ctl_term_colour(t, CTL_PLAIN));
}

static void print_line(const struct ctl_sample *s, const struct ctl_rates *r)
{
	char n[12][CTL_NUMBER_MAX], log[CTL_STATE_MAX], snapshot[CTL_STATE_MAX], state[CTL_STATE_MAX];

	printf("%7s %7s %7s %8s %8s %7s %7s %7s %7s %6s %6s %6s  %-18s %-12s %s\n", ctl_show_count((double)ctl_sample_db(s, "keys"), n[0]),
	       ctl_show_bytes((double)ctl_sample_number(s, "used_memory"), n[1]),
	       ctl_show_count((double)ctl_sample_number(s, "rdb_changes_since_last_save"), n[2]), ctl_show_count(r->changes, n[3]),
	       ctl_show_count(r->messages, n[4]), ctl_show_count(r->group[CTL_LOOK], n[5]), ctl_show_count(r->group[CTL_READ], n[6]),
	       ctl_show_count(r->group[CTL_WRITE], n[7]), ctl_show_count(r->group[CTL_NAMES], n[8]),
	       ctl_show_us(r->all.calls > 0 ? (double)r->all.usec / (double)r->all.calls : 0, n[9]),
	       ctl_show_us((double)ctl_op_percentile(&r->all, 50), n[10]), ctl_show_us((double)ctl_op_percentile(&r->all, 99), n[11]),
	       ctl_log_state(s, log), ctl_snapshot_state(s, snapshot), ctl_sample_text(s, "persistence_state", state, sizeof(state)));
}

static void json_number(const char *name, double n)
{
	printf(",\"%s\":%.2f", name, n);
}

static void json_field(const struct ctl_sample *s, const char *name, const char *field)
{
	printf(",\"%s\":%" PRIu64, name, ctl_sample_number(s, field));
}

static void print_json(const struct ctl_sample *s, const struct ctl_rates *r)
{
	char state[CTL_STATE_MAX];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	printf("{\"time\":%" PRId64 ".%03ld", (int64_t)now.tv_sec, now.tv_nsec / 1000000);
	json_number("seconds", r->seconds);
	printf(",\"keys\":%" PRIu64, ctl_sample_db(s, "keys"));
	json_field(s, "used_memory", "used_memory");
	json_field(s, "dirty", "rdb_changes_since_last_save");
	json_number("changes_per_second", r->changes);
	printf(",\"messages_per_second\":{\"all\":%.2f", r->messages);
	for (int g = 0; g < CTL_GROUPS; g++)
		json_number(ctl_group_name(g), r->group[g]);
	printf("},\"latency_usec\":{\"calls\":%" PRIu64 ",\"mean\":%.2f,\"p50\":%" PRIu64 ",\"p99\":%" PRIu64 "}", r->all.calls,
	       r->all.calls > 0 ? (double)r->all.usec / (double)r->all.calls : 0, ctl_op_percentile(&r->all, 50), ctl_op_percentile(&r->all, 99));
	json_field(s, "log_enabled", "aof_enabled");
	json_field(s, "log_size", "aof_current_size");
	json_field(s, "log_waiting", "aof_buffer_length");
	json_field(s, "log_rewriting", "aof_rewrite_in_progress");
	json_field(s, "snapshot_running", "rdb_bgsave_in_progress");
	json_field(s, "snapshot_time", "rdb_last_save_time");
	fputs(",\"state\":", stdout);
	ctl_sample_text(s, "persistence_state", state, sizeof(state));
	ctl_json_text(stdout, state, strlen(state));
	puts("}");
}

/* Sleeps until the next time that is due, counted from START_NS, so that the pace does not depend on how long a sample takes. */
static void wait_for(int64_t start_ns, int64_t interval_ms, int64_t turn)
{
	int64_t due_ns = start_ns + turn * interval_ms * 1000000;
	struct timespec due = { .tv_sec = due_ns / 1000000000, .tv_nsec = due_ns % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
		;
}

static int lines(struct ctl_client *c, const struct ctl_show *s, const struct ctl_term *t)
{
	struct ctl_sample sample[2] = { { .ops = 0 }, { .ops = 0 } };
	struct ctl_rates r;
	int64_t turn = 0, start_ns = 0;
	int err;

	for (;;) {
		struct ctl_sample *now = &sample[turn % 2];

		err = ctl_sample_take(c, now);
		if (err < 0)
			break;
		ctl_rates_between(turn > 0 ? &sample[(turn + 1) % 2] : NULL, now, &r);
		if (!s->json && (turn == 0 || (t->is_terminal && turn % (t->height > 4 ? t->height - 2 : 20) == 0)))
			print_head(t);
		if (s->json)
			print_json(now, &r);
		else
			print_line(now, &r);
		if (fflush(stdout) != 0)
			err = -EIO;
		turn++;
		if (err < 0 || (s->has_count && turn == s->count))
			break;
		if (turn == 1)
			start_ns = now->at_ns;
		wait_for(start_ns, s->interval_ms, turn);
	}
	ctl_sample_fini(&sample[0]);
	ctl_sample_fini(&sample[1]);
	return ctl_show_end(err);
}

int ctl_show_top(struct ctl_client *c, const struct ctl_show *s)
{
	struct ctl_term t;

	ctl_term_look(&t);
	if (t.moves && !s->has_count && !s->json)
		return ctl_show_end(ctl_top_screen(c, s));
	return lines(c, s, &t);
}
