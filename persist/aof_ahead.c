/* aof_ahead.c -- see aof_ahead.h. */
#include "persist/aof_ahead.h"

#include "persist/seal.h"

#include <string.h>

enum { ARGS_KEPT = 64 };        /* memory for more is given back when the command is done, and none of that size is read ahead of another */

const struct resp_limits aof_ahead_limits = { .args_max = INT32_MAX, .arg_max = INT64_MAX };

static struct aof_ahead_command *ring_at(struct aof_ahead *w, unsigned i)
{
	return &w->ring[i % AOF_AHEAD_RING];
}

static void tell_key(struct aof_ahead *w, const struct resp_command *c)
{
	if (w->l && c->argc > 1 && !seal_is(c->argv[1].data, c->argv[1].len))
		loader_expect(w->l, c->argv[1].data, c->argv[1].len);
}

static bool skip_comment(struct aof_ahead *w)
{
	const char *newline = memchr(w->data + w->pos, '\n', w->len - w->pos);

	if (newline)
		w->pos = (size_t)(newline + 1 - w->data);
	return newline != NULL;
}

/* Parses one more; what resp_parse() says. */
static int parse_next(struct aof_ahead *w, const char **ret_why)
{
	struct aof_ahead_command *next = ring_at(w, w->head);
	size_t used;
	int got = resp_parse(w->data + w->pos, w->len - w->pos, &aof_ahead_limits, false, &next->c, &used, ret_why);

	if (got != RESP_OK)
		return got;
	next->at = w->pos;
	next->end = w->pos += used;
	w->head++;
	tell_key(w, &next->c);
	return RESP_OK;
}

static void read_ahead(struct aof_ahead *w)
{
	const char *ignored;

	while (!w->stopped && w->head - w->tail < AOF_AHEAD && w->pos < w->len) {
		if (w->head != w->tail && ring_at(w, w->head - 1)->c.argc > ARGS_KEPT)
			return;
		w->stopped = w->data[w->pos] == '#' ? !skip_comment(w) : parse_next(w, &ignored) != RESP_OK;
	}
}

int aof_ahead_parse(struct aof_ahead *w, size_t at, struct resp_command *ret, size_t *ret_end, const char **ret_why)
{
	struct aof_ahead_command *last = ring_at(w, w->tail - 1);

	if (last->c.cap > ARGS_KEPT)
		resp_command_fini(&last->c);
	if (w->tail == w->head || ring_at(w, w->tail)->at != at) {
		w->tail = w->head;
		w->pos = at;
		w->stopped = false;
		int got = parse_next(w, ret_why);
		if (got != RESP_OK)
			return got;
	}
	read_ahead(w);
	last = ring_at(w, w->tail++);
	*ret = last->c;
	*ret_end = last->end;
	return RESP_OK;
}

void aof_ahead_fini(struct aof_ahead *w)
{
	for (unsigned i = 0; i < AOF_AHEAD_RING; i++)
		resp_command_fini(&w->ring[i].c);
}
