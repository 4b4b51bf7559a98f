/* check_dir.c -- see check_dir.h.
 *
 *      manifest    parsed; or mended, and then read on as if it were so
 *      files       base, then each incr: what counts carries number and lineage to the next; behind damage nothing counts, but an incr whose
 *                  first batch is the one after the last that does
 *      --fix       each damaged file as it is met, then the manifest without what can't count, then those files are put aside: whenever it
 *                  is interrupted, the next run goes on                                                                               */
#include "persist/check_dir.h"

#include "persist/check_fix.h"
#include "persist/check_manifest.h"
#include "persist/mapped.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char manifest_suffix[] = ".manifest";

struct log_dir {
	struct check *c;
	int fd;
	const char *prefix, *shown;  /* of the names of its files; before them in lines */
	struct manifest m;
	bool mended;                 /* M is not what the file says */
	size_t lost;                 /* files of M that can't count */
	bool *is_lost;               /* of each; owned */
	struct check_chain chain;    /* up to the last that counts */
};

/* What lines call the file NAME; to be freed. */
static char *shown_name(const struct log_dir *d, const char *name)
{
	char *shown;

	return asprintf(&shown, "%s%s", d->shown, name) < 0 ? NULL : shown;
}

/* ---- the manifest ---- */

static void say_manifest(struct log_dir *d, const char *shown)
{
	size_t i, bases = 0, incrs = 0, history = 0;

	for (i = 0; i < d->m.count; i++) {
		bases += d->m.file[i].type == MANIFEST_BASE;
		incrs += d->m.file[i].type == MANIFEST_INCR;
		history += d->m.file[i].type == MANIFEST_HISTORY;
	}
	check_say(d->c, "%s: manifest of %s: %zu base, %zu incr, %zu history%s", shown, d->m.summed ? "kvfs" : "Redis", bases, incrs, history,
	          d->m.summed ? "; its checksum is right" : "");
}

/* There is no manifest that could be read.  True: d->m is what it must have been. */
static bool mend_manifest(struct log_dir *d, const struct check_spot *s, const struct mapped *text)
{
	struct error why = { "" };
	struct bytes copy = { 0 };
	size_t at = 0;

	if (text->len && bytes_add(&copy, text->data, text->len) == 0 && check_manifest_bit(copy.data, copy.len, &d->m, &at))
		check_say(d->c, "%s: one bit of byte %zu is wrong; what it said is known", s->shown, at);
	else if (check_manifest_rebuild(d->fd, d->prefix, &d->m, &why) == 0)
		check_say(d->c, "%s: the files tell what it must say", s->shown);
	else
		check_say(d->c, "%s: it can't be made anew: %s", s->shown, why.text);
	bytes_fini(&copy);
	d->mended = d->m.count > 0;
	if (!d->mended || !d->c->o->fix)
		d->c->found |= CHECK_DAMAGED;
	return d->mended;
}

/* The manifest is not there, and files of its log are. */
static bool missing_manifest(struct log_dir *d, const struct check_spot *s)
{
	check_say(d->c, "%s: damaged: it is not there, though files of its log are; a start would find no log", s->shown);
	return mend_manifest(d, s, &(struct mapped){ 0 });
}

/* False: there is nothing to go by. */
static bool read_manifest(struct log_dir *d, const struct check_spot *s)
{
	struct error why = { "" };
	struct mapped text = { 0 };
	int err = mapped_file(d->fd, s->name, &text, &why);
	bool known = false;

	if (err == -ENOENT) {
		known = missing_manifest(d, s);
	} else if (err) {
		check_failed(d->c, s, &why);
	} else if (manifest_parse(text.data ? text.data : "", text.len, &d->m, &why) == 0) {
		say_manifest(d, s->shown);
		known = true;
	} else {
		check_drop_advice(&why);
		check_say(d->c, "%s: damaged: %s", s->shown, why.text);
		known = mend_manifest(d, s, &text);
	}
	mapped_fini(&text);
	return known;
}

static void write_manifest(struct log_dir *d, const struct check_spot *s)
{
	struct manifest kept = { 0 };
	struct bytes text = { 0 };
	struct error why = { "" };
	char *old = NULL;
	int err = 0;
	size_t i;

	for (i = 0; i < d->m.count && !err; i++)
		if (!d->is_lost[i])
			err = manifest_add(&kept, d->m.file[i].name, d->m.file[i].seq, d->m.file[i].type);
	if (!err)
		err = manifest_format(&kept, &text);
	if (err) {
		error_set(&why, err, "out of memory");
	} else {
		struct iovec part = { .iov_base = text.data, .iov_len = text.len };

		err = check_fix_replace(d->fd, s->name, &part, 1, &old, &why);
	}
	check_fixed(d->c, s, err, old, &why);
	free(old);
	bytes_fini(&text);
	manifest_fini(&kept);
}

/* ---- its files ---- */

static void put_aside(struct log_dir *d)
{
	size_t i;

	for (i = 0; i < d->m.count; i++) {
		struct error why = { "" };
		char *kept = NULL, *shown;
		int err;

		if (!d->is_lost[i] || faccessat(d->fd, d->m.file[i].name, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		shown = shown_name(d, d->m.file[i].name);
		err = shown ? check_fix_aside(d->fd, d->m.file[i].name, &kept, &why) : error_set(&why, -ENOMEM, "out of memory");
		check_fixed(d->c, &(struct check_spot){ .shown = shown ? shown : d->m.file[i].name }, err, kept, &why);
		free(kept);
		free(shown);
	}
}

static void missing_file(struct log_dir *d, size_t i, const struct check_spot *s)
{
	check_say(d->c, "%s: damaged: it is listed in the manifest, but it is not there", s->shown);
	d->is_lost[i] = true;
	d->lost++;
	if (d->m.file[i].type != MANIFEST_BASE)
		return;
	check_say(d->c, "%s: without it nothing of the log counts: put it back from a backup", s->shown);
	d->c->found |= CHECK_DAMAGED;
}

/* File I of the manifest, behind those that *STATE and the chain tell of. */
enum log_state { LOG_COUNTS, LOG_CUT, LOG_BASE_LOST };

static void look_at(struct log_dir *d, size_t i, bool is_last, enum log_state *state)
{
	const struct manifest_file *f = &d->m.file[i];
	bool is_base = f->type == MANIFEST_BASE;
	char *shown = shown_name(d, f->name);
	struct check_spot s = { .dir_fd = d->fd, .name = f->name, .shown = shown ? shown : f->name };

	if (*state == LOG_CUT && check_goes_on(d->c, &s, &d->chain))
		*state = LOG_COUNTS;
	if (*state != LOG_COUNTS) {
		check_say_lost(d->c, &s);
		d->is_lost[i] = true;
		d->lost++;
	} else {
		enum check_counts counts = check_one(d->c, &s, is_base ? ROLE_BASE : ROLE_INCR, is_last, &d->chain);

		if (counts == COUNTS_UP_TO || counts == COUNTS_MISSING)
			*state = is_base ? LOG_BASE_LOST : LOG_CUT;
		if (counts == COUNTS_MISSING)
			missing_file(d, i, &s);
	}
	free(shown);
}

static void look_at_files(struct log_dir *d)
{
	const struct manifest_file *base = manifest_base(&d->m), *last = manifest_last_incr(&d->m);
	enum log_state state = LOG_COUNTS;
	size_t i;

	if (base)
		look_at(d, (size_t)(base - d->m.file), !last, &state);
	for (i = 0; i < d->m.count; i++)
		if (d->m.file[i].type == MANIFEST_INCR)
			look_at(d, i, &d->m.file[i] == last, &state);
}

static bool is_listed(const struct manifest *m, const char *name)
{
	size_t i;

	for (i = 0; i < m->count; i++)
		if (strcmp(m->file[i].name, name) == 0)
			return true;
	return false;
}

/* Files that look as if they belonged to the log. */
static void say_others(struct log_dir *d)
{
	int fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *x;
	uint64_t number;
	bool base;

	while (dir && (x = readdir(dir)) != NULL)
		if (check_is_part(x->d_name, d->prefix, &number, &base) && !is_listed(&d->m, x->d_name))
			check_say(d->c, "%s%s: not in the manifest, and so never read", d->shown, x->d_name);
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
}

static void look_at_log(struct log_dir *d, const struct check_spot *s)
{
	unsigned before = d->c->found;

	d->c->found = 0;
	d->is_lost = calloc(d->m.count + 1, sizeof(*d->is_lost));
	if (!d->is_lost) {
		check_failed(d->c, s, &(struct error){ "out of memory" });
		d->c->found |= before;
		return;
	}
	look_at_files(d);
	say_others(d);
	if (!d->c->o->fix || d->c->found & (CHECK_DAMAGED | CHECK_FAILED)) {
		d->c->found |= d->lost || d->mended ? CHECK_DAMAGED : 0;
	} else if (d->lost || d->mended) {
		write_manifest(d, s);
		put_aside(d);
	}
	d->c->found |= before;
	free(d->is_lost);
}

void check_log_dir(struct check *c, int dir_fd, const char *manifest_name, const char *shown, struct check_chain *ret_end)
{
	char *prefix = strndup(manifest_name, strlen(manifest_name) - (sizeof(manifest_suffix) - 1));
	struct log_dir d = { .c = c, .fd = dir_fd, .prefix = prefix, .shown = shown };
	char *shown_manifest = shown_name(&d, manifest_name);
	struct check_spot s = { .dir_fd = dir_fd, .name = manifest_name, .shown = shown_manifest ? shown_manifest : manifest_name };

	if (!prefix)
		check_failed(c, &s, &(struct error){ "out of memory" });
	else if (read_manifest(&d, &s))
		look_at_log(&d, &s);
	*ret_end = d.chain;
	manifest_fini(&d.m);
	free(shown_manifest);
	free(prefix);
}

bool check_is_manifest(const char *name)
{
	size_t n = strlen(name), k = sizeof(manifest_suffix) - 1;

	return n > k && strcmp(name + n - k, manifest_suffix) == 0 && strncmp(name, "temp-", 5) != 0;
}

/* "PREFIX.manifest" when NAME is PREFIX.<number>.incr.aof or a base; to be freed. */
static char *manifest_of_part(const char *name)
{
	const char *dot = name;
	uint64_t number;
	bool base;

	while ((dot = strchr(dot + 1, '.')) != NULL) {
		char *manifest, *prefix = strndup(name, (size_t)(dot - name));
		bool fits = prefix && check_is_part(name, prefix, &number, &base);

		if (!fits || asprintf(&manifest, "%s%s", prefix, manifest_suffix) < 0)
			manifest = NULL;
		free(prefix);
		if (manifest)
			return manifest;
	}
	return NULL;
}

char *check_find_manifest(int dir_fd, const char *filename)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char *found = NULL, *of_part = NULL;
	struct dirent *x;

	while (dir && (x = readdir(dir)) != NULL) {
		bool wanted = strncmp(x->d_name, filename, strlen(filename)) == 0 && strcmp(x->d_name + strlen(filename), manifest_suffix) == 0;

		if (check_is_manifest(x->d_name) && (wanted || !found)) {
			free(found);
			found = strdup(x->d_name);
		} else if (!of_part) {
			of_part = manifest_of_part(x->d_name);
		}
		if (wanted)
			break;
	}
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	if (!found)
		return of_part;
	free(of_part);
	return found;
}
