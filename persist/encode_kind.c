/* encode_kind.c -- one kind of mutation each, but for renames.  See encode_kind.h. */
#include "persist/encode_kind.h"
#include "persist/script.h"

#include <inttypes.h>
#include <sys/stat.h>

/* The extended attributes that M sets: of the node at e->place. */
static void add_xattrs(struct encoder *e, const struct mutation *m, struct batch *b)
{
	for (int i = 0; i < m->xattrs; i++) {
		struct seal_record *r = batch_record(b, SEAL_XATTR);
		encode_path_is(r, &e->place);
		r->xattr = m->xattr[i];
	}
}

int encode_create(struct encoder *e, struct mutation *m, struct batch *b)
{
	const struct attr *a = &m->node;

	int err = encode_get_place(e, b, &e->place, m->parent, m->name, m->name_len);
	if (err)
		return err;
	if (S_ISREG(a->mode)) {
		batch_command(b, "SET");
		encode_key_arg(b, &e->place);
		batch_arg(b, "", 0);
		encode_new_attributes(e, b, a);
		add_xattrs(e, m, b);
		return 0;
	}
	struct seal_record *r = batch_record(b, S_ISDIR(a->mode) ? SEAL_MKDIR : S_ISLNK(a->mode) ? SEAL_SYMLINK : SEAL_MKNOD);
	encode_path_is(r, &e->place);
	r->attr = (struct attr_change){ .mask = ATTR_MODE | ATTR_UID | ATTR_GID, .mode = a->mode & 07777, .uid = a->uid, .gid = a->gid };
	r->to = m->target;
	r->to_len = m->target_len;
	if (r->kind == SEAL_MKNOD) {
		r->attr.mode = a->mode;
		r->number = a->rdev;
	}
	add_xattrs(e, m, b);
	return 0;
}

/* The write that a held-back create or cut was waiting for: one SET. */
int encode_merged_write(struct encoder *e, struct mutation *m, struct batch *b, struct held *h)
{
	batch_command(b, "SET");
	encode_key_arg(b, &e->place);
	batch_arg(b, m->data, m->len);
	if (!h->created)
		return 0;
	encode_new_attributes(e, b, &m->node);
	return encode_parent_time(e, b, h->parent);
}

int encode_write(struct encoder *e, struct mutation *m, struct batch *b)
{
	static const char zero = 0;

	if (!encode_redis_holds(m->off + m->len)) {
		encode_eval(b, script_beyond, &e->place, NULL);
		encode_digits(e, b, 0, m->off);
	} else if (m->off == m->old_size && m->node.nlink <= 1) {
		batch_command(b, "APPEND");
		encode_key_arg(b, &e->place);
	} else {
		/* SETRANGE pads with zeros as a write beyond the end does. */
		batch_command(b, "SETRANGE");
		encode_key_arg(b, &e->place);
		encode_digits(e, b, 0, m->off);
	}
	batch_arg(b, m->len ? m->data : &zero, m->len);
	return 0;
}

static void add_changed_attributes(struct encoder *e, struct mutation *m, struct batch *b)
{
	const struct attr *a = &m->node;
	struct seal_record *r = batch_record(b, SEAL_ATTR);

	encode_path_is(r, &e->place);
	r->attr = (struct attr_change){ .mask = (m->change->mask & ~(unsigned)ATTR_SIZE) | ATTR_CTIME,
		                        .mode = a->mode & 07777, .uid = a->uid, .gid = a->gid,
		                        .atime_ns = a->atime_ns, .mtime_ns = a->mtime_ns, .ctime_ns = a->ctime_ns };
}

int encode_setattr(struct encoder *e, struct mutation *m, struct batch *b)
{
	if (m->change->mask & ATTR_SIZE) {
		int err = encode_resize(e, m, b);
		if (err)
			return err;
	}
	add_changed_attributes(e, m, b);
	add_xattrs(e, m, b);
	return 0;
}

/* Nothing for Redis. */
int encode_xattr(struct encoder *e, struct mutation *m, struct batch *b)
{
	add_xattrs(e, m, b);
	add_changed_attributes(e, m, b);
	return 0;
}

int encode_remove(struct encoder *e, struct mutation *m, struct batch *b)
{
	int err = encode_get_place(e, b, &e->place, m->parent, m->name, m->name_len);
	if (err)
		return err;
	if (S_ISREG(m->node.mode)) {
		batch_command(b, "DEL");
		encode_key_arg(b, &e->place);
	} else {
		encode_path_is(batch_record(b, SEAL_REMOVE), &e->place);
	}
	return 0;
}

int encode_expire(struct encoder *e, struct mutation *m, struct batch *b)
{
	batch_command(b, m->expire_at_ms ? "PEXPIREAT" : "PERSIST");
	encode_key_arg(b, &e->place);
	if (!m->expire_at_ms)
		return 0;
	e->number.len = 0;
	int err = bytes_addf(&e->number, "%" PRId64, m->expire_at_ms);
	batch_arg(b, e->number.data, e->number.len);
	return err;
}
