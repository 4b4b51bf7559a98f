/* seal.c -- any bytes as a seal's blob and as an AUX attribute; what was read is written again and must read the same. */
#include "persist/seal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static bool same(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

static void check_record(const struct seal_record *r)
{
	size_t size = seal_record_size(r), pos = 0;
	char *text = malloc(size);
	struct seal_record again;
	struct seal s = {.records = text, .records_len = size};

	check(text != NULL);
	check(seal_put_record(text, r) == text + size);
	check(seal_next_record(&s, &pos, &again) == 1 && pos == size);
	check(again.kind == r->kind && again.path_is_key == r->path_is_key && again.flags == r->flags && again.number == r->number);
	check(again.length == r->length && again.from == r->from);
	check(same(again.path, again.path_len, r->path, r->path_len) && same(again.to, again.to_len, r->to, r->to_len));
	check(memcmp(&again.attr, &r->attr, sizeof(r->attr)) == 0);
	check(same(again.xattr.name, again.xattr.name_len, r->xattr.name, r->xattr.name_len));
	check(same(again.xattr.value, again.xattr.len, r->xattr.value, r->xattr.len) && !again.xattr.value == !r->xattr.value);
	free(text);
}

static void read_seal(const uint8_t *data, size_t len)
{
	struct seal_record r;
	struct seal s;
	size_t pos = 0;

	if (seal_parse(data, len, &s) < 0)
		return;
	check(seal_is(data, len));
	(void)seal_crc(data, data + len);
	while (seal_next_record(&s, &pos, &r) == 1)
		check_record(&r);
	check(pos <= s.records_len);
}

static void read_aux(const uint8_t *data, size_t len)
{
	struct aux_attr a, again;
	struct aux_sparse piece;
	char head[AUX_SPARSE_SIZE];
	struct xattr x;
	size_t size, pos = 0;
	char *text;

	if (aux_sparse_parse(data, len, &piece) == 1) {
		check(piece.off <= piece.size && piece.len <= piece.size - piece.off && piece.len == len - AUX_SPARSE_SIZE);
		check(aux_sparse_write(head, &piece) == head + AUX_SPARSE_SIZE && memcmp(head, data, AUX_SPARSE_SIZE) == 0);
	}
	if (aux_attr_parse(data, len, &a) < 0)
		return;
	while (aux_next_xattr(a.xattr, a.xattr_len, &pos, &x))
		check(x.name_len > 0 && x.name_len <= XATTRS_NAME_MAX && x.len <= XATTRS_VALUE_MAX);
	check(pos == a.xattr_len);
	size = aux_attr_size(&a);
	text = malloc(size);
	check(text != NULL);
	check(aux_attr_write(text, &a) == text + size);
	check(aux_attr_parse(text, size, &again) == 0);
	check(again.kind == a.kind && again.escaped == a.escaped && again.rdev == a.rdev && again.link == a.link && memcmp(&again.attr, &a.attr, sizeof(a.attr)) == 0);
	check(same(again.path, again.path_len, a.path, a.path_len) && same(again.target, again.target_len, a.target, a.target_len));
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	read_seal(data, len);
	read_aux(data, len);
	return 0;
}
