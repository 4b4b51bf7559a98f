/* manifest.c -- any bytes as a manifest; what was read is written again and must read the same. */
#include "persist/manifest.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* How many files of TYPE stand before INDEX. */
static size_t rank(const struct manifest *m, size_t index)
{
	size_t i, n = 0;

	for (i = 0; i < index; i++)
		n += m->file[i].type == m->file[index].type;
	return n;
}

static void check_same(const struct manifest *a, const struct manifest *b)
{
	size_t i, k;

	check(a->count == b->count);
	for (i = 0; i < a->count; i++) {
		for (k = 0; k < b->count; k++) {
			if (b->file[k].type == a->file[i].type && rank(b, k) == rank(a, i))
				break;
		}
		check(k < b->count && a->file[i].seq == b->file[k].seq && strcmp(a->file[i].name, b->file[k].name) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct manifest m = {0}, again = {0}, copy = {0};
	struct error e = {""};
	struct bytes text = {0};

	if (manifest_parse((const char *)data, len, &m, &e) < 0) {
		check(e.text[0] != '\0');
		return 0;
	}
	check(manifest_clone(&m, &copy) == 0);
	check_same(&m, &copy);
	check(manifest_format(&m, &text) == 0);
	if (m.count > 0 && m.count < 100) {
		int r = manifest_parse(text.data, text.len, &again, &e);

		/* a name of many bytes that need quotes may not fit in a line any more */
		check(r == 0 || text.len > MANIFEST_LINE_MAX);
		if (r == 0)
			check_same(&m, &again);
	}
	check(manifest_max_seq(&m, MANIFEST_INCR) >= (manifest_last_incr(&m) ? manifest_last_incr(&m)->seq : 0));
	bytes_fini(&text);
	manifest_fini(&m);
	manifest_fini(&again);
	manifest_fini(&copy);
	return 0;
}
