/* target.h -- what the benchmarks measure: the same operations on a directory and on a redis-server.
 *
 *      KIND:NAME=PATH          fuse:kvfs=/mnt/kv    dir:tmpfs=/dev/shm/x    redis:redis=/tmp/x/sock
 *      KIND:NAME@PID=PATH      and the process that serves it, whose CPU time is wanted
 *
 * An operation that fails ends the program: a benchmark of failing calls says nothing.                                      */
#ifndef KVFS_BENCH_TARGET_H
#define KVFS_BENCH_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum { VALUE_SIZE = 100, NAME_SIZE = 32 };
enum target_kind { TARGET_FUSE, TARGET_DIR, TARGET_REDIS };

/* An overwrite of a file is two changes, it is cut and then written; a write is one, on a redis-server they are the same. */
enum operation { OP_NEW, OP_OVERWRITE, OP_FIRST_GET, OP_GET_AGAIN, OP_STAT, OP_APPEND, OP_DELETE, OP_WRITE, OPERATIONS };
extern const char *const operation_names[OPERATIONS];

struct target {
	enum target_kind kind;
	char *name;                /* owned */
	int fd;                    /* the directory or the socket */
	bool has_cpu;
	clockid_t cpu;             /* of all threads of its process */
};

/* What every value is written as; fill.c makes other ones of it. */
extern char value[VALUE_SIZE];

int64_t now_ns(void);
/* TEXT as a number above 0; anything else ends the program. */
uint64_t number(const char *text);
/* "key:000000000000" */
void key_name(char name[NAME_SIZE], uint64_t key);

void target_open(struct target *t, const char *text);
void target_close(struct target *t);
/* Of KEY; a read has to return VALUE_SIZE bytes. */
void target_do(const struct target *t, enum operation op, uint64_t key);
/* CPU time of its process so far, 0 if it has none. */
int64_t target_cpu_ns(const struct target *t);

/* One command of the redis protocol; returns its bytes.  OUT holds CAP bytes, which are enough. */
size_t redis_put(char *out, size_t cap, const char *word, const char *key, bool with_value);
void redis_send(int fd, const char *data, size_t len);

int compare_doubles(const void *a, const void *b);

#endif
