/* The path of a key and the key of a path: each of the documented forms, each way to write what is none, and for random keys that one path
 * leads to one key and back.  tests/fuzz/keyname.c does the same with any bytes. */
#include "store/keyname.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>

enum { KEY_MAX = 2000, PATH_CAP = 4 * KEY_MAX + 100, ROUNDS = 200000 };

static char long_key[1200], long_path[1400];

static int64_t path_of(const char *key, size_t len, bool beside, char *path)
{
	return keyname_to_path(key, len, beside, path, PATH_CAP);
}

static void test_pairs(void)
{
	static const struct { const char *key; size_t key_len; bool beside; const char *path; } pairs[] = {
		{ "user/1", 6, false, "user/1" }, { "a", 1, false, "a" }, { "...", 3, false, "..." }, { ".a", 2, false, ".a" },
		{ "%", 1, false, "%" }, { "x%", 2, false, "x%" }, { "a%20b", 5, false, "a%20b" }, { "%%+", 3, false, "%%+" },
		{ "", 0, false, ".%" }, { "/", 1, false, ".%/.%" }, { "/top", 4, false, ".%/top" }, { "end/", 4, false, "end/.%" },
		{ "a//b", 4, false, "a/.%/b" }, { ".", 1, false, ".%." }, { "..", 2, false, ".%.." }, { "../x", 4, false, ".%../x" },
		{ "a\0b", 3, false, ".%a%00b" }, { "\0", 1, false, ".%%00" }, { ".%", 2, false, ".%.%25" }, { ".%x", 3, false, ".%.%25x" },
		{ "\0%", 2, false, ".%%00%25" },
		{ "a", 1, true, ".%a" }, { "x/a%", 4, true, "x/.%a%25" }, { "", 0, true, ".%%=" }, { "a/", 2, true, "a/.%%=" },
		{ ".", 1, true, ".%.%=" }, { "..", 2, true, ".%..%=" }, { "a\0b", 3, true, ".%a%00b%=" }, { "...", 3, true, ".%..." },
	};
	char path[PATH_CAP], key[PATH_CAP];
	enum keyname_kind kind;
	size_t len;

	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		int64_t n = path_of(pairs[i].key, pairs[i].key_len, pairs[i].beside, path);

		path[n < 0 ? 0 : n] = '\0';
		is_bytes(path, strlen(path), pairs[i].path, strlen(pairs[i].path), "path %s", pairs[i].path);
		ok(keyname_to_key(pairs[i].path, strlen(pairs[i].path), key, &len, &kind) == 0 && len == pairs[i].key_len &&
		   memcmp(key, pairs[i].key, len) == 0 && kind == (pairs[i].beside ? KEYNAME_BESIDE : KEYNAME_OWN), "and back");
		if (!pairs[i].beside)
			is(keyname_is_path(pairs[i].key, pairs[i].key_len), strcmp(path, pairs[i].path) == 0 && (size_t)n == pairs[i].key_len,
			   "whether it is its own");
	}
}

static void test_none(void)
{
	static const char *const none[] = {
		"", "/", "a/", "/a", "a//b", ".", "..", "a/../b",
		".%%41", ".%%2e", ".%%2E", ".%a%2F", ".%%0", ".%%", ".%a%", ".%x%+x", ".%a%=b",
		".%a%=",                      /* "a" has a second name without it */
		".%a/b", ".%.%=/b",          /* the second name is a value's, nothing is below */
		".%%+", ".%a%+", ".%a%+/.%b", /* a piece that is not full */
		".%a%00%+/b",
	};
	char key[PATH_CAP];
	enum keyname_kind kind;
	size_t len;

	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		is(keyname_to_key(none[i], strlen(none[i]), key, &len, &kind), -EINVAL, "no path: \"%s\"", none[i]);
}

/* A part of N bytes 'k' in pieces. */
static size_t long_name(size_t n, const char *mark)
{
	char *p = long_path;

	for (; n > KEYNAME_BODY_MAX; n -= KEYNAME_BODY_MAX) {
		memcpy(p, ".%", 2);
		memset(p + 2, 'k', KEYNAME_BODY_MAX);
		memcpy(p + 2 + KEYNAME_BODY_MAX, "%+/", 3);
		p += KEYNAME_BODY_MAX + 5;
	}
	memcpy(p, ".%", 2);
	memset(p + 2, 'k', n);
	memcpy(p + 2 + n, mark, strlen(mark));
	return (size_t)(p + 2 + n + strlen(mark) - long_path);
}

static void test_long(void)
{
	static const struct { size_t n; bool beside; } lengths[] = {
		{ 256, false }, { 300, false }, { 502, false }, { 503, false }, { 1200, false },
		{ 251, true }, { 252, true }, { 255, true }, { 256, true }, { 502, true }, { 503, true },
	};
	char path[PATH_CAP], key[PATH_CAP];
	enum keyname_kind kind;
	size_t len, want;

	memset(long_key, 'k', sizeof long_key);
	is(path_of(long_key, 255, false, path), 255, "a part of 255 bytes is a name");
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		want = long_name(lengths[i].n, lengths[i].beside && lengths[i].n > 255 ? "%=" : "");
		is_bytes(path, (size_t)path_of(long_key, lengths[i].n, lengths[i].beside, path), long_path, want, "a part of %zu bytes%s",
		         lengths[i].n, lengths[i].beside ? ", beside" : "");
		ok(keyname_to_key(long_path, want, key, &len, &kind) == 0 && len == lengths[i].n && memcmp(key, long_key, len) == 0 &&
		   kind == (lengths[i].beside ? KEYNAME_BESIDE : KEYNAME_OWN), "and back");
	}
	long_name(300, "");
	is(keyname_to_key(long_path, 255, key, &len, &kind), 0, "the first piece alone");
	ok(kind == KEYNAME_PIECE && len == 251 && keyname_is_piece(long_path, 255), "is one");
	long_path[252] = '%', long_path[253] = '+', long_path[254] = '/';
	is(keyname_to_key(long_path, 254, key, &len, &kind), 0, "one of 250 bytes may be full");
	is(keyname_to_key(long_path, 260, key, &len, &kind), -EINVAL, "but is not when a byte could have followed");
	memset(long_key, '%', 255);
	memcpy(long_key + 255, "/x", 2);
	is(path_of(long_key, 257, false, path), 257, "255 per cent signs are a name");
	is(path_of(long_key, 255, true, path), 3 * 255 + 3 * 5 + 2, "beside it they take four");
	ok(keyname_of_part(long_key, 255, true, NULL) < KEYNAME_BESIDE_MAX, "which is the most");
	is(keyname_to_path(long_key, 255, false, path, 254), -ENAMETOOLONG, "no room");
}

static uint64_t state;

static unsigned roll(unsigned n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % n;
}

/* Keys of what is awkward, short and long. */
static size_t random_key(char *key)
{
	static const char bytes[] = { '/', '/', '.', '.', '%', '%', '+', '=', '2', '5', '0', 0, 'a' };
	size_t len = roll(20) ? roll(12) : roll(KEY_MAX);

	for (size_t i = 0; i < len; i++)
		key[i] = len > 40 && roll(300) ? 'k' : bytes[roll(sizeof bytes)];
	return len;
}

static void test_random(uint64_t seed)
{
	char key[KEY_MAX], path[PATH_CAP], again[PATH_CAP];
	int bad = 0, escaped = 0, pieces = 0, paths = 0;
	enum keyname_kind kind;
	size_t len;

	state = seed;
	for (int i = 0; i < ROUNDS && !bad; i++) {
		bool beside = roll(2);
		size_t key_len = random_key(key);
		int64_t n = path_of(key, key_len, beside, path);

		bad += n < 0 || keyname_to_key(path, (size_t)n, again, &len, &kind) || len != key_len || memcmp(again, key, len) ||
		       kind != (beside ? KEYNAME_BESIDE : KEYNAME_OWN);
		escaped += !keyname_is_path(key, key_len);
		pieces += memmem(path, (size_t)n, "%+/", 3) != NULL;
		/* the same bytes, as if they were a path */
		if (keyname_to_key(key, key_len, again, &len, &kind) || kind == KEYNAME_PIECE)
			continue;
		bad += path_of(again, len, kind == KEYNAME_BESIDE, path) != (int64_t)key_len || memcmp(path, key, key_len);
		paths++;
	}
	ok(!bad && escaped > 1000 && pieces > 1000 && paths > 1000, "random keys come back (seed %llu: %d escaped, %d in pieces, %d paths)",
	   (unsigned long long)seed, escaped, pieces, paths);
}

int main(int argc, char **argv)
{
	test_pairs();
	test_none();
	test_long();
	test_random(argc > 1 ? strtoull(argv[1], NULL, 0) : 20261122);
	return tap_end();
}
