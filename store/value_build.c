/* value_build.c -- see value_build.h. */
#include "store/value_build.h"
#include "store/value_inside.h"

#include <errno.h>
#include <string.h>

static int grow(struct value_build *b, uint64_t size)
{
	struct value_edit e;

	if (size > VALUE_SIZE_MAX)
		return -EFBIG;
	int err = value_edit_resize(&e, b->value, b->size, size);
	if (err)
		return err;
	b->value = value_edit_commit(&e, 0, NULL, 0);
	b->size = size;
	return 0;
}

int value_build_add(struct value_build *b, uint64_t off, const void *data, size_t len)
{
	int err = 0;

	if (off < b->size)
		return -EINVAL;
	for (const char *from = data; len && !err;) {
		size_t in = off % VALUE_CHUNK, n = VALUE_CHUNK - in < len ? VALUE_CHUNK - in : len;
		if (memcmp(from, value_zeros, n) == 0) {
			err = grow(b, off + n);
		} else {
			struct value_edit e;
			err = value_edit_write(&e, b->value, b->size, off, n);
			if (!err) {
				b->value = value_edit_commit(&e, off, from, n);
				b->size = e.size;
			}
		}
		from += n, off += n, len -= n;
	}
	return err;
}

int value_build_end(struct value_build *b, uint64_t size, struct value **ret)
{
	int err = size < b->size ? -EINVAL : grow(b, size);

	if (err)
		return err;
	*ret = b->value;
	*b = (struct value_build){ 0 };
	return 0;
}

void value_build_drop(struct value_build *b)
{
	value_unref(b->value);
	*b = (struct value_build){ 0 };
}
