/* kvfs -- mounts a keyspace. */
#include "fs/config.h"
#include "fs/config_rewrite.h"
#include "fs/daemon.h"
#include "fs/mount.h"
#include "fs/service.h"
#include "fs/version.h"
#include "fs/when.h"
#include "persist/view.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, OPTIONS_MAX = 256 };
enum { MOUNT_USAGE = 1, MOUNT_FAILED = 32 };  /* see mount(8) */

struct arguments {
	bool foreground;
	const char *file;                 /* -c */
	const char *options[OPTIONS_MAX]; /* each -o */
	int option_count;
	const char *source, *mountpoint;
	const char *view;                 /* what is only looked at; NULL: nothing */
	int64_t until_ns;                 /* the moment of it; 0: as it is */
	bool fake;                        /* mount -f: everything but the mount */
	bool helper;                      /* called by mount(8) */
	bool check, print;                /* -n, -T: the settings are all that is wanted */
};

static const char usage_text[] =
	"usage: kvfs [-f] [-c FILE] [-o KEY=VALUE,...] [SOURCE] MOUNTPOINT\n"
	"       kvfs -n | -T [-c FILE] [-o KEY=VALUE,...] [SOURCE] [MOUNTPOINT]\n"
	"       kvfs --help | --version\n";

static void print_help(void)
{
	printf("%s\n"
	       "Mounts a keyspace on MOUNTPOINT and returns when it works: keys are files, values are their bytes.\n"
	       "SOURCE is an ini file or a data directory, whose files are Redis's own.\n"
	       "With -o ro it is only looked at, beside whoever uses it, and may also be an RDB file, a log file, or a log's directory or manifest;\n"
	       "-o until=\"10 minutes ago\" looks at how it was then.\n"
	       "\n"
	       "  -f, --foreground     stay, and log to standard error\n"
	       "  -c, --config FILE    read an ini file\n"
	       "  -o KEY=VALUE,...     options, as in the ini file and over it; also what mount(8) knows\n"
	       "  -n, --check-config   mount nothing, say whether the settings are right\n"
	       "  -T, --print-config   mount nothing, print the settings that would hold, as an ini file\n"
	       "  -h, --help           this text\n"
	       "  -V, --version        the version\n"
	       "\n"
	       "Ends by umount, kvfs-ctl umount, SIGTERM or SIGINT.  Exit status: 0 mounted (-n, -T: the settings are right), 1 failed, 2 usage.\n"
	       "\n"
	       "Options:\n",
	       usage_text);
	config_print_help(stdout);
}

static int usage(const char *what)
{
	fprintf(stderr, "kvfs: %s\n%s", what, usage_text);
	return EXIT_USAGE;
}

/* As mount.kvfs it is called by mount(8), whose -f, -n, -s and -v mean other things than ours. */
static bool is_mount_helper(const char *program)
{
	const char *base = strrchr(program, '/');

	return strncmp(base ? base + 1 : program, "mount.", strlen("mount.")) == 0;
}

/* [SOURCE] MOUNTPOINT.  Who only asks for the settings may leave the mount point out: what is no directory is the source. */
static int take_places(char **place, int count, struct arguments *a)
{
	const bool asks = a->check || a->print;
	struct stat st;

	if (count > 2)
		return usage("too many arguments");
	if (count == 0 && !asks)
		return usage("the mount point is missing");
	if (count == 2 || (count == 1 && asks && (stat(place[0], &st) < 0 || !S_ISDIR(st.st_mode)))) {
		a->source = *place++;
		count--;
	}
	if (count > 0)
		a->mountpoint = place[0];
	return 0;
}

/* 0: go on; 1: done, 0 is the exit status; else the exit status for a mistake. */
static int parse(int argc, char **argv, struct arguments *a)
{
	static const struct option long_options[] = {
		{ "foreground", no_argument, NULL, 'f' },
		{ "config", required_argument, NULL, 'c' },
		{ "check-config", no_argument, NULL, 'n' },
		{ "print-config", no_argument, NULL, 'T' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	const bool helper = is_mount_helper(argv[0]);
	int c;

	a->helper = helper;

	while ((c = getopt_long(argc, argv, helper ? "fo:hVnsvt:" : "fc:no:ThV", long_options, NULL)) != -1) {
		switch (c) {
		case 'f':
			*(helper ? &a->fake : &a->foreground) = true;
			break;
		case 'n':
			a->check = !helper;
			break;
		case 'T':
			a->print = true;
			break;
		case 's':
		case 'v':
		case 't':
			break;
		case 'c':
			if (a->file)
				return usage("-c is given twice");
			a->file = optarg;
			break;
		case 'o':
			if (a->option_count == OPTIONS_MAX)
				return usage("too many -o");
			a->options[a->option_count++] = optarg;
			break;
		case 'h':
			print_help();
			return 1;
		case 'V':
			printf("kvfs %s (files of Redis %s)\n", KVFS_VERSION, KVFS_REDIS_VERSION);
			return 1;
		default:
			fputs(usage_text, stderr);
			return EXIT_USAGE;
		}
	}
	return take_places(argv + optind, argc - optind, a);
}

/* Whether the options alone say that SOURCE is only looked at: then it may be what no ini file is. */
static int options_say_view(const struct arguments *a, bool *ret, struct error *e)
{
	struct config options;
	int err = config_init(&options);

	if (err < 0)
		return error_set(e, err, "%s", strerror(-err));
	for (int i = 0; err == 0 && i < a->option_count; i++)
		err = config_set_options(&options, a->options[i], e);
	*ret = err == 0 && config_is_view(&options);
	config_fini(&options);
	return err;
}

/* An ini file is read, a directory becomes `dir`, what else can be looked at is kept as it is. */
static int configure_source(struct config *config, struct arguments *a, struct error *e)
{
	bool view = false;
	struct stat st;
	int err;

	if (stat(a->source, &st) < 0)
		return error_set(e, -errno, "%s: %s (an ini file or a data directory is wanted)", a->source, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return config_set(config, "dir", a->source, e);
	err = options_say_view(a, &view, e);
	if (err < 0)
		return err;
	if (view && view_classify(a->source) != VIEW_NO_FILE) {
		a->view = a->source;
		return 0;
	}
	if (view && st.st_size == 0)
		return error_set(e, -EINVAL, "%s: is empty: neither an RDB nor a log nor an ini file", a->source);
	if (a->file)
		return error_set(e, -EINVAL, "%s: is no directory, and the ini file is %s already", a->source, a->file);
	return config_read_file(config, a->source, e);
}

/* A view: of SOURCE, else of `dir`; at the moment that `until` says. */
static int configure_view(struct config *config, struct arguments *a, struct error *e)
{
	struct timespec now;
	const char *why;

	if (!config_is_view(config))
		return 0;
	if (!a->view)
		a->view = config->dir;
	if (!*config->until)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	if (when_parse(config->until, strlen(config->until), (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, &a->until_ns, &why) < 0)
		return error_set(e, -EINVAL, "until: \"%s\" %s", config->until, why);
	return 0;
}

static int configure(struct config *config, struct arguments *a, struct error *e)
{
	int err = 0;

	if (a->file)
		err = config_read_file(config, a->file, e);
	if (err == 0 && a->source)
		err = configure_source(config, a, e);
	for (int i = 0; err == 0 && i < a->option_count; i++)
		err = config_set_options(config, a->options[i], e);
	if (err == 0 && config->acl && !config->xattr)
		err = error_set(e, -EINVAL, "acl: ACLs are extended attributes, and xattr is no");
	return err == 0 ? configure_view(config, a, e) : err;
}

/* In a file of their own the settings have no other place that `dir` could be relative to. */
static int make_dir_absolute(struct config *config, struct error *e)
{
	char *here, *path = NULL;
	int err;

	if (config->dir[0] == '/')
		return 0;
	here = getcwd(NULL, 0);
	if (!here)
		return error_set(e, -errno, "the working directory: %s", strerror(errno));
	if (asprintf(&path, "%s/%s", here, config->dir) < 0)
		path = NULL;
	err = path ? config_set(config, "dir", path, e) : error_set(e, -ENOMEM, "%s", strerror(ENOMEM));
	free(path);
	free(here);
	return err;
}

/* The words for the kernel have no name in an ini file, so they stand in a comment. */
static int print_settings(struct config *config, struct error *e)
{
	struct bytes text = { 0 };
	int err = make_dir_absolute(config, e);

	if (err == 0)
		err = config_whole_text(config, &text, e);
	if (err == 0 && *config->mount_options)
		printf("; -o %s\n\n", config->mount_options);
	if (err == 0)
		fwrite(text.data, 1, text.len, stdout);
	if (err == 0 && fflush(stdout) != 0)
		err = error_set(e, -EIO, "standard output: cannot be written");
	bytes_fini(&text);
	return err;
}

static int run(struct config *config, const struct arguments *a)
{
	struct daemon daemon = { .pipe_fd = -1 };
	struct service_options o = {
		.config = config,
		.mountpoint = a->mountpoint,
		.foreground = a->foreground,
		.view = a->view,
		.until_ns = a->until_ns,
		.daemon = &daemon,
	};
	int err;

	/* The source of a mount is its data directory: with an ini file in fstab mount -a can't tell that it is done. */
	if (a->helper && !a->view && mount_is_there(a->mountpoint, config->dir)) {
		fprintf(stderr, "kvfs: %s is mounted on %s already\n", config->dir, a->mountpoint);
		return EXIT_SUCCESS;
	}
	if (!a->foreground) {
		err = daemon_fork(&daemon);
		if (err < 0) {
			fprintf(stderr, "kvfs: fork: %s\n", strerror(-err));
			return EXIT_FAILURE;
		}
		if (daemon.child)
			return daemon_await(&daemon);
	}
	return service_run(&o);
}

/* The exit status of the program. */
static int run_as_told(struct arguments *a)
{
	struct error e = { .text = "" };
	struct config config;
	int err, status = EXIT_SUCCESS;

	err = config_init(&config);
	if (err < 0) {
		fprintf(stderr, "kvfs: %s\n", strerror(-err));
		return EXIT_FAILURE;
	}
	err = configure(&config, a, &e);
	if (err == 0 && a->print)
		err = print_settings(&config, &e);
	if (err < 0) {
		fprintf(stderr, "kvfs: %s\n", e.text);
		status = EXIT_FAILURE;
	} else if (a->check && !a->print) {
		puts("configuration OK");
	} else if (!a->fake && !a->print) {
		status = run(&config, a);
	}
	config_fini(&config);
	return status;
}

/* mount(8) ends with its helper's exit status, and has its own meanings for it. */
static int mount_status(int status)
{
	switch (status) {
	case EXIT_SUCCESS:
		return 0;
	case EXIT_USAGE:
		return MOUNT_USAGE;
	default:
		return MOUNT_FAILED;
	}
}

int main(int argc, char **argv)
{
	struct arguments a = { .foreground = false };
	int status = parse(argc, argv, &a);

	if (status == 0)
		status = run_as_told(&a);
	else if (status != EXIT_USAGE)
		status = EXIT_SUCCESS;
	return a.helper ? mount_status(status) : status;
}
