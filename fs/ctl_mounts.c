/* ctl_mounts.c -- see ctl_mounts.h.  proc(5): "36 35 98:0 /root /mount/point options [tags] - type source super-options". */
#include "fs/ctl_mounts.h"
#include "persist/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_SIZE = 16 << 10 };

struct word {
	const char *data;
	size_t len;
};

/* The next word of a line; empty at its end. */
static struct word next_word(const char **p, const char *end)
{
	struct word w;

	while (*p < end && **p == ' ')
		(*p)++;
	w.data = *p;
	while (*p < end && **p != ' ')
		(*p)++;
	w.len = (size_t)(*p - w.data);
	return w;
}

static bool word_is(struct word w, const char *text)
{
	return w.len == strlen(text) && memcmp(w.data, text, w.len) == 0;
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* \040 and the like, as the kernel writes blanks and backslashes. */
static char *decode(struct word w)
{
	char *text = malloc(w.len + 1), *out = text;

	if (text == NULL)
		return NULL;
	for (size_t i = 0; i < w.len; i++) {
		const char *d = w.data + i;

		if (d[0] == '\\' && w.len - i >= 4 && is_octal(d[1]) && is_octal(d[2]) && is_octal(d[3])) {
			*out++ = (char)((d[1] - '0') * 64 + (d[2] - '0') * 8 + (d[3] - '0'));
			i += 3;
		} else {
			*out++ = d[0];
		}
	}
	*out = '\0';
	return text;
}

static int add_mount(struct ctl_mounts *m, struct word root, struct word mountpoint, struct word source, bool view)
{
	struct ctl_mount *grown = reallocarray(m->mount, m->count + 1, sizeof(*grown));
	struct ctl_mount *mount;

	if (grown == NULL)
		return -ENOMEM;
	m->mount = grown;
	mount = &grown[m->count];
	mount->mountpoint = decode(mountpoint);
	mount->root = decode(root);
	mount->dir = decode(source);
	mount->view = view;
	if (mount->mountpoint == NULL || mount->root == NULL || mount->dir == NULL) {
		free(mount->mountpoint);
		free(mount->root);
		free(mount->dir);
		return -ENOMEM;
	}
	m->count++;
	return 0;
}

static int parse_line(struct ctl_mounts *m, const char *p, const char *end)
{
	struct word w, root, mountpoint, source;
	bool view;

	for (int i = 0; i < 3; i++)
		next_word(&p, end);
	root = next_word(&p, end);
	mountpoint = next_word(&p, end);
	do {
		w = next_word(&p, end);
		if (w.len == 0)
			return 0;
	} while (!word_is(w, "-"));
	w = next_word(&p, end);
	source = next_word(&p, end);
	view = word_is(w, "fuse.kvfs-view");
	if ((!view && !word_is(w, "fuse.kvfs")) || source.len == 0 || root.len == 0)
		return 0;
	return add_mount(m, root, mountpoint, source, view);
}

int ctl_mounts_parse(const char *text, size_t len, struct ctl_mounts *ret)
{
	struct ctl_mounts m = { 0 };
	const char *end = text + len;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *stop = newline != NULL ? newline : end;

		if (parse_line(&m, text, stop) < 0) {
			ctl_mounts_fini(&m);
			return -ENOMEM;
		}
		text = newline != NULL ? newline + 1 : end;
	}
	*ret = m;
	return 0;
}

int ctl_mounts_read(struct ctl_mounts *ret, struct error *e)
{
	struct bytes text = { 0 };
	int err = 0, fd;

	fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		return error_set(e, err, "/proc/self/mountinfo: %s", strerrordesc_np(-err));
	}
	for (;;) {
		ssize_t n;

		err = bytes_reserve(&text, READ_SIZE);
		if (err < 0)
			break;
		n = read(fd, text.data + text.len, READ_SIZE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			err = -errno;
		if (n <= 0)
			break;
		text.len += (size_t)n;
	}
	close(fd);
	if (err == 0)
		err = ctl_mounts_parse(text.len > 0 ? text.data : "", text.len, ret);
	bytes_fini(&text);
	return err < 0 ? error_set(e, err, "/proc/self/mountinfo: %s", strerrordesc_np(-err)) : 0;
}

void ctl_mounts_fini(struct ctl_mounts *m)
{
	for (size_t i = 0; i < m->count; i++) {
		free(m->mount[i].mountpoint);
		free(m->mount[i].root);
		free(m->mount[i].dir);
	}
	free(m->mount);
	*m = (struct ctl_mounts){ 0 };
}

/* The last one at that path: it hides those before. */
static const struct ctl_mount *find(const struct ctl_mounts *m, const char *path)
{
	for (size_t i = m->count; i-- > 0;) {
		if (strcmp(m->mount[i].mountpoint, path) == 0)
			return &m->mount[i];
	}
	return NULL;
}

/* Views have no server, so none of them can be meant. */
static int pick_only(const struct ctl_mounts *m, const struct ctl_mount **ret, struct error *e)
{
	const struct ctl_mount *first = NULL;
	struct bytes list = { 0 };
	bool several = false;

	for (size_t i = 0; i < m->count; i++) {
		if (m->mount[i].view)
			continue;
		if (first == NULL)
			first = &m->mount[i];
		several = several || strcmp(m->mount[i].dir, first->dir) != 0;
		(void)bytes_addf(&list, "\n  -m %s", m->mount[i].mountpoint);
	}
	if (several)
		error_set(e, -EINVAL, "several keyspaces are mounted, pick one:%.*s", (int)list.len, list.len > 0 ? list.data : "");
	bytes_fini(&list);
	if (several)
		return -EINVAL;
	if (first == NULL)
		return error_set(e, -ENOENT, m->count == 0 ? "no kvfs is mounted" : "no kvfs is mounted but read-only views (-m MOUNTPOINT umount "
		                 "ends one)");
	*ret = first;
	return 0;
}

int ctl_mounts_pick(const struct ctl_mounts *m, const char *mountpoint, const struct ctl_mount **ret, struct error *e)
{
	const struct ctl_mount *found;
	char *real;

	if (mountpoint == NULL)
		return pick_only(m, ret, e);
	/* As it stands first: a mount whose daemon died cannot be resolved. */
	found = find(m, mountpoint);
	if (found == NULL) {
		real = realpath(mountpoint, NULL);
		if (real != NULL)
			found = find(m, real);
		free(real);
	}
	if (found == NULL)
		return error_set(e, -ENOENT, "%s: no kvfs is mounted there", mountpoint);
	*ret = found;
	return 0;
}
