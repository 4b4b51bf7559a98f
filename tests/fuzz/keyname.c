/* keyname.c -- any bytes as a path and as a key: each goes to the other kind and comes back the same. */
#include "store/keyname.h"
#include "store/keyspace.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* Whether each name in PATH is one that a directory can hold. */
static bool has_good_names(const char *path, size_t len)
{
	for (size_t at = 0; at <= len;) {
		const char *slash = at < len ? memchr(path + at, '/', len - at) : NULL;
		size_t n = slash ? (size_t)(slash - path) - at : len - at;

		if (n == 0 || n > KEYSPACE_NAME_MAX || (path[at] == '.' && (n == 1 || (n == 2 && path[at + 1] == '.'))))
			return false;
		at += n + 1;
	}
	return !memchr(path, 0, len);
}

static void from_path(const char *path, size_t len)
{
	char *key = malloc(len + 1), *again = malloc(len + 1);
	enum keyname_kind kind;
	size_t key_len;

	check(key && again);
	if (keyname_to_key(path, len, key, &key_len, &kind) == 0) {
		check(key_len <= len && has_good_names(path, len));
		if (kind != KEYNAME_PIECE) {
			check(keyname_to_path(key, key_len, kind == KEYNAME_BESIDE, again, len) == (int64_t)len);
			check(memcmp(again, path, len) == 0);
		}
	}
	free(key);
	free(again);
}

static void from_key(const char *key, size_t len, bool beside)
{
	size_t cap = 4 * len + 5 * (len / 64 + 2), again_len;
	char *path = malloc(cap), *again;
	enum keyname_kind kind;
	int64_t n;

	check(path != NULL);
	n = keyname_to_path(key, len, beside, path, cap);
	if (n >= 0) {
		again = malloc((size_t)n);
		check(again && has_good_names(path, (size_t)n));
		check(keyname_to_key(path, (size_t)n, again, &again_len, &kind) == 0);
		check(kind == (beside ? KEYNAME_BESIDE : KEYNAME_OWN) && again_len == len && memcmp(again, key, len) == 0);
		check(beside || keyname_is_path(key, len) == ((size_t)n == len && memcmp(path, key, len) == 0));
		check(keyname_to_path(key, len, beside, path, (size_t)n - 1) < 0);
		free(again);
	}
	free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *text = len ? (const char *)data : "";

	from_path(text, len);
	from_key(text, len, false);
	from_key(text, len, true);
	return 0;
}
