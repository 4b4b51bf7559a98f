/* The files of the log: which are there and what the manifest says after each step, done or failed.
 * By looking into the directory; what a crash between two steps leaves is model/crash's. */
#include "persist/aof.h"
#include "persist/format.h"
#include "tests/lib/disk_fault.h"
#include "tests/lib/tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BASE(n) "file appendonly.aof." #n ".base.rdb seq " #n " type b\n"
#define INCR(n) "file appendonly.aof." #n ".incr.aof seq " #n " type i\n"

static char top[] = "/tmp/kvfs-unit-aof-XXXXXX";
static int top_fd;
static struct disk_fault fault;
static struct aof log_files;
static struct error error;

static int open_dir(const char *filename)
{
	aof_init(&log_files, &fault.disk, filename);
	error.text[0] = '\0';
	return aof_open_dir(&log_files, top_fd, "dir", &error);
}

static void make_file(const char *name, const char *text)
{
	if (disk_write_file(&fault.disk, log_files.dir_fd, name, text, strlen(text)) < 0)
		abort();
}

static bool exists(const char *name)
{
	return faccessat(log_files.dir_fd, name, F_OK, 0) == 0;
}

/* TEXT has room for 1000 bytes; terminated. */
static void read_text(const char *name, char *text)
{
	int fd = openat(log_files.dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, 999);

	text[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

static void file_is(const char *name, const char *want, const char *what)
{
	char text[1000];

	read_text(name, text);
	is_text(text, want, what);
}

/* The manifest's lines behind that of its checksum. */
static void manifest_is(const char *want, const char *what)
{
	char text[1000];

	read_text("appendonly.aof.manifest", text);
	char *lines = strchr(text, '\n');
	ok(lines && strncmp(text, MANIFEST_SUM, sizeof(MANIFEST_SUM) - 1) == 0, "%s: with a checksum", what);
	is_text(lines ? lines + 1 : "", want, what);
}

static void make_base(const char *text)
{
	struct bytes name = { 0 };

	if (aof_base_temp_name(&log_files, &name) < 0)
		abort();
	make_file(name.data, text);
	bytes_fini(&name);
}

static void fail(enum disk_call call, const char *name, uint64_t skip)
{
	disk_fault_rule(&fault, call, (struct disk_rule){ .err = -EIO, .name = name, .skip = skip, .count = 1 });
}

static void test_life(void)
{
	struct manifest m = { 0 };

	is(open_dir("appendonly.aof"), 0, "a directory is made");
	is(aof_switch(&log_files, false), 0, "the first incr");
	ok(!exists("appendonly.aof.manifest") && exists("appendonly.aof.1.incr.aof"), "before any manifest");
	make_base("base");
	is(aof_publish_base(&log_files, 4), 0, "the first base");
	manifest_is(BASE(1) INCR(1), "both are listed");
	file_is("appendonly.aof.1.base.rdb", "base", "under its name");
	is(aof_append(&log_files, "one", 3), 0, "bytes");
	is((int64_t)aof_total_size(&log_files), 7, "are counted");
	is(aof_switch(&log_files, true), 0, "the next incr");
	manifest_is(BASE(1) INCR(1) INCR(2), "three are listed");
	is(aof_append(&log_files, "two", 3), 0, "bytes");
	file_is("appendonly.aof.1.incr.aof", "one", "the old one stays as it was");
	file_is("appendonly.aof.2.incr.aof", "two", "the new one has them");
	is((int64_t)aof_total_size(&log_files), 10, "all are counted");
	make_base("base 2");
	is(aof_publish_base(&log_files, 6), 0, "the next base");
	manifest_is(BASE(2) INCR(2), "what it covers is forgotten");
	ok(!exists("appendonly.aof.1.base.rdb") && !exists("appendonly.aof.1.incr.aof"), "and gone");
	is((int64_t)log_files.rewrite_base_size, 9, "growth is measured from here");
	aof_close(&log_files);

	is(open_dir("appendonly.aof"), 0, "again");
	manifest_add(&m, "appendonly.aof.2.base.rdb", 2, MANIFEST_BASE);
	manifest_add(&m, "appendonly.aof.1.incr.aof", 1, MANIFEST_HISTORY);
	manifest_add(&m, "appendonly.aof.2.incr.aof", 2, MANIFEST_INCR);
	make_file("appendonly.aof.1.incr.aof", "history");
	is(aof_resume(&log_files, &m, 3, 6, &error), 0, "goes on");
	ok(!exists("appendonly.aof.1.incr.aof"), "history that was left is dropped");
	manifest_is(BASE(2) INCR(2), "from the manifest too");
	is(aof_append(&log_files, "+", 1), 0, "bytes");
	file_is("appendonly.aof.2.incr.aof", "two+", "behind what counted");
	aof_close(&log_files);
	manifest_fini(&m);
}

static void resume(void)
{
	struct manifest m = { 0 };

	if (open_dir("appendonly.aof") < 0)
		abort();
	manifest_add(&m, "appendonly.aof.2.base.rdb", 2, MANIFEST_BASE);
	manifest_add(&m, "appendonly.aof.2.incr.aof", 2, MANIFEST_INCR);
	if (aof_resume(&log_files, &m, 4, 6, &error) < 0)
		abort();
	manifest_fini(&m);
}

static void test_append_fails(void)
{
	resume();
	disk_fault_rule(&fault, DISK_WRITE, (struct disk_rule){ .err = -ENOSPC, .count = 1, .part = 2 });
	is(aof_append(&log_files, "torn", 4), -ENOSPC, "a write that stops in the middle");
	file_is("appendonly.aof.2.incr.aof", "two+", "is cut back");
	disk_fault_rule(&fault, DISK_WRITE, (struct disk_rule){ .err = -ENOSPC, .count = 1, .part = 2 });
	fail(DISK_TRUNCATE, NULL, 0);
	is(aof_append(&log_files, "torn", 4), -ENOSPC, "again, and it can't be cut back");
	file_is("appendonly.aof.2.incr.aof", "two+to", "its bytes stand there");
	is(aof_append(&log_files, "!", 1), 0, "until the next write");
	file_is("appendonly.aof.2.incr.aof", "two+!", "nothing of it is left");
	disk_fault_mend(&fault);
	is(ftruncate(log_files.fd, 4), 0, "back");
	aof_close(&log_files);
}

static void switch_fails(enum disk_call call, const char *name, uint64_t skip, bool unsure, const char *what)
{
	resume();
	fail(call, name, skip);
	is(aof_switch(&log_files, true), -EIO, "a switch: %s", what);
	disk_fault_mend(&fault);
	is(log_files.unsure, unsure, "it is known which manifest counts, or not");
	manifest_is(unsure ? BASE(2) INCR(2) INCR(3) : BASE(2) INCR(2), "the manifest");
	is(exists("appendonly.aof.3.incr.aof"), unsure, "a file that may be listed is there");
	is(aof_append(&log_files, "x", 1), 0, "the log goes on");
	file_is(unsure ? "appendonly.aof.3.incr.aof" : "appendonly.aof.2.incr.aof", unsure ? "x" : "two+x", "in the file that is listed last");
	aof_close(&log_files);
	if (unlinkat(top_fd, "dir/appendonly.aof.3.incr.aof", 0) < 0 && errno != ENOENT)
		abort();
	if (truncate("dir/appendonly.aof.2.incr.aof", 4) < 0)
		abort();
}

static void publish_fails(enum disk_call call, const char *name, uint64_t skip, bool unsure, const char *what)
{
	resume();
	is(aof_switch(&log_files, true), 0, "a switch");
	make_base("base 3");
	fail(call, name, skip);
	is(aof_publish_base(&log_files, 6), -EIO, "a base: %s", what);
	disk_fault_mend(&fault);
	is(log_files.unsure, unsure, "it is known which manifest counts, or not");
	ok(exists("appendonly.aof.2.base.rdb") && exists("appendonly.aof.2.incr.aof") && exists("appendonly.aof.3.incr.aof"),
	   "what the old manifest lists is there");
	make_base("base 3");
	is(aof_publish_base(&log_files, 6), 0, "the next try");
	ok(!exists("appendonly.aof.2.base.rdb") && !exists("appendonly.aof.2.incr.aof"), "history is gone");
	manifest_is(unsure ? BASE(4) INCR(3) : BASE(3) INCR(3), "the manifest");
	aof_close(&log_files);
	if (chdir("dir") < 0)
		abort();
	unlink("appendonly.aof.3.incr.aof");
	if (rename(unsure ? "appendonly.aof.4.base.rdb" : "appendonly.aof.3.base.rdb", "appendonly.aof.2.base.rdb") < 0 || chdir("..") < 0)
		abort();
	aof_init(&log_files, &fault.disk, "appendonly.aof");
	log_files.dir_fd = openat(top_fd, "dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_file("appendonly.aof.2.incr.aof", "two+");
	make_file("appendonly.aof.manifest", BASE(2) INCR(2));
	aof_close(&log_files);
}

static void test_stale(void)
{
	is(open_dir("appendonly.aof"), 0, "opens");
	make_file("temp-rewriteaof-123.aof", "");
	make_file("temp-appendonly.aof.manifest", "");
	make_file("temp-other.aof.manifest", "");
	make_file("temp-rewriteaof-.aof", "");
	make_file("temp-1.incr.aof", "");
	aof_close(&log_files);
	is(open_dir("appendonly.aof"), 0, "opens");
	ok(!exists("temp-rewriteaof-123.aof") && !exists("temp-appendonly.aof.manifest"), "temp files of ours go");
	ok(exists("temp-other.aof.manifest") && exists("temp-rewriteaof-.aof") && exists("temp-1.incr.aof"), "others stay");
	aof_close(&log_files);
	is(open_dir("temp"), 0, "a log called temp");
	is(aof_switch(&log_files, false), 0, "has files");
	make_base("x");
	is(aof_publish_base(&log_files, 1), 0, "and a base");
	aof_close(&log_files);
	is(open_dir("temp"), 0, "and opens again");
	ok(exists("temp.1.base.rdb") && exists("temp.1.incr.aof") && exists("temp.manifest"), "with all of them");
	aof_close(&log_files);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *w)
{
	(void)st, (void)type, (void)w;
	return remove(path);
}

/* How much of a file a power cut leaves; a second one may leave more or less. */
static off_t size_after_a_cut(const char *name)
{
	char into[] = "/tmp/kvfs-unit-aof-XXXXXX", path[200];
	struct stat st = { 0 };

	if (!mkdtemp(into))
		abort();
	disk_fault_power_cut(&fault, top, into);
	snprintf(path, sizeof path, "%s/dir/%s", into, name);
	off_t size = stat(path, &st) < 0 ? -1 : st.st_size;
	nftw(into, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return size;
}

static void test_old_bytes(void)
{
	int cuts_with_old = 0;

	resume();
	make_file("appendonly.aof.3.incr.aof", "of a daemon that died before any manifest had it");
	is(aof_switch(&log_files, true), 0, "a new log under the name of an old one");
	for (int i = 0; i < 20; i++)
		cuts_with_old += size_after_a_cut("appendonly.aof.3.incr.aof") != 0;
	is(cuts_with_old, 0, "no power cut brings the old bytes back");
	aof_close(&log_files);
}

int main(void)
{
	if (!mkdtemp(top) || chdir(top) < 0)
		abort();
	top_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	disk_fault_init(&fault, 1);
	test_life();
	test_append_fails();
	switch_fails(DISK_OPEN, ".3.incr.aof", 0, false, "the file can't be made");
	switch_fails(DISK_FSYNC_DIR, NULL, 0, false, "its directory can't be synced");
	switch_fails(DISK_FDATASYNC, "manifest", 0, false, "the manifest can't be synced");
	switch_fails(DISK_RENAME, "manifest", 0, false, "the manifest can't be put in place");
	switch_fails(DISK_FSYNC_DIR, NULL, 1, true, "its directory can't be synced then");
	publish_fails(DISK_RENAME, "base", 0, false, "it can't be put in place");
	publish_fails(DISK_FSYNC_DIR, NULL, 0, false, "its directory can't be synced");
	publish_fails(DISK_RENAME, "manifest", 0, false, "the manifest can't be put in place");
	publish_fails(DISK_FSYNC_DIR, NULL, 1, true, "its directory can't be synced then");
	test_old_bytes();
	test_stale();
	disk_fault_fini(&fault);
	close(top_fd);
	nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return tap_end();
}
