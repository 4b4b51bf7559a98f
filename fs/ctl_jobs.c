/* ctl_jobs.c -- see ctl_jobs.h. */
#include "fs/ctl_jobs.h"
#include "fs/ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
	POLL_MS = 100,
	STILL_POLLS = 10,    /* neither running nor scheduled for so long: it has failed */
	BAR_WIDTH = 40,
};

struct ctl_job {
	const char *command;
	const char *running, *scheduled, *successes;  /* fields of INFO persistence */
	const char *failed;                        /* what to say then */
};

static const struct ctl_job jobs[] = {
	{ "bgsave", "rdb_bgsave_in_progress", "rdb_bgsave_scheduled", "rdb_saves",
	  "the snapshot could not be written, the server's log says why" },
	{ "bgrewriteaof", "aof_rewrite_in_progress", "aof_rewrite_scheduled", "aof_rewrites",
	  "the log could not be rewritten, the server's log says why" },
};

const struct ctl_job *ctl_job_find(const char *command)
{
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		if (strcasecmp(command, jobs[i].command) == 0)
			return &jobs[i];
	}
	return NULL;
}

const char *ctl_info_field(const char *text, size_t len, const char *name, size_t *ret_len)
{
	const char *end = text + len;
	size_t name_len = strlen(name);

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *stop = newline != NULL ? newline : end;

		if ((size_t)(stop - text) > name_len && memcmp(text, name, name_len) == 0 && text[name_len] == ':') {
			text += name_len + 1;
			if (stop > text && stop[-1] == '\r')
				stop--;
			*ret_len = (size_t)(stop - text);
			return text;
		}
		text = newline != NULL ? newline + 1 : end;
	}
	return NULL;
}

static int64_t field_number(const struct resp_value *info, const char *name)
{
	struct resp_arg a;
	int64_t n;

	a.data = ctl_info_field(info->data, info->len, name, &a.len);
	return a.data != NULL && resp_int64(&a, &n) == 0 ? n : 0;
}

static void show_bar(int64_t done, int64_t total)
{
	char bar[BAR_WIDTH + 1];
	int full;

	if (total <= 0)
		return;
	if (done > total)
		done = total;
	full = (int)((double)done / (double)total * BAR_WIDTH);
	memset(bar, '-', BAR_WIDTH);
	memset(bar, '#', (size_t)full);
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, "\r[%s] %3d%%  %" PRId64 "/%" PRId64 " keys", bar, (int)((double)done / (double)total * 100), done, total);
	fflush(stderr);
}

static void clear_bar(void)
{
	fputs("\r\033[K", stderr);
	fflush(stderr);
}

static int ask_info(struct ctl_client *c, struct resp_value *ret)
{
	static const char *const words[] = { "INFO", "persistence" };
	int err = ctl_send_words(c, words, 2);

	if (err == 0)
		err = ctl_receive(c, ret);
	if (err == 0 && (ret->type != '$' || ret->data == NULL))
		err = -EPROTO;
	return err;
}

int ctl_job_count(struct ctl_client *c, const struct ctl_job *job, int64_t *ret)
{
	struct resp_value info;
	int err = ask_info(c, &info);

	if (err == 0)
		*ret = field_number(&info, job->successes);
	return err;
}

int ctl_job_wait(struct ctl_client *c, const struct ctl_job *job, int64_t before)
{
	bool bar = isatty(STDERR_FILENO) == 1, idle;
	struct resp_value info;
	int64_t ended = 0;
	int err, still = 0;

	for (;;) {
		err = ask_info(c, &info);
		if (err != 0)
			break;
		/* The first to end may be one that ran before; by the second, ours has. */
		ended = field_number(&info, job->successes) - before;
		idle = field_number(&info, job->running) == 0 && field_number(&info, job->scheduled) == 0;
		still = idle ? still + 1 : 0;
		if (ended > 1 || (ended == 1 && idle) || still == STILL_POLLS)
			break;
		if (bar)
			show_bar(field_number(&info, "current_save_keys_processed"), field_number(&info, "current_save_keys_total"));
		(void)poll(NULL, 0, POLL_MS);
	}
	if (bar)
		clear_bar();
	if (err != 0)
		return ctl_complain(CTL_NO_SERVER, "the server went away: %s", strerrordesc_np(-err));
	return ended > 0 ? CTL_DONE : ctl_complain(CTL_REFUSED, "%s", job->failed);
}
