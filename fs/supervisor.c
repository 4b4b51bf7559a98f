/* supervisor.c -- see supervisor.h. */
#include "fs/supervisor.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	TICK_MS = 1000,
	LINE_MAX_BYTES = 1024,
	SEND_TIMEOUT_S = 5,      /* a manager that takes nothing holds nobody up for longer */
};

/* More than any pause between two signs of life, and little enough that a stop which hangs is seen. */
#define MORE_TIME "EXTEND_TIMEOUT_USEC=60000000"

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A path, or a name in the abstract namespace, written with '@'. */
static int connect_to(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const struct timeval timeout = { .tv_sec = SEND_TIMEOUT_S };
	size_t len = strlen(name);
	int fd;

	if ((name[0] != '/' && name[0] != '@') || len >= sizeof(addr.sun_path))
		return -1;
	memcpy(addr.sun_path, name, len);
	if (name[0] == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&addr, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0) {
		close(fd);
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	return fd;
}

void supervisor_open(struct supervisor *s, bool asked)
{
	const char *name = getenv("NOTIFY_SOCKET");

	*s = (struct supervisor){ .fd = asked && name ? connect_to(name) : -1, .said_ms = now_ms() };
	unsetenv("NOTIFY_SOCKET");
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
}

void supervisor_close(struct supervisor *s)
{
	supervisor_unwatch(s);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
}

/* A manager that is gone has nobody who would miss it. */
static void put(const struct supervisor *s, const char *prefix, const char *fmt, va_list ap)
{
	char text[LINE_MAX_BYTES];
	int n = snprintf(text, sizeof(text), "%s", prefix), more;

	more = vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	if (more < 0)
		return;
	n += more;
	if ((size_t)n >= sizeof(text))
		n = sizeof(text) - 1;
	(void)!send(s->fd, text, (size_t)n, MSG_NOSIGNAL);
}

void supervisor_tell(struct supervisor *s, const char *fmt, ...)
{
	va_list ap;

	if (s->fd < 0)
		return;
	va_start(ap, fmt);
	put(s, "", fmt, ap);
	va_end(ap);
}

void supervisor_tell_slowly(struct supervisor *s, const char *fmt, ...)
{
	int64_t now;
	va_list ap;

	if (s->fd < 0)
		return;
	now = now_ms();
	if (now - s->said_ms < TICK_MS)
		return;
	s->said_ms = now;
	va_start(ap, fmt);
	put(s, MORE_TIME "\nSTATUS=", fmt, ap);
	va_end(ap);
}

/* ---- the thread ---- */

/* False: it was woken to end. */
static bool sleep_a_tick(struct supervisor *s)
{
	struct timespec until;
	bool end;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += TICK_MS / 1000;
	pthread_mutex_lock(&s->lock);
	while (!s->end && pthread_cond_timedwait(&s->wake, &s->lock, &until) == 0)
		;
	end = s->end;
	pthread_mutex_unlock(&s->lock);
	return !end;
}

static void *watch(void *ctx)
{
	struct supervisor *s = ctx;
	uint64_t before = s->progress(s->ctx), now;

	while (sleep_a_tick(s)) {
		now = s->progress(s->ctx);
		if (now != before)
			supervisor_tell(s, MORE_TIME);
		before = now;
	}
	return NULL;
}

void supervisor_watch(struct supervisor *s, uint64_t (*progress)(void *ctx), void *ctx)
{
	if (s->fd < 0 || s->watching)
		return;
	s->progress = progress;
	s->ctx = ctx;
	s->end = false;
	supervisor_tell(s, MORE_TIME);
	/* Without the thread the unit's own timeout holds. */
	s->watching = pthread_create(&s->thread, NULL, watch, s) == 0;
}

void supervisor_unwatch(struct supervisor *s)
{
	if (!s->watching)
		return;
	pthread_mutex_lock(&s->lock);
	s->end = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	s->watching = false;
}
