/* manifest.c -- see manifest.h. */
#include "persist/manifest.h"

#include "persist/crc.h"
#include "persist/format.h"
#include "persist/resp_inline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	WORDS_MIN = 6,      /* three pairs */
	QUOTE_SHOWN = 128,
	SUM_DIGITS = 8,
	SUM_SIZE = sizeof(MANIFEST_SUM) - 1 + SUM_DIGITS + 1,
};

/* ---- the struct ---- */

void manifest_fini(struct manifest *m)
{
	size_t i;

	for (i = 0; i < m->count; i++)
		free(m->file[i].name);
	free(m->file);
	*m = (struct manifest){0};
}

int manifest_add(struct manifest *m, const char *name, uint64_t seq, enum manifest_type type)
{
	struct manifest_file *file;
	size_t cap = m->cap ? m->cap * 2 : 4;
	char *copy;

	if (m->count == m->cap) {
		file = reallocarray(m->file, cap, sizeof(*file));
		if (!file)
			return -ENOMEM;
		m->file = file;
		m->cap = cap;
	}
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	m->file[m->count++] = (struct manifest_file){.name = copy, .seq = seq, .type = type};
	return 0;
}

struct manifest_file *manifest_base(const struct manifest *m)
{
	size_t i;

	for (i = 0; i < m->count; i++) {
		if (m->file[i].type == MANIFEST_BASE)
			return &m->file[i];
	}
	return NULL;
}

struct manifest_file *manifest_last_incr(const struct manifest *m)
{
	size_t i;

	for (i = m->count; i-- > 0;) {
		if (m->file[i].type == MANIFEST_INCR)
			return &m->file[i];
	}
	return NULL;
}

/* Whether F counts for TYPE: it is of that type, or it was until it became history. */
static bool counts_as(const struct manifest_file *f, enum manifest_type type)
{
	if (f->type == type)
		return true;
	if (f->type != MANIFEST_HISTORY)
		return false;
	return strstr(f->name, type == MANIFEST_BASE ? ".base." : ".incr.");
}

uint64_t manifest_max_seq(const struct manifest *m, enum manifest_type type)
{
	uint64_t max = 0;
	size_t i;

	for (i = 0; i < m->count; i++) {
		if (counts_as(&m->file[i], type) && m->file[i].seq > max)
			max = m->file[i].seq;
	}
	return max;
}

int manifest_clone(const struct manifest *m, struct manifest *ret)
{
	struct manifest copy = {0};
	size_t i;

	for (i = 0; i < m->count; i++) {
		int r = manifest_add(&copy, m->file[i].name, m->file[i].seq, m->file[i].type);

		if (r < 0) {
			manifest_fini(&copy);
			return r;
		}
	}
	*ret = copy;
	return 0;
}

/* ---- the checksum ---- */

/* The line that stands before TEXT, SUM_SIZE bytes. */
static void sum_line(const char *text, size_t len, char *ret)
{
	char line[SUM_SIZE + 1];

	snprintf(line, sizeof(line), "%s%08" PRIx32 "\n", MANIFEST_SUM, crc32c(0, text, len));
	memcpy(ret, line, SUM_SIZE);
}

/* Whether LINE, a comment, is our checksum or was once: one damaged bit leaves one of its words. */
static bool is_sum(const char *line, size_t len)
{
	return memmem(line, len, "kvfs", 4) || memmem(line, len, "crc32c", 6);
}

/* LINE begins the text, which ends at END. */
static int check_sum(const char *line, size_t len, const char *end, struct error *e)
{
	char want[SUM_SIZE];

	if (len != SUM_SIZE || memcmp(line, MANIFEST_SUM, SUM_SIZE - SUM_DIGITS - 1) != 0)
		return error_set(e, -EBADMSG, "the line with the checksum is damaged (kvfs-ctl check DIR tells more)");
	sum_line(line + len, (size_t)(end - line) - len, want);
	if (memcmp(line, want, SUM_SIZE) != 0)
		return error_set(e, -EBADMSG, "the checksum does not match: a byte of the manifest is damaged (kvfs-ctl check DIR tells more)");
	return 0;
}

/* ---- writing ---- */

static bool needs_quotes(const char *name)
{
	const unsigned char *p;

	for (p = (const unsigned char *)name; *p; p++) {
		if (*p <= ' ' || *p >= 0x7f || *p == '"' || *p == '\'' || *p == '\\')
			return true;
	}
	return p == (const unsigned char *)name;
}

static int add_quoted(struct bytes *out, const char *name)
{
	static const char named[] = "\n\r\t\a\b", letters[] = "nrtab";
	const unsigned char *p;
	int r = bytes_add(out, "\"", 1);

	for (p = (const unsigned char *)name; r == 0 && *p; p++) {
		const char *at = strchr(named, *p);

		if (at)
			r = bytes_addf(out, "\\%c", letters[at - named]);
		else if (*p == '"' || *p == '\\')
			r = bytes_addf(out, "\\%c", *p);
		else if (*p < ' ' || *p >= 0x7f)
			r = bytes_addf(out, "\\x%02x", *p);
		else
			r = bytes_add(out, p, 1);
	}
	return r < 0 ? r : bytes_add(out, "\"", 1);
}

static int add_line(struct bytes *out, const struct manifest_file *f)
{
	int r = bytes_addf(out, "file ");

	if (r == 0)
		r = needs_quotes(f->name) ? add_quoted(out, f->name) : bytes_addf(out, "%s", f->name);
	if (r == 0)
		r = bytes_addf(out, " seq %" PRIu64 " type %c\n", f->seq, f->type);
	return r;
}

int manifest_format(const struct manifest *m, struct bytes *out)
{
	static const enum manifest_type order[] = {MANIFEST_BASE, MANIFEST_HISTORY, MANIFEST_INCR};
	size_t i, k, start = out->len;
	int r = bytes_reserve(out, SUM_SIZE);

	if (r == 0)
		out->len += SUM_SIZE;
	for (k = 0; k < sizeof(order) / sizeof(order[0]); k++) {
		for (i = 0; i < m->count && r == 0; i++) {
			if (m->file[i].type == order[k])
				r = add_line(out, &m->file[i]);
		}
	}
	if (r < 0)
		out->len = start;
	else
		sum_line(out->data + start + SUM_SIZE, out->len - start - SUM_SIZE, out->data + start);
	return r;
}

/* ---- reading ---- */

static bool is_name(const char *name, size_t len)
{
	if (len == 0 || memchr(name, '/', len) || memchr(name, '\\', len) || memchr(name, '\0', len))
		return false;
	return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

static bool is_word(const struct resp_arg *a, const char *word)
{
	return a->len == strlen(word) && strncasecmp(a->data, word, a->len) == 0;
}

static int take_name(struct manifest_file *f, const struct resp_arg *a, struct error *e)
{
	char shown[QUOTE_SHOWN];

	if (!is_name(a->data, a->len))
		return error_set(e, -EINVAL, "\"%s\" can't be the name of a file here", error_quote(a->data, a->len, shown, sizeof(shown)));
	free(f->name);
	f->name = strndup(a->data, a->len);
	return f->name ? 0 : error_set(e, -ENOMEM, "out of memory");
}

static int take_seq(struct manifest_file *f, const struct resp_arg *a, struct error *e)
{
	char shown[QUOTE_SHOWN];
	int64_t n;

	if (resp_int64(a, &n) < 0 || n <= 0)
		return error_set(e, -EINVAL, "\"%s\" is no sequence number", error_quote(a->data, a->len, shown, sizeof(shown)));
	f->seq = (uint64_t)n;
	return 0;
}

static int take_type(struct manifest_file *f, const struct resp_arg *a, struct error *e)
{
	char shown[QUOTE_SHOWN];

	if (a->len == 0 || !strchr("bhi", a->data[0]) || a->data[0] == '\0')
		return error_set(e, -EINVAL, "type \"%s\" is not one of b, h, i", error_quote(a->data, a->len, shown, sizeof(shown)));
	f->type = (enum manifest_type)a->data[0];
	return 0;
}

/* The pairs of a line.  F's name is the caller's to free, whatever comes back. */
static int take_pairs(struct manifest_file *f, const struct resp_command *words, struct error *e)
{
	size_t i;
	int r = 0;

	if (words->argc % 2 != 0 || words->argc < WORDS_MIN)
		return error_set(e, -EINVAL, "expected \"file NAME seq N type b|h|i\"");
	for (i = 0; i < words->argc && r == 0; i += 2) {
		const struct resp_arg *name = &words->argv[i], *value = name + 1;

		if (is_word(name, "file"))
			r = take_name(f, value, e);
		else if (is_word(name, "seq"))
			r = take_seq(f, value, e);
		else if (is_word(name, "type"))
			r = take_type(f, value, e);
	}
	if (r == 0 && (!f->name || f->seq == 0 || f->type == 0))
		r = error_set(e, -EINVAL, "one of file, seq, type is missing");
	return r;
}

/* Whether F may stand behind what M has. */
static int check_order(const struct manifest *m, const struct manifest_file *f, struct error *e)
{
	const struct manifest_file *last = manifest_last_incr(m);

	if (f->type == MANIFEST_BASE && manifest_base(m))
		return error_set(e, -EINVAL, "a second base");
	if (f->type == MANIFEST_INCR && last && f->seq <= last->seq)
		return error_set(e, -EINVAL, "the sequence numbers of incr files do not rise");
	if (m->count == MANIFEST_FILES_MAX)
		return error_set(e, -EINVAL, "more than %d files", MANIFEST_FILES_MAX);
	return 0;
}

static bool is_blank_line(const char *line, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (!strchr(" \t\r\n", line[i]) || line[i] == '\0')
			return false;
	}
	return true;
}

/* LINE with its line end; WORDS is room to use. */
static int parse_line(struct manifest *m, const char *line, size_t len, struct resp_command *words, struct error *e)
{
	static const struct resp_limits limits = {.args_max = MANIFEST_LINE_MAX, .arg_max = MANIFEST_LINE_MAX};
	struct manifest_file f = {0};
	const char *why = "";
	size_t used;
	int r;

	if (line[0] == '#')
		return 0;
	if (is_blank_line(line, len))
		return error_set(e, -EINVAL, "empty line");
	if (memchr(line, '\0', len))
		return error_set(e, -EINVAL, "a NUL byte");
	words->argc = 0;
	r = resp_parse_inline(line, len, &limits, words, &used, &why);
	if (r < 0)
		return error_set(e, r == -ENOMEM ? r : -EINVAL, "%s", why);
	r = take_pairs(&f, words, e);
	if (r == 0)
		r = check_order(m, &f, e);
	if (r == 0 && (!f.name || manifest_add(m, f.name, f.seq, f.type) < 0))
		r = error_set(e, -ENOMEM, "out of memory");
	free(f.name);
	return r;
}

int manifest_parse(const char *text, size_t len, struct manifest *ret, struct error *e)
{
	struct resp_command words = {0};
	struct manifest m = {0};
	const char *p = text, *end = text + len;
	size_t number = 0, line_len;
	int r = 0;

	if (len == 0)
		return error_set(e, -EINVAL, "the manifest is empty");
	while (p < end && r == 0) {
		size_t room = (size_t)(end - p) < MANIFEST_LINE_MAX ? (size_t)(end - p) : MANIFEST_LINE_MAX;
		const char *lf = memchr(p, '\n', room);

		number++;
		if (!lf) {
			r = error_set(e, -EINVAL, "no end of line within %d bytes", MANIFEST_LINE_MAX);
			break;
		}
		line_len = (size_t)(lf + 1 - p);
		if (number == 1 && *p == '#' && is_sum(p, line_len)) {
			m.summed = true;
			r = check_sum(p, line_len, end, e);
		} else {
			r = parse_line(&m, p, line_len, &words, e);
		}
		p += line_len;
	}
	resp_command_fini(&words);
	if (r < 0) {
		manifest_fini(&m);
		return error_prepend(e, r, "line %zu", number);
	}
	*ret = m;
	return 0;
}
