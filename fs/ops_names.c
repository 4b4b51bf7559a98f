#include "fs/ops.h"
#include "fs/reply.h"
#include "fs/room.h"

#include <errno.h>
#include <string.h>

/* The flags of renameat2(2) are the store's own. */
_Static_assert(RENAME_NO_REPLACE == 1 && RENAME_SWAP == 2, "as in linux/fs.h");

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct ops_env *env = ops_env(req);
	struct room room = room_for(env, 0, 0, 0);
	struct reply *r = reply_new_names(req, REPLY_ENTRY, parent, name, 0, NULL);
	const bool device = S_ISCHR(mode) || S_ISBLK(mode);
	struct op op;
	int err;

	if (!r)
		return;
	ops_begin(&op, req);
	if (S_ISREG(mode))
		do
			err = keyspace_mknod(env->ks, &op, parent, name, strlen(name), mode, &r->attr);
		while (room_make(&room, &op, err));
	else if (device && !env->devices)
		err = -EPERM;
	else
		do
			err = keyspace_mkspecial(env->ks, &op, parent, name, strlen(name), mode, (uint32_t)rdev, &r->attr);
		while (room_make(&room, &op, err));
	reply_finish(r, &op, err);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct room room = room_for(ops_env(req), 0, 0, 0);
	struct reply *r = reply_new_names(req, REPLY_ENTRY, parent, name, 0, NULL);
	struct op op;
	int err;

	if (!r)
		return;
	ops_begin(&op, req);
	do
		err = keyspace_mkdir(ops_env(req)->ks, &op, parent, name, strlen(name), mode, &r->attr);
	while (room_make(&room, &op, err));
	reply_finish(r, &op, err);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct room room = room_for(ops_env(req), 0, 0, 0);
	struct reply *r = reply_new_names(req, REPLY_ENTRY, parent, name, 0, NULL);
	struct op op;
	int err;

	if (!r)
		return;
	ops_begin(&op, req);
	do
		err = keyspace_symlink(ops_env(req)->ks, &op, parent, name, strlen(name), target, strlen(target), &r->attr);
	while (room_make(&room, &op, err));
	reply_finish(r, &op, err);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct room room = room_for(ops_env(req), 0, ino, 0);
	struct reply *r = reply_new_names(req, REPLY_ENTRY, parent, name, 0, NULL);
	struct op op;
	int err;

	if (!r)
		return;
	r->id = ino;
	ops_begin(&op, req);
	do
		err = keyspace_link(ops_env(req)->ks, &op, ino, parent, name, strlen(name), &r->attr);
	while (room_make(&room, &op, err));
	reply_finish(r, &op, err);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct reply *r = reply_new_names(req, REPLY_STATUS, parent, name, 0, NULL);
	struct op op;

	if (!r)
		return;
	ops_begin(&op, req);
	reply_finish(r, &op, keyspace_unlink(ops_env(req)->ks, &op, parent, name, strlen(name)));
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct reply *r = reply_new_names(req, REPLY_STATUS, parent, name, 0, NULL);
	struct op op;

	if (!r)
		return;
	ops_begin(&op, req);
	reply_finish(r, &op, keyspace_rmdir(ops_env(req)->ks, &op, parent, name, strlen(name)));
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name, unsigned flags)
{
	struct reply *r = reply_new_names(req, REPLY_STATUS, parent, name, new_parent, new_name);
	struct op op;
	int err;

	if (!r)
		return;
	ops_begin(&op, req);
	if (flags & ~(unsigned)(RENAME_NO_REPLACE | RENAME_SWAP))
		err = -EINVAL;
	else
		err = keyspace_rename(ops_env(req)->ks, &op, parent, name, strlen(name), new_parent, new_name, strlen(new_name), flags);
	reply_finish(r, &op, err);
}
