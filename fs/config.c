/* config.c -- values of settings: defaults, text to value, value to text.  The table is config_table.c, files and `-o` config_file.c. */
#include "fs/config.h"
#include "fs/config_table.h"
#include "fs/glob.h"
#include "persist/bytes.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- text to value; REASON is what is wrong, to stand behind the quoted text ---- */

/* Digits at *TEXT; moves behind them.  False: none, or too large. */
static bool take_number(const char **text, int64_t *ret)
{
	const char *p = *text;
	int64_t n = 0;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *p - '0', &n))
			return false;
	}
	*text = p;
	*ret = n;
	return true;
}

static bool parse_number(const char *text, int64_t *ret)
{
	return take_number(&text, ret) && *text == '\0';
}

/* As redis.conf: 1k is 1000 bytes, 1kb is 1024, likewise m, mb, g, gb; any case. */
static bool parse_memory(const char *text, int64_t *ret)
{
	static const struct {
		const char *unit;
		int64_t bytes;
	} units[] = {
		{ "", 1 }, { "b", 1 }, { "k", 1000 }, { "kb", 1 << 10 }, { "m", 1000000 }, { "mb", 1 << 20 },
		{ "g", 1000000000 }, { "gb", 1 << 30 },
	};
	int64_t n;

	if (!take_number(&text, &n))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcasecmp(text, units[i].unit) == 0)
			return !__builtin_mul_overflow(n, units[i].bytes, ret);
	}
	return false;
}

/* "75%": -75. */
static bool parse_share(const char *text, int64_t *ret)
{
	int64_t n;

	if (parse_memory(text, ret))
		return true;
	if (!take_number(&text, &n) || strcmp(text, "%") != 0 || n < 1 || n > 100)
		return false;
	*ret = -n;
	return true;
}

static bool parse_bool(const char *text, bool *ret)
{
	if (strcasecmp(text, "yes") == 0)
		*ret = true;
	else if (strcasecmp(text, "no") == 0)
		*ret = false;
	else
		return false;
	return true;
}

static bool parse_save(const char *text, struct save_rules *ret)
{
	struct save_rules rules = { 0 };

	text += strspn(text, " \t");
	while (*text != '\0') {
		struct save_rule *r = &rules.rule[rules.count];

		if (rules.count == SAVE_RULES_MAX)
			return false;
		if (!take_number(&text, &r->seconds) || r->seconds < 1 || r->seconds > INT_MAX || (*text != ' ' && *text != '\t'))
			return false;
		text += strspn(text, " \t");
		if (!take_number(&text, &r->changes) || r->changes > INT_MAX)
			return false;
		if (*text != '\0' && *text != ' ' && *text != '\t')
			return false;
		text += strspn(text, " \t");
		rules.count++;
	}
	*ret = rules;
	return true;
}

static void put_integer(void *to, size_t size, int64_t n)
{
	int narrow = (int)n;

	assert(size == sizeof(narrow) || size == sizeof(n));
	if (size == sizeof(narrow))
		memcpy(to, &narrow, size);
	else
		memcpy(to, &n, size);
}

static int64_t get_integer(const void *from, size_t size)
{
	int narrow;
	int64_t n;

	assert(size == sizeof(narrow) || size == sizeof(n));
	if (size == sizeof(n)) {
		memcpy(&n, from, size);
		return n;
	}
	memcpy(&narrow, from, size);
	return narrow;
}

/* "x, y, z". */
static void list_choices(const struct config_option *o, const char *separator, struct bytes *out)
{
	for (const struct config_choice *c = o->choices; c->word != NULL; c++)
		(void)bytes_addf(out, "%s%s", c == o->choices ? "" : separator, c->word);
}

static const char *choice_word(const struct config_option *o, int64_t value)
{
	const struct config_choice *c = o->choices;

	while (c->word != NULL && c->value != value)
		c++;
	assert(c->word != NULL);
	return c->word;
}

static int refuse(const struct config_option *o, const char *value, const char *what, struct error *e)
{
	char quoted[128];

	return error_set(e, -EINVAL, "%s: \"%s\" is %s", o->name, error_quote(value, strlen(value), quoted, sizeof(quoted)), what);
}

static int set_choice(const struct config_option *o, void *to, const char *value, struct error *e)
{
	struct bytes list = { 0 };
	char text[128];

	for (const struct config_choice *c = o->choices; c->word != NULL; c++) {
		if (strcasecmp(value, c->word) == 0) {
			put_integer(to, o->size, c->value);
			return 0;
		}
	}
	list_choices(o, ", ", &list);
	snprintf(text, sizeof(text), "not one of %.*s", (int)list.len, list.len > 0 ? list.data : "");
	bytes_fini(&list);
	return refuse(o, value, text, e);
}

static int set_integer(const struct config_option *o, void *to, const char *value, struct error *e)
{
	bool memory = o->type == CONFIG_MEMORY, share = o->type == CONFIG_MEMORY_SHARE;
	int64_t n;
	char text[160];

	if (share && !parse_share(value, &n))
		return refuse(o, value, "no size: a number, alone or with b, k, kb, m, mb, g or gb; or 1% to 100%", e);
	if (!share && !(memory ? parse_memory(value, &n) : parse_number(value, &n))) {
		return refuse(o, value, memory ? "no size: a number, alone or with b, k, kb, m, mb, g or gb" : "no number", e);
	}
	if ((n < o->min && !share) || n > o->max) {
		snprintf(text, sizeof(text), "out of range: %" PRId64 " to %" PRId64 "%s%s", o->min, o->max,
			 o->unit[0] != '\0' ? " " : "", o->unit);
		return refuse(o, value, text, e);
	}
	put_integer(to, o->size, n);
	return 0;
}

static int set_text(const struct config_option *o, void *to, const char *value, struct error *e)
{
	char **owner = to, *copy;
	char text[96];
	size_t len = strlen(value);

	if (len < (size_t)o->min)
		return error_set(e, -EINVAL, "%s: is empty", o->name);
	if (len > (size_t)o->max) {
		snprintf(text, sizeof(text), "longer than %" PRId64 " bytes", o->max);
		return refuse(o, value, text, e);
	}
	if (o->type == CONFIG_FILENAME && (strchr(value, '/') != NULL || strcmp(value, ".") == 0 || strcmp(value, "..") == 0))
		return refuse(o, value, "no file name: it must have no '/' and not be \".\" or \"..\"", e);
	copy = strdup(value);
	if (copy == NULL)
		return error_set(e, -ENOMEM, "%s: out of memory", o->name);
	free(*owner);
	*owner = copy;
	return 0;
}

static int set_bool(const struct config_option *o, void *to, const char *value, struct error *e)
{
	bool on;

	if (o->type == CONFIG_ROOT_BOOL && strcasecmp(value, "auto") == 0)
		on = geteuid() == 0;
	else if (!parse_bool(value, &on))
		return refuse(o, value, o->type == CONFIG_ROOT_BOOL ? "not one of yes, no, auto" : "not yes or no", e);
	memcpy(to, &on, sizeof(on));
	return 0;
}

/* The strings that persist borrows. */
static void share_strings(struct config *c)
{
	c->persist.dir = c->dir;
	c->persist.dbfilename = c->dbfilename;
	c->persist.appenddirname = c->appenddirname;
	c->persist.appendfilename = c->appendfilename;
	c->persist.journal_dir = c->journal_dir;
}

static int set_option(struct config *c, const struct config_option *o, const char *value, struct error *e)
{
	void *to = (char *)c + o->offset;
	int err = 0;

	switch (o->type) {
	case CONFIG_BOOL:
	case CONFIG_ROOT_BOOL:
		err = set_bool(o, to, value, e);
		break;
	case CONFIG_INT:
	case CONFIG_MEMORY:
	case CONFIG_MEMORY_SHARE:
		err = set_integer(o, to, value, e);
		break;
	case CONFIG_CHOICE:
		err = set_choice(o, to, value, e);
		break;
	case CONFIG_TEXT:
	case CONFIG_FILENAME:
		err = set_text(o, to, value, e);
		break;
	case CONFIG_SAVE:
		if (!parse_save(value, to))
			err = refuse(o, value, "no list of \"<seconds> <changes>\" (at most 16 pairs, seconds from 1)", e);
		break;
	}
	share_strings(c);
	return err;
}

int config_set(struct config *c, const char *name, const char *value, struct error *e)
{
	const struct config_option *o = config_option_find(name, strlen(name));
	char quoted[128];

	if (o == NULL)
		return error_set(e, -ENOENT, "unknown option \"%s\"", error_quote(name, strlen(name), quoted, sizeof(quoted)));
	return set_option(c, o, value, e);
}

int config_may_change(const char *name, struct error *e)
{
	const struct config_option *o = config_option_find(name, strlen(name));

	if (o == NULL)
		return error_set(e, -ENOENT, "unknown option");
	if (o->change == CONFIG_IMMUTABLE)
		return error_set(e, -EPERM, "can't set immutable config");
	if (o->change == CONFIG_PROTECTED)
		return error_set(e, -EPERM, "can't set protected config");
	return 0;
}

/* What is wrong with VALUE, as Redis says it. */
static int refuse_as_redis(const struct config_option *o, const char *value, struct error *e)
{
	const char *digits = value + (value[0] == '-');
	struct bytes list = { 0 };
	int64_t n;

	switch (o->type) {
	case CONFIG_BOOL:
		return error_set(e, -EINVAL, "argument must be 'yes' or 'no'");
	case CONFIG_INT:
	case CONFIG_MEMORY:
	case CONFIG_MEMORY_SHARE:
		if (o->type != CONFIG_INT && !parse_memory(value, &n))
			return error_set(e, -EINVAL, "argument must be a memory value");
		if (o->type == CONFIG_INT && !parse_number(digits, &n))
			return error_set(e, -EINVAL, "argument couldn't be parsed into an integer");
		return error_set(e, -EINVAL, "argument must be between %" PRId64 " and %" PRId64 " inclusive", o->min, o->max);
	case CONFIG_CHOICE:
		list_choices(o, ", ", &list);
		error_set(e, -EINVAL, "argument(s) must be one of the following: %.*s", (int)list.len, list.len > 0 ? list.data : "");
		bytes_fini(&list);
		return -EINVAL;
	case CONFIG_SAVE:
		return error_set(e, -EINVAL, "Invalid save parameters");
	case CONFIG_ROOT_BOOL:
	case CONFIG_TEXT:
	case CONFIG_FILENAME:
		break;
	}
	return error_set(e, -EINVAL, "can't set immutable config");
}

int config_set_running(struct config *c, const char *name, const char *value, struct error *e)
{
	const struct config_option *o = config_option_find(name, strlen(name));
	struct error reason = { { 0 } };
	int err = config_may_change(name, e);

	if (err < 0)
		return err;
	err = set_option(c, o, value, &reason);
	return err < 0 ? refuse_as_redis(o, value, e) : 0;
}

void config_take_running(struct config *c, const struct config *next)
{
	for (size_t i = 0; i < config_table_count; i++) {
		const struct config_option *o = &config_table[i];

		if (o->change == CONFIG_RUNTIME)
			memcpy((char *)c + o->offset, (const char *)next + o->offset, o->size);
	}
}

int config_init(struct config *c)
{
	struct error e = { { 0 } };
	int err;

	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < config_table_count; i++) {
		err = set_option(c, &config_table[i], config_table[i].def, &e);
		if (err < 0)
			goto err_fini;
	}
	c->mount_options = strdup("");
	if (c->mount_options == NULL) {
		err = -ENOMEM;
		goto err_fini;
	}
	c->persist.uid = geteuid();
	c->persist.gid = getegid();
	return 0;

err_fini:
	assert(err == -ENOMEM); /* else a default is out of its own bounds */
	config_fini(c);
	return err;
}

void config_fini(struct config *c)
{
	free(c->dir);
	free(c->dbfilename);
	free(c->appenddirname);
	free(c->appendfilename);
	free(c->journal_dir);
	free(c->file);
	free(c->mount_options);
	free(c->logfile);
	free(c->until);
	free(c->memory_root);
	memset(c, 0, sizeof(*c));
}

/* ---- value to text ---- */

static int print_save(const struct save_rules *rules, struct bytes *out)
{
	int err = bytes_add(out, "", 0);

	for (int i = 0; i < rules->count && err == 0; i++)
		err = bytes_addf(out, "%s%" PRId64 " %" PRId64, i == 0 ? "" : " ", rules->rule[i].seconds, rules->rule[i].changes);
	return err;
}

int config_print_option(const struct config *c, const struct config_option *o, struct bytes *out)
{
	const void *from = (const char *)c + o->offset;
	char *const *text = from;
	const bool *on = from;
	int64_t n;

	switch (o->type) {
	case CONFIG_BOOL:
	case CONFIG_ROOT_BOOL:
		return bytes_addf(out, "%s", *on ? "yes" : "no");
	case CONFIG_INT:
	case CONFIG_MEMORY:
		return bytes_addf(out, "%" PRId64, get_integer(from, o->size));
	case CONFIG_MEMORY_SHARE:
		n = get_integer(from, o->size);
		return n < 0 ? bytes_addf(out, "%" PRId64 "%%", -n) : bytes_addf(out, "%" PRId64, n);
	case CONFIG_CHOICE:
		return bytes_addf(out, "%s", choice_word(o, get_integer(from, o->size)));
	case CONFIG_TEXT:
	case CONFIG_FILENAME:
		return bytes_addf(out, "%s", *text);
	case CONFIG_SAVE:
		return print_save(from, out);
	}
	return -EINVAL;
}

int config_each(const struct config *c, const char *pattern, void (*each)(void *ctx, const char *name, const char *value), void *ctx)
{
	struct bytes value = { 0 };
	int err = 0;

	for (size_t i = 0; i < config_table_count && err == 0; i++) {
		const struct config_option *o = &config_table[i];
		bool wanted = strcasecmp(pattern, o->name) == 0;

		if (!wanted && !o->hidden)
			wanted = glob_match(pattern, strlen(pattern), o->name, strlen(o->name), true);
		if (!wanted)
			continue;
		value.len = 0;
		err = config_print_option(c, o, &value);
		if (err == 0)
			err = bytes_add(&value, "", 1);
		if (err == 0)
			each(ctx, o->name, value.data);
	}
	bytes_fini(&value);
	return err;
}

/* ---- help ---- */

/* What may stand behind '='. */
static void print_values(const struct config_option *o, struct bytes *out)
{
	switch (o->type) {
	case CONFIG_BOOL:
		(void)bytes_addf(out, "yes|no");
		break;
	case CONFIG_ROOT_BOOL:
		(void)bytes_addf(out, "yes|no|auto");
		break;
	case CONFIG_INT:
	case CONFIG_MEMORY:
		(void)bytes_addf(out, "%s", o->type == CONFIG_MEMORY ? "SIZE" : "N");
		break;
	case CONFIG_MEMORY_SHARE:
		(void)bytes_addf(out, "SIZE|N%%");
		break;
	case CONFIG_CHOICE:
		list_choices(o, "|", out);
		break;
	case CONFIG_TEXT:
		(void)bytes_addf(out, "PATH");
		break;
	case CONFIG_FILENAME:
		(void)bytes_addf(out, "NAME");
		break;
	case CONFIG_SAVE:
		(void)bytes_addf(out, "RULES");
		break;
	}
}

void config_print_help(void *stream)
{
	struct bytes left = { 0 };
	const char *section = "";

	for (size_t i = 0; i < config_table_count; i++) {
		const struct config_option *o = &config_table[i];

		if (o->hidden)
			continue;
		if (strcmp(section, o->section) != 0) {
			section = o->section;
			fprintf(stream, "  [%s]\n", section);
		}
		left.len = 0;
		(void)bytes_addf(&left, "%s=", o->name);
		print_values(o, &left);
		fprintf(stream, "  %-37.*s %s (%s%s%s)\n", (int)left.len, left.len > 0 ? left.data : "", o->help,
			o->def[0] != '\0' ? o->def : "empty", o->type == CONFIG_INT && o->unit[0] != '\0' ? " " : "",
			o->type == CONFIG_INT ? o->unit : "");
	}
	bytes_fini(&left);
}
