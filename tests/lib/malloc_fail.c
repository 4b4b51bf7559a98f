/* malloc_fail.c -- see malloc_fail.h. */
#include "tests/lib/malloc_fail.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

/* The allocator behind: a sanitizer's where there is one. */
#ifdef SANITIZED
#define BEHIND(name) __interceptor_##name
#else
#define BEHIND(name) __libc_##name
#endif
void *BEHIND(malloc)(size_t size);
void BEHIND(free)(void *p);

/* Runs before a sanitizer is ready. */
#ifdef __clang__
#pragma clang attribute push(__attribute__((no_sanitize("address", "undefined"))), apply_to = function)
#pragma clang attribute push(__attribute__((disable_sanitizer_instrumentation)), apply_to = function)
#endif

#define MAGIC 0x6b76667362792121u

struct header {
	uint64_t magic, size;
};

static _Thread_local uint64_t countdown;
static _Thread_local bool failed;
static _Atomic uint64_t live;

void malloc_fail_at(uint64_t k)
{
	countdown = k;
	failed = false;
}

bool malloc_fail_end(void)
{
	countdown = 0;
	return failed;
}

uint64_t malloc_live(void)
{
	return atomic_load(&live);
}

/* By glibc's rule: 8 bytes of header, steps of 16, 32 at least. */
static uint64_t cost(uint64_t size)
{
	uint64_t steps = (size + 8) / 16 + ((size + 8) % 16 != 0);
	return steps < 2 ? 32 : steps * 16;
}

static bool fails_now(void)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	failed = true;
	errno = ENOMEM;
	return true;
}

static void *allocate(size_t size)
{
	if (fails_now() || size > SIZE_MAX / 2)
		return NULL;
	struct header *h = BEHIND(malloc)(sizeof *h + size);
	if (!h)
		return NULL;
	*h = (struct header){ .magic = MAGIC, .size = size };
	atomic_fetch_add(&live, cost(size));
	return h + 1;
}

void *malloc(size_t size)
{
	return allocate(size);
}

/* A block that came from before this was linked in, or from memalign(), has no header. */
static struct header *header_of(void *p)
{
	struct header *h = (struct header *)p - 1;
	return h->magic == MAGIC ? h : NULL;
}

void free(void *p)
{
	if (!p)
		return;
	struct header *h = header_of(p);
	if (!h) {
		BEHIND(free)(p);
		return;
	}
	atomic_fetch_sub(&live, cost(h->size));
	h->magic = 0;
	BEHIND(free)(h);
}

void *calloc(size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	void *p = allocate(bytes);
	if (p)
		memset(p, 0, bytes);
	return p;
}

/* Always moves: whoever keeps the old pointer is found out. */
void *realloc(void *old, size_t size)
{
	if (!old)
		return allocate(size);
	struct header *h = header_of(old);
	if (!h)
		abort();
	void *p = allocate(size);
	if (!p)
		return NULL;
	memcpy(p, old, h->size < size ? h->size : size);
	free(old);
	return p;
}

/* libc's own would not come by here: these three. */
char *strndup(const char *s, size_t max)
{
	size_t len = strnlen(s, max);
	char *p = allocate(len + 1);
	if (!p)
		return NULL;
	memcpy(p, s, len);
	p[len] = 0;
	return p;
}

char *strdup(const char *s)
{
	return strndup(s, strlen(s));
}

void *reallocarray(void *old, size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(old, bytes);
}

#ifdef __clang__
#pragma clang attribute pop
#pragma clang attribute pop
#endif
