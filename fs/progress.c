#include "fs/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)
#define FIRST_AFTER_NS (NS_PER_S / 4)
#define REDRAW_NS (NS_PER_S / 10)

enum { CELLS = 24 };

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

void progress_init(struct progress *p)
{
	*p = (struct progress){ .enabled = isatty(STDERR_FILENO), .start_ns = now_ns() };
}

static void draw(const struct progress *p, int64_t now, uint64_t done, uint64_t total, uint64_t keys)
{
	double elapsed_s = (double)(now - p->start_ns) / (double)NS_PER_S;
	double part = total ? (double)done / (double)total : 0;
	uint64_t left_s = part > 0 ? (uint64_t)(elapsed_s * (1 - part) / part + 0.5) : 0;
	char cells[CELLS + 1];

	for (int i = 0; i < CELLS; i++)
		cells[i] = i < (int)(part * CELLS) ? '#' : '.';
	cells[CELLS] = '\0';
	fprintf(stderr, "\r\033[Kkvfs: loading [%s] %3d%%  %" PRIu64 " keys  %.0f/s  %" PRIu64 ":%02" PRIu64 " left", cells,
	        (int)(part * 100), keys, (double)keys / elapsed_s, left_s / 60, left_s % 60);
	fflush(stderr);
}

void progress_update(struct progress *p, uint64_t done, uint64_t total, uint64_t keys)
{
	int64_t now;

	if (!p->enabled)
		return;
	now = now_ns();
	if (now - p->start_ns < FIRST_AFTER_NS || now - p->drawn_ns < REDRAW_NS)
		return;
	p->drawn_ns = now;
	p->shown = true;
	draw(p, now, done > total ? total : done, total, keys);
}

void progress_end(struct progress *p)
{
	if (!p->shown)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	p->shown = false;
}

int64_t progress_elapsed_ns(const struct progress *p)
{
	return now_ns() - p->start_ns;
}
