/* scan.c -- all keys, some at a time, in the order of their positions in the name table (names.h). */
#include "store/keyname.h"
#include "store/tree.h"

#include <errno.h>
#include <stdlib.h>

enum {
	NAMES_A_HOLD = 64,          /* of S: names that are looked at, */
	BUCKETS_A_HOLD = 4096,      /* and buckets, most of them empty */
	BUCKETS_A_STEP = 64 << 10,
};

struct scan {
	struct keyspace *ks;
	int64_t now_ns;
	keyspace_key_fn *emit;
	void *ctx;
	char *room;                 /* a path, and behind it its key */
	size_t cap;                 /* of each */
	uint32_t names, buckets;    /* looked at */
};

static int make_room(struct scan *s, size_t len)
{
	if (len <= s->cap)
		return 0;
	free(s->room);
	s->cap = len * 2 + 256;
	s->room = malloc(2 * s->cap);
	if (!s->room)
		s->cap = 0;
	return s->room ? 0 : -ENOMEM;
}

static int emit_key(struct scan *s, uint32_t slot)
{
	const struct node *n = node_at(&s->ks->nodes, slot);
	size_t len = (size_t)tree_key_len(s->ks, slot);
	enum keyname_kind kind;
	struct attr a;

	if (make_room(s, len) < 0)
		return -ENOMEM;
	const char *key = tree_key_before(s->ks, slot, s->room + len);
	if (s->ks->escaped) {
		char *other = s->room + s->cap;
		if (keyname_to_key(key, len, other, &len, &kind) < 0)
			return 0;
		key = other;
	}
	tree_attr(s->ks, n, slot, &a);
	return s->emit(s->ctx, key, len, &a);
}

/* The keys of the bucket at *POSITION, which becomes the next one's. */
static int scan_bucket(struct scan *s, uint32_t *position)
{
	uint32_t next, slot = names_bucket(&s->ks->names, *position, &next);
	int ret = 0;

	while (slot && !ret) {
		const struct node *n = node_at(&s->ks->nodes, slot);
		/* A bucket that has grown since may begin before the cursor. */
		if (S_ISREG(n->mode) && names_position(n->hash) >= *position && !tree_is_over(s->ks, slot, s->now_ns))
			ret = emit_key(s, slot);
		slot = n->hash_next;
		s->names++;
	}
	s->buckets++;
	*position = next;
	return ret;
}

int keyspace_scan(struct keyspace *ks, uint32_t cursor, uint32_t count, int64_t now_ns, keyspace_key_fn *emit, void *ctx,
                  uint32_t *ret_next)
{
	struct scan s = { .ks = ks, .now_ns = now_ns, .emit = emit, .ctx = ctx };
	int ret = 0;

	do {
		uint32_t names = s.names, buckets = s.buckets;
		keyspace_lock(ks);
		do
			ret = scan_bucket(&s, &cursor);
		while (!ret && cursor && s.names < count && s.names - names < NAMES_A_HOLD && s.buckets - buckets < BUCKETS_A_HOLD);
		keyspace_unlock(ks);
	} while (!ret && cursor && s.names < count && s.buckets < BUCKETS_A_STEP);
	free(s.room);
	*ret_next = cursor;
	return ret;
}
