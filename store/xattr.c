/* xattr.c -- see xattr.h. */
#include "store/xattr.h"
#include "store/memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct xattrs {
	_Atomic uint32_t references;
	uint32_t count;
	uint32_t names;             /* bytes of the names, each with a NUL */
	uint32_t len;               /* of data */
	char data[];
};

enum { ENTRY_HEADER = 1 + sizeof(uint32_t) };

struct xattrs *xattrs_ref(struct xattrs *x)
{
	if (x)
		atomic_fetch_add_explicit(&x->references, 1, memory_order_relaxed);
	return x;
}

void xattrs_unref(struct xattrs *x)
{
	if (x && atomic_fetch_sub_explicit(&x->references, 1, memory_order_acq_rel) == 1)
		free(x);
}

unsigned xattrs_count(const struct xattrs *x)
{
	return x ? x->count : 0;
}

size_t xattrs_memory(const struct xattrs *x)
{
	return x ? memory_of(sizeof(*x) + x->len) : 0;
}

bool xattrs_next(const struct xattrs *x, size_t *pos, struct xattr *ret)
{
	uint32_t len;

	if (!x || *pos == x->len)
		return false;
	const char *p = x->data + *pos;
	ret->name_len = (unsigned char)*p;
	memcpy(&len, p + 1, sizeof len);
	ret->len = len;
	ret->name = p + ENTRY_HEADER;
	ret->value = ret->name + ret->name_len;
	*pos += ENTRY_HEADER + ret->name_len + len;
	return true;
}

/* As memcmp, with the shorter one first. */
static int compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int d = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return d ? d : (a_len > b_len) - (a_len < b_len);
}

bool xattrs_find(const struct xattrs *x, const char *name, size_t len, struct xattr *ret)
{
	size_t pos = 0;

	while (xattrs_next(x, &pos, ret)) {
		int d = compare(ret->name, ret->name_len, name, len);
		if (d >= 0)
			return d == 0;
	}
	return false;
}

static char *put(char *p, const struct xattr *a)
{
	uint32_t len = (uint32_t)a->len;

	*p++ = (char)a->name_len;
	memcpy(p, &len, sizeof len);
	p += sizeof len;
	memcpy(p, a->name, a->name_len);
	p += a->name_len;
	if (len)
		memcpy(p, a->value, len);
	return p + len;
}

/* The new block's lengths. */
static int measure(const struct xattrs *x, const struct xattr *change, struct xattrs *ret)
{
	struct xattr old;
	uint64_t len = x ? x->len : 0, names = x ? x->names : 0;
	uint32_t count = x ? x->count : 0;

	if (xattrs_find(x, change->name, change->name_len, &old)) {
		len -= ENTRY_HEADER + old.name_len + old.len;
		names -= old.name_len + 1;
		count--;
	}
	if (change->value) {
		len += ENTRY_HEADER + change->name_len + change->len;
		names += change->name_len + 1;
		count++;
		if (len > XATTRS_BYTES_MAX || names > XATTRS_LIST_MAX)
			return -ENOSPC;
	}
	ret->len = (uint32_t)len;
	ret->names = (uint32_t)names;
	ret->count = count;
	return 0;
}

int xattrs_with(const struct xattrs *x, const struct xattr *change, struct xattrs **ret)
{
	struct xattrs sizes;
	struct xattr a;
	size_t pos = 0;
	bool placed = !change->value;

	if (change->name_len == 0 || memchr(change->name, 0, change->name_len))
		return -EINVAL;
	if (change->name_len > XATTRS_NAME_MAX)
		return -ERANGE;
	if (change->len > XATTRS_VALUE_MAX)
		return -E2BIG;
	int err = measure(x, change, &sizes);
	if (err)
		return err;
	*ret = NULL;
	if (sizes.count == 0)
		return 0;
	struct xattrs *n = malloc(sizeof *n + sizes.len);
	if (!n)
		return -ENOMEM;
	atomic_init(&n->references, 1);
	n->count = sizes.count;
	n->names = sizes.names;
	n->len = sizes.len;
	char *p = n->data;
	while (xattrs_next(x, &pos, &a)) {
		int d = compare(a.name, a.name_len, change->name, change->name_len);
		if (d >= 0 && !placed) {
			p = put(p, change);
			placed = true;
		}
		if (d != 0)
			p = put(p, &a);
	}
	if (!placed)
		put(p, change);
	*ret = n;
	return 0;
}
