/* ctl_restore.c -- `restore-to`: the state of a moment as a data directory: a snapshot, and a log whose base is that snapshot. */
#include "fs/ctl_copy.h"
#include "fs/ctl_newdir.h"

#include "persist/manifest.h"
#include "persist/save.h"
#include "persist/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOG_DIR_MODE = 0755, ROOT_MODE = 0755 };

static void print_line(void *ctx, enum persist_log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	fprintf(stderr, "kvfs-ctl: %s\n", line);
}

static int make_keyspace(struct keyspace **ret)
{
	struct keyspace_options o = { .value_max = UINT64_MAX / 2, .root_uid = geteuid(), .root_gid = getegid(), .root_mode = ROOT_MODE };

	if (getrandom(o.hash_seed, sizeof(o.hash_seed), 0) != sizeof(o.hash_seed))
		return -EIO;
	return keyspace_new(&o, ret);
}

/* The snapshot: of a keyspace of its own from here on, so that its log is never taken for a part of the old one's. */
static int write_dump(const struct ctl_source *s, struct keyspace *ks, const struct view *v, int fd, struct error *e)
{
	struct save job = {
		.kind = SAVE_DUMP, .disk = disk_real(), .ks = ks, .dir_fd = fd, .name = s->config.dbfilename,
		.rdb = { .compress = s->config.persist.rdbcompression, .checksum = true, .origin = { .seq = v->last_seq }, .now_ns = v->time_ns,
		         .db = (uint64_t)s->config.persist.db },
	};
	int err;

	if (getrandom(&job.rdb.origin.lineage, sizeof(job.rdb.origin.lineage), 0) != sizeof(job.rdb.origin.lineage))
		return error_set(e, -EIO, "getrandom: no random numbers");
	err = bytes_addf(&job.temp, "temp-%d.rdb", (int)getpid());
	if (!err)
		err = bytes_add(&job.temp, "", 1);
	if (!err) {
		keyspace_lock(ks);
		err = save_begin_locked(&job);
		keyspace_unlock(ks);
	}
	if (!err)
		err = save_run(&job);
	save_fini(&job);
	return err ? error_set(e, err, "%s: %s", s->config.dbfilename, strerror(-err)) : 0;
}

/* The manifest, and the base it names: the snapshot by another name. */
static int write_log(const struct ctl_source *s, int fd, struct error *e)
{
	struct manifest m = { 0 };
	struct bytes text = { 0 };
	char *base = NULL, *name = NULL;
	int err = -ENOMEM, log_fd = -1;

	if (asprintf(&base, "%s.1.base.rdb", s->config.appendfilename) < 0 || asprintf(&name, "%s.manifest", s->config.appendfilename) < 0)
		goto out;
	if (mkdirat(fd, s->config.appenddirname, LOG_DIR_MODE) < 0 ||
	    (log_fd = openat(fd, s->config.appenddirname, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ||
	    linkat(fd, s->config.dbfilename, log_fd, base, 0) < 0) {
		err = -errno;
		goto out;
	}
	err = manifest_add(&m, base, 1, MANIFEST_BASE);
	if (!err)
		err = manifest_format(&m, &text);
	if (!err)
		err = disk_write_file(disk_real(), log_fd, name, text.data, text.len);
	if (!err && fsync(log_fd) < 0)
		err = -errno;
out:
	if (log_fd >= 0)
		close(log_fd);
	manifest_fini(&m);
	bytes_fini(&text);
	free(base);
	free(name);
	return err ? error_set(e, err, "%s: %s", s->config.appenddirname, strerror(-err)) : 0;
}

static int write_dir(const struct ctl_source *s, struct keyspace *ks, const struct view *v, const char *dir, struct error *e)
{
	struct ctl_newdir d;
	int err = ctl_newdir_begin(dir, &d, e);

	if (err)
		return err;
	err = write_dump(s, ks, v, d.fd, e);
	if (!err)
		err = write_log(s, d.fd, e);
	if (err)
		error_prepend(e, err, "%s", dir);
	else
		err = ctl_newdir_commit(&d, e);
	ctl_newdir_end(&d);
	return err;
}

int ctl_restore(struct ctl_source *s, int64_t when_ns, const char *dir)
{
	const struct persist_port port = { .log = print_line };
	struct error e = { { 0 } };
	struct view v = { 0 };
	struct keyspace *ks;
	int err, result = ctl_source_sync(s);

	if (result != CTL_DONE)
		return result;
	err = make_keyspace(&ks);
	if (err < 0)
		return ctl_complain(CTL_REFUSED, "%s", strerrordesc_np(-err));
	err = view_load(s->path, &s->config.persist, when_ns, ks, &port, &v, &e);
	if (!err)
		err = write_dir(s, ks, &v, dir, &e);
	if (!err)
		printf("%s%s: %llu keys\n", v.report.data, dir, (unsigned long long)v.keys);
	view_fini(&v);
	keyspace_free(ks);
	return err ? ctl_complain(CTL_REFUSED, "%s", e.text) : CTL_DONE;
}
