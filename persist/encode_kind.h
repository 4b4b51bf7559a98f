/* encode_kind.h -- what the files of the encoder share: places, and one call a kind of mutation, each of which collects the batch.
 *
 * Private to encode*.c; everything with S held.  What a batch borrows (places, the number) stays until the next batch.  Errors: -ENOMEM.   */
#ifndef KVFS_PERSIST_ENCODE_KIND_H
#define KVFS_PERSIST_ENCODE_KIND_H

#include "persist/batch.h"
#include "persist/encode.h"

/* ---- places ---- */

void encode_place_fini(struct encode_place *p);
/* The key of P's path. */
int encode_find_key(struct encode_place *p);
/* The place of ID, or of NAME in it when NAME is given, for batch B. */
int encode_get_place(struct encoder *e, struct batch *b, struct encode_place *p, uint64_t id, const char *name, size_t name_len);
/* P's key as an argument; P's path as a record's. */
void encode_key_arg(struct batch *b, const struct encode_place *p);
void encode_path_is(struct seal_record *r, const struct encode_place *p);

/* ---- scripts (script.h) ---- */

/* EVAL of TEXT with one key, which is that of P, or with two; encode_digits() adds its numbers, I being the how manieth. */
void encode_eval(struct batch *b, const char *text, const struct encode_place *p, const struct encode_place *second);
void encode_digits(struct encoder *e, struct batch *b, int i, uint64_t n);
/* Whether Redis can hold a value of SIZE bytes: else it is told nothing. */
bool encode_redis_holds(uint64_t size);

/* ---- what a new name needs beside its SET; e->place is where it is ---- */

/* The attributes that a new file needs and a SET does not give; and which of the names of its key it has. */
void encode_new_attributes(struct encoder *e, struct batch *b, const struct attr *a);
/* What the times of its directory are now, unless the replay of this batch gives them anyway. */
int encode_parent_time(struct encoder *e, struct batch *b, uint64_t parent);

/* ---- one kind of mutation each ---- */

int encode_create(struct encoder *e, struct mutation *m, struct batch *b);
/* The write that a held-back create or cut was waiting for: one SET. */
int encode_merged_write(struct encoder *e, struct mutation *m, struct batch *b, struct held *h);
int encode_write(struct encoder *e, struct mutation *m, struct batch *b);
/* The part of it that is a new size. */
int encode_resize(struct encoder *e, struct mutation *m, struct batch *b);
int encode_setattr(struct encoder *e, struct mutation *m, struct batch *b);
int encode_zero(struct encoder *e, struct mutation *m, struct batch *b);
int encode_copy(struct encoder *e, struct mutation *m, struct batch *b);
int encode_remove(struct encoder *e, struct mutation *m, struct batch *b);
int encode_expire(struct encoder *e, struct mutation *m, struct batch *b);
int encode_xattr(struct encoder *e, struct mutation *m, struct batch *b);
int encode_rename(struct encoder *e, struct mutation *m, struct batch *b);
int encode_link(struct encoder *e, struct mutation *m, struct batch *b);

/* After the commands of B that change the value or the time of A, the state after, at E->place: what the keys of its further names need to
 * become the same. */
int encode_further_names(struct encoder *e, struct batch *b, const struct attr *a);

#endif
