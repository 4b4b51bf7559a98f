/* loading.c -- see loading.h. */
#include "persist/loading.h"

#include "persist/rdb.h"
#include "persist/rdb_load.h"

#include <errno.h>
#include <time.h>

enum {
	PROGRESS_KEYS = 64 << 10,   /* between two reports */
	COMMAND_BYTES = 96,         /* a log says nothing of the number of its keys: as if each had one command of this size */
};

static const int64_t ns_per_ms = 1000000, us_per_s = 1000000, ns_per_us = 1000;

static void loading_tick(void *ctx, uint64_t done)
{
	struct loading *ld = ctx;
	int64_t delay_us = ld->c->key_load_delay_us;

	if (delay_us > 0) {
		struct timespec ts = { .tv_sec = delay_us / us_per_s, .tv_nsec = delay_us % us_per_s * ns_per_us };

		nanosleep(&ts, NULL);
	}
	if (ld->port->loading && (ld->ticks++ % PROGRESS_KEYS == 0 || delay_us > 0))
		ld->port->loading(ld->port->ctx, ld->done + done, ld->total, ld->r.keys);
}

int loading_init(struct loading *ld, const struct persist_config *c, const struct persist_port *port, struct keyspace *ks, struct error *e)
{
	int err;

	*ld = (struct loading){ .c = c, .port = port, .disk = port->disk ? port->disk : disk_real(), .e = e, .ks = ks };
	err = replay_init(&ld->r, ks, c->uid, c->gid, ld->disk->now_ns(ld->disk->ctx));
	if (err)
		return error_set(e, err, "out of memory");
	replay_mount(&ld->r, (uint64_t)c->db, c->skip_other_dbs);
	ld->r.skip_non_strings = c->skip_non_strings;
	ld->r.progress = loading_tick;
	ld->r.progress_ctx = ld;
	return 0;
}

void loading_fini(struct loading *ld)
{
	replay_fini(&ld->r);
}

static int load_rdb(struct loading *ld, const struct mapped *m, bool drop_expired, size_t *ret_used)
{
	struct rdb_loaded l = { .drop_expired = drop_expired, .now_ms = ld->disk->now_ns(ld->disk->ctx) / ns_per_ms };
	int err = rdb_load(m->data, m->len, &ld->r, &l, ld->e);

	if (err)
		return err;
	*ret_used = l.used;
	ld->keys_expired += l.expired;
	ld->had_rdb = true;
	ld->rdb_ctime_s = l.ctime_s;
	if (l.seq)
		ld->aof.last_seq = l.seq;
	if (l.lineage)
		ld->aof.lineage = l.lineage;
	return 0;
}

int loading_dump(struct loading *ld, const struct mapped *m, bool drop_expired)
{
	size_t used;

	ld->r.l.now_ns = m->mtime_ns;
	if (m->len == 0)
		return error_set(ld->e, -EINVAL, "is empty (0 bytes), which no snapshot is: put a good one in its place, or remove it to start "
		                 "with no keys");
	return load_rdb(ld, m, drop_expired, &used);
}

int loading_log(struct loading *ld, const struct mapped *m, uint64_t *ret_good)
{
	size_t used = 0;
	int err;

	ld->r.db = 0;
	ld->r.l.now_ns = m->mtime_ns;
	ld->aof.sealed = ld->aof.torn = ld->aof.corrupt_tail = false;
	ld->had_rdb = false;
	if (m->data && rdb_is(m->data, m->len)) {
		err = load_rdb(ld, m, false, &used);
		if (err)
			return err;
	}
	*ret_good = m->len;
	if (used == m->len)
		return 0;
	ld->aof.origin = used;
	(void)loader_presize(&ld->r.l, (m->len - used) / COMMAND_BYTES);  /* a hint: may fail */
	err = aof_read(m->data + used, m->len - used, &ld->r, &ld->aof, ld->e);
	*ret_good = used + ld->aof.good;
	return err;
}

int loading_finish(struct loading *ld, struct bytes *report)
{
	struct usage u;
	int err = replay_finish(&ld->r, report, ld->e);

	if (err)
		return err;
	if (ld->keys_expired && bytes_addf(report, "keys left out because their time is over: %llu\n", (unsigned long long)ld->keys_expired))
		return error_set(ld->e, -ENOMEM, "out of memory");
	keyspace_usage(ld->ks, &u);
	if (ld->port->loading && ld->total)
		ld->port->loading(ld->port->ctx, ld->total, ld->total, u.keys);
	return 0;
}
