/* keyname.h -- the path under which a key is shown, also a key that is no path; and back.
 *
 * A key is cut at '/' into parts.  A part that can be a file's name is that name.  One that can't (it is empty, "." or "..", holds a NUL,
 * begins with ".%", or has more than 255 bytes) is shown escaped:
 *
 *      .%body       every byte of the part itself, but '%' as %25 and NUL as %00
 *      .%body%+/..  the body goes on in the next name, one directory below; each name but the last holds as much as 255 bytes allow
 *
 * A directory or a symbolic link has no key, and may stand where a value's name would be: then the value is BESIDE it, under a second name:
 *
 *      .%body       when its own name is not escaped (also cut, when it gets too long)
 *      .%body%=     when its own name is
 *
 *      key             path                 key                               path
 *      user/1          user/1               .%x                               .%.%25x
 *      a//b            a/.%/b               "a\0b"                            .%a%00b
 *      /top            .%/top               a       (and there is a/b)        .%a     beside a/b
 *      ../x            .%../x               a/      (and there is a//b)       a/.%%=  beside a/.%/b
 *      100%            100%                 300 x k                           .%<251 x k>%+/.%<49 x k>
 *
 * Every key has one path (two, with the one beside), every path at most one key: names that begin with ".%" and are none of the above are
 * refused wherever a name is made.  A key is never longer than its path.
 *
 * Pure functions on memory; nothing is allocated.                                                                                        */
#ifndef KVFS_STORE_KEYNAME_H
#define KVFS_STORE_KEYNAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	KEYNAME_BODY_MAX = 251,     /* bytes of a body: 255 less ".%" and "%+" or "%=" */
	KEYNAME_BESIDE_MAX = 1024,  /* bytes that the second name of a part of up to 255 bytes takes, and more */
};

/* What the last name of a path is. */
enum keyname_kind {
	KEYNAME_OWN,                /* of a part, itself or escaped */
	KEYNAME_BESIDE,             /* the second one: of a value only */
	KEYNAME_PIECE,              /* the start of a part: a directory that holds how it goes on */
};

/* The look that a name costs; all else is for names that begin so. */
static inline bool keyname_is_escaped(const char *name, size_t len)
{
	return len >= 2 && name[0] == '.' && name[1] == '%';
}

/* Whether a directory of that name holds how a part goes on. */
static inline bool keyname_is_piece(const char *name, size_t len)
{
	return keyname_is_escaped(name, len) && len >= 4 && name[len - 2] == '%' && name[len - 1] == '+';
}

/* Whether PART (no '/' in it) can't be a name as it is. */
bool keyname_needs_escape(const char *part, size_t len);
/* Whether KEY is its own path: nothing in it is escaped. */
bool keyname_is_path(const char *key, size_t len);

/* The names of PART, with '/' between them, to OUT, which has room (NULL: only counts).  Returns their bytes. */
size_t keyname_of_part(const char *part, size_t len, bool beside, char *out);
/* The path of KEY, to PATH with room for CAP bytes; BESIDE: its last part's second name.  Returns its bytes, or -ENAMETOOLONG. */
int64_t keyname_to_path(const char *key, size_t len, bool beside, char *path, size_t cap);
/* The key of PATH, to KEY, which has room for LEN bytes; of a path that ends in a piece, the key so far.  0; -EINVAL: there is no such path. */
int keyname_to_key(const char *path, size_t len, char *key, size_t *ret_len, enum keyname_kind *ret_kind);

#endif
