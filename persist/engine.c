/* engine.c -- the log thread: journal to file, syncs, parked replies; jobs.c does the rest of its work.  See engine.h. */
#include "persist/engine.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static const int64_t wait_max_ns = 3600ll * SECOND_NS;

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

	if (p->save_failed && p->rules.count && p->config.stop_writes_on_bgsave_error)
		refuse = EROFS;
	if (log_is_lost(p))
		refuse = EROFS;
	if (p->log_health == LOG_WRITE_FAILED)
		refuse = p->write_errno;
	atomic_store(&p->refuse, refuse);
}

void engine_take_config(struct persist *p)
{
	pthread_mutex_lock(&p->lock);
	if (p->has_wanted) {
		const struct persist_config *w = &p->wanted;
		struct persist_config *c = &p->config;
		c->appendonly = w->appendonly;
		c->no_appendfsync_on_rewrite = w->no_appendfsync_on_rewrite;
		c->rdbcompression = w->rdbcompression;
		c->rdb_save_incremental_fsync = w->rdb_save_incremental_fsync;
		c->aof_use_rdb_preamble = w->aof_use_rdb_preamble;
		c->auto_aof_rewrite_percentage = w->auto_aof_rewrite_percentage;
		c->auto_aof_rewrite_min_size = w->auto_aof_rewrite_min_size;
		c->aof_rewrite_incremental_fsync = w->aof_rewrite_incremental_fsync;
		c->shutdown_timeout_s = w->shutdown_timeout_s;
		c->rdb_key_save_delay_us = w->rdb_key_save_delay_us;
		p->has_wanted = false;
	}
	pthread_mutex_unlock(&p->lock);
}

void engine_log_is_good(struct persist *p, uint64_t upto)
{
	atomic_store(&p->durable, upto);
	pthread_mutex_lock(&p->lock);
	p->log_health = LOG_OK;
	p->info.aof_last_write_ok = true;
	engine_update_refuse_locked(p);
	pthread_mutex_unlock(&p->lock);
	complete_waiters(p);
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

	if (atomic_load(&p->mode) == LOG_STARTING) {
		jobs_abort(p, err);
		return;
	}
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
	journal_set_unsure(p->journal, true);
	set_health(p, LOG_SYNC_FAILED, 0);
	p->retry_ns = monotonic(p);
	/* A rewrite whose log has been switched has a base that lacks what this file holds. */
	if (p->job.kind == SAVE_BASE && !p->switch_at)
		jobs_abort(p, err);
	engine_fail_waiters(p, -EROFS);
}

/* Somebody moved or removed what is written to. */
static void log_vanished(struct persist *p)
{
	engine_log(p, PERSIST_ERROR, places_dir_is_there(p) ? "the log in %s/%s is not there any more: changes are refused with EROFS until a new base and a "
	                                                      "new log are"
	                                                    : "the data directory %s is not there any more, and %s in it: changes are refused with "
	                                                      "EROFS until it is back",
	           p->config.dir, p->config.appenddirname);
	set_health(p, LOG_VANISHED, 0);
	p->retry_ns = monotonic(p);
	if (p->job.kind == SAVE_BASE)
		jobs_abort(p, -ENOENT);
	engine_fail_waiters(p, -EROFS);
}

/* Each second while there is something to write or to sync. */
static void look_at_places(struct persist *p, int64_t now)
{
	if (atomic_load(&p->mode) != LOG_ON || p->log_health != LOG_OK || now - p->last_look_ns < SECOND_NS)
		return;
	if (journal_published(p->journal) == atomic_load(&p->durable))
		return;
	p->last_look_ns = now;
	if (!journal_still_there(p->journal))
		engine_log(p, PERSIST_WARNING, "the shared journal %s/%s is not there any more: replies wait for the log file instead",
		           p->config.journal_dir, journal_name(p->journal));
	if (!places_log_is_there(p))
		log_vanished(p);
}

/* ---- the log file ---- */

/* The sync that begin_sync() spoke of has ended, ERR. */
static void sync_ended(struct persist *p, int err)
{
	atomic_store(&p->syncing, false);
	if (err && p->log_health == LOG_VANISHED) {
		/* It will not do even when it comes back: only a new one in the directory that is there then. */
		journal_set_unsure(p->journal, true);
		aof_close(&p->log);
		return;
	}
	if (err) {
		sync_failed(p, err);
		return;
	}
	if (p->sync_upto > atomic_load(&p->durable))
		atomic_store(&p->durable, p->sync_upto);
	if (monotonic(p) - p->last_sync_ns > SECOND_NS) {
		pthread_mutex_lock(&p->lock);
		p->info.aof_delayed_fsync++;
		pthread_mutex_unlock(&p->lock);
	}
}

static void begin_sync(struct persist *p)
{
	atomic_store(&p->syncing, true);
	p->sync_upto = journal_consumed(p->journal);
	p->last_sync_ns = monotonic(p);
}

/* What came of a sync beside; WAIT: also of one that still runs. */
static void take_sync(struct persist *p, bool wait)
{
	int err;

	if (!atomic_load(&p->syncing))
		return;
	if (wait ? syncer_wait(&p->syncer, &err) : syncer_poll(&p->syncer, &err))
		sync_ended(p, err);
	else if (!syncer_is_busy(&p->syncer))
		atomic_store(&p->syncing, false);     /* its file was given up (aof_sync_begin()) */
}

static void sync_log(struct persist *p)
{
	take_sync(p, true);
	if (log_is_lost(p))
		return;
	begin_sync(p);
	sync_ended(p, aof_sync(&p->log));
}

/* The sync of each second, unless the last one still runs: whoever writes meanwhile need not wait for it. */
static void sync_log_beside(struct persist *p)
{
	if (atomic_load(&p->syncing))
		return;
	begin_sync(p);
	if (!aof_sync_begin(&p->log))
		sync_ended(p, aof_sync(&p->log));
}

/* The place where the next incr begins is reached. */
static void switch_log(struct persist *p)
{
	sync_log(p);
	if (log_is_lost(p))
		return;
	p->switch_at = 0;
	int err = aof_switch(&p->log, true);
	if (p->log.unsure)
		sync_failed(p, err);
	else
		jobs_switched(p, err);
}

void engine_write_journal(struct persist *p)
{
	/* Whoever goes on meanwhile must not keep the log from being synced. */
	const uint64_t upto = journal_published(p->journal);
	const char *data;
	size_t len;

	p->write_due_ns = 0;
	for (;;) {
		if (p->switch_at && journal_consumed(p->journal) == p->switch_at)
			switch_log(p);
		if (log_is_lost(p))
			return;
		len = journal_peek(p->journal, p->switch_at && p->switch_at < upto ? p->switch_at : upto, &data);
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
	/* What the log has counts when its base is there, and is synced then. */
	bool starting = atomic_load(&p->mode) == LOG_STARTING;
	bool paused = p->config.no_appendfsync_on_rewrite && p->job.kind;
	atomic_store(&p->policy_paused, paused);
	enum fsync_policy policy = starting || paused ? FSYNC_NO : (enum fsync_policy)atomic_load(&p->fsync_policy);

	look_at_places(p, now);
	if (log_is_lost(p)) {
		engine_fail_waiters(p, -EROFS);     /* jobs.c renews the log */
		return;
	}
	if (p->log_health == LOG_WRITE_FAILED && now < p->retry_ns) {
		at_most(next, p->retry_ns);
		return;
	}
	bool syncing = atomic_load(&p->syncing);
	p->sync_late = syncing && now - p->last_sync_ns >= SYNC_LATE_S * (int64_t)SECOND_NS;
	if (p->sync_late)
		return;
	if (syncing)
		at_most(next, p->last_sync_ns + SYNC_LATE_S * (int64_t)SECOND_NS);
	/* One sync answers all who wait.  Who had an answer from the last one comes back too late for this: two groups take turns, and one's way
	 * through the kernel hides behind the other's sync (measured: 8 writers that wait for each other are a third slower). */
	struct wanted waited = what_is_waited_for(p);
	uint64_t pending = journal_published(p->journal) - journal_consumed(p->journal);
	uint64_t unsynced = journal_published(p->journal) - atomic_load(&p->durable);
	bool sync_now = policy == FSYNC_ALWAYS || (waited.durable && !starting && !syncing);
	/* A disk that has to take what a second brought all at once takes long for it. */
	bool much = journal_published(p->journal) - p->sync_upto >= SYNC_AHEAD;
	bool sync = sync_now || (policy == FSYNC_EVERYSEC && (much || now - p->last_sync_ns >= SECOND_NS));
	if (pending && !p->write_due_ns)
		p->write_due_ns = now + WRITE_DELAY_NS;
	bool write = sync || waited.any || p->switch_at || p->log_health == LOG_WRITE_FAILED || now >= p->write_due_ns;
	if (pending && (write || pending >= journal_ring_size(p->journal) / 2))
		engine_write_journal(p);
	else if (pending)
		at_most(next, p->write_due_ns);
	if (p->switch_at && !pending)
		engine_write_journal(p);
	if (p->log_health == LOG_OK && unsynced && sync_now)
		sync_log(p);
	else if (p->log_health == LOG_OK && unsynced && sync)
		sync_log_beside(p);
	else if (unsynced && policy == FSYNC_EVERYSEC)
		at_most(next, p->last_sync_ns + SECOND_NS);
	if (p->log_health != LOG_OK)
		at_most(next, p->retry_ns);
}

int engine_drain(struct persist *p)
{
	take_sync(p, true);
	if (!log_is_lost(p))
		engine_write_journal(p);
	if (p->log_health == LOG_OK)
		sync_log(p);
	if (p->log_health == LOG_OK) {
		complete_waiters(p);
		return 0;
	}
	int err = log_is_lost(p) ? -EROFS : -p->write_errno;
	engine_fail_waiters(p, err);
	return err;
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

void engine_publish_counters(struct persist *p)
{
	atomic_store(&p->log_size, aof_total_size(&p->log));
	atomic_store(&p->log_base_size, p->log.rewrite_base_size);
	atomic_store(&p->log_writes, p->log.writes);
	atomic_store(&p->log_syncs, p->log.syncs);
}

int64_t engine_step(struct persist *p)
{
	int64_t now = monotonic(p), next = INT64_MAX;
	uint64_t dirty = atomic_load(&p->dirty);

	engine_take_config(p);
	take_sync(p, false);
	p->sync_late = false;
	if (!p->config.appendonly && atomic_load(&p->mode) != LOG_OFF)
		switch_off(p);
	if (atomic_load(&p->mode) != LOG_OFF)
		held_step(p, now, &next);
	jobs_step(p, now, &next);
	bool job = p->job.kind;
	if (atomic_load(&p->mode) != LOG_OFF)
		journal_step(p, now, &next);
	engine_publish_counters(p);     /* who has an answer sees what it took */
	if (p->journal)
		complete_waiters(p);
	/* What the journal's turn did to the job is for the next round: to end it, or to begin what waited for its end. */
	if (jobs_can_end(p) || (job && !p->job.kind))
		at_most(&next, now);
	if (dirty != p->seen_dirty)
		at_most(&next, now + TICK_NS);
	p->seen_dirty = dirty;
	return next;
}

/* NS: of the port's clock, which may be a test's. */
static void wait_for(struct persist *p, int64_t ns)
{
	int64_t until = disk_real()->monotonic_ns(NULL) + (ns < wait_max_ns ? ns : wait_max_ns);
	struct timespec t = { .tv_sec = until / SECOND_NS, .tv_nsec = until % SECOND_NS };

	pthread_cond_timedwait(&p->wake, &p->lock, &t);
}

void *engine_thread(void *arg)
{
	struct persist *p = arg;

	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		p->kicked = false;
		pthread_mutex_unlock(&p->lock);
		int64_t next = engine_step(p);
		int64_t now = monotonic(p);
		pthread_mutex_lock(&p->lock);
		if (p->stop || p->kicked || next <= now)
			continue;
		/* Say first what would wake us, then look once more: a change in between sees it or is seen. */
		uint64_t wake_at = UINT64_MAX;
		if (p->journal && journal_ring_size(p->journal) && !p->sync_late)
			wake_at = journal_consumed(p->journal) + journal_ring_size(p->journal) / 2;
		bool idle = next - now > TICK_NS && !p->sync_late;
		atomic_store(&p->wake_at, wake_at);
		atomic_store(&p->idle, idle);
		if (!(idle && atomic_load(&p->dirty) != p->seen_dirty) && !(p->journal && journal_published(p->journal) >= wake_at))
			wait_for(p, next - now);
		atomic_store(&p->idle, false);
		atomic_store(&p->wake_at, UINT64_MAX);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}
