/* What call INDEX is: see twin.h. */
#include "tests/lib/twin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define X51 "n2345678901234567890123456789012345678901234567890+"
#define LONGEST X51 X51 X51 X51 X51
_Static_assert(sizeof LONGEST == 255 + 1, "the longest name there is");

const uid_t twin_uid[WHO_COUNT] = { [WHO_ROOT] = 0, [WHO_OWNER] = 1000, [WHO_OTHER] = 1001 };

const struct twin_op twin_ops[] = {
	{ "open", 20, 0, "psxm", do_open },
	{ "tmpfile", 1, HAS_TMPFILE, "psxm", do_tmpfile },
	{ "close", 3, 0, "s", do_close },
	{ "dup", 1, 0, "st", do_dup },
	{ "read", 8, 0, "solx", do_read },
	{ "write", 14, 0, "solx", do_write },
	{ "truncate", 3, 0, "Po", do_truncate },
	{ "ftruncate", 3, 0, "so", do_ftruncate },
	{ "lseek", 3, 0, "sox", do_lseek },
	{ "seek-hole", 2, HAS_SEEK_HOLE, "sox", do_seek_hole },
	{ "fallocate", 4, HAS_FALLOCATE, "solx", do_fallocate },
	{ "copy_file_range", 3, 0, "stolx", do_copy_range },
	{ "sendfile", 2, 0, "stolx", do_sendfile },
	{ "mmap", 3, HAS_SHARED_MAP, "solx", do_map },
	{ "fsync", 1, 0, "sx", do_sync },
	{ "flock", 2, 0, "sx", do_flock },
	{ "fcntl-lock", 3, 0, "solx", do_fcntl_lock },
	{ "mkdir", 10, 0, "pm", do_mkdir },
	{ "rmdir", 7, 0, "p", do_rmdir },
	{ "unlink", 13, 0, "px", do_unlink },
	{ "rename", 9, 0, "pqx", do_rename },
	{ "link", 6, HAS_LINK, "pqx", do_link },
	{ "symlink", 4, 0, "px", do_symlink },
	{ "readlink", 2, 0, "pl", do_readlink },
	{ "mkfifo", 2, HAS_FIFO, "pmx", do_mkfifo },
	{ "mknod-device", 1, HAS_DEVICE, "pmx", do_mkdev },
	{ "chmod", 4, 0, "psmx", do_chmod },
	{ "chown", 4, 0, "psx", do_chown },
	{ "utimensat", 4, 0, "psx", do_utimens },
	{ "access", 3, 0, "px", do_access },
	{ "statx", 3, 0, "px", do_statx },
	{ "list", 3, 0, "p", do_list },
	{ "list-slot", 2, 0, "s", do_list_slot },
	{ "chdir", 1, 0, "P", do_chdir },
	{ "setxattr", 4, HAS_XATTR, "Pslx", do_setxattr },
	{ "getxattr", 3, HAS_XATTR, "Pslx", do_getxattr },
	{ "listxattr", 2, HAS_XATTR, "Pslx", do_listxattr },
	{ "removexattr", 2, HAS_XATTR, "Psx", do_removexattr },
	{ "setacl", 3, HAS_ACL, "Px", do_setacl },
	{ "getacl", 2, HAS_ACL, "Px", do_getacl },
};

int twin_op_count(void)
{
	return sizeof twin_ops / sizeof *twin_ops;
}

uint64_t twin_random(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15u;
	uint64_t z = *state;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static unsigned below(uint64_t *state, unsigned n)
{
	return (unsigned)(twin_random(state) >> 32) % n;
}

void twin_fill(uint64_t index, unsigned char *buf, size_t len)
{
	uint64_t state = index * 77;

	for (size_t i = 0; i < len; i += 8) {
		uint64_t word = twin_random(&state) | 0x0101010101010101u;   /* no zeros: a hole is told from what was written */
		memcpy(buf + i, &word, len - i < 8 ? len - i : 8);
	}
}

/* Few names, so that calls meet; now and then one that is an error in itself. */
static void draw_path(uint64_t *state, char *path)
{
	static const char *const usual[] = { "a", "b", "c", "d", "e", "f" };
	static const char *const rare[] = { LONGEST, LONGEST "x", ".", "..", "\xff\n\\*", "c", "d" };
	unsigned depth = below(state, 20);
	size_t len = 0;

	depth = depth < 12 ? 1 : depth < 17 ? 2 : depth < 19 ? 3 : 4;
	if (below(state, 40) == 0)
		len += (size_t)sprintf(path, "/");
	for (unsigned i = 0; i < depth; i++) {
		const char *name = below(state, 25) ? usual[below(state, 6)] : rare[below(state, 7)];
		len += (size_t)sprintf(path + len, "%s%s", i ? "/" : "", name);
	}
	if (below(state, 50) == 0)
		sprintf(path + len, "%s", below(state, 2) ? "/" : "/.");
	if (below(state, 300) == 0)
		*path = '\0';
}

/* The second path of a call, half the time in the directory of the first. */
static void draw_second(uint64_t *state, const char *path, char *path2)
{
	const char *slash = strrchr(path, '/');

	draw_path(state, path2);
	if (below(state, 2))
		sprintf(path2, "%.*s%c", slash ? (int)(slash - path) + 1 : 0, path, 'a' + (int)below(state, 7));
}

/* Places that are the edge of something: a page, a chunk, a request of the kernel. */
static int64_t draw_offset(uint64_t *state)
{
	static const int64_t edges[] = { 1, 100, 4096, 8192, 16384, 32768, 65536, 131072 };
	unsigned kind = below(state, 20);

	if (kind < 6)
		return 0;
	if (kind < 9)
		return below(state, 64);
	if (kind < 15)
		return edges[below(state, 8)] + (int64_t)below(state, 3) - 1;
	if (kind < 19 || below(state, 6))
		return below(state, 200000);
	return -(int64_t)below(state, 5000);
}

static int64_t draw_length(uint64_t *state)
{
	unsigned kind = below(state, 20);

	if (kind < 1)
		return 0;
	if (kind < 9)
		return 1 + below(state, 64);
	if (kind < 14)
		return 4095 + (int64_t)below(state, 3);
	if (kind < 18)
		return 1 + below(state, 12000);
	return 1 + below(state, 70000);
}

static int draw_op(const struct twin *t, uint64_t *state)
{
	int total = 0, left;

	for (int i = 0; i < twin_op_count(); i++)
		total += twin_ops[i].weight;
	left = (int)below(state, (unsigned)total);
	for (int i = 0; i < twin_op_count(); i++) {
		left -= twin_ops[i].weight;
		if (left < 0)
			return (twin_ops[i].feature & ~t->features) ? 0 : i;
	}
	return 0;
}

void twin_draw(const struct twin *t, uint64_t index, bool shared, struct call *ret)
{
	static const mode_t umasks[] = { 0, 0, 022, 022, 077, 027 };
	static const mode_t modes[] = { 0777, 0755, 0700, 0644, 0666, 01777, 02775, 04755, 06711, 0, 0444, 0070, 0007, 0600 };
	uint64_t state = t->seed * 0x10001 + (uint64_t)t->worker * 0x5bd1e995 + index * 0x9e3779b1 + (shared ? 1 : 0);
	unsigned who;
	int slot, slots;

	twin_random(&state);
	slot = shared ? OWN_SLOTS : 0;
	slots = shared ? SHARED_SLOTS : OWN_SLOTS;
	*ret = (struct call){ .index = index, .shared = shared };
	ret->op = draw_op(t, &state);
	ret->watched = below(&state, 3) != 0;
	who = below(&state, 8);
	ret->who = who < 5 ? WHO_ROOT : who < 7 ? WHO_OWNER : WHO_OTHER;
	ret->umask = umasks[below(&state, 6)];
	ret->mode = modes[below(&state, 14)];
	if ((ret->mode & S_ISGID) && (ret->umask & S_IXGRP))
		ret->umask = 022;  /* twin_known.c */
	ret->base = below(&state, 7) ? -1 : slot + (int)below(&state, (unsigned)slots);
	if (strchr(twin_ops[ret->op].uses, 'P'))
		ret->base = -1;    /* the call knows no directory to begin at */
	ret->base2 = below(&state, 7) ? -1 : slot + (int)below(&state, (unsigned)slots);
	draw_path(&state, ret->path);
	draw_second(&state, ret->path, ret->path2);
	ret->slot = slot + (int)below(&state, (unsigned)slots);
	ret->slot2 = slot + (int)below(&state, (unsigned)slots);
	ret->off = draw_offset(&state);
	ret->len = draw_length(&state);
	ret->pick = twin_random(&state) >> 8;
}

const char *twin_errno(int err)
{
	return err == 0 ? "ok" : strerrorname_np(err) ? strerrorname_np(err) : "E?";
}

void twin_text(const struct twin *t, const struct call *c, char *buf, size_t cap)
{
	const char *uses = twin_ops[c->op].uses;
	size_t len;

	len = (size_t)snprintf(buf, cap, "%s%llu w%d uid %u umask %03o: %s", c->shared ? "shared " : "", (unsigned long long)c->index, t->worker,
	                       twin_uid[c->who], c->umask, twin_ops[c->op].name);
	for (; *uses && len < cap; uses++) {
		size_t room = cap - len;
		char *p = buf + len;
		switch (*uses) {
		case 'p': case 'P': len += (size_t)snprintf(p, room, " [%d]%.330s", c->base, c->path); break;
		case 'q': len += (size_t)snprintf(p, room, " [%d]%.330s", c->base2, c->path2); break;
		case 's': len += (size_t)snprintf(p, room, " fd %d", c->slot); break;
		case 't': len += (size_t)snprintf(p, room, " fd %d", c->slot2); break;
		case 'o': len += (size_t)snprintf(p, room, " off %lld", (long long)c->off); break;
		case 'l': len += (size_t)snprintf(p, room, " len %lld", (long long)c->len); break;
		case 'm': len += (size_t)snprintf(p, room, " mode %o", c->mode); break;
		default: len += (size_t)snprintf(p, room, " x %llx", (unsigned long long)c->pick); break;
		}
	}
}
