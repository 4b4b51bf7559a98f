/* pending.c -- see pending.h. */
#include "fs/pending.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/*  C  constant    P  lock  */
struct pending_place {
	pthread_mutex_t lock;
	struct pending *ended;           /* P */
	int holders;                     /* P */
	int wake_fd;                     /* C  eventfd */
};

int pending_place_new(struct pending_place **ret)
{
	struct pending_place *place = calloc(1, sizeof(*place));
	int err;

	if (place == NULL)
		return -ENOMEM;
	place->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (place->wake_fd < 0) {
		err = -errno;
		free(place);
		return err;
	}
	pthread_mutex_init(&place->lock, NULL);
	place->holders = 1;
	*ret = place;
	return 0;
}

static void place_ref(struct pending_place *place)
{
	pthread_mutex_lock(&place->lock);
	place->holders++;
	pthread_mutex_unlock(&place->lock);
}

void pending_place_unref(struct pending_place *place)
{
	struct pending *p;
	bool last;

	pthread_mutex_lock(&place->lock);
	last = --place->holders == 0;
	pthread_mutex_unlock(&place->lock);
	if (!last)
		return;
	while ((p = place->ended) != NULL) {
		place->ended = p->next;
		free(p);
	}
	pthread_mutex_destroy(&place->lock);
	close(place->wake_fd);
	free(place);
}

int pending_wake_fd(const struct pending_place *place)
{
	return place->wake_fd;
}

void pending_wake(struct pending_place *place)
{
	uint64_t one = 1;

	/* Fails only when it is full of wakes already. */
	if (write(place->wake_fd, &one, sizeof(one)) < 0)
		assert(errno == EAGAIN);
}

static void waiter_done(struct persist_waiter *w, int err)
{
	pending_done((struct pending *)((char *)w - offsetof(struct pending, waiter)), err);
}

static void told_done(struct notify_waiter *w)
{
	struct pending *p = (struct pending *)((char *)w - offsetof(struct pending, told));

	/* Once it is parked, it may be answered and gone before the call returns. */
	if (persist_wait_reply(p->persist, p->seq, &p->waiter) == 0)
		pending_done(p, 0);
}

struct pending *pending_new(struct pending_place *place, void *client, pending_reply_fn *reply, int64_t number)
{
	struct pending *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->waiter.done = waiter_done;
	p->told.done = told_done;
	p->place = place;
	p->client = client;
	p->reply = reply;
	p->number = number;
	place_ref(place);
	return p;
}

void pending_free(struct pending *p)
{
	if (p == NULL)
		return;
	/* One that has ended gave up its hold when it did. */
	if (p->place != NULL)
		pending_place_unref(p->place);
	free(p);
}

void pending_done(struct pending *p, int err)
{
	struct pending_place *place = p->place;

	pthread_mutex_lock(&place->lock);
	p->err = err;
	p->place = NULL;
	p->next = place->ended;
	place->ended = p;
	pthread_mutex_unlock(&place->lock);
	pending_wake(place);
	pending_place_unref(place);
}

struct pending *pending_take(struct pending_place *place)
{
	struct pending *ended;
	uint64_t wakes;

	if (read(place->wake_fd, &wakes, sizeof(wakes)) < 0)
		assert(errno == EAGAIN || errno == EINTR);
	pthread_mutex_lock(&place->lock);
	ended = place->ended;
	place->ended = NULL;
	pthread_mutex_unlock(&place->lock);
	return ended;
}
