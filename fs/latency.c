#include "fs/latency.h"
#include "fs/stats.h"

#include <time.h>

/* libfuse hands a handler nothing but the request, whose inside is its own. */
static _Thread_local struct latency_request current;

void latency_note(struct latency *l, int64_t ns)
{
	uint64_t us = ns > 0 ? ((uint64_t)ns + 999) / 1000 : 0;
	int bucket = us > 1 ? 64 - __builtin_clzll(us - 1) : 0;

	if (bucket >= LATENCY_BUCKETS)
		bucket = LATENCY_BUCKETS - 1;
	atomic_fetch_add_explicit(&l->bucket[bucket], 1, memory_order_relaxed);
	if (ns > 0)
		atomic_fetch_add_explicit(&l->ns, (uint64_t)ns, memory_order_relaxed);
}

void latency_reset(struct latency *l)
{
	for (int i = 0; i < LATENCY_BUCKETS; i++)
		atomic_store_explicit(&l->bucket[i], 0, memory_order_relaxed);
	atomic_store_explicit(&l->ns, 0, memory_order_relaxed);
}

void latency_begin(uint32_t opcode, int64_t taken_ns)
{
	current = (struct latency_request){ .opcode = opcode < STATS_OPCODES ? opcode : 0, .taken_ns = taken_ns };
}

static void count(struct stats *s, const struct latency_request *r, int64_t now_ns)
{
	if (r->taken_ns != 0)
		latency_note(&s->latency[r->opcode], now_ns - r->taken_ns);
}

void latency_end(struct stats *s, int64_t now_ns)
{
	count(s, &current, now_ns);
	current.taken_ns = 0;
}

struct latency_request latency_current(void)
{
	return current;
}

void latency_later(void)
{
	current.taken_ns = 0;
}

void latency_answered(struct stats *s, const struct latency_request *r)
{
	struct timespec t;

	if (r->taken_ns == 0)
		return;
	clock_gettime(CLOCK_MONOTONIC, &t);
	count(s, r, (int64_t)t.tv_sec * 1000000000 + t.tv_nsec);
}
