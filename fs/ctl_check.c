/* ctl_check.c -- see ctl_check.h. */
#include "fs/ctl_check.h"
#include "fs/config.h"
#include "fs/ctl.h"

#include "persist/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static void print_line(void *ctx, enum persist_log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	puts(line);
}

/* The advice to run this very command helps nobody here. */
static void drop_advice(char *text)
{
	char *advice = strstr(text, " (kvfs-ctl check");

	if (advice != NULL)
		*advice = '\0';
}

static const char *source_name(const struct recovery *r, const struct persist_config *c)
{
	switch (r->source) {
	case RECOVER_AOF:
		return c->appenddirname;
	case RECOVER_OLD_AOF:
		return c->appendfilename;
	case RECOVER_RDB:
		return c->dbfilename;
	case RECOVER_EMPTY:
		break;
	}
	return "nothing there";
}

/* One source, read to its end.  *RET_SOURCE is set when it counts. */
static int check_source(const struct persist_config *c, int dir_fd, enum recover_source *ret_source)
{
	struct persist_port port = { .log = print_line, .disk = disk_real() };
	struct keyspace_options o = { .value_max = UINT64_MAX / 2, .root_mode = 0755 };
	struct recovery r = { 0 };
	struct keyspace *ks;
	struct error e = { { 0 } };
	struct usage u;

	if (keyspace_new(&o, &ks) < 0)
		return ctl_complain(CTL_REFUSED, "out of memory");
	int err = recover(c, dir_fd, ks, &port, &r, &e);
	if (err < 0) {
		drop_advice(e.text);
		fprintf(stderr, "kvfs-ctl: %s\n", e.text);
	} else {
		keyspace_usage(ks, &u);
		printf("%s: ok, %llu keys, %llu directories, %llu symlinks", source_name(&r, c), (unsigned long long)u.keys,
		       (unsigned long long)u.directories, (unsigned long long)u.symlinks);
		if (r.last_seq)
			printf(", last batch %llu", (unsigned long long)r.last_seq);
		putchar('\n');
		*ret_source = r.source;
	}
	recovery_fini(&r);
	keyspace_free(ks);
	return err < 0 ? CTL_REFUSED : CTL_DONE;
}

static int check_dir(int dir_fd, const char *dir)
{
	enum recover_source source = RECOVER_EMPTY;
	struct config c;
	struct stat st;
	int result;

	if (flock(dir_fd, LOCK_SH | LOCK_NB) < 0)
		return ctl_complain(CTL_REFUSED, "%s: a kvfs is using it: unmount it first", dir);
	if (config_init(&c) < 0)
		return ctl_complain(CTL_REFUSED, "out of memory");
	c.persist.aof_load_truncated = false;     /* and so nothing is cut */
	c.persist.appendonly = true;
	result = check_source(&c.persist, dir_fd, &source);
	/* A snapshot beside a log is not what a start reads, but it ought to be sound. */
	if (source != RECOVER_RDB && fstatat(dir_fd, c.persist.dbfilename, &st, 0) == 0) {
		c.persist.appendonly = false;
		int snapshot = check_source(&c.persist, dir_fd, &source);
		if (result == CTL_DONE)
			result = snapshot;
	}
	config_fini(&c);
	return result;
}

int ctl_check(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return ctl_complain(CTL_REFUSED, "%s: %s", dir, strerrordesc_np(errno));
	int result = check_dir(fd, dir);
	close(fd);
	return result;
}
