/* xattr.c -- extended attributes: those that are kept (store/xattr.h) and the one that is made (xattr_ttl.h).
 *
 * They are there only when the setting `xattr` says so: a filesystem that answers getxattr is asked for security.capability before each write
 * and truncation.  Otherwise each handler answers ENOSYS, and the kernel asks once.
 *
 * FUSE_HANDLE_KILLPRIV_V2 would have the kernel remember the answer until it takes the attributes anew: a new key and an overwrite are one
 * message more even then, further writes none.  It is not negotiated.  The set-user-ID bits would be ours to clear, and what the kernel sends
 * before a write to a file that has them is a SETATTR of nothing, just as for a chown to nobody by anybody, which it lets pass unchecked then.
 *
 * Who may do what is the kernel's: user.* on files and directories by their mode, trusted.* by CAP_SYS_ADMIN, security.* by whoever looks
 * after it, and so are the decisions that ACLs make.  Left to us: which namespaces there are, that trusted.* is listed for root alone, and what
 * ACLs and modes do to each other (store/acl.h).                                                                                          */
#include "fs/reply.h"
#include "fs/room.h"
#include "fs/xattr_ttl.h"
#include "store/acl.h"
#include "store/xattr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

enum { GROUPS_MAX = 1024 };   /* of a caller that are looked at */

_Static_assert((int)XATTR_CREATE == KEYSPACE_XATTR_CREATE && (int)XATTR_REPLACE == KEYSPACE_XATTR_REPLACE, "as in linux/xattr.h");

static bool is_off(fuse_req_t req)
{
	if (ops_env(req)->xattr)
		return false;
	reply_err(req, -ENOSYS);
	return true;
}

static bool is_ttl(const char *name)
{
	return strcmp(name, XATTR_TTL_NAME) == 0;
}

static bool is_in(const char *name, const char *space)
{
	return strncmp(name, space, strlen(space)) == 0;
}

static bool is_acl(const char *name)
{
	return strcmp(name, ACL_ACCESS) == 0 || strcmp(name, ACL_DEFAULT) == 0;
}

/* Whether there are attributes of that name: 0, or what tmpfs says. */
static int check_name(fuse_req_t req, const char *name)
{
	static const char *const spaces[] = { "user.", "trusted.", "security." };

	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
		if (is_in(name, spaces[i]))
			return name[strlen(spaces[i])] ? 0 : -EINVAL;
	return ops_env(req)->acl && is_acl(name) ? 0 : -EOPNOTSUPP;
}

/* Whether who asks is of the group GID, or may do without. */
static bool is_member(fuse_req_t req, uint32_t gid)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	gid_t group[GROUPS_MAX];
	int n;

	if (ctx->uid == 0 || ctx->gid == gid)
		return true;
	n = fuse_req_getgroups(req, GROUPS_MAX, group);
	for (int i = 0; i < n && i < GROUPS_MAX; i++)
		if (group[i] == gid)
			return true;
	return false;
}

/* An access ACL that somebody sets or removes who is not of the group takes the set-group-ID bit away. */
static bool is_no_member(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct attr a;

	return is_acl(name) && keyspace_getattr(ops_env(req)->ks, ino, &a) == 0 && (a.mode & S_ISGID) && !is_member(req, a.gid);
}

/* An attribute's value or the list of names: as much as there is, or with SIZE 0 how much that is. */
static void reply_sized(fuse_req_t req, const char *data, size_t len, size_t size)
{
	if (size == 0)
		reply_xattr_size(req, len);
	else if (size < len)
		reply_err(req, -ERANGE);
	else
		reply_bytes(req, data, len);
}

static void get_ttl(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	char text[XATTR_TTL_TEXT];
	int64_t left = xattr_ttl_left(req, ino);

	if (left <= 0)
		reply_err(req, left < 0 ? (int)left : -ENODATA);
	else
		reply_sized(req, text, (size_t)xattr_ttl_print(left, text), size);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct xattrs *x = NULL;
	struct xattr a;
	int err;

	if (is_off(req))
		return;
	if (is_ttl(name)) {
		get_ttl(req, ino, size);
		return;
	}
	err = check_name(req, name);
	if (err == 0)
		err = keyspace_get_xattrs(ops_env(req)->ks, ino, &x);
	if (err == 0 && !xattrs_find(x, name, strlen(name), &a))
		err = -ENODATA;
	if (err)
		reply_err(req, err);
	else
		reply_sized(req, a.value, a.len, size);
	xattrs_unref(x);
}

/* Adds a name with its NUL at *LEN of TEXT, which may be NULL. */
static void list_name(char *text, size_t *len, const char *name, size_t name_len)
{
	if (text) {
		memcpy(text + *len, name, name_len);
		text[*len + name_len] = '\0';
	}
	*len += name_len + 1;
}

static bool begins(const struct xattr *a, const char *with)
{
	return a->name_len >= strlen(with) && memcmp(a->name, with, strlen(with)) == 0;
}

static bool shows(fuse_req_t req, const struct xattr *a)
{
	if (begins(a, "system."))
		return ops_env(req)->acl;
	return fuse_req_ctx(req)->uid == 0 || !begins(a, "trusted.");
}

/* The names of X as REQ may see them, and that of the end; into TEXT unless it is NULL.  Returns their bytes. */
static size_t list_names(fuse_req_t req, const struct xattrs *x, bool ends, char *text)
{
	size_t len = 0, pos = 0;
	struct xattr a;

	while (xattrs_next(x, &pos, &a))
		if (shows(req, &a))
			list_name(text, &len, a.name, a.name_len);
	if (ends)
		list_name(text, &len, XATTR_TTL_NAME, strlen(XATTR_TTL_NAME));
	return len;
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct xattrs *x = NULL;
	char *text = NULL;
	int64_t left;
	size_t len;
	int err;

	if (is_off(req))
		return;
	left = xattr_ttl_left(req, ino);
	err = left < 0 ? (int)left : keyspace_get_xattrs(ops_env(req)->ks, ino, &x);
	if (err < 0) {
		reply_err(req, err);
		return;
	}
	len = list_names(req, x, left > 0, NULL);
	if (len <= size)
		text = malloc(len + 1);
	if (len <= size && !text) {
		reply_err(req, -ENOMEM);
	} else {
		if (text)
			list_names(req, x, left > 0, text);
		reply_sized(req, text, len, size);
	}
	free(text);
	xattrs_unref(x);
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
	struct reply *r;
	struct room room;
	struct op op;
	int err;

	if (is_off(req))
		return;
	if (is_ttl(name)) {
		xattr_ttl_set(req, ino, value, size, flags);
		return;
	}
	r = reply_new(req, REPLY_STATUS, ino);
	if (!r)
		return;
	ops_begin(&op, req);
	err = check_name(req, name);
	op.no_member = is_no_member(req, ino, name);
	room = room_for(ops_env(req), size, ino, 0);
	if (err == 0)
		do
			err = keyspace_setxattr(ops_env(req)->ks, &op, ino, name, strlen(name), value, size, (unsigned)flags);
		while (room_make(&room, &op, err));
	reply_finish(r, &op, err);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct reply *r;
	struct op op;
	int err;

	if (is_off(req))
		return;
	if (is_ttl(name)) {
		xattr_ttl_remove(req, ino);
		return;
	}
	r = reply_new(req, REPLY_STATUS, ino);
	if (!r)
		return;
	ops_begin(&op, req);
	err = check_name(req, name);
	op.no_member = is_no_member(req, ino, name);
	if (err == 0)
		err = keyspace_removexattr(ops_env(req)->ks, &op, ino, name, strlen(name));
	if (err == -ENODATA && is_acl(name))
		err = 0;        /* no ACL is what was wanted */
	reply_finish(r, &op, err);
}
