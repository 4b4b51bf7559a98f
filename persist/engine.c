/* engine.c -- the log thread: journal to file, syncs, parked replies, expiry; jobs.c does the rest of its work.  See engine.h. */
#include "persist/engine.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static int64_t monotonic(struct persist *p)
{
	return p->disk->monotonic_ns(p->disk->ctx);
}

static void at_most(int64_t *next, int64_t t)
{
	if (t < *next)
		*next = t;
}

/* ---- parked replies ---- */

static bool is_settled(struct persist *p, const struct persist_waiter *w)
{
	if (w->need == PERSIST_KEPT && journal_kept(p->journal) >= w->seq)
		return true;
	return atomic_load(&p->durable) >= w->seq;
}

static void call_back(struct persist_waiter *list, int err)
{
	while (list) {
		struct persist_waiter *next = list->next;
		list->done(list, err);
		list = next;
	}
}

static void complete_waiters(struct persist *p)
{
	struct persist_waiter *done = NULL, **last = &done;

	pthread_mutex_lock(&p->lock);
	for (struct persist_waiter **link = &p->waiters; *link;) {
		struct persist_waiter *w = *link;
		if (!is_settled(p, w)) {
			link = &w->next;
			continue;
		}
		*link = w->next;
		w->next = NULL;
		*last = w;
		last = &w->next;
	}
	pthread_mutex_unlock(&p->lock);
	call_back(done, 0);
}

void engine_fail_waiters(struct persist *p, int err)
{
	complete_waiters(p);
	pthread_mutex_lock(&p->lock);
	struct persist_waiter *list = p->waiters;
	p->waiters = NULL;
	pthread_mutex_unlock(&p->lock);
	call_back(list, err);
}

/* ---- failure states ---- */

void engine_update_refuse_locked(struct persist *p)
{
	int refuse = 0;

	if (p->save_failed && p->rules.count && p->config->stop_writes_on_bgsave_error)
		refuse = EROFS;
	if (p->log_health == LOG_SYNC_FAILED)
		refuse = EROFS;
	if (p->log_health == LOG_WRITE_FAILED)
		refuse = p->write_errno;
	atomic_store(&p->refuse, refuse);
}

static void set_health(struct persist *p, enum log_health h, int write_errno)
{
	pthread_mutex_lock(&p->lock);
	p->log_health = h;
	p->write_errno = write_errno;
	p->info.aof_last_write_ok = h == LOG_OK;
	engine_update_refuse_locked(p);
	pthread_mutex_unlock(&p->lock);
}

static void write_failed(struct persist *p, int err)
{
	bool space = err == -ENOSPC || err == -EDQUOT;

	if (p->log_health != LOG_WRITE_FAILED)
		engine_log(p, PERSIST_ERROR, "the log can't be written: %s; changes are refused with %s until it can (tried each second)",
		           strerror(-err), space ? "ENOSPC" : "EIO");
	set_health(p, LOG_WRITE_FAILED, space ? ENOSPC : EIO);
	p->retry_ns = monotonic(p) + SECOND_NS;
	engine_fail_waiters(p, space ? -ENOSPC : -EIO);
}

static void sync_failed(struct persist *p, int err)
{
	engine_log(p, PERSIST_ERROR,
	           "fdatasync of the log failed: %s; what it holds on disk is unknown: changes are refused with EROFS until a new base and a new "
	           "log are on disk",
	           strerror(-err));
	set_health(p, LOG_SYNC_FAILED, 0);
	p->retry_ns = monotonic(p);
	/* A rewrite whose log has been switched has a base that lacks what this file holds. */
	if (p->job.kind == SAVE_BASE && !p->switch_at)
		jobs_abort(p);
	engine_fail_waiters(p, -EROFS);
}

/* ---- the log file ---- */

static void sync_log(struct persist *p)
{
	uint64_t upto = journal_consumed(p->journal);
	int64_t begun = monotonic(p);

	int err = aof_sync(&p->log);
	p->last_sync_ns = monotonic(p);
	if (err) {
		sync_failed(p, err);
		return;
	}
	atomic_store(&p->durable, upto);
	if (p->last_sync_ns - begun > SECOND_NS) {
		pthread_mutex_lock(&p->lock);
		p->info.aof_delayed_fsync++;
		pthread_mutex_unlock(&p->lock);
	}
}

/* The place where the next incr begins is reached. */
static void switch_log(struct persist *p)
{
	sync_log(p);
	if (p->log_health == LOG_SYNC_FAILED)
		return;
	p->switch_at = 0;
	int err = aof_switch(&p->log, true);
	if (p->log.unsure)
		sync_failed(p, err);
	else
		jobs_switched(p, err);
}

static void write_journal(struct persist *p)
{
	const char *data;
	size_t len;

	p->write_due_ns = 0;
	for (;;) {
		if (p->switch_at && journal_consumed(p->journal) == p->switch_at)
			switch_log(p);
		if (p->log_health == LOG_SYNC_FAILED)
			return;
		len = journal_peek(p->journal, p->switch_at ? p->switch_at : UINT64_MAX, &data);
		if (!len)
			break;
		int err = aof_append(&p->log, data, len);
		if (err) {
			write_failed(p, err);
			return;
		}
		journal_consume(p->journal, len);
		complete_waiters(p);
	}
	if (p->log_health == LOG_WRITE_FAILED) {
		engine_log(p, PERSIST_WARNING, "the log can be written again: changes are accepted");
		set_health(p, LOG_OK, 0);
	}
}

struct wanted { bool any, durable; };

static struct wanted what_is_waited_for(struct persist *p)
{
	struct wanted w = { 0 };

	pthread_mutex_lock(&p->lock);
	for (const struct persist_waiter *x = p->waiters; x; x = x->next) {
		w.any = true;
		w.durable |= x->need == PERSIST_DURABLE;
	}
	pthread_mutex_unlock(&p->lock);
	return w;
}

static void journal_step(struct persist *p, int64_t now, int64_t *next)
{
	enum fsync_policy policy = (enum fsync_policy)atomic_load(&p->fsync_policy);

	if (p->log_health == LOG_SYNC_FAILED) {
		engine_fail_waiters(p, -EROFS);     /* jobs.c renews the log */
		return;
	}
	if (p->log_health == LOG_WRITE_FAILED && now < p->retry_ns) {
		at_most(next, p->retry_ns);
		return;
	}
	struct wanted waited = what_is_waited_for(p);
	uint64_t pending = journal_published(p->journal) - journal_consumed(p->journal);
	uint64_t unsynced = journal_published(p->journal) - atomic_load(&p->durable);
	bool sync = policy == FSYNC_ALWAYS || waited.durable || (policy == FSYNC_EVERYSEC && now - p->last_sync_ns >= SECOND_NS);
	if (pending && !p->write_due_ns)
		p->write_due_ns = now + WRITE_DELAY_NS;
	if (pending && (sync || waited.any || p->switch_at || now >= p->write_due_ns || pending >= journal_ring_size(p->journal) / 2))
		write_journal(p);
	else if (pending)
		at_most(next, p->write_due_ns);
	if (p->switch_at && !pending)
		write_journal(p);
	if (p->log_health == LOG_OK && unsynced && sync)
		sync_log(p);
	else if (unsynced && policy == FSYNC_EVERYSEC)
		at_most(next, p->last_sync_ns + SECOND_NS);
	if (p->log_health != LOG_OK)
		at_most(next, p->retry_ns);
}

int engine_drain(struct persist *p)
{
	if (p->log_health != LOG_SYNC_FAILED)
		write_journal(p);
	if (p->log_health == LOG_OK)
		sync_log(p);
	if (p->log_health == LOG_OK) {
		complete_waiters(p);
		return 0;
	}
	int err = p->log_health == LOG_SYNC_FAILED ? -EROFS : -p->write_errno;
	engine_fail_waiters(p, err);
	return err;
}

/* ---- expiry ---- */

static void note_gone(void *ctx, uint64_t parent, const char *name, size_t len, uint64_t id)
{
	struct persist *p = ctx;
	struct gone_key *g = &p->gone[p->gone_count++];

	g->parent = parent;
	g->id = id;
	g->len = len;
	memcpy(g->name, name, len);
}

static void expire_step(struct persist *p, int64_t now, int64_t *next)
{
	int64_t now_ns = p->disk->now_ns(p->disk->ctx);
	int64_t at_ms = keyspace_next_expiry(p->ks);

	if (at_ms == INT64_MAX)
		return;
	if (at_ms > now_ns / 1000000) {
		/* At most a minute, should the clock be set. */
		int64_t wait_ms = at_ms - now_ns / 1000000;
		at_most(next, now + (wait_ms < 60000 ? wait_ms : 60000) * 1000000);
		return;
	}
	struct op op = { .now_ns = now_ns };
	p->gone_count = 0;
	int n = keyspace_expire_due(p->ks, &op, GONE_MAX, note_gone, p);
	for (int i = 0; i < p->gone_count; i++)
		p->port.gone(p->port.ctx, p->gone[i].parent, p->gone[i].name, p->gone[i].len, p->gone[i].id);
	if (n > 0) {
		pthread_mutex_lock(&p->lock);
		p->info.expired_keys += (uint64_t)n;
		pthread_mutex_unlock(&p->lock);
	}
	at_most(next, n > 0 ? now : now + TICK_NS);
}

/* ---- the thread ---- */

static void held_step(struct persist *p, int64_t now, int64_t *next)
{
	int64_t now_ns, due_ns;

	keyspace_lock(p->ks);
	/* Read under S: what is held is older, unless the clock was set back. */
	now_ns = p->disk->now_ns(p->disk->ctx);
	int err = encode_flush_old(&p->encoder, now_ns, &due_ns);
	keyspace_unlock(p->ks);
	if (err)
		at_most(next, now + TICK_NS);
	else if (due_ns != INT64_MAX)
		at_most(next, now + (due_ns > now_ns ? due_ns - now_ns : 0));
}

static void publish_counters(struct persist *p)
{
	atomic_store(&p->log_size, aof_total_size(&p->log));
	atomic_store(&p->log_base_size, p->log.rewrite_base_size);
	atomic_store(&p->log_writes, p->log.writes);
	atomic_store(&p->log_syncs, p->log.syncs);
}

/* One round of everything that is due; when to come again. */
static int64_t step(struct persist *p)
{
	int64_t now = monotonic(p), next = INT64_MAX;
	uint64_t dirty = atomic_load(&p->dirty);

	expire_step(p, now, &next);
	if (p->journal)
		held_step(p, now, &next);
	jobs_step(p, now, &next);
	bool job = p->job.kind;
	if (p->journal) {
		journal_step(p, now, &next);
		complete_waiters(p);
		publish_counters(p);
	}
	/* What the journal's turn did to the job is for the next round: to end it, or to begin what waited for its end. */
	if (jobs_can_end(p) || (job && !p->job.kind))
		at_most(&next, now);
	if (dirty != p->seen_dirty)
		at_most(&next, now + TICK_NS);
	p->seen_dirty = dirty;
	return next;
}

static void wait_until(struct persist *p, int64_t next)
{
	struct timespec t = { .tv_sec = next / SECOND_NS, .tv_nsec = next % SECOND_NS };

	if (next == INT64_MAX)
		pthread_cond_wait(&p->wake, &p->lock);
	else
		pthread_cond_timedwait(&p->wake, &p->lock, &t);
}

void *engine_thread(void *arg)
{
	struct persist *p = arg;

	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		p->kicked = false;
		pthread_mutex_unlock(&p->lock);
		int64_t next = step(p);
		int64_t now = monotonic(p);
		pthread_mutex_lock(&p->lock);
		if (p->stop || p->kicked || next <= now)
			continue;
		/* Say first what would wake us, then look once more: a change in between sees it or is seen. */
		uint64_t wake_at = UINT64_MAX;
		if (p->journal && journal_ring_size(p->journal))
			wake_at = journal_consumed(p->journal) + journal_ring_size(p->journal) / 2;
		bool idle = next - now > TICK_NS;
		atomic_store(&p->wake_at, wake_at);
		atomic_store(&p->idle, idle);
		if (!(idle && atomic_load(&p->dirty) != p->seen_dirty) && !(p->journal && journal_published(p->journal) >= wake_at))
			wait_until(p, next);
		atomic_store(&p->idle, false);
		atomic_store(&p->wake_at, UINT64_MAX);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}
