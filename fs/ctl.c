/* ctl.c -- kvfs-ctl: finds the mount, sends one command, prints what comes back. */
#include "fs/ctl.h"
#include "fs/ctl_check.h"
#include "fs/ctl_client.h"
#include "fs/ctl_copy.h"
#include "fs/ctl_jobs.h"
#include "fs/ctl_keys.h"
#include "fs/ctl_mounts.h"
#include "fs/ctl_show.h"
#include "fs/ctl_stop.h"
#include "fs/version.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct ctl_options {
	const char *mountpoint, *socket;   /* NULL: not given */
};

static const char usage_text[] =
	"usage: kvfs-ctl [-m MOUNTPOINT | -s SOCKET] COMMAND [ARG...]\n"
	"\n"
	"  -m, --mountpoint MOUNTPOINT  the keyspace mounted there; not needed when only one is mounted\n"
	"  -s, --socket SOCKET          the control socket itself (kvfs.sock in the data directory)\n"
	"  -h, --help                   this text\n"
	"  -V, --version                the version\n"
	"\n"
	"commands (any case):\n"
	"  bgsave [schedule] [--wait]   write a snapshot in the background; --wait: return when it is on disk\n"
	"  bgsave cancel                end it, or take back what is scheduled\n"
	"  bgrewriteaof [--wait]        write the log anew in the background\n"
	"  save                         write a snapshot, return when it is on disk\n"
	"  lastsave                     when the last snapshot was written (seconds since 1970)\n"
	"  info [SECTION...] [--json]   server, clients, memory, persistence, stats, fuse, keyspace\n"
	"  latency [OPERATION...] [--json]\n"
	"                               how long the kernel's messages take, by kind; of the named ones each bucket\n"
	"  top [-i SECONDS] [-n COUNT] [--json]\n"
	"                               what goes on: a screen; with -n, or elsewhere than on a terminal, a line a time\n"
	"  monitor                      each change as it happens\n"
	"  metrics                      all of it in Prometheus's text format\n"
	"  config get PATTERN...        settings, by name or pattern\n"
	"  config set NAME VALUE ...    change settings while mounted, all or none\n"
	"  config rewrite               write what was changed back to the ini file\n"
	"  config resetstat             let info count from 0 again\n"
	"  dbsize                       number of keys\n"
	"  expire KEY SECONDS [nx|xx|gt|lt], pexpire KEY MS, expireat KEY TIME, pexpireat KEY MS-TIME\n"
	"                               give a key an end; KEY: or a path that begins with /, ./ or ../\n"
	"  ttl KEY, pttl, expiretime, pexpiretime\n"
	"                               what is left of it (-1: no end, -2: no such key), and when it ends\n"
	"  persist KEY                  take the end away\n"
	"  exists KEY..., type KEY, del KEY..., unlink KEY...\n"
	"  get KEY, strlen KEY, memory usage KEY\n"
	"  scan CURSOR [match PATTERN] [count N], keys PATTERN\n"
	"  ping [TEXT], echo TEXT       whether it answers\n"
	"  backup [--from SOURCE] DIR   a new data directory with all there is now, while the daemon goes on\n"
	"  restore-to [--from SOURCE] TIME DIR\n"
	"                               a new data directory with the state of that moment (\"10 minutes ago\", a date)\n"
	"  umount                       unmount and wait until everything is on disk and the daemon has gone\n"
	"  check [--fix] PATH           offline: what of a data directory, log or RDB file counts, what is damaged where; --fix repairs,\n"
	"                               originals stay; exit status: 0 clean, 1 fixed, 4 damage left, 8 could not look, 16 usage\n"
	"  shutdown [nosave|save] [now] [force] | abort\n"
	"                               likewise, also when the mount point is in use\n"
	"\n"
	"exit status: 0 done, 1 the server said no, 2 usage, 3 no server\n";

int ctl_complain(enum ctl_exit code, const char *fmt, ...)
{
	va_list ap;

	fputs("kvfs-ctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return (int)code;
}

static int usage(void)
{
	fputs("usage: kvfs-ctl [-m MOUNTPOINT | -s SOCKET] COMMAND [ARG...]\n"
	      "       kvfs-ctl --help tells more\n",
	      stderr);
	return CTL_USAGE;
}

/* Calls WITH for the mount that is meant. */
static int with_mount(const struct ctl_options *o, int (*with)(const struct ctl_mount *mount, void *ctx), void *ctx)
{
	const struct ctl_mount *mount = NULL;
	struct ctl_mounts m = { 0 };
	struct error e = { { 0 } };
	int err, result;

	err = ctl_mounts_read(&m, &e);
	if (err == 0)
		err = ctl_mounts_pick(&m, o->mountpoint, &mount, &e);
	if (err != 0)
		result = ctl_complain(err == -EINVAL ? CTL_USAGE : CTL_NO_SERVER, "%s", e.text);
	else
		result = with(mount, ctx);
	ctl_mounts_fini(&m);
	return result;
}

static int connect_to_mount(const struct ctl_mount *mount, void *ctx)
{
	struct ctl_client *c = ctx;
	struct error e = { { 0 } };

	if (mount->view)
		return ctl_complain(CTL_NO_SERVER, "%s: is a read-only view, which has no control socket", mount->mountpoint);
	return ctl_connect_mount(c, mount, &e) < 0 ? ctl_complain(CTL_NO_SERVER, "%s", e.text) : CTL_DONE;
}

static int connect_to_server(const struct ctl_options *o, struct ctl_client *c)
{
	struct error e = { { 0 } };

	if (o->socket == NULL)
		return with_mount(o, connect_to_mount, c);
	if (ctl_connect(c, o->socket, &e) < 0)
		return ctl_complain(CTL_NO_SERVER, "%s", e.text);
	return CTL_DONE;
}

/* Sends the words, prints the reply; JOB: waits for what they started. */
static int run_command(struct ctl_client *c, const char *const *words, size_t count, const struct ctl_job *job)
{
	bool refused = false;
	int64_t before = 0;
	int err = 0;

	if (job != NULL)
		err = ctl_job_count(c, job, &before);
	if (err == 0)
		err = ctl_send_words(c, words, count);
	/* A server that turns a client away says why before it closes. */
	if (err == 0 || err == -EPIPE)
		err = ctl_print_reply(c, &refused);
	if (err == -EIO)
		return ctl_complain(CTL_REFUSED, "standard output: cannot be written");
	if (err < 0)
		return ctl_complain(CTL_NO_SERVER, "the server went away: %s", strerrordesc_np(-err));
	if (refused)
		return CTL_REFUSED;
	return job != NULL ? ctl_job_wait(c, job, before) : CTL_DONE;
}

/* A command with paths: the mount is the one they lie in. */
static int run_with_paths(const struct ctl_options *o, const char *const *words, size_t count)
{
	const struct ctl_mount *picked = NULL;
	struct ctl_client c = { .fd = -1 };
	struct ctl_mounts m = { 0 };
	struct ctl_keys k = { 0 };
	struct error e = { { 0 } };
	int err, result;

	if (o->socket != NULL)
		return ctl_complain(CTL_USAGE, "with -s a key is given as it is, not as a path");
	err = ctl_mounts_read(&m, &e);
	if (err == 0)
		err = ctl_keys_resolve(words, count, &m, &k, &e);
	if (err == 0 && o->mountpoint != NULL)
		err = ctl_mounts_pick(&m, o->mountpoint, &picked, &e);
	if (err == 0 && picked != NULL && strcmp(picked->dir, k.mount->dir) != 0)
		err = error_set(&e, -EXDEV, "the path lies in %s, not in %s", k.mount->mountpoint, picked->mountpoint);
	result = err == 0 ? connect_to_mount(k.mount, &c) : ctl_complain(CTL_USAGE, "%s", e.text);
	if (result == CTL_DONE) {
		result = run_command(&c, k.words, k.count, NULL);
		ctl_disconnect(&c);
	}
	ctl_keys_fini(&k);
	ctl_mounts_fini(&m);
	return result;
}

static int umount_it(const struct ctl_mount *mount, void *ctx)
{
	(void)ctx;
	return ctl_umount(mount);
}

static int copy_mount(const struct ctl_mount *mount, void *ctx)
{
	return ctl_copy_run(ctx, mount);
}

static int run_copy(const struct ctl_options *o, const char *const *words, size_t count)
{
	struct ctl_copy c;
	int result = ctl_copy_parse(words, count, &c);

	if (result != CTL_DONE)
		return result;
	if (o->socket != NULL)
		return ctl_complain(CTL_USAGE, "%s takes no -s: -m MOUNTPOINT, or --from SOURCE", words[0]);
	return c.from != NULL ? ctl_copy_run(&c, NULL) : with_mount(o, copy_mount, &c);
}

static int run_show(const struct ctl_options *o, const struct ctl_show *s)
{
	struct ctl_client c = { .fd = -1 };
	int result = connect_to_server(o, &c);

	if (result == CTL_DONE)
		result = s->run(&c, s);
	ctl_disconnect(&c);
	return result;
}

static int run(const struct ctl_options *o, const char *const *words, size_t count)
{
	const struct ctl_job *job = NULL;
	struct ctl_client c = { .fd = -1 };
	int result;

	if (strcasecmp(words[0], "umount") == 0) {
		if (count > 1 || o->socket != NULL)
			return ctl_complain(CTL_USAGE, "umount takes no argument and no -s: kvfs-ctl [-m MOUNTPOINT] umount");
		return with_mount(o, umount_it, NULL);
	}
	if (ctl_is_copy(words[0]))
		return run_copy(o, words, count);
	if (strcasecmp(words[0], "check") == 0)
		return ctl_check(words, count);
	if (count > 1 && strcmp(words[count - 1], "--wait") == 0) {
		job = ctl_job_find(words[0]);
		if (job == NULL || (count > 2 && strcasecmp(words[1], "cancel") == 0))
			return ctl_complain(CTL_USAGE, "--wait goes with bgsave and bgrewriteaof");
		count--;
	}
	if (ctl_keys_have_path(words, count))
		return run_with_paths(o, words, count);
	result = connect_to_server(o, &c);
	if (result != CTL_DONE)
		return result;
	if (strcasecmp(words[0], "shutdown") == 0)
		result = ctl_shutdown(&c, words, count);
	else
		result = run_command(&c, words, count, job);
	ctl_disconnect(&c);
	return result;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "mountpoint", required_argument, NULL, 'm' },
		{ "socket", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	struct ctl_options o = { 0 };
	struct ctl_show show;
	int opt, result;

	while ((opt = getopt_long(argc, argv, "+m:s:hV", long_options, NULL)) != -1) {
		switch (opt) {
		case 'm':
			o.mountpoint = optarg;
			break;
		case 's':
			o.socket = optarg;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return fflush(stdout) == 0 ? CTL_DONE : CTL_REFUSED;
		case 'V':
			puts("kvfs-ctl " KVFS_VERSION);
			return fflush(stdout) == 0 ? CTL_DONE : CTL_REFUSED;
		default:
			return usage();
		}
	}
	if (optind == argc || (o.mountpoint != NULL && o.socket != NULL))
		return usage();
	result = ctl_show_parse((const char *const *)(argv + optind), (size_t)(argc - optind), &show);
	if (result == CTL_DONE) {
		result = show.run != NULL ? run_show(&o, &show) : run(&o, (const char *const *)(argv + optind), (size_t)(argc - optind));
		ctl_show_fini(&show);
	}
	return result;
}
