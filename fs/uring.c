/* uring.c -- see uring.h. */
#include "fs/uring.h"
#include "fs/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <time.h>
#include <unistd.h>

void uring_init(struct uring *u)
{
	*u = (struct uring){ 0 };
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->empty, NULL);
}

void uring_fini(struct uring *u)
{
	pthread_cond_destroy(&u->empty);
	pthread_mutex_destroy(&u->lock);
}

void uring_leave(struct uring *u)
{
	if (atomic_fetch_sub(&u->inside, 1) > 1 || !atomic_load(&u->closed))
		return;
	pthread_mutex_lock(&u->lock);
	pthread_cond_signal(&u->empty);
	pthread_mutex_unlock(&u->lock);
}

bool uring_enter(struct uring *u)
{
	atomic_fetch_add(&u->inside, 1);
	if (!atomic_load(&u->closed))
		return true;
	uring_leave(u);
	return false;
}

void uring_close(struct uring *u)
{
	pthread_mutex_lock(&u->lock);
	atomic_store(&u->closed, true);
	while (atomic_load(&u->inside) > 0)
		pthread_cond_wait(&u->empty, &u->lock);
	pthread_mutex_unlock(&u->lock);
}

const char *uring_obstacle(void)
{
	char answer = 0;

	if (!uring_is_built())
		return "kvfs was built with a libfuse that can't (3.18 can)";
	int fd = open("/sys/module/fuse/parameters/enable_uring", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return "the kernel can't (6.14 can)";
	if (read(fd, &answer, 1) != 1)
		answer = 0;
	close(fd);
	return answer == 'Y' ? NULL : "it is switched off in the kernel (echo 1 >/sys/module/fuse/parameters/enable_uring)";
}

#ifdef FUSE_CAP_OVER_IO_URING

bool uring_is_built(void)
{
	return true;
}

const char *uring_options(void)
{
	return "io_uring,io_uring_q_depth=16";
}
_Static_assert(URING_DEPTH == 16, "uring_options() says so");

void uring_end_threads(struct fuse_session *se)
{
	/* The loop of a session that has ended does nothing but this. */
	fuse_session_exit(se);
	fuse_session_loop(se);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* False: it is answered.  *RET is NULL for a request that loop.c took, and counts. */
static bool enter(fuse_req_t req, uint32_t opcode, struct ops_env **ret)
{
	struct ops_env *env = ops_env(req);

	*ret = NULL;
	if (!fuse_req_is_uring(req))
		return true;
	if (!uring_enter(env->uring)) {
		fuse_reply_err(req, ENOTCONN);
		return false;
	}
	*ret = env;
	stats_count(env->stats, opcode);
	atomic_fetch_add_explicit(&env->stats->by_uring, 1, memory_order_relaxed);
	latency_begin(opcode, now_ns());
	return true;
}

/* The request is answered, or parked, and not looked at any more. */
static void leave(struct ops_env *env)
{
	if (!env)
		return;
	latency_end(env->stats, now_ns());
	uring_leave(env->uring);
}

#define HANDLER(name, opcode, parameters, ...) \
	static void via_##name parameters \
	{ \
		struct ops_env *env; \
		if (!enter(req, opcode, &env)) \
			return; \
		ops_table.name(__VA_ARGS__); \
		leave(env); \
	}

HANDLER(lookup, FUSE_LOOKUP, (fuse_req_t req, fuse_ino_t parent, const char *name), req, parent, name)
HANDLER(getattr, FUSE_GETATTR, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), req, ino, fi)
HANDLER(setattr, FUSE_SETATTR, (fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set, struct fuse_file_info *fi), req, ino, st, to_set, fi)
HANDLER(readlink, FUSE_READLINK, (fuse_req_t req, fuse_ino_t ino), req, ino)
HANDLER(mknod, FUSE_MKNOD, (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev), req, parent, name, mode, rdev)
HANDLER(mkdir, FUSE_MKDIR, (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode), req, parent, name, mode)
HANDLER(unlink, FUSE_UNLINK, (fuse_req_t req, fuse_ino_t parent, const char *name), req, parent, name)
HANDLER(rmdir, FUSE_RMDIR, (fuse_req_t req, fuse_ino_t parent, const char *name), req, parent, name)
HANDLER(symlink, FUSE_SYMLINK, (fuse_req_t req, const char *target, fuse_ino_t parent, const char *name), req, target, parent, name)
HANDLER(rename, FUSE_RENAME, (fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name, unsigned flags),
        req, parent, name, new_parent, new_name, flags)
HANDLER(link, FUSE_LINK, (fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name), req, ino, parent, name)
HANDLER(open, FUSE_OPEN, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), req, ino, fi)
HANDLER(opendir, FUSE_OPENDIR, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), req, ino, fi)
HANDLER(create, FUSE_CREATE, (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi), req, parent, name, mode, fi)
HANDLER(flush, FUSE_FLUSH, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), req, ino, fi)
HANDLER(read, FUSE_READ, (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi), req, ino, size, off, fi)
HANDLER(write, FUSE_WRITE, (fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off, struct fuse_file_info *fi),
        req, ino, data, size, off, fi)
HANDLER(fsync, FUSE_FSYNC, (fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi), req, ino, datasync, fi)
HANDLER(fsyncdir, FUSE_FSYNCDIR, (fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi), req, ino, datasync, fi)
HANDLER(fallocate, FUSE_FALLOCATE, (fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len, struct fuse_file_info *fi),
        req, ino, mode, off, len, fi)
HANDLER(lseek, FUSE_LSEEK, (fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi), req, ino, off, whence, fi)
HANDLER(copy_file_range, FUSE_COPY_FILE_RANGE,
        (fuse_req_t req, fuse_ino_t from, off_t from_off, struct fuse_file_info *from_fi, fuse_ino_t ino, off_t off, struct fuse_file_info *fi, size_t len,
         int flags), req, from, from_off, from_fi, ino, off, fi, len, flags)
HANDLER(readdir, FUSE_READDIR, (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi), req, ino, size, off, fi)
HANDLER(readdirplus, FUSE_READDIRPLUS, (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi), req, ino, size, off, fi)
HANDLER(statfs, FUSE_STATFS, (fuse_req_t req, fuse_ino_t ino), req, ino)
HANDLER(getxattr, FUSE_GETXATTR, (fuse_req_t req, fuse_ino_t ino, const char *name, size_t size), req, ino, name, size)
HANDLER(setxattr, FUSE_SETXATTR, (fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags),
        req, ino, name, value, size, flags)
HANDLER(listxattr, FUSE_LISTXATTR, (fuse_req_t req, fuse_ino_t ino, size_t size), req, ino, size)
HANDLER(removexattr, FUSE_REMOVEXATTR, (fuse_req_t req, fuse_ino_t ino, const char *name), req, ino, name)

static void via_init(void *userdata, struct fuse_conn_info *conn)
{
	ops_table.init(userdata, conn);
	/* Without the kernel's part the messages by /dev/fuse stay as large as they are. */
	if (conn->want & FUSE_CAP_OVER_IO_URING)
		conn->max_write = URING_MESSAGE_MAX;
}

static void via_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	ops_table.forget(req, ino, nlookup);
}

static void via_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	ops_table.forget_multi(req, count, forgets);
}

const struct fuse_lowlevel_ops uring_table = {
	.init = via_init,
	.lookup = via_lookup,
	.forget = via_forget,
	.forget_multi = via_forget_multi,
	.getattr = via_getattr,
	.setattr = via_setattr,
	.readlink = via_readlink,
	.mknod = via_mknod,
	.mkdir = via_mkdir,
	.unlink = via_unlink,
	.rmdir = via_rmdir,
	.symlink = via_symlink,
	.rename = via_rename,
	.link = via_link,
	.open = via_open,
	.opendir = via_opendir,
	.create = via_create,
	.flush = via_flush,
	.read = via_read,
	.write = via_write,
	.fsync = via_fsync,
	.fsyncdir = via_fsyncdir,
	.fallocate = via_fallocate,
	.lseek = via_lseek,
	.copy_file_range = via_copy_file_range,
	.readdir = via_readdir,
	.readdirplus = via_readdirplus,
	.statfs = via_statfs,
	.getxattr = via_getxattr,
	.setxattr = via_setxattr,
	.listxattr = via_listxattr,
	.removexattr = via_removexattr,
};

#else

bool uring_is_built(void)
{
	return false;
}

const char *uring_options(void)
{
	return "";
}

void uring_end_threads(struct fuse_session *se)
{
	(void)se;
}

const struct fuse_lowlevel_ops uring_table = { 0 };

#endif
