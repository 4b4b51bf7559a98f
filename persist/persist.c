/* persist.c -- life of the engine and the calls from above.  See persist.h and engine.h; start-up is in open.c. */
#include "persist/engine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void engine_log(struct persist *p, enum persist_log_level level, const char *fmt, ...)
{
	struct error line;     /* a bounded buffer that error.h already sizes for a sentence */
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line.text, sizeof line.text, fmt, ap);
	va_end(ap);
	p->port.log(p->port.ctx, level, line.text);
}

void engine_kick(struct persist *p)
{
	pthread_mutex_lock(&p->lock);
	p->kicked = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

/* ---- the observer ---- */

static int record(void *ctx, struct mutation *m)
{
	struct persist *p = ctx;

	if (!m->has_name)
		return 0;      /* nobody will find it after a restart */
	int refuse = atomic_load_explicit(&p->refuse, memory_order_relaxed);
	if (refuse)
		return -refuse;
	if (p->journal) {
		int err = encode_mutation(&p->encoder, m);
		if (err)
			return err;
	}
	atomic_fetch_add(&p->dirty, 1);
	if (atomic_load(&p->idle) || (m->seq && m->seq >= atomic_load(&p->wake_at)) || m->kind == MUTATION_EXPIRE) {
		atomic_store(&p->wake_at, UINT64_MAX);
		engine_kick(p);
	}
	return 0;
}

void engine_observe(struct persist *p)
{
	struct observer o = { .ctx = p, .record = record };
	keyspace_set_observer(p->ks, &o);
}

/* ---- threads ---- */

int persist_start(struct persist *p, struct error *e)
{
	p->has_thread = true;
	int err = -pthread_create(&p->thread, NULL, engine_thread, p);
	if (err) {
		p->has_thread = false;
		return error_set(e, err, "the log thread can't be started: %s", strerror(-err));
	}
	return 0;
}

static void stop_thread(struct persist *p)
{
	if (!p->has_thread)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	p->has_thread = false;
}

static int finish_log(struct persist *p)
{
	keyspace_lock(p->ks);
	int err = encode_flush(&p->encoder, 0);
	keyspace_unlock(p->ks);
	if (p->log_health == LOG_SYNC_FAILED)
		jobs_renew_now(p);     /* when that fails, the next line says so */
	int drained = engine_drain(p);
	if (drained)
		engine_log(p, PERSIST_ERROR, "the log is not complete on disk: %s", strerror(-drained));
	return err ? err : drained;
}

/* Who asked for a snapshot that was never begun. */
static void fail_save_waiters(struct persist *p)
{
	pthread_mutex_lock(&p->lock);
	struct persist_waiter *w = p->save_waiters;
	p->save_waiters = NULL;
	pthread_mutex_unlock(&p->lock);
	while (w) {
		struct persist_waiter *next = w->next;
		w->done(w, -ECANCELED);
		w = next;
	}
}

int persist_stop(struct persist *p, enum persist_final_save save)
{
	int err = 0;

	stop_thread(p);
	jobs_abort(p);
	if (p->journal)
		err = finish_log(p);
	bool by_rules = p->rules.count && atomic_load(&p->dirty);
	if (save == FINAL_SAVE_ALWAYS || (save == FINAL_SAVE_BY_RULES && by_rules)) {
		engine_log(p, PERSIST_INFO, "Saving the final RDB snapshot before exiting.");
		int saved = jobs_save_now(p);
		if (!err)
			err = saved;
	}
	fail_save_waiters(p);
	/* What the log file lacks stays in the shared journal, for the next start. */
	if (p->journal) {
		journal_close(p->journal, journal_consumed(p->journal) == journal_published(p->journal));
		p->journal = NULL;
	}
	return err;
}

void persist_close(struct persist *p)
{
	if (!p)
		return;
	struct observer none = { 0 };
	keyspace_set_observer(p->ks, &none);
	stop_thread(p);
	journal_close(p->journal, false);
	aof_close(&p->log);
	encode_fini(&p->encoder);
	bytes_fini(&p->report);
	if (p->dir_fd >= 0)
		close(p->dir_fd);     /* and with it the lock */
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

const char *persist_load_report(struct persist *p)
{
	return p->report.data ? p->report.data : "";
}

/* ---- waiting ---- */

static bool is_there(struct persist *p, uint64_t seq, enum persist_need need)
{
	return atomic_load(&p->durable) >= seq || (need == PERSIST_KEPT && journal_kept(p->journal) >= seq);
}

/* 0: settled; 1: parked. */
static int park(struct persist *p, uint64_t seq, enum persist_need need, struct persist_waiter *w)
{
	int parked = 0;

	if (is_there(p, seq, need))
		return 0;
	w->seq = seq;
	w->need = need;
	pthread_mutex_lock(&p->lock);
	if (!is_there(p, seq, need)) {
		w->next = p->waiters;
		p->waiters = w;
		p->info.replies_parked++;
		p->kicked = true;
		pthread_cond_signal(&p->wake);
		parked = 1;
	}
	pthread_mutex_unlock(&p->lock);
	return parked;
}

int persist_wait_reply(struct persist *p, uint64_t seq, struct persist_waiter *w)
{
	if (!seq || !p->journal)
		return 0;
	bool always = atomic_load_explicit(&p->fsync_policy, memory_order_relaxed) == FSYNC_ALWAYS;
	return park(p, seq, always ? PERSIST_DURABLE : PERSIST_KEPT, w);
}

int persist_fsync(struct persist *p, uint64_t id, struct persist_waiter *w)
{
	struct attr a;

	if (!p->journal)
		return 0;
	keyspace_lock(p->ks);
	bool one_file = id && keyspace_stat_locked(p->ks, id, &a) == 0 && S_ISREG(a.mode);
	int err = encode_flush(&p->encoder, one_file ? id : 0);
	uint64_t seq = journal_published(p->journal);
	keyspace_unlock(p->ks);
	if (err)
		return err;
	pthread_mutex_lock(&p->lock);
	if (p->log_health != LOG_OK)
		err = p->log_health == LOG_SYNC_FAILED ? -EROFS : -p->write_errno;
	pthread_mutex_unlock(&p->lock);
	if (err && !is_there(p, seq, PERSIST_DURABLE))
		return err;
	return park(p, seq, PERSIST_DURABLE, w);
}

/* ---- commands ---- */

/* With Q held. */
static bool is_on(const struct persist *p, enum save_kind kind)
{
	return p->running == kind || p->starting == kind;
}

int persist_save(struct persist *p, struct persist_waiter *w)
{
	int ret = 1;

	pthread_mutex_lock(&p->lock);
	if (is_on(p, SAVE_DUMP) || p->want_save) {
		ret = -EALREADY;
	} else {
		w->next = p->save_waiters;
		p->save_waiters = w;
		p->want_save = true;
		p->kicked = true;
		pthread_cond_signal(&p->wake);
	}
	pthread_mutex_unlock(&p->lock);
	return ret;
}

/* With Q held: asks for WANT now, or for LATER when the other job runs. */
static int ask(struct persist *p, enum save_kind other, bool *want, bool *later)
{
	p->kicked = true;
	pthread_cond_signal(&p->wake);
	if (is_on(p, other)) {
		*later = true;
		return SCHEDULED;
	}
	*want = true;
	return STARTED;
}

int persist_bgsave(struct persist *p, bool schedule)
{
	int ret;

	pthread_mutex_lock(&p->lock);
	if (is_on(p, SAVE_DUMP) || p->want_save)
		ret = -EALREADY;
	else if (is_on(p, SAVE_BASE) && !schedule)
		ret = -EBUSY;
	else
		ret = ask(p, SAVE_BASE, &p->want_save, &p->save_scheduled);
	pthread_mutex_unlock(&p->lock);
	return ret;
}

int persist_bgrewriteaof(struct persist *p)
{
	int ret;

	if (!p->journal)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&p->lock);
	if (is_on(p, SAVE_BASE) || p->want_rewrite)
		ret = -EALREADY;
	else
		ret = ask(p, SAVE_DUMP, &p->want_rewrite, &p->rewrite_scheduled);
	pthread_mutex_unlock(&p->lock);
	return ret;
}

void persist_set_save(struct persist *p, const struct save_rules *r)
{
	pthread_mutex_lock(&p->lock);
	p->rules = *r;
	engine_update_refuse_locked(p);
	p->kicked = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

void persist_set_appendfsync(struct persist *p, enum fsync_policy f)
{
	keyspace_lock(p->ks);
	p->encoder.hold = f != FSYNC_ALWAYS;
	if (p->journal && !p->encoder.hold)
		encode_flush(&p->encoder, 0);     /* without memory: the log thread does it within a tenth of a second */
	keyspace_unlock(p->ks);
	atomic_store(&p->fsync_policy, f);
	engine_kick(p);
}

static const char *state_name(const struct persist *p)
{
	switch (p->log_health) {
	case LOG_WRITE_FAILED:
		return "log write failed";
	case LOG_SYNC_FAILED:
		return "log sync failed";
	case LOG_OK:
		break;
	}
	return p->save_failed && p->rules.count && p->config->stop_writes_on_bgsave_error ? "save failed" : "ok";
}

void persist_get_info(struct persist *p, struct persist_info *ret)
{
	pthread_mutex_lock(&p->lock);
	*ret = p->info;
	ret->state = state_name(p);
	ret->rdb_changes_since_last_save = atomic_load(&p->dirty);
	ret->rdb_bgsave_scheduled = p->save_scheduled;
	ret->aof_rewrite_scheduled = p->rewrite_scheduled;
	ret->rdb_bgsave_in_progress = is_on(p, SAVE_DUMP) || p->want_save;
	ret->aof_rewrite_in_progress = is_on(p, SAVE_BASE) || p->want_rewrite;
	ret->rdb_current_bgsave_time_sec = ret->aof_current_rewrite_time_sec = -1;
	if (p->running) {
		int64_t took_s = (p->disk->monotonic_ns(p->disk->ctx) - p->job.begun_ns) / SECOND_NS;
		*(p->running == SAVE_DUMP ? &ret->rdb_current_bgsave_time_sec : &ret->aof_current_rewrite_time_sec) = took_s;
		ret->current_save_keys_processed = atomic_load(&p->job.processed);
		ret->current_save_keys_total = p->job.totals.nodes;
		ret->snapshot_memory_peak = atomic_load(&p->job.memory_peak);
		ret->snapshot_memory = ret->snapshot_memory_peak;
	}
	if (p->journal) {
		ret->aof_enabled = true;
		ret->aof_current_size = atomic_load(&p->log_size);
		ret->aof_base_size = atomic_load(&p->log_base_size);
		ret->aof_writes = atomic_load(&p->log_writes);
		ret->aof_syncs = atomic_load(&p->log_syncs);
		ret->seq_published = journal_published(p->journal);
		ret->seq_kept = journal_kept(p->journal);
		ret->seq_written = journal_consumed(p->journal);
		ret->seq_durable = atomic_load(&p->durable);
		ret->aof_buffer_length = ret->seq_published - ret->seq_written;
		ret->journal_size = journal_ring_size(p->journal);
	}
	pthread_mutex_unlock(&p->lock);
}
