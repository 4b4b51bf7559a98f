#include "fs/reply.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_INFINITE_S 1e9   /* thirty years; the kernel's jiffies hold it */

enum {
	ERRNO_MAX = 4095,
	READ_PIECES = 264,        /* 1 MiB of holes, a page each, and some */
	PAGE = 4096,
};

static int64_t sec_of(int64_t ns)
{
	int64_t s = ns / 1000000000;

	return ns % 1000000000 < 0 ? s - 1 : s;
}

static struct timespec timespec_of(int64_t ns)
{
	struct timespec t = { .tv_sec = sec_of(ns) };

	t.tv_nsec = (long)(ns - (int64_t)t.tv_sec * 1000000000);
	return t;
}

void reply_fill_stat(const struct attr *a, struct stat *st)
{
	*st = (struct stat){
		.st_ino = a->id,
		.st_mode = a->mode,
		.st_nlink = a->nlink,
		.st_uid = a->uid,
		.st_gid = a->gid,
		.st_size = (off_t)a->size,
		.st_blksize = PAGE,
		.st_blocks = (blkcnt_t)((a->size + 511) / 512),
		.st_atim = timespec_of(a->atime_ns),
		.st_mtim = timespec_of(a->mtime_ns),
		.st_ctim = timespec_of(a->ctime_ns),
	};
}

void reply_fill_entry(const struct attr *a, struct fuse_entry_param *e)
{
	*e = (struct fuse_entry_param){
		.ino = a->id,
		.attr_timeout = TIMEOUT_INFINITE_S,
		.entry_timeout = TIMEOUT_INFINITE_S,
	};
	reply_fill_stat(a, &e->attr);
}

void reply_err(fuse_req_t req, int err)
{
	assert(err <= 0);
	fuse_reply_err(req, -err > ERRNO_MAX ? EIO : -err);
}

void reply_none(fuse_req_t req)
{
	fuse_reply_none(req);
}

void reply_entry(fuse_req_t req, const struct attr *a)
{
	struct keyspace *ks = ops_env(req)->ks;
	struct fuse_entry_param e;

	reply_fill_entry(a, &e);
	if (fuse_reply_entry(req, &e) != 0)
		keyspace_forget(ks, a->id, 1);
}

void reply_no_entry(fuse_req_t req)
{
	struct fuse_entry_param e = { .entry_timeout = TIMEOUT_INFINITE_S };

	fuse_reply_entry(req, &e);
}

void reply_attr(fuse_req_t req, const struct attr *a)
{
	struct stat st;

	reply_fill_stat(a, &st);
	fuse_reply_attr(req, &st, TIMEOUT_INFINITE_S);
}

void reply_bytes(fuse_req_t req, const void *data, size_t len)
{
	fuse_reply_buf(req, data, len);
}

/* A value in more pieces than fit on the stack: gathered.  Never for what the kernel asks at a time (1 MiB). */
static void reply_gathered(fuse_req_t req, const struct value *v, uint64_t size, uint64_t off, size_t len)
{
	void *buf = malloc(len);

	if (!buf) {
		reply_err(req, -ENOMEM);
		return;
	}
	value_copy_out(v, size, off, buf, len);
	fuse_reply_buf(req, buf, len);
	free(buf);
}

void reply_value(fuse_req_t req, struct value *v, uint64_t size, uint64_t off, size_t len)
{
	struct iovec iov[READ_PIECES];
	size_t covered = 0;
	int n;

	if (off >= size || len == 0) {
		fuse_reply_buf(req, NULL, 0);
		goto out;
	}
	if (len > size - off)
		len = size - off;
	n = value_iov(v, size, off, len, iov, READ_PIECES, &covered);
	/* A short answer would tell the kernel that the file ends here. */
	if (covered < len)
		reply_gathered(req, v, size, off, len);
	else
		fuse_reply_iov(req, iov, n);
out:
	value_unref(v);
}

void reply_link(fuse_req_t req, const char *target)
{
	fuse_reply_readlink(req, target);
}

void reply_statfs(fuse_req_t req, const struct statvfs *s)
{
	fuse_reply_statfs(req, s);
}

/* ---- a change ---- */

static void reply_free(struct reply *r)
{
	free(r->name[0].name);
	free(r->name[1].name);
	free(r);
}

/* Takes R. */
static void reply_send(struct reply *r)
{
	switch (r->kind) {
	case REPLY_STATUS:
		reply_err(r->req, 0);
		break;
	case REPLY_ENTRY:
		reply_entry(r->req, &r->attr);
		break;
	case REPLY_ATTR:
		reply_attr(r->req, &r->attr);
		break;
	case REPLY_COUNT:
		fuse_reply_write(r->req, r->count);
		break;
	}
	reply_free(r);
}

/* Takes R, whose change happened in memory and could not be made to last. */
static void reply_fail(struct reply *r, int err)
{
	const struct ops_env *env = ops_env(r->req);

	if (r->kind == REPLY_ENTRY)
		keyspace_forget(env->ks, r->attr.id, 1);
	reply_err(r->req, err);
	if (r->id)
		notify_stale_node(env->notify, r->id);
	for (int i = 0; i < 2; i++)
		if (r->name[i].name)
			notify_stale_name(env->notify, r->name[i].parent, r->name[i].name, strlen(r->name[i].name));
	reply_free(r);
}

static void reply_unpark(struct persist_waiter *w, int err)
{
	struct reply *r = (struct reply *)((char *)w - offsetof(struct reply, waiter));

	if (err < 0)
		reply_fail(r, err);
	else
		reply_send(r);
}

struct reply *reply_new(fuse_req_t req, enum reply_kind kind, uint64_t id)
{
	struct reply *r = calloc(1, sizeof(*r));

	if (!r) {
		reply_err(req, -ENOMEM);
		return NULL;
	}
	r->waiter.done = reply_unpark;
	r->req = req;
	r->kind = kind;
	r->id = id;
	return r;
}

struct reply *reply_new_names(fuse_req_t req, enum reply_kind kind, uint64_t parent, const char *name, uint64_t new_parent,
                              const char *new_name)
{
	struct reply *r = reply_new(req, kind, 0);

	if (!r)
		return NULL;
	r->name[0] = (struct reply_name){ .parent = parent, .name = strdup(name) };
	if (new_name)
		r->name[1] = (struct reply_name){ .parent = new_parent, .name = strdup(new_name) };
	if (!r->name[0].name || (new_name && !r->name[1].name)) {
		reply_err(req, -ENOMEM);
		reply_free(r);
		return NULL;
	}
	return r;
}

void reply_finish(struct reply *r, const struct op *op, int err)
{
	if (err < 0) {
		reply_err(r->req, err);
		reply_free(r);
		return;
	}
	/* Once it is parked, it may be answered and gone before the call returns. */
	if (op->seq == 0 || persist_wait_reply(ops_env(r->req)->persist, op->seq, &r->waiter) == 0)
		reply_send(r);
}

void reply_finish_fsync(struct reply *r, uint64_t id)
{
	int res = persist_fsync(ops_env(r->req)->persist, id, &r->waiter);

	if (res < 0)
		reply_fail(r, res);
	else if (res == 0)
		reply_send(r);
}
