/* check_one.c -- see check_one.h. */
#include "persist/check_one.h"

#include "persist/check_bit.h"
#include "persist/check_file.h"
#include "persist/check_fix.h"
#include "persist/format.h"
#include "persist/mapped.h"
#include "persist/rdb.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long ull;

enum { BITS_MAX = 8 };   /* wrong bits put right in one log: with more the disk is beyond that */

/* ---- talking ---- */

void check_say(struct check *c, const char *fmt, ...)
{
	char line[ERROR_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	c->o->say(c->o->ctx, line);
}

void check_failed(struct check *c, const struct check_spot *s, const struct error *why)
{
	c->found |= CHECK_FAILED;
	error_set(c->e, 0, "%s: %s", s->shown, why->text);
}

void check_fixed(struct check *c, const struct check_spot *s, int err, const char *kept, struct error *why)
{
	if (err) {
		c->found |= CHECK_DAMAGED;
		check_failed(c, s, why);
		return;
	}
	c->found |= CHECK_FIXED;
	if (kept)
		check_say(c, "%s: fixed; as it was it is kept as %s", s->shown, kept);
	else
		check_say(c, "%s: fixed", s->shown);
}

void check_drop_advice(struct error *e)
{
	char *advice = strstr(e->text, " (kvfs-ctl check");

	if (advice)
		*advice = '\0';
}

/* A file while it is looked at. */
struct one {
	struct check *c;
	const struct check_spot *s;
	struct mapped m;             /* may be patched: what is written is taken from here */
	bool patched;                /* and nothing was written yet */
};

/* The file becomes the parts, or stays as it is. */
static void fix(struct one *f, const struct iovec *part, int count)
{
	const struct check_spot *s = f->s;
	struct check *c = f->c;
	struct error why = { "" };
	char *kept = NULL;
	int err;

	f->patched = false;
	if (!c->o->fix) {
		c->found |= CHECK_DAMAGED;
		return;
	}
	err = check_fix_replace(s->dir_fd, s->name, part, count, &kept, &why);
	check_fixed(c, s, err, kept, &why);
	free(kept);
}

/* ---- RDB ---- */

static void add_count(struct bytes *out, uint64_t n, const char *of)
{
	if (n)
		(void)bytes_addf(out, ", %llu %s", (ull)n, of);   /* without memory the line is shorter */
}

static void say_rdb(struct check *c, const struct check_spot *s, const struct check_rdb *r, const char *end)
{
	struct bytes more = { 0 };

	add_count(&more, r->directories, "directories");
	add_count(&more, r->symlinks, "symlinks");
	add_count(&more, r->specials, "special files");
	add_count(&more, r->other_types, "of the keys no strings");
	add_count(&more, r->other_dbs, "of the keys not in database 0");
	if (r->ours)
		(void)bytes_addf(&more, ", up to batch %llu", (ull)r->seq);
	check_say(c, "%s: RDB version %u of %s: %llu keys%.*s%s", s->shown, r->version, r->ours ? "kvfs" : r->valkey ? "Valkey" : "Redis",
	          (ull)r->keys, (int)more.len, more.len ? more.data : "", end);
	bytes_fini(&more);
}

static void say_bit(struct one *f, size_t at, const char *why)
{
	check_say(f->c, "%s: damaged: %s; it is one wrong bit in byte %zu, and what it was is known", f->s->shown, why, at);
	f->patched = true;
}

/* Its keys are all there, only the checksum is wrong. */
static void wrong_sum(struct one *f, const struct check_rdb *r)
{
	struct check_rdb all = *r;
	char end[CHECK_RDB_END];

	all.good = r->used - sizeof(end);
	(void)check_rdb_end(f->m.data, &all, end);
	check_say(f->c, "%s: damaged: the checksum at %zu does not match, but all of its %llu keys can be read: a name, a value or an attribute "
	          "is wrong, and nothing tells which", f->s->shown, all.good + 1, (ull)r->keys);
	if (mapped_patch(&f->m, all.good, end, sizeof(end)) == 0)
		f->patched = true;
	else
		f->c->found |= CHECK_DAMAGED;
}

static void damaged_rdb(struct one *f, const struct check_rdb *r, const char *why)
{
	char end[CHECK_RDB_END];
	struct iovec part[2];

	check_say(f->c, "%s: damaged: %s", f->s->shown, why);
	if (r->good == 0) {
		f->c->found |= CHECK_DAMAGED;
		check_say(f->c, "%s: nothing of it can be kept", f->s->shown);
		return;
	}
	check_say(f->c, "%s: the first %llu keys can be read, up to %zu of %zu bytes", f->s->shown, (ull)r->keys, r->good, f->m.len);
	part[0] = (struct iovec){ .iov_base = (void *)f->m.data, .iov_len = r->good };
	part[1] = (struct iovec){ .iov_base = end, .iov_len = check_rdb_end(f->m.data, r, end) };
	fix(f, part, 2);
}

/* *RET_USED: where commands may follow. */
static enum check_counts one_rdb(struct one *f, struct check_chain *chain, size_t *ret_used)
{
	struct error why = { "" };
	struct check_rdb r;
	size_t at;
	int err = check_rdb(f->m.data, f->m.len, &r, &why);

	*ret_used = f->m.len;
	if (err == -ENOMEM) {
		check_failed(f->c, f->s, &why);
		return COUNTS_UNKNOWN;
	}
	check_drop_advice(&why);
	if (err && check_bit_rdb(&f->m, &r, &at)) {
		say_bit(f, at, why.text);
		err = 0;
	}
	if (err && err != -EBADMSG) {
		damaged_rdb(f, &r, why.text);
		return COUNTS_UP_TO;
	}
	*ret_used = r.used;
	chain->last_seq = r.seq ? r.seq : chain->last_seq;
	chain->lineage = r.lineage ? r.lineage : chain->lineage;
	if (err)
		wrong_sum(f, &r);
	else
		say_rdb(f->c, f->s, &r, r.summed ? "; its checksum is right" : "; it has no checksum");
	return COUNTS_ALL;
}

/* ---- commands ---- */

static void say_log(struct check *c, const struct check_spot *s, const struct check_log *l, const char *what)
{
	const struct aof_result *r = &l->res;

	if (r->batches)
		check_say(c, "%s: log of kvfs%s: %llu batches, up to number %llu, and %llu commands", s->shown, what, (ull)r->batches,
		          (ull)r->last_seq, (ull)r->commands);
	else
		check_say(c, "%s: log%s: %llu commands", s->shown, what, (ull)r->commands);
}

static enum check_counts cut_log(struct one *f, size_t good)
{
	struct iovec part = { .iov_base = (void *)f->m.data, .iov_len = good };

	check_say(f->c, "%s: what counts are its first %zu of %zu bytes", f->s->shown, good, f->m.len);
	fix(f, &part, good ? 1 : 0);
	return COUNTS_UP_TO;
}

/* A command that kvfs does not know is no damage where Redis wrote it, and cutting the file there would be. */
static bool is_foreign(const struct mapped *m, size_t at, int err)
{
	return err == -EPROTO && !memmem(m->data + at, m->len - at, SEAL_MAGIC "\x01", sizeof(SEAL_MAGIC));
}

static enum check_counts damaged_log(struct one *f, size_t used, struct check_log *l, int err, const char *why)
{
	const struct salvage_later *later = &l->later;
	const char *shown = f->s->shown;

	say_log(f->c, f->s, l, ", not all of which counts");
	if (is_foreign(&f->m, used + l->res.bad_at, err)) {
		f->c->found |= CHECK_DAMAGED;
		check_say(f->c, "%s: can't be mounted: %s; it may be whole for all that, and is not changed", shown, why);
		return COUNTS_UNKNOWN;
	}
	check_say(f->c, "%s: damaged: %s%s%s", shown, why, l->what[0] ? "; it begins with " : "", l->what);
	if (later->count)
		check_say(f->c, "%s: %llu later batches (%llu to %llu) are whole but can't count, because what is between is lost", shown,
		          (ull)later->count, (ull)later->first, (ull)later->last);
	return cut_log(f, used + (size_t)l->res.good);
}

static enum check_counts torn_log(struct one *f, size_t good, const struct check_log *l, bool is_last)
{
	say_log(f->c, f->s, l, "");
	check_say(f->c, "%s: torn at %zu: its last %zu bytes are a batch or command cut short; %s", f->s->shown, good, f->m.len - good,
	          is_last ? "a start cuts them off, too" : "more files follow, so a start refuses it");
	return cut_log(f, good);
}

/* Whether a tail that seems torn ends as a batch does: then a wrong length may have made it seem so. */
static bool ends_whole(const struct one *f, const struct aof_result *res)
{
	return res->torn && f->m.len > 2 && memcmp(f->m.data + f->m.len - 2, "\r\n", 2) == 0;
}

/* Reads the log at USED, and puts wrong bits right in memory where that is possible. */
static int read_log(struct one *f, size_t used, const struct check_chain *chain, struct check_log *ret, struct error *why)
{
	struct aof_result first = { .last_seq = chain->last_seq, .lineage = chain->lineage, .origin = used };
	size_t at;
	int mended, err;

	for (mended = 0;; mended++) {
		ret->res = first;
		why->text[0] = '\0';
		err = check_log(f->m.len ? f->m.data + used : NULL, f->m.len - used, ret, why);
		if ((err == 0 && !ends_whole(f, &ret->res)) || err == -ENOMEM)
			return err;
		check_drop_advice(why);
		if (mended == BITS_MAX || !check_bit_log(&f->m, used, ret, &first, &at))
			return err;
		if (ret->what[0])
			check_say(f->c, "%s: what is damaged begins with %s", f->s->shown, ret->what);
		say_bit(f, at, err ? why->text : "its last batch is longer than the file");
	}
}

static enum check_counts one_log(struct one *f, size_t used, bool is_last, struct check_chain *chain)
{
	struct error why = { "" };
	struct check_log l;
	int err = read_log(f, used, chain, &l, &why);

	if (err == -ENOMEM) {
		check_failed(f->c, f->s, &why);
		return COUNTS_UNKNOWN;
	}
	chain->last_seq = l.res.last_seq;
	chain->lineage = l.res.lineage;
	if (err)
		return damaged_log(f, used, &l, err, why.text);
	if (l.res.torn)
		return torn_log(f, used + (size_t)l.res.good, &l, is_last);
	say_log(f->c, f->s, &l, "");
	return COUNTS_ALL;
}

/* ---- any file ---- */

static bool ends_in(const char *name, const char *suffix)
{
	size_t n = strlen(name), k = strlen(suffix);

	return n >= k && strcmp(name + n - k, suffix) == 0;
}

static enum check_counts lost_file(struct one *f, const char *what)
{
	f->c->found |= CHECK_DAMAGED;
	check_say(f->c, "%s: damaged: %s", f->s->shown, what);
	return COUNTS_UP_TO;
}

/* Whether it is an RDB file; one whose first bytes are damaged is, if one bit explains it. */
static bool is_rdb(struct one *f, bool should_be)
{
	struct check_rdb r = { 0 };
	size_t at;

	if (rdb_is(f->m.data, f->m.len))
		return true;
	if (!should_be || f->m.len == 0 || !check_bit_rdb(&f->m, &r, &at))
		return false;
	say_bit(f, at, "it does not begin with REDIS or VALKEY");
	return true;
}

static enum check_counts one_mapped(struct one *f, enum check_role role, bool is_last, struct check_chain *chain)
{
	bool dump = role == ROLE_DUMP || (role == ROLE_ALONE && ends_in(f->s->name, ".rdb"));
	bool text = f->m.len && (f->m.data[0] == '*' || f->m.data[0] == '#');
	bool should_be = dump || (role == ROLE_BASE && ends_in(f->s->name, ".rdb") && f->m.len && !text);
	enum check_counts counts = COUNTS_ALL;
	size_t used = 0;

	if (f->m.len == 0 && dump)
		return lost_file(f, "it is empty (0 bytes), which no snapshot is");
	if (is_rdb(f, should_be))
		counts = one_rdb(f, chain, &used);
	else if (should_be)
		return lost_file(f, "it begins with neither REDIS nor VALKEY, and so is no RDB file; nothing of it can be kept");
	if (counts != COUNTS_ALL || (used == f->m.len && f->m.len))
		return counts;
	if (dump) {
		check_say(f->c, "%s: %zu bytes behind its end mean nothing", f->s->shown, f->m.len - used);
		return counts;
	}
	return one_log(f, used, is_last, chain);
}

enum check_counts check_one(struct check *c, const struct check_spot *s, enum check_role role, bool is_last, struct check_chain *chain)
{
	struct one f = { .c = c, .s = s };
	enum check_counts counts = COUNTS_UNKNOWN;
	struct error why = { "" };
	int err = mapped_file(s->dir_fd, s->name, &f.m, &why);

	if (err == -ENOENT)
		return COUNTS_MISSING;
	if (err)
		check_failed(c, s, &why);
	else
		counts = one_mapped(&f, role, is_last, chain);
	if (f.patched)
		fix(&f, &(struct iovec){ .iov_base = (void *)f.m.data, .iov_len = f.m.len }, 1);
	mapped_fini(&f.m);
	return counts;
}

bool check_goes_on(struct check *c, const struct check_spot *s, const struct check_chain *chain)
{
	struct error why = { "" };
	struct mapped m = { 0 };
	bool goes_on = false;

	(void)c;
	if (chain->last_seq && mapped_file(s->dir_fd, s->name, &m, &why) == 0)
		goes_on = check_opens_with(m.data, m.len) == chain->last_seq + 1;
	mapped_fini(&m);
	return goes_on;
}

void check_say_lost(struct check *c, const struct check_spot *s)
{
	struct error why = { "" };
	struct check_log l = { 0 };
	struct mapped m = { 0 };
	int err = mapped_file(s->dir_fd, s->name, &m, &why);

	if (err == -ENOENT)
		check_say(c, "%s: it is listed in the manifest, but it is not there", s->shown);
	else if (err)
		check_failed(c, s, &why);
	else if (check_log(m.data, m.len, &l, &why) == 0 && l.res.batches)
		check_say(c, "%s: its %llu batches (%llu to %llu) are whole but can't count, because what stands before is lost", s->shown,
		          (ull)l.res.batches, (ull)l.res.first_seq, (ull)l.res.last_seq);
	else
		check_say(c, "%s: it can't count, because what stands before is lost", s->shown);
	mapped_fini(&m);
}
