/* crash_points.c -- see crash_points.h. */
#include "tests/lib/crash_points.h"

#include <string.h>

/* The first that fits counts. */
const struct crash_point crash_points[CRASH_POINTS] = {
	{ "the copy of a torn tail is made", DISK_OPEN, ".torn-", false, true },
	{ "the copy of a torn tail is written", DISK_WRITE, ".torn-", false, true },
	{ "the copy of a torn tail is synced", DISK_FDATASYNC, ".torn-", false, true },
	{ "a torn tail is cut off", DISK_TRUNCATE, ".incr.aof", false, true },
	{ "the log is opened", DISK_OPEN, ".incr.aof", true, true },
	{ "the log is written", DISK_WRITE, ".incr.aof", true, true },
	{ "the log is synced", DISK_FDATASYNC, ".incr.aof", true, true },
	{ "a base is begun", DISK_OPEN, "temp-rewriteaof-", true, true },
	{ "a base is written", DISK_WRITE, "temp-rewriteaof-", true, true },
	{ "a base is synced", DISK_FDATASYNC, "temp-rewriteaof-", true, true },
	{ "a base gets its name", DISK_RENAME, ".base.", true, true },
	{ "a manifest is begun", DISK_OPEN, "temp-appendonly.aof.manifest", true, true },
	{ "a manifest is written", DISK_WRITE, "temp-appendonly.aof.manifest", true, true },
	{ "a manifest is synced", DISK_FDATASYNC, "temp-appendonly.aof.manifest", true, true },
	{ "the manifest is swapped", DISK_RENAME, "appendonly.aof.manifest", true, true },
	{ "a name is made durable", DISK_FSYNC_DIR, "", true, true },
	{ "a base that is history goes", DISK_UNLINK, ".base.", true, true },
	{ "a log that is history goes", DISK_UNLINK, ".incr.aof", true, true },
	{ "a manifest that was not finished goes", DISK_UNLINK, "temp-appendonly.aof.manifest", false, true },
	{ "a base that was not finished goes", DISK_UNLINK, "temp-rewriteaof-", false, true },
	{ "a snapshot that was not finished goes", DISK_UNLINK, ".rdb", false, true },
	{ "a snapshot is begun", DISK_OPEN, ".rdb", true, false },
	{ "a snapshot is written", DISK_WRITE, ".rdb", true, false },
	{ "a snapshot is synced", DISK_FDATASYNC, ".rdb", true, false },
	{ "a snapshot gets its name", DISK_RENAME, "dump.rdb", true, false },
	{ "a file is written out", DISK_WRITE_OUT, "", false, false },
};

int crash_point_of(const struct disk_stop *s)
{
	for (int i = 0; i < CRASH_POINTS; i++)
		if (crash_points[i].call == s->call && strstr(s->name, crash_points[i].file))
			return i;
	return -1;
}
