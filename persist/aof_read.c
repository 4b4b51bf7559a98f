/* aof_read.c -- one log file in memory, by the rules of format.h.
 *
 *                      SELECT + OPEN seal
 *      UNSEALED  ---------------------------->  SEALED
 *      as Redis                                 batches
 *                <----------------------------
 *              SELECT without OPEN seal, or MULTI
 *
 * UNSEALED: a command counts when it is whole; those between MULTI and EXEC count with EXEC.
 * SEALED: commands wait in the batch until their seal says that they count.  When Redis goes on writing, those that wait lost
 * their seal to Redis's own cutting of a torn tail; Redis applied them, and so do we.
 * The end of the file in the middle of something, with nothing of ours behind it, is a torn tail; all else is damage.  NULs at the
 * end of a SEALED stretch are the end of the file, and so are those where our opening of the log should stand. */
#include "persist/aof_batch.h"
#include "persist/recover.h"
#include "persist/salvage.h"

#include <errno.h>
#include <string.h>

enum { OPEN_SIZE = 82 };      /* bytes of a batch that opens a log, without #TS */

struct aof_reader {
	const char *data;           /* the file */
	size_t len;
	size_t written;             /* without NULs at the end, which a power loss may leave behind what was written */
	struct replay *r;
	struct aof_result *res;
	struct error *e;
	size_t pos;                 /* read so far */
	struct resp_command command;  /* the last one read, from AT up to END */
	size_t at, end;
	struct aof_batch batch;     /* SEALED: of the batch; UNSEALED: since MULTI */
	size_t batch_at;            /* where that starts, when it is not empty or IN_MULTI */
	bool in_multi;              /* UNSEALED */
	int64_t start_ns;           /* the time of what has none */
};

static unsigned long long reader_offset(const struct aof_reader *a, size_t at)
{
	return a->res->origin + at;
}

static int reader_damage(struct aof_reader *a, size_t at, const char *why)
{
	return error_set(a->e, -EBADMSG, "%s at %llu: %s (kvfs-ctl check DIR tells more)", a->res->sealed ? "batch" : "command",
	                 reader_offset(a, at), why);
}

/* What was last read is done, up to its end. */
static void reader_counts(struct aof_reader *a)
{
	a->pos = a->end;
	a->res->good = a->pos;
	aof_batch_clear(&a->batch);
	a->in_multi = false;
	if (a->r->progress)
		a->r->progress(a->r->progress_ctx, reader_offset(a, a->pos));
}

/* RESP_OK, RESP_MORE, or -EPROTO and *RET_WHY. */
static int reader_parse(struct aof_reader *a, size_t at, size_t len, const char **ret_why)
{
	static const struct resp_limits limits = { .args_max = INT32_MAX, .arg_max = INT64_MAX };
	size_t used;
	int got = resp_parse(a->data + at, len - at, &limits, false, &a->command, &used, ret_why);

	if (got != RESP_OK)
		return got;
	if (a->command.argc == 0) {
		*ret_why = "expected a command";
		return -EPROTO;
	}
	a->at = at;
	a->end = at + used;
	return RESP_OK;
}

/* The file ends inside of what starts at AT. */
static int reader_tail(struct aof_reader *a, size_t at)
{
	size_t start = a->batch.count || a->in_multi ? a->batch_at : at, found;

	if (salvage_find_seal(a->data, a->written, start + 1, a->res->last_seq ? a->res->last_seq + 1 : 0, &found))
		return error_set(a->e, -EBADMSG, "%s at %llu: can't be read, but what was written after it is there (a seal at %llu): "
		                 "damage, not a torn tail (kvfs-ctl check DIR tells more)", a->res->sealed ? "batch" : "command",
		                 reader_offset(a, start), reader_offset(a, found));
	a->res->torn = true;
	return 0;
}

/* Whether what stands at the read position is cut short by NULs that go on to the end. */
static bool reader_at_nuls(struct aof_reader *a)
{
	const char *ignored;

	return a->written < a->len && (a->written <= a->pos || reader_parse(a, a->pos, a->written, &ignored) == RESP_MORE);
}

/* What stands at the read position is no whole command. */
static int reader_stopped(struct aof_reader *a, int got, const char *why)
{
	if (got == RESP_MORE)
		return reader_tail(a, a->pos);
	if (got == -ENOMEM)
		return error_set(a->e, got, "out of memory");
	if (a->res->sealed && reader_at_nuls(a))
		return reader_tail(a, a->pos);
	return reader_damage(a, a->batch.count || a->in_multi ? a->batch_at : a->pos, why);
}

/* The last command read has to wait. */
static int reader_hold(struct aof_reader *a)
{
	if (a->batch.count == 0 && !a->in_multi)
		a->batch_at = a->at;
	if (aof_batch_add(&a->batch, &a->command, reader_offset(a, a->at)))
		return error_set(a->e, -ENOMEM, "out of memory");
	a->pos = a->end;
	return 0;
}

/* Commands that wait count as Redis has it. */
static int reader_release(struct aof_reader *a)
{
	uint64_t at = 0;
	int err = aof_batch_commands(&a->batch, a->r, &at, a->e);

	if (err)
		return error_prepend(a->e, err, "command at %llu", (unsigned long long)at);
	a->res->commands += a->batch.count;
	reader_counts(a);
	return 0;
}

/* ---- SEALED ---- */

static bool reader_at_seal(const struct aof_reader *a)
{
	const struct resp_arg *argv = a->command.argv;

	return a->command.argc == 2 && resp_is(&argv[0], "ECHO") && seal_is(argv[1].data, argv[1].len);
}

static int reader_apply_batch(struct aof_reader *a, const struct seal *s)
{
	uint64_t ignored;
	int err = 0;

	a->r->l.now_ns = s->time_ns;
	a->r->strict = true;
	if (s->flags & SEAL_OPEN)
		a->r->db = 0;
	if (!(s->flags & SEAL_RECORDS_ONLY))
		err = aof_batch_commands(&a->batch, a->r, &ignored, a->e);
	if (!err)
		err = aof_batch_records(&a->batch, s, a->r, a->res, a->e);
	a->r->strict = false;
	return err;
}

/* The last command read is a seal: its batch counts, or the file is damaged. */
static int reader_seal(struct aof_reader *a)
{
	const struct resp_arg *blob = &a->command.argv[1];
	size_t start = a->batch.count ? a->batch_at : a->at;
	uint64_t last = a->res->last_seq;
	struct seal s;
	int err;

	if (a->res->sealed && a->end > a->written)
		return reader_tail(a, a->at);
	if (seal_parse(blob->data, blob->len, &s))
		return reader_damage(a, start, "its seal is too short or of another version");
	if (s.crc != seal_crc(a->data + start, blob->data + blob->len))
		return reader_damage(a, start, "checksum does not match");
	if (s.seq != last + 1 && (last || !(s.flags & SEAL_OPEN)))
		return error_set(a->e, -EBADMSG, "batch at %llu: it is number %llu where number %llu should follow: something is missing "
		                 "(kvfs-ctl check DIR tells more)", reader_offset(a, start), (unsigned long long)s.seq,
		                 (unsigned long long)last + 1);
	a->res->last_seq = s.seq;
	err = reader_apply_batch(a, &s);
	if (err)
		return error_prepend(a->e, err, "batch at %llu", reader_offset(a, start));
	a->res->sealed = true;
	a->res->batches++;
	reader_counts(a);
	return 0;
}

static int reader_leave_sealed(struct aof_reader *a)
{
	a->res->sealed = false;
	if (a->r->l.now_ns < a->start_ns)
		a->r->l.now_ns = a->start_ns;
	return 0;
}

/* The last command read is SELECT: it begins our next opening of the log, or what a Redis wrote. */
static int reader_select(struct aof_reader *a)
{
	const char *ignored;
	struct seal s;
	int err = reader_hold(a);
	int got;

	if (err)
		return err;
	got = reader_parse(a, a->pos, a->len, &ignored);
	if (got == RESP_OK && reader_at_seal(a) && !seal_parse(a->command.argv[1].data, a->command.argv[1].len, &s) && s.flags & SEAL_OPEN) {
		if (a->batch.count > 1)
			return reader_damage(a, a->batch_at, "it has no seal");
		return reader_seal(a);
	}
	if (a->res->sealed && a->batch.count == 1 && (got == RESP_MORE || reader_at_nuls(a)))
		return reader_tail(a, a->pos);
	if (a->res->sealed)
		reader_leave_sealed(a);
	a->end = a->pos;
	return reader_release(a);
}

static int reader_sealed_step(struct aof_reader *a)
{
	if (reader_at_seal(a))
		return reader_seal(a);
	if (resp_is(&a->command.argv[0], "SELECT"))
		return reader_select(a);
	if (resp_is(&a->command.argv[0], "MULTI")) {
		reader_leave_sealed(a);
		a->end = a->at;
		return reader_release(a);
	}
	return reader_hold(a);
}

/* ---- UNSEALED ---- */

static int reader_unsealed_step(struct aof_reader *a)
{
	const struct resp_arg *name = &a->command.argv[0];
	int err;

	if (reader_at_seal(a))
		return reader_damage(a, a->at, "a seal of kvfs where kvfs did not open the log");
	if (resp_is(name, "MULTI")) {
		if (!a->in_multi)
			a->batch_at = a->at;
		a->in_multi = true;
		a->pos = a->end;
		return 0;
	}
	if (resp_is(name, "EXEC"))
		return reader_release(a);
	if (a->in_multi)
		return reader_hold(a);
	if (resp_is(name, "SELECT"))
		return reader_select(a);
	err = replay_command(a->r, a->command.argv, a->command.argc, a->e);
	if (err)
		return error_prepend(a->e, err, "command at %llu", reader_offset(a, a->at));
	a->res->commands++;
	reader_counts(a);
	return 0;
}

/* ---- both ---- */

/* A line that starts with '#': a comment, or "#TS:" and the second in which what follows was written. */
static int reader_comment(struct aof_reader *a)
{
	const char *line = a->data + a->pos, *newline = memchr(line, '\n', a->len - a->pos);
	int64_t seconds, ns;

	if (!newline)
		return reader_tail(a, a->pos);
	if (!a->res->sealed && newline - line > 5 && !memcmp(line, "#TS:", 4)) {
		struct resp_arg digits = { .data = line + 4, .len = (size_t)(newline - line) - 4 - (newline[-1] == '\r') };

		if (!resp_int64(&digits, &seconds) && !__builtin_mul_overflow(seconds, (int64_t)1000000000, &ns))
			a->r->l.now_ns = ns;
	}
	a->pos = (size_t)(newline + 1 - a->data);
	if (a->batch.count == 0 && !a->in_multi)
		a->res->good = a->pos;
	return 0;
}

/* Whether all that is left is a start of OPEN, and NULs where the power went: it stands where no seal was yet.  A SELECT that ends with the
 * file is whole, also when a NUL stands for its last LF: the two bytes behind an argument are anything. */
static bool reader_at_torn_open(struct aof_reader *a)
{
	static const char open_start[] = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*2\r\n$4\r\nECHO\r\n$38\r\n" SEAL_MAGIC;
	size_t known = sizeof(open_start) - 1, n;
	const char *ignored;

	if (a->written == a->len || a->pos > a->written)
		return false;
	n = a->written - a->pos;
	if (n >= OPEN_SIZE || memcmp(a->data + a->pos, open_start, n < known ? n : known) != 0)
		return false;
	return reader_parse(a, a->pos, a->len, &ignored) != RESP_OK || a->end != a->len;
}

static int reader_step(struct aof_reader *a)
{
	const char *why = NULL;
	int got;

	if (a->data[a->pos] == '#')
		return reader_comment(a);
	if (!a->res->sealed && !a->in_multi && reader_at_torn_open(a))
		return reader_tail(a, a->pos);
	got = reader_parse(a, a->pos, a->len, &why);
	if (got != RESP_OK)
		return reader_stopped(a, got, why);
	return a->res->sealed ? reader_sealed_step(a) : reader_unsealed_step(a);
}

int aof_read(const void *data, size_t len, struct replay *r, struct aof_result *res, struct error *e)
{
	struct aof_reader a = {
		.data = data, .len = len, .written = salvage_written(data, len), .r = r, .res = res, .e = e, .start_ns = r->l.now_ns,
	};
	int err = 0;

	res->good = 0;
	res->torn = false;
	res->sealed = res->continues;
	while (!err && !res->torn && a.pos < len)
		err = reader_step(&a);
	if (!err && !res->torn && (a.batch.count || a.in_multi))
		err = reader_tail(&a, len);
	aof_batch_fini(&a.batch);
	resp_command_fini(&a.command);
	return err;
}
