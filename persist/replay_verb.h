/* replay_verb.h -- between the files of replay: the table of commands and what its functions share.
 *
 * A verb gets the whole command; argc is at least what the table says, and the key is not one in another database.
 * 0, or a negative errno with E set.                                                                                    */
#ifndef KVFS_PERSIST_REPLAY_VERB_H
#define KVFS_PERSIST_REPLAY_VERB_H

#include "persist/replay.h"

typedef int replay_verb_fn(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e);

/* replay_string.c; SETNX is GETSET too */
replay_verb_fn replay_set, replay_setnx, replay_setex, replay_psetex, replay_mset, replay_append, replay_setrange;
replay_verb_fn replay_incr, replay_decr, replay_incrby, replay_decrby, replay_incrbyfloat;
/* replay_bits.c */
replay_verb_fn replay_setbit, replay_bitfield, replay_bitop;
/* replay_key.c */
replay_verb_fn replay_del, replay_getex, replay_persist, replay_rename, replay_copy, replay_move, replay_restore;
replay_verb_fn replay_expire, replay_pexpire, replay_expireat, replay_pexpireat;
replay_verb_fn replay_select, replay_swapdb, replay_flushdb, replay_flushall;
/* replay_hll.c */
replay_verb_fn replay_pfadd, replay_pfmerge;

/* ---- for the verbs ---- */

enum replay_found { REPLAY_MISSING, REPLAY_FOUND, REPLAY_LEFT_OUT };

/* KEY's value, with a reference for the caller.  LEFT_OUT: it has one, but not here; a command that would change it must do
 * nothing.  Negative: E is set. */
int replay_value(struct replay *r, const struct resp_arg *key, struct value **ret, uint64_t *ret_size, struct error *e);
/* KEY's value in r->scratch (empty when missing). */
int replay_scratch(struct replay *r, const struct resp_arg *key, struct error *e);
/* Whether KEY is a value here, and its id. */
bool replay_is_value(struct replay *r, const struct resp_arg *key, uint64_t *ret_id);
/* KEY becomes DATA, without expiry.  *RET_ID is 0 when it can't be and was noted instead; may be NULL. */
int replay_put(struct replay *r, const struct resp_arg *key, const void *data, size_t len, uint64_t *ret_id, struct error *e);
/* Likewise, and KEY keeps its expiry. */
int replay_put_keep(struct replay *r, const struct resp_arg *key, const void *data, size_t len, struct error *e);
/* DATA at OFF of KEY, which is not left out. */
int replay_write(struct replay *r, const struct resp_arg *key, uint64_t off, const void *data, size_t len, struct error *e);
int replay_expire_id(struct replay *r, uint64_t id, int64_t at_ms, struct error *e);
/* KEY is gone: value or note. */
int replay_forget(struct replay *r, const struct resp_arg *key, struct error *e);
/* Notes KEY; a value of that name goes. */
int replay_note(struct replay *r, const struct resp_arg *key, enum tomb_kind kind, const char *text, struct error *e);
/* A loader call for KEY failed with ERR: notes KEY if the cause is its name, else sets E and returns ERR. */
int replay_refused(struct replay *r, const struct resp_arg *key, int err, struct error *e);
/* A command of ours found no key: an error when strict, else as Redis answers, with nothing. */
int replay_no_key(struct replay *r, const struct resp_arg *key, struct error *e);
/* An argument that is no number.  Or one that is, times UNIT_MS, plus now if RELATIVE, as time of expiry. */
int replay_int(const struct resp_arg *a, int64_t *ret, struct error *e);
int replay_time(struct replay *r, const struct resp_arg *a, int64_t unit_ms, bool relative, int64_t *ret, struct error *e);
/* -EPROTO: A is not understood. */
int replay_bad(const struct resp_arg *a, const char *what, struct error *e);

#endif
