/* xattr_ttl.c -- see xattr_ttl.h. */
#include "fs/xattr_ttl.h"
#include "fs/reply.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/xattr.h>

enum { TTL_DIGITS_MAX = 16 };   /* seconds whose milliseconds fit 64 bits */

int64_t xattr_ttl_left(fuse_req_t req, fuse_ino_t ino)
{
	struct attr a;
	struct op op;
	int64_t left_ms;
	int err = keyspace_getattr(ops_env(req)->ks, ino, &a);

	if (err < 0)
		return err;
	ops_begin(&op, req);
	left_ms = a.expire_at_ms - op.now_ns / 1000000;
	return a.expire_at_ms == 0 || left_ms <= 0 ? 0 : (left_ms + 999) / 1000;
}

int xattr_ttl_print(int64_t left, char *text)
{
	return snprintf(text, XATTR_TTL_TEXT, "%" PRId64, left);
}

/* Decimal seconds to come, nothing else. */
static int parse_seconds(const char *value, size_t size, int64_t *ret)
{
	int64_t seconds = 0;

	if (size == 0 || size > TTL_DIGITS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < size; i++) {
		if (value[i] < '0' || value[i] > '9')
			return -EINVAL;
		seconds = seconds * 10 + (value[i] - '0');
	}
	/* And still a time when now is added. */
	if (seconds == 0 || seconds > INT64_MAX / 1000 / 2)
		return -EINVAL;
	*ret = seconds;
	return 0;
}

/* INO gets the end AT_MS, 0 for none. */
static void set_end(fuse_req_t req, fuse_ino_t ino, struct op *op, int64_t at_ms)
{
	const struct ops_env *env = ops_env(req);
	struct reply *r = reply_new(req, REPLY_STATUS, ino);
	struct keyspace_place place;
	int err;

	if (!r)
		return;
	err = keyspace_expire_at(env->ks, op, ino, at_ms, &place);
	/* Directories and symlinks have no attribute of the user's. */
	if (err == -EISDIR || err == -EINVAL)
		err = -EPERM;
	if (err == 0 && at_ms)
		notify_timed(env->notify, &place, NULL);
	reply_finish(r, op, err);
}

void xattr_ttl_set(fuse_req_t req, fuse_ino_t ino, const char *value, size_t size, int flags)
{
	int64_t seconds, left;
	struct op op;
	int err;

	err = parse_seconds(value, size, &seconds);
	left = err == 0 ? xattr_ttl_left(req, ino) : err;
	if (left >= 0 && (flags & XATTR_CREATE) && left > 0)
		left = -EEXIST;
	if (left == 0 && (flags & XATTR_REPLACE))
		left = -ENODATA;
	if (left < 0) {
		reply_err(req, (int)left);
		return;
	}
	ops_begin(&op, req);
	set_end(req, ino, &op, op.now_ns / 1000000 + seconds * 1000);
}

void xattr_ttl_remove(fuse_req_t req, fuse_ino_t ino)
{
	int64_t left = xattr_ttl_left(req, ino);
	struct op op;

	if (left <= 0) {
		reply_err(req, left < 0 ? (int)left : -ENODATA);
		return;
	}
	ops_begin(&op, req);
	set_end(req, ino, &op, 0);
}
