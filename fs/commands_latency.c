/* commands_latency.c -- LATENCY: how long the kernel's requests take (latency.h), as Redis 7 says it of its commands. */
#include "fs/commands_call.h"
#include "fs/stats.h"

#include <string.h>
#include <strings.h>

static int bulk(struct bytes *out, const char *text)
{
	return resp_reply_bulk(out, text, strlen(text));
}

/* calls, histogram_usec: how many took at most so many us, for each bucket that has some; usec, which Redis has not: their sum. */
static int print_one(struct bytes *out, const struct latency *l)
{
	struct bytes histogram = { 0 };
	uint64_t calls = 0;
	size_t pairs = 0;
	int err = 0;

	for (int i = 0; i < LATENCY_BUCKETS && err == 0; i++) {
		uint64_t n = atomic_load_explicit(&l->bucket[i], memory_order_relaxed);

		if (n == 0)
			continue;
		calls += n;
		pairs++;
		err = resp_reply_int(&histogram, INT64_C(1) << i);
		if (err == 0)
			err = resp_reply_int(&histogram, (int64_t)calls);
	}
	if (err == 0)
		err = resp_reply_array(out, 6);
	if (err == 0)
		err = bulk(out, "calls");
	if (err == 0)
		err = resp_reply_int(out, (int64_t)calls);
	if (err == 0)
		err = bulk(out, "histogram_usec");
	if (err == 0)
		err = resp_reply_array(out, 2 * pairs);
	if (err == 0 && pairs > 0)
		err = bytes_add(out, histogram.data, histogram.len);
	if (err == 0)
		err = bulk(out, "usec");
	if (err == 0)
		err = resp_reply_int(out, (int64_t)(atomic_load_explicit(&l->ns, memory_order_relaxed) / 1000));
	bytes_fini(&histogram);
	return err;
}

/* Named, or had calls if nothing is named. */
static bool is_wanted(const struct call *c, const char *name, const struct latency *l)
{
	for (size_t i = 2; i < c->argc; i++) {
		if (c->argv[i].len == strlen(name) && strncasecmp(c->argv[i].data, name, c->argv[i].len) == 0)
			return true;
	}
	for (int i = 0; i < LATENCY_BUCKETS && c->argc == 2; i++) {
		if (atomic_load_explicit(&l->bucket[i], memory_order_relaxed) > 0)
			return true;
	}
	return false;
}

static int histogram(const struct call *c)
{
	const struct stats *s = c->ce->env->stats;
	struct bytes found = { 0 };
	size_t count = 0;
	int err = 0;

	for (uint32_t op = 0; op < STATS_OPCODES && err == 0; op++) {
		const char *name = stats_opcode_name(op);

		if (name == NULL || !is_wanted(c, name, &s->latency[op]))
			continue;
		err = bulk(&found, name);
		if (err == 0)
			err = print_one(&found, &s->latency[op]);
		count++;
	}
	if (err == 0)
		err = resp_reply_array(c->out, 2 * count);
	if (err == 0 && count > 0)
		err = bytes_add(c->out, found.data, found.len);
	bytes_fini(&found);
	return err;
}

int cmd_latency(const struct call *c)
{
	if (resp_is(&c->argv[1], "HISTOGRAM"))
		return histogram(c);
	return command_error(c, "ERR unknown subcommand '%.*s'. Try LATENCY HELP.", command_shown_len(&c->argv[1]), c->argv[1].data);
}
