/* ctl.c -- kvfs-ctl: finds the mount, sends one command, prints what comes back. */
#include "fs/ctl.h"
#include "fs/ctl_check.h"
#include "fs/ctl_client.h"
#include "fs/ctl_jobs.h"
#include "fs/ctl_mounts.h"
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
	"  bgrewriteaof [--wait]        write the log anew in the background\n"
	"  save                         write a snapshot, return when it is on disk\n"
	"  lastsave                     when the last snapshot was written (seconds since 1970)\n"
	"  info [SECTION...]            server, clients, memory, persistence, stats, fuse, keyspace\n"
	"  config get PATTERN...        settings, by name or pattern\n"
	"  config set NAME VALUE ...    change save or appendfsync\n"
	"  dbsize                       number of keys\n"
	"  ping [TEXT], echo TEXT       whether it answers\n"
	"  umount                       unmount and wait until everything is on disk and the daemon has gone\n"
	"  check DIR                    offline: reads the log and the snapshot in DIR, says what does not count, changes nothing\n"
	"  shutdown [nosave|save]       likewise, also when the mount point is in use\n"
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

	if (ctl_connect_dir(c, mount->dir, &e) < 0)
		return ctl_complain(CTL_NO_SERVER, "%s: %s", mount->mountpoint, e.text);
	return CTL_DONE;
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

static int umount_it(const struct ctl_mount *mount, void *ctx)
{
	(void)ctx;
	return ctl_umount(mount);
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
	if (strcasecmp(words[0], "check") == 0) {
		if (count != 2)
			return ctl_complain(CTL_USAGE, "check takes one directory: kvfs-ctl check DIR");
		return ctl_check(words[1]);
	}
	if (count > 1 && strcmp(words[count - 1], "--wait") == 0) {
		job = ctl_job_find(words[0]);
		if (job == NULL)
			return ctl_complain(CTL_USAGE, "--wait goes with bgsave and bgrewriteaof");
		count--;
	}
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
	int opt;

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
	return run(&o, (const char *const *)(argv + optind), (size_t)(argc - optind));
}
