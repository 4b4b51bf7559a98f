/* glob.c -- see glob.h.  Only the last '*' is ever tried again: what an earlier one took can't matter any more. */
#include "fs/glob.h"

static unsigned char fold_char(char c, bool fold)
{
	if (fold && c >= 'A' && c <= 'Z')
		return (unsigned char)(c - 'A' + 'a');
	return (unsigned char)c;
}

/* A set begins at P[1]; *RET_USED is what the set takes of the pattern, with both brackets (an open one takes all). */
static bool match_set(const char *p, size_t len, char c, bool fold, size_t *ret_used)
{
	unsigned char want = fold_char(c, fold);
	size_t i = 1;
	bool negate = false, found = false;

	if (i < len && p[i] == '^') {
		negate = true;
		i++;
	}
	while (i < len && p[i] != ']') {
		unsigned char low, high;

		if (p[i] == '\\' && i + 1 < len)
			i++;
		low = high = fold_char(p[i], fold);
		if (i + 2 < len && p[i + 1] == '-' && p[i + 2] != ']') {
			high = fold_char(p[i + 2], fold);
			i += 2;
		}
		if (low > high) {
			unsigned char swap = low;

			low = high;
			high = swap;
		}
		if (want >= low && want <= high)
			found = true;
		i++;
	}
	*ret_used = i < len ? i + 1 : len;
	return found != negate;
}

/* Matches one character against the element at the start of P, which is no '*'. */
static bool match_one(const char *p, size_t len, char c, bool fold, size_t *ret_used)
{
	switch (p[0]) {
	case '?':
		*ret_used = 1;
		return true;
	case '[':
		return match_set(p, len, c, fold, ret_used);
	case '\\':
		if (len > 1) {
			*ret_used = 2;
			return fold_char(p[1], fold) == fold_char(c, fold);
		}
		break;
	}
	*ret_used = 1;
	return fold_char(p[0], fold) == fold_char(c, fold);
}

bool glob_match(const char *pattern, size_t pattern_len, const char *text, size_t text_len, bool fold)
{
	size_t p = 0, t = 0, used;
	size_t retry_p = 0, retry_t = 0;
	bool star = false;

	while (t < text_len) {
		if (p < pattern_len && pattern[p] == '*') {
			star = true;
			retry_p = ++p;
			retry_t = t;
		} else if (p < pattern_len && match_one(pattern + p, pattern_len - p, text[t], fold, &used)) {
			p += used;
			t++;
		} else if (star) {
			p = retry_p;
			t = ++retry_t;
		} else {
			return false;
		}
	}
	while (p < pattern_len && pattern[p] == '*')
		p++;
	return p == pattern_len;
}
