/* manifest.h -- which files make up the append-only log.  Grammar and errors: Redis 7 (redis-format.md, "Manifest grammar"): one line a file,
 * "file <name> seq <n> type <b|h|i>\n".  Pure: text to struct and back; writing it durably is aof.c's.
 *
 * Ours begins with a comment that holds a checksum (format.h), since one flipped bit makes an incr a history, which is unlinked. */
#ifndef KVFS_PERSIST_MANIFEST_H
#define KVFS_PERSIST_MANIFEST_H

#include "persist/bytes.h"
#include "persist/error.h"

#include <stdbool.h>
#include <stdint.h>

enum manifest_type { MANIFEST_BASE = 'b', MANIFEST_HISTORY = 'h', MANIFEST_INCR = 'i' };

struct manifest_file {
	char *name;                /* owned; no '/' in it */
	uint64_t seq;
	enum manifest_type type;
};

struct manifest {
	struct manifest_file *file;  /* owned, in the order of the text */
	size_t count, cap;
	bool summed;                 /* as read: it had our checksum, and that was right */
};

enum { MANIFEST_LINE_MAX = 1024, MANIFEST_FILES_MAX = 65536 };

/* 0; -EINVAL with line number and reason in E (Redis's rules); -EBADMSG: its checksum does not match; -ENOMEM. */
int manifest_parse(const char *text, size_t len, struct manifest *ret, struct error *e);
/* Appends the text.  Our checksum; base, history, incrs, in the order Redis writes. */
int manifest_format(const struct manifest *m, struct bytes *out);
int manifest_add(struct manifest *m, const char *name, uint64_t seq, enum manifest_type type);
/* The base or NULL; the last incr or NULL; borrowed. */
struct manifest_file *manifest_base(const struct manifest *m);
struct manifest_file *manifest_last_incr(const struct manifest *m);
uint64_t manifest_max_seq(const struct manifest *m, enum manifest_type type);  /* 0 when there is none; BASE counts history of a .base. too */
int manifest_clone(const struct manifest *m, struct manifest *ret);
void manifest_fini(struct manifest *m);

#endif
