/* replay_report.c -- the end of a replay (replay.h): what can't be mounted is refused, what was left out is counted. */
#include "persist/replay_db.h"

#include <errno.h>
#include <string.h>

enum {
	NAMED_MAX = 10,      /* keys and databases that a sentence names */
	KEY_SHOWN_MAX = 100, /* bytes of a key that a message shows */
	TYPES_MAX = 8,
};

/* ---- by type ---- */

/* "12 lists, 3 hashes, 1 stream". */
static int add_types(const struct replay *r, struct bytes *text)
{
	struct { const char *type; uint64_t count; } types[TYPES_MAX];
	size_t known = 0, k;

	for (size_t i = 0; i < r->tombs.count; i++) {
		const struct tomb *tomb = &r->tombs.tomb[i];

		if (tomb->kind != TOMB_TYPE)
			continue;
		for (k = 0; k < known && strcmp(types[k].type, tomb->text) != 0; k++)
			;
		if (k == known && known < TYPES_MAX) {
			types[known].type = tomb->text;
			types[known++].count = 0;
		}
		if (k < known)
			types[k].count++;
	}
	for (k = 0; k < known; k++)
		if (bytes_addf(text, "%s%llu %s%s", k ? ", " : "", (unsigned long long)types[k].count, types[k].type,
		               types[k].count == 1 ? "" : strcmp(types[k].type, "hash") == 0 ? "es" : "s"))
			return -ENOMEM;
	return 0;
}

static const char *first_of_a_type(const struct replay *r, char *shown, size_t cap)
{
	for (size_t i = 0; i < r->tombs.count; i++)
		if (r->tombs.tomb[i].kind == TOMB_TYPE)
			return error_quote(tombs_key(&r->tombs, &r->tombs.tomb[i]), r->tombs.tomb[i].key_len, shown, cap);
	return "";
}

/* ---- refusing ---- */

/* Appends a line for each of the first keys that can't be mounted. */
static int add_keys(const struct replay *r, uint64_t count, struct bytes *text)
{
	uint64_t named = 0;

	for (size_t i = 0; i < r->tombs.count && named < NAMED_MAX; i++) {
		const struct tomb *tomb = &r->tombs.tomb[i];
		char shown[KEY_SHOWN_MAX];

		if (tomb->kind == TOMB_GONE || (tomb->kind == TOMB_TYPE && r->skip_non_strings))
			continue;
		error_quote(tombs_key(&r->tombs, tomb), tomb->key_len, shown, sizeof(shown));
		if (bytes_addf(text, tomb->kind == TOMB_TYPE ? "\n  \"%s\" is of another type (%s)" : "\n  \"%s\" %s", shown, tomb->text))
			return -ENOMEM;
		named++;
	}
	if (named < count && bytes_addf(text, "\n  and %llu more", (unsigned long long)(count - named)))
		return -ENOMEM;
	if (r->tombs.types && !r->skip_non_strings && bytes_addf(text, "\n(skip-non-strings leaves out keys of other types)"))
		return -ENOMEM;
	return 0;
}

static int refuse_keys(const struct replay *r, uint64_t count, struct error *e)
{
	bool types = r->tombs.types && !r->skip_non_strings;
	struct bytes text = { 0 };
	int err = bytes_addf(&text, "%llu %s can't be mounted%s", (unsigned long long)count, count == 1 ? "key" : "keys", types ? " (" : ":");

	if (!err && types)
		err = add_types(r, &text);
	if (!err && types)
		err = bytes_add(&text, "):", 2);
	if (!err)
		err = add_keys(r, count, &text);
	err = err || bytes_add(&text, "", 1) ? error_set(e, -ENOMEM, "out of memory") : error_set(e, -EINVAL, "%s", text.data);
	bytes_fini(&text);
	return err;
}

/* ---- other databases ---- */

/* The other database with the next higher number; NULL at the end.  AFTER NULL: the first. */
static const struct replay_db *next_db(const struct replay *r, const struct replay_db *after)
{
	const struct replay_db *next = NULL;

	for (size_t i = 0; i < r->dbs; i++) {
		const struct replay_db *d = &r->database[i];

		if (i != r->at && (!after || d->number > after->number) && (!next || d->number < next->number))
			next = d;
	}
	return next;
}

/* "5 in database 3, 2 in database 7"; *RET_FIRST is the number of the first. */
static int add_others(const struct replay *r, struct bytes *text, uint64_t *ret_first, uint64_t *ret_keys)
{
	unsigned named = 0, more = 0;

	*ret_keys = 0;
	for (const struct replay_db *d = next_db(r, NULL); d; d = next_db(r, d)) {
		uint64_t keys = replay_db_keys(d);

		if (!keys)
			continue;
		if (!*ret_keys)
			*ret_first = d->number;
		*ret_keys += keys;
		if (named == NAMED_MAX)
			more++;
		else if (bytes_addf(text, "%s%llu in database %llu", named++ ? ", " : "", (unsigned long long)keys,
		                    (unsigned long long)d->number))
			return -ENOMEM;
	}
	return more ? bytes_addf(text, ", and those in %u more", more) : 0;
}

static int other_dbs(const struct replay *r, struct bytes *report, struct error *e)
{
	struct bytes text = { 0 };
	uint64_t first = 0, keys;
	int err = add_others(r, &text, &first, &keys);

	if (!err && keys)
		err = bytes_add(&text, "", 1);
	if (!err && keys && r->skip_other_dbs)
		err = bytes_addf(report, "keys in other databases left out: %s\n", text.data);
	if (err)
		error_set(e, err, "out of memory");
	else if (keys && !r->skip_other_dbs)
		err = error_set(e, -EINVAL, "database %llu is to be mounted, and there are keys in others: %s (db=%llu mounts that one, "
		                "skip-other-dbs yes leaves out what the one mounted has not)", (unsigned long long)r->mount_db, text.data,
		                (unsigned long long)first);
	bytes_fini(&text);
	return err;
}

/* ---- the end ---- */

static int report_left_out(const struct replay *r, struct bytes *report)
{
	char shown[KEY_SHOWN_MAX];
	int err = 0;

	if (r->tombs.types) {
		err = bytes_addf(report, "keys of other types left out (skip-non-strings): ");
		if (!err)
			err = add_types(r, report);
		if (!err)
			err = bytes_addf(report, " (first: \"%s\")\n", first_of_a_type(r, shown, sizeof(shown)));
	}
	if (!err && r->l.links_gone)
		err = bytes_addf(report, "symbolic links and special files that gave way to keys below them: %llu\n", (unsigned long long)r->l.links_gone);
	return err;
}

int replay_finish(struct replay *r, struct bytes *report, struct error *e)
{
	uint64_t count;
	int err = replay_settle(r, e);

	if (!err)
		err = other_dbs(r, report, e);
	if (err)
		return err;
	count = r->tombs.no_paths + (r->skip_non_strings ? 0 : r->tombs.types);
	if (count)
		return refuse_keys(r, count, e);
	return report_left_out(r, report) ? error_set(e, -ENOMEM, "out of memory") : 0;
}
