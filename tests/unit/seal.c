/* seal.c -- a seal is byte for byte what format.h says, and any change to a sealed batch shows.
 * Method: a batch spelled out by hand, every record there and back, every bit flipped, every blob cut anywhere.       */
#include "persist/seal.h"

#include "persist/crc.h"
#include "persist/le.h"
#include "persist/resp.h"

#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define ALL_ATTRS                                                                                                                  \
	{                                                                                                                          \
		.mask = ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME | ATTR_CTIME, .mode = 04755, .uid = 1000,        \
		.gid = UINT32_MAX, .atime_ns = -1, .mtime_ns = INT64_MIN, .ctime_ns = INT64_MAX,                                   \
	}
#define OWNER {.mask = ATTR_MODE | ATTR_UID | ATTR_GID, .mode = 0755, .uid = 1, .gid = 2}

static const struct seal_record records[] = {
	{.kind = SEAL_ATTR, .path = "a/b", .path_len = 3, .attr = ALL_ATTRS},
	{.kind = SEAL_ATTR, .path_is_key = true, .attr = {.mask = ATTR_MTIME, .mtime_ns = 5}},
	{.kind = SEAL_ATTR, .path_is_key = true, .attr = {.mask = 0}},
	{.kind = SEAL_MKDIR, .path = "d", .path_len = 1, .attr = OWNER},
	{.kind = SEAL_SYMLINK, .path = "l", .path_len = 1, .attr = OWNER, .to = "../x\0y", .to_len = 6},
	{.kind = SEAL_REMOVE, .path = "d", .path_len = 1},
	{.kind = SEAL_RENAME, .path = "from", .path_len = 4, .to = "to", .to_len = 2, .flags = RENAME_SWAP},
	{.kind = SEAL_LINEAGE, .path = "", .number = UINT64_MAX},
	{.kind = SEAL_PARENT_TIME, .path_is_key = true, .number = (uint64_t)INT64_MIN},
	{.kind = SEAL_RESIZE, .path_is_key = true, .number = 1},
	{.kind = SEAL_MKNOD, .path = "d/c", .path_len = 3, .attr = {.mask = ATTR_MODE | ATTR_UID | ATTR_GID, .mode = S_IFCHR | 07777, .uid = 3},
	 .number = UINT32_MAX},
	{.kind = SEAL_XATTR, .path = "a/b", .path_len = 3, .xattr = {.name = "user.n", .name_len = 6, .value = "v\0w", .len = 3}},
	{.kind = SEAL_XATTR, .path_is_key = true, .xattr = {.name = "n", .name_len = 1, .value = "", .len = 0}},
	{.kind = SEAL_XATTR, .path_is_key = true, .flags = SEAL_XATTR_REMOVED, .xattr = {.name = "n", .name_len = 1}},
	{.kind = SEAL_COPY, .path_is_key = true, .number = 1, .length = UINT64_MAX, .to = "from", .to_len = 4, .from = 3},
	{.kind = SEAL_LINK, .path = "a", .path_len = 1, .to = "d/b", .to_len = 3},
	{.kind = SEAL_ZERO, .path = "k", .path_len = 1, .number = UINT64_MAX - 7, .length = 5},
};
enum { RECORDS = sizeof(records) / sizeof(records[0]) };

static bool same(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

static bool same_record(const struct seal_record *a, const struct seal_record *b)
{
	return a->kind == b->kind && a->path_is_key == b->path_is_key && a->flags == b->flags && a->number == b->number &&
	       a->length == b->length && a->from == b->from &&
	       same(a->path, a->path_len, b->path, b->path_len) && same(a->to, a->to_len, b->to, b->to_len) &&
	       memcmp(&a->attr, &b->attr, sizeof(a->attr)) == 0 && same(a->xattr.name, a->xattr.name_len, b->xattr.name, b->xattr.name_len) &&
	       same(a->xattr.value, a->xattr.len, b->xattr.value, b->xattr.len) && !a->xattr.value == !b->xattr.value;
}

/* SET k v and a seal with one record, as the specification has it. */
static void test_golden(void)
{
	static const char command[] = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n";
	static const char seal[] = "*2\r\n$4\r\nECHO\r\n$37\r\n"
	                           "KVFS\x01\x01\x01\x00\x07\x00\x00\x00\x00\x00\x00\x00\xef\xcd\xab\x89\x67\x45\x23\x01"
	                           "\x88\x02\x00\x00\x00\x00\x00\x00\x00";
	const struct seal_record r = {.kind = SEAL_RESIZE, .path_is_key = true, .number = 2};
	char want[256], got[256], *p;
	size_t len = sizeof(command) - 1 + sizeof(seal) - 1;

	memcpy(want, command, sizeof(command) - 1);
	memcpy(want + sizeof(command) - 1, seal, sizeof(seal) - 1);
	p = le_put32(want + len, crc32c(0, want, len));
	memcpy(p, "\r\n", 2);
	memcpy(got, command, sizeof(command) - 1);
	p = seal_begin(got + sizeof(command) - 1, seal_record_size(&r), SEAL_RECORDS_ONLY, 1, 7, INT64_C(0x0123456789abcdef));
	p = seal_finish(got, seal_put_record(p, &r));
	is_bytes(got, (size_t)(p - got), want, len + 6, "a batch is what format.h says");
	is((int64_t)seal_size(seal_record_size(&r)), (int64_t)(len + 6 - (sizeof(command) - 1)), "and as long as announced");
}

/* Every record in one batch; returns its length. */
static size_t make_batch(char **ret)
{
	size_t size = 0, i;
	char *batch, *p;

	for (i = 0; i < RECORDS; i++)
		size += seal_record_size(&records[i]);
	batch = malloc(seal_size(size));
	if (!batch)
		exit(1);
	p = seal_begin(batch, size, 0, RECORDS, UINT64_MAX, -1);
	for (i = 0; i < RECORDS; i++)
		p = seal_put_record(p, &records[i]);
	p = seal_finish(batch, p);
	is(p - batch, (int64_t)seal_size(size), "all records are as long as announced");
	*ret = batch;
	return seal_size(size);
}

static void test_records(const char *batch, size_t len)
{
	static const struct resp_limits limits = {.args_max = 2, .arg_max = 10000};
	struct resp_command c = {0};
	struct seal_record r;
	struct seal s;
	const char *why, *blob;
	size_t used = 0, pos = 0, i;

	is(resp_parse(batch, len, &limits, false, &c, &used, &why), RESP_OK, "a seal is a command");
	ok(used == len && c.argc == 2 && resp_is(&c.argv[0], "ECHO"), "ECHO with one argument");
	blob = c.argv[1].data;
	is(seal_parse(blob, c.argv[1].len, &s), 0, "whose argument is a seal");
	ok(s.seq == UINT64_MAX && s.time_ns == -1 && s.count == RECORDS && s.flags == 0, "with what was written");
	ok(s.crc == seal_crc(batch, blob + c.argv[1].len), "and a checksum that matches");
	for (i = 0; i < RECORDS; i++)
		ok(seal_next_record(&s, &pos, &r) == 1 && same_record(&r, &records[i]), "record %zu", i);
	is(seal_next_record(&s, &pos, &r), 0, "and no more");
	resp_command_fini(&c);
}

static void test_bit_flips(char *batch, size_t len)
{
	const char *end = batch + len - 2;
	uint32_t stored = le_get32(end - SEAL_CRC_SIZE);
	unsigned missed = 0;
	size_t bit;

	for (bit = 0; bit < 8 * (len - 2 - SEAL_CRC_SIZE); bit++) {
		batch[bit / 8] ^= (char)(1 << bit % 8);
		missed += seal_crc(batch, end) == stored;
		batch[bit / 8] ^= (char)(1 << bit % 8);
	}
	is(missed, 0, "no flipped bit goes unseen");
}

static void test_cut_records(void)
{
	unsigned wrong = 0;
	size_t i, cut;

	for (i = 0; i < RECORDS; i++) {
		size_t size = seal_record_size(&records[i]);
		char *text = malloc(size);

		if (!text)
			exit(1);
		seal_put_record(text, &records[i]);
		for (cut = 1; cut < size; cut++) {
			char *part = malloc(cut);  /* of that size, for the sanitizer */
			struct seal s = {.records = part, .records_len = cut};
			struct seal_record r;
			size_t pos = 0;

			if (!part)
				exit(1);
			memcpy(part, text, cut);
			wrong += seal_next_record(&s, &pos, &r) != -EPROTO || pos != 0;
			free(part);
		}
		free(text);
	}
	is(wrong, 0, "a record cut anywhere is refused");
}

static void test_refusals(void)
{
	char blob[28] = "KVFS\x01";
	struct seal s = {.records = "\x7f", .records_len = 1};
	struct seal_record r;
	size_t pos = 0;

	ok(seal_is("KVFS", 4) && !seal_is("KVF", 3) && !seal_is("KVFT", 4) && !seal_is("", 0), "the magic");
	is(seal_next_record(&s, &pos, &r), -EPROTO, "an unknown record");
	s = (struct seal){.records = "\x81\x08", .records_len = 2};
	is(seal_next_record(&s, &pos, &r), -EPROTO, "an attribute that is none (size)");
	s = (struct seal){.records = "\x8c\xff\x81\0\0....~~~~----", .records_len = 17};
	is((pos = 0, seal_next_record(&s, &pos, &r)), -EPROTO, "a special file that is a regular one");
	s.records = "\x8c\xff\x11\0\0....~~~~----";
	is(seal_next_record(&s, &pos, &r), 1, "and one that is a FIFO");
	pos = 0;
	s = (struct seal){.records = "\x8d\x02\x01n\x00", .records_len = 5};
	is(seal_next_record(&s, &pos, &r), -EPROTO, "an extended attribute with a flag that is none");
	s = (struct seal){.records = "\x8d\x00\x00\x00", .records_len = 4};
	is(seal_next_record(&s, &pos, &r), -EPROTO, "... without a name");
	s = (struct seal){.records = "\x8d\x01\x01n\x01v", .records_len = 6};
	is(seal_next_record(&s, &pos, &r), -EPROTO, "... that goes and has a value");
	is(seal_parse(blob, sizeof(blob), &s), 0, "the shortest seal");
	is(seal_parse(blob, sizeof(blob) - 1, &s), -EPROTO, "a shorter one");
	blob[4] = 2;
	is(seal_parse(blob, sizeof(blob), &s), -EPROTO, "another version");
}

static void test_aux_one(struct aux_attr a, size_t size, const char *name)
{
	struct aux_attr got = {0};
	char *text = malloc(aux_attr_size(&a)), *part;
	unsigned wrong = 0;
	size_t cut;

	if (!text)
		exit(1);
	is((int64_t)aux_attr_size(&a), (int64_t)size, "%s: size", name);
	is(aux_attr_write(text, &a) - text, (int64_t)size, "%s: written", name);
	is(aux_attr_parse(text, size, &got), 0, "%s: read", name);
	ok(got.kind == a.kind && memcmp(&got.attr, &a.attr, sizeof(a.attr)) == 0 && same(got.path, got.path_len, a.path, a.path_len) &&
	   same(got.target, got.target_len, a.target, a.target_len) && got.rdev == a.rdev && got.link == a.link, "%s: the same", name);
	for (cut = 0; cut < size; cut++) {
		part = malloc(cut + 1);
		if (!part)
			exit(1);
		memcpy(part, text, cut);
		wrong += aux_attr_parse(part, cut, &got) != -EPROTO;
		free(part);
	}
	is(wrong, 0, "%s: cut anywhere, refused", name);
	text[0] = 2;
	is(aux_attr_parse(text, size, &got), -ENOTSUP, "%s: of another version", name);
	text[0] = AUX_VERSION;
	text[1] = 5;
	is(aux_attr_parse(text, size, &got), -EPROTO, "%s: of another kind", name);
	free(text);
}

/* Two extended attributes more. */
static void test_aux_xattrs(struct aux_attr a)
{
	struct xattrs *one, *two;
	struct aux_attr got;
	struct xattr x;
	size_t pos = 0;
	char text[256];

	if (xattrs_with(NULL, &(struct xattr){.name = "user.b", .name_len = 6, .value = "bb", .len = 2}, &one) ||
	    xattrs_with(one, &(struct xattr){.name = "user.a", .name_len = 6, .value = ""}, &two))
		exit(1);
	a.xattrs = two;
	test_aux_one(a, 3 + 12 + 8 + 8 + 4 + 10 + 1 + (7 + 1) + (7 + 3), "with extended attributes");
	aux_attr_write(text, &a);
	is(aux_attr_parse(text, aux_attr_size(&a), &got), 0, "and again");
	ok(aux_next_xattr(got.xattr, got.xattr_len, &pos, &x) == 1 && same(x.name, x.name_len, "user.a", 6) && x.value && x.len == 0,
	   "the first of them");
	ok(aux_next_xattr(got.xattr, got.xattr_len, &pos, &x) == 1 && same(x.name, x.name_len, "user.b", 6) && same(x.value, x.len, "bb", 2),
	   "the second");
	is(aux_next_xattr(got.xattr, got.xattr_len, &pos, &x), 0, "and no more");
	xattrs_unref(one);
	xattrs_unref(two);
}

static void test_aux_wrong_type(struct aux_attr a)
{
	char *text = malloc(aux_attr_size(&a));

	if (!text)
		exit(1);
	a.attr.mode = S_IFDIR | 0755;
	aux_attr_write(text, &a);
	is(aux_attr_parse(text, aux_attr_size(&a), &a), -EPROTO, "a special file that is a directory");
	free(text);
}

static void test_aux_linked(struct aux_attr a)
{
	char text[3 + 12 + 8 + 8];

	aux_attr_write(text, &a);
	text[1] = AUX_DIRECTORY;
	is(aux_attr_parse(text, sizeof(text), &a), -EPROTO, "a directory with a number");
	text[1] = AUX_VALUE;
	memset(text + sizeof(text) - 8, 0, 8);
	is(aux_attr_parse(text, sizeof(text), &a), -EPROTO, "a number that is none");
}

static void test_aux(void)
{
	struct aux_attr a = {.kind = AUX_VALUE, .attr = ALL_ATTRS};

	test_aux_one(a, 3 + 12 + 24, "value");
	a.attr.atime_ns = a.attr.ctime_ns = a.attr.mtime_ns;
	test_aux_one(a, 3 + 12 + 8, "value with one time");
	a.link = UINT64_MAX - 1;
	test_aux_one(a, 3 + 12 + 8 + 8, "value with a number");
	test_aux_linked(a);
	a.link = 0;
	a.kind = AUX_DIRECTORY;
	a.path = "";
	test_aux_one(a, 3 + 12 + 8 + 1, "the root");
	a.kind = AUX_SYMLINK;
	a.path = "a/b";
	a.path_len = 3;
	a.target = "../target";
	a.target_len = 9;
	a.attr.ctime_ns = 1;
	test_aux_one(a, 3 + 12 + 8 + 8 + 4 + 10, "symlink");
	test_aux_xattrs(a);
	a.kind = AUX_SPECIAL;
	a.attr.mode = S_IFBLK | 0660;
	a.rdev = 0x12345678;
	a.target_len = 0;
	test_aux_one(a, 3 + 12 + 8 + 8 + 4 + 4, "special file");
	test_aux_wrong_type(a);
}

int main(void)
{
	char *batch;
	size_t len;

	test_golden();
	len = make_batch(&batch);
	test_records(batch, len);
	test_bit_flips(batch, len);
	free(batch);
	test_cut_records();
	test_refusals();
	test_aux();
	return tap_end();
}
