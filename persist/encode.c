/* encode.c -- see encode.h. */
#include "persist/encode_kind.h"
#include "store/keyname.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

void encode_init(struct encoder *e, struct keyspace *ks, struct journal *j, uint64_t lineage, uint64_t last_seq)
{
	*e = (struct encoder){ .ks = ks, .journal = j, .lineage = lineage, .seq = last_seq };
}

void encode_place_fini(struct encode_place *p)
{
	bytes_fini(&p->path);
	bytes_fini(&p->room);
}

void encode_fini(struct encoder *e)
{
	encode_place_fini(&e->place);
	encode_place_fini(&e->other);
	encode_place_fini(&e->source);
	bytes_fini(&e->number);
}

/* ---- keys ---- */

/* The key of P's path. */
int encode_find_key(struct encode_place *p)
{
	enum keyname_kind kind;

	p->room.len = 0;
	if (bytes_reserve(&p->room, p->path.len) < 0)
		return -ENOMEM;
	int err = keyname_to_key(p->path.data, p->path.len, p->room.data, &p->key_len, &kind);
	if (err)
		return err;
	p->key = p->room.data;
	p->escaped = p->key_len != p->path.len;    /* an escaped name is longer than what it stands for */
	p->beside = kind == KEYNAME_BESIDE;
	return 0;
}

/* The place of ID, or of NAME in it when NAME is given, for batch B. */
int encode_get_place(struct encoder *e, struct batch *b, struct encode_place *p, uint64_t id, const char *name, size_t name_len)
{
	int64_t len = keyspace_key_len_locked(e->ks, id);
	size_t got;

	assert(len >= 0);
	p->path.len = 0;
	if (bytes_reserve(&p->path, (size_t)len + name_len + 1) < 0)
		return -ENOMEM;
	keyspace_key_locked(e->ks, id, p->path.data, (size_t)len, &got);
	p->path.len = got;
	if (name) {
		if (got)
			p->path.data[p->path.len++] = '/';
		memcpy(p->path.data + p->path.len, name, name_len);
		p->path.len += name_len;
	}
	p->key = p->path.data;
	p->key_len = p->path.len;
	p->escaped = p->beside = false;
	if (p->path.len && (keyspace_escaped_locked(e->ks) || (name && keyname_is_escaped(name, name_len)))) {
		int err = encode_find_key(p);
		if (err)
			return err;
	}
	if (p->escaped)
		b->flags |= SEAL_ESCAPED;
	return 0;
}

void encode_key_arg(struct batch *b, const struct encode_place *p)
{
	batch_arg(b, p->key, p->key_len);
}

void encode_path_is(struct seal_record *r, const struct encode_place *p)
{
	r->path = p->path.data;
	r->path_len = p->path.len;
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

/* The attributes that a new file needs and a SET does not give; and which of the names of its key it has. */
void encode_new_attributes(struct encoder *e, struct batch *b, const struct attr *a)
{
	struct seal_record *r = batch_record(b, SEAL_ATTR);

	r->path_is_key = true;
	r->attr = (struct attr_change){ .mask = ATTR_MODE | ATTR_UID | ATTR_GID, .mode = a->mode & 07777, .uid = a->uid, .gid = a->gid };
	if (a->atime_ns != keyspace_atime_at(b->time_ns)) {
		r->attr.mask |= ATTR_ATIME;
		r->attr.atime_ns = a->atime_ns;
	}
	if (e->place.beside)
		batch_record(b, SEAL_BESIDE)->path_is_key = true;
}

/* A new name changed the times of its directory when it came, and others may have changed them since: says what they are now, unless the
 * replay of this batch gives them anyway. */
int encode_parent_time(struct encoder *e, struct batch *b, uint64_t parent)
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
	int err = encode_get_place(e, b, &e->other, parent, NULL, 0);
	if (err)
		return err;
	struct seal_record *r = batch_record(b, SEAL_ATTR);
	encode_path_is(r, &e->other);
	r->attr = (struct attr_change){ .mask = ATTR_MTIME | ATTR_CTIME, .mtime_ns = a.mtime_ns, .ctime_ns = a.ctime_ns };
	return 0;
}

static int flush_one(struct encoder *e, struct held *h)
{
	struct batch b;
	struct attr a;
	uint64_t end;

	int err = keyspace_stat_locked(e->ks, h->id, &a);
	if (err || a.nlink == 0) {
		drop_held(e, h);     /* gone with its last name: nothing to say */
		return 0;
	}
	batch_begin(&b, a.ctime_ns);     /* of the last cut, which may be later than since_ns */
	err = encode_get_place(e, &b, &e->place, h->id, NULL, 0);
	if (err)
		return err;
	batch_command(&b, "SET");
	encode_key_arg(&b, &e->place);
	batch_arg(&b, "", 0);
	if (h->created) {
		encode_new_attributes(e, &b, &a);
		err = encode_parent_time(e, &b, h->parent);
	}
	if (!err && a.nlink > 1)
		err = encode_further_names(e, &b, &a);
	if (err) {
		bytes_fini(&b.more);
		return err;
	}
	err = batch_emit(e, &b, &end, NULL);
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

/* Of ID alone, wherever it is. */
static bool is_of_node(const struct mutation *m)
{
	return m->kind == MUTATION_WRITE || m->kind == MUTATION_SETATTR || m->kind == MUTATION_EXPIRE || m->kind == MUTATION_XATTR ||
	       m->kind == MUTATION_ZERO || m->kind == MUTATION_COPY;
}

static int encode_kind(struct encoder *e, struct mutation *m, struct batch *b, struct held *merge)
{
	if (is_of_node(m)) {
		int err = encode_get_place(e, b, &e->place, m->id, NULL, 0);
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
	case MUTATION_LINK:
		return encode_link(e, m, b);
	case MUTATION_ZERO:
		return encode_zero(e, m, b);
	case MUTATION_COPY:
		return encode_copy(e, m, b);
	case MUTATION_REMOVE:
	case MUTATION_EXPIRED:
		return encode_remove(e, m, b);
	case MUTATION_RENAME:
	case MUTATION_SWAP:
		return encode_rename(e, m, b);
	case MUTATION_EXPIRE:
		return encode_expire(e, m, b);
	case MUTATION_XATTR:
		return encode_xattr(e, m, b);
	}
	return -EINVAL;
}

int encode_mutation(struct encoder *e, struct mutation *m)
{
	struct batch b;
	struct held *merge = NULL;
	uint64_t end;
	int err;

	m->seq = m->number = 0;
	if (!m->has_name)
		return 0;
	batch_begin(&b, m->now_ns);
	if (m->kind == MUTATION_WRITE && m->off == 0 && m->old_size == 0)
		merge = find_held(e, m->id);
	if (e->hold && m->kind == MUTATION_CREATE && S_ISREG(m->node.mode) && !m->xattrs)
		return hold(e, m, true);
	if (e->hold && is_plain_cut(m))
		return hold(e, m, false);
	if (!merge) {
		err = flush_before(e, m);
		if (err)
			return err;
	}
	err = encode_kind(e, m, &b, merge);
	if (!err && is_of_node(m) && m->node.nlink > 1)
		err = encode_further_names(e, &b, &m->node);
	if (err) {
		bytes_fini(&b.more);
		return err;
	}
	if (m->kind == MUTATION_WRITE && m->later)
		b.late = m->data;
	err = batch_emit(e, &b, &end, &m->number);
	if (err)
		return err;
	if (merge)
		drop_held(e, merge);
	m->seq = end;
	return 0;
}

void encode_take_data(struct encoder *e, unsigned number, const void *data, size_t len)
{
	batch_fill(&e->late[number - 1], data, len);
	journal_filled(e->journal, number - 1);
}

int encode_open(struct encoder *e, int64_t now_ns)
{
	struct batch b = { .time_ns = now_ns, .flags = SEAL_OPEN };
	uint64_t end;

	e->number.len = 0;
	int err = bytes_addf(&e->number, "%" PRIu64, e->db);
	if (err)
		return err;
	batch_command(&b, "SELECT");
	batch_arg(&b, e->number.data, e->number.len);
	struct seal_record *r = batch_record(&b, SEAL_LINEAGE);
	r->path = "";
	r->number = e->lineage;
	return batch_emit(e, &b, &end, NULL);
}
