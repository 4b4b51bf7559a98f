/* tree_state.c -- see tree_state.h. */
#include "tests/lib/tree_state.h"
#include "store/xattr.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct taking { struct keyspace *ks; struct tree_state *t; };

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static struct tree_entry *add(struct tree_state *t)
{
	if (t->count == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 64;
		t->entry = must(reallocarray(t->entry, t->cap, sizeof *t->entry));
	}
	return &t->entry[t->count++];
}

static int take(void *ctx, const char *suffix, size_t len, const struct attr *a)
{
	struct taking *x = ctx;
	struct tree_entry *e = add(x->t);

	*e = (struct tree_entry){ .key = must(strndup(suffix, len)), .key_len = len, .attr = *a,
		                  .expire_at_ms = keyspace_expiry_locked(x->ks, a->id),
		                  .xattrs = xattrs_ref(keyspace_xattrs_locked(x->ks, a->id)) };
	if (!S_ISDIR(a->mode)) {
		e->data = must(malloc(a->size + 1));
		value_copy_out(keyspace_value_locked(x->ks, a->id), a->size, 0, e->data, a->size);
	}
	return 0;
}

static int compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return order ? order : a_len < b_len ? -1 : a_len > b_len;
}

static int by_key(const void *a, const void *b)
{
	const struct tree_entry *x = a, *y = b;

	return compare(x->key, x->key_len, y->key, y->key_len);
}

void tree_state_take(struct keyspace *ks, struct tree_state *ret)
{
	struct taking x = { .ks = ks, .t = ret };
	struct attr root;

	tree_state_fini(ret);
	keyspace_lock(ks);
	if (keyspace_stat_locked(ks, KEYSPACE_ROOT, &root) < 0)
		abort();
	take(&x, "", 0, &root);
	if (keyspace_walk_locked(ks, KEYSPACE_ROOT, take, &x) != 0)
		abort();
	keyspace_unlock(ks);
	qsort(ret->entry, ret->count, sizeof *ret->entry, by_key);
}

void tree_state_without_expired(const struct tree_state *from, int64_t now_ms, struct tree_state *ret)
{
	for (size_t i = 0; i < from->count; i++) {
		const struct tree_entry *f = &from->entry[i];
		if (f->expire_at_ms && f->expire_at_ms <= now_ms)
			continue;
		struct tree_entry *e = add(ret);
		*e = *f;
		e->key = must(strdup(f->key));
		xattrs_ref(e->xattrs);
		e->data = f->data ? memcpy(must(malloc(f->attr.size + 1)), f->data, f->attr.size) : NULL;
		if (S_ISDIR(f->attr.mode))
			e->attr.atime_ns = e->attr.mtime_ns = e->attr.ctime_ns = 0;
	}
}

void tree_state_fini(struct tree_state *t)
{
	for (size_t i = 0; i < t->count; i++) {
		free(t->entry[i].key);
		free(t->entry[i].data);
		xattrs_unref(t->entry[i].xattrs);
	}
	free(t->entry);
	*t = (struct tree_state){ 0 };
}

static bool same_number(const char *key, const char *what, int64_t got, int64_t want, char *why, size_t cap)
{
	if (got == want)
		return true;
	snprintf(why, cap, "\"%.60s\": %s is %" PRId64 ", not %" PRId64, key, what, got, want);
	return false;
}

static bool same_xattrs(const struct tree_entry *got, const struct tree_entry *want, char *why, size_t cap)
{
	struct xattr g, w;
	size_t g_pos = 0, w_pos = 0;
	bool more_g, more_w;

	do {
		more_g = xattrs_next(got->xattrs, &g_pos, &g);
		more_w = xattrs_next(want->xattrs, &w_pos, &w);
		if (more_g != more_w || (more_g && (compare(g.name, g.name_len, w.name, w.name_len) || compare(g.value, g.len, w.value, w.len)))) {
			snprintf(why, cap, "\"%.60s\": other extended attributes (%u, not %u)", want->key, xattrs_count(got->xattrs), xattrs_count(want->xattrs));
			return false;
		}
	} while (more_g);
	return true;
}

static bool same_entry(const struct tree_entry *got, const struct tree_entry *want, char *why, size_t cap)
{
	const struct attr *g = &got->attr, *w = &want->attr;
	const char *key = want->key;
	bool same = same_number(key, "mode", g->mode, w->mode, why, cap) && same_number(key, "uid", g->uid, w->uid, why, cap) &&
	            same_number(key, "gid", g->gid, w->gid, why, cap) && same_number(key, "nlink", g->nlink, w->nlink, why, cap) &&
	            same_number(key, "rdev", (int64_t)g->rdev, (int64_t)w->rdev, why, cap) &&
	            same_number(key, "atime", g->atime_ns, w->atime_ns, why, cap) &&
	            same_number(key, "mtime", g->mtime_ns, w->mtime_ns, why, cap) &&
	            same_number(key, "ctime", g->ctime_ns, w->ctime_ns, why, cap) &&
	            same_number(key, "expiry", got->expire_at_ms, want->expire_at_ms, why, cap) && same_xattrs(got, want, why, cap);

	if (!same || S_ISDIR(w->mode))
		return same;
	if (!same_number(key, "size", (int64_t)g->size, (int64_t)w->size, why, cap))
		return false;
	if (memcmp(got->data, want->data, w->size) == 0)
		return true;
	snprintf(why, cap, "\"%.60s\": other content", key);
	return false;
}

/* The first name of what entry I names. */
static size_t first_name(const struct tree_state *t, size_t i)
{
	size_t first = i;

	for (size_t k = 0; k < i && first == i && t->entry[i].attr.nlink > 1 && !S_ISDIR(t->entry[i].attr.mode); k++)
		if (t->entry[k].attr.id == t->entry[i].attr.id)
			first = k;
	return first;
}

bool tree_state_same(const struct tree_state *got, const struct tree_state *want, char *why, size_t cap)
{
	for (size_t i = 0; i < got->count || i < want->count; i++) {
		const struct tree_entry *g = i < got->count ? &got->entry[i] : NULL, *w = i < want->count ? &want->entry[i] : NULL;
		int order = !g ? 1 : !w ? -1 : by_key(g, w);
		if (order) {
			snprintf(why, cap, "\"%.60s\" is %s", order < 0 ? g->key : w->key, order < 0 ? "too much" : "missing");
			return false;
		}
		if (!same_entry(g, w, why, cap))
			return false;
		if (first_name(got, i) != first_name(want, i)) {
			snprintf(why, cap, "\"%.60s\" is a name of another file", w->key);
			return false;
		}
	}
	return true;
}

const struct tree_entry *tree_state_find(const struct tree_state *t, const char *key, size_t len)
{
	for (size_t i = 0; i < t->count; i++)
		if (compare(t->entry[i].key, t->entry[i].key_len, key, len) == 0)
			return &t->entry[i];
	return NULL;
}
