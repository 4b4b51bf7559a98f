#include "fs/ops.h"
#include "fs/reply.h"

#include <errno.h>
#include <string.h>

/* The flags of renameat2(2) are the store's own. */
_Static_assert(RENAME_NO_REPLACE == 1 && RENAME_SWAP == 2, "as in linux/fs.h");

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct reply *r = reply_new_names(req, REPLY_ENTRY, parent, name, 0, NULL);
	struct op op;

	(void)rdev;
	if (!r)
		return;
	ops_begin(&op, req);
	reply_finish(r, &op, keyspace_mknod(ops_env(req)->ks, &op, parent, name, strlen(name), mode, &r->attr));
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct reply *r = reply_new_names(req, REPLY_ENTRY, parent, name, 0, NULL);
	struct op op;

	if (!r)
		return;
	ops_begin(&op, req);
	reply_finish(r, &op, keyspace_mkdir(ops_env(req)->ks, &op, parent, name, strlen(name), mode, &r->attr));
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct reply *r = reply_new_names(req, REPLY_ENTRY, parent, name, 0, NULL);
	struct op op;

	if (!r)
		return;
	ops_begin(&op, req);
	reply_finish(r, &op, keyspace_symlink(ops_env(req)->ks, &op, parent, name, strlen(name), target, strlen(target), &r->attr));
}

/* A key has one name. */
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	(void)ino;
	(void)parent;
	(void)name;
	reply_err(req, -EPERM);
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
