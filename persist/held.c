/* held.c -- see held.h. */
#include "persist/held.h"

#include "persist/mapped.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TRIES_MAX = 200 };

static const struct timespec pause_between = { .tv_nsec = 5000000 };

static void close_files(struct held_log *h)
{
	for (size_t i = 0; i < h->count; i++)
		close(h->file[i].fd);
	free(h->file);
	h->file = NULL;
	h->count = 0;
}

void held_log_close(struct held_log *h)
{
	close_files(h);
	manifest_fini(&h->manifest);
	*h = (struct held_log){ 0 };
}

static int hold(struct held_log *h, int dir_fd, const struct manifest_file *f, struct error *e)
{
	int fd = mapped_open_fd(dir_fd, f->name, e);

	if (fd < 0)
		return fd == -ENOENT ? fd : error_prepend(e, fd, "%s", f->name);
	h->file[h->count++] = (struct held_file){ .of = f, .fd = fd };
	return 0;
}

/* -ENOENT without E: *RET_MISSING is not there. */
static int hold_all(struct held_log *h, int dir_fd, const char **ret_missing, struct error *e)
{
	const struct manifest_file *base = manifest_base(&h->manifest);
	int err = 0;

	h->file = calloc(h->manifest.count ? h->manifest.count : 1, sizeof(*h->file));
	if (!h->file)
		return error_set(e, -ENOMEM, "out of memory");
	h->has_base = base != NULL;
	if (base) {
		*ret_missing = base->name;
		err = hold(h, dir_fd, base, e);
	}
	for (size_t i = 0; !err && i < h->manifest.count; i++) {
		if (h->manifest.file[i].type != MANIFEST_INCR)
			continue;
		*ret_missing = h->manifest.file[i].name;
		err = hold(h, dir_fd, &h->manifest.file[i], e);
	}
	return err;
}

static bool is_same(const struct mapped *a, const struct mapped *b)
{
	if (!a->data || !b->data)
		return !a->data && !b->data;
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* One try: -EAGAIN without E when the manifest changed meanwhile. */
static int try_open(int dir_fd, const char *name, struct held_log *h, struct error *e)
{
	struct mapped before = { 0 }, after = { 0 };
	const char *missing = "";
	int err = mapped_file(dir_fd, name, &before, e), again;

	if (err)
		return err == -ENOENT ? err : error_prepend(e, err, "%s", name);
	err = manifest_parse(before.data ? before.data : "", before.len, &h->manifest, e);
	if (err) {
		error_prepend(e, err, "%s", name);
		goto out;
	}
	err = hold_all(h, dir_fd, &missing, e);
	if (err && err != -ENOENT)
		goto out;
	again = mapped_file(dir_fd, name, &after, e);
	if (again)
		err = again == -ENOENT ? -EAGAIN : error_prepend(e, again, "%s", name);
	else if (!is_same(&before, &after))
		err = -EAGAIN;
	else if (err)
		err = error_set(e, -ENODATA, "%s is listed in the manifest, but it is not there", missing);
out:
	mapped_fini(&before);
	mapped_fini(&after);
	if (err)
		held_log_close(h);
	return err;
}

int held_log_open(int dir_fd, const char *name, struct held_log *h, struct error *e)
{
	int err = -EAGAIN;

	*h = (struct held_log){ 0 };
	for (int i = 0; err == -EAGAIN && i < TRIES_MAX; i++) {
		if (i)
			nanosleep(&pause_between, NULL);
		err = try_open(dir_fd, name, h, e);
	}
	return err == -EAGAIN ? error_set(e, err, "%s changed each of the %d times it was read: try again", name, TRIES_MAX) : err;
}
