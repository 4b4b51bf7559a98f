/* directory.h -- the order of a directory's entries: what readdir walks.
 *
 * Each entry gets the next cookie when it comes; cookies are never used twice.  Cookies are grouped by 256 into pages; a page keeps the
 * slots of its living entries packed, found by counting bits; an empty page goes away.
 *
 *      index   [number 0 | page] [number 3 | page] ...          sorted: a cookie is found by binary search over the pages
 *      page    number 3:  bitmap 256 bits, slots of those that live, in order
 *
 * So a scan resumes by its cookie alone: every entry that lives from its beginning to its end is seen once, in the order of cookies.
 * Finding a cookie is O(log pages); adding at the end O(1); removing O(1) but for the index entry of a page that empties.
 * Cookies 1 and 2 are "." and "..", so the first entry has DIRECTORY_FIRST.  Private to store/.  All of it under S.                     */
#ifndef KVFS_STORE_DIRECTORY_H
#define KVFS_STORE_DIRECTORY_H

#include <stdint.h>

enum { DIRECTORY_FIRST = 3 };

struct directory_page;
struct directory_index { uint64_t number; struct directory_page *page; };

struct directory {
	uint64_t count;             /* entries */
	uint64_t subdirectories;
	uint64_t next_cookie;
	struct directory_index *index;
	uint32_t pages, cap;
	uint32_t reach;             /* bytes of the longest path below, from here; or more: of one that was there */
};

/* *BYTES is the account that grows and shrinks with it. */
struct directory *directory_new(uint64_t *bytes);
void directory_free(struct directory *d, uint64_t *bytes);
/* Makes room for one more entry.  -ENOMEM; -ENOSPC: it has had 2^NODE_COOKIE_BITS of them, which takes some hundred years. */
int directory_reserve(struct directory *d, uint64_t *bytes);
/* Fetches the page to which directory_add() will add into the CPU's cache. */
void directory_prefetch(const struct directory *d);
/* Adds SLOT at the end and returns its cookie; cannot fail after directory_reserve(). */
uint64_t directory_add(struct directory *d, uint32_t slot);
/* Puts another slot in the place of a living entry. */
void directory_replace(struct directory *d, uint64_t cookie, uint32_t slot);
void directory_remove(struct directory *d, uint64_t cookie, uint64_t *bytes);

/* A walk: start with COOKIE 0 or the cookie seen last.  Valid while the directory does not change. */
struct directory_cursor { uint32_t page; unsigned bit; };
void directory_seek(const struct directory *d, uint64_t cookie, struct directory_cursor *c);
/* The next entry: its slot, 0 at the end. */
uint32_t directory_next(const struct directory *d, struct directory_cursor *c, uint64_t *ret_cookie);

#endif
