/* rdb_ahead.c -- see rdb_ahead.h. */
#include "persist/rdb_ahead.h"

#include "persist/rdb_format.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum {
	ITEMS = 256,                /* of a batch */
	COPIES = 256 << 10,         /* bytes that a batch copies before it is handed over */
	COPIES_KEPT = 2 * COPIES,   /* memory for more is not kept for the next batch */
};

enum item_kind { ITEM_AUX, ITEM_RESIZE, ITEM_KEY };

struct item {
	enum item_kind kind;
	struct value *made;         /* KEY: of a string that is not empty; owned until the handler takes it */
	union {
		struct rdb_key key;
		struct rdb_aux aux;
		struct {
			uint64_t db, keys, expires;
		} resize;
	};
};

struct batch {
	struct item item[ITEMS];
	unsigned count;
	struct bytes copies;        /* of what does not stand in the file; has room, so that it does not move */
	size_t made;                /* bytes of values made; with those of COPIES they end the batch */
	size_t done;                /* bytes of the file, when it was handed over */
};

/*  C constant   R reading thread   L lock   J the reading thread's, after its end the caller's   */
struct ahead {
	const char *data;           /* C */
	size_t len;                 /* C */
	const struct rdb_handler *h;  /* C */
	struct batch *batch;        /* C, RDB_AHEAD_BATCHES of them; a batch between FILLED and EMPTIED is the caller's, else R's */
	pthread_mutex_t lock;
	pthread_cond_t moved;
	unsigned filled, emptied;   /* L batches so far; FILLED is changed by R alone, EMPTIED by the caller */
	bool stop;                  /* L the caller wants no more */
	bool ended;                 /* L no more will come */
	size_t done;                /* R bytes of the file */
	struct error e;             /* J */
	size_t used;                /* J */
	int result;                 /* J */
};

/* ---- the reading thread ---- */

static struct batch *filling(struct ahead *a)
{
	return &a->batch[a->filled % RDB_AHEAD_BATCHES];
}

/* A batch may be filled again: what it held is forgotten, and a large copy is not kept. */
static int batch_clear(struct batch *b)
{
	b->count = 0;
	b->made = 0;
	b->copies.len = 0;
	if (b->copies.cap > COPIES_KEPT)
		bytes_fini(&b->copies);
	return bytes_reserve(&b->copies, COPIES);
}

/* Values that nobody took. */
static void batch_drop(struct batch *b)
{
	unsigned i;

	for (i = 0; i < b->count; i++)
		if (b->item[i].kind == ITEM_KEY)
			value_unref(b->item[i].made);
	b->count = 0;
}

static void batch_fini(struct batch *b)
{
	batch_drop(b);
	bytes_fini(&b->copies);
}

/* Hands over the batch and waits until there is one to fill.  -ECANCELED: the caller wants no more. */
static int hand_over(struct ahead *a)
{
	bool large = filling(a)->copies.cap > COPIES_KEPT || filling(a)->made > COPIES_KEPT, stop;

	filling(a)->done = a->done;
	pthread_mutex_lock(&a->lock);
	a->filled++;
	pthread_cond_signal(&a->moved);
	while (!a->stop && a->filled - a->emptied >= (large ? 1 : RDB_AHEAD_BATCHES))
		pthread_cond_wait(&a->moved, &a->lock);
	stop = a->stop;
	pthread_mutex_unlock(&a->lock);
	return stop ? -ECANCELED : batch_clear(filling(a));
}

static bool in_file(const struct ahead *a, const char *p)
{
	return (uintptr_t)p >= (uintptr_t)a->data && (uintptr_t)p < (uintptr_t)a->data + a->len;
}

/* The next item of the batch, with room for copies of two strings as far as they need one; NULL and *RET_ERR. */
static struct item *item_new(struct ahead *a, const char *one, size_t one_len, const char *two, size_t two_len, int *ret_err)
{
	size_t copies = (in_file(a, one) ? 0 : one_len) + (in_file(a, two) ? 0 : two_len);
	struct batch *b = filling(a);

	*ret_err = 0;
	if (b->count == ITEMS || b->made >= COPIES || b->copies.cap - b->copies.len < copies)
		*ret_err = hand_over(a);
	b = filling(a);
	if (!*ret_err && b->copies.cap - b->copies.len < copies)
		*ret_err = bytes_reserve(&b->copies, copies);
	return *ret_err ? NULL : &b->item[b->count++];
}

/* P, or a copy of it that lasts as long as the batch. */
static const char *lasting(struct ahead *a, const char *p, size_t len)
{
	struct bytes *copies = &filling(a)->copies;
	const char *copy = copies->data + copies->len;

	if (len == 0 || in_file(a, p))
		return p;
	(void)bytes_add(copies, p, len);    /* item_new() made room */
	return copy;
}

static int no_item(int err, struct error *e)
{
	return err == -ENOMEM ? error_set(e, err, "out of memory") : err;
}

static int ahead_aux(void *ctx, const struct rdb_aux *x, struct error *e)
{
	struct ahead *a = ctx;
	int err;
	struct item *i = item_new(a, x->name, x->name_len, x->value, x->value_len, &err);

	if (!i)
		return no_item(err, e);
	i->kind = ITEM_AUX;
	i->aux = *x;
	i->aux.name = lasting(a, x->name, x->name_len);
	i->aux.value = lasting(a, x->value, x->value_len);
	return 0;
}

static int ahead_resize(void *ctx, uint64_t db, uint64_t keys, uint64_t expires)
{
	struct ahead *a = ctx;
	int err;
	struct item *i = item_new(a, NULL, 0, NULL, 0, &err);

	if (!i)
		return err;
	i->kind = ITEM_RESIZE;
	i->resize.db = db;
	i->resize.keys = keys;
	i->resize.expires = expires;
	return 0;
}

static int ahead_key(void *ctx, const struct rdb_key *k, struct error *e)
{
	struct ahead *a = ctx;
	int err;
	struct item *i = item_new(a, k->key, k->key_len, NULL, 0, &err);

	if (!i)
		return no_item(err, e);
	i->kind = ITEM_KEY;
	i->key = *k;
	i->key.key = lasting(a, k->key, k->key_len);
	i->made = NULL;
	if (k->type || k->value_len == 0)
		return 0;
	if (k->made) {
		i->made = *k->made;
		*k->made = NULL;
	} else {
		i->made = value_new(k->value, k->value_len);
		if (!i->made)
			return no_item(-ENOMEM, e);
	}
	i->key.value = NULL;
	i->key.made = &i->made;
	filling(a)->made += k->value_len;
	return 0;
}

static void ahead_progress(void *ctx, size_t done)
{
	struct ahead *a = ctx;

	a->done = done;
}

static void *reading(void *ctx)
{
	struct ahead *a = ctx;
	const struct rdb_handler h = {
		.ctx = a,
		.aux = a->h->aux ? ahead_aux : NULL,
		.resize = a->h->resize ? ahead_resize : NULL,
		.key = ahead_key,
		.progress = ahead_progress,
	};

	a->result = rdb_read(a->data, a->len, &h, &a->used, &a->e);
	filling(a)->done = a->done;
	pthread_mutex_lock(&a->lock);
	a->filled++;
	a->ended = true;
	pthread_cond_signal(&a->moved);
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* ---- the caller's thread ---- */

static int deliver_item(const struct rdb_handler *h, const struct item *i, struct error *e)
{
	switch (i->kind) {
	case ITEM_AUX:
		return rdb_tell_aux(h, &i->aux, e);
	case ITEM_RESIZE:
		return h->resize(h->ctx, i->resize.db, i->resize.keys, i->resize.expires);
	case ITEM_KEY:
		return h->key(h->ctx, &i->key, e);
	}
	return 0;
}

static int deliver(const struct ahead *a, const struct batch *b, struct error *e)
{
	const struct rdb_handler *h = a->h;
	unsigned i;
	int err = 0;

	for (i = 0; h->soon && i < b->count; i++)
		if (b->item[i].kind == ITEM_KEY)
			h->soon(h->ctx, b->item[i].key.key, b->item[i].key.key_len);
	for (i = 0; !err && i < b->count; i++)
		err = deliver_item(h, &b->item[i], e);
	if (!err && h->progress)
		h->progress(h->ctx, b->done);
	return err;
}

/* Takes batch after batch until the last, or the first error of the handler. */
static int take_all(struct ahead *a, struct error *e)
{
	int err = 0;

	pthread_mutex_lock(&a->lock);
	while (!err) {
		while (a->filled == a->emptied && !a->ended)
			pthread_cond_wait(&a->moved, &a->lock);
		if (a->filled == a->emptied)
			break;
		pthread_mutex_unlock(&a->lock);
		err = deliver(a, &a->batch[a->emptied % RDB_AHEAD_BATCHES], e);
		batch_drop(&a->batch[a->emptied % RDB_AHEAD_BATCHES]);
		pthread_mutex_lock(&a->lock);
		a->emptied++;
		a->stop = err != 0;
		/* Not each time: a thread that is woken for one batch is asleep again soon. */
		if (a->stop || a->filled - a->emptied <= RDB_AHEAD_BATCHES / 2)
			pthread_cond_signal(&a->moved);
	}
	pthread_mutex_unlock(&a->lock);
	return err;
}

static int read_on_two(struct ahead *a, size_t *ret_used, struct error *e)
{
	pthread_t thread;
	int err;

	if (pthread_create(&thread, NULL, reading, a) != 0)
		return rdb_read(a->data, a->len, a->h, ret_used, e);
	err = take_all(a, e);
	pthread_join(thread, NULL);
	if (err)
		return err;
	if (a->result == 0 || a->result == -EBADMSG)
		*ret_used = a->used;
	return a->e.text[0] ? error_set(e, a->result, "%s", a->e.text) : a->result;
}

int rdb_read_ahead(const void *data, size_t len, const struct rdb_handler *h, size_t *ret_used, struct error *e)
{
	struct ahead a = { .data = data, .len = len, .h = h };
	int i, err = 0;

	a.batch = len >= RDB_AHEAD_MIN ? calloc(RDB_AHEAD_BATCHES, sizeof(*a.batch)) : NULL;
	if (!a.batch)
		return rdb_read(data, len, h, ret_used, e);
	for (i = 0; i < RDB_AHEAD_BATCHES && !err; i++)
		err = batch_clear(&a.batch[i]);
	if (!err) {
		pthread_mutex_init(&a.lock, NULL);
		pthread_cond_init(&a.moved, NULL);
		err = read_on_two(&a, ret_used, e);
		pthread_cond_destroy(&a.moved);
		pthread_mutex_destroy(&a.lock);
	} else {
		error_set(e, err, "out of memory");
	}
	for (i = 0; i < RDB_AHEAD_BATCHES; i++)
		batch_fini(&a.batch[i]);
	free(a.batch);
	return err;
}
