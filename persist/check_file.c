/* check_file.c -- see check_file.h. */
#include "persist/check_file.h"

#include "persist/crc.h"
#include "persist/le.h"
#include "persist/rdb.h"
#include "persist/rdb_format.h"
#include "persist/rdb_load.h"
#include "persist/resp.h"
#include "persist/seal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- RDB ---- */

static bool is_named(const struct rdb_aux *a, const char *name)
{
	return a->name_len == strlen(name) && memcmp(a->name, name, a->name_len) == 0;
}


static int see_attr(struct check_rdb *r, const struct rdb_aux *a, struct error *e)
{
	struct aux_sparse piece;
	struct aux_attr attr;
	int err = aux_sparse_parse(a->value, a->value_len, &piece);

	if (err > 0)
		return 0;         /* so does this */
	if (err == 0)
		err = aux_attr_parse(a->value, a->value_len, &attr);

	if (err == -ENOTSUP)
		return 0;
	if (err)
		return error_set(e, err, "AUX field %s is malformed", AUX_ATTR);
	if (attr.kind == AUX_VALUE)
		return 0;         /* it belongs to the key behind it */
	*(attr.kind == AUX_DIRECTORY ? &r->directories : attr.kind == AUX_SYMLINK ? &r->symlinks : &r->specials) += 1;
	r->good = a->end;
	return 0;
}

static int see_aux(void *ctx, const struct rdb_aux *a, struct error *e)
{
	struct check_rdb *r = ctx;
	int err = 0;

	if (is_named(a, AUX_ATTR))
		return see_attr(r, a, e);
	if (is_named(a, AUX_LINEAGE))
		err = rdb_load_lineage(a->value, a->value_len, &r->lineage, e);
	else if (is_named(a, AUX_SEQ))
		err = rdb_load_seq(a->value, a->value_len, &r->seq, e);
	if (!err)
		r->good = a->end;
	r->ours = r->lineage != 0;
	return err;
}

static int see_key(void *ctx, const struct rdb_key *k, struct error *e)
{
	struct check_rdb *r = ctx;

	(void)e;
	r->keys++;
	r->other_types += k->type != NULL;
	r->other_dbs += k->db != 0;
	r->good = k->end;
	return 0;
}

int check_rdb(const char *data, size_t len, struct check_rdb *ret, struct error *e)
{
	const struct rdb_handler h = { .ctx = ret, .aux = see_aux, .key = see_key };
	size_t used = 0;
	int err;

	*ret = (struct check_rdb){ 0 };
	if (rdb_is(data, len) && len >= RDB_HEADER_SIZE) {
		ret->valkey = data[0] == 'V';
		ret->version = (unsigned)strtoul((const char[]){ data[6], data[7], data[8], '\0' }, NULL, 10);
		ret->good = RDB_HEADER_SIZE;
	}
	err = rdb_read(data, len, &h, &used, e);
	if (err == -EINVAL)
		ret->good = 0;
	if (err == 0 || err == -EBADMSG)
		ret->used = used;
	if (err == 0 && ret->version >= RDB_VERSION_CHECKSUM)
		ret->summed = le_get64(data + used - RDB_CRC_SIZE) != 0;
	return err;
}

size_t check_rdb_end(const char *data, const struct check_rdb *r, char *ret_end)
{
	char eof = (char)RDB_OP_EOF;

	*ret_end = eof;
	if (r->version < RDB_VERSION_CHECKSUM)
		return 1;
	le_put64(ret_end + 1, crc64(crc64(0, data, r->good), &eof, 1));
	return CHECK_RDB_END;
}

/* ---- commands ---- */

static const struct resp_limits limits = { .args_max = INT32_MAX, .arg_max = INT64_MAX };

static size_t behind_stamps(const char *data, size_t len, size_t at)
{
	const char *newline;

	while (at < len && data[at] == '#' && (newline = memchr(data + at, '\n', len - at)))
		at = (size_t)(newline - data) + 1;
	return at;
}

/* The path that the first record of a seal names. */
static void show_record(const struct resp_arg *blob, char *out, size_t cap)
{
	char shown[CHECK_SHOWN_MAX / 2];
	struct seal_record rec;
	struct seal s;
	size_t pos = 0;

	if (seal_parse(blob->data, blob->len, &s) == 0 && seal_next_record(&s, &pos, &rec) > 0 && !rec.path_is_key)
		snprintf(out, cap, "attributes of \"%s\"", error_quote(rec.path, rec.path_len, shown, sizeof(shown)));
}

/* What the command at AT is about, as far as it can be read. */
static void show_command(const char *data, size_t len, size_t at, char *out, size_t cap)
{
	char name[24], key[CHECK_SHOWN_MAX / 2];
	struct resp_command c = { 0 };
	const char *why;
	size_t used;

	at = behind_stamps(data, len, at);
	if (at < len && resp_parse(data + at, len - at, &limits, false, &c, &used, &why) == RESP_OK && c.argc > 1) {
		if (resp_is(&c.argv[0], "ECHO"))
			show_record(&c.argv[1], out, cap);
		else
			snprintf(out, cap, "%s \"%s\"", error_quote(c.argv[0].data, c.argv[0].len, name, sizeof(name)),
			         error_quote(c.argv[1].data, c.argv[1].len, key, sizeof(key)));
	}
	resp_command_fini(&c);
}

int check_log(const char *data, size_t len, struct check_log *l, struct error *e)
{
	struct error ignored = { "" };
	struct aof_result before;
	int err, before_err;

	if (!data)
		data = "";      /* of an empty file */
	l->what[0] = '\0';
	l->later = (struct salvage_later){ 0 };
	before = l->res;
	err = aof_read(data, len, NULL, &l->res, e);
	if (err == 0 || err == -ENOMEM)
		return err;
	/* What stands before the damage may be torn without it: the start of a batch. */
	before_err = aof_read(data, (size_t)l->res.good, NULL, &before, &ignored);
	if (before_err == 0 && before.torn)
		l->res.good = before.good;
	show_command(data, len, l->res.bad_at, l->what, sizeof(l->what));
	salvage_count_later(data, len, l->res.bad_at, &l->later);
	return err;
}

uint64_t check_opens_with(const char *data, size_t len)
{
	struct resp_command c = { 0 };
	size_t at = len ? behind_stamps(data, len, 0) : 0, used;
	uint64_t seq = 0;
	struct seal s;
	const char *why;

	if (at < len && resp_parse(data + at, len - at, &limits, false, &c, &used, &why) == RESP_OK && c.argc > 0 &&
	    resp_is(&c.argv[0], "SELECT") && resp_parse(data + at + used, len - at - used, &limits, false, &c, &used, &why) == RESP_OK &&
	    c.argc == 2 && resp_is(&c.argv[0], "ECHO") && seal_parse(c.argv[1].data, c.argv[1].len, &s) == 0 && s.flags & SEAL_OPEN)
		seq = s.seq;
	resp_command_fini(&c);
	return seq;
}
