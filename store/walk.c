/* walk.c -- everything below a directory, without a stack: a node knows its parent and its place there, so the next one is found from it. */
#include "store/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t child_behind(const struct node *n, uint64_t cookie)
{
	struct directory_cursor c;

	if (!node_is_dir(n) || !n->directory)
		return 0;
	directory_seek(n->directory, cookie, &c);
	return directory_next(n->directory, &c, &cookie);
}

uint32_t tree_first_child(struct keyspace *ks, uint32_t slot)
{
	return child_behind(node_at(&ks->nodes, slot), 0);
}

uint32_t tree_walk_next(struct keyspace *ks, uint32_t top, uint32_t at)
{
	const struct node *n = node_at(&ks->nodes, at);
	uint64_t after = 0;

	for (;;) {
		uint32_t child = child_behind(n, after);
		if (child)
			return child;
		if (at == top)
			return 0;
		after = n->cookie;
		at = n->parent;
		n = node_at(&ks->nodes, at);
	}
}

int keyspace_walk_locked(struct keyspace *ks, uint64_t dir, keyspace_visit_fn *visit, void *ctx)
{
	uint32_t top;
	char *buf = NULL;
	size_t cap = 0;
	int ret = 0;

	struct node *n = tree_node(ks, dir, &top);
	if (!n)
		return -ESTALE;
	if (!node_is_dir(n))
		return -ENOTDIR;
	size_t skip = (size_t)tree_key_len(ks, top);
	if (skip)
		skip++;      /* the '/' behind it */
	for (uint32_t at = tree_walk_next(ks, top, top); at; at = tree_walk_next(ks, top, at)) {
		size_t len = (size_t)tree_key_len(ks, at);
		if (len > cap) {
			free(buf);
			cap = len * 2 + 256;
			buf = malloc(cap);
			if (!buf)
				return -ENOMEM;
		}
		char *key = tree_key_before(ks, at, buf + cap);
		struct attr a;
		tree_attr(ks, node_at(&ks->nodes, at), at, &a);
		ret = visit(ctx, key + skip, len - skip, &a);
		if (ret)
			break;
	}
	free(buf);
	return ret;
}
