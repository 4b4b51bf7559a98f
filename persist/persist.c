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
	enum log_mode mode = (enum log_mode)atomic_load_explicit(&p->mode, memory_order_relaxed);
	if (mode == LOG_STARTING || mode == LOG_ON) {
		int err = encode_mutation(&p->encoder, m);
		if (err)
			return err;
	} else {
		p->encoder.seq++;     /* so that a snapshot can be told to be newer than a log left behind */
	}
	if (m->kind == MUTATION_EXPIRE && m->expire_at_ms)
		expirer_note(&p->expirer, m->expire_at_ms);
	atomic_fetch_add(&p->dirty, 1);
	/* Once, not by each change until it is awake. */
	if ((atomic_load(&p->idle) && atomic_exchange(&p->idle, false)) || (m->seq && m->seq >= atomic_load(&p->wake_at))) {
		atomic_store(&p->wake_at, UINT64_MAX);
		engine_kick(p);
	}
	return 0;
}

static void take_data(void *ctx, unsigned number, const void *data, size_t len)
{
	struct persist *p = ctx;

	encode_take_data(&p->encoder, number, data, len);
}

/* Nobody waits for the reply to an expiry, so nothing else bounds what the journal has to hold of them when the disk is slow. */
bool engine_is_behind(void *ctx)
{
	struct persist *p = ctx;
	struct journal *j = atomic_load(&p->journal);

	if (p->port.busy && p->port.busy(p->port.ctx))
		return true;
	return atomic_load(&p->mode) == LOG_ON && journal_published(j) - journal_kept(j) > EXPIRE_BEHIND_MAX;
}

void engine_observe(struct persist *p)
{
	struct observer o = { .ctx = p, .record = record, .take_data = take_data };
	keyspace_set_observer(p->ks, &o);
}

/* ---- threads ---- */

int persist_start(struct persist *p, struct error *e)
{
	int syncer_err = syncer_start(&p->syncer);
	if (syncer_err)
		engine_log(p, PERSIST_WARNING, "the thread that syncs the log can't be started: %s; the one that writes it does", strerror(-syncer_err));
	p->has_thread = true;
	int err = -pthread_create(&p->thread, NULL, engine_thread, p);
	if (err) {
		p->has_thread = false;
		return error_set(e, err, "the log thread can't be started: %s", strerror(-err));
	}
	err = expirer_start(&p->expirer);
	return err ? error_set(e, err, "the expirer can't be started: %s", strerror(-err)) : 0;
}

static void stop_threads(struct persist *p)
{
	expirer_stop(&p->expirer);
	if (!p->has_thread)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	p->has_thread = false;
	syncer_stop(&p->syncer);
}

static int finish_log(struct persist *p)
{
	if (atomic_load(&p->mode) == LOG_OFF)
		return p->config.appendonly ? switch_on_now(p) : 0;
	keyspace_lock(p->ks);
	int err = encode_flush(&p->encoder, 0);
	keyspace_unlock(p->ks);
	if (log_is_lost(p))
		jobs_renew_now(p);     /* when that fails, the next line says so */
	int drained = engine_drain(p);
	return err ? err : drained;
}

static int finish_dump(struct persist *p, enum persist_final_save save)
{
	bool dirty = atomic_load(&p->dirty) != 0;

	if (save == FINAL_SAVE_ALWAYS || (save == FINAL_SAVE_BY_RULES && dirty && p->rules.count) || (save == FINAL_SAVE_IF_DIRTY && dirty))
		return jobs_save_now(p);
	return 0;
}

static void say_what_the_log_lacks(struct persist *p, int err)
{
	const char *why = strerror(-err);
	struct journal *j = p->journal;

	if (atomic_load(&p->mode) == LOG_OFF) {
		engine_log(p, PERSIST_ERROR, "appendonly was switched on, and the log could not be begun: %s", why);
		return;
	}
	unsigned long long rest = journal_published(j) - journal_consumed(j);
	if (p->log_health == LOG_VANISHED)
		engine_log(p, PERSIST_ERROR, "the log in %s/%s vanished and could not be written anew: what it got since is lost", p->config.dir,
		           p->config.appenddirname);
	else if (log_is_lost(p))
		engine_log(p, PERSIST_ERROR, "the log could not be synced, nor written anew: what it got since its last sync may be lost in a power cut");
	else if (journal_ring_size(j) && journal_kept(j) == journal_published(j))
		engine_log(p, PERSIST_ERROR,
		           "the log could not be written: %s; the %llu bytes that it lacks are in %s/%s, where the next start finds them: nothing is "
		           "lost unless the machine is restarted before",
		           why, rest, p->config.journal_dir, journal_name(j));
	else
		engine_log(p, PERSIST_ERROR, "the log could not be written: %s; its last %llu bytes are lost", why, rest);
}

static void say_what_is_lost(struct persist *p, int log_err, int dump_err)
{
	if (log_err)
		say_what_the_log_lacks(p, log_err);
	if (!dump_err)
		return;
	if (atomic_load(&p->mode) == LOG_ON && !log_err)
		engine_log(p, PERSIST_ERROR, "the final snapshot could not be written: %s; the log has everything: nothing is lost", strerror(-dump_err));
	else
		engine_log(p, PERSIST_ERROR, "the final snapshot could not be written: %s; %s is the one of before, and lacks %llu changes",
		           strerror(-dump_err), p->config.dbfilename, (unsigned long long)atomic_load(&p->dirty));
}

/* Log and snapshot, until both are there or the time is over. */
static int finish(struct persist *p, enum persist_final_save save, int64_t timeout_ns)
{
	int64_t until = p->disk->monotonic_ns(p->disk->ctx) + timeout_ns;
	const struct timespec pause = { .tv_sec = 1 };
	int log_err = finish_log(p), dump_err = finish_dump(p, save);

	if ((log_err || dump_err) && timeout_ns > 0)
		engine_log(p, PERSIST_WARNING, "not everything could be written: %s; trying again for %lld s", strerror(log_err ? -log_err : -dump_err),
		           (long long)(timeout_ns / SECOND_NS));
	while ((log_err || dump_err) && p->disk->monotonic_ns(p->disk->ctx) < until) {
		nanosleep(&pause, NULL);
		if (log_err)
			log_err = finish_log(p);
		if (dump_err)
			dump_err = finish_dump(p, save);
	}
	say_what_is_lost(p, log_err, dump_err);
	return log_err ? log_err : dump_err;
}

static void fail_all(struct persist_waiter *w)
{
	while (w) {
		struct persist_waiter *next = w->next;
		w->done(w, -ECANCELED);
		w = next;
	}
}

/* Who asked for a job that was never begun. */
static void fail_save_waiters(struct persist *p)
{
	pthread_mutex_lock(&p->lock);
	struct persist_waiter *save = p->save_waiters, *dump_cut = p->cut_waiters[SAVE_DUMP], *base_cut = p->cut_waiters[SAVE_BASE];
	p->save_waiters = p->cut_waiters[SAVE_DUMP] = p->cut_waiters[SAVE_BASE] = NULL;
	pthread_mutex_unlock(&p->lock);
	fail_all(save);
	fail_all(dump_cut);
	fail_all(base_cut);
}

int persist_stop(struct persist *p, enum persist_final_save save, bool try_again)
{
	stop_threads(p);
	jobs_abort(p, -ECANCELED);
	engine_take_config(p);
	int err = finish(p, save, try_again ? p->config.shutdown_timeout_s * SECOND_NS : 0);
	fail_save_waiters(p);
	/* Who still asks how far it is finds no journal from here on.  What the log file lacks stays in the shared journal, for the next start. */
	pthread_mutex_lock(&p->lock);
	struct journal *journal = p->journal;
	atomic_store(&p->journal, NULL);
	pthread_mutex_unlock(&p->lock);
	if (journal)
		journal_close(journal, journal_consumed(journal) == journal_published(journal));
	return err;
}

void persist_close(struct persist *p)
{
	if (!p)
		return;
	struct observer none = { 0 };
	keyspace_set_observer(p->ks, &none);
	stop_threads(p);
	journal_close(p->journal, false);
	aof_close(&p->log);
	syncer_fini(&p->syncer);
	encode_fini(&p->encoder);
	bytes_fini(&p->report);
	if (p->dir_fd >= 0)
		close(p->dir_fd);     /* and with it the lock */
	expirer_fini(&p->expirer);
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
	/* Large writes before it that others are copying to the journal: a matter of microseconds. */
	journal_wait_filled(p->journal, seq);
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
	if (!seq)
		return 0;
	bool always = atomic_load_explicit(&p->fsync_policy, memory_order_relaxed) == FSYNC_ALWAYS &&
	              !atomic_load_explicit(&p->policy_paused, memory_order_relaxed) &&
	              atomic_load_explicit(&p->mode, memory_order_relaxed) != LOG_STARTING;
	return park(p, seq, always ? PERSIST_DURABLE : PERSIST_KEPT, w);
}

int persist_fsync(struct persist *p, uint64_t id, struct persist_waiter *w)
{
	struct attr a;

	if (!p->journal)
		return 0;
	keyspace_lock(p->ks);
	enum log_mode mode = (enum log_mode)atomic_load(&p->mode);
	bool one_file = id && keyspace_stat_locked(p->ks, id, &a) == 0 && S_ISREG(a.mode);
	int err = mode == LOG_ON ? encode_flush(&p->encoder, one_file ? id : 0) : 0;
	uint64_t seq = journal_published(p->journal);
	keyspace_unlock(p->ks);
	if (err || mode == LOG_STARTING)
		return err;
	pthread_mutex_lock(&p->lock);
	if (p->log_health != LOG_OK)
		err = log_is_lost(p) ? -EROFS : -p->write_errno;
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

int persist_save_before_stop(struct persist *p, enum persist_final_save save, struct persist_waiter *w)
{
	int ret = 0;

	pthread_mutex_lock(&p->lock);
	bool due = save == FINAL_SAVE_ALWAYS || (save == FINAL_SAVE_BY_RULES && p->rules.count && atomic_load(&p->dirty));
	if (due && (is_on(p, SAVE_DUMP) || p->want_save)) {
		p->cancel_save = true;
		ret = -EALREADY;
	} else if (due && is_on(p, SAVE_BASE) && atomic_load(&p->mode) == LOG_ON && p->log_health == LOG_OK) {
		p->cancel_rewrite = true;
		ret = -EALREADY;
	} else if (due) {
		w->next = p->save_waiters;
		p->save_waiters = w;
		p->want_save = true;
		ret = 1;
	}
	p->kicked = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	return ret;
}

int64_t persist_shutdown_timeout_s(struct persist *p)
{
	pthread_mutex_lock(&p->lock);
	int64_t s = p->has_wanted ? p->wanted.shutdown_timeout_s : p->config.shutdown_timeout_s;
	pthread_mutex_unlock(&p->lock);
	return s;
}

/* With Q held: asks for WANT now, W waiting for it, or for LATER when the other job runs. */
static int ask(struct persist *p, enum save_kind kind, enum save_kind other, bool *want, bool *later, struct persist_waiter *w)
{
	p->kicked = true;
	pthread_cond_signal(&p->wake);
	if (is_on(p, other)) {
		*later = true;
		return SCHEDULED;
	}
	*want = true;
	if (w) {
		w->next = p->cut_waiters[kind];
		p->cut_waiters[kind] = w;
	}
	return STARTED;
}

int persist_bgsave(struct persist *p, bool schedule, struct persist_waiter *w)
{
	int ret;

	pthread_mutex_lock(&p->lock);
	if (is_on(p, SAVE_DUMP) || p->want_save)
		ret = -EALREADY;
	else if (is_on(p, SAVE_BASE) && !schedule)
		ret = -EBUSY;
	else
		ret = ask(p, SAVE_DUMP, SAVE_BASE, &p->want_save, &p->save_scheduled, w);
	pthread_mutex_unlock(&p->lock);
	return ret;
}

int persist_bgsave_cancel(struct persist *p)
{
	int ret = -ENOENT;

	pthread_mutex_lock(&p->lock);
	if (is_on(p, SAVE_DUMP) || p->want_save) {
		ret = CANCELLED;
		p->cancel_save = true;
		p->kicked = true;
		pthread_cond_signal(&p->wake);
	} else if (p->save_scheduled) {
		ret = UNSCHEDULED;
		p->save_scheduled = false;
	}
	pthread_mutex_unlock(&p->lock);
	return ret;
}

int persist_bgrewriteaof(struct persist *p, struct persist_waiter *w)
{
	int ret;

	pthread_mutex_lock(&p->lock);
	if (!(p->has_wanted ? p->wanted.appendonly : p->config.appendonly))
		ret = -EOPNOTSUPP;
	else if (is_on(p, SAVE_BASE) || p->want_rewrite)
		ret = -EALREADY;
	else
		ret = ask(p, SAVE_BASE, SAVE_DUMP, &p->want_rewrite, &p->rewrite_scheduled, w);
	pthread_mutex_unlock(&p->lock);
	return ret;
}

void persist_set(struct persist *p, const struct persist_config *c)
{
	keyspace_lock(p->ks);
	p->encoder.hold = c->appendfsync != FSYNC_ALWAYS;
	p->encoder.timestamps = c->aof_timestamp_enabled;
	if (atomic_load(&p->mode) != LOG_OFF && !p->encoder.hold)
		encode_flush(&p->encoder, 0);     /* without memory: the log thread does it within a tenth of a second */
	keyspace_unlock(p->ks);
	atomic_store(&p->fsync_policy, c->appendfsync);
	pthread_mutex_lock(&p->lock);
	p->rules = c->save;
	/* At once, not when L comes by; L reads it under Q only. */
	p->config.stop_writes_on_bgsave_error = c->stop_writes_on_bgsave_error;
	engine_update_refuse_locked(p);
	p->wanted = *c;
	p->has_wanted = true;
	p->kicked = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

static const char *state_name(struct persist *p)
{
	switch (p->log_health) {
	case LOG_WRITE_FAILED:
		return "log write failed";
	case LOG_VANISHED:
		return "log vanished";
	case LOG_SYNC_FAILED:
		return "log sync failed";
	case LOG_OK:
		break;
	}
	if (p->save_failed && p->rules.count && p->config.stop_writes_on_bgsave_error)
		return "save failed";
	if (p->config.appendonly && atomic_load(&p->mode) != LOG_ON)
		return p->info.aof_rewrites_consecutive_failures ? "log start failed" : "log starting";
	return "ok";
}

void persist_get_info(struct persist *p, struct persist_info *ret)
{
	pthread_mutex_lock(&p->lock);
	*ret = p->info;
	ret->expired_keys = atomic_load(&p->expirer.expired);
	ret->state = state_name(p);
	ret->rdb_changes_since_last_save = atomic_load(&p->dirty);
	ret->changes = p->saved + ret->rdb_changes_since_last_save;
	ret->rdb_bgsave_scheduled = p->save_scheduled;
	bool to_be_on = p->has_wanted ? p->wanted.appendonly : p->config.appendonly;
	enum log_mode mode = (enum log_mode)atomic_load(&p->mode);
	ret->aof_enabled = mode == LOG_ON || mode == LOG_ENDING;
	ret->aof_rewrite_scheduled = p->rewrite_scheduled || (to_be_on && mode != LOG_ON && !is_on(p, SAVE_BASE));
	ret->rdb_bgsave_in_progress = is_on(p, SAVE_DUMP) || p->want_save;
	ret->aof_rewrite_in_progress = is_on(p, SAVE_BASE) || p->want_rewrite;
	ret->rdb_current_bgsave_time_sec = ret->aof_current_rewrite_time_sec = -1;
	if (p->running) {
		int64_t took_s = (p->disk->monotonic_ns(p->disk->ctx) - p->job.begun_ns) / SECOND_NS;
		*(p->running == SAVE_DUMP ? &ret->rdb_current_bgsave_time_sec : &ret->aof_current_rewrite_time_sec) = took_s;
		ret->current_save_keys_processed = atomic_load(&p->job.processed);
		ret->current_save_keys_total = p->job.totals.nodes;
		ret->snapshot_memory = atomic_load(&p->job.memory);
		ret->snapshot_memory_peak = atomic_load(&p->job.memory_peak);
	}
	if (p->journal) {
		ret->aof_current_size = atomic_load(&p->log_size);
		ret->aof_base_size = atomic_load(&p->log_base_size);
		ret->aof_writes = atomic_load(&p->log_writes) - p->writes_before;
		ret->aof_syncs = atomic_load(&p->log_syncs) - p->syncs_before;
		ret->aof_pending_bio_fsync = atomic_load(&p->syncing);
		ret->seq_published = journal_published(p->journal);
		ret->seq_kept = journal_kept(p->journal);
		ret->seq_written = journal_consumed(p->journal);
		ret->seq_durable = atomic_load(&p->durable);
		ret->aof_buffer_length = ret->seq_published - ret->seq_written;
		ret->journal_size = journal_ring_size(p->journal);
	}
	pthread_mutex_unlock(&p->lock);
}

void persist_reset_stats(struct persist *p)
{
	pthread_mutex_lock(&p->lock);
	p->info.aof_delayed_fsync = p->info.replies_parked = 0;
	atomic_store(&p->expirer.expired, 0);
	p->writes_before = atomic_load(&p->log_writes);
	p->syncs_before = atomic_load(&p->log_syncs);
	pthread_mutex_unlock(&p->lock);
}
