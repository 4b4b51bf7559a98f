/* tombs.c -- see tombs.h.  Open addressing over an array that only grows: a forgotten key keeps its entry. */
#include "persist/tombs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BUCKETS = 64 };

/* FNV-1a.  Someone who chooses names to collide slows down his own load, no more. */
static uint32_t tombs_hash(const char *key, size_t len)
{
	uint32_t h = 2166136261u;
	size_t i;

	for (i = 0; i < len; i++)
		h = (h ^ (unsigned char)key[i]) * 16777619u;
	return h ^ h >> 15;
}

const char *tombs_key(const struct tombs *t, const struct tomb *tomb)
{
	return tomb->key_len ? t->keys.data + tomb->key_at : "";
}

/* The bucket that holds KEY, or the free one where it would go. */
static size_t tombs_bucket(const struct tombs *t, const char *key, size_t len, uint32_t hash)
{
	size_t at = hash & (t->buckets - 1);

	while (t->bucket[at]) {
		const struct tomb *tomb = &t->tomb[t->bucket[at] - 1];

		if (tomb->hash == hash && tomb->key_len == len && (len == 0 || !memcmp(tombs_key(t, tomb), key, len)))
			break;
		at = (at + 1) & (t->buckets - 1);
	}
	return at;
}

static struct tomb *tombs_entry(const struct tombs *t, const char *key, size_t len)
{
	size_t at;

	if (t->buckets == 0)
		return NULL;
	at = tombs_bucket(t, key, len, tombs_hash(key, len));
	return t->bucket[at] ? &t->tomb[t->bucket[at] - 1] : NULL;
}

const struct tomb *tombs_find(const struct tombs *t, const char *key, size_t len)
{
	const struct tomb *tomb = tombs_entry(t, key, len);

	return tomb && tomb->kind != TOMB_GONE ? tomb : NULL;
}

static void tombs_count(struct tombs *t, enum tomb_kind kind, int by)
{
	if (kind == TOMB_TYPE)
		t->types += (uint64_t)by;
	else if (kind == TOMB_NO_PATH)
		t->no_paths += (uint64_t)by;
}

static void tombs_turn(struct tombs *t, struct tomb *tomb, enum tomb_kind kind, const char *text)
{
	tombs_count(t, tomb->kind, -1);
	tombs_count(t, kind, 1);
	tomb->kind = kind;
	tomb->text = text;
}

/* Room for one entry more, in at most half of the buckets. */
static int tombs_grow(struct tombs *t)
{
	size_t cap = t->cap ? t->cap * 2 : FIRST_BUCKETS / 2;
	uint32_t *bucket;
	struct tomb *tomb;
	size_t i;

	if (t->count < t->cap)
		return 0;
	if (cap > UINT32_MAX / 4)
		return -ENOMEM;
	bucket = calloc(cap * 2, sizeof(*bucket));
	if (!bucket)
		return -ENOMEM;
	tomb = reallocarray(t->tomb, cap, sizeof(*tomb));
	if (!tomb) {
		free(bucket);
		return -ENOMEM;
	}
	free(t->bucket);
	t->bucket = bucket;
	t->buckets = cap * 2;
	t->tomb = tomb;
	t->cap = cap;
	for (i = 0; i < t->count; i++) {
		size_t at = tomb[i].hash & (t->buckets - 1);

		while (bucket[at])
			at = (at + 1) & (t->buckets - 1);
		bucket[at] = (uint32_t)i + 1;
	}
	return 0;
}

int tombs_add(struct tombs *t, const char *key, size_t len, enum tomb_kind kind, const char *text)
{
	struct tomb *tomb = tombs_entry(t, key, len);
	uint32_t hash;
	int err;

	if (tomb) {
		tombs_turn(t, tomb, kind, text);
		return 0;
	}
	err = tombs_grow(t);
	if (err)
		return err;
	hash = tombs_hash(key, len);
	tomb = &t->tomb[t->count];
	*tomb = (struct tomb){ .key_at = t->keys.len, .key_len = len, .kind = kind, .text = text, .hash = hash };
	err = bytes_add(&t->keys, key, len);
	if (err)
		return err;
	t->bucket[tombs_bucket(t, key, len, hash)] = (uint32_t)t->count + 1;
	t->count++;
	tombs_count(t, kind, 1);
	return 0;
}

void tombs_remove(struct tombs *t, const char *key, size_t len)
{
	struct tomb *tomb = tombs_entry(t, key, len);

	if (tomb)
		tombs_turn(t, tomb, TOMB_GONE, NULL);
}

void tombs_clear(struct tombs *t)
{
	tombs_fini(t);
	*t = (struct tombs){ 0 };
}

void tombs_fini(struct tombs *t)
{
	bytes_fini(&t->keys);
	free(t->tomb);
	free(t->bucket);
}
