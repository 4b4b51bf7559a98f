/* resp_inline.h -- private to resp.c and manifest.c: one line of words, as a human types a command and as Redis writes its manifest. */
#ifndef KVFS_PERSIST_RESP_INLINE_H
#define KVFS_PERSIST_RESP_INLINE_H

#include "persist/resp.h"

/* As resp_parse(), with C->argc 0.  Words are separated by blanks; "..." knows \n \r \t \b \a \xHH \\ \", '...' knows \' alone; a closing
 * quote ends the word.  The words are unescaped into c->words. */
int resp_parse_inline(const char *buf, size_t len, const struct resp_limits *limits, struct resp_command *c, size_t *ret_used,
                      const char **ret_why);
/* Room for one argument more.  0 or -ENOMEM. */
int resp_grow(struct resp_command *c);

#endif
