#include "fs/ops.h"
#include "fs/reply.h"
#include "fs/room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct attr a;
	struct op op;
	int err;

	ops_begin(&op, req);
	err = keyspace_lookup(ops_env(req)->ks, parent, name, strlen(name), op.now_ns, &a);
	if (err == 0)
		reply_entry(req, &a);
	else if (err == -ENOENT)
		reply_no_entry(req);
	else
		reply_err(req, err);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	keyspace_forget(ops_env(req)->ks, ino, nlookup);
	reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		keyspace_forget(ops_env(req)->ks, forgets[i].ino, forgets[i].nlookup);
	reply_none(req);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct attr a;
	int err;

	(void)fi;
	err = keyspace_getattr(ops_env(req)->ks, ino, &a);
	if (err == 0)
		reply_attr(req, &a);
	else
		reply_err(req, err);
}

/* The nearest that 64 bits of ns can hold: from 1677 to 2262. */
static int64_t time_of(const struct timespec *t)
{
	const int64_t second = 1000000000, borrowed = t->tv_sec < 0;   /* so that no step leads further from 0 than the sum */
	int64_t ns;

	if (__builtin_mul_overflow(t->tv_sec + borrowed, second, &ns) || __builtin_add_overflow(ns, t->tv_nsec - borrowed * second, &ns))
		return borrowed ? INT64_MIN : INT64_MAX;
	return ns;
}

static void change_of(const struct stat *st, int to_set, int64_t now_ns, struct attr_change *c)
{
	*c = (struct attr_change){
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.size = (uint64_t)st->st_size,
		.atime_ns = to_set & FUSE_SET_ATTR_ATIME_NOW ? keyspace_atime_at(now_ns) : time_of(&st->st_atim),
		.mtime_ns = to_set & FUSE_SET_ATTR_MTIME_NOW ? now_ns : time_of(&st->st_mtim),
		.ctime_ns = time_of(&st->st_ctim),
	};
	if (to_set & FUSE_SET_ATTR_MODE)
		c->mask |= ATTR_MODE;
	if (to_set & FUSE_SET_ATTR_UID)
		c->mask |= ATTR_UID;
	if (to_set & FUSE_SET_ATTR_GID)
		c->mask |= ATTR_GID;
	if (to_set & FUSE_SET_ATTR_SIZE)
		c->mask |= ATTR_SIZE;
	if (to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW))
		c->mask |= ATTR_ATIME;
	if (to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW))
		c->mask |= ATTR_MTIME;
	if (to_set & FUSE_SET_ATTR_CTIME)
		c->mask |= ATTR_CTIME;
	/* chown(2) to nobody else says nothing but that it was called. */
	if (c->mask == 0) {
		c->mask = ATTR_CTIME;
		c->ctime_ns = now_ns;
	}
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set, struct fuse_file_info *fi)
{
	struct attr_change c;
	struct reply *r;
	struct room room;
	struct op op;
	int err;

	(void)fi;
	ops_begin(&op, req);
	change_of(st, to_set, op.now_ns, &c);
	r = reply_new(req, REPLY_ATTR, ino);
	if (!r)
		return;
	room = room_for(ops_env(req), 0, ino, 0);
	do
		err = keyspace_setattr(ops_env(req)->ks, &op, ino, &c, &r->attr);
	while (room_make(&room, &op, err));
	reply_finish(r, &op, err);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct value *v = NULL;
	uint64_t size = 0;
	struct op op;
	char *target;
	int err;

	ops_begin(&op, req);
	err = keyspace_readlink(ops_env(req)->ks, ino, op.now_ns, ops_env(req)->atime, &v, &size);
	if (err < 0) {
		reply_err(req, err);
		return;
	}
	target = malloc(size + 1);
	if (!target) {
		reply_err(req, -ENOMEM);
		goto out;
	}
	value_copy_out(v, size, 0, target, size);
	target[size] = '\0';
	reply_link(req, target);
	free(target);
out:
	value_unref(v);
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct value *v = NULL;
	uint64_t value_size = 0;
	struct op op;
	int err;

	ops_begin(&op, req);
	err = keyspace_read(ops_env(req)->ks, ino, op.now_ns, fi->flags & O_NOATIME ? ATIME_NEVER : ops_env(req)->atime, &v, &value_size);
	if (err < 0) {
		reply_err(req, err);
		return;
	}
	reply_value(req, v, value_size, (uint64_t)off, size);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct reply *r = reply_new(req, REPLY_COUNT, ino);
	struct room room;
	struct op op;
	int err;

	(void)fi;
	if (!r)
		return;
	r->count = size;
	room = room_for(ops_env(req), size, ino, 0);
	ops_begin(&op, req);
	do
		err = keyspace_write(ops_env(req)->ks, &op, ino, (uint64_t)off, data, size);
	while (room_make(&room, &op, err));
	reply_finish(r, &op, err);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct reply *r = reply_new(req, REPLY_STATUS, 0);

	(void)datasync;
	(void)fi;
	if (r)
		reply_finish_fsync(r, ino);
}
