/* rdb.c -- what we write reads back the same, what redis-server wrote is read whole, and damage never passes.
 * Method: values of every length that matters through writer and reader; a file and DUMP payloads of redis-server 7.0.15; files of older
 * and newer formats spelled out by hand; every cut and every flipped bit of a whole file.                                            */
#include "persist/rdb.h"
#include "store/value_build.h"

#include "persist/crc.h"
#include "persist/le.h"
#include "persist/seal.h"

#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

/* ---- a handler that prints: "db/key=value@expiry " or "db/key:type@expiry ", long values as their length and CRC ---- */

struct printed {
	struct bytes text;
	struct bytes aux;      /* "name=value " but kvfs */
	unsigned attrs;        /* AUX kvfs */
	struct aux_attr last;
	uint64_t keys, expires;
};

static int print_aux(void *ctx, const struct rdb_aux *a, struct error *e)
{
	struct printed *p = ctx;

	if (a->name_len == strlen(AUX_ATTR) && memcmp(a->name, AUX_ATTR, a->name_len) == 0) {
		p->attrs++;
		return aux_attr_parse(a->value, a->value_len, &p->last) < 0 ? error_set(e, -EPROTO, "attributes") : 0;
	}
	return bytes_addf(&p->aux, "%.*s=%.*s ", (int)a->name_len, a->name, (int)a->value_len, a->value);
}

static int print_resize(void *ctx, uint64_t db, uint64_t keys, uint64_t expires)
{
	struct printed *p = ctx;

	(void)db;
	p->keys = keys;
	p->expires = expires;
	return 0;
}

static uint32_t crc_of_made(const struct value *v, size_t len)
{
	char *bytes = malloc(len);
	uint32_t crc;

	if (!bytes)
		exit(1);
	value_copy_out(v, len, 0, bytes, len);
	crc = crc32c(0, bytes, len);
	free(bytes);
	return crc;
}

static int print_key(void *ctx, const struct rdb_key *k, struct error *e)
{
	struct printed *p = ctx;

	(void)e;
	bytes_addf(&p->text, "%d/%.*s", (int)k->db, (int)k->key_len, k->key);
	if (k->type)
		bytes_addf(&p->text, ":%s", k->type);
	else if (k->made)
		bytes_addf(&p->text, "=%zu,%08x", k->value_len, crc_of_made(*k->made, k->value_len));
	else if (k->value_len <= 20)
		bytes_addf(&p->text, "=%.*s", (int)k->value_len, k->value);
	else
		bytes_addf(&p->text, "=%zu,%08x", k->value_len, crc32c(0, k->value, k->value_len));
	if (k->expire_at_ms != 0)
		bytes_addf(&p->text, "@%lld", (long long)k->expire_at_ms);
	return bytes_addf(&p->text, " ");
}

static void printed_fini(struct printed *p)
{
	bytes_fini(&p->text);
	bytes_fini(&p->aux);
}

static const char *text_of(struct bytes *b)
{
	if (bytes_reserve(b, 1) < 0)
		exit(1);
	b->data[b->len] = '\0';
	return b->data;
}

/* The bytes stand in memory of exactly their size, so that a sanitizer sees a step too far. */
static int read_all(const void *data, size_t len, struct printed *p, size_t *ret_used, struct error *e)
{
	const struct rdb_handler h = {.ctx = p, .aux = print_aux, .resize = print_resize, .key = print_key};
	char *copy = malloc(len ? len : 1);
	int r;

	if (!copy)
		exit(1);
	if (len > 0)
		memcpy(copy, data, len);
	r = rdb_read(copy, len, &h, ret_used, e);
	free(copy);
	return r;
}

/* ---- writing and reading back ---- */

struct limited {
	struct bytes file;
	size_t fail_at;        /* bytes after which the sink fails; 0: never */
};

static int sink(void *ctx, const void *data, size_t len)
{
	struct limited *l = ctx;

	if (l->fail_at && l->file.len + len > l->fail_at)
		return -ENOSPC;
	return bytes_add(&l->file, data, len);
}

static struct value *make_value(const char *data, size_t len)
{
	struct value_edit e;

	if (len == 0)
		return NULL;
	if (value_edit_write(&e, NULL, 0, 0, len) < 0)
		exit(1);
	return value_edit_commit(&e, 0, data, len);
}

static struct snapshot_entry entry(const char *key, mode_t mode, struct value *v, size_t size, int64_t expire_at_ms)
{
	return (struct snapshot_entry){
		.attr = {.mode = mode, .uid = 5, .gid = 6, .atime_ns = 7, .mtime_ns = 8, .ctime_ns = 9, .size = size},
		.key = key,
		.key_len = strlen(key),
		.value = v,
		.expire_at_ms = expire_at_ms,
	};
}

/* Writes one value under KEY and compares what comes back. */
static bool value_survives(const struct rdb_options *o, const char *key, const char *data, size_t len, size_t *ret_file_len)
{
	struct value *v = make_value(data, len);
	struct snapshot_entry e = entry(key, S_IFREG | 0640, v, len, 0);
	struct snapshot_totals totals = {.keys = 1, .nodes = 1};
	struct rdb_key want = {.key = key, .key_len = strlen(key), .value = data, .value_len = len};
	struct printed got = {0}, wanted = {0};
	struct rdb_writer *w = NULL;
	struct limited out = {0};
	struct error err = {""};
	size_t used = 0;
	bool same;

	if (rdb_writer_new(o, sink, &out, &w) < 0)
		exit(1);
	same = rdb_writer_begin(w, &totals) == 0 && rdb_writer_entry(w, &e) == 0 && rdb_writer_end(w) == 0;
	same = same && read_all(out.file.data, out.file.len, &got, &used, &err) == 0 && used == out.file.len;
	print_key(&wanted, &want, &err);
	same = same && strcmp(text_of(&got.text), text_of(&wanted.text)) == 0;
	same = same && got.attrs == 1 && got.last.kind == AUX_VALUE && got.last.attr.mode == 0640 && got.last.attr.ctime_ns == 9;
	if (!same)
		diag("%s", err.text);
	*ret_file_len = out.file.len;
	rdb_writer_free(w);
	value_unref(v);
	printed_fini(&got);
	printed_fini(&wanted);
	bytes_fini(&out.file);
	return same;
}

static void test_values(void)
{
	static const size_t sizes[] = {0, 1, 20, 21, 63, 64, 1023, 1024, 1025, 16383, 16384, 16385, 131072, 1000000, 1048576, 1048577, 5000000};
	static const char *numbers[] = {"0", "-1", "127", "128", "-128", "-129", "32767", "32768", "-32769", "2147483647", "-2147483648",
	                                "2147483648", "-2147483649", "-0", "007", "+1", "-", "1x", "12345678901", "123456789012"};
	struct rdb_options o = {.checksum = true};
	size_t i, k, len, packed_len = 0;
	char *data = malloc(sizes[16]);
	unsigned state = 1;

	if (!data)
		exit(1);
	for (k = 0; k < 4; k++) {
		o.compress = k & 1;
		for (i = 0; i < sizes[16]; i++) {
			state = state * 1103515245 + 12345;
			data[i] = k & 2 ? (char)(state >> 16) : "some text, "[i % 11];
		}
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			ok(value_survives(&o, "key", data, sizes[i], &len), "%s%s value of %zu bytes", k & 2 ? "random" : "text",
			   o.compress ? ", compressed," : "", sizes[i]);
			if (sizes[i] == 1000000 && k == 1)
				packed_len = len;
		}
	}
	ok(packed_len > 0 && packed_len < 100000, "text is really compressed (%zu bytes of 1000000)", packed_len);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		ok(value_survives(&o, "key", numbers[i], strlen(numbers[i]), &len), "value %s", numbers[i]);
		ok(value_survives(&o, numbers[i], "x", 1, &len), "key %s", numbers[i]);
	}
	free(data);
}

static void test_whole_file(void)
{
	const struct rdb_options o = {.compress = true, .checksum = true, .is_aof_base = true, .origin = { .lineage = 0xabc, .seq = UINT64_MAX },
	                              .now_ns = INT64_C(1700000000) * 1000000000};
	const struct snapshot_totals totals = {.keys = 1, .expires = 1, .nodes = 5};
	struct value *target = make_value("../target", 9), *value = make_value("v", 1);
	struct snapshot_entry entries[] = {
		entry("", S_IFDIR | 0755, NULL, 0, 0),
		entry("dir", S_IFDIR | 01777, NULL, 0, 0),
		entry("dir/k", S_IFREG | 0600, value, 1, INT64_C(1700000000123)),
		entry("dev", S_IFBLK | 0660, NULL, 0, 0),
		entry("link", S_IFLNK | 0777, target, 9, 0),
	};
	struct limited out = {0}, broken = {.fail_at = 10};
	struct printed p = {0};
	struct error e = {""};
	struct rdb_writer *w;
	size_t used = 0, i;
	int r;

	if (rdb_writer_new(&o, sink, &out, &w) < 0)
		exit(1);
	r = rdb_writer_begin(w, &totals);
	for (i = 0; i < 5 && r == 0; i++)
		r = rdb_writer_entry(w, &entries[i]);
	is(r < 0 ? r : rdb_writer_end(w), 0, "a small file is written");
	rdb_writer_free(w);
	is(read_all(out.file.data, out.file.len, &p, &used, &e), 0, "and read%s", e.text);
	is_bytes(out.file.data, 9, "REDIS0009", 9, "version 9");
	is_text(text_of(&p.text), "0/dir/k=v@1700000000123 ", "one key");
	is_text(text_of(&p.aux), "redis-ver=7.0.15 redis-bits=64 ctime=1700000000 aof-base=1 kvfs-ver=1 kvfs-id=0000000000000abc "
	        "kvfs-seq=18446744073709551615 ", "the fields at the top");
	is(p.attrs, 5, "attributes of five nodes");
	ok(p.last.kind == AUX_SYMLINK && p.last.target_len == 9 && p.last.path_len == 4 && p.last.attr.mode == 0777, "the last is the symlink");
	ok(p.keys == 1 && p.expires == 1, "the hint of sizes");

	if (rdb_writer_new(&o, sink, &broken, &w) < 0)
		exit(1);
	rdb_writer_begin(w, &totals);
	is(rdb_writer_end(w), -ENOSPC, "an error of the sink comes back");
	is(rdb_writer_end(w), -ENOSPC, "and stays");
	rdb_writer_free(w);
	value_unref(target);
	value_unref(value);
	printed_fini(&p);
	bytes_fini(&out.file);
	bytes_fini(&broken.file);
}

/* A value of SIZE bytes, a hole but for five bytes at OFF. */
static struct value *sparse_value(uint64_t size, uint64_t off)
{
	struct value_build b = {0};
	struct value *v;

	if (value_build_add(&b, off, "hello", 5) < 0 || value_build_end(&b, size, &v) < 0)
		exit(1);
	return v;
}

static void write_one(const struct rdb_options *o, const struct snapshot_entry *e, struct limited *out)
{
	const struct snapshot_totals totals = {.keys = 1};
	struct rdb_writer *w;

	if (rdb_writer_new(o, sink, out, &w) < 0)
		exit(1);
	is(rdb_writer_begin(w, &totals) < 0 || rdb_writer_entry(w, e) < 0 || rdb_writer_end(w) < 0, 0, "a sparse value is written");
	rdb_writer_free(w);
}

static int see_made(void *ctx, const struct rdb_key *k, struct error *e)
{
	(void)e;
	*(uint64_t *)ctx = k->made ? value_memory(*k->made, k->value_len) : UINT64_MAX;
	return 0;
}

/* Holes are short in the file and take no memory when they are read. */
static void test_sparse(void)
{
	enum { SIZE = 30 << 20, OFF = 20 << 20 };
	const struct rdb_options o = {.checksum = true};
	struct value *v = sparse_value(SIZE, OFF);
	struct snapshot_entry e = entry("k", S_IFREG | 0644, v, SIZE, 0);
	struct limited out = {0};
	struct printed p = {0};
	struct error err = {""};
	uint64_t memory = 0;
	const struct rdb_handler h = {.ctx = &memory, .key = see_made};
	char want[40], *bytes = calloc(1, SIZE);
	size_t used;

	if (!bytes)
		exit(1);
	memcpy(bytes + OFF, "hello", 5);
	write_one(&o, &e, &out);
	ok(out.file.len < 450000, "in %zu bytes, also without compression", out.file.len);
	is(read_all(out.file.data, out.file.len, &p, &used, &err), 0, "and read%s", err.text);
	snprintf(want, sizeof(want), "0/k=%d,%08x ", SIZE, crc32c(0, bytes, SIZE));
	is_text(text_of(&p.text), want, "as it was");
	is(rdb_read(out.file.data, out.file.len, &h, &used, &err), 0, "again");
	ok(memory < 40000, "its hole takes no memory (%llu)", (unsigned long long)memory);
	out.file.data[out.file.len - 100]++;
	ok(rdb_read(out.file.data, out.file.len, &h, &used, &err) < 0, "a damaged one is refused");
	free(bytes);
	value_unref(v);
	printed_fini(&p);
	bytes_fini(&out.file);
}

struct pieces { int count; struct aux_sparse last; bool empty_key; };

static int see_piece(void *ctx, const struct rdb_aux *a, struct error *e)
{
	struct pieces *p = ctx;

	(void)e;
	if (aux_sparse_parse(a->value, a->value_len, &p->last) == 1) {
		p->count++;
		ok(p->last.len == 0 || memcmp(p->last.data + 5, "hello", 5) == 0, "a piece");
	}
	return 0;
}

static int see_empty(void *ctx, const struct rdb_key *k, struct error *e)
{
	(void)e;
	((struct pieces *)ctx)->empty_key = k->value_len == 0 && !k->made;
	return 0;
}

/* What Redis can't hold is an empty key for it, and its pieces stand before. */
static void test_larger_than_redis(void)
{
	const uint64_t size = UINT64_C(1) << 40, off = UINT64_C(500) << 30;
	const struct rdb_options o = {.checksum = true, .compress = true};
	struct value *v = sparse_value(size, off + 5);
	struct snapshot_entry e = entry("k", S_IFREG | 0644, v, size, 0);
	struct pieces p = {0};
	const struct rdb_handler h = {.ctx = &p, .aux = see_piece, .key = see_empty};
	struct limited out = {0};
	struct error err = {""};
	size_t used;

	write_one(&o, &e, &out);
	ok(out.file.len < 1000, "in %zu bytes", out.file.len);
	is(rdb_read(out.file.data, out.file.len, &h, &used, &err), 0, "and read%s", err.text);
	ok(p.count == 2 && p.last.off == off && p.last.size == size && p.last.len == VALUE_CHUNK, "its pieces");
	ok(p.empty_key, "and the key");
	value_unref(v);
	bytes_fini(&out.file);
}

/* ---- what others wrote ---- */

static char *read_file(const char *path, size_t *ret_len)
{
	FILE *f = fopen(path, "rb");
	char *data = malloc(1 << 20);

	if (!f || !data) {
		diag("%s can't be read", path);
		exit(1);
	}
	*ret_len = fread(data, 1, 1 << 20, f);
	fclose(f);
	return data;
}

static void test_redis_file(void)
{
	static const char *const keys[] = {
		"0/123=k ", "0/-129=k ", "0/70000=k ", "0/int:-2147483649=-2147483649 ", "0/int:-32769=-32769 ", "0/int:007=007 ",
		"0/int:127=127 ", "0/int:128=128 ", "0/int:2147483647=2147483647 ", "0/ttl=x@1999999999123 ", "0/empty= ",
		"0/h:hash@1999999999456 ", "0/hbig:hash ", "0/l1:list ", "0/l2:list ", "0/l3:list ", "0/si:set ", "0/sbig:set ",
		"0/zs:zset ", "0/zbig:zset ", "0/st:stream ", "3/indb3=v ", "0/kkkkkkkkkkkkkkkkkkkkkkkkkkkkkk=v ",
	};
	struct printed p = {0};
	struct error e = {""};
	size_t len, used = 0, i, bit, cut;
	unsigned missed = 0, count = 0;
	char *data = read_file("tests/data/redis-7.0.15-types.rdb", &len);
	char zz[6000], want[64];

	if (ok(read_all(data, len, &p, &used, &e) == 0 && used == len, "a file of redis-server is read to its end%s", e.text)) {
		for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			ok(strstr(text_of(&p.text), keys[i]) != NULL, "it has %s", keys[i]);
		for (i = 0; i < sizeof(zz); i++)
			zz[i] = "abc"[i % 3];
		snprintf(want, sizeof(want), "0/zz=6000,%08x ", crc32c(0, zz, sizeof(zz)));
		ok(strstr(text_of(&p.text), want) != NULL, "it has a compressed value, %s", want);
		for (i = 0; i < p.text.len; i++)
			count += p.text.data[i] == ' ';
		is(count, 41, "all of its keys");
		ok(strstr(text_of(&p.aux), "redis-ver=7.0.15 ") != NULL, "and its AUX fields");
	}
	for (bit = 0; bit < 8 * len; bit++) {
		data[bit / 8] ^= (char)(1 << bit % 8);
		p.text.len = p.aux.len = 0;
		e.text[0] = '\0';
		missed += read_all(data, len, &p, &used, &e) == 0 || e.text[0] == '\0';
		data[bit / 8] ^= (char)(1 << bit % 8);
	}
	is(missed, 0, "no flipped bit goes unseen");
	for (cut = 0; cut < len; cut++) {
		p.text.len = p.aux.len = 0;
		e.text[0] = '\0';
		missed += read_all(data, cut, &p, &used, &e) == 0 || e.text[0] == '\0';
	}
	is(missed, 0, "cut anywhere, it is refused");
	printed_fini(&p);
	free(data);
}

#define TEXT(s) s, sizeof(s) - 1
#define NO_CRC "\xff\0\0\0\0\0\0\0\0"
#define DOUBLE "abcdefgh"

static const struct {
	const char *name, *data;
	size_t len;
	int result;
	const char *want;      /* what is read, or a part of the error */
} files[] = {
	{"version 1: old expiry, old zset, no checksum", TEXT("REDIS0001\xfd\x10\0\0\0\0\1k\1v\3\1z\3\1a\0031.5\1b\xfe\1c\xfd\xff"), 0,
	 "0/k=v@16000 0/z:zset "},
	{"an expiry of 1970", TEXT("REDIS0009\xfc\0\0\0\0\0\0\0\0\0\1k\1v" NO_CRC), 0, "0/k=v@1 "},
	{"a key before any SELECTDB, and a second", TEXT("REDIS0009\0\1k\1v\xfe\x05\0\1k\1w\xfe\0\0\1l\1x" NO_CRC), 0, "0/k=v 5/k=w 0/l=x "},
	{"lengths that are longer than needed", TEXT("REDIS0009\0\x80\0\0\0\1k\x81\0\0\0\0\0\0\0\1v\0\x40\2kk\0" NO_CRC), 0, "0/k=v 0/kk= "},
	{"idle, freq and AUX between expiry and key", TEXT("REDIS0009\xfc\5\0\0\0\0\0\0\0\xf8\x07\xfa\1a\xc0\5\xf9\x09\0\1k\1v\0\1l\1v" NO_CRC), 0,
	 "0/k=v@5 0/l=v "},
	{"slot info, functions, module data", TEXT("REDIS0011\xf4\1\2\3\xf5\4code\xf6\1a\1b\1\1c\1d\xf7\5\2\1\1\5\2\6\3abcd\4" DOUBLE "\5\1x\0"
	 "\0\1k\1v" NO_CRC), 0, "0/k=v "},
	{"a module's value", TEXT("REDIS0009\7\1m\x81" DOUBLE "\1\5\2\6\3abcd\4" DOUBLE "\5\1x\0\0\1k\1v" NO_CRC), 0, "0/m:module 0/k=v "},
	{"one-string types", TEXT("REDIS0012\x09\1a\1x\x0a\1b\1x\x0b\1c\1x\x0c\1d\1x\x0d\1e\1x\x10\1f\1x\x11\1g\1x\x14\1h\1x" NO_CRC), 0,
	 "0/a:hash 0/b:list 0/c:set 0/d:zset 0/e:hash 0/f:hash 0/g:zset 0/h:set "},
	{"counted types", TEXT("REDIS0012\1\1a\2\1x\xc0\5\2\1b\1\1x\4\1c\1\1x\1y\5\1d\1\1x" DOUBLE "\x0e\1e\1\1x\x12\1f\1\2\1x" NO_CRC), 0,
	 "0/a:list 0/b:set 0/c:hash 0/d:zset 0/e:list 0/f:list "},
	{"hashes with expiries", TEXT("REDIS0012\x16\1a\1\5\1f\1v\x17\1b\1x\x18\1c" DOUBLE "\1\5\1f\1v\x19\1d" DOUBLE "\1x" NO_CRC), 0,
	 "0/a:hash 0/b:hash 0/c:hash 0/d:hash "},
	{"a stream of version 1", TEXT("REDIS0009\x0f\1s\1\1i\1l\1\2\3\1\1g\4\5\1" "0123456789abcdef" DOUBLE "\1\1\1c" DOUBLE "\1"
	 "0123456789abcdef" "\0\1k\1v" NO_CRC), 0, "0/s:stream 0/k=v "},
	{"a stream of version 3", TEXT("REDIS0011\x15\1s\0\1\2\3\4\5\6\7\x08\1\1g\4\5\6\0\1\1c" DOUBLE DOUBLE "\0" "\0\1k\1v" NO_CRC), 0,
	 "0/s:stream 0/k=v "},
	{"key metadata of Redis 8.6", TEXT("REDIS0013\xf3\1abcd\2\5\0\0\1k\1v" NO_CRC), 0, "0/k=v "},
	{"Valkey's hash", TEXT("VALKEY080\x16\1a\1\1f\1v" DOUBLE "\0\1k\1v" NO_CRC), 0, "0/a:hash 0/k=v "},
	{"something behind the end", TEXT("REDIS0009\0\1k\1v" NO_CRC "*1\r\n"), 0, "0/k=v "},
	{"nothing", TEXT(""), -EINVAL, "no RDB"},
	{"a header cut short", TEXT("REDIS000"), -EINVAL, "no RDB"},
	{"another magic", TEXT("RUDIS0009\xff\0\0\0\0\0\0\0\0"), -EINVAL, "no RDB"},
	{"no number", TEXT("REDISabcd" NO_CRC), -EINVAL, "version"},
	{"version 0", TEXT("REDIS0000" NO_CRC), -EINVAL, "version 0"},
	{"version 16", TEXT("REDIS0016" NO_CRC), -EINVAL, "version 16"},
	{"version 79 of Valkey", TEXT("VALKEY079" NO_CRC), -EINVAL, "version 79"},
	{"a type that never was", TEXT("REDIS0009\x08\1k\1v" NO_CRC), -EPROTO, "offset 9: byte 0x08"},
	{"a type of the future", TEXT("REDIS0015\x1a\1k\1v" NO_CRC), -EPROTO, "offset 9: byte 0x1a"},
	{"a type that Valkey uses otherwise", TEXT("VALKEY080\x17\1k\1v" NO_CRC), -EPROTO, "offset 9: byte 0x17"},
	{"an opcode of the future", TEXT("REDIS0009\0\1k\1v\xf2" NO_CRC), -EPROTO, "offset 14: byte 0xf2"},
	{"a length that is none", TEXT("REDIS0009\0\x82" NO_CRC), -EPROTO, "offset 10: byte 0x82"},
	{"a string encoding that is none", TEXT("REDIS0009\0\xc4" NO_CRC), -EPROTO, "offset 10: byte 0xc4"},
	{"a key that leads out of the file", TEXT("REDIS0009\0\x81\x7f\xff\xff\xff\xff\xff\xff\xffk"), -EPROTO, "offset 19"},
	{"a count that leads out of the file", TEXT("REDIS0009\1\1k\x81\xff\xff\xff\xff\xff\xff\xff\xff\1v"), -EPROTO, "offset"},
	{"pending entries that lead out of the file", TEXT("REDIS0009\x0f\1s\0\0\0\0\1\1g\0\0\0\1\1c" DOUBLE "\x81\xff\xff\xff\xff\xff\xff\xff\xff"),
	 -EPROTO, "offset"},
	{"LZF that grows too much", TEXT("REDIS0009\0\1k\xc3\1\x7f\xffx" NO_CRC), -EPROTO, "offset 13"},
	{"LZF that does not fill", TEXT("REDIS0009\0\1k\xc3\2\5\0x" NO_CRC), -EPROTO, "damaged"},
	{"LZF that points before its start", TEXT("REDIS0009\0\1k\xc3\4\5\0x\x40\x10" NO_CRC), -EPROTO, "damaged"},
	{"LZF of nothing", TEXT("REDIS0009\0\1k\xc3\0\0" NO_CRC), -EPROTO, "empty"},
	{"a checksum that is wrong", TEXT("REDIS0009\0\1k\1v\xff\1\0\0\0\0\0\0\0"), -EBADMSG, "offset 15"},
	{"a checksum that is cut", TEXT("REDIS0009\0\1k\1v\xff\1\0\0\0\0\0\0"), -EPROTO, "offset 15"},
	{"an unknown part of a module's value", TEXT("REDIS0009\7\1m\x81" DOUBLE "\6\0" NO_CRC), -EPROTO, "module"},
};

static void test_files(void)
{
	size_t i;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct printed p = {0};
		struct error e = {""};
		size_t used = 0;

		is(read_all(files[i].data, files[i].len, &p, &used, &e), files[i].result, "%s (%s)", files[i].name, e.text);
		if (files[i].result == 0)
			is_text(text_of(&p.text), files[i].want, files[i].name);
		else
			ok(strstr(e.text, files[i].want) != NULL, "%s: says %s", files[i].name, files[i].want);
		printed_fini(&p);
	}
}

static const struct {
	const char *name, *data;
	size_t len;
	int result;
	const char *type, *want;
} payloads[] = {
	{"0", TEXT("\0\xc0\0\n\0\x98@\xa7x\xf8P\003\b"), 0, NULL, "0"},
	{"an integer", TEXT("\0\xc2\xff\x7f\xff\xff\n\0\xae\xe3LM\6\xc6\x85" "6"), 0, NULL, "-32769"},
	{"a compressed string", TEXT("\0\xc3\t(\1aa\xe0\x1b\0\1aa\n\0\xcf\t/\xaa\xae%\x83\x1d"), 0, NULL, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
	{"a hash", TEXT("\x10\x11\x11\0\0\0\4\0\x81" "a\2\1\1\x81" "b\2\x16\1\xff\n\0\x1bP-Q\xed\xf9\xc0" "c"), 0, "hash", NULL},
	{"a flipped bit", TEXT("\0\xc0\1\n\0\x98@\xa7x\xf8P\003\b"), -EBADMSG, NULL, NULL},
	{"nothing", TEXT(""), -EPROTO, NULL, NULL},
	{"a footer alone", TEXT("\n\0\x98@\xa7x\xf8P\003\b"), -EPROTO, NULL, NULL},
	{"a version between Redis and Valkey", TEXT("\0\xc0\0\x20\0\0\0\0\0\0\0\0\0"), -EINVAL, NULL, NULL},
};

static void test_payloads(void)
{
	char two[] = "\0\1a\1b\n\0--------";
	struct bytes value = {0};
	const char *type = NULL;
	struct error e = {""};
	size_t i;

	for (i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
		e.text[0] = '\0';
		is(rdb_read_dump(payloads[i].data, payloads[i].len, &value, &type, &e), payloads[i].result, "payload: %s (%s)", payloads[i].name,
		   e.text);
		if (payloads[i].want)
			is_text(text_of(&value), payloads[i].want, payloads[i].name);
		if (payloads[i].result == 0)
			ok(payloads[i].type ? type && strcmp(type, payloads[i].type) == 0 : !type, "payload: %s: type", payloads[i].name);
	}
	le_put64(two + 7, crc64(0, two, 7));
	e.text[0] = '\0';
	is(rdb_read_dump(two, 15, &value, &type, &e), -EPROTO, "payload: two values (%s)", e.text);
	bytes_fini(&value);
}

static int stop_key(void *ctx, const struct rdb_key *k, struct error *e)
{
	(void)ctx;
	return error_set(e, -EISDIR, "key %.*s", (int)k->key_len, k->key);
}

int main(void)
{
	const struct rdb_handler stopping = {.key = stop_key};
	struct error e = {""};
	size_t used = 0;

	ok(rdb_is("REDIS", 5) && rdb_is("VALKEY", 6) && !rdb_is("REDI", 4) && !rdb_is("VALKE", 5) && !rdb_is("*3\r\n$", 5), "the magic");
	is(rdb_read("REDIS0009\0\1k\1v" NO_CRC, 23, &stopping, &used, &e), -EISDIR, "the handler's error comes back");
	is_text(e.text, "key k", "with its text");
	test_values();
	test_whole_file();
	test_sparse();
	test_larger_than_redis();
	test_redis_file();
	test_files();
	test_payloads();
	return tap_end();
}
