/* How much memory there is for a process: the smallest of what the machine and each of its control groups say, of either version, nested,
 * seen from within a container, or not there.  By files of the kernel's below a directory of the test's own. */
#include "fs/meminfo.h"
#include "tests/lib/tap.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MIB = 1 << 20 };

static char root[] = "/tmp/kvfs-meminfo.XXXXXX";

static void put(const char *path, const char *fmt, ...)
{
	char full[512];
	va_list ap;
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = '\0';
		mkdir(full, 0700);
	}
	f = fopen(full, "w");
	if (!f)
		abort();
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fclose(f);
}

static void check(uint64_t total, uint64_t available, const char *what)
{
	struct meminfo_source *s;
	struct meminfo m;

	if (meminfo_open(root, &s) < 0)
		abort();
	meminfo_read(s, &m);
	is((int64_t)m.total, (int64_t)total, "%s: total", what);
	is((int64_t)m.available, (int64_t)available, "%s: available", what);
	meminfo_close(s);
}

static void test_machine(void)
{
	check(0, 0, "nothing can be read");
	put("/proc/meminfo", "MemTotal:       1024000 kB\nMemFree:  1 kB\nMemAvailable:    512000 kB\n");
	check(1024000 * 1024ull, 512000 * 1024ull, "no control groups");
}

static void test_version_2(void)
{
	put("/proc/self/cgroup", "1:name=systemd:/x\n0::/a/b\n");
	put("/proc/self/mountinfo", "21 1 0:20 / /proc rw - proc proc rw\n30 21 0:26 / /sys/fs/cg\\040x rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n");
	check(1024000 * 1024ull, 512000 * 1024ull, "a group without files");
	put("/sys/fs/cg x/a/b/memory.max", "max\n");
	put("/sys/fs/cg x/a/b/memory.high", "max\n");
	put("/sys/fs/cg x/a/b/memory.current", "%d\n", 300 * MIB);
	check(1024000 * 1024ull, 512000 * 1024ull, "a group without a limit");
	put("/sys/fs/cg x/a/memory.max", "%d\n", 200 * MIB);
	put("/sys/fs/cg x/a/memory.current", "%d\n", 150 * MIB);
	check(200 * MIB, 50 * MIB, "the limit of the one above");
	put("/sys/fs/cg x/a/memory.stat", "anon 5\ninactive_file %d\nactive_file %d\nfile_dirty %d\nfile_writeback %d\n", 30 * MIB, 20 * MIB, 4 * MIB,
	    5 * MIB);
	check(200 * MIB, 87 * MIB + MIB / 2, "pages of files count as left");
	put("/sys/fs/cg x/a/b/memory.high", "%d\n", 100 * MIB);
	check(100 * MIB, 0, "memory.high is a limit too; more than it is used");
	put("/sys/fs/cg x/a/b/memory.current", "%d\n", 90 * MIB);
	check(100 * MIB, 10 * MIB, "the smallest of both");
	put("/proc/self/cgroup", "0::/../elsewhere\n");
	check(1024000 * 1024ull, 512000 * 1024ull, "a group that is not to be seen from here");
}

static void test_version_1(void)
{
	put("/proc/self/cgroup", "5:cpu,cpuacct:/z\n4:hugetlb,memory:/docker/id/in\n0::/\n");
	put("/proc/self/mountinfo", "30 21 0:26 /docker/id /cg1 rw - cgroup cgroup rw,hugetlb,memory\n31 21 0:27 / /cgc rw - cgroup cgroup rw,cpu\n");
	put("/cg1/in/memory.limit_in_bytes", "9223372036854771712\n");
	put("/cg1/in/memory.usage_in_bytes", "5\n");
	put("/cg1/memory.limit_in_bytes", "%d\n", 64 * MIB);
	put("/cg1/memory.usage_in_bytes", "%d\n", 40 * MIB);
	put("/cg1/memory.stat", "inactive_file 1\ntotal_inactive_file %d\ntotal_active_file 0\ntotal_dirty 4096\ntotal_writeback %d\n", 8 * MIB, 2 * MIB);
	check(64 * MIB, 31 * MIB, "version 1, of which a container sees its part");
	put("/proc/meminfo", "MemTotal:       1024000 kB\nMemAvailable:    1024 kB\n");
	check(64 * MIB, 1 * MIB, "the machine has less left than the group");
}

int main(void)
{
	char command[64];

	if (!mkdtemp(root))
		return 1;
	test_machine();
	test_version_2();
	test_version_1();
	ok(meminfo_resident() > 100 * 1024, "a process is in memory");
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command) ? 1 : tap_end();
}
