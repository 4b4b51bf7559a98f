/* cut_path.c -- see cut_path.h. */
#include "store/cut_path.h"

#include <errno.h>
#include <stdlib.h>

enum { FIRST_CAP = 16 };

/* Where SLOT is, or the free place where it would be. */
static uint32_t place_of(const struct cut_paths *t, uint32_t slot)
{
	uint32_t at = slot * 2654435761u & (t->cap - 1);

	while (t->entry[at] && t->entry[at]->slot != slot)
		at = (at + 1) & (t->cap - 1);
	return at;
}

const struct cut_path *cut_paths_find(const struct cut_paths *t, uint32_t slot)
{
	return t->count ? t->entry[place_of(t, slot)] : NULL;
}

static int grow(struct cut_paths *t)
{
	struct cut_paths old = *t;
	uint32_t cap = t->cap ? t->cap * 2 : FIRST_CAP;
	struct cut_path **entry = calloc(cap, sizeof(struct cut_path *));

	if (!entry)
		return -ENOMEM;
	t->entry = entry;
	t->cap = cap;
	t->bytes += (cap - old.cap) * sizeof(struct cut_path *);
	for (uint32_t i = 0; i < old.cap; i++)
		if (old.entry[i])
			t->entry[place_of(t, old.entry[i]->slot)] = old.entry[i];
	free(old.entry);
	return 0;
}

struct cut_path *cut_path_new(uint32_t slot, size_t len)
{
	struct cut_path *p = malloc(sizeof *p + len);

	if (p) {
		p->slot = slot;
		p->len = (uint32_t)len;
	}
	return p;
}

int cut_paths_add(struct cut_paths *t, struct cut_path *p)
{
	if (t->count >= t->cap / 2 && grow(t) < 0)
		return -ENOMEM;
	t->entry[place_of(t, p->slot)] = p;
	t->count++;
	t->bytes += sizeof *p + p->len;
	return 0;
}

void cut_paths_fini(struct cut_paths *t)
{
	for (uint32_t i = 0; i < t->cap; i++)
		free(t->entry[i]);
	free(t->entry);
	*t = (struct cut_paths){ 0 };
}
