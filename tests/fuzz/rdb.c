/* rdb.c -- any bytes as an RDB file and as a DUMP payload.  A random change would never get past the checksum, so each input is read
 * once as it is and once with the checksum mended.                                                                                  */
#include "persist/crc.h"
#include "persist/le.h"
#include "persist/rdb.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool holds)
{
	if (!holds)
		abort();
}

struct seen {
	const char *data;
	size_t len;
	uint64_t last_offset;
	unsigned sum;
};

/* Touches every byte, for the sanitizer. */
static void touch(struct seen *s, const char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		s->sum += (unsigned char)p[i];
}

static int on_aux(void *ctx, const struct rdb_aux *a, struct error *e)
{
	(void)e;
	touch(ctx, a->name, a->name_len);
	touch(ctx, a->value, a->value_len);
	return 0;
}

static int on_resize(void *ctx, uint64_t db, uint64_t keys, uint64_t expires)
{
	(void)ctx;
	(void)db;
	(void)keys;
	(void)expires;
	return 0;
}

static int on_key(void *ctx, const struct rdb_key *k, struct error *e)
{
	struct seen *s = ctx;

	(void)e;
	check(k->offset > s->last_offset && k->offset < s->len);
	s->last_offset = k->offset;
	touch(s, k->key, k->key_len);
	if (k->type)
		check(k->type[0] != '\0' && k->value_len == 0);
	else if (k->made)
		check(k->value_len > 1 << 20 && value_memory(*k->made, k->value_len) < (1 << 20) + 100 * s->len);
	else
		touch(s, k->value, k->value_len);
	return 0;
}

static void on_progress(void *ctx, size_t done)
{
	struct seen *s = ctx;

	check(done <= s->len);
}

static void read_file(const char *data, size_t len)
{
	struct seen s = {.data = data, .len = len};
	const struct rdb_handler h = {.ctx = &s, .aux = on_aux, .resize = on_resize, .key = on_key, .progress = on_progress};
	struct error e = {""};
	size_t used = 0;
	int r = rdb_read(data, len, &h, &used, &e);

	if (r == 0)
		check(used <= len && used > 9 && rdb_is(data, len));
	else
		check(e.text[0] != '\0');
}

static void read_payload(const char *data, size_t len)
{
	struct bytes value = {0};
	const char *type = NULL;
	struct error e = {""};

	if (rdb_read_dump(data, len, &value, &type, &e) < 0)
		check(e.text[0] != '\0');
	bytes_fini(&value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *mended;

	read_file((const char *)data, len);
	read_payload((const char *)data, len);
	if (len < 10)
		return 0;
	mended = malloc(len);
	check(mended != NULL);
	memcpy(mended, data, len);
	le_put64(mended + len - 8, crc64(0, mended, len - 8));
	read_file(mended, len);
	le_put16(mended + len - 10, 10);
	le_put64(mended + len - 8, crc64(0, mended, len - 8));
	read_payload(mended, len);
	free(mended);
	return 0;
}
