/* script.h -- the scripts that kvfs writes into its log for Redis: what no stock command does without carrying the bytes.
 *
 * Each stands in a batch as EVAL <text> <number of keys> <keys> <arguments>, beside a record that says the same to kvfs.  A batch that lost its
 * seal to Redis's cutting of a torn tail is replayed by its commands: then the text tells which script it is (replay_script()).  So a text,
 * once written, is read for ever: a better one is a new one.
 *
 * A script never fails and returns nothing: while a log is loaded, an error of a script ends redis-server 7.0 by a signal.  Commands in a
 * script may not make a value longer than 512 MB, but for SET: hence the second way in each.                                              */
#ifndef KVFS_PERSIST_SCRIPT_H
#define KVFS_PERSIST_SCRIPT_H

#include "persist/replay.h"

/* KEYS: key; ARGV: offset, bytes.  A write that ends where no value of Redis can: nothing happens there. */
extern const char script_beyond[];
/* key; size: the value ends there. */
extern const char script_cut[];
/* key; start, end: zeros in between. */
extern const char script_zero[];

/* key, key of the source; offset, offset in the source, length. */
extern const char script_copy[];

/* Whether it is one of these, or the one of a rename (format.h). */
bool replay_knows_script(const struct resp_arg *argv, size_t argc);
/* Does what the EVAL of ARGV did: 0, -ENOENT: it is none of ours (E is not set), or an error. */
int replay_script(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e);

#endif
