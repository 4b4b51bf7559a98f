/* What kvfs does otherwise than a tmpfs, and why.  README.md, "Limits", has those that somebody may meet.  Everything else is a fault. */
#include "tests/lib/twin.h"

#include <stdio.h>

static const struct known { const char *what, *why; } table[] = {
	{ "names that begin with .%", "they stand for keys that are no path (man kvfs, \"Names\")" },
	{ "RENAME_WHITEOUT", "an overlay asks for it in its upper layer, which kvfs is not made to be" },
	{ "O_TMPFILE, where the mount has it not", "libfuse 3.14 has no call for it" },
	{ "FS_IOC_SETFLAGS", "kvfs keeps no flags" },
	{ "FALLOC_FL_ZERO_RANGE", "kvfs has it, tmpfs has not" },
	{ "times, when truncate(2) leaves the size as it is", "kvfs moves them; tmpfs does when it has pages for the file" },
	{ "times, between a write to a mapping and msync(2)", "whether and when they move is the kernel's affair" },
	{ "set-group-ID of a file that its group may not execute, behind a write", "the kernel's FUSE leaves it; it means nothing" },
	{ "statx(2) with AT_STATX_DONT_SYNC", "what was known before will do there" },
	{ "times of a FIFO", "the kernel does not tell a FUSE filesystem of what goes through one" },
	{ "sendfile(2) within one file", "what is copied when it overlaps is the pipe's affair" },
	{ "ctime, when an access control list is removed that is not there", "tmpfs moves it; nothing has changed" },
	{ "atime", "what the kernel reads from its cache is not told to a FUSE filesystem" },
	{ "st_ino, st_blocks, the order of names", "the filesystem's own affair" },
};

void twin_print_known(void)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		printf("not drawn or not compared: %s: %s\n", table[i].what, table[i].why);
}
