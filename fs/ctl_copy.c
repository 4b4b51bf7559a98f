/* ctl_copy.c -- see ctl_copy.h. */
#include "fs/ctl_copy.h"

#include "fs/when.h"
#include "persist/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char backup_word[] = "backup", restore_word[] = "restore-to";

bool ctl_is_copy(const char *command)
{
	return strcasecmp(command, backup_word) == 0 || strcasecmp(command, restore_word) == 0;
}

/* ---- words ---- */

static int usage(bool restore)
{
	return restore ? ctl_complain(CTL_USAGE, "restore-to takes a moment and a new directory: kvfs-ctl restore-to [--from SOURCE] TIME DIR")
	               : ctl_complain(CTL_USAGE, "backup takes a new directory: kvfs-ctl backup [--from SOURCE] DIR");
}

/* The words of a moment need no quotes: they are all there are before the directory. */
static int parse_when(const char *const *words, size_t count, struct ctl_copy *c)
{
	struct bytes text = { 0 };
	struct timespec now;
	const char *why;
	int err = 0, result = CTL_DONE;

	for (size_t i = 0; err == 0 && i < count; i++)
		err = bytes_addf(&text, "%s%s", i ? " " : "", words[i]);
	clock_gettime(CLOCK_REALTIME, &now);
	if (err < 0)
		result = ctl_complain(CTL_REFUSED, "out of memory");
	else if (when_parse(text.data, text.len, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, &c->when_ns, &why) < 0)
		result = ctl_complain(CTL_USAGE, "\"%.*s\" %s", (int)text.len, text.data, why);
	bytes_fini(&text);
	return result;
}

int ctl_copy_parse(const char *const *words, size_t count, struct ctl_copy *c)
{
	*c = (struct ctl_copy){ .restore = strcasecmp(words[0], restore_word) == 0 };
	words++;
	count--;
	if (count >= 2 && strcmp(words[0], "--from") == 0) {
		c->from = words[1];
		words += 2;
		count -= 2;
	}
	if (c->restore ? count < 2 : count != 1)
		return usage(c->restore);
	c->dir = words[count - 1];
	if (c->dir[0] == '-' || c->dir[0] == '\0')
		return usage(c->restore);
	return c->restore ? parse_when(words, count - 1, c) : CTL_DONE;
}

/* ---- sources ---- */

/* The daemon's settings become ours. */
static int ask_config(struct ctl_source *s)
{
	static const char *const words[] = { "CONFIG", "GET", "*" };
	struct error unknown = { { 0 } };
	struct resp_value v;
	char *name = NULL, *value = NULL;
	int64_t pairs = 0;
	int err = ctl_send_words(&s->client, words, 3);

	if (err == 0)
		err = ctl_receive(&s->client, &v);
	if (err == 0 && v.type == '*')
		pairs = v.integer / 2;
	for (int64_t i = 0; err == 0 && i < pairs; i++) {
		err = ctl_receive(&s->client, &v);
		if (err == 0 && v.data != NULL)
			name = strndup(v.data, v.len);
		if (err == 0)
			err = ctl_receive(&s->client, &v);
		if (err == 0 && v.data != NULL)
			value = strndup(v.data, v.len);
		/* One that this program does not know does not matter to it. */
		if (err == 0 && name != NULL && value != NULL)
			(void)config_set(&s->config, name, value, &unknown);
		free(name);
		free(value);
		name = value = NULL;
	}
	return err == 0 ? CTL_DONE : ctl_complain(CTL_NO_SERVER, "the server went away: %s", strerrordesc_np(-err));
}

static int source_of_mount(struct ctl_source *s, const struct ctl_mount *mount)
{
	struct error e = { { 0 } };

	if (mount->view)
		return ctl_complain(CTL_NO_SERVER, "%s: is a read-only view: name what it shows, --from %s", mount->mountpoint, mount->dir);
	if (ctl_connect_mount(&s->client, mount, &e) < 0)
		return ctl_complain(CTL_NO_SERVER, "%s", e.text);
	s->path = mount->dir;
	s->mountpoint = mount->mountpoint;
	return ask_config(s);
}

/* An ini file names a data directory. */
static int source_from(struct ctl_source *s, const char *from, bool restore)
{
	struct error e = { { 0 } };
	struct stat st;

	if (stat(from, &st) < 0)
		return ctl_complain(CTL_REFUSED, "%s: %s", from, strerrordesc_np(errno));
	s->path = from;
	if (S_ISDIR(st.st_mode) || (restore && view_classify(from) != VIEW_NO_FILE))
		return CTL_DONE;
	if (st.st_size == 0 || config_read_file(&s->config, from, &e) < 0)
		return ctl_complain(CTL_REFUSED, "%s", st.st_size == 0 ? "an empty file is no source" : e.text);
	s->path = s->config.dir;
	return CTL_DONE;
}

int ctl_source_sync(const struct ctl_source *s)
{
	int fd, err = 0;

	if (s->mountpoint == NULL)
		return CTL_DONE;
	fd = open(s->mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		err = errno;
	if (fd >= 0)
		close(fd);
	return err == 0 ? CTL_DONE : ctl_complain(CTL_REFUSED, "%s: what was changed can't be made to last: %s", s->mountpoint,
	                                          strerrordesc_np(err));
}

int ctl_copy_run(const struct ctl_copy *c, const struct ctl_mount *mount)
{
	struct ctl_source s = { .client = { .fd = -1 } };
	int result;

	if (config_init(&s.config) < 0)
		return ctl_complain(CTL_REFUSED, "out of memory");
	result = c->from != NULL ? source_from(&s, c->from, c->restore) : source_of_mount(&s, mount);
	if (result == CTL_DONE)
		result = c->restore ? ctl_restore(&s, c->when_ns, c->dir) : ctl_backup(&s, c->dir);
	if (s.client.fd >= 0)
		ctl_disconnect(&s.client);
	config_fini(&s.config);
	return result;
}
