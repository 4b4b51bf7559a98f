/* kvfs -- mounts a keyspace. */
#include "fs/config.h"
#include "fs/daemon.h"
#include "fs/service.h"
#include "fs/version.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { EXIT_USAGE = 2, OPTIONS_MAX = 256 };

struct arguments {
	bool foreground;
	const char *file;                 /* -c */
	const char *options[OPTIONS_MAX]; /* each -o */
	int option_count;
	const char *source, *mountpoint;
	bool fake;                        /* mount -f: everything but the mount */
};

static const char usage_text[] =
	"usage: kvfs [-f] [-c FILE] [-o KEY=VALUE,...] [SOURCE] MOUNTPOINT\n"
	"       kvfs --help | --version\n";

static void print_help(void)
{
	printf("%s\n"
	       "Mounts a keyspace on MOUNTPOINT and returns when it works: keys are files, values are their bytes.\n"
	       "SOURCE is an ini file or a data directory, whose files are Redis's own.\n"
	       "\n"
	       "  -f, --foreground     stay, and log to standard error\n"
	       "  -c, --config FILE    read an ini file\n"
	       "  -o KEY=VALUE,...     options, as in the ini file and over it; also what mount(8) knows\n"
	       "  -h, --help           this text\n"
	       "  -V, --version        the version\n"
	       "\n"
	       "Ends by umount, kvfs-ctl umount, SIGTERM or SIGINT.  Exit status: 0 mounted, 1 failed, 2 usage.\n"
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

/* 0: go on; 1: done, 0 is the exit status; else the exit status for a mistake. */
static int parse(int argc, char **argv, struct arguments *a)
{
	static const struct option long_options[] = {
		{ "foreground", no_argument, NULL, 'f' },
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	const bool helper = is_mount_helper(argv[0]);
	int c;

	while ((c = getopt_long(argc, argv, helper ? "fo:hVnsvt:" : "fc:o:hV", long_options, NULL)) != -1) {
		switch (c) {
		case 'f':
			*(helper ? &a->fake : &a->foreground) = true;
			break;
		case 'n':
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
	if (optind == argc)
		return usage("the mount point is missing");
	if (argc - optind > 2)
		return usage("too many arguments");
	if (argc - optind == 2)
		a->source = argv[optind++];
	a->mountpoint = argv[optind];
	return 0;
}

/* An ini file is read, a directory becomes `dir`. */
static int configure_source(struct config *config, const struct arguments *a, struct error *e)
{
	struct stat st;

	if (stat(a->source, &st) < 0)
		return error_set(e, -errno, "%s: %s (an ini file or a data directory is wanted)", a->source, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return config_set(config, "dir", a->source, e);
	if (a->file)
		return error_set(e, -EINVAL, "%s: is no directory, and the ini file is %s already", a->source, a->file);
	return config_read_file(config, a->source, e);
}

static int configure(struct config *config, const struct arguments *a, struct error *e)
{
	int err = 0;

	if (a->file)
		err = config_read_file(config, a->file, e);
	if (err == 0 && a->source)
		err = configure_source(config, a, e);
	for (int i = 0; err == 0 && i < a->option_count; i++)
		err = config_set_options(config, a->options[i], e);
	return err;
}

static int run(struct config *config, const struct arguments *a)
{
	struct daemon daemon = { .pipe_fd = -1 };
	struct service_options o = {
		.config = config,
		.mountpoint = a->mountpoint,
		.foreground = a->foreground,
		.daemon = &daemon,
	};
	int err;

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

int main(int argc, char **argv)
{
	struct arguments a = { .foreground = false };
	struct error e = { .text = "" };
	struct config config;
	int err, status;

	status = parse(argc, argv, &a);
	if (status)
		return status == EXIT_USAGE ? EXIT_USAGE : EXIT_SUCCESS;

	err = config_init(&config);
	if (err < 0) {
		fprintf(stderr, "kvfs: %s\n", strerror(-err));
		return EXIT_FAILURE;
	}
	err = configure(&config, &a, &e);
	if (err < 0) {
		fprintf(stderr, "kvfs: %s\n", e.text);
		status = EXIT_FAILURE;
	} else if (a.fake) {
		status = EXIT_SUCCESS;
	} else {
		status = run(&config, &a);
	}
	config_fini(&config);
	return status;
}
