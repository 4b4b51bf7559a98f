/* recovered.c -- recovered DIR: what a start on the data directory DIR would bring, without a mount: the listing of
 * the keyspace (listing.h) that recover() makes of it.  The report goes to standard error.  As a start does, it cuts a torn tail.
 *
 * Exit: 0; 1 when recovery refuses, with its sentence; 2 usage.                                                       */
#include "persist/recover.h"
#include "tests/lib/listing.h"

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void log_line(void *ctx, enum persist_log_level level, const char *line)
{
	(void)ctx;
	if (level >= PERSIST_WARNING)
		fprintf(stderr, "%s\n", line);
}

static void on_gone(void *ctx, uint64_t parent, const char *name, size_t len, uint64_t id)
{
	(void)ctx, (void)parent, (void)name, (void)len, (void)id;
}

static int visit(void *ctx, const char *suffix, size_t len, const struct attr *a)
{
	struct listing_node n = {
	    .mode = a->mode, .uid = a->uid, .gid = a->gid, .size = a->size, .mtime_ns = a->mtime_ns, .hash = LISTING_HASH_START,
	    .path = suffix, .path_len = len,
	};
	if (!S_ISDIR(a->mode)) {
		char *copy = malloc(a->size + 1);
		if (!copy)
			err(1, "value");
		value_copy_out(keyspace_value_locked(ctx, a->id), a->size, 0, copy, a->size);
		n.hash = listing_hash(n.hash, copy, a->size);
		free(copy);
	}
	listing_print(&n);
	return 0;
}

static int list(const char *dir)
{
	struct keyspace_options options = {.hash_seed = {1, 2}, .value_max = 1 << 30, .root_mode = 0755, .now_ns = 1};
	struct persist_config config = {
	    .dir = dir, .dbfilename = "dump.rdb", .appenddirname = "appendonlydir", .appendfilename = "appendonly.aof",
	    .journal_dir = "", .appendonly = true, .aof_load_truncated = true, .aof_use_rdb_preamble = true,
	};
	struct persist_port port = {.log = log_line, .gone = on_gone};
	struct recovery recovery = {0};
	struct error e = {0};
	struct keyspace *ks;

	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		err(1, "%s", dir);
	if (keyspace_new(&options, &ks) < 0)
		errx(1, "keyspace_new");
	int ret = recover(&config, dir_fd, ks, &port, &recovery, &e);
	if (ret < 0) {
		fprintf(stderr, "%s\n", e.text);
	} else {
		fwrite(recovery.report.data, 1, recovery.report.len, stderr);
		keyspace_lock(ks);
		ret = keyspace_walk_locked(ks, KEYSPACE_ROOT, visit, ks);
		keyspace_unlock(ks);
		recovery_fini(&recovery);
	}
	keyspace_free(ks);
	close(dir_fd);
	return ret < 0;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: recovered DIR");
	return list(argv[1]);
}
