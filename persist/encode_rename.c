/* encode_rename.c -- renames: for Redis one RENAME a value or one script for all, for kvfs one record.  See encode_kind.h. */
#include "persist/encode_kind.h"
#include "persist/format.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

/* What is said one by one; a directory that holds more is said by a script.  So a rename takes a moment whatever moves, and a script, for
 * which Redis goes through all of its keys, stands only where that is little beside what it moves. */
enum { LOOKED_MAX = 1024, SAID_MAX = 256 << 10, TOO_MANY = 1 };

/* RENAME of each value at or below a node, whose keys are those of FROM/suffix and become those of TO/suffix. */
struct rename_walk {
	struct batch *b;
	struct encode_place *from, *to;
	size_t from_len, to_len;    /* of the paths without suffix */
	bool escaped;               /* paths may not be keys */
	int looked;                 /* nodes */
	size_t said;                /* of b->more, before */
};

static int rename_key(const struct rename_walk *w, struct encode_place *p)
{
	p->key = p->path.data;
	p->key_len = p->path.len;
	return w->escaped ? encode_find_key(p) : 0;
}

/* A move between the two names of a key is none for Redis. */
static int rename_value(struct rename_walk *w)
{
	struct encode_place *from = w->from, *to = w->to;
	int err = rename_key(w, from);

	if (!err)
		err = rename_key(w, to);
	if (err || (from->key_len == to->key_len && memcmp(from->key, to->key, to->key_len) == 0))
		return err;
	return batch_more(w->b, "RENAME", from->key, from->key_len, to->key, to->key_len);
}

static int rename_one(void *ctx, const char *suffix, size_t len, const struct attr *a)
{
	struct rename_walk *w = ctx;
	struct bytes *from = &w->from->path, *to = &w->to->path;

	if (w->looked++ == LOOKED_MAX || w->b->more.len - w->said > SAID_MAX)
		return TOO_MANY;
	if (!S_ISREG(a->mode))
		return 0;
	from->len = w->from_len;
	to->len = w->to_len;
	if (bytes_add(from, "/", 1) < 0 || bytes_add(from, suffix, len) < 0 || bytes_add(to, "/", 1) < 0 || bytes_add(to, suffix, len) < 0)
		return -ENOMEM;
	return rename_value(w);
}

/* The script for all keys that begin with the key of FROM and '/'.  They are those of the values below it: a key has one path but for a second
 * last name (keyname.h), so what begins with a directory's key and '/' is below that directory and nowhere else. */
static int rename_prefix(struct rename_walk *w)
{
	struct encode_place *place[] = { w->from, w->to };
	struct bytes prefix[2] = { 0 };
	int err = 0;

	for (int i = 0; i < 2 && !err; i++) {
		err = rename_key(w, place[i]);
		if (!err)
			err = bytes_add(&prefix[i], place[i]->key, place[i]->key_len);
		if (!err)
			err = bytes_add(&prefix[i], "/", 1);
	}
	struct resp_arg argv[] = { { "EVAL", 4 }, { RENAME_SCRIPT, sizeof(RENAME_SCRIPT) - 1 }, { "0", 1 },
		                   { prefix[0].data, prefix[0].len }, { prefix[1].data, prefix[1].len } };
	if (!err)
		err = batch_more_args(w->b, argv, sizeof(argv) / sizeof(argv[0]));
	bytes_fini(&prefix[0]);
	bytes_fini(&prefix[1]);
	return err;
}

static int rename_below(struct encoder *e, uint64_t id, struct rename_walk *w)
{
	w->said = w->b->more.len;
	int err = keyspace_walk_locked(e->ks, id, rename_one, w);
	w->from->path.len = w->from_len;
	w->to->path.len = w->to_len;
	if (err != TOO_MANY)
		return err;
	w->b->more.len = w->said;
	return rename_prefix(w);
}

static int rename_all(struct encoder *e, struct batch *b, uint64_t id, const struct attr *a, struct encode_place *from,
                      struct encode_place *to)
{
	struct rename_walk w = { .b = b, .from = from, .to = to, .from_len = from->path.len, .to_len = to->path.len,
		                 .escaped = keyspace_escaped_locked(e->ks) || from->escaped || to->escaped };
	int err = 0;

	if (S_ISREG(a->mode))
		err = rename_value(&w);
	else if (S_ISDIR(a->mode))
		err = rename_below(e, id, &w);
	return err;
}

/* Two places change what they have: Redis parks the one under a key that nobody else has chosen. */
static int rename_swap(struct encoder *e, struct mutation *m, struct batch *b)
{
	struct encode_place parked = { .escaped = true };

	int err = bytes_addf(&parked.path, ".%%/.kvfs-swap-%016" PRIx64 "-%" PRIu64, e->lineage, e->seq);
	if (!err)
		err = rename_all(e, b, m->id, &m->node, &e->place, &parked);
	if (!err)
		err = rename_all(e, b, m->replaced, &m->other, &e->other, &e->place);
	if (!err)
		err = rename_all(e, b, m->id, &m->node, &parked, &e->other);
	encode_place_fini(&parked);
	return err;
}

int encode_rename(struct encoder *e, struct mutation *m, struct batch *b)
{
	bool swap = m->kind == MUTATION_SWAP;

	int err = encode_get_place(e, b, &e->place, m->parent, m->name, m->name_len);
	if (!err)
		err = encode_get_place(e, b, &e->other, m->new_parent, m->new_name, m->new_name_len);
	if (err)
		return err;
	b->flags |= SEAL_RECORDS_ONLY;
	if (!swap && m->replaced && S_ISREG(m->other.mode) && !S_ISREG(m->node.mode)) {
		batch_command(b, "DEL");
		encode_key_arg(b, &e->other);
	}
	err = swap ? rename_swap(e, m, b) : rename_all(e, b, m->id, &m->node, &e->place, &e->other);
	if (err)
		return err;
	struct seal_record *r = batch_record(b, SEAL_RENAME);
	encode_path_is(r, &e->place);
	r->to = e->other.path.data;
	r->to_len = e->other.path.len;
	r->flags = swap ? RENAME_SWAP : 0;
	return 0;
}
