/* bytes.h -- a growing run of bytes.  {0} is a valid empty one.  After a failed reserve nothing has changed. */
#ifndef KVFS_PERSIST_BYTES_H
#define KVFS_PERSIST_BYTES_H

#include <stddef.h>

struct bytes {
	char *data;      /* owned; may be NULL when cap is 0 */
	size_t len, cap;
};

int bytes_reserve(struct bytes *b, size_t more);                 /* room for MORE bytes behind len; 0 or -ENOMEM */
int bytes_add(struct bytes *b, const void *data, size_t len);    /* 0 or -ENOMEM */
int bytes_addf(struct bytes *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void bytes_drop_front(struct bytes *b, size_t n);                /* n <= len */
void bytes_fini(struct bytes *b);

#endif
