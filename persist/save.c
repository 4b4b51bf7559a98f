/* save.c -- see save.h. */
#include "persist/save.h"
#include "persist/aof_base.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

int save_begin_locked(struct save *s)
{
	s->fd = -1;
	return snapshot_begin_locked(s->ks, &s->snapshot, &s->totals);
}

static int sink(void *ctx, const void *data, size_t len)
{
	struct save *s = ctx;
	size_t done;

	if (atomic_load_explicit(&s->abort, memory_order_relaxed))
		return -ECANCELED;
	int err = disk_write_all(s->disk, s->fd, data, len, &done);
	s->size += done;
	if (!err && s->incremental && s->size - s->written_out >= SAVE_STEP) {
		err = s->disk->write_out(s->disk->ctx, s->fd, s->written_out, s->size - s->written_out);
		s->written_out = s->size;
	}
	return err;
}

static void delay(int64_t us)
{
	struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };
	nanosleep(&t, NULL);
}

/* Hands the snapshot's entries to PUT, one by one. */
static int write_entries(struct save *s, int (*put)(void *w, const struct snapshot_entry *e), void *w)
{
	struct snapshot_batch *b = malloc(sizeof *b);
	if (!b)
		return -ENOMEM;
	int err;
	while (!(err = snapshot_next(s->snapshot, b)) && b->count) {
		for (int i = 0; i < b->count && !err; i++) {
			err = put(w, &b->entry[i]);
			if (s->key_delay_us)
				delay(s->key_delay_us);
			if (!err && atomic_load_explicit(&s->abort, memory_order_relaxed))
				err = -ECANCELED;
		}
		if (err)
			break;
		/* With no lock held: else the scheduler may choose a moment when one is, and all wait for a thread that may not run. */
		sched_yield();
		atomic_fetch_add_explicit(&s->processed, (uint64_t)b->count, memory_order_relaxed);
		uint64_t peak, memory = snapshot_memory(s->snapshot, &peak);
		atomic_store_explicit(&s->memory, memory, memory_order_relaxed);
		atomic_store_explicit(&s->memory_peak, peak, memory_order_relaxed);
	}
	free(b);
	return err;
}

static int put_rdb(void *w, const struct snapshot_entry *e)
{
	return rdb_writer_entry(w, e);
}

static int put_aof(void *w, const struct snapshot_entry *e)
{
	return aof_base_entry(w, e);
}

static int write_rdb(struct save *s)
{
	struct rdb_writer *w;

	int err = rdb_writer_new(&s->rdb, sink, s, &w);
	if (err)
		return err;
	err = rdb_writer_begin(w, &s->totals);
	if (!err)
		err = write_entries(s, put_rdb, w);
	if (!err)
		err = rdb_writer_end(w);
	rdb_writer_free(w);
	return err;
}

static int write_aof(struct save *s)
{
	struct aof_base *w;

	int err = aof_base_new(&s->rdb, sink, s, &w);
	if (err)
		return err;
	err = aof_base_begin(w, &s->totals);
	if (!err)
		err = write_entries(s, put_aof, w);
	if (!err)
		err = aof_base_end(w);
	aof_base_free(w);
	return err;
}

static int write_file(struct save *s)
{
	int err = s->as_commands ? write_aof(s) : write_rdb(s);

	return err ? err : s->disk->fdatasync(s->disk->ctx, s->fd);
}

int save_run(struct save *s)
{
	const struct disk *d = s->disk;

	int err = s->fd = d->open(d->ctx, s->dir_fd, s->temp.data, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (err >= 0) {
		err = write_file(s);
		int closed = d->close(d->ctx, s->fd);
		if (!err)
			err = closed;
		if (!err && s->kind == SAVE_DUMP)
			err = d->rename(d->ctx, s->dir_fd, s->temp.data, s->dir_fd, s->name);
		if (err)
			d->unlink(d->ctx, s->dir_fd, s->temp.data);
		else if (s->kind == SAVE_DUMP)
			err = d->fsync_dir(d->ctx, s->dir_fd);
	}
	s->err = err < 0 ? err : 0;
	return s->err;
}

/* The ones who wait for a reply come first: a smaller share of a CPU that others want too, and (SCHED_BATCH) no CPU is taken from them when
 * this thread wakes up from the disk.  Neither needs a privilege; where it fails all goes on as it was. */
static void stand_back(void)
{
	struct sched_param none = { 0 };

	(void)sched_setscheduler(0, SCHED_BATCH, &none);
	(void)setpriority(PRIO_PROCESS, 0, 10);
}

static void *save_thread(void *arg)
{
	struct save *s = arg;

	stand_back();
	save_run(s);
	void (*on_finished)(void *ctx) = s->on_finished;
	void *ctx = s->ctx;
	atomic_store(&s->finished, true);
	on_finished(ctx);
	return NULL;
}

int save_start(struct save *s)
{
	int err = -pthread_create(&s->thread, NULL, save_thread, s);
	s->has_thread = !err;
	return err;
}

void save_fini(struct save *s)
{
	if (s->has_thread)
		pthread_join(s->thread, NULL);
	snapshot_end(s->snapshot);
	bytes_fini(&s->temp);
	*s = (struct save){ .kind = SAVE_NONE };
}
