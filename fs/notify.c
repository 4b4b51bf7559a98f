#include "fs/notify.h"

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/*  C  constant after start    N  lock    a  atomic    T  the thread's own  */
enum news_kind {
	NEWS_GONE,                /* ID, which the kernel knows, has left PARENT/NAME */
	NEWS_UNLINKED,            /* likewise, and has other names */
	NEWS_EVICTED,             /* likewise, and ID is unknown from now on */
	NEWS_TIMED,               /* ID at PARENT/NAME has an expiry now */
	NEWS_LISTING,             /* PARENT has other names than before */
	NEWS_STALE_NODE, NEWS_STALE_NAME,
};

struct news {
	struct news *next;
	enum news_kind kind;
	uint64_t parent, id;
	struct notify_waiter *waiter;  /* borrowed; NULL: nobody waits */
	size_t len;
	char name[];
};

struct notify {
	struct fuse_session *se;  /* C */
	struct stats *stats;      /* C */
	struct log *log;          /* C */
	pthread_t thread;         /* C */
	pthread_mutex_t lock;
	pthread_cond_t wake;      /* N  the queue is not empty, or stop */
	struct news *head, *last; /* N */
	_Atomic size_t count;     /* a  queued or being told; grows under N */
	_Atomic bool stop;        /* a  written under N */
	bool overflowed;          /* N  said once */
	uint64_t stale_dir;       /* T  its listing has to be dropped; 0: none */
};

/* A listing the kernel keeps may hold names it has no entry for. */
static void drop_listing(struct notify *n)
{
	if (n->stale_dir)
		fuse_lowlevel_notify_inval_inode(n->se, n->stale_dir, 0, 0);
	n->stale_dir = 0;
}

/* Not at once: the next name may be of the same directory. */
static void drop_listing_of(struct notify *n, uint64_t parent)
{
	if (n->stale_dir != parent)
		drop_listing(n);
	n->stale_dir = parent;
}

/* The kernel asks again before it believes the entry; one that is older than this news (Linux 6.2) forgets it. */
static void expire_entry(struct notify *n, const struct news *g)
{
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 16)
	int err = fuse_lowlevel_notify_expire_entry(n->se, g->parent, g->name, g->len);
#else
	int err = fuse_lowlevel_notify_expire_entry(n->se, g->parent, g->name, g->len, FUSE_LL_EXPIRE_ONLY);
#endif

	if (err == -ENOSYS)
		fuse_lowlevel_notify_inval_entry(n->se, g->parent, g->name, g->len);
}

static void tell(struct notify *n, const struct news *g)
{
	int err = 0;

	switch (g->kind) {
	case NEWS_GONE:
		err = fuse_lowlevel_notify_delete(n->se, g->parent, g->id, g->name, g->len);
		break;
	case NEWS_UNLINKED:       /* _DELETE would tell the kernel that the file is gone */
		err = fuse_lowlevel_notify_inval_entry(n->se, g->parent, g->name, g->len);
		fuse_lowlevel_notify_inval_inode(n->se, g->id, -1, 0);
		break;
	case NEWS_EVICTED:
		err = fuse_lowlevel_notify_delete(n->se, g->parent, g->id, g->name, g->len);
		/* Its pages: who has it open reads no value that is gone. */
		fuse_lowlevel_notify_inval_inode(n->se, g->id, 0, 0);
		break;
	case NEWS_TIMED:
		expire_entry(n, g);
		/* Its attributes, not its pages. */
		fuse_lowlevel_notify_inval_inode(n->se, g->id, -1, 0);
		break;
	case NEWS_LISTING:
		drop_listing_of(n, g->parent);
		break;
	case NEWS_STALE_NODE:
		fuse_lowlevel_notify_inval_inode(n->se, g->id, 0, 0);
		return;
	case NEWS_STALE_NAME:
		err = fuse_lowlevel_notify_inval_entry(n->se, g->parent, g->name, g->len);
		break;
	}
	/* -ENOENT: no such entry there; -ENOTEMPTY and -EBUSY: something is mounted on it.  Others: no kernel to talk to. */
	if (err == -ENOENT)
		drop_listing_of(n, g->parent);
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
		n->head = n->last = NULL;
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
			if (!atomic_load_explicit(&n->stop, memory_order_relaxed)) {
				tell(n, batch);
				if (batch->waiter)
					drop_listing(n);
			}
			atomic_fetch_sub_explicit(&n->count, 1, memory_order_relaxed);
			if (batch->waiter)
				batch->waiter->done(batch->waiter);
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
	struct news *next;

	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	n->stop = true;
	pthread_cond_signal(&n->wake);
	pthread_mutex_unlock(&n->lock);
	pthread_join(n->thread, NULL);
	for (struct news *g = n->head; g; g = next) {
		next = g->next;
		if (g->waiter)
			g->waiter->done(g->waiter);
		free(g);
	}
	n->head = n->last = NULL;
}

void notify_free(struct notify *n)
{
	if (!n)
		return;
	pthread_cond_destroy(&n->wake);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

bool notify_is_busy(struct notify *n)
{
	return n && atomic_load_explicit(&n->count, memory_order_relaxed) >= NOTIFY_BUSY;
}

bool notify_is_full(struct notify *n)
{
	return n && atomic_load_explicit(&n->count, memory_order_relaxed) >= NOTIFY_FULL;
}

/* With N held: whether the last one queued says it already. */
static bool is_said(const struct notify *n, const struct news *g)
{
	return g->kind == NEWS_LISTING && !g->waiter && n->last && n->last->kind == NEWS_LISTING && n->last->parent == g->parent;
}

/* Takes G, which may be NULL: there was no memory for it.  Whether its waiter is called. */
static bool enqueue(struct notify *n, struct news *g)
{
	bool lost, first = false, queued = false;

	pthread_mutex_lock(&n->lock);
	lost = !g || n->count >= NOTIFY_QUEUE_MAX || n->stop;
	if (lost) {
		first = !n->overflowed && !n->stop;
		n->overflowed = true;
	} else if (!is_said(n, g)) {
		if (n->last)
			n->last->next = g;
		else
			n->head = g;
		n->last = g;
		n->count++;
		queued = true;
		pthread_cond_signal(&n->wake);
	}
	pthread_mutex_unlock(&n->lock);

	if (!queued)
		free(g);
	if (first)
		log_line(n->log, LOG_LEVEL_WARNING, "too many keys expire at once: the kernel may show some of them a while longer");
	return queued;
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

static int enqueue_place(struct notify *n, enum news_kind kind, const struct keyspace_place *p, struct notify_waiter *w)
{
	struct news *g = news_new(kind, p->parent, p->name, kind == NEWS_LISTING ? 0 : p->len, p->id);

	if (g)
		g->waiter = w;
	return enqueue(n, g) && w;
}

int notify_gone(struct notify *n, const struct keyspace_place *place, struct notify_waiter *w)
{
	if (!n)
		return 0;
	return enqueue_place(n, !place->known ? NEWS_LISTING : place->linked ? NEWS_UNLINKED : NEWS_GONE, place, w);
}

void notify_evicted(struct notify *n, const struct keyspace_place *place)
{
	if (n)
		enqueue_place(n, place->known ? NEWS_EVICTED : NEWS_LISTING, place, NULL);
}

int notify_timed(struct notify *n, const struct keyspace_place *place, struct notify_waiter *w)
{
	if (!n || !place->known)
		return 0;
	return enqueue_place(n, NEWS_TIMED, place, w);
}

void notify_stale_node(struct notify *n, uint64_t id)
{
	enqueue(n, news_new(NEWS_STALE_NODE, 0, "", 0, id));
}

void notify_stale_name(struct notify *n, uint64_t parent, const char *name, size_t len)
{
	enqueue(n, news_new(NEWS_STALE_NAME, parent, name, len, 0));
}
