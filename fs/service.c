#include "fs/service.h"
#include "fs/control.h"
#include "fs/log.h"
#include "fs/loop.h"
#include "fs/mount.h"
#include "fs/mountinfo.h"
#include "fs/notify.h"
#include "fs/progress.h"
#include "persist/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RETRY_NS 20000000L   /* between two looks at a directory that is held */

/*  C  constant after start    a  atomic; the rest belongs to the main thread  */
struct service {
	struct config *config;    /* C */
	struct log log;           /* C */
	bool log_open;
	struct progress progress;
	int64_t load_ns;          /* how long the load took */
	char *place;              /* the mount point, until the mount has it */
	int dir_fd;               /* C  of the data directory */
	int signal_fd;
	int stop_fd;              /* C  eventfd: somebody asked for the end */
	_Atomic int how;          /* a  enum persist_final_save */
	struct keyspace *ks;      /* C */
	struct persist *persist;  /* C */
	bool persisting;          /* its threads run */
	struct ops_env env;       /* C */
	struct mount mount;       /* C */
	struct notify *notify;    /* C  before persist's threads start */
	struct loop *loop;        /* C */
	struct control *control;
	struct stats stats;
};

/* ---- what persist needs ---- */

static void port_log(void *ctx, enum persist_log_level level, const char *line)
{
	static const enum log_level levels[] = {
		[PERSIST_DEBUG] = LOG_LEVEL_DEBUG,
		[PERSIST_INFO] = LOG_LEVEL_NOTICE,
		[PERSIST_WARNING] = LOG_LEVEL_WARNING,
		[PERSIST_ERROR] = LOG_LEVEL_WARNING,
	};
	struct service *s = ctx;

	log_line(&s->log, levels[level], line);
}

static void port_gone(void *ctx, uint64_t parent, const char *name, size_t len, uint64_t id)
{
	struct service *s = ctx;

	if (s->notify)
		notify_gone(s->notify, parent, name, len, id);
}

static void port_loading(void *ctx, uint64_t done, uint64_t total, uint64_t keys)
{
	struct service *s = ctx;

	progress_update(&s->progress, done, total, keys);
}

/* ---- asking for the end ---- */

static void request_stop(void *ctx, enum persist_final_save how)
{
	const uint64_t one = 1;
	struct service *s = ctx;

	atomic_store(&s->how, (int)how);
	/* Fails only when it is full of requests. */
	if (write(s->stop_fd, &one, sizeof(one)) < 0)
		return;
}

/* From here on signals come through signal_fd, and no thread started later ever sees one. */
static int take_signals(struct service *s, struct error *e)
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
	s->signal_fd = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->signal_fd < 0 || s->stop_fd < 0)
		return error_set(e, -errno, "signals: %s", strerror(errno));
	return 0;
}

static void wait_for_end(struct service *s)
{
	struct pollfd p[] = {
		{ .fd = s->signal_fd, .events = POLLIN },
		{ .fd = s->stop_fd, .events = POLLIN },
		{ .fd = loop_ended_fd(s->loop), .events = POLLIN },
	};
	struct signalfd_siginfo info;

	while (poll(p, sizeof(p) / sizeof(p[0]), -1) < 0 && errno == EINTR)
		;
	if (p[0].revents && read(s->signal_fd, &info, sizeof(info)) == sizeof(info))
		log_printf(&s->log, LOG_LEVEL_NOTICE, "Received SIG%s, stopping", info.ssi_signo == SIGINT ? "INT" : "TERM");
	else if (p[1].revents)
		log_line(&s->log, LOG_LEVEL_NOTICE, "User requested shutdown, stopping");
	else
		log_line(&s->log, LOG_LEVEL_NOTICE, "Unmounted, stopping");
}

/* ---- starting ---- */

/* The data directory: absolute, made if only itself is missing, opened. */
static int open_dir(struct service *s, struct error *e)
{
	const char *dir = s->config->dir;
	char *resolved;
	int err;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return error_set(e, -errno, "data directory %s: %s", dir, strerror(errno));
	resolved = realpath(dir, NULL);
	if (!resolved)
		return error_set(e, -errno, "data directory %s: %s", dir, strerror(errno));
	err = config_set(s->config, "dir", resolved, e);
	free(resolved);
	if (err < 0)
		return err;
	s->dir_fd = open(s->config->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return error_set(e, -errno, "data directory %s: %s", s->config->dir, strerror(errno));
	return 0;
}

/* A relative logfile lies in the data directory, as Redis's. */
static int start_log(struct service *s, bool foreground, struct error *e)
{
	const char *logfile = s->config->logfile;
	char *absolute = NULL;
	int err;

	if (*logfile && *logfile != '/') {
		if (asprintf(&absolute, "%s/%s", s->config->dir, logfile) < 0)
			return error_set(e, -ENOMEM, "logfile: %s", strerror(ENOMEM));
		logfile = absolute;
	}
	err = log_open(&s->log, logfile, foreground, s->config->loglevel, e);
	free(absolute);
	s->log_open = err == 0;
	log_set_starting(&s->log, !foreground);
	return err;
}

static int make_keyspace(struct service *s, struct error *e)
{
	struct keyspace_options o = {
		.value_max = s->config->value_max,
		.memory_max = s->config->maxmemory,
		.root_uid = geteuid(),
		.root_gid = getegid(),
		.root_mode = 0755,
	};
	struct timespec now;
	int err;

	if (getrandom(o.hash_seed, sizeof(o.hash_seed), 0) != sizeof(o.hash_seed))
		return error_set(e, -EIO, "getrandom: no random numbers");
	clock_gettime(CLOCK_REALTIME, &now);
	o.now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	err = keyspace_new(&o, &s->ks);
	return err < 0 ? error_set(e, err, "%s", strerror(-err)) : 0;
}

static void say_waiting(struct service *s)
{
	log_printf(&s->log, LOG_LEVEL_NOTICE, "%s is held by a daemon that is still saving, waiting for it", s->config->dir);
	if (s->log.target != LOG_TO_STDERR)
		fprintf(stderr, "kvfs: %s is held by a daemon that is still saving, waiting for it\n", s->config->dir);
}

struct user { const char *dir; struct error *e; };

static int refuse_mounted(void *ctx, const struct mountinfo *m)
{
	const struct user *u = ctx;

	if (strcmp(m->type, "fuse.kvfs") != 0 || strcmp(m->source, u->dir) != 0)
		return 0;
	u->e->text[0] = '\0';
	return error_set(u->e, -EBUSY, "data directory %s: it is mounted on %s already", u->dir, m->point);
}

/* Whoever holds the directory and has it mounted will not be gone in a moment: -EBUSY.  Else it is on its way out. */
static int check_mounted(struct service *s, struct error *e)
{
	struct user u = { .dir = s->config->dir, .e = e };

	return mountinfo_each(refuse_mounted, &u) == -EBUSY ? -EBUSY : 0;
}

/* Locks the directory and loads it, waiting for its last user if need be. */
static int load(struct service *s, struct error *e)
{
	const struct persist_port port = { .ctx = s, .log = port_log, .gone = port_gone, .loading = port_loading };
	const struct timespec pause = { .tv_nsec = RETRY_NS };
	int64_t tries = s->config->start_timeout_s * (1000000000 / RETRY_NS);
	bool said = false;
	int err;

	for (;;) {
		progress_init(&s->progress);
		err = persist_open(&s->config->persist, s->ks, &port, e, &s->persist);
		progress_end(&s->progress);
		s->load_ns = progress_elapsed_ns(&s->progress);
		if (err != -EWOULDBLOCK || tries-- <= 0)
			return err;
		if (!said && check_mounted(s, e) < 0)
			return -EBUSY;
		if (!said)
			say_waiting(s);
		said = true;
		e->text[0] = '\0';
		nanosleep(&pause, NULL);
	}
}

static int start_mount(struct service *s, struct error *e)
{
	const struct mount_options o = {
		.source = s->config->dir,
		.kernel = s->config->mount_options,
		.allow_other = s->config->allow_other,
	};
	const struct loop_options loop = {
		.threads = s->config->threads,
		.spin_us = s->config->spin_us,
		.latency = s->config->latency,
	};
	char *place = s->place;
	int err;

	s->env = (struct ops_env){ .ks = s->ks, .persist = s->persist };
	s->place = NULL;
	err = mount_open(&s->mount, place, &o, &s->env, e);
	if (err < 0)
		return err;
	err = notify_start(s->mount.se, &s->stats, &s->log, &s->notify);
	s->env.notify = s->notify;
	if (err == 0)
		err = loop_new(s->mount.se, &loop, &s->stats, &s->log, &s->loop);
	return err < 0 ? error_set(e, err, "%s: %s", s->mount.point, strerror(-err)) : 0;
}

static int start_threads(struct service *s, struct error *e)
{
	const struct control_env env = {
		.config = s->config,
		.ks = s->ks,
		.persist = s->persist,
		.stats = &s->stats,
		.mountpoint = s->mount.point,
		.request_stop = request_stop,
		.stop_ctx = s,
		.dir_fd = s->dir_fd,
	};
	int err;

	err = persist_start(s->persist, e);
	if (err < 0)
		return err;
	s->persisting = true;
	err = control_start(&env, e, &s->control);
	if (err < 0)
		return err;
	err = loop_start(s->loop);
	return err < 0 ? error_set(e, err, "%s: %s", s->mount.point, strerror(-err)) : 0;
}

/* Everything up to the point where requests are answered. */
static int start(struct service *s, const struct service_options *o, struct error *e)
{
	int err;

	err = open_dir(s, e);
	if (err == 0)
		err = start_log(s, o->foreground, e);
	if (err == 0)
		err = mount_place(o->mountpoint, s->config->dir, &s->log, &s->place, e);
	if (err == 0)
		err = make_keyspace(s, e);
	if (err == 0)
		err = load(s, e);
	if (err == 0)
		err = take_signals(s, e);
	if (err == 0)
		err = start_mount(s, e);
	if (err == 0)
		err = start_threads(s, e);
	return err;
}

/* What the load came to: each line to the log, and behind "kvfs: " to TEXT. */
static int report(struct service *s, struct bytes *text)
{
	const char *line = persist_load_report(s->persist);
	struct persist_info info;
	int err = 0;

	persist_get_info(s->persist, &info);
	if (info.rdb_last_load_keys_loaded > 0) {
		double seconds = (double)s->load_ns / 1e9;

		log_printf(&s->log, LOG_LEVEL_NOTICE, "%" PRIu64 " keys loaded in %.3f seconds", info.rdb_last_load_keys_loaded, seconds);
		err = bytes_addf(text, "kvfs: %" PRIu64 " keys loaded in %.3f seconds\n", info.rdb_last_load_keys_loaded, seconds);
	}
	while (err == 0 && *line) {
		int len = (int)strcspn(line, "\n");

		log_printf(&s->log, LOG_LEVEL_NOTICE, "%.*s", len, line);
		err = bytes_addf(text, "kvfs: %.*s\n", len, line);
		line += len + (line[len] == '\n');
	}
	return err;
}

/* Tells whoever waits at the terminal; from here on the log alone is left. */
static int ready(struct service *s, const struct service_options *o, struct error *e)
{
	struct bytes text = { 0 };
	int err;

	err = report(s, &text);
	if (err == 0)
		err = bytes_add(&text, "", 1);
	if (err == 0)
		err = daemon_ready(o->daemon, text.data);
	bytes_fini(&text);
	if (err < 0)
		return error_set(e, err, "cannot go to the background: %s", strerror(-err));
	log_set_starting(&s->log, false);
	log_printf(&s->log, LOG_LEVEL_NOTICE, "%s is mounted on %s", s->config->dir, s->mount.point);
	return 0;
}

/* ---- stopping ---- */

/* Undoes what start() came to.  0, or what could not be made to last. */
static int stop(struct service *s)
{
	int err = 0;

	if (s->mount.mounted)
		mount_detach(&s->mount, s->control != NULL, &s->log);
	notify_stop(s->notify);
	if (s->loop)
		loop_stop(s->loop);
	control_stop(s->control);
	if (s->persisting)
		err = persist_stop(s->persist, (enum persist_final_save)atomic_load(&s->how));
	mount_close(&s->mount);
	loop_free(s->loop);
	notify_free(s->notify);
	persist_close(s->persist);
	keyspace_free(s->ks);
	return err;
}

static void fini(struct service *s)
{
	const int fds[] = { s->dir_fd, s->signal_fd, s->stop_fd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (s->log_open)
		log_close(&s->log);
	free(s->place);
	free(s);
}

int service_run(const struct service_options *o)
{
	struct service *s = calloc(1, sizeof(*s));
	struct error e = { .text = "" };
	int err, stop_err;

	if (!s) {
		fprintf(stderr, "kvfs: %s\n", strerror(ENOMEM));
		return 1;
	}
	s->config = o->config;
	s->dir_fd = s->signal_fd = s->stop_fd = -1;
	atomic_init(&s->how, FINAL_SAVE_BY_RULES);
	signal(SIGPIPE, SIG_IGN);

	err = start(s, o, &e);
	if (err == 0)
		err = ready(s, o, &e);
	if (err == 0)
		wait_for_end(s);
	else
		fprintf(stderr, "kvfs: %s\n", e.text);
	stop_err = stop(s);
	if (stop_err < 0)
		log_printf(&s->log, LOG_LEVEL_WARNING, "Stopped, but not everything could be made to last: %s", strerror(-stop_err));
	else if (err == 0)
		log_line(&s->log, LOG_LEVEL_NOTICE, "Stopped, everything is on disk");
	fini(s);
	return err < 0 || stop_err < 0 ? 1 : 0;
}
