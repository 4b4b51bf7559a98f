#include "fs/log.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static const char marks[] = {
	[LOG_LEVEL_DEBUG] = '.',
	[LOG_LEVEL_VERBOSE] = '-',
	[LOG_LEVEL_NOTICE] = '*',
	[LOG_LEVEL_WARNING] = '#',
};

static const int priorities[] = {
	[LOG_LEVEL_DEBUG] = LOG_DEBUG,
	[LOG_LEVEL_VERBOSE] = LOG_INFO,
	[LOG_LEVEL_NOTICE] = LOG_NOTICE,
	[LOG_LEVEL_WARNING] = LOG_WARNING,
};

/* systemd says in JOURNAL_STREAM which file its journal is. */
static bool is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%" SCNuMAX ":%" SCNuMAX, &dev, &ino) == 2 && fstat(fd, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

int log_open(struct log *l, const char *logfile, bool foreground, enum log_level level, struct error *e)
{
	l->fd = -1;
	l->target = foreground ? LOG_TO_STDERR : LOG_TO_SYSLOG;
	l->journal = foreground && is_journal(STDERR_FILENO);
	atomic_init(&l->level, (int)level);
	atomic_init(&l->starting, false);

	if (*logfile) {
		l->fd = open(logfile, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
		if (l->fd < 0) {
			int err = -errno;

			return error_set(e, err, "logfile %s: %s", logfile, strerror(-err));
		}
		l->target = LOG_TO_FILE;
	}
	if (l->target == LOG_TO_SYSLOG)
		openlog("kvfs", LOG_PID, LOG_DAEMON);
	return 0;
}

void log_close(struct log *l)
{
	if (l->target == LOG_TO_SYSLOG)
		closelog();
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

void log_set_level(struct log *l, enum log_level level)
{
	atomic_store(&l->level, (int)level);
}

void log_set_starting(struct log *l, bool starting)
{
	atomic_store(&l->starting, starting);
}

/* "<pid>:M <day> <month> <year> <h:m:s.ms> <mark> TEXT\n" in one write, so that lines of two threads never mix. */
static void write_file(struct log *l, enum log_level level, const char *text)
{
	char line[LOG_LINE_MAX + 128], date[64];
	struct timespec now;
	struct tm tm;
	int n;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	strftime(date, sizeof(date), "%d %b %Y %H:%M:%S", &tm);
	n = snprintf(line, sizeof(line), "%ld:M %s.%03d %c %s\n", (long)getpid(), date, (int)(now.tv_nsec / 1000000), marks[level],
	             text);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof(line))
		n = sizeof(line) - 1;
	/* A log that cannot be written has nobody to tell. */
	if (write(l->fd, line, (size_t)n) < 0)
		return;
}

void log_line(struct log *l, enum log_level level, const char *text)
{
	char clean[LOG_LINE_MAX];
	size_t n = 0;

	if ((int)level < atomic_load_explicit(&l->level, memory_order_relaxed))
		return;
	for (; n < sizeof(clean) - 1 && text[n]; n++)
		clean[n] = iscntrl((unsigned char)text[n]) ? '?' : text[n];
	clean[n] = '\0';

	if (l->target == LOG_TO_FILE)
		write_file(l, level, clean);
	else if (l->target == LOG_TO_SYSLOG)
		syslog(priorities[level], "%s", clean);
	if (l->target == LOG_TO_STDERR && l->journal)
		fprintf(stderr, "<%d>%s\n", priorities[level], clean);
	else if (l->target == LOG_TO_STDERR || (level == LOG_LEVEL_WARNING && atomic_load(&l->starting)))
		fprintf(stderr, "kvfs: %s\n", clean);
}

void log_printf(struct log *l, enum log_level level, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n >= 0)
		log_line(l, level, text);
}
