/* The calls on names and attributes: see twin.h.  What a call needs beside its arguments is in c->pick, a few bits each. */
#include "tests/lib/twin.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

TWIN_OP(do_mkdir)
{
	twin_done(r, mkdirat(twin_at(t, side, c->base), c->path, c->mode));
}

TWIN_OP(do_rmdir)
{
	twin_done(r, unlinkat(twin_at(t, side, c->base), c->path, AT_REMOVEDIR));
}

TWIN_OP(do_unlink)
{
	twin_done(r, unlinkat(twin_at(t, side, c->base), c->path, 0));
}

/* RENAME_WHITEOUT: twin_known.c. */
TWIN_OP(do_rename)
{
	static const unsigned flags[] = { 0, 0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_EXCHANGE, RENAME_NOREPLACE | RENAME_EXCHANGE };

	twin_done(r, renameat2(twin_at(t, side, c->base), c->path, twin_at(t, side, c->base2), c->path2, flags[c->pick & 7]));
}

TWIN_OP(do_link)
{
	int from = twin_at(t, side, c->base), flags = (c->pick & 3) == 0 ? AT_SYMLINK_FOLLOW : 0;
	const char *path = c->path;

	if (c->base >= 0 && (c->pick & 12) == 0) {
		path = "";
		flags = AT_EMPTY_PATH;
	}
	twin_done(r, linkat(from, path, twin_at(t, side, c->base2), c->path2, flags));
}

TWIN_OP(do_symlink)
{
	static const char *const targets[] = { "a", "b", "c/d", "../a", "..", ".", "/a/b", "/c", "e", "b/../c", "a/", "none/at/all", "d/e", "/", "\xfe", "" };
	static char longest[4096];
	const char *target = targets[c->pick & 15];

	if ((c->pick >> 4 & 31) == 0) {
		memset(longest, 'x', 4095);
		target = longest;
	}
	twin_done(r, symlinkat(target, twin_at(t, side, c->base), c->path));
}

TWIN_OP(do_readlink)
{
	twin_done(r, readlinkat(twin_at(t, side, c->base), c->path, (char *)r->data, (size_t)c->len));
	r->size = r->ret > 0 ? (size_t)r->ret : 0;
}

TWIN_OP(do_mkfifo)
{
	static const mode_t types[] = { S_IFIFO, S_IFIFO, S_IFSOCK, S_IFREG };

	twin_done(r, mknodat(twin_at(t, side, c->base), c->path, types[c->pick & 3] | (c->mode & ~S_ISGID), 0));
}

/* The null and the zero device: who may open them may read and write them. */
TWIN_OP(do_mkdev)
{
	mode_t type = c->pick & 2 ? S_IFBLK : S_IFCHR;
	dev_t dev = type == S_IFBLK ? makedev(0, 1 + (c->pick >> 2 & 0xfffff)) : makedev(1, c->pick & 1 ? 3 : 5);

	twin_done(r, mknodat(twin_at(t, side, c->base), c->path, type | c->mode, dev));
}

TWIN_OP(do_chmod)
{
	if ((c->pick & 3) == 0)
		twin_done(r, fchmod(t->fd[side][c->slot], c->mode));
	else
		twin_done(r, fchmodat(twin_at(t, side, c->base), c->path, c->mode, 0));
}

TWIN_OP(do_chown)
{
	static const uid_t ids[] = { 0, 1000, 1001, (uid_t)-1 };
	uid_t uid = ids[c->pick & 3];
	gid_t gid = ids[c->pick >> 2 & 3];

	if ((c->pick >> 4 & 3) == 0)
		twin_done(r, fchown(t->fd[side][c->slot], uid, gid));
	else
		twin_done(r, fchownat(twin_at(t, side, c->base), c->path, uid, gid, c->pick & 64 ? AT_SYMLINK_NOFOLLOW : 0));
}

/* Times that are set are far from now, so that the comparison can tell the two apart. */
TWIN_OP(do_utimens)
{
	static const struct timespec choice[] = {
		{ 0, UTIME_NOW }, { 0, UTIME_OMIT }, { 0, 0 }, { 1, 999999999 }, { 1000000000, 123456789 }, { -5, 1 },
		{ 0, UTIME_NOW }, { 5, 1000000000 },
	};
	struct timespec times[2] = { choice[c->pick & 7], choice[c->pick >> 3 & 7] };
	bool null = (c->pick >> 6 & 7) == 0;

	if ((c->pick >> 9 & 3) == 0)
		twin_done(r, futimens(t->fd[side][c->slot], null ? NULL : times));
	else
		twin_done(r, utimensat(twin_at(t, side, c->base), c->path, null ? NULL : times, c->pick & 2048 ? AT_SYMLINK_NOFOLLOW : 0));
}

TWIN_OP(do_access)
{
	static const int flags[] = { 0, AT_EACCESS, AT_SYMLINK_NOFOLLOW, AT_EACCESS };

	twin_done(r, faccessat(twin_at(t, side, c->base), c->path, (int)(c->pick & 7), flags[c->pick >> 3 & 3]));
}

TWIN_OP(do_statx)
{
	static const int flags[] = { 0, AT_SYMLINK_NOFOLLOW, AT_STATX_FORCE_SYNC, AT_EMPTY_PATH, AT_NO_AUTOMOUNT, 0x80000 };
	struct statx s = { 0 };
	uint64_t seen[7];

	twin_done(r, statx(twin_at(t, side, c->base), c->path, flags[c->pick % 6], STATX_BASIC_STATS, &s));
	if (r->err)
		return;
	seen[0] = s.stx_mask & STATX_BASIC_STATS;
	seen[1] = s.stx_mode;
	seen[2] = s.stx_nlink;
	seen[3] = s.stx_uid | (uint64_t)s.stx_gid << 32;
	seen[4] = S_ISDIR(s.stx_mode) ? 0 : s.stx_size;
	seen[5] = s.stx_rdev_major | (uint64_t)s.stx_rdev_minor << 32;
	seen[6] = s.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_ENCRYPTED);
	memcpy(r->data, seen, sizeof seen);
	r->size = sizeof seen;
}

TWIN_OP(do_list)
{
	int fd = openat(twin_at(t, side, c->base), c->path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);

	twin_done(r, fd);
	if (fd < 0)
		return;
	twin_done(r, twin_names(fd, (char *)r->data, DATA_CAP, &r->size, &r->broken));
	close(fd);
}

TWIN_OP(do_list_slot)
{
	twin_done(r, twin_names(t->fd[side][c->slot], (char *)r->data, DATA_CAP, &r->size, &r->broken));
}

TWIN_OP(do_chdir)
{
	(void)t;
	(void)side;
	twin_done(r, chdir(c->path));
	if (r->err)
		return;
	twin_done(r, getcwd((char *)r->data, DATA_CAP) ? 0 : -1);
	r->size = r->err ? 0 : strlen((char *)r->data);
}

/* ---- extended attributes: by a descriptor, by a path, by the path of a symlink ---- */

static const char *xattr_name(const struct twin *t, const struct call *c)
{
	static const char *const names[] = { "user.a", "user.b", "user.a", "user.a", "user.b", "nothing", "user.", "trusted.a" };
	const char *name = names[c->pick & 7];

	return *name == 't' && !(t->features & HAS_TRUSTED) ? "user.b" : name;
}

enum way { BY_PATH, BY_LINK, BY_SLOT };
static enum way xattr_way(const struct call *c)
{
	unsigned kind = c->pick >> 3 & 7;

	return kind < 4 ? BY_PATH : kind < 6 ? BY_LINK : BY_SLOT;
}

TWIN_OP(do_setxattr)
{
	static const int flags[] = { 0, 0, XATTR_CREATE, XATTR_REPLACE };
	size_t len = c->len < 5000 ? (size_t)c->len : 300;
	const char *name = xattr_name(t, c);
	int how = flags[c->pick >> 6 & 3];

	twin_fill(c->index, r->data, len);
	switch (xattr_way(c)) {
	case BY_PATH: twin_done(r, setxattr(c->path, name, r->data, len, how)); break;
	case BY_LINK: twin_done(r, lsetxattr(c->path, name, r->data, len, how)); break;
	case BY_SLOT: twin_done(r, fsetxattr(t->fd[side][c->slot], name, r->data, len, how)); break;
	}
}

TWIN_OP(do_getxattr)
{
	size_t len = c->pick >> 6 & 1 ? 0 : c->pick >> 7 & 1 ? (size_t)c->len : 65536;
	const char *name = xattr_name(t, c);

	switch (xattr_way(c)) {
	case BY_PATH: twin_done(r, getxattr(c->path, name, r->data, len)); break;
	case BY_LINK: twin_done(r, lgetxattr(c->path, name, r->data, len)); break;
	case BY_SLOT: twin_done(r, fgetxattr(t->fd[side][c->slot], name, r->data, len)); break;
	}
	r->size = r->ret > 0 && len > 0 ? (size_t)r->ret : 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The order of the names is the filesystem's own. */
TWIN_OP(do_listxattr)
{
	char names[4096], *list[64];
	size_t len = c->pick >> 6 & 1 ? 0 : sizeof names, count = 0;

	switch (xattr_way(c)) {
	case BY_PATH: twin_done(r, listxattr(c->path, names, len)); break;
	case BY_LINK: twin_done(r, llistxattr(c->path, names, len)); break;
	case BY_SLOT: twin_done(r, flistxattr(t->fd[side][c->slot], names, len)); break;
	}
	if (r->ret <= 0 || len == 0)
		return;
	for (char *p = names; p < names + r->ret && count < 64; p += strlen(p) + 1)
		list[count++] = p;
	qsort(list, count, sizeof *list, by_text);
	for (size_t i = 0; i < count; i++)
		r->size += (size_t)sprintf((char *)r->data + r->size, "%s\n", list[i]);
}

TWIN_OP(do_removexattr)
{
	const char *name = xattr_name(t, c);

	switch (xattr_way(c)) {
	case BY_PATH: twin_done(r, removexattr(c->path, name)); break;
	case BY_LINK: twin_done(r, lremovexattr(c->path, name)); break;
	case BY_SLOT: twin_done(r, fremovexattr(t->fd[side][c->slot], name)); break;
	}
}

/* ---- access control lists ---- */

struct acl_entry { uint16_t tag, perm; uint32_t id; };
struct acl { uint32_t version; struct acl_entry entry[6]; };
enum { ACL_OWNER = 1, ACL_USER = 2, ACL_OWNER_GROUP = 4, ACL_GROUP = 8, ACL_MASK = 16, ACL_OTHER = 32 };

static const char *acl_name(const struct call *c)
{
	return c->pick & 1 ? "system.posix_acl_access" : "system.posix_acl_default";
}

/* One in the order that the kernel wants; or one that says no more than a mode, one that is wrong, none at all. */
TWIN_OP(do_setacl)
{
	static const uint16_t tags[6] = { ACL_OWNER, ACL_USER, ACL_OWNER_GROUP, ACL_GROUP, ACL_MASK, ACL_OTHER };
	unsigned kind = c->pick >> 1 & 15;
	struct acl acl = { .version = 2 };
	struct stat st;
	size_t count = 0;

	(void)t;
	(void)side;
	for (int i = 0; i < 6; i++) {
		if (kind < 3 && (tags[i] & (ACL_USER | ACL_GROUP | ACL_MASK)))
			continue;
		acl.entry[count++] = (struct acl_entry){ tags[i], (uint16_t)(c->pick >> (8 + 3 * i) & 7), tags[i] & (ACL_USER | ACL_GROUP) ? 1000u + (unsigned)i % 2 : UINT32_MAX };
	}
	if (kind == 15)
		acl.entry[0].tag = ACL_OTHER;
	/* twin_known.c has each. */
	if (stat(c->path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_ISGID)) {
		twin_done(r, 0);
		return;
	}
	if ((kind == 13 || kind == 14) && getxattr(c->path, acl_name(c), NULL, 0) < 0)
		twin_done(r, -1);
	else if (kind == 14)
		twin_done(r, removexattr(c->path, acl_name(c)));
	else
		twin_done(r, setxattr(c->path, acl_name(c), &acl, sizeof acl.version + (kind == 13 ? 0 : count * sizeof *acl.entry), 0));
}

TWIN_OP(do_getacl)
{
	(void)t;
	(void)side;
	twin_done(r, getxattr(c->path, acl_name(c), r->data, DATA_CAP));
	r->size = r->ret > 0 ? (size_t)r->ret : 0;
}
