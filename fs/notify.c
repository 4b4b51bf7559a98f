#include "fs/notify.h"

#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/*  C  constant after start    Q  lock    a  atomic    T  the thread's own  */
enum news_kind { NEWS_GONE, NEWS_STALE_NODE, NEWS_STALE_NAME };

struct news {
	struct news *next;
	enum news_kind kind;
	uint64_t parent, id;
	size_t len;
	char name[];
};

struct notify {
	struct fuse_session *se;  /* C */
	struct stats *stats;      /* C */
	struct log *log;          /* C */
	pthread_t thread;         /* C */
	pthread_mutex_t lock;
	pthread_cond_t wake;      /* Q  the queue is not empty, or stop */
	struct news *head, **tail;  /* Q */
	size_t count;             /* Q */
	_Atomic bool stop;        /* a  written under Q */
	bool overflowed;          /* Q  said once */
	uint64_t stale_dir;       /* T  its listing has to be dropped; 0: none */
};

/* A listing the kernel keeps may hold names it has no entry for. */
static void drop_listing(struct notify *n)
{
	if (n->stale_dir)
		fuse_lowlevel_notify_inval_inode(n->se, n->stale_dir, 0, 0);
	n->stale_dir = 0;
}

static void tell(struct notify *n, const struct news *g)
{
	int err;

	if (g->kind == NEWS_STALE_NODE) {
		fuse_lowlevel_notify_inval_inode(n->se, g->id, 0, 0);
		return;
	}
	if (g->kind == NEWS_STALE_NAME)
		err = fuse_lowlevel_notify_inval_entry(n->se, g->parent, g->name, g->len);
	else
		err = fuse_lowlevel_notify_delete(n->se, g->parent, g->id, g->name, g->len);
	/* -ENOENT: no such entry there; -ENOTEMPTY and -EBUSY: something is mounted on it.  Others: no kernel to talk to. */
	if (err == -ENOENT) {
		if (n->stale_dir != g->parent)
			drop_listing(n);
		n->stale_dir = g->parent;
	}
	atomic_fetch_add_explicit(&n->stats->notified, 1, memory_order_relaxed);
}

/* What is queued, or NULL at the end. */
static struct news *take_batch(struct notify *n)
{
	struct news *batch = NULL;

	pthread_mutex_lock(&n->lock);
	while (!n->head && !n->stop)
		pthread_cond_wait(&n->wake, &n->lock);
	if (!n->stop) {
		batch = n->head;
		n->head = NULL;
		n->tail = &n->head;
		n->count = 0;
	}
	pthread_mutex_unlock(&n->lock);
	return batch;
}

static void *notify_main(void *arg)
{
	struct notify *n = arg;
	struct news *batch, *next;

	while ((batch = take_batch(n))) {
		for (; batch; batch = next) {
			next = batch->next;
			if (!atomic_load_explicit(&n->stop, memory_order_relaxed))
				tell(n, batch);
			free(batch);
		}
		drop_listing(n);
	}
	return NULL;
}

int notify_start(struct fuse_session *se, struct stats *stats, struct log *log, struct notify **ret)
{
	struct notify *n = calloc(1, sizeof(*n));
	int err;

	if (!n)
		return -ENOMEM;
	n->se = se;
	n->stats = stats;
	n->log = log;
	n->tail = &n->head;
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->wake, NULL);
	err = pthread_create(&n->thread, NULL, notify_main, n);
	if (err) {
		pthread_cond_destroy(&n->wake);
		pthread_mutex_destroy(&n->lock);
		free(n);
		return -err;
	}
	*ret = n;
	return 0;
}

void notify_stop(struct notify *n)
{
	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	n->stop = true;
	pthread_cond_signal(&n->wake);
	pthread_mutex_unlock(&n->lock);
	pthread_join(n->thread, NULL);
}

void notify_free(struct notify *n)
{
	struct news *next;

	if (!n)
		return;
	for (struct news *g = n->head; g; g = next) {
		next = g->next;
		free(g);
	}
	pthread_cond_destroy(&n->wake);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

/* Takes NEWS, which may be NULL: there was no memory for it. */
static void enqueue(struct notify *n, struct news *g)
{
	bool lost, first = false;

	pthread_mutex_lock(&n->lock);
	lost = !g || n->count >= NOTIFY_QUEUE_MAX || n->stop;
	if (lost) {
		first = !n->overflowed && !n->stop;
		n->overflowed = true;
	} else {
		*n->tail = g;
		n->tail = &g->next;
		n->count++;
		pthread_cond_signal(&n->wake);
	}
	pthread_mutex_unlock(&n->lock);

	if (lost)
		free(g);
	if (first)
		log_line(n->log, LOG_LEVEL_WARNING, "too many keys expire at once: the kernel may show some of them a while longer");
}

static struct news *news_new(enum news_kind kind, uint64_t parent, const char *name, size_t len, uint64_t id)
{
	struct news *g = malloc(sizeof(*g) + len + 1);

	if (!g)
		return NULL;
	*g = (struct news){ .kind = kind, .parent = parent, .id = id, .len = len };
	memcpy(g->name, name, len);
	g->name[len] = '\0';
	return g;
}

void notify_gone(struct notify *n, uint64_t parent, const char *name, size_t len, uint64_t id)
{
	enqueue(n, news_new(NEWS_GONE, parent, name, len, id));
}

void notify_stale_node(struct notify *n, uint64_t id)
{
	enqueue(n, news_new(NEWS_STALE_NODE, 0, "", 0, id));
}

void notify_stale_name(struct notify *n, uint64_t parent, const char *name, size_t len)
{
	enqueue(n, news_new(NEWS_STALE_NAME, parent, name, len, 0));
}
