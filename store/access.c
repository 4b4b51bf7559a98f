/* access.c -- access times: the one attribute that reading changes.  See keyspace.h. */
#include "store/tree.h"

static const int64_t day_ns = INT64_C(24) * 3600 * 1000000000;

/* As Linux has relatime: what was read since it was last changed, and within a day, was read. */
static bool is_news(const struct node_times *t, int64_t now_ns)
{
	return t->mtime_ns >= t->atime_ns || t->ctime_ns >= t->atime_ns || t->atime_ns <= now_ns - day_ns;
}

void tree_accessed(struct keyspace *ks, struct node *n, int64_t now_ns, enum atime_rule rule)
{
	struct node_times times;

	if (rule == ATIME_NEVER)
		return;
	times_get(&ks->times, n, &times);
	if (rule != ATIME_ALWAYS && !is_news(&times, now_ns))
		return;
	int64_t changed_ns = times.mtime_ns > times.ctime_ns ? times.mtime_ns : times.ctime_ns;
	times.atime_ns = keyspace_atime_at(now_ns);
	/* What was read after it was changed must not look as if it was not: such a time is kept as it is. */
	if (times.atime_ns <= changed_ns && changed_ns < now_ns)
		times.atime_ns = now_ns;
	times_set(&ks->times, n, &times);
}

void keyspace_accessed(struct keyspace *ks, uint64_t id, int64_t now_ns, enum atime_rule rule)
{
	uint32_t slot;

	keyspace_lock(ks);
	struct node *n = tree_node(ks, id, &slot);
	if (n)
		tree_accessed(ks, n, now_ns, rule);
	keyspace_unlock(ks);
}
