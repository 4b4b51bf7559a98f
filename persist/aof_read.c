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
#include "persist/aof_ahead.h"
#include "persist/aof_batch.h"
#include "persist/recover.h"
#include "persist/salvage.h"

#include <errno.h>
#include <string.h>

struct aof_reader {
	const char *data;           /* the file */
	size_t len;
	size_t written;             /* without NULs at the end, which a power loss may leave behind what was written */
	struct replay *r;           /* NULL: only looks */
	struct aof_result *res;
	struct error *e;
	size_t pos;                 /* read so far */
	struct aof_ahead ahead;
	struct resp_command command;  /* the last one read, from AT up to END; borrowed from AHEAD */
	size_t at, end;
	struct aof_batch batch;     /* SEALED: of the batch; UNSEALED: since MULTI */
	size_t batch_at;            /* where that starts, when it is not empty or IN_MULTI */
	const char *stamp;          /* the comment that ends at the read position or at the batch; NULL */
	const char *stamp_inside;   /* one behind commands that wait: Redis wrote it; NULL */
	bool in_multi;              /* UNSEALED */
	bool timed;                 /* UNSEALED: a #TS: stands before what is read */
	int64_t start_ns;           /* the time of what has none */
};

static unsigned long long reader_offset(const struct aof_reader *a, size_t at)
{
	return a->res->origin + at;
}

/* Notes that what stands at AT can't be read; NEXT is the number that a batch behind it would have at least, 0 when that is not known. */
static void reader_bad(struct aof_reader *a, size_t at, uint64_t next)
{
	size_t found;

	a->res->bad_at = at;
	a->res->corrupt_tail = !salvage_find_seal(a->data, a->written, at < a->written ? at + 1 : at, next, &found);
}

static int reader_damage(struct aof_reader *a, size_t at, const char *why)
{
	reader_bad(a, at, a->res->last_seq ? a->res->last_seq + 2 : 0);
	return error_set(a->e, -EBADMSG, "%s at %llu: %s (kvfs-ctl check DIR tells more)", a->res->sealed ? "batch" : "command",
	                 reader_offset(a, at), why);
}

/* What is read next was written at NS: whether that is too late to count. */
static bool reader_is_late(struct aof_reader *a, int64_t ns)
{
	if (a->res->until_ns && ns > a->res->until_ns) {
		a->res->stopped = true;
		a->res->stop_ns = ns;
		return true;
	}
	a->res->time_ns = ns;
	a->res->untimed = false;
	return false;
}

/* A command that Redis wrote, at AT, counts. */
static void reader_note_time(struct aof_reader *a, size_t at)
{
	if (a->timed || a->res->untimed)
		return;
	a->res->untimed = true;
	a->res->untimed_at = reader_offset(a, at);
}

/* UNSEALED: what follows was written in the second NS. */
static void reader_stamp(struct aof_reader *a, int64_t ns)
{
	if (reader_is_late(a, ns))
		return;
	a->timed = true;
	if (a->r)
		a->r->l.now_ns = ns;
}

/* What was last read is done, up to its end. */
static void reader_counts(struct aof_reader *a)
{
	a->pos = a->end;
	a->res->good = a->pos;
	aof_batch_clear(&a->batch);
	a->stamp = a->stamp_inside = NULL;
	a->in_multi = false;
	if (a->r && a->r->progress)
		a->r->progress(a->r->progress_ctx, reader_offset(a, a->pos));
}

/* RESP_OK, RESP_MORE, or -EPROTO and *RET_WHY. */
static int reader_parse(struct aof_reader *a, size_t at, const char **ret_why)
{
	int got = aof_ahead_parse(&a->ahead, at, &a->command, &a->end, ret_why);

	if (got != RESP_OK)
		return got;
	if (a->command.argc == 0) {
		*ret_why = "expected a command";
		return -EPROTO;
	}
	a->at = at;
	return RESP_OK;
}

/* The file ends inside of what starts at AT. */
static int reader_tail(struct aof_reader *a, size_t at)
{
	size_t start = a->batch.count || a->in_multi ? a->batch_at : at, found;

	if (salvage_find_seal(a->data, a->written, start + 1, a->res->last_seq ? a->res->last_seq + 1 : 0, &found)) {
		reader_bad(a, start, a->res->last_seq ? a->res->last_seq + 2 : 0);
		return error_set(a->e, -EBADMSG, "%s at %llu: can't be read, but what was written after it is there (a seal at %llu): "
		                 "damage, not a torn tail (kvfs-ctl check DIR tells more)", a->res->sealed ? "batch" : "command",
		                 reader_offset(a, start), reader_offset(a, found));
	}
	a->res->torn = true;
	return 0;
}

/* Whether what stands at the read position is cut short by NULs that go on to the end. */
static bool reader_at_nuls(struct aof_reader *a)
{
	struct resp_command c = { 0 };
	const char *ignored;
	size_t used;
	int got;

	if (a->written == a->len || a->written <= a->pos)
		return a->written < a->len;
	got = resp_parse(a->data + a->pos, a->written - a->pos, &aof_ahead_limits, false, &c, &used, &ignored);
	resp_command_fini(&c);
	return got == RESP_MORE;
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
	bool changes = a->batch.count > 1 || (a->batch.count && !resp_is(&a->batch.arg[0], "SELECT"));
	uint64_t at = 0;
	int err = a->r ? aof_batch_commands(&a->batch, a->r, &at, a->e) : aof_batch_look(&a->batch, &at, a->e);

	if (err) {
		a->res->bad_at = at - a->res->origin;
		return error_prepend(a->e, err, "command at %llu", (unsigned long long)at);
	}
	a->res->commands += a->batch.count;
	if (changes)
		reader_note_time(a, a->batch_at);
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

	if (!a->r)
		return aof_batch_look_records(&a->batch, s, a->res, a->e);
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

/* The last command read is ECHO, with something else: Redis logs no such thing, so it was a seal. */
static int reader_no_seal(struct aof_reader *a)
{
	if (a->end > a->written)
		return reader_tail(a, a->at);
	return reader_damage(a, a->batch.count ? a->batch_at : a->at, "its seal does not begin as one");
}

/* Whether the seal S of the batch at START, BLOB, is as it was written: NULL, or what is wrong. */
static const char *reader_seal_fault(const struct aof_reader *a, const struct seal *s, const struct resp_arg *blob, size_t start)
{
	const char *from = a->data + start, *end = blob->data + blob->len;

	if (s->flags & SEAL_STAMPED) {
		if (!a->stamp)
			return "the line \"#TS:\" that belongs to it is not there";
		from = a->stamp;
	}
	if (s->crc != seal_crc(from, end))
		return "checksum does not match";
	return end[0] == '\r' && end[1] == '\n' ? NULL : "the end of line behind its seal is damaged";
}

/* The last command read is a seal: its batch counts, or the file is damaged. */
static int reader_seal(struct aof_reader *a)
{
	const struct resp_arg *blob = &a->command.argv[1];
	size_t start = a->batch.count ? a->batch_at : a->at;
	uint64_t last = a->res->last_seq;
	const char *fault;
	struct seal s;
	int err;

	if (a->res->sealed && a->end > a->written)
		return reader_tail(a, a->at);
	if (seal_parse(blob->data, blob->len, &s))
		return reader_damage(a, start, "its seal is too short or of another version");
	fault = reader_seal_fault(a, &s, blob, start);
	if (fault)
		return reader_damage(a, start, fault);
	if (s.seq != last + 1 && (last || a->res->lineage || !(s.flags & SEAL_OPEN))) {
		a->res->bad_at = start;
		return error_set(a->e, -EBADMSG, "batch at %llu: it is number %llu where number %llu should follow: something is missing "
		                 "(kvfs-ctl check DIR tells more)", reader_offset(a, start), (unsigned long long)s.seq,
		                 (unsigned long long)last + 1);
	}
	if (reader_is_late(a, s.time_ns))
		return 0;
	a->res->last_seq = s.seq;
	err = reader_apply_batch(a, &s);
	if (err) {
		a->res->last_seq = last;
		a->res->bad_at = start;
		return error_prepend(a->e, err, "batch at %llu", reader_offset(a, start));
	}
	a->res->commands += a->batch.count;
	if (!a->res->first_seq)
		a->res->first_seq = s.seq;
	a->res->sealed = true;
	a->res->batches++;
	reader_counts(a);
	return 0;
}

/* The second that LINE says, if it is a stamp, is the time of what follows. */
static void reader_take_time(struct aof_reader *a, const char *line)
{
	const char *newline = memchr(line, '\n', (size_t)(a->data + a->len - line));
	int64_t seconds, ns;

	if (newline - line > 5 && !memcmp(line, "#TS:", 4)) {
		struct resp_arg digits = { .data = line + 4, .len = (size_t)(newline - line) - 4 - (newline[-1] == '\r') };

		if (!resp_int64(&digits, &seconds) && !__builtin_mul_overflow(seconds, (int64_t)1000000000, &ns))
			reader_stamp(a, ns);
	}
}

/* A stretch of Redis's begins.  WAITING: behind commands that wait. */
static void reader_leave_sealed(struct aof_reader *a, bool waiting)
{
	a->res->sealed = false;
	a->timed = false;
	if (a->r && a->r->l.now_ns < a->start_ns)
		a->r->l.now_ns = a->start_ns;
	if (waiting ? a->stamp_inside : a->stamp)
		reader_take_time(a, waiting ? a->stamp_inside : a->stamp);
}

/* The last command read is SELECT: it begins our next opening of the log, or what a Redis wrote. */
static int reader_select(struct aof_reader *a)
{
	const char *why;
	struct seal s;
	int err = reader_hold(a);
	int got;

	if (err)
		return err;
	got = reader_parse(a, a->pos, &why);
	if (got == RESP_OK && reader_at_seal(a) && !seal_parse(a->command.argv[1].data, a->command.argv[1].len, &s) && s.flags & SEAL_OPEN) {
		if (a->batch.count > 1)
			return reader_damage(a, a->batch_at, "it has no seal");
		return reader_seal(a);
	}
	if (got == RESP_OK && resp_is(&a->command.argv[0], "ECHO"))
		return reader_no_seal(a);
	if (a->res->sealed && a->batch.count == 1 && (got == RESP_MORE || reader_at_nuls(a)))
		return reader_tail(a, a->pos);
	if (a->res->sealed && a->batch.count == 1 && got == -EPROTO)
		return reader_damage(a, a->batch_at, why);
	if (a->res->sealed)
		reader_leave_sealed(a, a->batch.count > 1);
	if (a->res->stopped)
		return 0;
	a->end = a->pos;
	return reader_release(a);
}

static int reader_sealed_step(struct aof_reader *a)
{
	if (reader_at_seal(a))
		return reader_seal(a);
	if (resp_is(&a->command.argv[0], "ECHO"))
		return reader_no_seal(a);
	if (resp_is(&a->command.argv[0], "SELECT"))
		return reader_select(a);
	if (resp_is(&a->command.argv[0], "MULTI")) {
		reader_leave_sealed(a, a->batch.count > 0);
		if (a->res->stopped)
			return 0;
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
	err = reader_hold(a);
	return err ? err : reader_release(a);
}

/* ---- both ---- */

/* A line that starts with '#': a comment, or "#TS:" and the second in which what follows was written.  In a stretch of ours it belongs to
 * the batch behind it, and counts with it. */
static int reader_comment(struct aof_reader *a)
{
	const char *line = a->data + a->pos, *newline = memchr(line, '\n', a->len - a->pos);

	if (!newline)
		return reader_tail(a, a->pos);
	a->pos = (size_t)(newline + 1 - a->data);
	if (!a->res->sealed)
		reader_take_time(a, line);
	if (a->batch.count || a->in_multi) {
		a->stamp_inside = line;
		return 0;
	}
	a->stamp = line;
	if (!a->res->sealed && !a->res->stopped)
		a->res->good = a->pos;
	return 0;
}

/* Whether all that is left is a start of OPEN, and NULs where the power went: it stands where no seal was yet.  A SELECT that ends with the
 * file is whole, also when a NUL stands for its last LF: the two bytes behind an argument are anything. */
static bool reader_at_torn_open(struct aof_reader *a)
{
	const char *ignored;

	if (a->written == a->len || a->pos > a->written)
		return false;
	if (!salvage_is_torn_open(a->data + a->pos, a->written - a->pos))
		return false;
	return reader_parse(a, a->pos, &ignored) != RESP_OK || a->end != a->len;
}

static int reader_step(struct aof_reader *a)
{
	const char *why = NULL;
	int got;

	if (a->data[a->pos] == '#')
		return reader_comment(a);
	if (!a->res->sealed && !a->in_multi && reader_at_torn_open(a))
		return reader_tail(a, a->pos);
	got = reader_parse(a, a->pos, &why);
	if (got != RESP_OK)
		return reader_stopped(a, got, why);
	return a->res->sealed ? reader_sealed_step(a) : reader_unsealed_step(a);
}

int aof_read(const void *data, size_t len, struct replay *r, struct aof_result *res, struct error *e)
{
	struct aof_reader a = {
		.data = data, .len = len, .written = salvage_written(data, len), .r = r, .res = res, .e = e, .start_ns = r ? r->l.now_ns : 0,
		.ahead = { .data = data, .len = len, .l = r ? &r->l : NULL },
	};
	int err = 0;

	res->good = 0;
	res->torn = res->corrupt_tail = res->stopped = false;
	res->first_seq = 0;
	res->sealed = res->continues;
	while (!err && !res->torn && !res->stopped && a.pos < len)
		err = reader_step(&a);
	if (!err && !res->torn && !res->stopped && (a.batch.count || a.in_multi || res->good < len))
		err = reader_tail(&a, len);
	aof_batch_fini(&a.batch);
	aof_ahead_fini(&a.ahead);
	return err;
}
