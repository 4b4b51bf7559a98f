/* switch.c -- the log is switched on and off while changes go on.
 *
 *      LOG_OFF        config.appendonly becomes yes: jobs.c begins a rewrite as soon as no other job runs
 *        |            switch_prepare()  journal, directory, the next incr: made and synced, in no manifest
 *      LOG_STARTING   switch_start_locked()  at the cut; changes go to the journal and on to that incr, nothing is synced
 *        |            switch_finish()  base and incr durable, then the manifest that has them and makes all before history
 *      LOG_ON         INFO says aof_enabled:1
 *        |            switch_off()  config.appendonly has become no
 *      LOG_ENDING     what waits is written and synced, then LOG_OFF again
 *
 * A death before the manifest leaves what was there: an older log, or none.  A failure leads back to LOG_OFF and is tried again with the
 * back-off of rewrites.  While it starts a reply waits for nothing but room in the journal, so that its memory stays bounded.            */
#include "persist/engine.h"

#include <errno.h>
#include <string.h>

/* What the journal has is of no use to anybody. */
static void drop_journal(struct persist *p)
{
	struct journal *j = p->journal;
	const char *data;
	size_t len;

	while ((len = journal_peek(j, UINT64_MAX, &data)))
		journal_consume(j, len);
	engine_log_is_good(p, journal_published(j));
}

static void set_mode_locked(struct persist *p, enum log_mode mode)
{
	atomic_store(&p->mode, mode);
}

/* Changes are only counted from here on. */
static void stop_recording(struct persist *p, enum log_mode mode)
{
	keyspace_lock(p->ks);
	p->encoder.held_count = 0;
	set_mode_locked(p, mode);
	keyspace_unlock(p->ks);
}

void switch_off(struct persist *p)
{
	if (p->job.kind == SAVE_BASE)
		jobs_abort(p, -ECANCELED);
	if (atomic_load(&p->mode) == LOG_OFF)
		return;
	keyspace_lock(p->ks);
	int err = encode_flush(&p->encoder, 0);
	if (!err)
		set_mode_locked(p, LOG_ENDING);
	keyspace_unlock(p->ks);
	if (err)
		stop_recording(p, LOG_ENDING);
	int drained = engine_drain(p);
	if (!err)
		err = drained;
	if (err)
		engine_log(p, PERSIST_WARNING, "appendonly is off; the log ends before its last changes, which could not be written: %s", strerror(-err));
	else
		engine_log(p, PERSIST_INFO, "appendonly is off; the log has everything up to here");
	drop_journal(p);
	aof_close(&p->log);
	stop_recording(p, LOG_OFF);
}

/* Batches, or a note. */
static bool has_leftover(const struct journal *j)
{
	uint64_t lineage;
	size_t len;

	journal_leftover(j, &len, &lineage);
	return len > 0 || journal_left_unsure(j);
}

/* The new log is in place: the one that it belonged to is not. */
static void forget_leftover(struct persist *p)
{
	if (p->journal && has_leftover(p->journal))
		journal_reset(p->journal, p->encoder.lineage);
}

static int open_journal(struct persist *p)
{
	struct error why = { 0 };
	struct journal *j;

	if (p->journal)
		return 0;
	int err = journal_open(p->config.journal_dir, p->dir_fd, &why, &j);
	if (err)
		return err;
	if (why.text[0])
		engine_log(p, PERSIST_WARNING, "%s: replies wait for the log file instead", why.text);
	/* What is left of a daemon that died belongs to the log that is in place until this one is. */
	if (!has_leftover(j))
		journal_reset(j, p->encoder.lineage);
	atomic_store(&p->journal, j);
	return 0;
}

/* The directory, and what its manifest lists, which goes when the new base is in place. */
int switch_open_dir(struct persist *p)
{
	struct error e = { 0 };

	int err = aof_open_dir(&p->log, p->dir_fd, p->config.appenddirname, &e);
	if (!err)
		err = aof_adopt(&p->log, &e);
	if (err)
		engine_log(p, PERSIST_WARNING, "the log can't be opened: %s", e.text);
	return err;
}

int switch_prepare(struct persist *p)
{
	int err = open_journal(p);
	if (!err)
		err = switch_open_dir(p);
	return err ? err : aof_switch(&p->log, false);
}

int switch_start_locked(struct persist *p, int64_t now_ns)
{
	p->encoder.journal = p->journal;
	p->encoder.held_count = 0;
	p->encoder.hold = atomic_load(&p->fsync_policy) != FSYNC_ALWAYS;
	int err = encode_open(&p->encoder, now_ns);
	if (!err)
		set_mode_locked(p, LOG_STARTING);
	return err;
}

int switch_finish(struct persist *p, uint64_t size)
{
	uint64_t upto = journal_consumed(p->journal);

	int err = aof_publish_base(&p->log, size);
	if (err)
		return err;
	keyspace_lock(p->ks);
	forget_leftover(p);
	set_mode_locked(p, LOG_ON);
	keyspace_unlock(p->ks);
	p->parent = p->parent_seq = 0;     /* there is a log of this keyspace from now on */
	journal_set_unsure(p->journal, false);
	engine_log_is_good(p, upto);
	engine_log(p, PERSIST_INFO, "appendonly is on: every change up to here is in the log");
	return 0;
}

void switch_undo(struct persist *p)
{
	if (atomic_load(&p->mode) == LOG_STARTING) {
		stop_recording(p, LOG_OFF);
		drop_journal(p);
	}
	aof_abandon(&p->log);
}

int switch_on_now(struct persist *p)
{
	int err = switch_open_dir(p);
	if (!err)
		err = jobs_first_base(p);
	if (err)
		aof_abandon(&p->log);
	else
		forget_leftover(p);
	return err;
}
