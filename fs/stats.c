#include "fs/stats.h"

#include <linux/fuse.h>
#include <stddef.h>

static const char *const opcode_names[STATS_OPCODES] = {
	[FUSE_LOOKUP] = "lookup",
	[FUSE_FORGET] = "forget",
	[FUSE_GETATTR] = "getattr",
	[FUSE_SETATTR] = "setattr",
	[FUSE_READLINK] = "readlink",
	[FUSE_SYMLINK] = "symlink",
	[FUSE_MKNOD] = "mknod",
	[FUSE_MKDIR] = "mkdir",
	[FUSE_UNLINK] = "unlink",
	[FUSE_RMDIR] = "rmdir",
	[FUSE_RENAME] = "rename",
	[FUSE_LINK] = "link",
	[FUSE_OPEN] = "open",
	[FUSE_READ] = "read",
	[FUSE_WRITE] = "write",
	[FUSE_STATFS] = "statfs",
	[FUSE_RELEASE] = "release",
	[FUSE_FSYNC] = "fsync",
	[FUSE_SETXATTR] = "setxattr",
	[FUSE_GETXATTR] = "getxattr",
	[FUSE_LISTXATTR] = "listxattr",
	[FUSE_REMOVEXATTR] = "removexattr",
	[FUSE_FLUSH] = "flush",
	[FUSE_INIT] = "init",
	[FUSE_OPENDIR] = "opendir",
	[FUSE_READDIR] = "readdir",
	[FUSE_RELEASEDIR] = "releasedir",
	[FUSE_FSYNCDIR] = "fsyncdir",
	[FUSE_GETLK] = "getlk",
	[FUSE_SETLK] = "setlk",
	[FUSE_SETLKW] = "setlkw",
	[FUSE_ACCESS] = "access",
	[FUSE_CREATE] = "create",
	[FUSE_INTERRUPT] = "interrupt",
	[FUSE_BMAP] = "bmap",
	[FUSE_DESTROY] = "destroy",
	[FUSE_IOCTL] = "ioctl",
	[FUSE_POLL] = "poll",
	[FUSE_NOTIFY_REPLY] = "notify_reply",
	[FUSE_BATCH_FORGET] = "batch_forget",
	[FUSE_FALLOCATE] = "fallocate",
	[FUSE_READDIRPLUS] = "readdirplus",
	[FUSE_RENAME2] = "rename2",
	[FUSE_LSEEK] = "lseek",
	[FUSE_COPY_FILE_RANGE] = "copy_file_range",
	[FUSE_SETUPMAPPING] = "setupmapping",
	[FUSE_REMOVEMAPPING] = "removemapping",
	[FUSE_SYNCFS] = "syncfs",
	[FUSE_TMPFILE] = "tmpfile",
};

void stats_count(struct stats *s, uint32_t opcode)
{
	atomic_fetch_add_explicit(&s->opcode[opcode < STATS_OPCODES ? opcode : 0], 1, memory_order_relaxed);
}

uint64_t stats_get(const struct stats *s, uint32_t opcode)
{
	return opcode < STATS_OPCODES ? atomic_load_explicit(&s->opcode[opcode], memory_order_relaxed) : 0;
}

void stats_reset(struct stats *s)
{
	for (uint32_t i = 0; i < STATS_OPCODES; i++) {
		atomic_store_explicit(&s->opcode[i], 0, memory_order_relaxed);
		latency_reset(&s->latency[i]);
	}
	atomic_store_explicit(&s->notified, 0, memory_order_relaxed);
	atomic_store_explicit(&s->evicted, 0, memory_order_relaxed);
	atomic_store_explicit(&s->by_uring, 0, memory_order_relaxed);
	atomic_store_explicit(&s->spins, 0, memory_order_relaxed);
	atomic_store_explicit(&s->spins_in_vain, 0, memory_order_relaxed);
}

uint64_t stats_total(const struct stats *s)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < STATS_OPCODES; i++)
		sum += stats_get(s, i);
	return sum;
}

const char *stats_opcode_name(uint32_t opcode)
{
	return opcode < STATS_OPCODES ? opcode_names[opcode] : NULL;
}
