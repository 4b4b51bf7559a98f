/* encode.c -- see encode.h. */
#include "persist/encode.h"
#include "persist/batch.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* No key can begin with '/': where Redis parks what changes places. */
static const char swap_key[] = "/.kvfs-swap";

void encode_init(struct encoder *e, struct keyspace *ks, struct journal *j, uint64_t lineage, uint64_t last_seq)
{
	*e = (struct encoder){ .ks = ks, .journal = j, .lineage = lineage, .seq = last_seq };
}

void encode_fini(struct encoder *e)
{
	bytes_fini(&e->key);
	bytes_fini(&e->other_key);
	bytes_fini(&e->records);
}

/* ---- keys ---- */

/* The key of ID, followed by "/NAME" when NAME is given. */
static int get_key(struct encoder *e, struct bytes *out, uint64_t id, const char *name, size_t name_len)
{
	int64_t len = keyspace_key_len_locked(e->ks, id);
	size_t got;

	assert(len >= 0);
	out->len = 0;
	if (bytes_reserve(out, (size_t)len + name_len + 1) < 0)
		return -ENOMEM;
	keyspace_key_locked(e->ks, id, out->data, (size_t)len, &got);
	out->len = got;
	if (!name)
		return 0;
	if (got)
		out->data[out->len++] = '/';
	memcpy(out->data + out->len, name, name_len);
	out->len += name_len;
	return 0;
}

static void path_is(struct seal_record *r, const struct bytes *key)
{
	r->path = key->data;
	r->path_len = key->len;
}

/* ---- what is held back ---- */

static struct held *find_held(struct encoder *e, uint64_t id)
{
	for (int i = 0; i < e->held_count; i++)
		if (e->held[i].id == id)
			return &e->held[i];
	return NULL;
}

static void drop_held(struct encoder *e, struct held *h)
{
	e->held_count--;
	memmove(h, h + 1, (size_t)(&e->held[e->held_count] - h) * sizeof *h);
}

/* The attributes that a new file needs and a SET does not give. */
static void add_new_attributes(struct batch *b, const struct attr *a)
{
	struct seal_record *r = batch_record(b, SEAL_ATTR);

	r->path_is_key = true;
	r->attr = (struct attr_change){ .mask = ATTR_MODE | ATTR_UID | ATTR_GID, .mode = a->mode & 07777, .uid = a->uid, .gid = a->gid };
	if (a->atime_ns != b->time_ns) {
		r->attr.mask |= ATTR_ATIME;
		r->attr.atime_ns = a->atime_ns;
	}
}

/* A new name changed the times of its directory when it came, and others may have changed them since: says what they are now, unless the
 * replay of this batch gives them anyway. */
static int add_parent_time(struct encoder *e, struct batch *b, uint64_t parent)
{
	struct attr a;

	if (keyspace_stat_locked(e->ks, parent, &a) < 0 || (a.mtime_ns == b->time_ns && a.ctime_ns == b->time_ns))
		return 0;
	if (a.mtime_ns == a.ctime_ns) {
		struct seal_record *r = batch_record(b, SEAL_PARENT_TIME);
		r->path_is_key = true;
		r->number = (uint64_t)a.mtime_ns;
		return 0;
	}
	int err = get_key(e, &e->other_key, parent, NULL, 0);
	if (err)
		return err;
	struct seal_record *r = batch_record(b, SEAL_ATTR);
	path_is(r, &e->other_key);
	r->attr = (struct attr_change){ .mask = ATTR_MTIME | ATTR_CTIME, .mtime_ns = a.mtime_ns, .ctime_ns = a.ctime_ns };
	return 0;
}

static int flush_one(struct encoder *e, struct held *h)
{
	struct batch b = { 0 };
	struct attr a;
	uint64_t end;

	int err = keyspace_stat_locked(e->ks, h->id, &a);
	if (err || a.nlink == 0) {
		drop_held(e, h);     /* gone with its last name: nothing to say */
		return 0;
	}
	b.time_ns = a.ctime_ns;      /* of the last cut, which may be later than since_ns */
	err = get_key(e, &e->key, h->id, NULL, 0);
	if (err)
		return err;
	batch_command(&b, "SET");
	batch_arg(&b, e->key.data, e->key.len);
	batch_arg(&b, "", 0);
	if (h->created) {
		add_new_attributes(&b, &a);
		err = add_parent_time(e, &b, h->parent);
	}
	if (!err)
		err = batch_emit(e, &b, &end);
	if (!err)
		drop_held(e, h);
	return err;
}

int encode_flush(struct encoder *e, uint64_t id)
{
	if (id) {
		struct held *h = find_held(e, id);
		return h ? flush_one(e, h) : 0;
	}
	while (e->held_count) {
		int err = flush_one(e, &e->held[0]);
		if (err)
			return err;
	}
	return 0;
}

int encode_flush_old(struct encoder *e, int64_t now_ns, int64_t *ret_next_ns)
{
	int err = 0;

	/* Younger than now: the clock was set back; it must not be held for ever. */
	while (!err && e->held_count && (now_ns - e->held[0].since_ns >= HOLD_NS || e->held[0].since_ns > now_ns))
		err = flush_one(e, &e->held[0]);
	*ret_next_ns = e->held_count ? e->held[0].since_ns + HOLD_NS : INT64_MAX;
	return err;
}

static int hold(struct encoder *e, const struct mutation *m, bool created)
{
	struct held *old = find_held(e, m->id);
	if (old)
		return 0;     /* cut again before anything was written */
	if (e->held_count == HELD_MAX) {
		int err = flush_one(e, &e->held[0]);
		if (err)
			return err;
	}
	e->held[e->held_count++] = (struct held){ .id = m->id, .parent = m->parent, .created = created, .since_ns = m->now_ns };
	return 0;
}

/* ---- one kind of mutation each ---- */

static int encode_create(struct encoder *e, struct mutation *m, struct batch *b)
{
	const struct attr *a = &m->node;

	int err = get_key(e, &e->key, m->parent, m->name, m->name_len);
	if (err)
		return err;
	if (S_ISREG(a->mode)) {
		batch_command(b, "SET");
		batch_arg(b, e->key.data, e->key.len);
		batch_arg(b, "", 0);
		add_new_attributes(b, a);
		return 0;
	}
	struct seal_record *r = batch_record(b, S_ISDIR(a->mode) ? SEAL_MKDIR : SEAL_SYMLINK);
	path_is(r, &e->key);
	r->attr = (struct attr_change){ .mask = ATTR_MODE | ATTR_UID | ATTR_GID, .mode = a->mode & 07777, .uid = a->uid, .gid = a->gid };
	r->to = m->target;
	r->to_len = m->target_len;
	return 0;
}

/* The write that a held-back create or cut was waiting for: one SET. */
static int encode_merged_write(struct encoder *e, struct mutation *m, struct batch *b, struct held *h)
{
	batch_command(b, "SET");
	batch_arg(b, e->key.data, e->key.len);
	batch_arg(b, m->data, m->len);
	if (!h->created)
		return 0;
	add_new_attributes(b, &m->node);
	return add_parent_time(e, b, h->parent);
}

static int encode_write(struct encoder *e, struct mutation *m, struct batch *b)
{
	static const char zero = 0;

	if (m->off == m->old_size) {
		batch_command(b, "APPEND");
		batch_arg(b, e->key.data, e->key.len);
	} else {
		/* SETRANGE pads with zeros as a write beyond the end does. */
		e->records.len = 0;
		int err = bytes_addf(&e->records, "%" PRIu64, m->off);
		if (err)
			return err;
		batch_command(b, "SETRANGE");
		batch_arg(b, e->key.data, e->key.len);
		batch_arg(b, e->records.data, e->records.len);
	}
	batch_arg(b, m->len ? m->data : &zero, m->len);
	return 0;
}

static void add_changed_attributes(struct encoder *e, struct mutation *m, struct batch *b)
{
	const struct attr *a = &m->node;
	struct seal_record *r = batch_record(b, SEAL_ATTR);

	path_is(r, &e->key);
	r->attr = (struct attr_change){ .mask = (m->change->mask & ~(unsigned)ATTR_SIZE) | ATTR_CTIME,
		                        .mode = a->mode & 07777, .uid = a->uid, .gid = a->gid,
		                        .atime_ns = a->atime_ns, .mtime_ns = a->mtime_ns, .ctime_ns = a->ctime_ns };
}

static int encode_resize(struct encoder *e, struct mutation *m, struct batch *b)
{
	uint64_t size = m->node.size;

	if (size == 0) {
		batch_command(b, "SET");
		batch_arg(b, e->key.data, e->key.len);
		batch_arg(b, "", 0);
		return 0;
	}
	b->flags |= SEAL_RECORDS_ONLY;
	struct seal_record *r = batch_record(b, SEAL_RESIZE);
	path_is(r, &e->key);
	r->number = size;
	if (size < m->old_size) {
		batch_command(b, "SET");
		batch_arg(b, e->key.data, e->key.len);
		batch_arg_value(b, keyspace_value_locked(e->ks, m->id), m->old_size, size);
		batch_arg(b, "KEEPTTL", 7);
	} else if (size > m->old_size) {
		e->records.len = 0;
		int err = bytes_addf(&e->records, "%" PRIu64, size - 1);
		if (err)
			return err;
		batch_command(b, "SETRANGE");
		batch_arg(b, e->key.data, e->key.len);
		batch_arg(b, e->records.data, e->records.len);
		batch_arg(b, "\0", 1);
	}
	return 0;
}

static int encode_setattr(struct encoder *e, struct mutation *m, struct batch *b)
{
	if (m->change->mask & ATTR_SIZE) {
		int err = encode_resize(e, m, b);
		if (err)
			return err;
	}
	add_changed_attributes(e, m, b);
	return 0;
}

static int encode_remove(struct encoder *e, struct mutation *m, struct batch *b)
{
	int err = get_key(e, &e->key, m->parent, m->name, m->name_len);
	if (err)
		return err;
	if (S_ISREG(m->node.mode)) {
		batch_command(b, "DEL");
		batch_arg(b, e->key.data, e->key.len);
	} else {
		path_is(batch_record(b, SEAL_REMOVE), &e->key);
	}
	return 0;
}

static int encode_expire(struct encoder *e, struct mutation *m, struct batch *b)
{
	batch_command(b, m->expire_at_ms ? "PEXPIREAT" : "PERSIST");
	batch_arg(b, e->key.data, e->key.len);
	if (!m->expire_at_ms)
		return 0;
	e->records.len = 0;
	int err = bytes_addf(&e->records, "%" PRId64, m->expire_at_ms);
	batch_arg(b, e->records.data, e->records.len);
	return err;
}

/* ---- renames ---- */

/* RENAME of each value at or below a node: from FROM/suffix to TO/suffix. */
struct rename_walk {
	struct batch *b;
	struct bytes *from, *to;
	size_t from_len, to_len;
};

static int rename_one(void *ctx, const char *suffix, size_t len, const struct attr *a)
{
	struct rename_walk *w = ctx;

	if (!S_ISREG(a->mode))
		return 0;
	w->from->len = w->from_len;
	w->to->len = w->to_len;
	if (bytes_add(w->from, "/", 1) < 0 || bytes_add(w->from, suffix, len) < 0 || bytes_add(w->to, "/", 1) < 0 ||
	    bytes_add(w->to, suffix, len) < 0)
		return -ENOMEM;
	return batch_more(w->b, "RENAME", w->from, w->to);
}

static int rename_all(struct encoder *e, struct batch *b, uint64_t id, const struct attr *a, struct bytes *from, struct bytes *to)
{
	struct rename_walk w = { .b = b, .from = from, .to = to, .from_len = from->len, .to_len = to->len };
	int err = 0;

	if (S_ISREG(a->mode))
		err = batch_more(b, "RENAME", from, to);
	else if (S_ISDIR(a->mode))
		err = keyspace_walk_locked(e->ks, id, rename_one, &w);
	from->len = w.from_len;
	to->len = w.to_len;
	return err;
}

static int encode_rename(struct encoder *e, struct mutation *m, struct batch *b)
{
	bool swap = m->kind == MUTATION_SWAP;
	struct bytes parked = { 0 };

	int err = get_key(e, &e->key, m->parent, m->name, m->name_len);
	if (!err)
		err = get_key(e, &e->other_key, m->new_parent, m->new_name, m->new_name_len);
	if (err)
		return err;
	b->flags |= SEAL_RECORDS_ONLY;
	if (swap) {
		err = bytes_add(&parked, swap_key, sizeof swap_key - 1);
		if (!err)
			err = rename_all(e, b, m->id, &m->node, &e->key, &parked);
		if (!err)
			err = rename_all(e, b, m->replaced, &m->other, &e->other_key, &e->key);
		if (!err)
			err = rename_all(e, b, m->id, &m->node, &parked, &e->other_key);
		bytes_fini(&parked);
	} else {
		if (m->replaced && S_ISREG(m->other.mode) && !S_ISREG(m->node.mode)) {
			batch_command(b, "DEL");
			batch_arg(b, e->other_key.data, e->other_key.len);
		}
		err = rename_all(e, b, m->id, &m->node, &e->key, &e->other_key);
	}
	if (err)
		return err;
	struct seal_record *r = batch_record(b, SEAL_RENAME);
	path_is(r, &e->key);
	r->to = e->other_key.data;
	r->to_len = e->other_key.len;
	r->flags = swap ? RENAME_SWAP : 0;
	return 0;
}

/* ---- all together ---- */

static bool is_plain_cut(const struct mutation *m)
{
	return m->kind == MUTATION_SETATTR && (m->change->mask & ATTR_SIZE) && m->change->size == 0 &&
	       !(m->change->mask & ~(unsigned)(ATTR_SIZE | ATTR_MTIME | ATTR_CTIME)) &&
	       m->node.mtime_ns == m->now_ns && m->node.ctime_ns == m->now_ns;
}

/* Whatever is held back and would be overtaken by M is logged first. */
static int flush_before(struct encoder *e, const struct mutation *m)
{
	if (!e->held_count)
		return 0;
	if ((m->kind == MUTATION_RENAME || m->kind == MUTATION_SWAP) && (S_ISDIR(m->node.mode) || S_ISDIR(m->other.mode)))
		return encode_flush(e, 0);
	int err = m->kind == MUTATION_CREATE ? 0 : encode_flush(e, m->id);
	if (!err && m->replaced)
		err = encode_flush(e, m->replaced);
	return err;
}

static int encode_kind(struct encoder *e, struct mutation *m, struct batch *b, struct held *merge)
{
	if (m->kind == MUTATION_WRITE || m->kind == MUTATION_SETATTR || m->kind == MUTATION_EXPIRE) {
		int err = get_key(e, &e->key, m->id, NULL, 0);
		if (err)
			return err;
	}
	switch (m->kind) {
	case MUTATION_CREATE:
		return encode_create(e, m, b);
	case MUTATION_WRITE:
		return merge ? encode_merged_write(e, m, b, merge) : encode_write(e, m, b);
	case MUTATION_SETATTR:
		return encode_setattr(e, m, b);
	case MUTATION_REMOVE:
	case MUTATION_EXPIRED:
		return encode_remove(e, m, b);
	case MUTATION_RENAME:
	case MUTATION_SWAP:
		return encode_rename(e, m, b);
	case MUTATION_EXPIRE:
		return encode_expire(e, m, b);
	}
	return -EINVAL;
}

int encode_mutation(struct encoder *e, struct mutation *m)
{
	struct batch b = { .time_ns = m->now_ns };
	struct held *merge = NULL;
	uint64_t end;
	int err;

	m->seq = 0;
	if (!m->has_name)
		return 0;
	if (m->kind == MUTATION_WRITE && m->off == 0 && m->old_size == 0)
		merge = find_held(e, m->id);
	if (e->hold && m->kind == MUTATION_CREATE && S_ISREG(m->node.mode))
		return hold(e, m, true);
	if (e->hold && is_plain_cut(m))
		return hold(e, m, false);
	if (!merge) {
		err = flush_before(e, m);
		if (err)
			return err;
	}
	err = encode_kind(e, m, &b, merge);
	if (err) {
		bytes_fini(&b.more);
		return err;
	}
	err = batch_emit(e, &b, &end);
	if (err)
		return err;
	if (merge)
		drop_held(e, merge);
	m->seq = end;
	return 0;
}

int encode_open(struct encoder *e, int64_t now_ns)
{
	struct batch b = { .time_ns = now_ns, .flags = SEAL_OPEN };
	uint64_t end;

	batch_command(&b, "SELECT");
	batch_arg(&b, "0", 1);
	struct seal_record *r = batch_record(&b, SEAL_LINEAGE);
	r->path = "";
	r->number = e->lineage;
	return batch_emit(e, &b, &end);
}
