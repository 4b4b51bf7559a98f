/* engine_rig.c -- see engine_rig.h. */
#include "tests/lib/engine_rig.h"
#include "persist/manifest.h"
#include "tests/lib/steps.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const int64_t first_ns = 1700000000000000000, step_ns = 1000000;

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

/* ---- directories ---- */

static char *in(const char *dir, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		abort();
	return path;
}

static void log_line(void *ctx, enum persist_log_level level, const char *line)
{
	struct rig *r = ctx;

	pthread_mutex_lock(&r->lock);
	if (bytes_addf(&r->log, "%d %s\n", (int)level, line) < 0)
		abort();
	pthread_mutex_unlock(&r->lock);
}

static void gone(void *ctx, const struct keyspace_place *place)
{
	(void)ctx, (void)place;
}

void rig_init(struct rig *r, struct disk_fault *f)
{
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	*r = (struct rig){ .top = in(base, "kvfs-rig-XXXXXX") };
	must(mkdtemp(r->top));
	r->data = in(r->top, "data");
	r->shared = in(r->top, "shared");
	if (mkdir(r->data, 0755) < 0 || mkdir(r->shared, 0755) < 0)
		abort();
	r->config = (struct persist_config){
		.dir = r->data, .dbfilename = "dump.rdb", .appenddirname = "appendonlydir", .appendfilename = "appendonly.aof",
		.journal_dir = r->shared, .appendonly = true, .appendfsync = FSYNC_EVERYSEC, .rdbcompression = true, .rdbchecksum = true,
		.stop_writes_on_bgsave_error = true, .aof_load_truncated = true, .aof_use_rdb_preamble = true,
		.auto_aof_rewrite_percentage = 100, .auto_aof_rewrite_min_size = 64 << 20,
	};
	r->port = (struct persist_port){ .ctx = r, .log = log_line, .gone = gone, .disk = f ? &f->disk : NULL };
	r->op.now_ns = first_ns;
	pthread_mutex_init(&r->lock, NULL);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *w)
{
	(void)st, (void)type, (void)w;
	return remove(path);
}

void rig_fini(struct rig *r)
{
	nftw(r->top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(r->top);
	free(r->data);
	free(r->shared);
	bytes_fini(&r->log);
	pthread_mutex_destroy(&r->lock);
}

int rig_open(struct rig *r)
{
	struct keyspace_options o = { .hash_seed = { 1, 2 }, .value_max = 1 << 28, .root_mode = 0755, .now_ns = first_ns };

	r->error.text[0] = '\0';
	if (keyspace_new(&o, &r->ks) < 0)
		abort();
	int err = persist_open(&r->config, r->ks, &r->port, &r->error, &r->p);
	if (err)
		goto err_keyspace;
	err = r->steps ? steps_start(r->steps, r->p) : persist_start(r->p, &r->error);
	if (!err)
		return 0;
	persist_close(r->p);
err_keyspace:
	r->p = NULL;
	keyspace_free(r->ks);
	r->ks = NULL;
	return err;
}

int rig_close(struct rig *r, enum persist_final_save save)
{
	int err = persist_stop(r->p, save, false);

	persist_close(r->p);
	keyspace_free(r->ks);
	r->p = NULL;
	r->ks = NULL;
	return err;
}

/* ---- waiting ---- */

struct reply {
	struct persist_waiter waiter;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	_Atomic int calls;
	int err;
};

static void on_done(struct persist_waiter *w, int err)
{
	struct reply *x = (struct reply *)w;

	pthread_mutex_lock(&x->lock);
	x->calls++;
	x->err = err;
	pthread_cond_signal(&x->cond);
	pthread_mutex_unlock(&x->lock);
}

static void reply_init(struct reply *x)
{
	*x = (struct reply){ .waiter = { .done = on_done } };
	pthread_mutex_init(&x->lock, NULL);
	pthread_cond_init(&x->cond, NULL);
}

/* PARKED: what the call that got the waiter said. */
static int reply_wait(struct rig *r, struct reply *x, int parked)
{
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 30;
	if (parked == 1 && r->steps)
		steps_until(r->steps, &x->calls);
	if (parked == 1) {
		pthread_mutex_lock(&x->lock);
		while (!x->calls && !err)
			err = pthread_cond_timedwait(&x->cond, &x->lock, &until);
		pthread_mutex_unlock(&x->lock);
		if (err || x->calls != 1)
			abort();     /* never answered, or twice */
		parked = x->err;
	}
	pthread_mutex_destroy(&x->lock);
	pthread_cond_destroy(&x->cond);
	return parked;
}

static struct op *next_op(struct rig *r)
{
	r->op = (struct op){ .uid = 7, .gid = 8, .now_ns = r->steps ? steps_pass(r->steps, step_ns) : r->op.now_ns + step_ns };
	return &r->op;
}

static int answer(struct rig *r, int err)
{
	struct reply x;

	if (err)
		return err;
	reply_init(&x);
	return reply_wait(r, &x, persist_wait_reply(r->p, r->op.seq, &x.waiter));
}

static void nap(void)
{
	struct timespec t = { .tv_nsec = 1000000 };
	nanosleep(&t, NULL);
}

/* ---- paths ---- */

uint64_t rig_find(struct rig *r, const char *path)
{
	uint64_t at = KEYSPACE_ROOT;

	while (*path) {
		size_t len = strcspn(path, "/");
		struct attr a;
		if (keyspace_lookup(r->ks, at, path, len, r->op.now_ns, &a) < 0)
			return 0;
		keyspace_forget(r->ks, a.id, 1);
		at = a.id;
		path += len + (path[len] == '/');
	}
	return at;
}

static uint64_t parent_of(struct rig *r, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char *dir = must(strndup(path, slash ? (size_t)(slash - path) : 0));
	uint64_t id = rig_find(r, dir);

	free(dir);
	*ret_name = slash ? slash + 1 : path;
	return id;
}

/* ---- operations ---- */

int rig_mknod(struct rig *r, const char *path)
{
	const char *name;
	uint64_t parent = parent_of(r, path, &name);
	struct attr a;

	int err = keyspace_mknod(r->ks, next_op(r), parent, name, strlen(name), S_IFREG | 0640, &a);
	if (!err)
		keyspace_forget(r->ks, a.id, 1);
	return answer(r, err);
}

int rig_mkdir(struct rig *r, const char *path)
{
	const char *name;
	uint64_t parent = parent_of(r, path, &name);
	struct attr a;

	int err = keyspace_mkdir(r->ks, next_op(r), parent, name, strlen(name), 0750, &a);
	if (!err)
		keyspace_forget(r->ks, a.id, 1);
	return answer(r, err);
}

int rig_symlink(struct rig *r, const char *path, const char *target)
{
	const char *name;
	uint64_t parent = parent_of(r, path, &name);
	struct attr a;

	int err = keyspace_symlink(r->ks, next_op(r), parent, name, strlen(name), target, strlen(target), &a);
	if (!err)
		keyspace_forget(r->ks, a.id, 1);
	return answer(r, err);
}

int rig_write(struct rig *r, const char *path, uint64_t off, const void *data, size_t len)
{
	return answer(r, keyspace_write(r->ks, next_op(r), rig_find(r, path), off, data, len));
}

int rig_truncate(struct rig *r, const char *path, uint64_t size)
{
	struct attr_change c = { .mask = ATTR_SIZE, .size = size };
	struct attr a;

	return answer(r, keyspace_setattr(r->ks, next_op(r), rig_find(r, path), &c, &a));
}

int rig_expire(struct rig *r, const char *path, int64_t at_ms)
{
	return answer(r, keyspace_expire_at(r->ks, next_op(r), rig_find(r, path), at_ms, NULL));
}

int rig_chmod(struct rig *r, const char *path, uint32_t mode)
{
	struct attr_change c = { .mask = ATTR_MODE, .mode = mode };
	struct attr a;

	return answer(r, keyspace_setattr(r->ks, next_op(r), rig_find(r, path), &c, &a));
}

int rig_xattr(struct rig *r, const char *path, const char *name, const char *value)
{
	uint64_t id = rig_find(r, path);

	if (!value)
		return answer(r, keyspace_removexattr(r->ks, next_op(r), id, name, strlen(name)));
	return answer(r, keyspace_setxattr(r->ks, next_op(r), id, name, strlen(name), value, strlen(value), 0));
}

int rig_remove(struct rig *r, const char *path)
{
	const char *name;
	uint64_t parent = parent_of(r, path, &name);
	int err = keyspace_unlink(r->ks, next_op(r), parent, name, strlen(name));

	return answer(r, err == -EISDIR ? keyspace_rmdir(r->ks, &r->op, parent, name, strlen(name)) : err);
}

int rig_link(struct rig *r, const char *path, const char *name)
{
	uint64_t id = rig_find(r, path), parent = parent_of(r, name, &name);

	return answer(r, keyspace_link(r->ks, next_op(r), id, parent, name, strlen(name), NULL));
}

int rig_rename(struct rig *r, const char *from, const char *to, unsigned flags)
{
	const char *name, *new_name;
	uint64_t parent = parent_of(r, from, &name), new_parent = parent_of(r, to, &new_name);

	return answer(r, keyspace_rename(r->ks, next_op(r), parent, name, strlen(name), new_parent, new_name, strlen(new_name), flags));
}

int rig_put(struct rig *r, const char *path, const char *text)
{
	int err = rig_find(r, path) ? rig_truncate(r, path, 0) : rig_mknod(r, path);

	return err ? err : rig_write(r, path, 0, text, strlen(text));
}

int rig_fsync(struct rig *r, const char *path)
{
	struct reply x;

	reply_init(&x);
	return reply_wait(r, &x, persist_fsync(r->p, *path ? rig_find(r, path) : 0, &x.waiter));
}

int rig_save(struct rig *r)
{
	struct reply x;

	reply_init(&x);
	return reply_wait(r, &x, persist_save(r->p, &x.waiter));
}

int rig_rewrite(struct rig *r)
{
	int err = persist_bgrewriteaof(r->p, NULL);

	if (err < 0)
		return err;
	rig_wait_jobs(r);
	return rig_info(r).aof_last_bgrewrite_ok ? 0 : -EIO;
}

int rig_switch(struct rig *r, bool on)
{
	r->config.appendonly = on;
	persist_set(r->p, &r->config);
	for (int i = 0; i < 10000; i++) {
		struct persist_info x = rig_info(r);
		if (x.aof_enabled == on)
			return rig_said(r, "ends before its last changes") ? -EIO : 0;
		if (on && strcmp(x.state, "log start failed") == 0)
			return -EIO;
		nap();
	}
	return -ETIMEDOUT;
}

/* ---- looking ---- */

bool rig_holds(struct rig *r, const char *path, const char *text)
{
	struct value *v;
	uint64_t size, id = rig_find(r, path);
	bool same;

	if (!id || keyspace_get_value(r->ks, id, &v, &size) < 0)
		return false;
	char *copy = must(malloc(size + 1));
	value_copy_out(v, size, 0, copy, size);
	same = size == strlen(text) && memcmp(copy, text, size) == 0;
	free(copy);
	value_unref(v);
	return same;
}

struct persist_info rig_info(struct rig *r)
{
	struct persist_info i;

	persist_get_info(r->p, &i);
	return i;
}

bool rig_becomes(struct rig *r, const char *state)
{
	for (int i = 0; i < 10000; i++) {
		if (strcmp(rig_info(r).state, state) == 0)
			return true;
		nap();
	}
	return false;
}

bool rig_logs(struct rig *r, bool on)
{
	for (int i = 0; i < 10000; i++) {
		if (rig_info(r).aof_enabled == on)
			return true;
		nap();
	}
	return false;
}

void rig_wait_jobs(struct rig *r)
{
	for (int i = 0; i < 30000; i++) {
		struct persist_info x = rig_info(r);
		if (!x.rdb_bgsave_in_progress && !x.rdb_bgsave_scheduled && !x.aof_rewrite_in_progress && !x.aof_rewrite_scheduled)
			return;
		nap();
	}
	abort();
}

bool rig_said(struct rig *r, const char *text)
{
	pthread_mutex_lock(&r->lock);
	bool said = r->log.len && memmem(r->log.data, r->log.len, text, strlen(text));
	pthread_mutex_unlock(&r->lock);
	return said;
}

char *rig_log_file(struct rig *r, const char *suffix)
{
	char *dir = in(r->data, r->config.appenddirname), *found = NULL;
	DIR *d = opendir(dir);
	long best = 0;

	for (struct dirent *x; d && (x = readdir(d));) {
		size_t len = strlen(x->d_name), n = strlen(r->config.appendfilename), tail = strlen(suffix);
		if (len < n + tail || strncmp(x->d_name, r->config.appendfilename, n) != 0 || strcmp(x->d_name + len - tail, suffix) != 0)
			continue;
		long number = strtol(x->d_name + n + 1, NULL, 10);
		if (number < best)
			continue;
		best = number;
		free(found);
		found = in(dir, x->d_name);
	}
	if (d)
		closedir(d);
	free(dir);
	return found;
}

static bool has_temp(const char *dir)
{
	DIR *d = opendir(dir);
	bool found = false;

	for (struct dirent *x; d && (x = readdir(d));)
		found |= strncmp(x->d_name, "temp-", 5) == 0;
	if (d)
		closedir(d);
	return found;
}

static const char *manifest_fault(const char *dir, const char *path)
{
	struct manifest m = { 0 };
	struct error e = { 0 };
	char text[4096];
	const char *fault = NULL;
	FILE *f = fopen(path, "r");

	if (!f)
		return "no manifest";
	size_t len = fread(text, 1, sizeof text, f);
	fclose(f);
	if (manifest_parse(text, len, &m, &e) < 0)
		return "a manifest that is none";
	if (!manifest_base(&m) || !manifest_last_incr(&m))
		fault = "a manifest without base or incr";
	for (size_t i = 0; i < m.count && !fault; i++) {
		char *file = in(dir, m.file[i].name);
		if (m.file[i].type == MANIFEST_HISTORY)
			fault = "history in the manifest";
		else if (access(file, R_OK) < 0)
			fault = "a file of the manifest is missing";
		free(file);
	}
	manifest_fini(&m);
	return fault;
}

const char *rig_litter(struct rig *r)
{
	char *dir = in(r->data, r->config.appenddirname), *manifest = rig_log_file(r, ".manifest");
	const char *fault = has_temp(r->data) || has_temp(dir) ? "a temp file is left" : manifest ? manifest_fault(dir, manifest) : "no manifest";

	free(dir);
	free(manifest);
	return fault;
}
