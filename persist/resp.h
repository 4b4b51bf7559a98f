/* resp.h -- RESP2: the language of the append-only file and of the control socket.  Pure functions on memory.
 *
 * Format (redis.io/docs/reference/protocol-spec): *<count> CRLF then count times $<len> CRLF <bytes> CRLF.
 * Reading is as tolerant as Redis's own loader (leading zeros, a bare LF, any two bytes after an argument); writing is strict. */
#ifndef KVFS_PERSIST_RESP_H
#define KVFS_PERSIST_RESP_H

#include "persist/bytes.h"

#include <stdbool.h>
#include <stdint.h>

struct resp_arg {
	const char *data;   /* borrows from the parsed buffer; of an inline command: from the resp_command */
	size_t len;
};

struct resp_command {
	struct resp_arg *argv;  /* owned by the struct, reused from call to call */
	size_t argc, cap;
	struct bytes words;     /* owned: the words of an inline command, unescaped */
};

struct resp_limits {
	size_t args_max;
	uint64_t arg_max;   /* bytes of one argument */
};

enum resp_result {
	RESP_OK = 1,
	RESP_MORE = 0,      /* the buffer ends before the command does */
	/* -EPROTO: no command; -EMSGSIZE: over the limits; -ENOMEM */
};

/* Reads one command at the start of BUF.  RESP_OK: *RET_USED bytes were taken (argc 0 for an empty line or "*0", which is skipped).
 * On -EPROTO and -EMSGSIZE *RET_WHY is a static text ("expected '*'", ...).  INLINE_OK: a line of words separated by blanks, quotes as
 * Redis's inline commands have them, is a command too (the control socket; telnet and nc users). */
int resp_parse(const char *buf, size_t len, const struct resp_limits *limits, bool inline_ok, struct resp_command *c, size_t *ret_used,
               const char **ret_why);
void resp_command_fini(struct resp_command *c);
/* Case-insensitive comparison with an upper-case word. */
bool resp_is(const struct resp_arg *a, const char *word);
/* Strict decimal: optional '-', no '+', no blanks, no leading zeros, in range.  0 or -EINVAL. */
int resp_int64(const struct resp_arg *a, int64_t *ret);

/* Writing straight into memory whose size was computed before. */
size_t resp_array_size(size_t argc);            /* bytes of "*<argc>\r\n" */
size_t resp_bulk_size(size_t len);              /* bytes of "$<len>\r\n<len bytes>\r\n" */
char *resp_write_digits(char *p, uint64_t n);    /* at most 20; returns the end, as the next */
char *resp_write_array(char *p, size_t argc);
char *resp_write_bulk(char *p, const void *data, size_t len);
char *resp_write_bulk_header(char *p, size_t len);  /* "$<len>\r\n" alone; the caller writes the bytes and CRLF */

/* Replies. */
int resp_reply_simple(struct bytes *out, const char *text);          /* +OK */
int resp_reply_error(struct bytes *out, const char *text);           /* -ERR ...: TEXT with its code word */
int resp_reply_int(struct bytes *out, int64_t n);
int resp_reply_bulk(struct bytes *out, const void *data, size_t len);
int resp_reply_null(struct bytes *out);
int resp_reply_array(struct bytes *out, size_t n);

/* A reply as a client reads it. */
struct resp_value {
	char type;                  /* '+' '-' ':' '$' '*' ; '$' with data NULL is null */
	const char *data;           /* + - $: borrowed */
	size_t len;
	int64_t integer;            /* ':' the number, '*' the count (-1: null) */
};
/* One header or scalar at the start of BUF (the elements of an array follow as values of their own). */
int resp_parse_reply(const char *buf, size_t len, struct resp_value *v, size_t *ret_used, const char **ret_why);

#endif
