/* aof_batch.c -- see aof_batch.h. */
#include "persist/aof_batch.h"
#include "persist/replay_db.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ARGS_FIRST = 16, PATH_SHOWN_MAX = 100 };

static int batch_room(struct aof_batch *b, size_t argc)
{
	struct batch_command *command;
	struct resp_arg *arg;
	size_t cap;

	if (b->args + argc > b->args_cap) {
		cap = b->args_cap ? b->args_cap * 2 : ARGS_FIRST;
		if (cap < b->args + argc)
			cap = b->args + argc;
		arg = reallocarray(b->arg, cap, sizeof(*arg));
		if (!arg)
			return -ENOMEM;
		b->arg = arg;
		b->args_cap = cap;
	}
	if (b->count == b->cap) {
		cap = b->cap ? b->cap * 2 : ARGS_FIRST;
		command = reallocarray(b->command, cap, sizeof(*command));
		if (!command)
			return -ENOMEM;
		b->command = command;
		b->cap = cap;
	}
	return 0;
}

int aof_batch_add(struct aof_batch *b, const struct resp_command *c, uint64_t at)
{
	int err = batch_room(b, c->argc);

	if (err)
		return err;
	memcpy(b->arg + b->args, c->argv, c->argc * sizeof(*b->arg));
	b->command[b->count++] = (struct batch_command){ .first = b->args, .argc = c->argc, .at = at };
	b->args += c->argc;
	return 0;
}

void aof_batch_clear(struct aof_batch *b)
{
	b->args = 0;
	b->count = 0;
}

void aof_batch_fini(struct aof_batch *b)
{
	free(b->arg);
	free(b->command);
}

int aof_batch_commands(const struct aof_batch *b, struct replay *r, uint64_t *ret_at, struct error *e)
{
	size_t i;

	for (i = 0; i < b->count; i++) {
		const struct batch_command *c = &b->command[i];
		int err = replay_command(r, b->arg + c->first, c->argc, e);

		if (err) {
			*ret_at = c->at;
			return err;
		}
	}
	return 0;
}

/* ---- records ---- */

/* Mode, owner and times of ID in one change. */
static int record_new(struct replay *r, uint64_t id, const struct attr_change *owner)
{
	struct attr_change c = *owner;

	c.mask = ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME | ATTR_CTIME;
	c.mtime_ns = c.ctime_ns = r->l.now_ns;
	c.atime_ns = keyspace_atime_at(r->l.now_ns);
	return loader_attr(&r->l, id, &c);
}

/* What the record's path names. */
static int record_find(struct replay *r, const struct seal_record *rec, uint64_t *ret_id)
{
	if (rec->path_is_key)
		return loader_find_value(&r->l, rec->path, rec->path_len, ret_id);
	return loader_find(&r->l, rec->path, rec->path_len, ret_id);
}

static int record_attr(struct replay *r, const struct seal_record *rec)
{
	uint64_t id;
	int err = record_find(r, rec, &id);

	return err ? err : loader_attr(&r->l, id, &rec->attr);
}

static int record_mkdir(struct replay *r, const struct seal_record *rec)
{
	uint64_t id;
	int err = loader_mkdir(&r->l, rec->path, rec->path_len, &id);

	return err ? err : record_new(r, id, &rec->attr);
}

static int record_symlink(struct replay *r, const struct seal_record *rec)
{
	uint64_t id;
	int err = loader_symlink(&r->l, rec->path, rec->path_len, rec->to, rec->to_len, &id);

	return err ? err : record_new(r, id, &rec->attr);
}

static int record_link(struct replay *r, const struct seal_record *rec)
{
	uint64_t id;
	int err = record_find(r, rec, &id);

	return err ? err : loader_link(&r->l, id, rec->to, rec->to_len);
}

static int record_mknod(struct replay *r, const struct seal_record *rec)
{
	uint64_t id;
	int err = loader_special(&r->l, rec->path, rec->path_len, rec->attr.mode, (uint32_t)rec->number, &id);

	return err ? err : record_new(r, id, &rec->attr);
}

static int record_parent_time(struct replay *r, const struct seal_record *rec)
{
	struct attr_change c = { .mask = ATTR_MTIME | ATTR_CTIME, .mtime_ns = (int64_t)rec->number, .ctime_ns = (int64_t)rec->number };
	uint64_t id;
	int err = record_find(r, rec, &id);

	if (!err)
		err = loader_parent(&r->l, id, &id);
	return err ? err : loader_attr(&r->l, id, &c);
}

static int record_resize(struct replay *r, const struct seal_record *rec)
{
	uint64_t id;
	int err = record_find(r, rec, &id);

	return err ? err : loader_resize(&r->l, id, rec->number);
}

static int record_zero(struct replay *r, const struct seal_record *rec)
{
	uint64_t id;
	int err = record_find(r, rec, &id);

	return err ? err : loader_zero(&r->l, id, rec->number, rec->length);
}

static int record_copy(struct replay *r, const struct seal_record *rec)
{
	uint64_t id, from;
	int err = record_find(r, rec, &id);

	if (!err)
		err = loader_find(&r->l, rec->to, rec->to_len, &from);
	return err ? err : loader_copy_range(&r->l, from, rec->from, id, rec->number, rec->length);
}

static int record_xattr(struct replay *r, const struct seal_record *rec)
{
	uint64_t id;
	int err = record_find(r, rec, &id);

	return err ? err : loader_xattr(&r->l, id, &rec->xattr);
}

static int record_lineage(const struct seal_record *rec, uint64_t *lineage, struct error *e)
{
	if (*lineage && *lineage != rec->number)
		return error_set(e, -EBADMSG, "it belongs to another keyspace (%016llx) than what stands before it (%016llx)",
		                 (unsigned long long)rec->number, (unsigned long long)*lineage);
	*lineage = rec->number;
	return 0;
}

static int record_apply(struct replay *r, const struct seal_record *rec, struct aof_result *res, struct error *e)
{
	switch (rec->kind) {
	case SEAL_ATTR:
		return record_attr(r, rec);
	case SEAL_MKDIR:
		return record_mkdir(r, rec);
	case SEAL_SYMLINK:
		return record_symlink(r, rec);
	case SEAL_REMOVE:
		return loader_remove(&r->l, rec->path, rec->path_len);
	case SEAL_RENAME:
		return loader_rename(&r->l, rec->path, rec->path_len, rec->to, rec->to_len, rec->flags);
	case SEAL_LINEAGE:
		return record_lineage(rec, &res->lineage, e);
	case SEAL_PARENT_TIME:
		return record_parent_time(r, rec);
	case SEAL_RESIZE:
		return record_resize(r, rec);
	case SEAL_BASE:
		res->last_seq = rec->number;
		return 0;
	case SEAL_XATTR:
		return record_xattr(r, rec);
	case SEAL_BESIDE:
		return loader_set_beside(&r->l, rec->path, rec->path_len);
	case SEAL_LINK:
		return record_link(r, rec);
	case SEAL_ZERO:
		return record_zero(r, rec);
	case SEAL_MKNOD:
		return record_mknod(r, rec);
	case SEAL_COPY:
		return record_copy(r, rec);
	}
	return -EBADMSG;
}

/* The record's paths, which are not ESCAPED, as they are written today: in R's scratch, where they differ. */
static int record_escape(struct replay *r, struct seal_record *rec)
{
	int err = replay_escape(r, 0, &rec->path, &rec->path_len);

	return !err && (rec->kind == SEAL_RENAME || rec->kind == SEAL_LINK || rec->kind == SEAL_COPY) ? replay_escape(r, 1, &rec->to, &rec->to_len) : err;
}

int aof_batch_records(const struct aof_batch *b, const struct seal *s, struct replay *r, struct aof_result *res,
                      struct error *e)
{
	static const char *const names[] = { "", "ATTR", "MKDIR", "SYMLINK", "REMOVE", "RENAME", "LINEAGE", "PARENT_TIME", "RESIZE",
		                       "BASE", "BESIDE", "LINK", "MKNOD", "XATTR", "ZERO", "COPY" };
	bool has_key = b->count && b->command[0].argc > 1;
	const struct resp_arg *key = has_key ? &b->arg[b->command[0].first + 1] : NULL;
	char shown[PATH_SHOWN_MAX];
	struct seal_record rec;
	unsigned count = 0;
	size_t pos = 0;
	int got, err;

	err = replay_enter(r, e);
	if (err)
		return err;
	r->l.displace = false;
	while ((got = seal_next_record(s, &pos, &rec)) > 0) {
		if (rec.path_is_key && !key)
			return error_set(e, -EBADMSG, "record %u names the key of a command, but there is none", count);
		if (rec.path_is_key) {
			rec.path = key->data;
			rec.path_len = key->len;
		}
		err = s->flags & SEAL_ESCAPED || rec.path_is_key ? 0 : record_escape(r, &rec);
		if (!err)
			err = record_apply(r, &rec, res, e);
		if (err)
			return error_set(e, err, "its record %s of \"%s\" can't be applied: %s", names[rec.kind],
			                 error_quote(rec.path, rec.path_len, shown, sizeof(shown)), strerror(-err));
		count++;
	}
	if (got < 0 || count != s->count)
		return error_set(e, -EBADMSG, "its records are malformed");
	return 0;
}

/* ---- without a keyspace ---- */

int aof_batch_look(const struct aof_batch *b, uint64_t *ret_at, struct error *e)
{
	char shown[PATH_SHOWN_MAX];
	size_t i;

	for (i = 0; i < b->count; i++) {
		const struct batch_command *c = &b->command[i];
		const struct resp_arg *argv = b->arg + c->first;

		if (replay_knows(argv, c->argc))
			continue;
		*ret_at = c->at;
		return error_set(e, -EPROTO, "\"%s\" with %zu arguments is no command that kvfs knows",
		                 error_quote(argv[0].data, argv[0].len, shown, sizeof(shown)), c->argc - 1);
	}
	return 0;
}

int aof_batch_look_records(const struct aof_batch *b, const struct seal *s, struct aof_result *res, struct error *e)
{
	bool has_key = b->count && b->command[0].argc > 1;
	struct seal_record rec;
	unsigned count = 0;
	size_t pos = 0;
	int got, err;

	while ((got = seal_next_record(s, &pos, &rec)) > 0) {
		if (rec.path_is_key && !has_key)
			return error_set(e, -EBADMSG, "record %u names the key of a command, but there is none", count);
		if (rec.kind == SEAL_BASE)
			res->last_seq = rec.number;
		err = rec.kind == SEAL_LINEAGE ? record_lineage(&rec, &res->lineage, e) : 0;
		if (err)
			return err;
		count++;
	}
	return got < 0 || count != s->count ? error_set(e, -EBADMSG, "its records are malformed") : 0;
}
