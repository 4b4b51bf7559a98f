#include "fs/service.h"
#include "fs/control.h"
#include "fs/guard.h"
#include "fs/log.h"
#include "fs/loop.h"
#include "fs/mount.h"
#include "fs/mountinfo.h"
#include "fs/notify.h"
#include "fs/progress.h"
#include "fs/reaper.h"
#include "fs/reply.h"
#include "fs/settle.h"
#include "fs/stop.h"
#include "fs/supervisor.h"
#include "fs/uring.h"
#include "persist/bytes.h"
#include "persist/view.h"
#include "store/evict.h"
#include "store/observer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SPARE_CHUNKS = 128 };   /* 2 MiB: two writes of the kernel's largest size */
#define RETRY_NS 20000000L   /* between two looks at a directory that is held */

/*  C  constant after start    a  atomic; the rest belongs to the main thread  */
struct service {
	struct config *config;    /* C */
	struct log log;           /* C */
	bool log_open;
	struct progress progress;
	struct supervisor supervisor;
	int64_t load_ns;          /* how long the load took */
	char *source;             /* C  data directory, or what is viewed; absolute */
	bool is_view;             /* C */
	struct view view;         /* C */
	char *place;              /* the mount point, until the mount has it */
	int dir_fd;               /* C  of the data directory; a view: -1 */
	struct stop *stop;        /* C */
	struct stop_how how;      /* once the end is decided */
	struct keyspace *ks;      /* C */
	struct persist *persist;  /* C  a view: NULL, as are notify and control */
	bool persisting;          /* its threads run */
	struct guard *guard;      /* C  a view: NULL */
	struct reaper reaper;     /* C  not of a view */
	struct ops_env env;       /* C */
	struct uring uring;       /* C */
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

static void port_gone(void *ctx, const struct keyspace_place *place)
{
	struct service *s = ctx;

	notify_gone(s->notify, place, NULL);
}

static bool port_busy(void *ctx)
{
	struct service *s = ctx;

	return notify_is_busy(s->notify);
}

static void port_loading(void *ctx, uint64_t done, uint64_t total, uint64_t keys)
{
	struct service *s = ctx;

	progress_update(&s->progress, done, total, keys);
	supervisor_tell_slowly(&s->supervisor, "Loading: %d%%, %" PRIu64 " keys", total && done < total ? (int)((double)done / (double)total * 100) : 100,
	                       keys);
}

/* ---- what the control thread needs ---- */

/* What maxmemory is in bytes; a percentage is of what there is now. */
static uint64_t memory_max(struct service *s)
{
	struct guard_info g;

	if (s->config->maxmemory >= 0)
		return (uint64_t)s->config->maxmemory;
	guard_look(s->guard);
	guard_get_info(s->guard, &g);
	if (g.memory.total == 0)
		log_line(&s->log, LOG_LEVEL_WARNING, "maxmemory is a percentage, but the kernel does not say how much memory there is: there is no limit");
	return g.memory.total / 100 * (uint64_t)-s->config->maxmemory;
}

static void limit_memory(struct service *s)
{
	const uint64_t max = memory_max(s);
	struct usage u;
	uint64_t used;

	keyspace_set_eviction(s->ks, s->config->policy, s->config->samples);
	keyspace_usage(s->ks, &u);
	used = u.bytes_total - u.bytes_idle;
	if (max == u.bytes_max)
		return;
	keyspace_set_memory_max(s->ks, max);
	if (max > 0 && max < used)
		log_printf(&s->log, LOG_LEVEL_WARNING, "maxmemory is %" PRIu64 ", but %" PRIu64 " bytes are in use: what needs more %s", max, used,
		           s->config->policy == EVICT_NONE ? "fails with ENOSPC" : "makes keys go");
}

/* From here on nothing grows into what the machine has not.  A view does not grow. */
static int guard_memory(struct service *s, struct error *e)
{
	int err;

	if (s->is_view)
		return 0;
	err = guard_new(s->ks, &s->log, s->config->memory_root, &s->guard);
	if (err < 0)
		return error_set(e, err, "%s", strerror(-err));
	limit_memory(s);
	return 0;
}

/* Everybody who goes by a setting that may change gets it. */
static void hand_over_settings(void *ctx)
{
	struct service *s = ctx;
	const struct config *c = s->config;

	log_set_level(&s->log, c->loglevel);
	keyspace_set_value_max(s->ks, c->value_max);
	limit_memory(s);
	loop_set(s->loop, c->spin_us, c->latency);
	persist_set(s->persist, &c->persist);
}

/* ---- starting ---- */

/* The data directory: absolute, made if only itself is missing, opened. */
static int open_dir(struct service *s, struct error *e)
{
	const char *dir = s->config->dir;
	char *resolved;
	int err;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return error_set(e, -errno, "data directory %s: %s%s", dir, strerror(errno), errno == ENOENT ? " (mkdir -p it first)" : "");
	resolved = realpath(dir, NULL);
	if (!resolved)
		return error_set(e, -errno, "data directory %s: %s", dir, strerror(errno));
	err = config_set(s->config, "dir", resolved, e);
	free(resolved);
	if (err < 0)
		return err;
	s->dir_fd = open(s->config->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0 || faccessat(s->dir_fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return error_set(e, -errno, "data directory %s: %s", s->config->dir, strerror(errno));
	s->source = strdup(s->config->dir);
	return s->source ? 0 : error_set(e, -ENOMEM, "%s", strerror(ENOMEM));
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

/* Without maxmemory, which holds for changes: what the files have is loaded, however much it is. */
static int make_keyspace(struct service *s, struct error *e)
{
	struct keyspace_options o = {
		.value_max = s->config->value_max,
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

/* What persist says of damaged files names the command, but not the directory, which it does not know by a name that counts elsewhere. */
static void name_dir(struct error *e, const char *dir)
{
	static const char command[] = "kvfs-ctl check ", word[] = "DIR";
	const struct error before = *e;
	const char *at = strstr(before.text, command), *rest;

	if (!at || strncmp(at + strlen(command), word, strlen(word)) != 0)
		return;
	at += strlen(command);
	rest = at + strlen(word);
	snprintf(e->text, sizeof(e->text), "%.*s%s%s", (int)(at - before.text), before.text, dir, rest);
}

/* Locks the directory and loads it, waiting for its last user if need be. */
static int load(struct service *s, struct error *e)
{
	const struct persist_port port = { .ctx = s, .log = port_log, .gone = port_gone, .busy = port_busy, .loading = port_loading };
	const struct timespec pause = { .tv_nsec = RETRY_NS };
	int64_t tries = s->config->start_timeout_s * (1000000000 / RETRY_NS);
	bool said = false;
	int err;

	for (;;) {
		progress_init(&s->progress);
		err = persist_open(&s->config->persist, s->ks, &port, e, &s->persist);
		progress_end(&s->progress);
		s->load_ns = progress_elapsed_ns(&s->progress);
		if (err < 0 && err != -EWOULDBLOCK)
			name_dir(e, s->config->dir);
		if (err != -EWOULDBLOCK || tries-- <= 0)
			return err;
		if (!said && check_mounted(s, e) < 0)
			return -EBUSY;
		if (!said)
			say_waiting(s);
		said = true;
		supervisor_tell_slowly(&s->supervisor, "Waiting for the daemon before, which is still saving in %s", s->config->dir);
		e->text[0] = '\0';
		nanosleep(&pause, NULL);
	}
}

/* ---- a view ---- */

/* What is looked at, absolute.  Nothing is written beside it: a log file that would lie there is none. */
static int open_view(struct service *s, const char *source, struct error *e)
{
	const char *logfile = s->config->logfile;
	struct stat st;
	size_t len;

	s->source = realpath(source, NULL);
	if (!s->source || stat(s->source, &st) < 0)
		return error_set(e, -errno, "%s: %s", source, strerror(errno));
	len = S_ISDIR(st.st_mode) ? strlen(s->source) : (size_t)(strrchr(s->source, '/') - s->source);
	if (*logfile && (*logfile != '/' || (strncmp(logfile, s->source, len) == 0 && logfile[len] == '/')))
		return config_set(s->config, "logfile", "", e);
	return 0;
}

static int refuse_change(void *ctx, struct mutation *m)
{
	(void)ctx;
	(void)m;
	return -EROFS;
}

static int load_view(struct service *s, int64_t until_ns, struct error *e)
{
	static const struct observer refuse = { .record = refuse_change };
	const struct persist_port port = { .ctx = s, .log = port_log, .loading = port_loading };
	int err = settle(s->source);

	if (err < 0)
		log_printf(&s->log, LOG_LEVEL_WARNING, "the daemon that has %s mounted could not write what is not in its log yet (%s): it is not shown",
		           s->source, strerror(-err));
	progress_init(&s->progress);
	err = view_load(s->source, &s->config->persist, until_ns, s->ks, &port, &s->view, e);
	progress_end(&s->progress);
	s->load_ns = progress_elapsed_ns(&s->progress);
	/* The kernel refuses first, unless somebody mounts it again as rw. */
	if (err == 0)
		keyspace_set_observer(s->ks, &refuse);
	return err;
}

/* ---- the mount ---- */

static int take_signals(struct service *s, struct error *e)
{
	int err = stop_new(&s->log, &s->stop);

	return err < 0 ? error_set(e, err, "signals: %s", strerror(-err)) : 0;
}

static int start_mount(struct service *s, struct error *e)
{
	const struct mount_options o = {
		.source = s->source,
		.view = s->is_view,
		.kernel = s->config->mount_options,
		.allow_other = s->config->allow_other,
		.uring = s->config->io_uring && uring_is_built(),
	};
	const struct loop_options loop = {
		.threads = s->config->threads,
		.spin_us = s->config->spin_us,
		.latency = s->config->latency,
	};
	const enum atime_rule atime = s->is_view ? ATIME_NEVER : s->config->atime;
	const char *obstacle = s->config->io_uring ? uring_obstacle() : NULL;
	char *place = s->place;
	int err;

	if (obstacle)
		log_printf(&s->log, LOG_LEVEL_NOTICE, "io-uring: %s; requests are read from /dev/fuse", obstacle);
	s->env = (struct ops_env){ .ks = s->ks, .persist = s->persist, .xattr = s->config->xattr, .acl = s->config->acl,
	                         .devices = s->config->devices, .atime = atime,
	                         .dir_atime = s->config->nodiratime ? ATIME_NEVER : atime, .clock_ns = s->view.clock_ns };
	s->env.uring = o.uring ? &s->uring : NULL;
	s->place = NULL;
	err = mount_open(&s->mount, place, &o, &s->env, e);
	if (err < 0)
		return err;
	if (!s->is_view)
		err = notify_start(s->mount.se, &s->stats, &s->log, &s->notify);
	s->env.notify = s->notify;
	s->env.guard = s->guard;
	s->env.stats = &s->stats;
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
		.notify = s->notify,
		.guard = s->guard,
		.mountpoint = s->mount.point,
		.stop = s->stop,
		.configured = hand_over_settings,
		.configured_ctx = s,
		.dir_fd = s->dir_fd,
	};
	int err = 0;

	if (!s->is_view) {
		err = persist_start(s->persist, e);
		if (err < 0)
			return err;
		s->persisting = true;
		value_keep_chunks(SPARE_CHUNKS);
		err = reaper_start(&s->reaper, s->ks);
		if (err < 0)
			log_printf(&s->log, LOG_LEVEL_WARNING, "the thread that frees large values can't be started: %s; those who remove them do", strerror(-err));
		err = control_start(&env, e, &s->control);
	}
	if (err < 0)
		return err;
	err = loop_start(s->loop);
	return err < 0 ? error_set(e, err, "%s: %s", s->mount.point, strerror(-err)) : 0;
}

/* Everything up to the point where requests are answered. */
static int start(struct service *s, const struct service_options *o, struct error *e)
{
	int err;

	s->is_view = o->view != NULL;
	err = s->is_view ? open_view(s, o->view, e) : open_dir(s, e);
	if (err == 0)
		err = start_log(s, o->foreground, e);
	if (err == 0)
		err = mount_place(o->mountpoint, s->source, &s->log, &s->place, e);
	if (err == 0)
		err = make_keyspace(s, e);
	if (err == 0)
		err = s->is_view ? load_view(s, o->until_ns, e) : load(s, e);
	if (err == 0)
		err = guard_memory(s, e);
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
	const char *line = s->is_view ? s->view.report.data : persist_load_report(s->persist);
	struct persist_info info = { 0 };
	uint64_t keys = s->view.keys;
	int err = 0;

	if (!s->is_view) {
		persist_get_info(s->persist, &info);
		keys = info.rdb_last_load_keys_loaded;
	}
	if (keys > 0) {
		double seconds = (double)s->load_ns / 1e9;

		log_printf(&s->log, LOG_LEVEL_NOTICE, "%" PRIu64 " keys loaded in %.3f seconds", keys, seconds);
		err = bytes_addf(text, "kvfs: %" PRIu64 " keys loaded in %.3f seconds\n", keys, seconds);
	}
	while (err == 0 && *line) {
		int len = (int)strcspn(line, "\n");

		log_printf(&s->log, LOG_LEVEL_NOTICE, "%.*s", len, line);
		err = bytes_addf(text, "kvfs: %.*s\n", len, line);
		line += len + (line[len] == '\n');
	}
	return err;
}

/* Grows while anything is written. */
static uint64_t saving_progress(void *ctx)
{
	struct service *s = ctx;
	struct persist_info i;

	persist_get_info(s->persist, &i);
	return i.current_save_keys_processed + i.seq_written + i.seq_durable + i.aof_writes + i.aof_syncs;
}

static void on_try(void *ctx, bool trying)
{
	struct service *s = ctx;

	if (trying && s->persist)
		supervisor_watch(&s->supervisor, saving_progress, s);
	else
		supervisor_unwatch(&s->supervisor);
	supervisor_tell(&s->supervisor, "STATUS=%s", trying ? "Saving before the stop" : "A stop was asked for, but not everything could be saved: going on");
}

/* Tells whoever waits at the terminal, or the service manager; from here on the log alone is left. */
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
	supervisor_tell(&s->supervisor, "READY=1\nSTATUS=%s is mounted on %s%s", s->source, s->mount.point, s->is_view ? ", read-only" : "");
	log_printf(&s->log, LOG_LEVEL_NOTICE, "%s is mounted on %s%s", s->source, s->mount.point, s->is_view ? ", read-only" : "");
	return 0;
}

/* ---- stopping ---- */

/* Undoes what start() came to.  0, or what could not be made to last. */
static int stop(struct service *s)
{
	int err = 0;

	supervisor_tell(&s->supervisor, "STOPPING=1\nSTATUS=Writing what is not on disk yet");
	if (s->persisting)
		supervisor_watch(&s->supervisor, saving_progress, s);
	if (s->mount.mounted)
		mount_detach(&s->mount, s->control != NULL, &s->log);
	notify_stop(s->notify);
	if (s->loop)
		loop_stop(s->loop);
	uring_close(&s->uring);
	control_stop(s->control);
	if (s->persisting)
		err = persist_stop(s->persist, s->how.save, s->how.try_again);
	reaper_stop(&s->reaper);
	supervisor_unwatch(&s->supervisor);
	mount_close(&s->mount);
	uring_fini(&s->uring);
	loop_free(s->loop);
	notify_free(s->notify);
	persist_close(s->persist);
	reply_free_spare(&s->env);
	guard_free(s->guard);
	keyspace_free(s->ks);
	value_keep_chunks(0);
	return err;
}

static void fini(struct service *s)
{
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	stop_free(s->stop);
	if (s->log_open)
		log_close(&s->log);
	supervisor_close(&s->supervisor);
	view_fini(&s->view);
	free(s->source);
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
	s->dir_fd = -1;
	signal(SIGPIPE, SIG_IGN);
	supervisor_open(&s->supervisor, o->foreground);
	uring_init(&s->uring);

	err = start(s, o, &e);
	if (err == 0)
		err = ready(s, o, &e);
	if (err == 0)
		stop_wait(s->stop, s->persist, loop_ended_fd(s->loop), on_try, s, &s->how);
	else
		fprintf(stderr, "kvfs: %s\n", e.text);
	stop_err = stop(s);
	if (stop_err < 0)
		log_printf(&s->log, LOG_LEVEL_WARNING, "Stopped, but not everything could be made to last: %s", strerror(-stop_err));
	else if (err == 0)
		log_line(&s->log, LOG_LEVEL_NOTICE, s->is_view ? "Stopped" : "Stopped, everything is on disk");
	fini(s);
	return err < 0 || stop_err < 0 ? 1 : 0;
}
