/* lru.c -- see lru.h. */
#include "store/lru.h"

#include <string.h>

enum { TICKS_A_ROUND = 1024 };      /* of the clock, while all keys are used once */

void lru_start(struct lru *l)
{
	if (!l->on)
		*l = (struct lru){ .on = true, .clock = 1 };
}

void lru_stop(struct lru *l)
{
	column_fini(&l->stamp);
	*l = (struct lru){ 0 };
}

void lru_use(struct lru *l, uint32_t slot, uint64_t keys)
{
	if (!l->on || column_reserve(&l->stamp, slot) < 0)
		return;
	if (++l->uses > keys / TICKS_A_ROUND) {
		l->clock++;
		l->uses = 0;
	}
	column_set(&l->stamp, slot, l->clock);
}

uint32_t lru_stamp(const struct lru *l, uint32_t slot)
{
	return column_get(&l->stamp, slot);
}

void lru_offer(struct lru *l, uint64_t id)
{
	struct lru_candidate c = { .id = id, .stamp = lru_stamp(l, (uint32_t)id) };
	int at = 0;

	for (int i = 0; i < l->pooled; i++)
		if (l->pool[i].id == id)
			return;
	while (at < l->pooled && lru_age(l, l->pool[at].stamp) < lru_age(l, c.stamp))
		at++;
	if (l->pooled < LRU_POOL) {
		memmove(l->pool + at + 1, l->pool + at, (size_t)(l->pooled++ - at) * sizeof c);
		l->pool[at] = c;
	} else if (at > 0) {
		memmove(l->pool, l->pool + 1, (size_t)(at - 1) * sizeof c);
		l->pool[at - 1] = c;
	}
}

bool lru_take(struct lru *l, struct lru_candidate *ret)
{
	if (!l->pooled)
		return false;
	*ret = l->pool[--l->pooled];
	return true;
}
