#include "fs/reply.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIMEOUT_INFINITE_S 1e9   /* thirty years; the kernel's jiffies hold it */
/* The kernel counts in jiffies, of 10 ms at most: it rounds a timeout up to whole ones, and lets the last one pass. */
#define TIMEOUT_SLACK_MS 20

enum {
	ERRNO_MAX = 4095,
	READ_PIECES = 264,        /* 1 MiB of holes, a page each, and some */
	PAGE = 4096,
};

static struct timespec timespec_of(int64_t ns)
{
	struct timespec t = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	if (t.tv_nsec < 0) {
		t.tv_sec--;
		t.tv_nsec += 1000000000;
	}
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
		.st_rdev = (dev_t)a->rdev,
		.st_size = (off_t)a->size,
		.st_blksize = PAGE,
		.st_blocks = S_ISREG(a->mode) ? (blkcnt_t)((a->memory + 511) / 512) : 0,
		.st_atim = timespec_of(a->atime_ns),
		.st_mtim = timespec_of(a->mtime_ns),
		.st_ctim = timespec_of(a->ctime_ns),
	};
}

/* How long the kernel may take A for granted, in seconds. */
static double timeout_of(const struct attr *a)
{
	struct timespec now;
	int64_t now_ms;
	double left_s;

	if (a->expire_at_ms == 0)
		return TIMEOUT_INFINITE_S;
	clock_gettime(CLOCK_REALTIME, &now);
	now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	if (a->expire_at_ms <= now_ms + TIMEOUT_SLACK_MS + 1)
		return 0;
	left_s = (double)(a->expire_at_ms - now_ms - TIMEOUT_SLACK_MS - 1) / 1000;
	return left_s < TIMEOUT_INFINITE_S ? left_s : TIMEOUT_INFINITE_S;
}

void reply_fill_entry(const struct attr *a, struct fuse_entry_param *e)
{
	double timeout = timeout_of(a);

	*e = (struct fuse_entry_param){
		.ino = a->id,
		.attr_timeout = timeout,
		.entry_timeout = timeout,
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
	fuse_reply_attr(req, &st, timeout_of(a));
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
	/* libfuse allocates a copy of a vector, and none for a buffer. */
	else if (n == 1)
		fuse_reply_buf(req, iov[0].iov_base, len);
	else
		fuse_reply_iov(req, iov, n);
out:
	value_unref(v);
}

void reply_xattr_size(fuse_req_t req, size_t size)
{
	fuse_reply_xattr(req, size);
}

void reply_offset(fuse_req_t req, uint64_t off)
{
	fuse_reply_lseek(req, (off_t)off);
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
	for (int i = 0; i < OPS_SPARE_REPLIES; i++) {
		struct reply *_Atomic *spare = &r->env->spare[i], *none = NULL;

		if (!atomic_load_explicit(spare, memory_order_relaxed) &&
		    atomic_compare_exchange_strong_explicit(spare, &none, r, memory_order_release, memory_order_relaxed))
			return;
	}
	free(r);
}

/* Not cleared. */
static struct reply *take_spare(struct ops_env *env)
{
	struct reply *r;

	for (int i = 0; i < OPS_SPARE_REPLIES; i++) {
		if (!atomic_load_explicit(&env->spare[i], memory_order_relaxed))
			continue;
		r = atomic_exchange_explicit(&env->spare[i], NULL, memory_order_acquire);
		if (r)
			return r;
	}
	return malloc(sizeof(*r));
}

void reply_free_spare(struct ops_env *env)
{
	for (int i = 0; i < OPS_SPARE_REPLIES; i++)
		free(atomic_exchange(&env->spare[i], NULL));
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
		if (r->name[i].len)
			notify_stale_name(env->notify, r->name[i].parent, r->name[i].name, r->name[i].len);
	reply_free(r);
}

static void reply_unpark(struct persist_waiter *w, int err)
{
	struct reply *r = (struct reply *)((char *)w - offsetof(struct reply, waiter));
	const struct latency_request asked = r->asked;
	struct stats *stats = ops_env(r->req)->stats;

	if (err < 0)
		reply_fail(r, err);
	else
		reply_send(r);
	latency_answered(stats, &asked);
}

struct reply *reply_new(fuse_req_t req, enum reply_kind kind, uint64_t id)
{
	struct ops_env *env = ops_env(req);
	struct reply *r = take_spare(env);

	if (!r) {
		reply_err(req, -ENOMEM);
		return NULL;
	}
	guard_change(env->guard, 0);
	r->waiter = (struct persist_waiter){ .done = reply_unpark };
	r->req = req;
	r->env = env;
	r->kind = kind;
	r->id = id;
	r->name[0].len = r->name[1].len = 0;
	return r;
}

/* One that is longer than a name may be is not there, and will not be. */
static void take_name(struct reply_name *n, uint64_t parent, const char *name)
{
	size_t len = strlen(name);

	if (len > sizeof(n->name))
		return;
	n->parent = parent;
	n->len = len;
	memcpy(n->name, name, len);
}

struct reply *reply_new_names(fuse_req_t req, enum reply_kind kind, uint64_t parent, const char *name, uint64_t new_parent,
                              const char *new_name)
{
	struct reply *r = reply_new(req, kind, 0);

	if (!r)
		return NULL;
	take_name(&r->name[0], parent, name);
	if (new_name)
		take_name(&r->name[1], new_parent, new_name);
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
	r->asked = latency_current();
	if (op->seq == 0 || persist_wait_reply(ops_env(r->req)->persist, op->seq, &r->waiter) == 0)
		reply_send(r);
	else
		latency_later();
}

void reply_finish_fsync(struct reply *r, uint64_t id)
{
	struct persist *p = ops_env(r->req)->persist;
	int res;

	r->asked = latency_current();
	res = p ? persist_fsync(p, id, &r->waiter) : 0;
	if (res < 0)
		reply_fail(r, res);
	else if (res == 0)
		reply_send(r);
	else
		latency_later();
}
