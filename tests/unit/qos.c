/* CPUs are kept awake while requests keep coming, those concerned alone where there are many, and are as before afterwards, also after a daemon
 * was killed.  By a directory that stands for the system's root, and a clock of the test's. */
#include "fs/qos.h"
#include "tests/lib/tap.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CPUS = 64, CLIENT = 77, CLIENT_CPU = 61, MS = 1000000 };

static char root[] = "/tmp/kvfs-qos-XXXXXX";

static void make_dirs(const char *path)
{
	char whole[256];

	snprintf(whole, sizeof(whole), "%s/%s", root, path);
	for (char *p = whole + strlen(root) + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		mkdir(whole, 0700);
		*p = '/';
	}
}

static void put(const char *path, const char *text)
{
	char whole[256];
	FILE *f;

	make_dirs(path);
	snprintf(whole, sizeof(whole), "%s/%s", root, path);
	if (!(f = fopen(whole, "w")) || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
}

static const char *setting_path(int cpu)
{
	static char path[128];

	snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%d/power/pm_qos_resume_latency_us", cpu);
	return path;
}

/* What the setting of CPU is, without the end of its line. */
static const char *setting(int cpu)
{
	static char text[32];
	char whole[256];
	FILE *f;

	snprintf(whole, sizeof(whole), "%s/%s", root, setting_path(cpu));
	text[0] = '\0';
	if (!(f = fopen(whole, "r")) || !fgets(text, sizeof(text), f))
		return "";
	fclose(f);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static bool is_set(int cpu, const char *value)
{
	return strcmp(setting(cpu), value) == 0;
}

static int changed(void)
{
	int n = 0;

	for (int cpu = 0; cpu < CPUS; cpu++)
		n += !is_set(cpu, "0");
	return n;
}

static off_t device_size(void)
{
	char whole[256];
	struct stat st;

	snprintf(whole, sizeof(whole), "%s/dev/cpu_dma_latency", root);
	return stat(whole, &st) < 0 ? -1 : st.st_size;
}

static void empty_root(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s/*", root);
	if (system(command) != 0)
		abort();
}

static void fresh_root(bool settings, bool device)
{
	empty_root();
	make_dirs("run/");
	put("proc/77/stat", "77 (a (b) c) S 1 77 77 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 61 0 0 0\n");
	if (device)
		put("dev/cpu_dma_latency", "");
	for (int cpu = 0; settings && cpu < CPUS; cpu++)
		put(setting_path(cpu), "0\n");
}

/* N requests, GAP_NS apart, from *NOW_NS on. */
static void requests(struct qos *q, int n, int64_t gap_ns, int64_t *now_ns)
{
	for (int i = 0; i < n; i++)
		qos_note(q, CLIENT, *now_ns += gap_ns);
}

static void test_few(void)
{
	int64_t now = MS * 1000ll;
	struct qos q;

	fresh_root(true, true);
	qos_init(&q, true, root, QOS_ALL_CPUS);
	requests(&q, 100, QOS_GAP_NS + 1, &now);
	ok(!q.held && device_size() == 0 && qos_timeout_ms(&q, now) == -1, "a trickle of requests keeps nothing awake");
	requests(&q, QOS_BURST - 1, MS, &now);
	ok(!q.held, "nor the first of a burst");
	requests(&q, 1, MS, &now);
	ok(q.held && device_size() == 4 && changed() == 0, "a burst keeps all CPUs awake, through the device");
	ok(qos_timeout_ms(&q, now) == QOS_SILENCE_NS / MS && qos_timeout_ms(&q, now + QOS_SILENCE_NS) == 0, "until there was silence");
	qos_release(&q);
	ok(!q.held && qos_timeout_ms(&q, now) == -1, "then it is let go");
	qos_enable(&q, false);
	requests(&q, 100, MS, &now);
	ok(!q.held, "switched off");
	qos_fini(&q);
}

static void test_many(int cpu)
{
	int64_t now = MS * 1000ll;
	struct qos q;

	fresh_root(true, true);
	put(setting_path(cpu), "120\n");
	qos_init(&q, true, root, CPUS);
	requests(&q, QOS_BURST + 1, MS, &now);
	ok(q.held && device_size() == 0, "many CPUs: not all of them");
	ok(is_set(cpu, "n/a") && is_set(CLIENT_CPU, "n/a") && changed() == 2, "the reader's and the client's");
	requests(&q, 100, MS, &now);
	ok(changed() == 2, "and still");
	qos_release(&q);
	ok(is_set(cpu, "120") && changed() == 1, "as before afterwards");
	requests(&q, QOS_BURST + 1, MS, &now);
	ok(is_set(cpu, "n/a"), "again");
	qos_fini(&q);
	ok(is_set(cpu, "120") && changed() == 1, "as before at the end");

	fresh_root(false, true);
	qos_init(&q, true, root, CPUS);
	requests(&q, QOS_BURST + 1, MS, &now);
	ok(q.held && device_size() == 4, "without their settings: all");
	qos_fini(&q);

	fresh_root(false, false);
	qos_init(&q, true, root, CPUS);
	requests(&q, 100, MS, &now);
	ok(!q.held && qos_timeout_ms(&q, now) == -1, "without anything: it goes on without");
	qos_fini(&q);
}

static void test_hold(void)
{
	struct awake a, b;
	int status = 1;

	fresh_root(true, false);
	awake_init(&a, root, CPUS);
	awake_init(&b, root, CPUS);
	for (int cpu = 10; cpu < 10 + AWAKE_CPUS + 2; cpu++)
		ok(awake_hold(&a, cpu) == 0 && is_set(cpu, "n/a"), "CPU %d is held", cpu);
	ok(is_set(10, "0") && is_set(11, "0") && changed() == AWAKE_CPUS, "at most %d of them", AWAKE_CPUS);
	ok(awake_hold(&b, 12) == 0 && is_set(12, "n/a"), "another daemon on the same CPU");
	awake_release(&b);
	ok(is_set(12, "n/a"), "does not take it away");
	awake_release(&a);
	ok(changed() == 0, "all as before");

	pid_t pid = fork();
	if (pid == 0) {
		put(setting_path(20), "50\n");
		awake_hold(&a, 20);
		awake_hold(&a, 21);
		_exit(0);
	}
	ok(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 && is_set(20, "n/a") && is_set(21, "n/a"), "a daemon is killed");
	awake_init(&b, root, CPUS);
	ok(is_set(20, "50") && is_set(21, "0"), "the next one puts right what it left");
	awake_release(&b);
}

int main(void)
{
	int cpu = sched_getcpu();
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (!mkdtemp(root) || sched_setaffinity(0, sizeof(one), &one) < 0)
		abort();
	test_few();
	test_many(cpu);
	test_hold();
	empty_root();
	rmdir(root);
	return tap_end();
}
