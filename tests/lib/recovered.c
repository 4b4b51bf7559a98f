/* recovered.c -- what a start on a data directory would bring, without a mount: the listing of the keyspace (listing.h) that recover() makes
 * of it.  As a start does, it cuts a torn tail.
 *
 *      recovered DIR                            prints it; the report goes to standard error
 *      recovered DIR LOG FROM TO STEP STATE     for each size from FROM to before TO: with the file LOG of DIR cut to that size it is what the file
 *                                               STATE holds, sorted; LOG is whole again afterwards, the copies of what was cut are gone
 *
 * Exit: 0; 1 when recovery refuses, with its sentence, or brings something else, with both; 2 usage.                                          */
#include "persist/recover.h"
#include "tests/lib/listing.h"

#include <err.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
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

static void on_gone(void *ctx, const struct keyspace_place *place)
{
	(void)ctx;
	(void)place;
}

struct list {
	struct keyspace *ks;
	FILE *to;
};

static int visit(void *ctx, const char *suffix, size_t len, const struct attr *a)
{
	const struct list *l = ctx;
	struct listing_node n = {
	    .mode = a->mode, .uid = a->uid, .gid = a->gid, .size = a->size, .mtime_ns = a->mtime_ns, .hash = LISTING_HASH_START,
	    .path = suffix, .path_len = len,
	};
	if (!S_ISDIR(a->mode)) {
		char *copy = malloc(a->size + 1);
		if (!copy)
			err(1, "value");
		value_copy_out(keyspace_value_locked(l->ks, a->id), a->size, 0, copy, a->size);
		n.hash = listing_hash(n.hash, copy, a->size);
		free(copy);
	}
	listing_print(l->to, &n);
	return 0;
}

static int list(const char *dir, FILE *to, FILE *report)
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
		fprintf(report, "%s\n", e.text);
	} else {
		struct list l = {.ks = ks, .to = to};
		fwrite(recovery.report.data, 1, recovery.report.len, report);
		keyspace_lock(ks);
		ret = keyspace_walk_locked(ks, KEYSPACE_ROOT, visit, &l);
		keyspace_unlock(ks);
		recovery_fini(&recovery);
	}
	keyspace_free(ks);
	close(dir_fd);
	return ret < 0;
}

/* ---- a log that is cut ---- */

/* Bytes with a zero behind them. */
struct text {
	char *data;
	size_t len;
};

static struct text read_whole(const char *path)
{
	struct text t = {0};
	char part[65536];
	size_t n;
	FILE *from = fopen(path, "r"), *to = open_memstream(&t.data, &t.len);

	if (!from || !to)
		err(1, "%s", path);
	while ((n = fread(part, 1, sizeof part, from)) > 0)
		fwrite(part, 1, n, to);
	if (ferror(from) || fclose(from) < 0 || fclose(to) < 0)
		err(1, "%s", path);
	return t;
}

static void write_whole(const char *path, const char *data, size_t len)
{
	FILE *to = fopen(path, "w");

	if (!to || fwrite(data, 1, len, to) != len || fclose(to) < 0)
		err(1, "%s", path);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The same lines, sorted as LC_ALL=C sort does. */
static struct text sorted(const struct text *t)
{
	struct text out = {0};
	size_t count = 0, n = 0;
	char **lines;
	FILE *to = open_memstream(&out.data, &out.len);

	for (size_t i = 0; i < t->len; i++)
		count += t->data[i] == '\n';
	lines = calloc(count + 1, sizeof *lines);
	if (!lines || !to)
		err(1, "memory");
	for (char *line = t->data, *end; n < count; line = end + 1) {
		end = strchr(line, '\n');
		*end = '\0';
		lines[n++] = line;
	}
	qsort(lines, count, sizeof *lines, by_bytes);
	for (n = 0; n < count; n++)
		fprintf(to, "%s\n", lines[n]);
	if (fclose(to) < 0)
		err(1, "memory");
	free(lines);
	return out;
}

/* The copies of what was cut, "NAME.torn-OFFSET", of the log at PATH: one cut leaves one. */
static void remove_torn(const char *path)
{
	char *pattern;
	glob_t found;

	if (asprintf(&pattern, "%s.torn-*", path) < 0)
		err(1, "memory");
	if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			unlink(found.gl_pathv[i]);
		globfree(&found);
	}
	free(pattern);
}

/* Whether DIR comes back as WANT; LOG in it has just been cut to SIZE. */
static bool comes_back(const char *dir, const char *log, size_t size, const struct text *want)
{
	struct text got = {0}, said = {0};
	FILE *to = open_memstream(&got.data, &got.len), *report = open_memstream(&said.data, &said.len);

	if (!to || !report)
		err(1, "memory");
	int refused = list(dir, to, report);
	if (fclose(to) < 0 || fclose(report) < 0)
		err(1, "memory");
	struct text lines = sorted(&got);
	bool same = !refused && lines.len == want->len && memcmp(lines.data, want->data, lines.len) == 0;
	if (!same)
		printf("# %s cut at %zu: %s%s\n# it should be:\n%s# it is:\n%s", log, size, refused ? "refused: " : "another state\n", said.data, want->data, lines.data);
	free(lines.data);
	free(got.data);
	free(said.data);
	return same;
}

static size_t number(const char *word)
{
	char *end;
	unsigned long n = strtoul(word, &end, 10);

	if (*end || end == word)
		errx(2, "%s: not a number", word);
	return n;
}

static int cut(const char *dir, const char *log, const char *const word[3], const char *state)
{
	size_t from = number(word[0]), to = number(word[1]), step = number(word[2]);
	struct text want = read_whole(state), whole;
	bool good = true;
	char *path;

	if (asprintf(&path, "%s/%s", dir, log) < 0)
		err(1, "memory");
	whole = read_whole(path);
	if (!step || from >= to || to > whole.len + 1)
		errx(2, "%s has %zu bytes: cuts from %zu to %zu by %zu make no sense", log, whole.len, from, to, step);
	for (size_t size = from; size < to && good; size += step) {
		write_whole(path, whole.data, size);
		good = comes_back(dir, log, size, &want);
		remove_torn(path);
	}
	write_whole(path, whole.data, whole.len);
	free(path);
	free(whole.data);
	free(want.data);
	return !good;
}

int main(int argc, char **argv)
{
	if (argc == 2)
		return list(argv[1], stdout, stderr);
	if (argc == 7)
		return cut(argv[1], argv[2], (const char *const *)argv + 3, argv[6]);
	errx(2, "usage: recovered DIR [LOG FROM TO STEP STATE]");
}
