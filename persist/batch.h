/* batch.h -- one batch on its way into the journal: commands and records are collected, then sized, then written in one go.
 *
 * Everything collected is borrowed until batch_emit(). */
#ifndef KVFS_PERSIST_BATCH_H
#define KVFS_PERSIST_BATCH_H

#include "persist/encode.h"
#include "persist/resp.h"
#include "persist/seal.h"

enum { BATCH_COMMANDS = 3, BATCH_ARGS = 8, BATCH_RECORDS = 6 };

/* An argument: LEN bytes of DATA, or the first LEN bytes of VALUE. */
struct batch_arg {
	const void *data;
	const struct value *value;
	uint64_t value_size;
	size_t len;
};

struct batch {
	struct { int argc; struct batch_arg argv[BATCH_ARGS]; } command[BATCH_COMMANDS];
	int commands;
	struct seal_record record[BATCH_RECORDS];
	int records;
	unsigned flags;
	int64_t time_ns;
	struct bytes more;          /* further commands, already encoded; owned */
	const void *late;           /* the data of one argument: it is not borrowed, and copied by batch_fill(); NULL: none */
};

/* An empty one, without clearing the room that commands and records will fill: that took longer than filling it. */
static inline void batch_begin(struct batch *b, int64_t time_ns)
{
	b->commands = b->records = 0;
	b->flags = 0;
	b->time_ns = time_ns;
	b->more = (struct bytes){ 0 };
	b->late = NULL;
}
/* Starts a command with a word and adds its arguments. */
void batch_command(struct batch *b, const char *word);
void batch_arg(struct batch *b, const void *data, size_t len);
void batch_arg_value(struct batch *b, const struct value *v, uint64_t size, size_t len);
/* The next record, cleared. */
struct seal_record *batch_record(struct batch *b, enum seal_record_kind kind);
/* One more command among `more`, which copies it; likewise one of two arguments.  0 or -ENOMEM. */
int batch_more_args(struct batch *b, const struct resp_arg *argv, size_t argc);
int batch_more(struct batch *b, const char *word, const char *first, size_t first_len, const char *second, size_t second_len);
/* Bytes of the whole batch, and the batch itself, numbered SEQ, at P; returns the end.  Its seal covers the STAMP_LEN bytes before P too.  *RET_LATE is
 * what B's late argument needs; NULL: it has none. */
size_t batch_size(const struct batch *b);
char *batch_write(const struct batch *b, char *p, size_t stamp_len, uint64_t seq, struct batch_late *ret_late);
/* The rest of it: LEN bytes of DATA, which B->late was, and the CRC. */
void batch_fill(const struct batch_late *l, const void *data, size_t len);
/* Into the journal, with the next sequence number; frees `more`.  *RET: the position behind it.  *RET_NUMBER, with B->late: as that of struct mutation.
 * 0 or -ENOMEM. */
int batch_emit(struct encoder *e, struct batch *b, uint64_t *ret, unsigned *ret_number);

#endif
