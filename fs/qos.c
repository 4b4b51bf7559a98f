#include "fs/qos.h"

#include <ctype.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_LEN = 256, STAT_LEN = 1024, STAT_STATE = 3, STAT_PROCESSOR = 39 };

void qos_init(struct qos *q, bool enabled, const char *root, int cpus)
{
	*q = (struct qos){ .root = root, .single = cpus > QOS_ALL_CPUS, .fd = -1 };
	atomic_init(&q->enabled, enabled);
	awake_init(&q->awake, root, q->single ? cpus : 0);
}

void qos_fini(struct qos *q)
{
	qos_release(q);
}

/* The CPU that PID ran on last; -1: nobody knows. */
static int cpu_of(const struct qos *q, pid_t pid)
{
	char path[PATH_LEN], text[STAT_LEN];

	if (pid <= 0 || (size_t)snprintf(path, sizeof(path), "%s/proc/%d/stat", q->root, (int)pid) >= sizeof(path))
		return -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	/* The second field is a name in brackets, which may hold anything. */
	const char *at = strrchr(text, ')');
	for (int field = STAT_STATE; at && field <= STAT_PROCESSOR; field++)
		at = strchr(at + 1, ' ');
	return at && isdigit((unsigned char)at[1]) ? (int)strtol(at + 1, NULL, 10) : -1;
}

static bool hold_single(struct qos *q, pid_t pid, int64_t now_ns)
{
	int cpu = sched_getcpu(), other = cpu_of(q, pid);

	q->looked_ns = now_ns;
	if (cpu < 0 || awake_hold(&q->awake, cpu) < 0)
		return false;
	if (other >= 0)
		awake_hold(&q->awake, other);
	return true;
}

static bool hold_all(struct qos *q)
{
	const int32_t latency_us = 0;
	char path[PATH_LEN];

	if ((size_t)snprintf(path, sizeof(path), "%s/dev/cpu_dma_latency", q->root) >= sizeof(path))
		return false;
	q->fd = open(path, O_WRONLY | O_CLOEXEC);
	if (q->fd >= 0 && write(q->fd, &latency_us, sizeof(latency_us)) == sizeof(latency_us))
		return true;
	return false;
}

static void acquire(struct qos *q, pid_t pid, int64_t now_ns)
{
	q->single = q->single && hold_single(q, pid, now_ns);
	q->held = q->single || hold_all(q);
	if (q->held)
		return;
	/* What fails once, fails again: not asked for each burst. */
	qos_release(q);
	qos_enable(q, false);
}

void qos_enable(struct qos *q, bool enabled)
{
	atomic_store_explicit(&q->enabled, enabled, memory_order_relaxed);
}

void qos_note(struct qos *q, pid_t pid, int64_t now_ns)
{
	if (!atomic_load_explicit(&q->enabled, memory_order_relaxed)) {
		qos_release(q);
		return;
	}
	if (now_ns - q->last_ns > QOS_GAP_NS)
		q->burst = 0;
	q->last_ns = now_ns;
	if (q->burst < QOS_BURST)
		q->burst++;
	else if (!q->held)
		acquire(q, pid, now_ns);
	else if (q->single && now_ns - q->looked_ns >= QOS_LOOK_NS)
		hold_single(q, pid, now_ns);
}

int qos_timeout_ms(const struct qos *q, int64_t now_ns)
{
	int64_t left_ns = q->last_ns + QOS_SILENCE_NS - now_ns;

	if (!q->held)
		return -1;
	return left_ns <= 0 ? 0 : (int)((left_ns + 999999) / 1000000);
}

void qos_release(struct qos *q)
{
	if (q->fd >= 0)
		close(q->fd);
	q->fd = -1;
	awake_release(&q->awake);
	q->held = false;
	q->burst = 0;
}
