/* encode_links.c -- files with several names: for Redis each name is a key with the value.  See encode_kind.h.
 *
 * A change of the value is said for each key, so that Redis follows; kvfs, where the names share one node, must come to the same: what is
 * said again must be the same when it is done twice.  That is why nothing is appended there.  What would be long is copied instead, unless it
 * is little of a large value, which a Redis would have to copy whole:
 *
 *      SETRANGE a 10 "xyz"      SETRANGE b 10 "xyz"
 *      SET a <1 MB>             COPY a b REPLACE          of two names of one file: kvfs finds nothing to do                       */
#include "persist/encode_kind.h"
#include "persist/resp.h"

#include <string.h>
#include <sys/stat.h>

enum {
	COPY_MORE = 16,             /* bytes of a COPY beside its keys */
	LITTLE = 32,                /* such a part of a value is little of it ... */
	AGAIN_MAX = 1 << 20,        /* ... up to so many bytes of all names */
};

static bool is_word(const struct batch_arg *a, const char *word)
{
	return a->data && a->len == strlen(word) && memcmp(a->data, word, a->len) == 0;
}

/* Which argument of a command is its key: an EVAL of one key has it behind its text and "1".  0: it can't be said of another one. */
static int key_arg(const struct batch_arg *argv, int argc)
{
	if (is_word(&argv[0], "EVAL"))
		return argc > 3 && is_word(&argv[2], "1") ? 3 : 0;
	return argc > 1 && !is_word(&argv[0], "APPEND") ? 1 : 0;
}

/* Whether the commands of B, each about the key at E->place, are better said again of other keys than that is copied. */
static bool is_short(const struct encoder *e, const struct batch *b, const struct attr *a)
{
	size_t bytes = 0;

	if (b->more.len)
		return false;
	for (int c = 0; c < b->commands; c++) {
		const struct batch_arg *argv = b->command[c].argv;
		int key = key_arg(argv, b->command[c].argc);
		if (!key || argv[key].data != e->place.key)
			return false;
		for (int i = key + 1; i < b->command[c].argc; i++) {
			if (!argv[i].data && argv[i].len)    /* part of a value, which may be a hole */
				return false;
			bytes += argv[i].len;
		}
	}
	return bytes <= e->place.key_len + COPY_MORE || (bytes <= a->size / LITTLE && bytes * (a->nlink - 1) <= AGAIN_MAX);
}

static int say_again(const struct encoder *e, struct batch *b)
{
	struct resp_arg argv[BATCH_ARGS];
	int err = 0;

	for (int c = 0; c < b->commands && !err; c++) {
		size_t argc = (size_t)b->command[c].argc;
		for (size_t i = 0; i < argc; i++)
			argv[i] = (struct resp_arg){ .data = b->command[c].argv[i].data, .len = b->command[c].argv[i].len };
		argv[key_arg(b->command[c].argv, (int)argc)] = (struct resp_arg){ .data = e->other.key, .len = e->other.key_len };
		err = batch_more_args(b, argv, argc);
	}
	return err;
}

static int say_copy(const struct encoder *e, struct batch *b)
{
	const struct resp_arg argv[] = {
		{ .data = "COPY", .len = 4 },
		{ .data = e->place.key, .len = e->place.key_len },
		{ .data = e->other.key, .len = e->other.key_len },
		{ .data = "REPLACE", .len = 7 },
	};
	return batch_more_args(b, argv, sizeof argv / sizeof argv[0]);
}

int encode_further_names(struct encoder *e, struct batch *b, const struct attr *a)
{
	uint64_t name = keyspace_next_name_locked(e->ks, a->id);
	int err = 0;

	if (!name || !b->commands)
		return 0;
	bool again = is_short(e, b, a);
	for (; name && !err; name = keyspace_next_name_locked(e->ks, name)) {
		err = encode_get_place(e, b, &e->other, name, NULL, 0);
		if (!err)
			err = again ? say_again(e, b) : say_copy(e, b);
	}
	return err;
}

int encode_link(struct encoder *e, struct mutation *m, struct batch *b)
{
	int err = encode_get_place(e, b, &e->place, m->id, NULL, 0);
	if (!err)
		err = encode_get_place(e, b, &e->other, m->parent, m->name, m->name_len);
	if (err)
		return err;
	if (S_ISREG(m->node.mode)) {
		b->flags |= SEAL_RECORDS_ONLY;
		batch_command(b, "COPY");
		encode_key_arg(b, &e->place);
		encode_key_arg(b, &e->other);
		batch_arg(b, "REPLACE", 7);
	}
	struct seal_record *r = batch_record(b, SEAL_LINK);
	encode_path_is(r, &e->place);
	r->to = e->other.path.data;
	r->to_len = e->other.path.len;
	return 0;
}
