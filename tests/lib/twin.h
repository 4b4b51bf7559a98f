/* twin.h -- the inside of tests/lib/twin.c: random calls, made on two directories alike.
 *
 * A call is drawn from (seed, worker, index) alone, so that a run without some of its calls draws the others as before.  It is made on
 * side A (the model: a tmpfs) and on side B (the mount) with the same arguments; what it returned and what it did must be the same.
 *
 *      twin_draw()      what call INDEX is
 *      op->run()        makes it on one side
 *      twin_check()     what both returned, and what can be seen of it            twin_compare.c
 *      twin_compare()   everything below two directories                          twin_tree.c
 *
 * A process is confined (chroot) to one side for the length of a call, so that no symlink leads out of it.            */
#ifndef KVFS_TESTS_TWIN_H
#define KVFS_TESTS_TWIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

enum {
	SIDES = 2,
	OWN_SLOTS = 6,             /* descriptors that a worker holds in its own subtree */
	SHARED_SLOTS = 3,          /* and in what all workers share */
	SLOTS = OWN_SLOTS + SHARED_SLOTS,
	PATH_CAP = 1400,
	DATA_CAP = 1 << 17,
	TEXT_CAP = 900,
	HISTORY = 40,
};

enum twin_feature {
	HAS_LINK = 1, HAS_FIFO = 2, HAS_DEVICE = 4, HAS_XATTR = 8, HAS_FALLOCATE = 16, HAS_TMPFILE = 32, HAS_SEEK_HOLE = 64,
	HAS_TRUSTED = 128, HAS_SHARED_MAP = 256, HAS_ACL = 512,
};

/* Who makes a call. */
enum { WHO_ROOT, WHO_OWNER, WHO_OTHER, WHO_COUNT };
extern const uid_t twin_uid[WHO_COUNT];

struct call {
	uint64_t index;
	int op;
	bool shared;               /* in what all workers share: by turns */
	bool watched;              /* what it changes is looked at before and behind it */
	int who;
	mode_t umask, mode;
	int base, base2;           /* slot that the path begins at; -1: the top */
	char path[PATH_CAP], path2[PATH_CAP];
	int slot, slot2;
	int64_t off, len;
	uint64_t pick;             /* for what only this kind of call needs */
};

struct result {
	long ret;
	int err;                   /* 0 when RET is not negative */
	const char *broken;        /* what this side alone shows to be wrong */
	size_t size;               /* of what was read */
	unsigned char *data;       /* DATA_CAP bytes */
};

/* One object, as it was seen. */
struct seen {
	int err;
	struct stat st;
};
enum { VIEWS = 8 };

struct twin {
	uint64_t seed;
	int worker;
	unsigned features;
	bool verbose;
	uint64_t (*counts)[2];     /* of each kind: succeeded, failed */
	struct timespec started;   /* the model's clock when a call began: it ticks */
	int own[SIDES], shared[SIDES];  /* the worker's part of them, and everybody's */
	int fd[SIDES][SLOTS];      /* -1: closed */
	struct result result[SIDES];
	struct seen before[SIDES][VIEWS], after[SIDES][VIEWS];
	char history[HISTORY][TEXT_CAP];
	uint64_t made;             /* calls so far */
};

typedef void twin_op_fn(struct twin *t, int side, const struct call *c, struct result *r);
struct twin_op {
	const char *name;
	int weight;
	unsigned feature;          /* left out when the mount has it not */
	const char *uses;          /* what of a call it looks at: p, q paths (P: from the top); s, t slots; o offset; l length; m mode; x pick */
	twin_op_fn *run;
};
extern const struct twin_op twin_ops[];
int twin_op_count(void);

/* ---- twin_draw.c ---- */
uint64_t twin_random(uint64_t *state);
void twin_draw(const struct twin *t, uint64_t index, bool shared, struct call *ret);
/* The name of an errno; of 0 "ok". */
const char *twin_errno(int err);
void twin_text(const struct twin *t, const struct call *c, char *buf, size_t cap);

/* ---- for the files of operations ---- */
void twin_done(struct result *r, long ret);
int twin_at(const struct twin *t, int side, int base);
/* Bytes of call INDEX. */
void twin_fill(uint64_t index, unsigned char *buf, size_t len);
#define TWIN_OP(name) void name(struct twin *t, int side, const struct call *c, struct result *r)
TWIN_OP(do_open); TWIN_OP(do_tmpfile); TWIN_OP(do_close); TWIN_OP(do_dup); TWIN_OP(do_read); TWIN_OP(do_write); TWIN_OP(do_truncate);
TWIN_OP(do_ftruncate); TWIN_OP(do_lseek); TWIN_OP(do_seek_hole); TWIN_OP(do_fallocate); TWIN_OP(do_copy_range); TWIN_OP(do_sendfile);
TWIN_OP(do_map); TWIN_OP(do_sync); TWIN_OP(do_flock); TWIN_OP(do_fcntl_lock);
TWIN_OP(do_mkdir); TWIN_OP(do_rmdir); TWIN_OP(do_unlink); TWIN_OP(do_rename); TWIN_OP(do_link); TWIN_OP(do_symlink); TWIN_OP(do_readlink);
TWIN_OP(do_mkfifo); TWIN_OP(do_mkdev); TWIN_OP(do_chmod); TWIN_OP(do_chown); TWIN_OP(do_utimens); TWIN_OP(do_access); TWIN_OP(do_statx);
TWIN_OP(do_list); TWIN_OP(do_list_slot); TWIN_OP(do_chdir); TWIN_OP(do_setxattr); TWIN_OP(do_getxattr); TWIN_OP(do_listxattr);
TWIN_OP(do_removexattr); TWIN_OP(do_setacl); TWIN_OP(do_getacl);

/* ---- twin_compare.c ---- */
/* Looks at what C may change, on one side. */
void twin_watch(const struct twin *t, int side, const struct call *c, struct seen *views);
/* True when both sides agree; else WHY says where not. */
bool twin_check(const struct twin *t, const struct call *c, char *why, size_t cap);
/* Whether two objects look alike. */
bool twin_same_stat(const struct stat *a, const struct stat *b, char *why, size_t cap);

/* ---- twin_tree.c ---- */
/* Everything below two directories, and what the slots of T hold unless it is NULL. */
bool twin_compare(const struct twin *t, int a, int b, char *why, size_t cap);
/* Prints a line for each name below DIR, times included: two dumps are equal when nothing changed. */
int twin_dump(int dir);
/* Syncs each file below it. */
int twin_sync(int dir);
/* Names in a directory, sorted, each followed by its type; -1 and errno, or the count.  BUF has CAP bytes. */
int twin_names(int fd, char *buf, size_t cap, size_t *ret_len, const char **ret_broken);

/* ---- twin_known.c ---- */
void twin_print_known(void);

#endif
