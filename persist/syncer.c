/* syncer.c -- see syncer.h. */
#include "persist/syncer.h"

void syncer_init(struct syncer *s, const struct disk *d, void (*on_end)(void *ctx), void *ctx)
{
	*s = (struct syncer){ .disk = d, .on_end = on_end, .ctx = ctx, .fd = -1 };
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->cond, NULL);
}

void syncer_fini(struct syncer *s)
{
	syncer_stop(s);
	pthread_cond_destroy(&s->cond);
	pthread_mutex_destroy(&s->lock);
}

static int sync_and_drop(const struct disk *d, int fd, uint64_t drop_from, uint64_t drop_to)
{
	int err = d->fdatasync(d->ctx, fd);

	return err || drop_from >= drop_to ? err : d->write_out(d->ctx, fd, drop_from, drop_to - drop_from);
}

static void *syncer_thread(void *arg)
{
	struct syncer *s = arg;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (s->state != SYNCER_BUSY && !s->stop)
			pthread_cond_wait(&s->cond, &s->lock);
		if (s->state != SYNCER_BUSY)
			break;
		int fd = s->fd;
		uint64_t from = s->drop_from, to = s->drop_to;
		pthread_mutex_unlock(&s->lock);
		int err = sync_and_drop(s->disk, fd, from, to);
		pthread_mutex_lock(&s->lock);
		s->err = err;
		s->state = SYNCER_ENDED;
		pthread_cond_broadcast(&s->cond);
		pthread_mutex_unlock(&s->lock);
		s->on_end(s->ctx);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int syncer_start(struct syncer *s)
{
	int err = -pthread_create(&s->thread, NULL, syncer_thread, s);

	s->has_thread = !err;
	return err;
}

void syncer_stop(struct syncer *s)
{
	if (!s->has_thread)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->cond);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	s->has_thread = s->stop = false;
}

bool syncer_begin(struct syncer *s, int fd, uint64_t drop_from, uint64_t drop_to)
{
	if (!s->has_thread)
		return false;
	pthread_mutex_lock(&s->lock);
	bool begun = s->state == SYNCER_IDLE;
	if (begun) {
		s->fd = fd;
		s->drop_from = drop_from;
		s->drop_to = drop_to;
		s->state = SYNCER_BUSY;
		pthread_cond_broadcast(&s->cond);
	}
	pthread_mutex_unlock(&s->lock);
	return begun;
}

bool syncer_is_busy(struct syncer *s)
{
	pthread_mutex_lock(&s->lock);
	bool busy = s->state != SYNCER_IDLE;
	pthread_mutex_unlock(&s->lock);
	return busy;
}

static bool take_result_locked(struct syncer *s, int *ret_err)
{
	if (s->state != SYNCER_ENDED)
		return false;
	*ret_err = s->err;
	s->state = SYNCER_IDLE;
	return true;
}

bool syncer_poll(struct syncer *s, int *ret_err)
{
	pthread_mutex_lock(&s->lock);
	bool ended = take_result_locked(s, ret_err);
	pthread_mutex_unlock(&s->lock);
	return ended;
}

bool syncer_wait(struct syncer *s, int *ret_err)
{
	pthread_mutex_lock(&s->lock);
	while (s->state == SYNCER_BUSY)
		pthread_cond_wait(&s->cond, &s->lock);
	bool ended = take_result_locked(s, ret_err);
	pthread_mutex_unlock(&s->lock);
	return ended;
}
