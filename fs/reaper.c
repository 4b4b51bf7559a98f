/* reaper.c -- see reaper.h. */
#include "fs/reaper.h"

static void *reaper_main(void *arg)
{
	struct reaper *r = arg;

	pthread_mutex_lock(&r->lock);
	for (;;) {
		while (!r->wanted && !r->stop)
			pthread_cond_wait(&r->wake, &r->lock);
		if (r->stop)
			break;
		r->wanted = false;
		pthread_mutex_unlock(&r->lock);
		keyspace_reap(r->ks);
		pthread_mutex_lock(&r->lock);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

static void wake(void *ctx)
{
	struct reaper *r = ctx;

	pthread_mutex_lock(&r->lock);
	r->wanted = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
}

int reaper_start(struct reaper *r, struct keyspace *ks)
{
	*r = (struct reaper){ .ks = ks };
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, NULL);
	int err = -pthread_create(&r->thread, NULL, reaper_main, r);
	if (err) {
		pthread_cond_destroy(&r->wake);
		pthread_mutex_destroy(&r->lock);
		return err;
	}
	r->running = true;
	keyspace_set_reaper(ks, wake, r);
	return 0;
}

void reaper_stop(struct reaper *r)
{
	if (!r->running)
		return;
	keyspace_set_reaper(r->ks, NULL, NULL);
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	r->running = false;
}
