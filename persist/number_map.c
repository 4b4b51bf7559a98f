/* number_map.c -- see number_map.h. */
#include "persist/number_map.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { FIRST_CAP = 64 };

static size_t hash(uint64_t n)
{
	n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	n = (n ^ n >> 27) * UINT64_C(0x94d049bb133111eb);
	return (size_t)(n ^ n >> 31);
}

/* Where KEY is, or the free place where it would be. */
static struct number_pair *find(const struct number_map *m, uint64_t key)
{
	size_t at = hash(key) & (m->cap - 1);

	while (m->pair[at].key && m->pair[at].key != key)
		at = (at + 1) & (m->cap - 1);
	return &m->pair[at];
}

static int grow(struct number_map *m)
{
	struct number_map next = { .count = m->count, .cap = m->cap ? m->cap * 2 : FIRST_CAP };

	next.pair = calloc(next.cap, sizeof(*next.pair));
	if (!next.pair)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->pair[i].key)
			*find(&next, m->pair[i].key) = m->pair[i];
	free(m->pair);
	*m = next;
	return 0;
}

void number_map_fini(struct number_map *m)
{
	free(m->pair);
	*m = (struct number_map){ 0 };
}

bool number_map_get(const struct number_map *m, uint64_t key, uint64_t *ret)
{
	const struct number_pair *p = m->count ? find(m, key) : NULL;

	if (!p || !p->key)
		return false;
	*ret = p->value;
	return true;
}

int number_map_set(struct number_map *m, uint64_t key, uint64_t value)
{
	assert(key);
	if (m->count >= m->cap / 2 && grow(m) < 0)
		return -ENOMEM;
	struct number_pair *p = find(m, key);
	m->count += p->key == 0;
	*p = (struct number_pair){ .key = key, .value = value };
	return 0;
}
