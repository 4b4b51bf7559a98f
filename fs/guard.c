#include "fs/guard.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <time.h>

enum {
	CHANGE_COST = 32 << 10,   /* of a change beside its data: the chunk of a value that a snapshot needs, a batch, a reply */
	TRIM_MS = 1000,           /* between two that give memory back */
};

/*  C  constant after new    a  atomic    W  whoever has set `looking`  */
struct guard {
	struct keyspace *ks;               /* C */
	struct log *log;                   /* C */
	struct meminfo_source *source;     /* C */
	uint64_t base;                     /* C  what the process has in memory beside the keyspace */
	_Atomic bool looking;              /* a */
	_Atomic int64_t budget;            /* a  bytes that changes may take until the next look */
	_Atomic int64_t next_ms;           /* a  monotonic: of the next look */
	_Atomic uint64_t system, total, available, margin, held, peak;  /* a  written by W */
	_Atomic bool holds;                /* a  likewise */
	int64_t trimmed_ms;                /* W */
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint64_t margin_of(uint64_t total)
{
	uint64_t margin = total / 16;

	if (margin < GUARD_MARGIN_MIN)
		margin = GUARD_MARGIN_MIN;
	return margin < GUARD_MARGIN_MAX ? margin : GUARD_MARGIN_MAX;
}

/* Bytes that the process has and the keyspace does not use. */
static uint64_t unused(const struct guard *g)
{
	uint64_t resident = meminfo_resident();
	struct usage u;

	keyspace_usage(g->ks, &u);
	uint64_t used = u.bytes_total - u.bytes_idle + g->base;
	return resident > used ? resident - used : 0;
}

/* Once in a while, and only where it is worth the time that it takes. */
static void trim(struct guard *g, struct meminfo *m)
{
	int64_t now = now_ms();

	if (now - g->trimmed_ms < TRIM_MS)
		return;
	g->trimmed_ms = now;
	malloc_trim(0);
	meminfo_read(g->source, m);
}

static void say(struct guard *g, bool holds, const struct meminfo *m, uint64_t margin)
{
	if (holds == g->holds)
		return;
	g->holds = holds;
	if (!holds) {
		log_line(g->log, LOG_LEVEL_NOTICE, "There is memory again: writing goes on");
		return;
	}
	g->held++;
	log_printf(g->log, LOG_LEVEL_WARNING,
	           "Memory is short: %" PRIu64 " of %" PRIu64 " bytes are left, and %" PRIu64 " are not touched: what needs more fails with ENOSPC",
	           m->available, m->total, margin);
}

static void look(struct guard *g)
{
	struct meminfo m;

	meminfo_read(g->source, &m);
	uint64_t margin = margin_of(m.total);
	uint64_t spare = m.available < margin ? unused(g) : 0;
	if (spare > margin) {
		trim(g, &m);
		spare = unused(g);
	}
	/* A little is what threads and their buffers took since the start. */
	if (spare < margin / 8)
		spare = 0;
	int64_t room = (int64_t)(m.available > margin ? m.available - margin : 0);
	/* Over again when there is some more, so that the log does not say it each time that a little comes and goes. */
	if (m.total)
		say(g, room == 0 || (g->holds && (uint64_t)room < margin / 8), &m, margin);
	g->system = m.system;
	g->total = m.total;
	g->available = m.available;
	g->margin = margin;
	g->budget = room ? room : INT64_MAX / 2;     /* where nothing may grow, time alone tells when to look again */
	g->next_ms = now_ms() + (room ? GUARD_LOOK_MS : GUARD_LOOK_SHORT_MS);
	if (m.total == 0)
		room = INT64_MAX;
	else if (m.available < margin / 2)
		room = -1;
	else
		room += (int64_t)(spare / 2);
	uint64_t used = keyspace_set_room(g->ks, room);
	if (used > g->peak)
		g->peak = used;
}

void guard_look(struct guard *g)
{
	if (!g || atomic_exchange(&g->looking, true))
		return;
	look(g);
	atomic_store(&g->looking, false);
}

void guard_change(struct guard *g, uint64_t bytes)
{
	/* Twice: as the value, and on its way to the log. */
	int64_t cost = (int64_t)(bytes * 2 + CHANGE_COST);

	if (g && (atomic_fetch_sub_explicit(&g->budget, cost, memory_order_relaxed) < cost || now_ms() >= g->next_ms))
		guard_look(g);
}

int guard_new(struct keyspace *ks, struct log *log, const char *root, struct guard **ret)
{
	struct guard *g = calloc(1, sizeof(*g));
	int err;

	if (!g)
		return -ENOMEM;
	g->ks = ks;
	g->log = log;
	err = meminfo_open(root, &g->source);
	if (err < 0) {
		free(g);
		return err;
	}
	g->trimmed_ms = -TRIM_MS;
	g->base = unused(g);
	guard_look(g);
	*ret = g;
	return 0;
}

void guard_free(struct guard *g)
{
	if (!g)
		return;
	meminfo_close(g->source);
	free(g);
}

void guard_get_info(struct guard *g, struct guard_info *ret)
{
	*ret = (struct guard_info){ 0 };
	if (g)
		*ret = (struct guard_info){ .memory = { .system = g->system, .total = g->total, .available = g->available },
			                    .margin = g->margin, .holds = g->holds, .held = g->held, .peak = g->peak };
}
