/* ctl_screen.c -- kvfs-ctl top on a terminal: see ctl_top.h.
 *
 * A frame is put together in memory and written at once, over the one before: each line ends by clearing what is left of it. */
#include "fs/ctl_rates.h"
#include "fs/ctl_term.h"
#include "fs/ctl_top.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ENTER "\033[?1049h\033[?25l\033[?7l"   /* the other screen, without a cursor, lines cut at its edge */
#define LEAVE "\033[?7h\033[?25h\033[?1049l"
#define HOME "\033[H"
#define END_OF_LINE "\033[K\r\n"
#define CLEAR_BELOW "\033[J"

enum { HEAD_LINES = 6, BESIDE_ROW = 70 };

struct top {
	struct ctl_term term;
	int signals;                     /* descriptor */
	bool keys;                       /* standard input is a terminal, in a mode of ours */
	struct termios mode;             /* it had */
	sigset_t mask;                   /* likewise */
	struct ctl_sample sample[2];
	int64_t turn;                    /* samples taken */
};

/* ---- drawing ---- */

static void draw_head(FILE *f, const struct top *t, const struct ctl_sample *s)
{
	uint64_t up = ctl_sample_number(s, "uptime_in_seconds");
	char state[CTL_STATE_MAX], mountpoint[256];
	bool ok = strcmp(ctl_sample_text(s, "persistence_state", state, sizeof(state)), "ok") == 0;

	fprintf(f, "%skvfs %s%s   up %" PRIu64 "d %02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 "   state %s%s%s" END_OF_LINE, ctl_term_colour(&t->term, CTL_BOLD),
	        ctl_sample_text(s, "mountpoint", mountpoint, sizeof(mountpoint)), ctl_term_colour(&t->term, CTL_PLAIN), up / 86400,
	        up / 3600 % 24, up / 60 % 60, up % 60, ctl_term_colour(&t->term, ok ? CTL_GREEN : CTL_RED), state,
	        ctl_term_colour(&t->term, CTL_PLAIN));
}

static void draw_memory(FILE *f, const struct top *t, const struct ctl_sample *s)
{
	uint64_t used = ctl_sample_number(s, "used_memory"), max = ctl_sample_number(s, "maxmemory");
	char n[4][CTL_NUMBER_MAX];

	fprintf(f, "keys %s, %s with an end   dirty %s   memory %s", ctl_show_count((double)ctl_sample_db(s, "keys"), n[0]),
	        ctl_show_count((double)ctl_sample_db(s, "expires"), n[1]),
	        ctl_show_count((double)ctl_sample_number(s, "rdb_changes_since_last_save"), n[2]), ctl_show_bytes((double)used, n[3]));
	if (max > 0) {
		fprintf(f, " of %s [%s", ctl_show_bytes((double)max, n[0]), ctl_term_colour(&t->term, used * 10 > max * 9 ? CTL_RED : CTL_GREEN));
		ctl_term_bar(f, &t->term, (double)used / (double)max, 10, true);
		fprintf(f, "%s]", ctl_term_colour(&t->term, CTL_PLAIN));
	}
	fputs(END_OF_LINE, f);
}

static void draw_log(FILE *f, const struct top *t, const struct ctl_sample *s)
{
	char log[CTL_STATE_MAX], snapshot[CTL_STATE_MAX], waiting[CTL_NUMBER_MAX];

	(void)t;
	fprintf(f, "log %s, %s waiting   snapshot %s", ctl_log_state(s, log), ctl_show_bytes((double)ctl_sample_number(s, "aof_buffer_length"), waiting),
	        ctl_snapshot_state(s, snapshot));
	if (ctl_sample_number(s, "rdb_bgsave_in_progress") || ctl_sample_number(s, "aof_rewrite_in_progress")) {
		fputs(" [", f);
		ctl_term_bar(f, &t->term, (double)ctl_sample_number(s, "current_fork_perc") / 100, 20, true);
		fputc(']', f);
	}
	fputs(END_OF_LINE, f);
}

static void draw_rates(FILE *f, const struct ctl_rates *r)
{
	char n[4][CTL_NUMBER_MAX];

	fprintf(f, "changes %s/s   messages %s/s", ctl_show_count(r->changes, n[0]), ctl_show_count(r->messages, n[1]));
	for (int g = 0; g < CTL_OTHER; g++)
		fprintf(f, "  %s %s", ctl_group_name(g), ctl_show_count(r->group[g], n[2]));
	fputs(END_OF_LINE END_OF_LINE, f);
}

/* An operation of the last interval. */
struct row {
	struct ctl_op op;
	uint64_t calls;        /* so far */
};

static int by_calls(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->op.calls != y->op.calls)
		return x->op.calls < y->op.calls ? 1 : -1;
	return x->calls < y->calls ? 1 : x->calls > y->calls ? -1 : strcmp(x->op.name, y->op.name);
}

static void draw_row(FILE *f, const struct top *t, const struct row *r, double seconds, uint64_t most)
{
	char n[6][CTL_NUMBER_MAX];

	fprintf(f, "%-16s %8s %8s %8s %8s %8s ", r->op.name, ctl_show_count((double)r->op.calls / seconds, n[0]),
	        ctl_show_count((double)r->calls, n[1]), r->op.calls > 0 ? ctl_show_us((double)r->op.usec / (double)r->op.calls, n[2]) : "-",
	        r->op.calls > 0 ? ctl_show_us((double)ctl_op_percentile(&r->op, 50), n[3]) : "-",
	        r->op.calls > 0 ? ctl_show_us((double)ctl_op_percentile(&r->op, 99), n[4]) : "-");
	fputs(ctl_term_colour(&t->term, CTL_GREEN), f);
	if (most > 0 && t->term.width > BESIDE_ROW)
		ctl_term_bar(f, &t->term, (double)r->op.calls / (double)most, t->term.width - BESIDE_ROW, false);
	fprintf(f, "%s" END_OF_LINE, ctl_term_colour(&t->term, CTL_PLAIN));
}

static void draw_rows(FILE *f, const struct top *t, const struct ctl_sample *before, const struct ctl_sample *s, double seconds)
{
	struct row rows[STATS_OPCODES];
	size_t count = s->ops, fit = t->term.height > HEAD_LINES + 1 ? (size_t)(t->term.height - HEAD_LINES - 1) : 0;

	for (size_t i = 0; i < count; i++) {
		rows[i].op = ctl_op_since(&s->op[i], before != NULL ? ctl_sample_op(before, s->op[i].name) : NULL);
		rows[i].calls = s->op[i].calls;
	}
	if (count > 0)
		qsort(rows, count, sizeof(rows[0]), by_calls);
	fprintf(f, "%s%-16s %8s %8s %8s %8s %8s%s" END_OF_LINE, ctl_term_colour(&t->term, CTL_BOLD), "operation", "/s", "calls", "mean", "50%<=",
	        "99%<=", ctl_term_colour(&t->term, CTL_PLAIN));
	for (size_t i = 0; i < count && i < fit; i++)
		draw_row(f, t, &rows[i], seconds, rows[0].op.calls);
}

static int write_all(const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, data, len);

		if (n < 0 && errno != EINTR)
			return -EIO;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* The samples that there are. */
static int draw(const struct top *t)
{
	const struct ctl_sample *now = &t->sample[(t->turn + 1) % 2], *before = t->turn > 1 ? &t->sample[t->turn % 2] : NULL;
	struct ctl_rates r;
	char *frame = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&frame, &len);
	int err;

	if (f == NULL)
		return -ENOMEM;
	ctl_rates_between(before, now, &r);
	fputs(HOME, f);
	draw_head(f, t, now);
	draw_memory(f, t, now);
	draw_log(f, t, now);
	draw_rates(f, &r);
	draw_rows(f, t, before, now, r.seconds);
	fprintf(f, "%sq: quit%s" CLEAR_BELOW, ctl_term_colour(&t->term, CTL_DIM), ctl_term_colour(&t->term, CTL_PLAIN));
	err = fclose(f) == 0 ? write_all(frame, len) : -ENOMEM;
	free(frame);
	return err;
}

/* ---- the terminal ---- */

static int enter(struct top *t)
{
	struct termios raw;
	sigset_t wanted;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGHUP);
	sigaddset(&wanted, SIGQUIT);
	sigaddset(&wanted, SIGWINCH);
	sigprocmask(SIG_BLOCK, &wanted, &t->mask);
	t->signals = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
	if (t->signals < 0) {
		sigprocmask(SIG_SETMASK, &t->mask, NULL);
		return -EMFILE;
	}
	t->keys = tcgetattr(STDIN_FILENO, &t->mode) == 0;
	if (t->keys) {
		raw = t->mode;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		/* A screen that stops would leave the terminal as it is now. */
		raw.c_cc[VSUSP] = _POSIX_VDISABLE;
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	return write_all(ENTER, sizeof(ENTER) - 1);
}

static void leave(struct top *t)
{
	(void)write_all(LEAVE, sizeof(LEAVE) - 1);
	if (t->keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &t->mode);
	close(t->signals);
	sigprocmask(SIG_SETMASK, &t->mask, NULL);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits until DUE_MS.  False: somebody wants the end.  Another size of the terminal is drawn at once. */
static bool wait_until(struct top *t, int64_t due_ms)
{
	struct pollfd p[2] = { { .fd = t->signals, .events = POLLIN }, { .fd = t->keys ? STDIN_FILENO : -1, .events = POLLIN } };
	struct signalfd_siginfo info;
	char key;

	for (int64_t now = now_ms(); now < due_ms; now = now_ms()) {
		if (poll(p, 2, (int)(due_ms - now)) < 0 && errno != EINTR)
			return false;
		if (read(t->signals, &info, sizeof(info)) == sizeof(info)) {
			if (info.ssi_signo != SIGWINCH)
				return false;
			ctl_term_look(&t->term);
			if (draw(t) < 0)
				return false;
		}
		if ((p[1].revents & (POLLIN | POLLHUP)) != 0 && (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q'))
			return false;
	}
	return true;
}

int ctl_top_screen(struct ctl_client *c, const struct ctl_show *s)
{
	struct top t = { .turn = 0 };
	int64_t due_ms = now_ms();
	int err;

	ctl_term_look(&t.term);
	err = enter(&t);
	if (err < 0)
		return err;
	do {
		err = ctl_sample_take(c, &t.sample[t.turn % 2]);
		if (err < 0)
			break;
		t.turn++;
		err = draw(&t);
		due_ms += s->interval_ms;
	} while (err == 0 && wait_until(&t, due_ms));
	leave(&t);
	ctl_sample_fini(&t.sample[0]);
	ctl_sample_fini(&t.sample[1]);
	return err;
}
