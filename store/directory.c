/* directory.c -- see directory.h. */
#include "store/directory.h"
#include "store/memory.h"
#include "store/node.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 256, PAGE_WORDS = PAGE / 64 };

struct directory_page {
	uint64_t live[PAGE_WORDS];
	uint16_t count, cap;
	uint32_t slot[];
};

static size_t page_memory(unsigned cap)
{
	return memory_of(sizeof(struct directory_page) + cap * sizeof(uint32_t));
}

/* How many live entries stand before BIT. */
static unsigned rank(const struct directory_page *p, unsigned bit)
{
	unsigned n = 0;
	for (unsigned w = 0; w < bit / 64; w++)
		n += (unsigned)__builtin_popcountll(p->live[w]);
	if (bit % 64)
		n += (unsigned)__builtin_popcountll(p->live[bit / 64] << (64 - bit % 64));
	return n;
}

/* The first page whose number is NUMBER or more. */
static uint32_t find_page(const struct directory *d, uint64_t number)
{
	uint32_t low = 0, high = d->pages;

	/* Most come for the last page. */
	if (high && d->index[high - 1].number < number)
		return high;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (d->index[mid].number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct directory *directory_new(uint64_t *bytes)
{
	struct directory *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	d->next_cookie = DIRECTORY_FIRST;
	*bytes += memory_of(sizeof *d);
	return d;
}

void directory_free(struct directory *d, uint64_t *bytes)
{
	if (!d)
		return;
	for (uint32_t i = 0; i < d->pages; i++) {
		*bytes -= page_memory(d->index[i].page->cap);
		free(d->index[i].page);
	}
	if (d->index)
		*bytes -= memory_of(d->cap * sizeof *d->index);
	free(d->index);
	*bytes -= memory_of(sizeof *d);
	free(d);
}

static int page_resize(struct directory_index *x, unsigned cap, uint64_t *bytes)
{
	struct directory_page *p = realloc(x->page, sizeof *p + cap * sizeof p->slot[0]);
	if (!p)
		return -ENOMEM;
	if (!x->page)
		*p = (struct directory_page){ 0 };
	else
		*bytes -= page_memory(p->cap);
	p->cap = (uint16_t)cap;
	*bytes += page_memory(cap);
	x->page = p;
	return 0;
}

int directory_reserve(struct directory *d, uint64_t *bytes)
{
	uint64_t number = d->next_cookie / PAGE;

	if (d->next_cookie >> NODE_COOKIE_BITS)
		return -ENOSPC;
	if (d->pages && d->index[d->pages - 1].number == number) {
		struct directory_index *x = &d->index[d->pages - 1];
		if (x->page->count < x->page->cap)
			return 0;
		unsigned cap = x->page->cap * 4u;
		return page_resize(x, cap < PAGE ? cap : PAGE, bytes);
	}
	if (d->pages == d->cap) {
		uint32_t cap = d->cap ? d->cap * 2 : 1;
		struct directory_index *index = realloc(d->index, cap * sizeof *index);
		if (!index)
			return -ENOMEM;
		*bytes += memory_of(cap * sizeof *index) - (d->cap ? memory_of(d->cap * sizeof *index) : 0);
		d->index = index;
		d->cap = cap;
	}
	/* The first page of a small directory is small; a large one will fill its pages. */
	struct directory_index x = { .number = number };
	if (page_resize(&x, d->pages ? PAGE : 4, bytes) < 0)
		return -ENOMEM;
	d->index[d->pages++] = x;
	return 0;
}

void directory_prefetch(const struct directory *d)
{
	if (d->pages)
		__builtin_prefetch(d->index[d->pages - 1].page, 1);
}

uint64_t directory_add(struct directory *d, uint32_t slot)
{
	uint64_t cookie = d->next_cookie++;
	struct directory_page *p = d->index[d->pages - 1].page;

	assert(d->index[d->pages - 1].number == cookie / PAGE && p->count < p->cap);
	p->live[cookie % PAGE / 64] |= 1ull << cookie % 64;
	p->slot[p->count++] = slot;
	d->count++;
	return cookie;
}

static struct directory_index *find_entry(struct directory *d, uint64_t cookie, unsigned *ret_rank)
{
	uint32_t i = find_page(d, cookie / PAGE);
	assert(i < d->pages && d->index[i].number == cookie / PAGE);
	struct directory_page *p = d->index[i].page;
	assert(p->live[cookie % PAGE / 64] >> cookie % 64 & 1);
	*ret_rank = rank(p, cookie % PAGE);
	return &d->index[i];
}

void directory_replace(struct directory *d, uint64_t cookie, uint32_t slot)
{
	unsigned at;
	struct directory_index *x = find_entry(d, cookie, &at);

	x->page->slot[at] = slot;
}

void directory_remove(struct directory *d, uint64_t cookie, uint64_t *bytes)
{
	unsigned at;
	struct directory_index *x = find_entry(d, cookie, &at);
	struct directory_page *p = x->page;

	p->live[cookie % PAGE / 64] &= ~(1ull << cookie % 64);
	p->count--;
	memmove(&p->slot[at], &p->slot[at + 1], (p->count - at) * sizeof p->slot[0]);
	d->count--;
	if (d->count == 0)
		d->reach = 0;
	if (p->count == 0) {
		*bytes -= page_memory(p->cap);
		free(p);
		d->pages--;
		memmove(x, x + 1, (size_t)(&d->index[d->pages] - x) * sizeof *x);
		if (d->cap > 16 && d->pages < d->cap / 4) {
			struct directory_index *index = realloc(d->index, d->cap / 2 * sizeof *index);
			if (index) {
				*bytes -= memory_of(d->cap * sizeof *index) - memory_of(d->cap / 2 * sizeof *index);
				d->index = index;
				d->cap /= 2;
			}
		}
	} else if (p->cap > 4 && p->count < p->cap / 4) {
		page_resize(x, p->cap / 2, bytes);     /* without memory it stays as it is */
	}
}

void directory_seek(const struct directory *d, uint64_t cookie, struct directory_cursor *c)
{
	uint64_t from = cookie == UINT64_MAX ? cookie : cookie + 1;
	c->page = find_page(d, from / PAGE);
	c->bit = c->page < d->pages && d->index[c->page].number == from / PAGE ? from % PAGE : 0;
}

uint32_t directory_next(const struct directory *d, struct directory_cursor *c, uint64_t *ret_cookie)
{
	for (; c->page < d->pages; c->page++, c->bit = 0) {
		const struct directory_index *x = &d->index[c->page];
		for (; c->bit < PAGE; c->bit = (c->bit / 64 + 1) * 64) {
			uint64_t rest = x->page->live[c->bit / 64] >> c->bit % 64;
			if (!rest)
				continue;
			c->bit += (unsigned)__builtin_ctzll(rest);
			*ret_cookie = x->number * PAGE + c->bit;
			uint32_t slot = x->page->slot[rank(x->page, c->bit)];
			c->bit++;
			return slot;
		}
	}
	return 0;
}
