#include "fs/ops.h"
#include "fs/reply.h"

#include <errno.h>
#include <time.h>

struct ops_env *ops_env(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

void ops_begin(struct op *op, fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	*op = (struct op){
		.uid = ctx->uid,
		.gid = ctx->gid,
		.acl = ops_env(req)->acl,
		.umask = ctx->umask,
		.now_ns = ops_env(req)->clock_ns,
	};
	if (op->now_ns == 0)
		op->now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	const unsigned wanted = FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_READDIRPLUS |
	                        FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_NO_OPEN_SUPPORT |
	                        FUSE_CAP_NO_OPENDIR_SUPPORT | FUSE_CAP_ASYNC_READ;
	/* ATOMIC_O_TRUNC would lose an O_TRUNC where no OPEN is sent; with HANDLE_KILLPRIV the kernel would leave setuid bits to us;
	 * pages in a pipe are no gain where the answer is gathered from memory. */
	const unsigned refused = FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_WRITEBACK_CACHE |
	                         FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE | FUSE_CAP_POSIX_LOCKS |
	                         FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_DONT_MASK | FUSE_CAP_POSIX_ACL;
	/* With ACLs the umask counts only where the directory has no default ACL: it is ours to apply. */
	const unsigned acl = FUSE_CAP_POSIX_ACL | FUSE_CAP_DONT_MASK;
	struct ops_env *env = userdata;

	conn->want |= conn->capable & wanted;
	conn->want &= ~refused;
	env->acl = env->acl && (conn->capable & acl) == acl;
	if (env->acl)
		conn->want |= acl;
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	reply_err(req, -ENOSYS);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	(void)parent;
	(void)name;
	(void)mode;
	(void)fi;
	reply_err(req, -ENOSYS);
}

const struct fuse_lowlevel_ops ops_table = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.opendir = op_open,
	.create = op_create,
	.flush = op_open,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.fsyncdir = op_fsync,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
	.copy_file_range = op_copy_file_range,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.statfs = op_statfs,
	.getxattr = op_getxattr,
	.setxattr = op_setxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	/* No lock handlers: the kernel's own locks do. */
};
