#include "fs/room.h"

#include <errno.h>

enum {
	ROUNDS_MAX = 4096,        /* of EVICT_BATCH keys; others may take the room meanwhile */
	IDLE_MAX = 16,            /* of these without a key: it is not for the lack of room that keys would make */
};

struct room room_for(struct ops_env *env, uint64_t bytes, uint64_t id, uint64_t other)
{
	guard_change(env->guard, bytes);
	return (struct room){ .env = env, .spared = { id, other } };
}

bool room_make(struct room *r, const struct op *op, int err)
{
	struct keyspace_place gone[EVICT_BATCH];
	struct op evicting = { .now_ns = op->now_ns };
	bool enough;

	if (err != -ENOSPC || !r->env->notify || r->rounds++ == ROUNDS_MAX || notify_is_full(r->env->notify))
		return false;
	int n = keyspace_evict(r->env->ks, &evicting, r->spared, 2, gone, &enough);
	for (int i = 0; i < n; i++)
		notify_evicted(r->env->notify, &gone[i]);
	if (n > 0)
		atomic_fetch_add_explicit(&r->env->stats->evicted, (uint64_t)n, memory_order_relaxed);
	return n > 0 || (n == 0 && enough && r->idle++ < IDLE_MAX);
}
