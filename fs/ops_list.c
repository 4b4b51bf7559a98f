#include "fs/ops.h"
#include "fs/reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	ENTRIES_A_HOLD = 256,     /* entries listed under one hold of the store's lock */
	BLOCK = 4096,             /* statfs counts in these */
};

/* An answer to READDIR under construction. */
struct listing {
	fuse_req_t req;
	char *buf;
	size_t len, size;
	uint64_t cookie;          /* of the last entry taken */
	bool plus, full;
};

static bool is_dots(const char *name, size_t len)
{
	return (len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.');
}

static int listing_emit(void *ctx, const char *name, size_t len, uint64_t cookie, const struct attr *a)
{
	char terminated[KEYSPACE_NAME_MAX + 1];
	struct listing *l = ctx;
	struct fuse_entry_param e;
	char *p = l->buf + l->len;
	size_t room = l->size - l->len, need;

	memcpy(terminated, name, len);
	terminated[len] = '\0';
	reply_fill_entry(a, &e);
	if (is_dots(name, len))
		e.ino = 0;        /* shown, but no lookup */
	if (l->plus)
		need = fuse_add_direntry_plus(l->req, p, room, terminated, &e, (off_t)cookie);
	else
		need = fuse_add_direntry(l->req, p, room, terminated, &e.attr, (off_t)cookie);
	if (need > room) {
		l->full = true;
		return 1;
	}
	l->len += need;
	l->cookie = cookie;
	return 0;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	struct listing l = { .req = req, .size = size, .cookie = (uint64_t)off, .plus = plus };
	struct keyspace *ks = ops_env(req)->ks;
	bool end = false;
	struct op op;
	int err = 0;

	l.buf = malloc(size);
	if (!l.buf) {
		reply_err(req, -ENOMEM);
		return;
	}
	ops_begin(&op, req);
	while (err == 0 && !end && !l.full)
		err = keyspace_readdir(ks, ino, l.cookie, plus, ENTRIES_A_HOLD, op.now_ns, listing_emit, &l, &end);
	if (err == 0)
		keyspace_accessed(ks, ino, op.now_ns, ops_env(req)->dir_atime);
	/* Entries taken so far carry lookups: they have to be delivered, the error comes again with the next call. */
	if (err < 0 && l.len == 0)
		reply_err(req, err);
	else
		reply_bytes(req, l.buf, l.len);
	free(l.buf);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, true);
}

/* Used is what there is, and free what may come; what the machine has not is not available, as what only root may take elsewhere. */
void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	uint64_t nodes, used, total, available;
	struct statvfs s;
	struct usage u;

	(void)ino;
	guard_look(ops_env(req)->guard);
	keyspace_usage(ops_env(req)->ks, &u);
	used = u.bytes_total - u.bytes_idle;
	available = u.bytes_limit > used && u.bytes_limit != UINT64_MAX ? u.bytes_limit - used : 0;
	total = u.bytes_max > used + available ? u.bytes_max : used + available;
	nodes = u.keys + u.directories + u.symlinks + u.specials + u.unlinked;
	s = (struct statvfs){
		.f_bsize = BLOCK,
		.f_frsize = BLOCK,
		.f_blocks = total / BLOCK,
		.f_bfree = (total - used) / BLOCK,
		.f_bavail = available / BLOCK,
		.f_files = nodes + (total - used) / KEYSPACE_KEY_BYTES,
		.f_ffree = (total - used) / KEYSPACE_KEY_BYTES,
		.f_favail = available / KEYSPACE_KEY_BYTES,
		.f_namemax = KEYSPACE_NAME_MAX,
	};
	reply_statfs(req, &s);
}
