#include "fs/ops.h"
#include "fs/reply.h"
#include "fs/room.h"

#include <errno.h>
#include <linux/falloc.h>
#include <unistd.h>

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len, struct fuse_file_info *fi)
{
	const bool keep = mode & FALLOC_FL_KEEP_SIZE;
	struct keyspace *ks = ops_env(req)->ks;
	struct room room = room_for(ops_env(req), 0, ino, 0);
	struct reply *r;
	struct op op;
	int err;

	(void)fi;
	r = reply_new(req, REPLY_STATUS, ino);
	if (!r)
		return;
	ops_begin(&op, req);
	do
		if ((mode & ~FALLOC_FL_KEEP_SIZE) == 0)
			err = keyspace_reserve(ks, &op, ino, (uint64_t)off, (uint64_t)len, keep);
		else if (mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) || (mode & ~FALLOC_FL_KEEP_SIZE) == FALLOC_FL_ZERO_RANGE)
			err = keyspace_zero(ks, &op, ino, (uint64_t)off, (uint64_t)len, keep);
		else
			err = -EOPNOTSUPP;
	while (room_make(&room, &op, err));
	reply_finish(r, &op, err);
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t from, off_t from_off, struct fuse_file_info *from_fi, fuse_ino_t ino, off_t off,
                        struct fuse_file_info *fi, size_t len, int flags)
{
	struct room room = room_for(ops_env(req), 0, ino, from);
	struct reply *r = reply_new(req, REPLY_COUNT, ino);
	uint64_t copied = 0;
	struct op op;
	int err;

	(void)from_fi;
	(void)fi;
	if (!r)
		return;
	ops_begin(&op, req);
	do
		err = flags ? -EINVAL : keyspace_copy(ops_env(req)->ks, &op, from, (uint64_t)from_off, ino, (uint64_t)off, len, &copied);
	while (room_make(&room, &op, err));
	r->count = copied;
	reply_finish(r, &op, err);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	struct value *v = NULL;
	uint64_t size = 0, at;
	int err;

	(void)fi;
	err = keyspace_get_value(ops_env(req)->ks, ino, &v, &size);
	if (err < 0) {
		reply_err(req, err);
		return;
	}
	at = value_seek(v, size, (uint64_t)off, whence == SEEK_DATA);
	if (off < 0 || (uint64_t)off >= size || (whence == SEEK_DATA && at >= size))
		reply_err(req, -ENXIO);
	else
		reply_offset(req, at);
	value_unref(v);
}
