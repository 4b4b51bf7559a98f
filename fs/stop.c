/* stop.c -- see stop.h. */
#include "fs/stop.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum {
	PAUSE_MS = 1000,         /* between two tries */
	JOB_PAUSE_MS = 20,       /* for a job that is on its way out */
};

/* One wait for persist. */
struct answer {
	struct persist_waiter waiter;
	int wake_fd;             /* C borrowed */
	_Atomic bool done;       /* a  then ERR may be read */
	int err;
};

/*  C constant after new   R lock   M the thread that waits  */
struct stop {
	struct log *log;                 /* C */
	int signal_fd, wake_fd;          /* C */
	pthread_mutex_t lock;
	bool asked;                      /* R  until it is decided */
	bool aborted;                    /* R */
	struct stop_request want;        /* R  of all who asked; WAITER is unused */
	struct persist_waiter *waiters;  /* R */
	struct persist *persist;         /* M  borrowed during stop_wait() */
	int ended_fd;                    /* M */
	bool trying, by_signal;          /* M */
	bool unmounted, insisted;        /* M */
	struct answer answer;            /* M  of persist: outlives stop_wait() when it was not waited for to its end */
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void wake(int fd)
{
	const uint64_t one = 1;

	/* Fails only when it is full of wakes already. */
	if (write(fd, &one, sizeof(one)) < 0)
		assert(errno == EAGAIN);
}

/* ---- life ---- */

static int take_signals(int *ret_fd)
{
	sigset_t ends, blocked;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	blocked = ends;
	sigaddset(&blocked, SIGHUP);
	sigaddset(&blocked, SIGUSR1);
	sigaddset(&blocked, SIGUSR2);
	sigaddset(&blocked, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	*ret_fd = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	return *ret_fd < 0 ? -errno : 0;
}

int stop_new(struct log *log, struct stop **ret)
{
	struct stop *st = calloc(1, sizeof(*st));
	int err;

	if (!st)
		return -ENOMEM;
	st->log = log;
	st->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = st->wake_fd < 0 ? -errno : take_signals(&st->signal_fd);
	if (err < 0) {
		if (st->wake_fd >= 0)
			close(st->wake_fd);
		free(st);
		return err;
	}
	pthread_mutex_init(&st->lock, NULL);
	*ret = st;
	return 0;
}

/* Tells everybody who asked. */
static void tell(struct stop *st, int err)
{
	struct persist_waiter *w;

	pthread_mutex_lock(&st->lock);
	w = st->waiters;
	st->waiters = NULL;
	st->asked = st->aborted = false;
	st->want = (struct stop_request){ .save = FINAL_SAVE_BY_RULES };
	pthread_mutex_unlock(&st->lock);
	while (w) {
		struct persist_waiter *next = w->next;

		w->done(w, err);
		w = next;
	}
}

void stop_free(struct stop *st)
{
	if (!st)
		return;
	tell(st, 0);
	close(st->signal_fd);
	close(st->wake_fd);
	pthread_mutex_destroy(&st->lock);
	free(st);
}

/* ---- asking ---- */

void stop_request(struct stop *st, const struct stop_request *r)
{
	pthread_mutex_lock(&st->lock);
	if (!st->asked)
		st->want = (struct stop_request){ .save = r->save };
	else if (r->save != FINAL_SAVE_BY_RULES)
		st->want.save = r->save;
	st->want.now |= r->now;
	st->want.force |= r->force;
	st->asked = true;
	if (r->waiter) {
		r->waiter->next = st->waiters;
		st->waiters = r->waiter;
	}
	pthread_mutex_unlock(&st->lock);
	wake(st->wake_fd);
}

bool stop_abort(struct stop *st)
{
	bool asked;

	pthread_mutex_lock(&st->lock);
	asked = st->asked;
	st->aborted |= asked;
	pthread_mutex_unlock(&st->lock);
	if (asked)
		wake(st->wake_fd);
	return asked;
}

static struct stop_request wanted(struct stop *st)
{
	struct stop_request want;

	pthread_mutex_lock(&st->lock);
	want = st->want;
	pthread_mutex_unlock(&st->lock);
	return want;
}

static bool is_asked(struct stop *st)
{
	bool asked;

	pthread_mutex_lock(&st->lock);
	asked = st->asked;
	pthread_mutex_unlock(&st->lock);
	return asked;
}

static bool is_aborted(struct stop *st)
{
	bool aborted;

	pthread_mutex_lock(&st->lock);
	aborted = st->aborted;
	pthread_mutex_unlock(&st->lock);
	return aborted;
}

/* ---- waiting ---- */

static void take_signal(struct stop *st)
{
	const struct stop_request by_signal = { .save = FINAL_SAVE_BY_RULES };
	struct signalfd_siginfo info;

	if (read(st->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	const char *name = info.ssi_signo == SIGINT ? "INT" : "TERM";
	if (st->trying) {
		log_printf(st->log, LOG_LEVEL_WARNING, "Received SIG%s again, stopping with what is on disk", name);
		st->insisted = true;
		return;
	}
	log_printf(st->log, LOG_LEVEL_NOTICE, "Received SIG%s, stopping", name);
	st->by_signal = true;
	stop_request(st, &by_signal);
}

/* Looks at everything that may have happened, after at most TIMEOUT_MS (-1: when something has). */
static void look(struct stop *st, int timeout_ms)
{
	struct pollfd p[] = {
		{ .fd = st->signal_fd, .events = POLLIN },
		{ .fd = st->wake_fd, .events = POLLIN },
		{ .fd = st->ended_fd, .events = POLLIN },
	};
	uint64_t wakes;

	if (poll(p, sizeof(p) / sizeof(p[0]), timeout_ms) <= 0)
		return;
	if (p[1].revents && read(st->wake_fd, &wakes, sizeof(wakes)) < 0)
		assert(errno == EAGAIN || errno == EINTR);
	if (p[2].revents)
		st->unmounted = true;
	if (p[0].revents)
		take_signal(st);
}

/* There is no way back, or nobody wants to wait for it. */
static bool is_over(const struct stop *st)
{
	return st->unmounted || st->insisted;
}

static void on_answer(struct persist_waiter *w, int err)
{
	struct answer *a = (struct answer *)((char *)w - offsetof(struct answer, waiter));
	int wake_fd = a->wake_fd;

	a->err = err;
	atomic_store(&a->done, true);
	wake(wake_fd);
}

static struct persist_waiter *fresh_waiter(struct stop *st)
{
	st->answer = (struct answer){ .waiter = { .done = on_answer }, .wake_fd = st->wake_fd };
	return &st->answer.waiter;
}

/* Until persist has answered.  PARKED: what the call said.  -EINTR: it is over, and the answer may still come. */
static int await(struct stop *st, int parked)
{
	bool cancelled = false;

	if (parked != 1)
		return parked;
	while (!atomic_load(&st->answer.done)) {
		look(st, -1);
		if (is_over(st))
			return -EINTR;
		if (!cancelled && is_aborted(st)) {
			persist_bgsave_cancel(st->persist);
			cancelled = true;
		}
	}
	return st->answer.err;
}

/* ---- deciding ---- */

static int save_first(struct stop *st)
{
	enum persist_final_save save = wanted(st).save;
	int err;

	if (save == FINAL_SAVE_NEVER || !st->persist)
		return 0;
	err = await(st, persist_fsync(st->persist, 0, fresh_waiter(st)));
	if (err < 0)
		return err;
	while ((err = persist_save_before_stop(st->persist, save, fresh_waiter(st))) == -EALREADY) {
		look(st, JOB_PAUSE_MS);
		if (is_over(st) || is_aborted(st))
			return -EINTR;
	}
	return await(st, err);
}

static void go_on(struct stop *st, const char *why)
{
	log_printf(st->log, LOG_LEVEL_WARNING, "Errors trying to shut down: %s; the daemon goes on", why);
	tell(st, -ECANCELED);
}

/* True: the daemon is to end now. */
static bool try_stop(struct stop *st, struct stop_how *ret)
{
	int64_t begun = now_ms(), timeout_ms = st->persist ? persist_shutdown_timeout_s(st->persist) * 1000 : 0;
	bool said = false;

	if (!st->by_signal)
		log_line(st->log, LOG_LEVEL_NOTICE, "User requested shutdown, stopping");
	for (;;) {
		int err = save_first(st);
		struct stop_request want = wanted(st);
		bool late = want.now || now_ms() - begun >= timeout_ms;

		*ret = (struct stop_how){ .save = want.save, .try_again = (err == 0 || st->unmounted) && !want.now };
		if (want.save == FINAL_SAVE_ALWAYS && err == 0)
			ret->save = FINAL_SAVE_IF_DIRTY;
		if (err == 0 || is_over(st) || (late && want.force))
			return true;
		if (is_aborted(st) || late) {
			go_on(st, is_aborted(st) ? "it was aborted" : strerror(-err));
			return false;
		}
		if (!said)
			log_printf(st->log, LOG_LEVEL_WARNING, "What is to be saved before the stop can't be written: %s; trying again for %lld s",
			           strerror(-err), (long long)(timeout_ms / 1000));
		said = true;
		look(st, PAUSE_MS);
	}
}

void stop_wait(struct stop *st, struct persist *p, int ended_fd, void (*on_try)(void *ctx, bool trying), void *ctx, struct stop_how *ret)
{
	st->persist = p;
	st->ended_fd = ended_fd;
	for (;;) {
		while (!st->unmounted && !is_asked(st))
			look(st, -1);
		st->trying = true;
		if (!st->unmounted) {
			on_try(ctx, true);
			if (try_stop(st, ret))
				break;
			on_try(ctx, false);
		}
		st->trying = st->by_signal = false;
		if (st->unmounted) {
			log_line(st->log, LOG_LEVEL_NOTICE, "Unmounted, stopping");
			*ret = (struct stop_how){ .save = FINAL_SAVE_BY_RULES, .try_again = true };
			break;
		}
	}
}
