/* check_manifest.c -- see check_manifest.h. */
#include "persist/check_manifest.h"

#include "persist/check_file.h"
#include "persist/mapped.h"
#include "persist/rdb.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BIT_TEXT_MAX = 8192, FILES_MAX = 1000 };

bool check_manifest_bit(char *text, size_t len, struct manifest *ret, size_t *ret_at)
{
	size_t bit;

	for (bit = 0; len <= BIT_TEXT_MAX && bit < len * 8; bit++) {
		struct manifest m = { 0 };
		struct error e = { "" };
		int err;

		text[bit / 8] ^= (char)(1 << bit % 8);
		err = manifest_parse(text, len, &m, &e);
		text[bit / 8] ^= (char)(1 << bit % 8);
		if (err == 0 && m.summed) {
			*ret = m;
			*ret_at = bit / 8;
			return true;
		}
		if (err == 0)
			manifest_fini(&m);
	}
	return false;
}

/* ---- from the files ---- */

struct part {
	char *name;             /* owned */
	uint64_t number;        /* in the name */
	bool base, empty;
	bool ours;              /* base: it says of which keyspace it is */
	bool whole;             /* base: sound to its end; incr: sound but for a torn end */
	uint64_t opens, last;   /* batches: incr: of its start, 0 when it is not ours; of its end.  Base: what it includes */
};

struct parts {
	struct part part[FILES_MAX];
	size_t count;
};

static void parts_free(struct parts *p)
{
	size_t i;

	for (i = 0; p && i < p->count; i++)
		free(p->part[i].name);
	free(p);
}

bool check_is_part(const char *name, const char *prefix, uint64_t *ret_number, bool *ret_base)
{
	size_t n = strlen(prefix), digits;
	const char *p = name + n + 1;

	if (strncmp(name, prefix, n) != 0 || name[n] != '.')
		return false;
	digits = strspn(p, "0123456789");
	if (digits == 0 || digits > 18 || *p == '0')
		return false;
	*ret_number = strtoull(p, NULL, 10);
	*ret_base = strcmp(p + digits, ".base.rdb") == 0 || strcmp(p + digits, ".base.aof") == 0;
	return *ret_base || strcmp(p + digits, ".incr.aof") == 0;
}

/* Reads one of them as far as P wants to know. */
static int look_at(int dir_fd, struct part *p, struct error *e)
{
	struct error damage = { "" };
	struct check_log log = { 0 };
	struct check_rdb rdb = { 0 };
	struct mapped m = { 0 };
	int err = mapped_file(dir_fd, p->name, &m, e);

	if (err)
		return error_prepend(e, err, "%s", p->name);
	if (p->base && rdb_is(m.data, m.len)) {
		p->whole = check_rdb(m.data, m.len, &rdb, &damage) == 0 && rdb.used == m.len;
		p->last = rdb.seq;
		p->ours = rdb.ours;
	} else {
		p->opens = check_opens_with(m.data, m.len);
		err = check_log(m.data, m.len, &log, &damage);
		p->whole = err == 0 && !(p->base && log.res.torn);
		p->last = log.res.last_seq;
		p->ours = log.res.lineage != 0;
		p->empty = m.len == 0;
	}
	mapped_fini(&m);
	return err == -ENOMEM ? error_set(e, err, "out of memory") : 0;
}

static int compare_parts(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static int find_parts(int dir_fd, const char *prefix, struct parts *p, struct error *e)
{
	int err = 0, fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *x;

	if (!d) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return error_set(e, err, "the directory can't be read: %s", strerror(-err));
	}
	while (!err && (x = readdir(d)) != NULL) {
		struct part part = { 0 };

		if (!check_is_part(x->d_name, prefix, &part.number, &part.base))
			continue;
		if (p->count == FILES_MAX)
			err = error_set(e, -EINVAL, "there are more than %d files of the log", FILES_MAX);
		else if (!(part.name = strdup(x->d_name)))
			err = error_set(e, -ENOMEM, "out of memory");
		else
			p->part[p->count++] = part;
	}
	closedir(d);
	qsort(p->part, p->count, sizeof(p->part[0]), compare_parts);
	return err;
}

/* Adds the incrs that go on where BASE ends, by the numbers of their batches, to M.  False: they don't fit together. */
static bool chain_fits(const struct parts *p, const struct part *base, struct manifest *m, int *ret_err)
{
	const struct part *before = NULL;
	uint64_t last = base->last;
	size_t i;

	*ret_err = manifest_add(m, base->name, base->number, MANIFEST_BASE);
	for (i = 0; i < p->count && !*ret_err; i++) {
		const struct part *incr = &p->part[i];

		if (incr->base || (!before && incr->opens && incr->last <= base->last && incr->whole))
			continue;
		if ((incr->opens != last + 1 && !incr->empty) || (before && !before->whole))
			return false;
		before = incr;
		if (!incr->empty)
			last = incr->last;
		*ret_err = manifest_add(m, incr->name, incr->number, MANIFEST_INCR);
	}
	return *ret_err == 0;
}

/* Without numbers of batches only the names are left: one base, and incrs without a gap. */
static bool names_fit(const struct parts *p, struct manifest *m, int *ret_err)
{
	const struct part *base = NULL, *before = NULL;
	size_t i;

	*ret_err = 0;
	for (i = 0; i < p->count && !*ret_err; i++) {
		const struct part *part = &p->part[i];

		if (part->opens || part->ours || (part->base ? base != NULL : before && part->number != before->number + 1))
			return false;
		*(part->base ? &base : &before) = part;
		*ret_err = manifest_add(m, part->name, part->number, part->base ? MANIFEST_BASE : MANIFEST_INCR);
	}
	return base && *ret_err == 0;
}

/* The newest base that all that follows fits to. */
static int fit(const struct parts *p, struct manifest *ret, struct error *e)
{
	struct manifest m = { 0 };
	size_t i;
	int err = 0;

	if (names_fit(p, &m, &err)) {
		*ret = m;
		return 0;
	}
	for (i = p->count; i-- > 0 && !err;) {
		manifest_fini(&m);
		if (!p->part[i].base || !p->part[i].whole || !p->part[i].ours)
			continue;
		if (chain_fits(p, &p->part[i], &m, &err)) {
			*ret = m;
			return 0;
		}
	}
	manifest_fini(&m);
	if (err)
		return error_set(e, err, "out of memory");
	return error_set(e, -EINVAL, "the files do not tell which of them count: no base whole to its end is followed by the others without a gap");
}

int check_manifest_rebuild(int dir_fd, const char *prefix, struct manifest *ret, struct error *e)
{
	struct parts *p = calloc(1, sizeof(*p));
	size_t i;
	int err;

	if (!p)
		return error_set(e, -ENOMEM, "out of memory");
	err = find_parts(dir_fd, prefix, p, e);
	for (i = 0; i < p->count && !err; i++)
		err = look_at(dir_fd, &p->part[i], e);
	if (!err)
		err = p->count ? fit(p, ret, e) : error_set(e, -ENOENT, "there is no file of a log");
	parts_free(p);
	return err;
}
