/* open.c -- from a data directory to a running engine: lock, recover, take over what a dead daemon left in the journal, open the log. */
#include "persist/engine.h"
#include "persist/mapped.h"
#include "persist/rdb_load.h"
#include "persist/recover.h"
#include "persist/replay.h"
#include "persist/resp.h"
#include "persist/seal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the data directory ---- */

static int lock_dir(struct persist *p, struct error *e)
{
	const char *dir = p->config.dir;

	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return error_set(e, -errno, "dir %s: it does not exist and can't be made: %s", dir, strerror(errno));
	p->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dir_fd < 0)
		return error_set(e, -errno, "dir %s: it can't be opened: %s", dir, strerror(errno));
	if (flock(p->dir_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return error_set(e, -EWOULDBLOCK, "dir %s: another kvfs holds it", dir);
	return error_set(e, -errno, "dir %s: it can't be locked: %s", dir, strerror(errno));
}

/* Snapshots that were being written when a daemon died. */
static void remove_stale_dumps(struct persist *p)
{
	int fd = openat(p->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *x; (x = readdir(d));) {
		size_t len = strlen(x->d_name), digits = strspn(x->d_name + (len > 5 ? 5 : 0), "0123456789");
		if (len > 9 && strncmp(x->d_name, "temp-", 5) == 0 && digits == len - 9 && strcmp(x->d_name + len - 4, ".rdb") == 0)
			p->disk->unlink(p->disk->ctx, p->dir_fd, x->d_name);
	}
	closedir(d);
}

/* ---- what a dead daemon left in the journal ---- */

/* Behind the "#TS:" lines at AT. */
static size_t skip_stamp(const char *data, size_t len, size_t at)
{
	const char *newline;

	while (at < len && data[at] == '#' && (newline = memchr(data + at, '\n', len - at)))
		at = (size_t)(newline - data) + 1;
	return at;
}

/* Offset of the batch after the one numbered LAST_SEQ, with its stamp, and whether it opens a log; LEN: there is none; -EBADMSG: the
 * bytes do not go on from there. */
static int64_t find_next(const char *data, size_t len, uint64_t last_seq, bool *ret_opens)
{
	struct resp_limits limits = { .args_max = 1 << 20, .arg_max = UINT32_MAX };
	struct resp_command c = { 0 };
	int64_t ret = -EBADMSG;
	uint64_t first = 0;
	const char *why;
	size_t at = 0, used, begin = 0;

	at = skip_stamp(data, len, 0);
	while (at < len && resp_parse(data + at, len - at, &limits, false, &c, &used, &why) == RESP_OK) {
		struct seal s;
		at += used;
		if (c.argc != 2 || !resp_is(&c.argv[0], "ECHO") || !seal_is(c.argv[1].data, c.argv[1].len))
			continue;
		if (seal_parse(c.argv[1].data, c.argv[1].len, &s) < 0)
			break;
		if (!first && s.seq > last_seq + 1)
			break;
		first = s.seq;
		if (s.seq == last_seq + 1) {
			ret = (int64_t)begin;
			*ret_opens = s.flags & SEAL_OPEN;
			break;
		}
		begin = at;
		at = skip_stamp(data, len, at);
	}
	if (ret < 0 && at == len && first)
		ret = (int64_t)len;    /* the log has them all */
	resp_command_fini(&c);
	return ret;
}

/* APPEND: to the log as well. */
static int replay_leftover(struct persist *p, const char *data, size_t len, bool append, struct recovery *r, struct error *e)
{
	struct aof_result res = { .continues = true, .last_seq = r->last_seq, .lineage = r->lineage };
	struct replay replay;

	int err = replay_init(&replay, p->ks, p->config.uid, p->config.gid, p->disk->now_ns(p->disk->ctx));
	if (err)
		return error_set(e, err, "out of memory");
	replay_mount(&replay, (uint64_t)p->config.db, p->config.skip_other_dbs);
	replay.skip_non_strings = p->config.skip_non_strings;
	err = aof_read(data, len, &replay, &res, e);
	if (!err && (res.torn || res.good != len))
		err = error_set(e, -EBADMSG, "it ends in the middle of a batch");
	if (!err)
		err = replay_finish(&replay, &r->report, e);
	if (!err && append) {
		err = aof_append(&p->log, data, len);
		if (!err) {
			err = aof_sync(&p->log);
			journal_set_unsure(p->journal, err < 0);
		}
		if (err)
			error_set(e, err, "the log can't be written: %s", strerror(-err));
	}
	if (err)
		error_prepend(e, err, "journal of the daemon that died");
	else
		r->last_seq = res.last_seq;
	replay_fini(&replay);
	return err;
}

/* Batches that were acknowledged and had not reached the file: they are applied and appended to it.  They can't be where a Redis has
 * written since, for batches begin with OPEN, nor behind what a failed sync may have left in the page cache only: then *RET_NEW_BASE asks for
 * a base that holds everything. */
static int take_leftover(struct persist *p, struct recovery *r, bool *ret_new_base, struct error *e)
{
	uint64_t lineage;
	bool opens = false;
	size_t len;
	const char *data = journal_leftover(p->journal, &len, &lineage);

	if (journal_left_unsure(p->journal) && lineage == r->lineage) {
		*ret_new_base = true;
		engine_log(p, PERSIST_WARNING, "the last daemon could not sync its log, and what can be read of it may not be on disk: a new base and a "
		           "new log are written");
	}
	if (!len)
		return 0;
	if (lineage != r->lineage) {
		engine_log(p, PERSIST_WARNING, "a journal of %zu bytes from another keyspace was found for this directory: ignored", len);
		return 0;
	}
	int64_t at = find_next(data, len, r->last_seq, &opens);
	if (at < 0) {
		engine_log(p, PERSIST_WARNING, "the journal of the daemon that died does not go on where the log ends (batch %llu): ignored",
		           (unsigned long long)r->last_seq);
		return 0;
	}
	if ((size_t)at == len)
		return 0;
	if (!opens && r->db != (uint64_t)p->config.db)
		return error_set(e, -EINVAL, "the daemon that died had mounted database %llu, and left changes of it that are not in the log yet: "
		                 "mount it once with db=%llu", (unsigned long long)r->db, (unsigned long long)r->db);
	*ret_new_base = *ret_new_base || (!r->sealed && !opens);
	int err = replay_leftover(p, data + at, len - (size_t)at, !*ret_new_base, r, e);
	if (!err)
		engine_log(p, PERSIST_INFO, "%zu bytes of changes that the last daemon had acknowledged but not written were recovered",
		           len - (size_t)at);
	return err;
}

/* ---- the log ---- */

static uint64_t random_lineage(void)
{
	uint64_t x = 0;

	while (x == 0)
		if (getrandom(&x, sizeof x, 0) != sizeof x)
			x = 0;
	return x;
}

static int load_newer_dump(struct persist *p, struct recovery *r, struct error *e)
{
	const char *dump_name = p->config.dbfilename, *log_name = p->config.appenddirname;
	struct recovery dump;

	int err = recover_dump(&p->config, p->dir_fd, p->ks, &p->port, &dump, e);
	if (err)
		return error_prepend(e, err, "it is newer than the log in %s (move it away to start with what the log has)", log_name);
	err = bytes_addf(&dump.report, "%s was loaded, and the log begins anew: it is newer than the log in %s, which lacks its last changes\n", dump_name,
	                 log_name);
	recovery_fini(r);
	*r = dump;
	return err ? error_set(e, err, "out of memory") : 0;
}

/* The next snapshot would take its name. */
static int keep_forked_dump(struct persist *p, struct recovery *r, const struct rdb_origin *dump, struct error *e)
{
	struct bytes kept = { 0 };

	int err = bytes_addf(&kept, "%s.%016llx-%llu", p->config.dbfilename, (unsigned long long)dump->lineage, (unsigned long long)dump->seq);
	if (!err)
		err = bytes_add(&kept, "", 1);
	if (!err && linkat(p->dir_fd, p->config.dbfilename, p->dir_fd, kept.data, 0) < 0 && errno != EEXIST)
		engine_log(p, PERSIST_WARNING, "%s can't be kept as %s: %s", p->config.dbfilename, kept.data, strerror(errno));
	if (!err)
		err = bytes_addf(&r->report,
		                 "%s was not loaded: it was written with appendonly no and has changes that the log in %s has not, but not all that "
		                 "the log has; it is kept as %s\n",
		                 p->config.dbfilename, p->config.appenddirname, kept.data);
	bytes_fini(&kept);
	return err ? error_set(e, err, "out of memory") : 0;
}

/* A snapshot is newer than the log when the log was switched off, or when a power cut took the log's last moments: then it is what counts,
 * and *RET_NEW_BASE asks for a log that begins with it. */
static int look_at_dump(struct persist *p, struct recovery *r, bool *ret_new_base, struct error *e)
{
	struct rdb_origin dump;

	if (recover_peek_dump(&p->config, p->dir_fd, &dump) < 0)
		return 0;
	switch (recover_relate(&dump, r->lineage, r->last_seq)) {
	case RECOVER_NEWER:
		*ret_new_base = true;
		return load_newer_dump(p, r, e);
	case RECOVER_FORKED:
		return keep_forked_dump(p, r, &dump, e);
	case RECOVER_OLDER:
		break;
	}
	return 0;
}

static int open_log(struct persist *p, struct recovery *r, struct error *e)
{
	struct error why = { 0 };
	struct journal *j;

	int err = journal_open(p->config.journal_dir, p->dir_fd, &why, &j);
	if (err)
		return error_set(e, err, "out of memory");
	atomic_store(&p->journal, j);
	if (why.text[0])
		engine_log(p, PERSIST_WARNING, "%s: replies wait for the log file instead", why.text);
	err = aof_open_dir(&p->log, p->dir_fd, p->config.appenddirname, e);
	if (err)
		return err;
	/* Without a log nothing may be in its place before it holds everything. */
	bool new_base = r->source != RECOVER_AOF;
	if (!new_base) {
		err = aof_resume(&p->log, &r->manifest, r->last_incr_size, r->base_size, e);
		if (!err)
			err = take_leftover(p, r, &new_base, e);
		if (!err)
			err = look_at_dump(p, r, &new_base, e);
	}
	uint64_t lineage = r->lineage ? r->lineage : random_lineage();
	encode_init(&p->encoder, p->ks, p->journal, lineage, r->last_seq);
	p->encoder.db = (uint64_t)p->config.db;
	if (!err && new_base) {
		err = jobs_first_base(p);
		if (err)
			error_set(e, err, "the first base of the log can't be written: %s", strerror(-err));
	}
	if (err)
		return err;
	journal_reset(p->journal, lineage);
	p->encoder.timestamps = p->config.aof_timestamp_enabled;
	p->encoder.hold = p->config.appendfsync != FSYNC_ALWAYS;
	err = encode_open(&p->encoder, p->disk->now_ns(p->disk->ctx));
	atomic_store(&p->mode, LOG_ON);
	if (!err)
		err = engine_drain(p);
	return err ? error_set(e, err, "the log can't be written: %s", strerror(-err)) : 0;
}

/* The keyspace of the log that lies beside, as its base says; 0: it does not. */
static uint64_t lineage_of_log(struct persist *p)
{
	struct rdb_origin o = { 0 };
	struct error unused = { { 0 } };
	struct mapped m = { 0 };
	struct aof l;

	aof_init(&l, p->disk, p->config.appendfilename);
	l.dir_fd = openat(p->dir_fd, p->config.appenddirname, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct manifest_file *base = l.dir_fd >= 0 && aof_adopt(&l, &unused) == 0 ? manifest_base(&l.manifest) : NULL;
	if (base && mapped_file(l.dir_fd, base->name, &m, &unused) == 0 && m.data)
		rdb_peek(m.data, m.len, &o);     /* another file leaves 0 */
	mapped_fini(&m);
	aof_close(&l);
	return o.lineage;
}

/* Snapshots say of which keyspace they are, and when.  The log that lies beside won't have what comes now: from here on it is another
 * keyspace, so that nobody takes the one for the end of the other; but one that knows where it comes from. */
static void count_without_log(struct persist *p, const struct recovery *r)
{
	struct rdb_origin dump = { 0 };
	uint64_t lineage = r->lineage;

	if (r->log_beside)
		recover_peek_dump(&p->config, p->dir_fd, &dump);     /* without one it has no parent */
	if (dump.parent && dump.parent == lineage_of_log(p)) {
		p->parent = dump.parent;
		p->parent_seq = dump.parent_seq;
	} else if (r->log_beside) {
		p->parent = dump.lineage;
		p->parent_seq = dump.seq;
		lineage = 0;
	}
	encode_init(&p->encoder, p->ks, NULL, lineage ? lineage : random_lineage(), r->last_seq);
	p->encoder.db = (uint64_t)p->config.db;
	p->encoder.timestamps = p->config.aof_timestamp_enabled;
}

static void on_synced(void *ctx)
{
	engine_kick(ctx);
}

static void init(struct persist *p, const struct persist_config *config, struct keyspace *ks, const struct persist_port *port)
{
	pthread_condattr_t attr;

	p->config = *config;
	p->ks = ks;
	p->port = *port;
	p->disk = port->disk ? port->disk : disk_real();
	p->dir_fd = -1;
	p->rules = config->save;
	atomic_store(&p->fsync_policy, config->appendfsync);
	atomic_store(&p->wake_at, UINT64_MAX);
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->wake, &attr);
	pthread_condattr_destroy(&attr);
	expirer_init(&p->expirer, ks, &p->port, p->disk, engine_is_behind, p);
	syncer_init(&p->syncer, p->disk, on_synced, p);
	aof_init(&p->log, p->disk, config->appendfilename);
	p->log.syncer = &p->syncer;
	if (!config->aof_use_rdb_preamble)
		p->log.base_suffix = ".base.aof";
	p->info.rdb_last_bgsave_ok = p->info.aof_last_bgrewrite_ok = p->info.aof_last_write_ok = true;
	p->info.rdb_last_bgsave_time_sec = p->info.aof_last_rewrite_time_sec = -1;
	p->info.rdb_last_save_time = p->disk->now_ns(p->disk->ctx) / SECOND_NS;
}

static int open_all(struct persist *p, struct error *e)
{
	struct recovery r = { 0 };

	int err = lock_dir(p, e);
	if (err)
		return err;
	remove_stale_dumps(p);
	err = recover(&p->config, p->dir_fd, p->ks, &p->port, &r, e);
	if (!err && p->config.appendonly)
		err = open_log(p, &r, e);
	else if (!err)
		count_without_log(p, &r);
	if (!err) {
		p->report = r.report;
		r.report = (struct bytes){ 0 };
		p->info.rdb_last_load_keys_loaded = r.keys_loaded;
		p->info.rdb_last_load_keys_expired = r.keys_expired;
		if (!err && bytes_add(&p->report, "", 1) < 0)
			err = error_set(e, -ENOMEM, "out of memory");
	}
	recovery_fini(&r);
	if (!err)
		engine_observe(p);
	return err;
}

int persist_open(const struct persist_config *config, struct keyspace *ks, const struct persist_port *port, struct error *e,
                 struct persist **ret)
{
	struct persist *p = calloc(1, sizeof *p);
	if (!p)
		return error_set(e, -ENOMEM, "out of memory");
	init(p, config, ks, port);
	int err = open_all(p, e);
	if (err) {
		persist_close(p);
		return err;
	}
	*ret = p;
	return 0;
}
