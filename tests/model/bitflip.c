/* One flipped bit anywhere in the files that kvfs writes is found at the start, with the name of the file and the place; never is something
 * else loaded than what was written.  The one exception is the last batch of the log: where a flip makes it longer than the file it can't
 * be told from a torn tail, and is cut off with a line that says so.
 * Every bit of every file of a small data directory is flipped, one at a time: recover() has to refuse, and check to say so.  Now and then
 * check also repairs; then all of it is there again. */
#include "persist/check.h"
#include "persist/recover.h"
#include "tests/lib/engine_rig.h"
#include "tests/lib/tap.h"
#include "tests/lib/tree_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 16384, LONG_VALUE = 300, CHECK_EVERY = 23, FIX_EVERY = 131 };

struct place {
	struct rig rig;
	int data_fd;
	const char *last_incr;       /* base name; owned */
	size_t last_batch;           /* where it starts */
	struct tree_state whole, without_last;
};

/* What recovery makes of the directory as it is; the lines of its report in *RET_REPORT. */
static int start(struct place *p, bool appendonly, struct tree_state *ret, struct recovery *r, struct error *e)
{
	struct keyspace_options o = { .hash_seed = { 1, 2 }, .value_max = 1 << 20, .memory_max = 16 << 20, .root_mode = 0755, .now_ns = 1 };
	struct persist_config c = p->rig.config;
	struct persist_port port = { 0 };
	struct keyspace *ks;

	c.appendonly = appendonly;
	e->text[0] = '\0';
	if (keyspace_new(&o, &ks) < 0)
		abort();
	int err = recover(&c, p->data_fd, ks, &port, r, e);
	if (err == 0)
		tree_state_take(ks, ret);
	keyspace_free(ks);
	return err;
}

/* ---- a life that leaves every sort of batch ---- */

static void must(int err)
{
	if (err)
		abort();
}

/* ENDS_IN_OPEN: the last batch is the opening of a log that nobody has changed then. */
static void live(struct rig *r, bool ends_in_open)
{
	char text[LONG_VALUE];

	memset(text, 'z', sizeof text);
	must(rig_open(r));
	must(rig_mkdir(r, "d"));
	must(rig_put(r, "d/a", "one"));
	must(rig_put(r, "d/long", "x"));
	must(rig_write(r, "d/long", 1, text, sizeof text));
	must(rig_symlink(r, "link", "d/a"));
	must(rig_rewrite(r));
	rig_wait_jobs(r);
	must(rig_write(r, "d/a", 3, "+two", 4));
	must(rig_write(r, "d/a", 1, "N", 1));
	must(rig_truncate(r, "d/a", 2));
	must(rig_chmod(r, "d/a", 0600));
	must(rig_mkdir(r, "d/sub"));
	must(rig_rename(r, "d", "e", 0));
	must(rig_save(r));
	must(rig_close(r, FINAL_SAVE_NEVER));
	must(rig_open(r));
	if (!ends_in_open) {
		must(rig_put(r, "e/b", "later"));
		must(rig_remove(r, "link"));
		must(rig_put(r, "last", "of all"));
	}
	must(rig_close(r, FINAL_SAVE_NEVER));
}

/* ---- files ---- */

static size_t read_file(struct place *p, const char *name, char *data)
{
	int fd = openat(p->data_fd, name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, data, FILE_MAX);

	if (n <= 0 || n == FILE_MAX || close(fd) < 0)
		abort();
	return (size_t)n;
}

static void write_file(struct place *p, const char *name, const char *data, size_t len)
{
	int fd = openat(p->data_fd, name, O_WRONLY | O_TRUNC);

	if (fd < 0 || write(fd, data, len) != (ssize_t)len || close(fd) < 0)
		abort();
}

/* A start has cut NAME: it is made whole, and the copies go. */
static void undo_cut(struct place *p, const char *name, const char *data, size_t len)
{
	int fd = openat(p->data_fd, "appendonlydir", O_RDONLY | O_DIRECTORY);
	DIR *d = fdopendir(fd);

	if (!d)
		abort();
	for (struct dirent *x; (x = readdir(d));)
		if (strstr(x->d_name, ".torn-"))
			must(unlinkat(fd, x->d_name, 0));
	closedir(d);
	write_file(p, name, data, len);
}

/* The state without the last batch, and where that starts: by a cut one byte before the end. */
static void find_last_batch(struct place *p)
{
	struct recovery r = { 0 };
	char name[300], data[FILE_MAX];
	struct error e;

	snprintf(name, sizeof name, "appendonlydir/%s", p->last_incr);
	size_t len = read_file(p, name, data);
	write_file(p, name, data, len - 1);
	must(start(p, true, &p->without_last, &r, &e));
	p->last_batch = r.last_incr_size;
	recovery_fini(&r);
	undo_cut(p, name, data, len);
	ok(p->last_batch > 0 && p->last_batch < len - 1, "the last batch of %zu bytes starts at %zu", len, p->last_batch);
}

/* ---- flips ---- */

struct outcome { size_t refused, cut, silent, changed, unnamed, unchecked, unfixed; };

/* Whether the sentence names the file and a place in it. */
static bool says_where(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at && (strstr(at, " at ") || strstr(at, "offset ") || strstr(at, "line ") || strstr(at, "it begins with"));
}

static void look(struct place *p, const char *base_name, bool appendonly, size_t at, struct outcome *o)
{
	struct tree_state got = { 0 };
	struct recovery r = { 0 };
	struct error e;
	char why[300];

	if (start(p, appendonly, &got, &r, &e) < 0) {
		o->refused++;
		if (!says_where(e.text, base_name) && !o->unnamed++)
			diag("%s, byte %zu: no place in \"%s\"", base_name, at, e.text);
		return;
	}
	if (r.report.len == 0) {
		if (!o->silent++)
			diag("%s, byte %zu: not found", base_name, at);
	} else if (strcmp(base_name, p->last_incr) == 0 && at >= p->last_batch && tree_state_same(&got, &p->without_last, why, sizeof why)) {
		o->cut++;
	} else if (!o->changed++) {
		diag("%s, byte %zu: cut, and more than the last batch is lost: %.*s", base_name, at, (int)r.report.len, r.report.data);
	}
	recovery_fini(&r);
	tree_state_fini(&got);
}

/* ---- check ---- */

static void note_line(void *ctx, const char *line)
{
	struct bytes *said = ctx;

	must(bytes_addf(said, "%s\n", line));
}

static unsigned check(struct place *p, bool fix, struct bytes *said, struct error *e)
{
	struct check_options o = { .fix = fix, .dbfilename = "dump.rdb", .appenddirname = "appendonlydir", .appendfilename = "appendonly.aof",
		                   .say = note_line, .ctx = said };

	said->len = 0;
	e->text[0] = '\0';
	return check_path(p->rig.data, &o, e);
}

static void look_with_check(struct place *p, const char *name, size_t at, struct outcome *o)
{
	struct bytes said = { 0 };
	struct error e;

	if (check(p, false, &said, &e) != CHECK_DAMAGED || !memmem(said.data, said.len, name, strlen(name)))
		if (!o->unchecked++)
			diag("%s, byte %zu: check finds nothing: %s%.*s", name, at, e.text, (int)said.len, said.data);
	bytes_fini(&said);
}

/* Repairs a copy of the directory, which is then sound. */
static void look_at_fix(struct place *p, const char *name, bool appendonly, size_t at, struct outcome *o)
{
	struct tree_state got = { 0 };
	struct recovery r = { 0 };
	struct bytes said = { 0 }, again = { 0 };
	char why[300] = "";
	struct error e;
	char *command;

	if (asprintf(&command, "rm -rf %s.kept && cp -a %s %s.kept", p->rig.data, p->rig.data, p->rig.data) < 0 || system(command) != 0)
		abort();
	free(command);
	unsigned found = check(p, true, &said, &e);
	bool sound = found == CHECK_FIXED && check(p, false, &again, &e) == CHECK_CLEAN && start(p, appendonly, &got, &r, &e) == 0;
	if (sound && appendonly)
		sound = tree_state_same(&got, &p->whole, why, sizeof why);
	if (!sound && !o->unfixed++)
		diag("%s, byte %zu: not repaired (%u): %s %s %.*s %.*s", name, at, found, e.text, why, (int)said.len, said.data, (int)again.len,
		     again.data);
	recovery_fini(&r);
	tree_state_fini(&got);
	bytes_fini(&said);
	bytes_fini(&again);
	if (asprintf(&command, "rm -r %s/* && cp -a %s.kept/* %s", p->rig.data, p->rig.data, p->rig.data) < 0 || system(command) != 0)
		abort();
	free(command);
}

static void put_byte(struct place *p, const char *name, size_t at, char byte)
{
	int fd = openat(p->data_fd, name, O_WRONLY);

	if (fd < 0 || pwrite(fd, &byte, 1, (off_t)at) != 1 || close(fd) < 0)
		abort();
}

static void flip_all(struct place *p, const char *name, bool appendonly)
{
	const char *base_name = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	char data[FILE_MAX];
	size_t len = read_file(p, name, data);
	struct outcome o = { 0 };

	for (size_t bit = 0; bit < len * 8; bit++) {
		char flipped = (char)(data[bit / 8] ^ 1 << bit % 8);
		size_t cuts = o.cut + o.changed;

		put_byte(p, name, bit / 8, flipped);
		if (bit % CHECK_EVERY == 0)
			look_with_check(p, base_name, bit / 8, &o);
		look(p, base_name, appendonly, bit / 8, &o);
		bool was_cut = o.cut + o.changed > cuts;
		if (was_cut) {
			undo_cut(p, name, data, len);
			put_byte(p, name, bit / 8, flipped);
		}
		if (was_cut || bit % FIX_EVERY == 0)
			look_at_fix(p, base_name, appendonly, bit / 8, &o);
		put_byte(p, name, bit / 8, data[bit / 8]);
	}
	is((int64_t)o.unchecked, 0, "%s: check finds it too", name);
	is((int64_t)o.unfixed, 0, "%s: what it repairs is what it was", name);
	is((int64_t)o.silent, 0, "%s: each of %zu bits, flipped, is found", name, len * 8);
	is((int64_t)o.changed, 0, "%s: never more than the last batch is cut off (%zu times)", name, o.cut);
	is((int64_t)o.unnamed, 0, "%s: the file and the place are named", name);
}

static void flip_directory(struct place *p)
{
	int fd = openat(p->data_fd, "appendonlydir", O_RDONLY | O_DIRECTORY);
	DIR *d = fdopendir(fd);
	char name[300];
	int count = 0;

	if (!d)
		abort();
	for (struct dirent *x; (x = readdir(d));) {
		if (x->d_name[0] == '.')
			continue;
		snprintf(name, sizeof name, "appendonlydir/%s", x->d_name);
		flip_all(p, name, true);
		count++;
	}
	closedir(d);
	is(count, 3, "manifest, base and incr were all there was");
}

static void test_directory(bool preamble, bool ends_in_open)
{
	struct place p = { 0 };
	struct recovery r = { 0 };
	struct error e;

	diag("the base: %s; the last batch: %s", preamble ? "RDB" : "commands", ends_in_open ? "OPEN" : "a SET");
	rig_init(&p.rig, NULL);
	p.rig.config.aof_use_rdb_preamble = preamble;
	p.rig.config.aof_timestamp_enabled = true;
	p.rig.config.appendfsync = FSYNC_ALWAYS;
	live(&p.rig, ends_in_open);
	p.data_fd = open(p.rig.data, O_RDONLY | O_DIRECTORY);
	char *incr = rig_log_file(&p.rig, ".incr.aof");
	p.last_incr = strrchr(incr, '/') + 1;
	must(start(&p, true, &p.whole, &r, &e));
	ok(p.whole.count > 5, "the files are read");
	recovery_fini(&r);
	find_last_batch(&p);
	flip_directory(&p);
	if (preamble)
		flip_all(&p, "dump.rdb", false);
	tree_state_fini(&p.whole);
	tree_state_fini(&p.without_last);
	free(incr);
	close(p.data_fd);
	rig_fini(&p.rig);
}

int main(void)
{
	test_directory(true, false);
	test_directory(false, true);
	return tap_end();
}
