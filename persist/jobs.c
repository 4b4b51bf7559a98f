/* jobs.c -- when a snapshot or a rewrite begins, and what follows when it ends.  See engine.h.
 *
 * One runs at a time.  A rewrite: at the cut the journal gets an OPEN batch; what stands before it goes to the old incr, what follows to the
 * next (aof_switch); the base of the cut is published when it is complete and the switch is done.  After a failed sync of the log the same
 * walk renews it: the old incr is never touched again, so nothing is switched until the new base is complete.                              */
#include "persist/engine.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int64_t now_s(struct persist *p)
{
	return p->disk->now_ns(p->disk->ctx) / SECOND_NS;
}

static void at_most(int64_t *next, int64_t t)
{
	if (t < *next)
		*next = t;
}

static void on_finished(void *ctx)
{
	engine_kick(ctx);
}

/* ---- begin ---- */

static bool log_is_off(struct persist *p)
{
	return atomic_load(&p->mode) == LOG_OFF;
}

static int prepare(struct persist *p, enum save_kind kind)
{
	struct save *s = &p->job;

	*s = (struct save){ .disk = p->disk, .ks = p->ks, .dir_fd = p->dir_fd, .name = p->config.dbfilename,
		            .key_delay_us = p->config.rdb_key_save_delay_us, .begun_ns = p->disk->monotonic_ns(p->disk->ctx),
		            .on_finished = on_finished, .ctx = p };
	s->rdb = (struct rdb_options){ .compress = p->config.rdbcompression, .checksum = p->config.rdbchecksum,
		                       .is_aof_base = kind == SAVE_BASE, .origin = { .lineage = p->encoder.lineage, .parent = p->parent, .parent_seq = p->parent_seq },
		                       .db = p->encoder.db,
		                       .now_ns = p->disk->now_ns(p->disk->ctx) };
	s->incremental = kind == SAVE_BASE ? p->config.aof_rewrite_incremental_fsync : p->config.rdb_save_incremental_fsync;
	if (kind == SAVE_BASE) {
		int err = 0;
		if (log_is_off(p) && p->has_thread)
			err = switch_prepare(p);
		else if (p->log_health == LOG_VANISHED)
			err = places_reopen_log(p);
		if (err)
			return err;
		s->dir_fd = p->log.dir_fd;
		s->as_commands = !p->config.aof_use_rdb_preamble;
		p->log.base_suffix = s->as_commands ? ".base.aof" : ".base.rdb";
		return aof_base_temp_name(&p->log, &s->temp);
	}
	if (!places_dir_is_there(p))
		return -ENOENT;
	int err = bytes_addf(&s->temp, "temp-%d.rdb", (int)getpid());
	return err ? err : bytes_add(&s->temp, "", 1);
}

/* Takes the cut.  What was held back belongs to the snapshot, so it goes to the log before it. */
static int cut(struct persist *p, enum save_kind kind)
{
	struct save *s = &p->job;
	int err = 0;

	keyspace_lock(p->ks);
	if (!log_is_off(p))
		err = encode_flush(&p->encoder, 0);
	s->rdb.origin.seq = p->encoder.seq;
	s->dirty = atomic_load(&p->dirty);
	if (!err)
		err = save_begin_locked(s);
	if (!err && kind == SAVE_BASE && log_is_off(p) && p->has_thread) {
		err = switch_start_locked(p, s->rdb.now_ns);
	} else if (!err && kind == SAVE_BASE && p->has_thread) {
		uint64_t at = journal_published(p->journal);
		err = encode_open(&p->encoder, s->rdb.now_ns);    /* the next incr can't begin without it */
		if (!err)
			p->switch_at = at;
	}
	keyspace_unlock(p->ks);
	return err;
}

static void set_running(struct persist *p, enum save_kind kind)
{
	pthread_mutex_lock(&p->lock);
	p->running = kind;
	p->starting = SAVE_NONE;
	pthread_mutex_unlock(&p->lock);
}

/* Whoever asks from here on asks for the next one.  Returns those who wait for this one's moment. */
static struct persist_waiter *set_starting(struct persist *p, enum save_kind kind)
{
	pthread_mutex_lock(&p->lock);
	struct persist_waiter *waiters = p->cut_waiters[kind];
	p->cut_waiters[kind] = NULL;
	p->starting = kind;
	if (kind == SAVE_DUMP)
		p->want_save = p->save_scheduled = false;
	else
		p->want_rewrite = p->rewrite_scheduled = false;
	pthread_mutex_unlock(&p->lock);
	return waiters;
}

static void answer(struct persist_waiter *list, int err)
{
	while (list) {
		struct persist_waiter *next = list->next;
		list->done(list, err);
		list = next;
	}
}

static void ended(struct persist *p, enum save_kind kind, int err);

static void begin(struct persist *p, enum save_kind kind, int64_t now)
{
	if (kind == SAVE_DUMP)
		p->last_try_ns = now;
	if (log_is_lost(p))
		p->retry_ns = now + SECOND_NS;
	struct persist_waiter *waiters = set_starting(p, kind);
	engine_take_config(p);     /* whoever asked for this job may have set something just before */
	int err = prepare(p, kind);
	if (!err)
		err = cut(p, kind);
	if (!err) {
		p->job.kind = kind;
		set_running(p, kind);
		err = save_start(&p->job);
	}
	answer(waiters, err);
	if (err) {
		p->switch_at = 0;
		ended(p, kind, err);
		return;
	}
	engine_log(p, PERSIST_INFO, kind == SAVE_DUMP ? "Background saving started" : "Background append only file rewriting started");
}

/* ---- end ---- */

static void dump_ended(struct persist *p, int err)
{
	struct persist_info *i = &p->info;

	if (err == -ECANCELED)
		return;
	i->rdb_last_bgsave_ok = !err;
	p->save_failed = err < 0;
	engine_update_refuse_locked(p);
	if (err)
		return;
	atomic_fetch_sub(&p->dirty, p->job.dirty);
	p->saved += p->job.dirty;
	i->rdb_last_save_time = now_s(p);
	i->rdb_saves++;
}

static void base_ended(struct persist *p, int err)
{
	struct persist_info *i = &p->info;

	if (err == -ECANCELED)
		return;
	i->aof_last_bgrewrite_ok = !err;
	if (!err) {
		i->aof_rewrites++;
		i->aof_rewrites_consecutive_failures = 0;
		p->rewrite_retry_ns = 0;
		return;
	}
	/* As Redis: from the third failure on wait 1, 2, 4 .. 60 minutes. */
	uint64_t n = ++i->aof_rewrites_consecutive_failures;
	int64_t minutes = n < 3 ? 0 : n - 3 < 6 ? 1 << (n - 3) : 60;
	p->rewrite_retry_ns = p->disk->monotonic_ns(p->disk->ctx) + minutes * 60 * SECOND_NS;
}

/* Frees the job, tells who waits, says so in the log. */
static void ended(struct persist *p, enum save_kind kind, int err)
{
	int64_t took_s = (p->disk->monotonic_ns(p->disk->ctx) - p->job.begun_ns) / SECOND_NS;
	uint64_t peak = 0, keys = p->job.totals.keys, size = p->job.size;
	struct persist_waiter *waiters = NULL;

	if (p->job.snapshot)
		snapshot_memory(p->job.snapshot, &peak);
	engine_publish_counters(p);     /* who sees that it has ended sees what came of it */
	atomic_store(&p->policy_paused, false);     /* ... and has what appendfsync promises again */
	pthread_mutex_lock(&p->lock);
	if (kind == SAVE_DUMP) {
		p->info.rdb_last_cow_size = peak;
		p->info.rdb_last_bgsave_time_sec = took_s;
		p->save_cancelled = err == -ECANCELED;
		dump_ended(p, err);
		waiters = p->save_waiters;
		p->save_waiters = NULL;
	} else {
		p->info.aof_last_cow_size = peak;
		p->info.aof_last_rewrite_time_sec = took_s;
		base_ended(p, err);
	}
	p->starting = p->running = SAVE_NONE;     /* nobody looks into the job from here on */
	pthread_mutex_unlock(&p->lock);
	save_fini(&p->job);
	if (kind == SAVE_BASE && err && atomic_load(&p->mode) != LOG_ON)
		switch_undo(p);
	const char *what = kind == SAVE_DUMP ? "saving" : "append only file rewriting";
	if (err == -ECANCELED)
		engine_log(p, PERSIST_INFO, "Background %s cancelled", what);
	else if (err)
		engine_log(p, PERSIST_WARNING, "Background %s failed: %s", what, strerror(-err));
	else
		engine_log(p, PERSIST_INFO, "Background %s terminated with success: %llu keys, %llu bytes", what, (unsigned long long)keys,
		           (unsigned long long)size);
	answer(waiters, err);
}

/* Everything before UPTO is in the new base. */
static void log_is_renewed(struct persist *p, uint64_t upto)
{
	const char *data;
	size_t len;

	while ((len = journal_peek(p->journal, upto, &data)))
		journal_consume(p->journal, len);
	p->switch_at = 0;
	journal_set_unsure(p->journal, false);
	engine_log_is_good(p, journal_consumed(p->journal));
	engine_log(p, PERSIST_WARNING, "a new base and a new log are on disk: changes are accepted");
}

/* The old incr can't be trusted: the next one is made now, and published with the base. */
static int publish_renewed(struct persist *p)
{
	int err = aof_switch(&p->log, false);
	if (!err)
		err = aof_publish_base(&p->log, p->job.size);
	if (!err)
		log_is_renewed(p, p->switch_at);
	return err;
}

static int publish(struct persist *p)
{
	if (atomic_load(&p->mode) == LOG_STARTING)
		return switch_finish(p, p->job.size);
	return log_is_lost(p) ? publish_renewed(p) : aof_publish_base(&p->log, p->job.size);
}

static void finish(struct persist *p)
{
	enum save_kind kind = p->job.kind;
	int err = p->job.err;

	if (atomic_load(&p->mode) == LOG_STARTING && !err) {
		engine_write_journal(p);     /* when that fails the job is over */
		if (!p->job.kind)
			return;
	}
	if (kind == SAVE_BASE && !err)
		err = publish(p);
	if (kind == SAVE_BASE && err) {
		p->disk->unlink(p->disk->ctx, p->job.dir_fd, p->job.temp.data);
		p->retry_ns = p->disk->monotonic_ns(p->disk->ctx) + SECOND_NS;
		if (log_is_lost(p))
			p->switch_at = 0;
	}
	ended(p, kind, err);
}

void jobs_switched(struct persist *p, int err)
{
	if (!err)
		return;
	engine_log(p, PERSIST_WARNING, "the next log file can't be made: %s", strerror(-err));
	if (p->job.kind == SAVE_BASE)
		jobs_abort(p, err);
}

void jobs_abort(struct persist *p, int why)
{
	enum save_kind kind = p->job.kind;

	if (kind == SAVE_NONE)
		return;
	atomic_store(&p->job.abort, true);
	if (p->job.has_thread) {
		pthread_join(p->job.thread, NULL);
		p->job.has_thread = false;
	}
	if (kind == SAVE_DUMP && !p->job.err) {
		finish(p);     /* it was already done */
		return;
	}
	if (kind == SAVE_BASE)
		p->disk->unlink(p->disk->ctx, p->job.dir_fd, p->job.temp.data);
	p->switch_at = 0;
	ended(p, kind, why);
}

/* ---- when ---- */

/* Redis's rule: enough changes and more than so many seconds since the last save; after a failure not before five more, nor after a cancel. */
static bool rule_is_due(struct persist *p, const struct save_rules *rules, int64_t last_save_s, bool last_ok, int64_t now, int64_t *next)
{
	int64_t dirty = (int64_t)atomic_load(&p->dirty);

	for (int i = 0; i < rules->count; i++) {
		const struct save_rule *r = &rules->rule[i];
		if (dirty < r->changes || dirty == 0)
			continue;
		int64_t wait_s = last_save_s + r->seconds + 1 - now_s(p);
		int64_t at = wait_s > 0 ? now + wait_s * SECOND_NS : now;
		if ((!last_ok || p->save_cancelled) && at < p->last_try_ns + 5ll * SECOND_NS)
			at = p->last_try_ns + 5ll * SECOND_NS;
		if (at <= now)
			return true;
		at_most(next, at);
	}
	return false;
}

static bool rewrite_is_due(struct persist *p, int64_t now, int64_t *next)
{
	uint64_t size = aof_total_size(&p->log), base = p->log.rewrite_base_size ? p->log.rewrite_base_size : 1;
	int64_t percent = p->config.auto_aof_rewrite_percentage;

	if (!percent || size <= p->config.auto_aof_rewrite_min_size || size < base)
		return false;
	if ((size - base) * 100 / base < (uint64_t)percent)
		return false;
	if (now < p->rewrite_retry_ns) {
		at_most(next, p->rewrite_retry_ns);
		return false;
	}
	return true;
}

static enum save_kind what_is_asked(struct persist *p)
{
	enum save_kind kind = SAVE_NONE;

	pthread_mutex_lock(&p->lock);
	if (p->want_save || p->save_scheduled)
		kind = SAVE_DUMP;
	else if (p->want_rewrite || p->rewrite_scheduled)
		kind = SAVE_BASE;
	pthread_mutex_unlock(&p->lock);
	return kind;
}

/* The log vanished.  When all of it is back it goes on; without the data directory there is nothing to do but to look again. */
static bool can_be_renewed(struct persist *p, int64_t now)
{
	bool back = p->log.fd >= 0 && places_log_is_there(p);

	if (!back && places_dir_is_there(p))
		return true;
	if (back) {
		engine_log_is_good(p, atomic_load(&p->durable));
		engine_log(p, PERSIST_WARNING, "the log is back in its place: changes are accepted");
	}
	p->retry_ns = now + SECOND_NS;
	return false;
}

static enum save_kind what_is_due(struct persist *p, int64_t now, int64_t *next)
{
	if (p->log_health == LOG_VANISHED && now >= p->retry_ns && !can_be_renewed(p, now))
		at_most(next, p->log_health == LOG_OK ? now : p->retry_ns);
	else if (log_is_lost(p) && now >= p->retry_ns)
		return SAVE_BASE;
	else if (log_is_lost(p))
		at_most(next, p->retry_ns);
	enum save_kind kind = what_is_asked(p);
	if (kind)
		return kind;
	if (p->config.appendonly && log_is_off(p)) {
		if (now >= p->rewrite_retry_ns)
			return SAVE_BASE;
		at_most(next, p->rewrite_retry_ns);
	}
	pthread_mutex_lock(&p->lock);
	struct save_rules rules = p->rules;
	int64_t last_save_s = p->info.rdb_last_save_time;
	bool last_ok = p->info.rdb_last_bgsave_ok;
	pthread_mutex_unlock(&p->lock);
	if (rule_is_due(p, &rules, last_save_s, last_ok, now, next))
		return SAVE_DUMP;
	return atomic_load(&p->mode) == LOG_ON && p->log_health == LOG_OK && rewrite_is_due(p, now, next) ? SAVE_BASE : SAVE_NONE;
}

bool jobs_can_end(struct persist *p)
{
	if (!p->job.kind || !atomic_load(&p->job.finished))
		return false;
	/* A base can't be published before the log has been switched, unless finish() does that itself. */
	return p->job.kind != SAVE_BASE || !p->switch_at || log_is_lost(p) || p->job.err;
}

/* The thread that writes ends soon, and its file goes; what was not begun is answered here. */
static void cancel(struct persist *p)
{
	struct persist_waiter *waiters = NULL, *cut_waiters = NULL;
	bool runs = p->job.kind == SAVE_DUMP;

	pthread_mutex_lock(&p->lock);
	bool save = p->cancel_save, rewrite = p->cancel_rewrite;
	p->cancel_save = p->cancel_rewrite = false;
	if (save && !runs) {
		p->want_save = p->save_scheduled = false;
		waiters = p->save_waiters;
		cut_waiters = p->cut_waiters[SAVE_DUMP];
		p->save_waiters = p->cut_waiters[SAVE_DUMP] = NULL;
	}
	pthread_mutex_unlock(&p->lock);
	if ((save && runs) || (rewrite && p->job.kind == SAVE_BASE))
		atomic_store(&p->job.abort, true);
	answer(waiters, -ECANCELED);
	answer(cut_waiters, -ECANCELED);
}

void jobs_step(struct persist *p, int64_t now, int64_t *next)
{
	cancel(p);
	if (jobs_can_end(p)) {
		finish(p);
		at_most(next, now);     /* `dirty` has changed: look at everything once more */
	}
	if (p->job.kind)
		return;
	enum save_kind kind = what_is_due(p, now, next);
	if (kind)
		begin(p, kind, now);
	if (kind && !p->job.kind)
		at_most(next, now + SECOND_NS);
}

/* ---- in this thread ---- */

static int run(struct persist *p, enum save_kind kind)
{
	int err = prepare(p, kind);
	if (!err)
		err = cut(p, kind);
	if (!err) {
		p->job.kind = kind;
		set_running(p, kind);
		err = save_run(&p->job);
	}
	return err;
}

int jobs_save_now(struct persist *p)
{
	int err = run(p, SAVE_DUMP);
	ended(p, SAVE_DUMP, err);
	return err;
}

/* A base of all there is, and an empty incr behind it. */
static int new_base(struct persist *p)
{
	int err = aof_switch(&p->log, false);
	if (!err)
		err = run(p, SAVE_BASE);
	if (!err)
		err = aof_publish_base(&p->log, p->job.size);
	if (err && p->job.temp.data)
		p->disk->unlink(p->disk->ctx, p->log.dir_fd, p->job.temp.data);
	set_running(p, SAVE_NONE);
	save_fini(&p->job);
	return err;
}

int jobs_renew_now(struct persist *p)
{
	int err = p->log_health == LOG_VANISHED ? places_reopen_log(p) : 0;
	if (!err)
		err = new_base(p);
	if (err)
		return err;
	log_is_renewed(p, journal_published(p->journal));
	return 0;
}

int jobs_first_base(struct persist *p)
{
	return new_base(p);
}
