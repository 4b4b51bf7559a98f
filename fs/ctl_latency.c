/* ctl_latency.c -- kvfs-ctl latency: how long requests take, as a table, or for the named ones bucket by bucket. */
#include "fs/ctl.h"
#include "fs/ctl_json.h"
#include "fs/ctl_sample.h"
#include "fs/ctl_show.h"
#include "fs/ctl_term.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

enum { BAR_MAX = 50, BESIDE_BAR = 34, BESIDE_ROW = 66 };

static void print_json(const struct ctl_op *op, const char *between)
{
	const char *comma = "";
	uint64_t seen = 0;

	fputs(between, stdout);
	ctl_json_text(stdout, op->name, strlen(op->name));
	printf(":{\"calls\":%" PRIu64 ",\"usec\":%" PRIu64 ",\"histogram_usec\":{", op->calls, op->usec);
	for (int i = 0; i < LATENCY_BUCKETS; i++) {
		if (op->bucket[i] == 0)
			continue;
		seen += op->bucket[i];
		printf("%s\"%" PRIu64 "\":%" PRIu64, comma, UINT64_C(1) << i, seen);
		comma = ",";
	}
	fputs("}}", stdout);
}

static uint64_t fullest(const struct ctl_op *op)
{
	uint64_t most = 0;

	for (int i = 0; i < LATENCY_BUCKETS; i++)
		most = op->bucket[i] > most ? op->bucket[i] : most;
	return most;
}

static int last_bucket(const struct ctl_op *op)
{
	int last = 0;

	for (int i = 0; i < LATENCY_BUCKETS; i++)
		last = op->bucket[i] > 0 ? i : last;
	return last;
}

static void print_row(const struct ctl_op *op, const struct ctl_term *t)
{
	char mean[CTL_NUMBER_MAX], p50[CTL_NUMBER_MAX], p99[CTL_NUMBER_MAX], p100[CTL_NUMBER_MAX];

	printf("%-16s %10" PRIu64 " %8s %8s %8s %8s", op->name, op->calls, ctl_show_us(op->calls > 0 ? (double)op->usec / (double)op->calls : 0, mean),
	       ctl_show_us((double)ctl_op_percentile(op, 50), p50), ctl_show_us((double)ctl_op_percentile(op, 99), p99),
	       ctl_show_us((double)ctl_op_percentile(op, 100), p100));
	if (t->is_terminal) {
		printf("  %s", ctl_term_colour(t, CTL_GREEN));
		for (int i = 0; i <= last_bucket(op) && i < t->width - BESIDE_ROW; i++)
			ctl_term_level(stdout, t, (double)op->bucket[i] / (double)fullest(op));
		fputs(ctl_term_colour(t, CTL_PLAIN), stdout);
	}
	putchar('\n');
}

static void print_buckets(const struct ctl_op *op, const struct ctl_term *t)
{
	int width = t->width - BESIDE_BAR < BAR_MAX ? t->width - BESIDE_BAR : BAR_MAX;
	char text[CTL_NUMBER_MAX];
	bool begun = false;

	printf("%s%s%s: %" PRIu64 " calls, mean %s\n", ctl_term_colour(t, CTL_BOLD), op->name, ctl_term_colour(t, CTL_PLAIN), op->calls,
	       ctl_show_us(op->calls > 0 ? (double)op->usec / (double)op->calls : 0, text));
	for (int i = 0; i <= last_bucket(op) && op->calls > 0; i++) {
		begun = begun || op->bucket[i] > 0;
		if (!begun)
			continue;
		printf("  <= %8s %10" PRIu64 " %5.1f%%", ctl_show_us((double)(UINT64_C(1) << i), text), op->bucket[i],
		       100.0 * (double)op->bucket[i] / (double)op->calls);
		if (t->is_terminal && width > 0) {
			printf(" %s", ctl_term_colour(t, CTL_GREEN));
			ctl_term_bar(stdout, t, (double)op->bucket[i] / (double)fullest(op), width, false);
			fputs(ctl_term_colour(t, CTL_PLAIN), stdout);
		}
		putchar('\n');
	}
}

static bool is_named(const struct ctl_show *s, const char *name)
{
	for (size_t i = 0; i < s->word_count; i++) {
		if (strcasecmp(s->words[i], name) == 0)
			return true;
	}
	return s->word_count == 0;
}

/* A word that is no operation is a mistake; one that never came is none. */
static int check_names(const struct ctl_show *s)
{
	for (size_t i = 0; i < s->word_count; i++) {
		uint32_t op = 0;

		while (op < STATS_OPCODES && (stats_opcode_name(op) == NULL || strcasecmp(stats_opcode_name(op), s->words[i]) != 0))
			op++;
		if (op == STATS_OPCODES)
			return ctl_complain(CTL_USAGE, "%s: is no operation (kvfs-ctl info fuse lists them)", s->words[i]);
	}
	return CTL_DONE;
}

int ctl_show_latency(struct ctl_client *c, const struct ctl_show *s)
{
	struct ctl_sample sample = { .ops = 0 };
	struct ctl_term t;
	const char *between = "";
	int err, result = check_names(s);

	if (result != CTL_DONE)
		return result;
	err = ctl_sample_take(c, &sample);
	ctl_term_look(&t);
	if (err == 0 && s->json)
		putchar('{');
	else if (err == 0 && s->word_count == 0)
		printf("%s%-16s %10s %8s %8s %8s %8s%s\n", ctl_term_colour(&t, CTL_BOLD), "operation", "calls", "mean", "50%<=", "99%<=", "all<=",
		       ctl_term_colour(&t, CTL_PLAIN));
	for (size_t i = 0; i < sample.ops && err == 0; i++) {
		const struct ctl_op *op = &sample.op[i];

		if (!is_named(s, op->name))
			continue;
		if (s->json)
			print_json(op, between);
		else if (s->word_count > 0)
			print_buckets(op, &t);
		else
			print_row(op, &t);
		between = ",";
	}
	if (err == 0 && s->json)
		puts("}");
	ctl_sample_fini(&sample);
	return ctl_show_end(err);
}
