/* batch.h -- one batch on its way into the journal: commands and records are collected, then sized, then written in one go.
 *
 * Everything collected is borrowed until batch_emit(). */
#ifndef KVFS_PERSIST_BATCH_H
#define KVFS_PERSIST_BATCH_H

#include "persist/encode.h"
#include "persist/seal.h"

enum { BATCH_COMMANDS = 3, BATCH_ARGS = 4, BATCH_RECORDS = 4 };

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
};

/* Starts a command with a word and adds its arguments. */
void batch_command(struct batch *b, const char *word);
void batch_arg(struct batch *b, const void *data, size_t len);
void batch_arg_value(struct batch *b, const struct value *v, uint64_t size, size_t len);
/* The next record, cleared. */
struct seal_record *batch_record(struct batch *b, enum seal_record_kind kind);
/* One more two-argument command among `more`; 0 or -ENOMEM. */
int batch_more(struct batch *b, const char *word, const struct bytes *first, const struct bytes *second);
/* Bytes of the whole batch, and the batch itself, numbered SEQ, at P; returns the end. */
size_t batch_size(const struct batch *b);
char *batch_write(const struct batch *b, char *p, uint64_t seq);
/* Into the journal, with the next sequence number; frees `more`.  *RET: the position behind it.  0 or -ENOMEM. */
int batch_emit(struct encoder *e, struct batch *b, uint64_t *ret);

#endif
