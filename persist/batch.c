/* batch.c -- see batch.h. */
#include "persist/batch.h"
#include "persist/crc.h"
#include "persist/le.h"
#include "persist/resp.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void batch_command(struct batch *b, const char *word)
{
	assert(b->commands < BATCH_COMMANDS);
	b->commands++;
	b->command[b->commands - 1].argc = 0;
	batch_arg(b, word, strlen(word));
}

static struct batch_arg *next_arg(struct batch *b)
{
	int c = b->commands - 1;
	assert(b->command[c].argc < BATCH_ARGS);
	return &b->command[c].argv[b->command[c].argc++];
}

void batch_arg(struct batch *b, const void *data, size_t len)
{
	*next_arg(b) = (struct batch_arg){ .data = data, .len = len };
}

void batch_arg_value(struct batch *b, const struct value *v, uint64_t size, size_t len)
{
	*next_arg(b) = (struct batch_arg){ .value = v, .value_size = size, .len = len };
}

struct seal_record *batch_record(struct batch *b, enum seal_record_kind kind)
{
	assert(b->records < BATCH_RECORDS);
	struct seal_record *r = &b->record[b->records++];
	*r = (struct seal_record){ .kind = kind };
	return r;
}

int batch_more_args(struct batch *b, const struct resp_arg *argv, size_t argc)
{
	size_t len = resp_array_size(argc);

	for (size_t i = 0; i < argc; i++)
		len += resp_bulk_size(argv[i].len);
	if (bytes_reserve(&b->more, len) < 0)
		return -ENOMEM;
	char *p = resp_write_array(b->more.data + b->more.len, argc);
	for (size_t i = 0; i < argc; i++)
		p = resp_write_bulk(p, argv[i].data, argv[i].len);
	b->more.len += len;
	return 0;
}

int batch_more(struct batch *b, const char *word, const char *first, size_t first_len, const char *second, size_t second_len)
{
	struct resp_arg argv[] = { { word, strlen(word) }, { first, first_len }, { second, second_len } };

	return batch_more_args(b, argv, 3);
}

static size_t commands_size(const struct batch *b)
{
	size_t size = b->more.len;

	for (int c = 0; c < b->commands; c++) {
		size += resp_array_size((size_t)b->command[c].argc);
		for (int i = 0; i < b->command[c].argc; i++)
			size += resp_bulk_size(b->command[c].argv[i].len);
	}
	return size;
}

static char *write_arg(const struct batch *b, char *p, const struct batch_arg *a, struct batch_late *late)
{
	const bool is_late = b->late && a->data == b->late;

	if (!is_late && (a->data || !a->len))
		return resp_write_bulk(p, a->data, a->len);
	p = resp_write_bulk_header(p, a->len);
	if (is_late)
		late->data = p;
	else
		value_copy_out(a->value, a->value_size, 0, p, a->len);
	p += a->len;
	*p++ = '\r';
	*p++ = '\n';
	return p;
}

/* "#TS:<seconds>" before the batch, when the second has changed: what redis-check-aof --truncate-to-timestamp looks for. */
static int timestamp(struct encoder *e, int64_t now_ns, char *line, size_t cap)
{
	int64_t now_s = now_ns / 1000000000;

	if (!e->timestamps || now_s <= e->last_timestamp_s)
		return 0;
	e->last_timestamp_s = now_s;
	return snprintf(line, cap, "#TS:%lld\r\n", (long long)now_s);
}

static size_t records_size(const struct batch *b)
{
	size_t size = 0;

	for (int i = 0; i < b->records; i++)
		size += seal_record_size(&b->record[i]);
	return size;
}

size_t batch_size(const struct batch *b)
{
	return commands_size(b) + seal_size(records_size(b));
}

char *batch_write(const struct batch *b, char *p, size_t stamp_len, uint64_t seq, struct batch_late *ret_late)
{
	unsigned flags = b->flags | (stamp_len ? SEAL_STAMPED : 0u);
	char *start = p - stamp_len;

	for (int c = 0; c < b->commands; c++) {
		p = resp_write_array(p, (size_t)b->command[c].argc);
		for (int i = 0; i < b->command[c].argc; i++)
			p = write_arg(b, p, &b->command[c].argv[i], ret_late);
	}
	if (b->more.len)
		memcpy(p, b->more.data, b->more.len);
	p += b->more.len;
	p = seal_begin(p, records_size(b), flags, (unsigned)b->records, seq, b->time_ns);
	for (int i = 0; i < b->records; i++)
		p = seal_put_record(p, &b->record[i]);
	if (!b->late)
		return seal_finish(start, p);
	ret_late->start = start;
	ret_late->crc = p;
	return seal_finish_later(p);
}

void batch_fill(const struct batch_late *l, const void *data, size_t len)
{
	enum { PIECE = 16384 };     /* that a cache still has when it is summed */
	uint32_t crc = crc32c(0, l->start, (size_t)(l->data - l->start));
	const char *from = data;
	char *to = l->data;

	for (size_t n; len > 0; from += n, to += n, len -= n) {
		n = len < PIECE ? len : PIECE;
		memcpy(to, from, n);
		crc = crc32c(crc, to, n);
	}
	le_put32(l->crc, crc32c(crc, to, (size_t)(l->crc - to)));
}

int batch_emit(struct encoder *e, struct batch *b, uint64_t *ret, unsigned *ret_number)
{
	char stamp[32];
	size_t stamp_len = (size_t)timestamp(e, b->time_ns, stamp, sizeof stamp);
	size_t size = stamp_len + batch_size(b);
	char *p = journal_reserve(e->journal, size);
	struct batch_late late;
	unsigned open;

	if (!p) {
		bytes_fini(&b->more);
		return -ENOMEM;
	}
	memcpy(p, stamp, stamp_len);
	if (b->late && !journal_may_open(e->journal))
		b->late = NULL;
	char *end = batch_write(b, p + stamp_len, stamp_len, ++e->seq, &late);
	assert((size_t)(end - p) == size);
	(void)end;
	if (b->late) {
		*ret = journal_commit_open(e->journal, size, &open);
		e->late[open] = late;
		*ret_number = open + 1;
	} else {
		*ret = journal_commit(e->journal, size);
	}
	bytes_fini(&b->more);
	return 0;
}
