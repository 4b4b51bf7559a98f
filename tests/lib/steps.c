/* steps.c -- see steps.h. */
#include "tests/lib/steps.h"
#include "tests/lib/disk_fault.h"

#include <stdlib.h>
#include <time.h>

enum { TURNS_MAX = 200000, TURNS_AT_ONCE_MAX = 1000 };

static uint64_t draw(struct steps *s, uint64_t n)
{
	uint64_t z = s->random += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % n;
}

void steps_init(struct steps *s, struct disk_fault *f, uint64_t seed, int64_t first_ns)
{
	*s = (struct steps){ .f = f, .random = seed, .owner = pthread_self() };
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->cond, NULL);
	f->gate = s;
	atomic_store(&f->now_ns, first_ns);
	atomic_store(&f->monotonic_ns, SECOND_NS);
}

void steps_fini(struct steps *s)
{
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->cond);
}

static void *nothing(void *arg)
{
	return arg;
}

int steps_start(struct steps *s, struct persist *p)
{
	s->p = p;
	s->next_ns = atomic_load(&s->f->monotonic_ns);
	p->has_thread = true;
	return -pthread_create(&p->thread, NULL, nothing, NULL);
}

/* ---- the saving thread ---- */

static void nap_locked(struct steps *s)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += 50000;
	t.tv_sec += t.tv_nsec / SECOND_NS;
	t.tv_nsec %= SECOND_NS;
	pthread_cond_timedwait(&s->cond, &s->lock, &t);
}

void steps_wait_turn(struct steps *s)
{
	if (pthread_equal(pthread_self(), s->owner))
		return;
	pthread_mutex_lock(&s->lock);
	s->waiting = true;
	pthread_cond_broadcast(&s->cond);
	while (!s->turn && !atomic_load(&s->p->job.abort))
		nap_locked(s);
	s->turn = s->waiting = false;
	pthread_mutex_unlock(&s->lock);
}

static bool saver_is_on(struct steps *s)
{
	return s->p->job.kind && s->p->job.has_thread && !atomic_load(&s->p->job.finished);
}

static void settle_locked(struct steps *s)
{
	while (!s->waiting && saver_is_on(s))
		nap_locked(s);
}

/* One call to the disk, and what follows up to the next or to its end. */
static void saver_turn(struct steps *s)
{
	pthread_mutex_lock(&s->lock);
	settle_locked(s);
	if (s->waiting) {
		s->turn = true;
		s->waiting = false;
		pthread_cond_broadcast(&s->cond);
		settle_locked(s);
	}
	pthread_mutex_unlock(&s->lock);
}

/* ---- turns ---- */

static int64_t now(const struct steps *s)
{
	return atomic_load(&s->f->monotonic_ns);
}

/* The expirer's turn; monotonic: when it wants to come again. */
static int64_t expirer_turn(struct steps *s)
{
	bool due = keyspace_next_expiry(s->p->ks) <= atomic_load(&s->f->now_ns) / 1000000;

	if (due && s->before_expiry)
		s->before_expiry(s->ctx);
	int n = expirer_round(&s->p->expirer, 1);     /* each is an operation, and a death may come between two */
	int64_t at_ms = keyspace_next_expiry(s->p->ks);

	if (n < 0)
		return now(s) + TICK_NS;
	return at_ms == INT64_MAX ? at_ms : now(s) + at_ms * 1000000 - atomic_load(&s->f->now_ns);
}

static void log_turn(struct steps *s)
{
	int64_t expirer_next_ns = expirer_turn(s);

	s->next_ns = engine_step(s->p);
	if (expirer_next_ns < s->next_ns)
		s->next_ns = expirer_next_ns;
	s->at_once = s->next_ns <= now(s) ? s->at_once + 1 : 0;
	if (s->at_once > TURNS_AT_ONCE_MAX && !saver_is_on(s))
		abort();     /* it spins: nothing happens, and it wants to come again at once */
	if (s->on_turn)
		s->on_turn(s->ctx);
}

int64_t steps_pass(struct steps *s, int64_t ns)
{
	atomic_fetch_add(&s->f->monotonic_ns, ns);
	return atomic_fetch_add(&s->f->now_ns, ns) + ns;
}

/* As the engine's own thread: it sleeps long only while nothing changes. */
static bool is_due(const struct steps *s)
{
	return s->next_ns <= now(s) || s->next_ns - now(s) > TICK_NS;
}

void steps_some(struct steps *s)
{
	if (is_due(s) || draw(s, 3) == 0)
		log_turn(s);
	for (uint64_t n = draw(s, 4); n && saver_is_on(s); n--)
		saver_turn(s);
}

/* To the next moment when something is due, or to END. */
static void wait_for_more(struct steps *s, int64_t end)
{
	if (saver_is_on(s) && draw(s, 2))
		saver_turn(s);
	else if (s->next_ns > now(s))
		steps_pass(s, (s->next_ns < end ? s->next_ns : end) - now(s));
}

void steps_live(struct steps *s, int64_t ns)
{
	int64_t end = now(s) + ns;

	log_turn(s);
	while (now(s) < end && !atomic_load(&s->f->stopped)) {
		wait_for_more(s, end);
		if (s->next_ns <= now(s))
			log_turn(s);
	}
}

void steps_until(struct steps *s, const _Atomic int *done)
{
	for (int i = 0; i < TURNS_MAX; i++) {
		log_turn(s);
		if (atomic_load(done))
			return;
		wait_for_more(s, now(s) + TICK_NS);
	}
	abort();     /* never answered */
}

void steps_until_no_job(struct steps *s)
{
	for (int i = 0; i < TURNS_MAX; i++) {
		log_turn(s);
		if (!s->p->job.kind && !s->p->want_save && !s->p->want_rewrite && !s->p->save_scheduled && !s->p->rewrite_scheduled)
			return;
		wait_for_more(s, now(s) + TICK_NS);
	}
	abort();     /* never ends */
}
