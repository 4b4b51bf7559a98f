/* keyname.c -- see keyname.h.  What is read is written again and compared: so there is one way to write each part. */
#include "store/keyname.h"

#include <errno.h>
#include <string.h>

enum {
	NAME_MAX_BYTES = 255,
	TOKEN_MAX = 3,              /* bytes of "%25" */
};

/* ---- parts ---- */

bool keyname_needs_escape(const char *part, size_t len)
{
	return len == 0 || len > NAME_MAX_BYTES || memchr(part, 0, len) ||
	       (part[0] == '.' && (len == 1 || part[1] == '%' || (len == 2 && part[1] == '.')));
}

static size_t part_len(const char *p, const char *end)
{
	const char *slash = p < end ? memchr(p, '/', (size_t)(end - p)) : NULL;

	return (size_t)((slash ? slash : end) - p);
}

bool keyname_is_path(const char *key, size_t len)
{
	const char *end = key + len;

	for (const char *p = key; p <= end;) {
		size_t n = part_len(p, end);

		if (keyname_needs_escape(p, n))
			return false;
		p += n + 1;
	}
	return true;
}

/* ---- writing ---- */

/* Where names go: to memory, into a comparison, or into a count alone. */
struct writer {
	char *out;                  /* NULL: nowhere */
	const char *same;           /* NULL: nothing to compare with */
	size_t same_len;
	bool differs;
	size_t count;
};

static void put(struct writer *w, const char *bytes, size_t len)
{
	if (w->same && !w->differs)
		w->differs = len > w->same_len - w->count || memcmp(w->same + w->count, bytes, len) != 0;
	if (w->differs)
		return;
	if (w->out)
		memcpy(w->out + w->count, bytes, len);
	w->count += len;
}

static const char percent_token[] = "%25", nul_token[] = "%00";

/* How the byte *P stands in a body. */
static const char *token(const char *p, size_t *ret_len)
{
	*ret_len = *p == '%' || *p == 0 ? TOKEN_MAX : 1;
	return *p == '%' ? percent_token : *p == 0 ? nul_token : p;
}

/* PART escaped, with MARK ("", "%+" or "%=") behind it.  Returns the bytes of the last body. */
static size_t put_escaped(struct writer *w, const char *part, size_t len, const char *mark)
{
	size_t body = 0;

	put(w, ".%", 2);
	for (size_t i = 0; i < len && !w->differs; i++) {
		size_t n;
		const char *text = token(part + i, &n);

		if (body + n > KEYNAME_BODY_MAX) {
			put(w, "%+/.%", 5);
			body = 0;
		}
		put(w, text, n);
		body += n;
	}
	put(w, mark, strlen(mark));
	return body;
}

static void put_part(struct writer *w, const char *part, size_t len, bool beside)
{
	bool needs = keyname_needs_escape(part, len);

	if (needs || beside)
		put_escaped(w, part, len, needs && beside ? "%=" : "");
	else
		put(w, part, len);
}

size_t keyname_of_part(const char *part, size_t len, bool beside, char *out)
{
	struct writer w = { .out = out };

	put_part(&w, part, len, beside);
	return w.count;
}

int64_t keyname_to_path(const char *key, size_t len, bool beside, char *path, size_t cap)
{
	const char *end = key + len;
	size_t at = 0;

	for (const char *p = key; p <= end;) {
		size_t n = part_len(p, end);
		bool second = beside && p + n == end;
		size_t need = keyname_of_part(p, n, second, NULL) + (p > key);

		if (need > cap - at)
			return -ENAMETOOLONG;
		if (p > key)
			path[at++] = '/';
		at += keyname_of_part(p, n, second, path + at);
		p += n + 1;
	}
	return (int64_t)at;
}

/* ---- reading ---- */

enum mark { MARK_NONE, MARK_MORE, MARK_BESIDE };

/* The bytes that a body stands for, to OUT; -EINVAL when it is none. */
static int read_body(const char *body, size_t len, char *out, size_t *ret_len, enum mark *ret_mark)
{
	size_t n = 0, i = 0;

	*ret_mark = MARK_NONE;
	while (i < len) {
		if (body[i] != '%') {
			out[n++] = body[i++];
		} else if (len - i == 2) {
			if (body[i + 1] != '+' && body[i + 1] != '=')
				return -EINVAL;
			*ret_mark = body[i + 1] == '+' ? MARK_MORE : MARK_BESIDE;
			i += 2;
		} else if (len - i >= TOKEN_MAX && memcmp(body + i, percent_token, TOKEN_MAX) == 0) {
			out[n++] = '%';
			i += TOKEN_MAX;
		} else if (len - i >= TOKEN_MAX && memcmp(body + i, nul_token, TOKEN_MAX) == 0) {
			out[n++] = '\0';
			i += TOKEN_MAX;
		} else {
			return -EINVAL;
		}
	}
	*ret_len = n;
	return 0;
}

/* Whether the LEN bytes of NAMES are how PART is written, in the way that MARK asks for; and what that is. */
static bool is_written_so(const char *names, size_t len, const char *part, size_t n, enum mark mark, enum keyname_kind *ret_kind)
{
	struct writer w = { .same = names, .same_len = len };
	bool needs = keyname_needs_escape(part, n);
	size_t body = put_escaped(&w, part, n, mark == MARK_MORE ? "%+" : mark == MARK_BESIDE ? "%=" : "");

	if (w.differs || w.count != len)
		return false;
	if (mark == MARK_MORE) {
		*ret_kind = KEYNAME_PIECE;
		return body + TOKEN_MAX > KEYNAME_BODY_MAX;   /* else whatever comes next had found room */
	}
	*ret_kind = mark == MARK_BESIDE || !needs ? KEYNAME_BESIDE : KEYNAME_OWN;
	return mark == MARK_NONE || needs;
}

/* One part at the start of PATH: its bytes to PART, how many of PATH it takes, its kind. */
static int read_part(const char *path, size_t len, char *part, size_t *ret_len, size_t *ret_used, enum keyname_kind *ret_kind)
{
	const char *p = path, *end = path + len;
	size_t n = part_len(p, end), got = 0, more;
	enum mark mark;

	if (!keyname_is_escaped(p, n)) {
		if (keyname_needs_escape(p, n))
			return -EINVAL;
		memcpy(part, p, n);
		*ret_len = *ret_used = n;
		*ret_kind = KEYNAME_OWN;
		return 0;
	}
	for (;;) {
		if (!keyname_is_escaped(p, n) || n > NAME_MAX_BYTES || read_body(p + 2, n - 2, part + got, &more, &mark) < 0)
			return -EINVAL;
		got += more;
		p += n;
		if (mark != MARK_MORE || p == end)
			break;
		p++;
		n = part_len(p, end);
	}
	*ret_len = got;
	*ret_used = (size_t)(p - path);
	return is_written_so(path, *ret_used, part, got, mark, ret_kind) ? 0 : -EINVAL;
}

int keyname_to_key(const char *path, size_t len, char *key, size_t *ret_len, enum keyname_kind *ret_kind)
{
	size_t at = 0, n = 0;

	for (size_t i = 0;;) {
		size_t used;
		int err = read_part(path + i, len - i, key + n, &at, &used, ret_kind);

		if (err)
			return err;
		n += at;
		i += used;
		if (i == len)
			break;
		if (*ret_kind != KEYNAME_OWN)
			return -EINVAL;
		key[n++] = '/';
		i++;
	}
	*ret_len = n;
	return 0;
}
