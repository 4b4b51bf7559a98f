/* config_rewrite.c -- see config_rewrite.h. */
#include "fs/config_rewrite.h"
#include "fs/config_table.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- one line, as inih reads it ---- */

struct line {
	const char *text, *end;               /* without its newline */
	const struct config_option *option;   /* NULL: it sets nothing */
	const char *value, *value_end;        /* where OPTION's value stands */
	const char *section, *section_end;    /* of a header; else NULL */
};

static bool is_blank(char c)
{
	return isspace((unsigned char)c) != 0;
}

/* The first of STOPS, or a ';' behind a blank, which begins a comment; or END. */
static const char *find_stop(const char *p, const char *end, const char *stops)
{
	bool blank = false;

	for (; p < end && strchr(stops, *p) == NULL && !(blank && *p == ';'); p++)
		blank = is_blank(*p);
	return p;
}

static void trim(const char **p, const char **end)
{
	while (*p < *end && is_blank(**p))
		(*p)++;
	while (*end > *p && is_blank((*end)[-1]))
		(*end)--;
}

static void parse_line(const char *text, const char *end, bool is_first, struct line *ret)
{
	const char *p = text, *stop, *name_end;

	*ret = (struct line){ .text = text, .end = end };
	if (is_first && end - p >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		p += 3;
	trim(&p, &end);
	if (p == end || *p == ';' || *p == '#')
		return;
	if (*p == '[') {
		ret->section = p + 1;
		ret->section_end = find_stop(p + 1, end, "]");
		return;
	}
	stop = find_stop(p, end, "=:");
	if (stop == end)
		return;
	name_end = stop;
	trim(&p, &name_end);
	ret->option = config_option_find(p, (size_t)(name_end - p));
	ret->value = stop + 1;
	ret->value_end = find_stop(ret->value, end, "");
	trim(&ret->value, &ret->value_end);
	/* An empty value stands at its separator, not at the comment behind it. */
	if (ret->value == ret->value_end)
		ret->value = ret->value_end = stop + 1;
}

/* The next line of what is between *AT and END; false: there is none. */
static bool next_line(const char *begin, const char **at, const char *end, struct line *ret)
{
	const char *line = *at, *newline;

	if (line == end)
		return false;
	newline = memchr(line, '\n', (size_t)(end - line));
	*at = newline != NULL ? newline + 1 : end;
	parse_line(line, newline != NULL ? newline : end, line == begin, ret);
	return true;
}

/* ---- values ---- */

/* A directory is the same by whatever name. */
static bool is_same_dir(const char *a, const char *b)
{
	char *real_a, *real_b;
	bool same = strcmp(a, b) == 0;

	if (same)
		return true;
	real_a = realpath(a, NULL);
	real_b = realpath(b, NULL);
	same = real_a != NULL && real_b != NULL && strcmp(real_a, real_b) == 0;
	free(real_a);
	free(real_b);
	return same;
}

/* 1: the same; 0: not; -ENOMEM. */
static int is_same(const struct config_option *o, const struct config *a, const struct config *b)
{
	struct bytes x = { 0 }, y = { 0 };
	int result;

	if (o->offset == offsetof(struct config, dir))
		return is_same_dir(a->dir, b->dir);
	result = config_print_option(a, o, &x);
	if (result == 0)
		result = config_print_option(b, o, &y);
	if (result == 0)
		result = x.len == y.len && (x.len == 0 || memcmp(x.data, y.data, x.len) == 0);
	bytes_fini(&x);
	bytes_fini(&y);
	return result;
}

/* A size as a person would write it. */
static int add_size(const char *digits, size_t len, struct bytes *out)
{
	static const struct {
		const char *unit;
		uint64_t bytes;
	} units[] = { { "gb", 1 << 30 }, { "mb", 1 << 20 }, { "kb", 1 << 10 } };
	uint64_t n = 0;

	for (size_t i = 0; i < len; i++)
		n = 10 * n + (uint64_t)(digits[i] - '0');
	for (size_t i = 0; n > 0 && i < sizeof(units) / sizeof(units[0]); i++) {
		if (n % units[i].bytes == 0)
			return bytes_addf(out, "%" PRIu64 "%s", n / units[i].bytes, units[i].unit);
	}
	return bytes_addf(out, "%" PRIu64, n);
}

/* Without them inih would drop its blanks, take it for a comment, or the reader its own quotes. */
static bool needs_quotes(const char *value, size_t len)
{
	if (len == 0)
		return false;
	return is_blank(value[0]) || is_blank(value[len - 1]) || value[0] == ';' || (len >= 2 && value[0] == '"' && value[len - 1] == '"');
}

static int add_value(const struct config *c, const struct config_option *o, struct bytes *out)
{
	struct bytes value = { 0 };
	const char *quote;
	int err = config_print_option(c, o, &value);

	bool is_share = value.len > 0 && value.data[value.len - 1] == '%';

	if (err == 0 && (o->type == CONFIG_MEMORY || (o->type == CONFIG_MEMORY_SHARE && !is_share))) {
		err = add_size(value.data, value.len, out);
	} else if (err == 0 && value.len > 0) {
		quote = needs_quotes(value.data, value.len) ? "\"" : "";
		err = bytes_addf(out, "%s%.*s%s", quote, (int)value.len, value.data, quote);
	}
	bytes_fini(&value);
	return err;
}

/* ---- text ---- */

enum place_kind { KEEP, REPLACE, ADD };

struct rewrite {
	const struct config *config;
	const char *text, *end;
	struct {
		enum place_kind kind;
		size_t line;                  /* ADD: behind that line (from 1); 0: at the end, in a section of its own */
	} place[CONFIG_OPTIONS_MAX];
	struct bytes *out;
};

/* What is to be done about each setting, but where: KEEP, REPLACE or ADD. */
static int decide(struct rewrite *r, const struct config *file, const bool *in_file)
{
	struct config defaults;
	int err = config_init(&defaults), same;

	if (err < 0)
		return err;
	for (size_t i = 0; i < config_table_count && err == 0; i++) {
		same = is_same(&config_table[i], r->config, in_file[i] ? file : &defaults);
		if (same < 0)
			err = same;
		else if (!same)
			r->place[i].kind = in_file[i] ? REPLACE : ADD;
	}
	config_fini(&defaults);
	return err;
}

/* Which settings the text has, and behind which line a new one of each section goes. */
static void survey(struct rewrite *r, bool *in_file)
{
	const char *at = r->text, *section = NULL, *section_end = NULL;
	struct line l;

	for (size_t n = 1; next_line(r->text, &at, r->end, &l); n++) {
		if (l.section != NULL) {
			section = l.section;
			section_end = l.section_end;
		}
		if (l.option != NULL)
			in_file[l.option - config_table] = true;
		if (section == NULL || (l.section == NULL && l.option == NULL))
			continue;
		for (size_t i = 0; i < config_table_count; i++) {
			size_t len = strlen(config_table[i].section);

			if (len == (size_t)(section_end - section) && memcmp(config_table[i].section, section, len) == 0)
				r->place[i].line = n;
		}
	}
}

static int add_setting(struct rewrite *r, const struct config_option *o)
{
	size_t before;
	int err;

	if (r->out->len > 0 && r->out->data[r->out->len - 1] != '\n')
		err = bytes_add(r->out, "\n", 1);
	else
		err = 0;
	if (err == 0)
		err = bytes_addf(r->out, "%s = ", o->name);
	before = r->out->len;
	if (err == 0)
		err = add_value(r->config, o, r->out);
	if (err == 0 && r->out->len == before)
		r->out->len--;
	return err == 0 ? bytes_add(r->out, "\n", 1) : err;
}

static int add_line(struct rewrite *r, const struct line *l, const char *next)
{
	bool replace = l->option != NULL && r->place[l->option - config_table].kind == REPLACE;
	int err;

	if (!replace)
		return bytes_add(r->out, l->text, (size_t)(next - l->text));
	err = bytes_add(r->out, l->text, (size_t)(l->value - l->text));
	if (err == 0 && l->value == l->value_end)
		err = bytes_add(r->out, " ", 1);
	if (err == 0)
		err = add_value(r->config, l->option, r->out);
	return err == 0 ? bytes_add(r->out, l->value_end, (size_t)(next - l->value_end)) : err;
}

/* New settings that go behind line N; with 0, at the end. */
static int add_new(struct rewrite *r, size_t n)
{
	const char *section = "";
	int err = 0;

	for (size_t i = 0; i < config_table_count && err == 0; i++) {
		const struct config_option *o = &config_table[i];

		if (r->place[i].kind != ADD || r->place[i].line != n)
			continue;
		if (n == 0 && strcmp(section, o->section) != 0) {
			bool whole = r->out->len == 0 || r->out->data[r->out->len - 1] == '\n';

			section = o->section;
			err = bytes_addf(r->out, "%s%s[%s]\n", whole ? "" : "\n", r->out->len > 0 ? "\n" : "", section);
		}
		if (err == 0)
			err = add_setting(r, o);
	}
	return err;
}

static int write_text(struct rewrite *r)
{
	const char *at = r->text;
	struct line l;
	int err = 0;

	for (size_t n = 1; err == 0 && next_line(r->text, &at, r->end, &l); n++) {
		err = add_line(r, &l, at);
		if (err == 0)
			err = add_new(r, n);
	}
	return err == 0 ? add_new(r, 0) : err;
}

/* Whether the new text says what it should. */
static int read_back(const struct config *c, const char *text, size_t len, const char *base, struct error *e)
{
	struct error why = { { 0 } };
	struct config again;
	int err = config_init(&again), same = 1;

	if (err < 0)
		return err;
	err = config_read_text(&again, text, len, "the new text", base, &why);
	if (err < 0 && err != -ENOMEM)
		err = error_set(e, -EINVAL, "a setting can't be written to an ini file: %s", why.text);
	for (size_t i = 0; i < config_table_count && err == 0; i++) {
		same = is_same(&config_table[i], c, &again);
		if (same < 0)
			err = same;
		else if (!same)
			err = error_set(e, -EINVAL, "a setting can't be written to an ini file: %s would be read otherwise", config_table[i].name);
	}
	config_fini(&again);
	return err;
}

/* A hidden setting that is its default is nobody's business. */
static int add_all(struct rewrite *r, const struct config *defaults)
{
	const char *section = "";
	int err = 0;

	for (size_t i = 0; i < config_table_count && err == 0; i++) {
		const struct config_option *o = &config_table[i];
		int same = o->hidden ? is_same(o, r->config, defaults) : 0;

		if (same == 1)
			continue;
		err = same;
		if (err == 0 && strcmp(section, o->section) != 0) {
			err = bytes_addf(r->out, "%s[%s]\n", r->out->len > 0 ? "\n" : "", o->section);
			section = o->section;
		}
		if (err == 0)
			err = add_setting(r, o);
	}
	return err;
}

int config_whole_text(const struct config *c, struct bytes *ret, struct error *e)
{
	struct rewrite r = { .config = c, .out = ret };
	struct config defaults;
	int err = config_init(&defaults);

	if (err < 0)
		return error_set(e, err, "out of memory");
	err = add_all(&r, &defaults);
	config_fini(&defaults);
	if (err < 0)
		return error_set(e, err, "out of memory");
	return read_back(c, ret->data, ret->len, NULL, e);
}

int config_rewrite_text(const struct config *c, const char *text, size_t len, const char *base, struct bytes *ret, struct error *e)
{
	struct rewrite r = { .config = c, .text = text, .end = text + len, .out = ret };
	bool in_file[CONFIG_OPTIONS_MAX] = { false };
	size_t before = ret->len;
	struct config file;
	int err;

	assert(config_table_count <= CONFIG_OPTIONS_MAX && before == 0);
	err = config_init(&file);
	if (err < 0)
		return error_set(e, err, "out of memory");
	err = config_read_text(&file, text, len, "it can't be read", base, e);
	if (err < 0 && err != -ENOMEM)
		err = -EINVAL;
	if (err == 0) {
		survey(&r, in_file);
		err = decide(&r, &file, in_file);
	}
	if (err == 0)
		err = write_text(&r);
	if (err == 0)
		err = read_back(c, ret->len > 0 ? ret->data : "", ret->len, base, e);
	config_fini(&file);
	return err == -ENOMEM ? error_set(e, err, "out of memory") : err;
}

/* ---- file ---- */

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* The content, mode and owner of a file that is to take PATH's place; LIKE: what it has now, or NULL. */
static int fill(int fd, const struct bytes *text, const struct stat *like)
{
	int err = write_all(fd, text->data, text->len);

	if (err == 0 && like != NULL && (like->st_uid != geteuid() || like->st_gid != getegid()) &&
	    fchown(fd, like->st_uid, like->st_gid) < 0)
		err = -errno;
	if (err == 0 && fchmod(fd, like != NULL ? like->st_mode & 07777 : 0644) < 0)
		err = -errno;
	if (err == 0 && fsync(fd) < 0)
		err = -errno;
	return err;
}

static int replace_file(const char *path, const char *dir, const struct bytes *text, const struct stat *like, struct error *e)
{
	struct bytes temp = { 0 };
	int err = bytes_addf(&temp, "%s.XXXXXX", path), fd;

	if (err == 0)
		err = bytes_add(&temp, "", 1);
	if (err < 0)
		goto out;
	fd = mkostemp(temp.data, O_CLOEXEC);
	if (fd < 0) {
		err = error_set(e, -errno, "%s: no new file beside it: %s", path, strerrordesc_np(errno));
		goto out;
	}
	err = fill(fd, text, like);
	if (close(fd) < 0 && err == 0)
		err = -errno;
	if (err == 0 && rename(temp.data, path) < 0)
		err = -errno;
	if (err < 0)
		unlink(temp.data);
	else
		err = sync_dir(dir);
	if (err < 0)
		error_set(e, err, "%s: cannot be written: %s", path, strerrordesc_np(-err));
out:
	bytes_fini(&temp);
	return err == -ENOMEM ? error_set(e, err, "out of memory") : err;
}

/* PATH has no symbolic links. */
static int rewrite_at(const struct config *c, const char *path, const char *dir, struct error *e)
{
	struct bytes old = { 0 }, text = { 0 };
	struct stat st;
	bool there = stat(path, &st) == 0;
	int err = there ? config_file_bytes(path, &old, e) : 0;

	if (err < 0)
		goto out;
	err = config_rewrite_text(c, old.len > 0 ? old.data : "", old.len, dir, &text, e);
	if (err < 0)
		error_prepend(e, err, "%s", path);
	else if (!there || text.len != old.len || (text.len > 0 && memcmp(text.data, old.data, text.len) != 0))
		err = replace_file(path, dir, &text, there ? &st : NULL, e);
out:
	bytes_fini(&old);
	bytes_fini(&text);
	return err;
}

int config_rewrite_file(const struct config *c, struct error *e)
{
	char *path, *copy;
	int err;

	assert(c->file != NULL);
	path = realpath(c->file, NULL);
	if (path == NULL && errno == ENOENT)
		path = strdup(c->file);
	copy = path != NULL ? strdup(path) : NULL;
	if (copy != NULL)
		err = rewrite_at(c, path, dirname(copy), e);
	else
		err = error_set(e, -errno, "%s: %s", c->file, strerrordesc_np(errno));
	free(copy);
	free(path);
	return err;
}
