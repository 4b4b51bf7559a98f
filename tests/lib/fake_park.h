/* fake_park.h -- sessions of the control socket without its thread: replies that come later come when the test says so.
 * Included by one file a program. */
#ifndef KVFS_TESTS_FAKE_PARK_H
#define KVFS_TESTS_FAKE_PARK_H

#include "fs/session.h"

struct fake_park {
	struct pending_place *place;
	struct pending *parked;      /* NULL: nobody waits */
};

static struct pending *fake_park(void *ctx, void *client, pending_reply_fn *reply, int64_t number)
{
	struct fake_park *f = ctx;

	return f->parked = pending_new(f->place, client, reply, number);
}

static void fake_unpark(void *ctx, struct pending *p)
{
	struct fake_park *f = ctx;

	f->parked = NULL;
	pending_free(p);
}

static int fake_park_init(struct fake_park *f, struct command_env *ce)
{
	f->parked = NULL;
	ce->park = fake_park;
	ce->unpark = fake_unpark;
	ce->park_ctx = f;
	return pending_place_new(&f->place);
}

static void fake_park_fini(struct fake_park *f)
{
	pending_place_unref(f->place);
}

/* What S waits for ends with ERR. */
static int fake_park_end(struct fake_park *f, struct session *s, const struct command_env *ce, int err)
{
	struct pending *p = f->parked;
	int res;

	f->parked = NULL;
	p->waiter.done(&p->waiter, err);
	p = pending_take(f->place);
	res = session_resume(s, ce, NULL, p);
	pending_free(p);
	return res;
}

#endif
