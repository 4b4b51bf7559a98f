/* expirer.c -- see expirer.h. */
#include "persist/expirer.h"

#include <time.h>

enum {
	PAUSE_FACTOR = 3,
	PAUSE_MAX_NS = 5 * 1000 * 1000,         /* a round that had to wait long for S does not mean a long one */
	BEHIND_NS = 1000 * 1000,
	REFUSED_NS = 100 * 1000 * 1000,         /* the journal takes nothing: again then */
};

static const int64_t second_ns = 1000000000, day_ms = 86400000;

static int64_t now_ms(const struct expirer *x)
{
	return x->disk->now_ns(x->disk->ctx) / 1000000;
}

void expirer_init(struct expirer *x, struct keyspace *ks, const struct persist_port *port, const struct disk *disk,
                  bool (*is_behind)(void *ctx), void *ctx)
{
	*x = (struct expirer){ .ks = ks, .port = port, .disk = disk, .is_behind = is_behind, .ctx = ctx };
	atomic_init(&x->wake_at_ms, INT64_MIN);
	pthread_mutex_init(&x->lock, NULL);
	pthread_cond_init(&x->wake, NULL);
}

void expirer_fini(struct expirer *x)
{
	pthread_cond_destroy(&x->wake);
	pthread_mutex_destroy(&x->lock);
}

/* Without S for so long, unless it is told to stop. */
static void pause_for(struct expirer *x, int64_t ns)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ns;
	until.tv_sec += until.tv_nsec / second_ns;
	until.tv_nsec %= second_ns;
	pthread_mutex_lock(&x->lock);
	while (!x->stop && pthread_cond_clockwait(&x->wake, &x->lock, CLOCK_MONOTONIC, &until) == 0)
		;
	pthread_mutex_unlock(&x->lock);
}

/* So long by the wall clock, at most a day at a time. */
static struct timespec wall_clock_in(int64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	ms = ms < day_ms ? ms : day_ms;
	t.tv_nsec += ms % 1000 * 1000000;
	t.tv_sec += ms / 1000 + t.tv_nsec / second_ns;
	t.tv_nsec %= second_ns;
	return t;
}

/* Until the next expiry, or until one is noted that comes before it. */
static void sleep_until(struct expirer *x, int64_t at_ms)
{
	struct timespec until = wall_clock_in(at_ms - now_ms(x));

	pthread_mutex_lock(&x->lock);
	/* One that was noted since AT_MS was read saw the thread awake, and left a note. */
	atomic_store(&x->wake_at_ms, at_ms);
	while (!x->stop && !x->noted) {
		if (at_ms == INT64_MAX)
			pthread_cond_wait(&x->wake, &x->lock);
		else if (pthread_cond_clockwait(&x->wake, &x->lock, CLOCK_REALTIME, &until) != 0)
			break;
	}
	atomic_store(&x->wake_at_ms, INT64_MIN);
	x->noted = false;
	pthread_mutex_unlock(&x->lock);
}

void expirer_note(struct expirer *x, int64_t at_ms)
{
	int64_t wake_at_ms = atomic_load(&x->wake_at_ms);

	if (wake_at_ms != INT64_MIN && at_ms >= wake_at_ms)
		return;
	pthread_mutex_lock(&x->lock);
	x->noted = true;
	pthread_cond_signal(&x->wake);
	pthread_mutex_unlock(&x->lock);
}

int expirer_round(struct expirer *x, int max)
{
	struct op op = { .now_ns = x->disk->now_ns(x->disk->ctx) };
	int n = keyspace_expire_due(x->ks, &op, max, x->gone);

	for (int i = 0; i < n; i++)
		x->port->gone(x->port->ctx, &x->gone[i]);
	if (n > 0)
		atomic_fetch_add(&x->expired, (uint64_t)n);
	return n;
}

static void round_and_pause(struct expirer *x)
{
	int64_t begun = x->disk->monotonic_ns(x->disk->ctx);
	int n = expirer_round(x, EXPIRER_BATCH);
	int64_t pause_ns = (x->disk->monotonic_ns(x->disk->ctx) - begun) * PAUSE_FACTOR;

	if (n < 0)
		pause_for(x, REFUSED_NS);
	else if (n == EXPIRER_BATCH)
		pause_for(x, pause_ns < PAUSE_MAX_NS ? pause_ns : PAUSE_MAX_NS);
}

static bool is_stopped(struct expirer *x)
{
	pthread_mutex_lock(&x->lock);
	bool stop = x->stop;
	pthread_mutex_unlock(&x->lock);
	return stop;
}

static void *expirer_main(void *arg)
{
	struct expirer *x = arg;

	while (!is_stopped(x)) {
		int64_t at_ms = keyspace_next_expiry(x->ks);

		if (at_ms > now_ms(x))
			sleep_until(x, at_ms);
		else if (x->is_behind(x->ctx))
			pause_for(x, BEHIND_NS);
		else
			round_and_pause(x);
	}
	return NULL;
}

int expirer_start(struct expirer *x)
{
	int err = pthread_create(&x->thread, NULL, expirer_main, x);

	x->running = err == 0;
	return -err;
}

void expirer_stop(struct expirer *x)
{
	if (!x->running)
		return;
	pthread_mutex_lock(&x->lock);
	x->stop = true;
	pthread_cond_signal(&x->wake);
	pthread_mutex_unlock(&x->lock);
	pthread_join(x->thread, NULL);
	x->running = false;
}
