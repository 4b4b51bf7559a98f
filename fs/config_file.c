/* config_file.c -- settings from an ini file (inih does the syntax) and from `-o`.
 *
 * inih cuts a line that is longer than its buffer and takes an indented line for more of the value before.  Both would change what the
 * user meant without a word; so the reader below, which stands between the text and inih, hands it one line at a time without its
 * indentation, counts, and ends the reading where a line is too long or holds a NUL byte. */
#include "fs/config.h"
#include "fs/config_table.h"
#include "persist/bytes.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

struct ini_source {
	struct config *config;
	const char *text, *end;       /* what is still to read */
	const char *base;             /* what a relative dir is relative to, or NULL */
	struct error *e;
	int line;                     /* number of the line inih has now */
	int err, err_line;            /* the first error; 0: none */
	int seen[CONFIG_OPTIONS_MAX];        /* line where the option of that index was given; 0: not yet */
};

static void source_fail(struct ini_source *s, int err)
{
	if (s->err != 0)
		return;
	s->err = err;
	s->err_line = s->line;
}

/* inih's fgets: NULL at the end, or after an error. */
static char *source_next_line(char *buf, int size, void *stream)
{
	struct ini_source *s = stream;
	const char *line = s->text, *newline;
	size_t len;

	if (s->err != 0 || line == s->end)
		return NULL;
	s->line++;
	newline = memchr(line, '\n', (size_t)(s->end - line));
	s->text = newline != NULL ? newline + 1 : s->end;
	len = (size_t)((newline != NULL ? newline : s->end) - line);
	if (memchr(line, '\0', len) != NULL) {
		source_fail(s, error_set(s->e, -EINVAL, "the line has a NUL byte"));
		return NULL;
	}
	while (len > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		len--;
	}
	if (len > CONFIG_LINE_MAX || len + 2 > (size_t)size) {
		source_fail(s, error_set(s->e, -EINVAL, "the line is longer than %d bytes", CONFIG_LINE_MAX));
		return NULL;
	}
	memcpy(buf, line, len);
	buf[len] = '\n';
	buf[len + 1] = '\0';
	return buf;
}

/* "x" without its quotes, as redis.conf allows it.  Owned by the caller; NULL: no memory. */
static char *unquote(const char *value)
{
	size_t len = strlen(value);

	if (len >= 2 && value[0] == '"' && value[len - 1] == '"')
		return strndup(value + 1, len - 2);
	return strdup(value);
}

static int make_dir_absolute(struct config *c, const char *base, struct error *e)
{
	struct bytes path = { 0 };
	int err;

	if (base == NULL || c->dir[0] == '/')
		return 0;
	err = bytes_addf(&path, "%s/%s", base, c->dir);
	if (err == 0)
		err = bytes_add(&path, "", 1);
	if (err < 0)
		error_set(e, err, "dir: out of memory");
	else
		err = config_set(c, "dir", path.data, e);
	bytes_fini(&path);
	return err;
}

static int set_from_source(struct ini_source *s, const char *name, const char *value)
{
	const struct config_option *o = config_option_find(name, strlen(name));
	char *plain;
	int err;

	if (o != NULL) {
		int *seen = &s->seen[o - config_table];

		if (*seen != 0)
			return error_set(s->e, -EINVAL, "%s: was given before, in line %d", o->name, *seen);
		*seen = s->line;
	}
	plain = unquote(value);
	if (plain == NULL)
		return error_set(s->e, -ENOMEM, "out of memory");
	err = config_set(s->config, name, plain, s->e);
	free(plain);
	if (err == 0 && o != NULL && strcmp(o->name, "dir") == 0)
		err = make_dir_absolute(s->config, s->base, s->e);
	return err;
}

static int source_take(void *user, const char *section, const char *name, const char *value)
{
	struct ini_source *s = user;
	int err;

	(void)section;
	if (s->err != 0)
		return 0;
	err = set_from_source(s, name, value);
	if (err < 0)
		source_fail(s, err);
	return err == 0;
}

int config_read_text(struct config *c, const char *text, size_t len, const char *where, const char *base, struct error *e)
{
	struct ini_source s = { .config = c, .text = text, .end = text + len, .base = base, .e = e };
	int bad_line;

	assert(config_table_count <= CONFIG_OPTIONS_MAX);
	ini_max_line = CONFIG_LINE_MAX + 3;
	bad_line = ini_parse_stream(source_next_line, &s, source_take, &s);
	if (bad_line < 0)
		return error_set(e, -ENOMEM, "%s: out of memory", where);
	if (bad_line > 0 && (s.err == 0 || bad_line < s.err_line)) {
		struct error syntax = { { 0 } };

		error_set(&syntax, -EINVAL, "%s:%d: this is neither \"key = value\" nor \"[section]\"", where, bad_line);
		*e = syntax;
		return -EINVAL;
	}
	if (s.err != 0)
		return error_prepend(e, s.err, "%s:%d", where, s.err_line);
	return 0;
}

int config_file_bytes(const char *path, struct bytes *ret, struct error *e)
{
	struct stat st;
	int err = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		err = -errno;
		return error_set(e, err, "%s: cannot be read: %s", path, strerrordesc_np(-err));
	}
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		err = error_set(e, -EISDIR, "%s: is a directory", path);
	while (err == 0) {
		ssize_t n;

		err = bytes_reserve(ret, 16384);
		if (err < 0) {
			error_set(e, err, "%s: out of memory", path);
			break;
		}
		n = read(fd, ret->data + ret->len, 16384);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err = -errno;
			error_set(e, err, "%s: cannot be read: %s", path, strerrordesc_np(-err));
		}
		if (n <= 0)
			break;
		ret->len += (size_t)n;
		if (ret->len > CONFIG_FILE_MAX)
			err = error_set(e, -EFBIG, "%s: is larger than %d bytes: no file of settings", path, CONFIG_FILE_MAX);
	}
	close(fd);
	return err;
}

/* Where the file is found again after the daemon has left its working directory. */
static int remember_file(struct config *c, const char *path, struct error *e)
{
	struct bytes absolute = { 0 };
	char *here = NULL;
	int err = 0;

	if (path[0] != '/') {
		here = getcwd(NULL, 0);
		if (here == NULL) {
			err = -errno;
			return error_set(e, err, "the working directory: %s", strerrordesc_np(-err));
		}
		err = bytes_addf(&absolute, "%s/", here);
		free(here);
	}
	if (err == 0)
		err = bytes_add(&absolute, path, strlen(path) + 1);
	if (err < 0) {
		bytes_fini(&absolute);
		return error_set(e, err, "%s: out of memory", path);
	}
	free(c->file);
	c->file = absolute.data;
	return 0;
}

int config_read_file(struct config *c, const char *path, struct error *e)
{
	struct bytes text = { 0 };
	char *absolute = NULL;
	int err = config_file_bytes(path, &text, e);

	if (err < 0)
		goto out;
	absolute = realpath(path, NULL);
	if (absolute == NULL) {
		err = -errno;
		error_set(e, err, "%s: %s", path, strerrordesc_np(-err));
		goto out;
	}
	err = config_read_text(c, text.len > 0 ? text.data : "", text.len, path, dirname(absolute), e);
	if (err == 0)
		err = remember_file(c, path, e);
out:
	free(absolute);
	bytes_fini(&text);
	return err;
}

/* ---- -o ---- */

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list != NULL; list++) {
		if (strcmp(word, *list) == 0)
			return true;
	}
	return false;
}

/* Read by mount(8), systemd and libfuse's helpers, nothing to us. */
static bool is_swallowed(const char *word)
{
	static const char *const words[] = {
		"defaults", "rw", "auto", "noauto", "user", "nouser", "users", "owner", "group", "nofail", "_netdev", "async",
		"atime", "relatime", "norelatime", "strictatime", "nostrictatime", "diratime", "nodiratime", "lazytime", "nolazytime",
		"default_permissions", "silent", "loud", "nomand", "noiversion", "symfollow", NULL,
	};
	static const char *const prefixes[] = { "x-", "X-", "comment=", "user=", "helper=", "uhelper=", "fsname=", "subtype=", NULL };

	for (const char *const *p = prefixes; *p != NULL; p++) {
		if (strncmp(word, *p, strlen(*p)) == 0)
			return true;
	}
	return is_one_of(word, words);
}

static bool is_kernels(const char *word)
{
	static const char *const words[] = {
		"ro", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "noatime", "sync", "dirsync", NULL,
	};

	return is_one_of(word, words);
}

static int add_mount_option(struct config *c, const char *word, struct error *e)
{
	struct bytes list = { 0 };
	int err = bytes_addf(&list, "%s%s%s", c->mount_options, c->mount_options[0] != '\0' ? "," : "", word);

	if (err == 0)
		err = bytes_add(&list, "", 1);
	if (err < 0) {
		bytes_fini(&list);
		return error_set(e, err, "out of memory");
	}
	free(c->mount_options);
	c->mount_options = list.data;
	return 0;
}

bool config_is_view(const struct config *c)
{
	const char *p = c->mount_options;
	size_t len;

	for (; *p; p += len + (p[len] == ',')) {
		len = strcspn(p, ",");
		if (len == 2 && memcmp(p, "ro", len) == 0)
			return true;
	}
	return c->until[0] != '\0';
}

/* What some of mount(8)'s words mean to the daemon too; of contrary ones the last counts. */
static void note_word(struct config *c, const char *word)
{
	static const struct { const char *word; enum atime_rule rule; } atimes[] = {
		{ "noatime", ATIME_NEVER }, { "strictatime", ATIME_ALWAYS }, { "atime", ATIME_RELATIVE }, { "relatime", ATIME_RELATIVE },
		{ "nostrictatime", ATIME_RELATIVE },
	};

	for (size_t i = 0; i < sizeof(atimes) / sizeof(atimes[0]); i++)
		if (strcmp(word, atimes[i].word) == 0)
			c->atime = atimes[i].rule;
	if (strcmp(word, "dev") == 0 || strcmp(word, "nodev") == 0)
		c->devices = word[0] == 'd';
	if (strcmp(word, "diratime") == 0 || strcmp(word, "nodiratime") == 0)
		c->nodiratime = word[0] == 'n';
}

/* WORD is one element without escapes; it is changed. */
static int set_word(struct config *c, char *word, struct error *e)
{
	const struct config_option *o;
	char *equals;

	note_word(c, word);
	if (word[0] == '\0' || is_swallowed(word))
		return 0;
	if (is_kernels(word))
		return add_mount_option(c, word, e);
	if (strcmp(word, "remount") == 0)
		return error_set(e, -EINVAL, "remount: settings change by kvfs-ctl config set; ro and the like by the kernel alone: mount -i -o remount,ro "
		                             "MOUNTPOINT");
	if (strcmp(word, "allow_root") == 0)
		return error_set(e, -EINVAL, "allow_root: can't be kept, since the kernel answers others from its caches; allow_other lets them in, "
		                             "and the modes of the files decide");
	equals = strchr(word, '=');
	if (equals != NULL)
		*equals = '\0';
	for (char *p = word; *p != '\0'; p++) {
		if (*p == '_')
			*p = '-';
	}
	if (equals != NULL)
		return config_set(c, word, equals + 1, e);
	o = config_option_find(word, strlen(word));
	if (o != NULL && o->type != CONFIG_BOOL && o->type != CONFIG_ROOT_BOOL)
		return error_set(e, -EINVAL, "%s: needs a value: -o %s=...", o->name, o->name);
	return config_set(c, word, "yes", e);
}

int config_set_options(struct config *c, const char *options, struct error *e)
{
	char *copy = strdup(options), *in = copy;
	int err = 0;

	if (copy == NULL)
		return error_set(e, -ENOMEM, "-o: out of memory");
	while (err == 0 && *in != '\0') {
		char *word = in, *out = in;

		while (*in != '\0' && *in != ',') {
			if (*in == '\\' && (in[1] == ',' || in[1] == '\\'))
				in++;
			*out++ = *in++;
		}
		if (*in == ',')
			in++;
		*out = '\0';
		err = set_word(c, word, e);
	}
	free(copy);
	return err < 0 ? error_prepend(e, err, "-o") : 0;
}
