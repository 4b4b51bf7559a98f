/* plain_tree.c -- see plain_tree.h. */
#include "tests/lib/plain_tree.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

uint64_t plain_capacity(int i)
{
	return i % PLAIN_LARGE_STEP == 0 ? PLAIN_LARGE : PLAIN_SMALL;
}

static uint64_t place_of(int i)
{
	uint64_t at = 0;
	for (int k = 0; k < i; k++)
		at += plain_capacity(k);
	return at;
}

int plain_init(struct plain_tree *t)
{
	memset(t, 0, sizeof *t);
	t->memory = mmap(NULL, place_of(PLAIN_NODES), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t->memory == MAP_FAILED)
		return -ENOMEM;
	for (int i = 0; i < PLAIN_NODES; i++)
		t->node[i].data = t->memory + place_of(i);
	return 0;
}

void plain_fini(struct plain_tree *t)
{
	munmap(t->memory, place_of(PLAIN_NODES));
}

void plain_copy(struct plain_tree *to, const struct plain_tree *from)
{
	for (int i = 0; i < PLAIN_NODES; i++) {
		char *data = to->node[i].data;
		to->node[i] = from->node[i];
		to->node[i].data = data;
		if (from->node[i].used)
			memcpy(data, from->node[i].data, from->node[i].attr.size);
	}
}

int plain_child(const struct plain_tree *t, int dir, const char *name, size_t len)
{
	for (int i = 1; i < PLAIN_NODES; i++) {
		const struct plain_node *n = &t->node[i];
		if (n->named && n->parent == dir && n->name_len == len && memcmp(n->name, name, len) == 0)
			return i;
	}
	return -1;
}

int plain_by_id(const struct plain_tree *t, uint64_t id)
{
	for (int i = 0; i < PLAIN_NODES; i++)
		if (t->node[i].used && !t->node[i].link && t->node[i].attr.id == id)
			return i;
	return -1;
}

int plain_unused(const struct plain_tree *t)
{
	for (int i = 1; i < PLAIN_NODES; i++)
		if (!t->node[i].used)
			return i;
	return -1;
}

int plain_target(const struct plain_tree *t, int i)
{
	return t->node[i].link ? t->node[i].target : i;
}

int plain_links(const struct plain_tree *t, int i)
{
	int links = 0;

	for (int k = 1; k < PLAIN_NODES; k++)
		links += t->node[k].used && t->node[k].link && t->node[k].target == i;
	return links;
}

int plain_name_of(const struct plain_tree *t, uint64_t id, int dir, const char *name, size_t len)
{
	int i = plain_child(t, dir, name, len);
	return i >= 0 && t->node[plain_target(t, i)].attr.id == id ? i : -1;
}

bool plain_is_dir(const struct plain_tree *t, int i)
{
	return S_ISDIR(t->node[i].attr.mode);
}

bool plain_is_file(const struct plain_tree *t, int i)
{
	return S_ISREG(t->node[i].attr.mode);
}

bool plain_is_below(const struct plain_tree *t, int i, int ancestor)
{
	for (; i != ancestor; i = t->node[i].parent)
		if (i == 0)
			return false;
	return true;
}

bool plain_is_empty(const struct plain_tree *t, int dir)
{
	for (int i = 1; i < PLAIN_NODES; i++)
		if (t->node[i].named && t->node[i].parent == dir)
			return false;
	return true;
}

struct attr plain_attr(const struct plain_tree *t, int i)
{
	i = plain_target(t, i);
	struct attr a = t->node[i].attr;
	a.nlink = 0;
	a.expire_at_ms = t->node[i].expire_at_ms;
	if (plain_is_dir(t, i))
		a.size = 2 * DIRECTORY_ENTRY_SIZE;
	if (!t->node[i].named)
		return a;
	a.nlink = 1 + (uint32_t)plain_links(t, i);
	if (!plain_is_dir(t, i))
		return a;
	a.nlink = 2;
	for (int k = 1; k < PLAIN_NODES; k++) {
		if (!t->node[k].named || t->node[k].parent != i)
			continue;
		a.size += DIRECTORY_ENTRY_SIZE;
		a.nlink += plain_is_dir(t, k);
	}
	return a;
}

size_t plain_key(const struct plain_tree *t, int i, char *buf)
{
	if (i == 0)
		return 0;
	size_t len = plain_key(t, t->node[i].parent, buf);
	if (len)
		buf[len++] = '/';
	memcpy(buf + len, t->node[i].name, t->node[i].name_len);
	return len + t->node[i].name_len;
}

static void changed(struct plain_tree *t, int dir, int64_t now_ns)
{
	t->node[dir].attr.mtime_ns = t->node[dir].attr.ctime_ns = now_ns;
}

static void set_name(struct plain_node *n, int dir, const char *name, size_t len)
{
	n->parent = dir;
	n->name_len = len;
	memmove(n->name, name, len);
}

void plain_enter(struct plain_tree *t, int i, int dir, const char *name, size_t len, int64_t now_ns)
{
	struct plain_node *n = &t->node[i];

	n->used = n->named = true;
	n->link = false;
	n->expire_at_ms = 0;
	set_name(n, dir, name, len);
	n->attr.mtime_ns = n->attr.ctime_ns = now_ns;
	n->attr.atime_ns = keyspace_atime_at(now_ns);
	changed(t, dir, now_ns);
}

void plain_link(struct plain_tree *t, int link, int i, int dir, const char *name, size_t len, int64_t now_ns)
{
	struct plain_node *n = &t->node[link];

	n->used = n->named = n->link = true;
	n->target = i;
	n->expire_at_ms = 0;
	n->nlookup = 0;
	n->attr = (struct attr){ .mode = t->node[i].attr.mode & S_IFMT };
	set_name(n, dir, name, len);
	t->node[i].attr.ctime_ns = now_ns;
	changed(t, dir, now_ns);
}

/* The node has the name of a link instead. */
static void take_name(struct plain_tree *t, int i, int link)
{
	set_name(&t->node[i], t->node[link].parent, t->node[link].name, t->node[link].name_len);
	t->node[link].used = t->node[link].named = false;
}

void plain_leave(struct plain_tree *t, int i, int64_t now_ns)
{
	struct plain_node *n = &t->node[i];

	changed(t, n->parent, now_ns);
	t->node[plain_target(t, i)].attr.ctime_ns = now_ns;
	if (n->link) {
		n->used = n->named = false;
		return;
	}
	for (int k = 1; k < PLAIN_NODES; k++) {
		if (t->node[k].used && t->node[k].link && t->node[k].target == i) {
			take_name(t, i, k);
			return;
		}
	}
	n->named = false;
	n->expire_at_ms = 0;
	if (n->nlookup == 0)
		n->used = false;
}

void plain_move(struct plain_tree *t, int i, int dir, const char *name, size_t len, int64_t now_ns)
{
	struct plain_node *n = &t->node[i];

	changed(t, n->parent, now_ns);
	changed(t, dir, now_ns);
	set_name(n, dir, name, len);
	t->node[plain_target(t, i)].attr.ctime_ns = now_ns;
}

void plain_swap(struct plain_tree *t, int a, int b, int64_t now_ns)
{
	struct plain_node old = t->node[a];

	plain_move(t, a, t->node[b].parent, t->node[b].name, t->node[b].name_len, now_ns);
	plain_move(t, b, old.parent, old.name, old.name_len, now_ns);
}

void plain_resize(struct plain_tree *t, int i, uint64_t size)
{
	struct attr *a = &t->node[i].attr;

	if (size > a->size)
		memset(t->node[i].data + a->size, 0, size - a->size);
	a->size = size;
}

void plain_write(struct plain_tree *t, int i, uint64_t off, const void *data, size_t len)
{
	if (off + len > t->node[i].attr.size)
		plain_resize(t, i, off + len);
	memcpy(t->node[i].data + off, data, len);
}

void plain_forget(struct plain_tree *t, int i, uint32_t n)
{
	struct plain_node *p = &t->node[i];

	p->nlookup = n < p->nlookup ? p->nlookup - n : 0;
	if (p->nlookup == 0 && !p->named)
		p->used = false;
}
