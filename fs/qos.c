#include "fs/qos.h"

#include <fcntl.h>
#include <unistd.h>

void qos_init(struct qos *q, bool enabled)
{
	*q = (struct qos){ .fd = -1, .enabled = enabled };
}

void qos_fini(struct qos *q)
{
	qos_release(q);
}

static void qos_acquire(struct qos *q)
{
	const int32_t latency_us = 0;

	q->fd = open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC);
	if (q->fd >= 0 && write(q->fd, &latency_us, sizeof(latency_us)) != sizeof(latency_us))
		qos_release(q);
	/* What fails once, fails again: not asked for each burst. */
	if (q->fd < 0)
		q->enabled = false;
}

void qos_note(struct qos *q, int64_t now_ns)
{
	if (!q->enabled)
		return;
	if (now_ns - q->last_ns > QOS_GAP_NS)
		q->burst = 0;
	q->last_ns = now_ns;
	if (q->burst < QOS_BURST)
		q->burst++;
	else if (q->fd < 0)
		qos_acquire(q);
}

int qos_timeout_ms(const struct qos *q, int64_t now_ns)
{
	int64_t left_ns = q->last_ns + QOS_SILENCE_NS - now_ns;

	if (q->fd < 0)
		return -1;
	return left_ns <= 0 ? 0 : (int)((left_ns + 999999) / 1000000);
}

void qos_release(struct qos *q)
{
	if (q->fd >= 0)
		close(q->fd);
	q->fd = -1;
	q->burst = 0;
}
