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

static int prepare(struct persist *p, enum save_kind kind)
{
	struct save *s = &p->job;

	*s = (struct save){ .disk = p->disk, .ks = p->ks, .dir_fd = p->dir_fd, .name = p->config->dbfilename,
		            .key_delay_us = p->config->rdb_key_save_delay_us, .begun_ns = p->disk->monotonic_ns(p->disk->ctx),
		            .on_finished = on_finished, .ctx = p };
	s->rdb = (struct rdb_options){ .compress = p->config->rdbcompression, .checksum = p->config->rdbchecksum,
		                       .is_aof_base = kind == SAVE_BASE, .lineage = p->encoder.lineage,
		                       .now_ns = p->disk->now_ns(p->disk->ctx) };
	if (kind == SAVE_BASE) {
		s->dir_fd = p->log.dir_fd;
		s->as_commands = !p->config->aof_use_rdb_preamble;
		return aof_base_temp_name(&p->log, &s->temp);
	}
	int err = bytes_addf(&s->temp, "temp-%d.rdb", (int)getpid());
	return err ? err : bytes_add(&s->temp, "", 1);
}

/* Takes the cut.  What was held back belongs to the snapshot, so it goes to the log before it. */
static int cut(struct persist *p, enum save_kind kind)
{
	struct save *s = &p->job;
	int err = 0;

	keyspace_lock(p->ks);
	if (p->journal)
		err = encode_flush(&p->encoder, 0);
	s->rdb.seq = p->encoder.seq;
	s->dirty = atomic_load(&p->dirty);
	if (!err)
		err = save_begin_locked(s);
	if (!err && kind == SAVE_BASE && p->journal && p->has_thread) {
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

/* Whoever asks from here on asks for the next one. */
static void set_starting(struct persist *p, enum save_kind kind)
{
	pthread_mutex_lock(&p->lock);
	p->starting = kind;
	if (kind == SAVE_DUMP)
		p->want_save = p->save_scheduled = false;
	else
		p->want_rewrite = p->rewrite_scheduled = false;
	pthread_mutex_unlock(&p->lock);
}

static void ended(struct persist *p, enum save_kind kind, int err);

static void begin(struct persist *p, enum save_kind kind, int64_t now)
{
	if (kind == SAVE_DUMP)
		p->last_try_ns = now;
	if (p->log_health == LOG_SYNC_FAILED)
		p->retry_ns = now + SECOND_NS;
	set_starting(p, kind);
	int err = prepare(p, kind);
	if (!err)
		err = cut(p, kind);
	if (!err) {
		p->job.kind = kind;
		set_running(p, kind);
		err = save_start(&p->job);
	}
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

	i->rdb_last_bgsave_ok = !err;
	if (err != -ECANCELED)
		p->save_failed = err < 0;
	engine_update_refuse_locked(p);
	if (err)
		return;
	atomic_fetch_sub(&p->dirty, p->job.dirty);
	i->rdb_last_save_time = now_s(p);
	i->rdb_saves++;
}

static void base_ended(struct persist *p, int err)
{
	struct persist_info *i = &p->info;

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
	uint64_t peak = atomic_load(&p->job.memory_peak), keys = p->job.totals.keys, size = p->job.size;
	struct persist_waiter *waiters = NULL;

	pthread_mutex_lock(&p->lock);
	p->info.snapshot_memory_peak = peak;
	if (kind == SAVE_DUMP) {
		p->info.rdb_last_bgsave_time_sec = took_s;
		dump_ended(p, err);
		waiters = p->save_waiters;
		p->save_waiters = NULL;
	} else {
		p->info.aof_last_rewrite_time_sec = took_s;
		base_ended(p, err);
	}
	p->starting = p->running = SAVE_NONE;     /* nobody looks into the job from here on */
	pthread_mutex_unlock(&p->lock);
	save_fini(&p->job);
	const char *what = kind == SAVE_DUMP ? "saving" : "append only file rewriting";
	if (err)
		engine_log(p, PERSIST_WARNING, "Background %s failed: %s", what, strerror(-err));
	else
		engine_log(p, PERSIST_INFO, "Background %s terminated with success: %llu keys, %llu bytes", what, (unsigned long long)keys,
		           (unsigned long long)size);
	while (waiters) {
		struct persist_waiter *next = waiters->next;
		waiters->done(waiters, err);
		waiters = next;
	}
}

/* Everything before UPTO is in the new base. */
static void log_is_renewed(struct persist *p, uint64_t upto)
{
	const char *data;
	size_t len;

	while ((len = journal_peek(p->journal, upto, &data)))
		journal_consume(p->journal, len);
	p->switch_at = 0;
	atomic_store(&p->durable, journal_consumed(p->journal));
	pthread_mutex_lock(&p->lock);
	p->log_health = LOG_OK;
	p->info.aof_last_write_ok = true;
	engine_update_refuse_locked(p);
	pthread_mutex_unlock(&p->lock);
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

static void finish(struct persist *p)
{
	enum save_kind kind = p->job.kind;
	int err = p->job.err;

	if (kind == SAVE_BASE && !err)
		err = p->log_health == LOG_SYNC_FAILED ? publish_renewed(p) : aof_publish_base(&p->log, p->job.size);
	if (kind == SAVE_BASE && err) {
		p->disk->unlink(p->disk->ctx, p->job.dir_fd, p->job.temp.data);
		p->retry_ns = p->disk->monotonic_ns(p->disk->ctx) + SECOND_NS;
		if (p->log_health == LOG_SYNC_FAILED)
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
		jobs_abort(p);
}

void jobs_abort(struct persist *p)
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
	ended(p, kind, -ECANCELED);
}

/* ---- when ---- */

/* Redis's rule: enough changes and more than so many seconds since the last save; after a failure not before five more. */
static bool rule_is_due(struct persist *p, const struct save_rules *rules, int64_t last_save_s, bool last_ok, int64_t now, int64_t *next)
{
	int64_t dirty = (int64_t)atomic_load(&p->dirty);

	for (int i = 0; i < rules->count; i++) {
		const struct save_rule *r = &rules->rule[i];
		if (dirty < r->changes || dirty == 0)
			continue;
		int64_t wait_s = last_save_s + r->seconds + 1 - now_s(p);
		int64_t at = wait_s > 0 ? now + wait_s * SECOND_NS : now;
		if (!last_ok && at < p->last_try_ns + 5ll * SECOND_NS)
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
	int64_t percent = p->config->auto_aof_rewrite_percentage;

	if (!percent || size <= p->config->auto_aof_rewrite_min_size || size < base)
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

static enum save_kind what_is_due(struct persist *p, int64_t now, int64_t *next)
{
	if (p->log_health == LOG_SYNC_FAILED) {
		if (now >= p->retry_ns)
			return SAVE_BASE;
		at_most(next, p->retry_ns);
	}
	enum save_kind kind = what_is_asked(p);
	if (kind)
		return kind;
	pthread_mutex_lock(&p->lock);
	struct save_rules rules = p->rules;
	int64_t last_save_s = p->info.rdb_last_save_time;
	bool last_ok = p->info.rdb_last_bgsave_ok;
	pthread_mutex_unlock(&p->lock);
	if (rule_is_due(p, &rules, last_save_s, last_ok, now, next))
		return SAVE_DUMP;
	return p->journal && p->log_health == LOG_OK && rewrite_is_due(p, now, next) ? SAVE_BASE : SAVE_NONE;
}

bool jobs_can_end(struct persist *p)
{
	if (!p->job.kind || !atomic_load(&p->job.finished))
		return false;
	/* A base can't be published before the log has been switched, unless finish() does that itself. */
	return p->job.kind != SAVE_BASE || !p->switch_at || p->log_health == LOG_SYNC_FAILED || p->job.err;
}

void jobs_step(struct persist *p, int64_t now, int64_t *next)
{
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
	int err = new_base(p);
	if (err)
		return err;
	log_is_renewed(p, journal_published(p->journal));
	return 0;
}

int jobs_first_base(struct persist *p, struct error *e)
{
	int err = new_base(p);
	return err ? error_set(e, err, "the first base of the log can't be written: %s", strerror(-err)) : 0;
}
