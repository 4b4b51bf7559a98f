/* cost.c -- counts of what an operation takes, which are the same on every machine.
 *
 *      cost build       "plain", or why its counts say nothing: "sanitized", "not optimized"
 *      cost operations  a line for each of them, an operation: <layer>.<operation> <allocations> <bytes of log>
 *      cost memory      bytes a key of KEYS keys, by the store's own count and by malloc's
 *
 * Two layers: `store` calls keyspace.h with the journal behind it, as the handlers do; `daemon` gives libfuse the messages that a kernel sends,
 * and so goes through handlers and replies too.  There are no threads: the log thread's turn is taken between two operations.
 *
 * For instructions, under valgrind --tool=callgrind --toggle-collect=measure --dump-after=measure: each dump is one line of `operations`, in
 * their order, and OPERATIONS times one operation.  tests/lib/budget does it.                                                       */
#include "fs/reply.h"
#include "persist/engine.h"
#include "tests/lib/engine_rig.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPERATIONS = 2000, KEYS = 100000, NAME_LEN = 16, VALUE_LEN = 100, MESSAGE_MAX = 512 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

static uint64_t allocations;

#ifndef SANITIZED
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size)
{
	allocations++;
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	allocations++;
	return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	allocations++;
	return __libc_realloc(old, size);
}
#endif

struct world {
	struct rig rig;                  /* directories and settings; KS and P are opened here */
	struct keyspace *ks;
	struct op op;
	uint64_t id[OPERATIONS];
	char name[OPERATIONS][NAME_LEN + 1], value[VALUE_LEN];
	struct ops_env env;
	struct stats stats;
	struct fuse_session *se;
	int error;                       /* of the last answer to a message */
	uint64_t answered_id;            /* the node in it, if it is an entry */
	_Alignas(8) char message[MESSAGE_MAX];
};

static void check(int err, const char *what)
{
	if (err < 0)
		errx(1, "%s: %s", what, strerror(-err));
}

/* ---- the store, with the journal behind it ---- */

static void store_new(struct world *w, int i)
{
	struct attr a;

	check(keyspace_mknod(w->ks, &w->op, KEYSPACE_ROOT, w->name[i], NAME_LEN, S_IFREG | 0644, &a), "mknod");
	w->id[i] = a.id;
	check(keyspace_write(w->ks, &w->op, a.id, 0, w->value, VALUE_LEN), "write");
}

static void store_overwrite(struct world *w, int i)
{
	const struct attr_change cut = { .mask = ATTR_SIZE };
	struct attr a;

	check(keyspace_setattr(w->ks, &w->op, w->id[i], &cut, &a), "truncate");
	check(keyspace_write(w->ks, &w->op, w->id[i], 0, w->value, VALUE_LEN), "write");
}

static void store_append(struct world *w, int i)
{
	check(keyspace_write(w->ks, &w->op, w->id[i], VALUE_LEN, w->value, VALUE_LEN), "append");
}

static void store_get(struct world *w, int i)
{
	struct value *v;
	uint64_t size;

	check(keyspace_get_value(w->ks, w->id[i], &v, &size), "get");
	value_unref(v);
}

static void store_stat(struct world *w, int i)
{
	struct attr a;

	check(keyspace_getattr(w->ks, w->id[i], &a), "stat");
}

static void store_lookup(struct world *w, int i)
{
	struct attr a;

	check(keyspace_lookup(w->ks, KEYSPACE_ROOT, w->name[i], NAME_LEN, w->op.now_ns, &a), "lookup");
	keyspace_forget(w->ks, a.id, 1);
}

static void store_delete(struct world *w, int i)
{
	check(keyspace_unlink(w->ks, &w->op, KEYSPACE_ROOT, w->name[i], NAME_LEN), "unlink");
	keyspace_forget(w->ks, w->id[i], 1);
}

/* ---- the daemon, by messages ---- */

static ssize_t take_answer(int fd, struct iovec *iov, int count, void *userdata)
{
	struct world *w = (struct world *)((char *)userdata - offsetof(struct world, env));
	const struct fuse_out_header *header = iov[0].iov_base;

	(void)fd;
	w->error = header->error;
	if (count > 1 && iov[1].iov_len == sizeof(struct fuse_entry_out))
		w->answered_id = ((const struct fuse_entry_out *)iov[1].iov_base)->nodeid;
	return header->len;
}

static ssize_t no_read(int fd, void *buf, size_t len, void *userdata)
{
	(void)fd, (void)buf, (void)len, (void)userdata;
	return -1;
}

/* A message about NODE: OPCODE with the ARG_LEN bytes at ARG and the LEN at DATA. */
static void send_message(struct world *w, uint32_t opcode, uint64_t node, const void *arg, size_t arg_len, const void *data, size_t len)
{
	struct fuse_in_header header = { .len = (uint32_t)(sizeof(header) + arg_len + len), .opcode = opcode, .unique = 2, .nodeid = node, .pid = 1 };
	struct fuse_buf buf = { .size = header.len, .mem = w->message };

	memcpy(w->message, &header, sizeof(header));
	memcpy(w->message + sizeof(header), arg, arg_len);
	memcpy(w->message + sizeof(header) + arg_len, data, len);
	w->error = 0;
	fuse_session_process_buf(w->se, &buf);
	check(w->error, "an answer");
}

static void send_write(struct world *w, int i, uint64_t off)
{
	const struct fuse_write_in in = { .offset = off, .size = VALUE_LEN };

	send_message(w, FUSE_WRITE, w->id[i], &in, sizeof(in), w->value, VALUE_LEN);
}

static void send_forget(struct world *w, int i)
{
	const struct fuse_forget_in in = { .nlookup = 1 };

	send_message(w, FUSE_FORGET, w->id[i], &in, sizeof(in), "", 0);
}

static void daemon_new(struct world *w, int i)
{
	const struct fuse_mknod_in in = { .mode = S_IFREG | 0644 };

	send_message(w, FUSE_LOOKUP, FUSE_ROOT_ID, "", 0, w->name[i], NAME_LEN + 1);
	send_message(w, FUSE_MKNOD, FUSE_ROOT_ID, &in, sizeof(in), w->name[i], NAME_LEN + 1);
	w->id[i] = w->answered_id;
	send_write(w, i, 0);
}

static void daemon_overwrite(struct world *w, int i)
{
	const struct fuse_setattr_in in = { .valid = FATTR_SIZE };

	send_message(w, FUSE_SETATTR, w->id[i], &in, sizeof(in), "", 0);
	send_write(w, i, 0);
}

static void daemon_append(struct world *w, int i)
{
	send_write(w, i, VALUE_LEN);
}

static void daemon_get(struct world *w, int i)
{
	const struct fuse_read_in in = { .size = 4096 };

	send_message(w, FUSE_READ, w->id[i], &in, sizeof(in), "", 0);
}

static void daemon_stat(struct world *w, int i)
{
	const struct fuse_getattr_in in = { .dummy = 0 };

	send_message(w, FUSE_GETATTR, w->id[i], &in, sizeof(in), "", 0);
}

static void daemon_lookup(struct world *w, int i)
{
	send_message(w, FUSE_LOOKUP, FUSE_ROOT_ID, "", 0, w->name[i], NAME_LEN + 1);
	send_forget(w, i);
}

static void daemon_delete(struct world *w, int i)
{
	send_message(w, FUSE_UNLINK, FUSE_ROOT_ID, "", 0, w->name[i], NAME_LEN + 1);
	send_forget(w, i);
}

/* ---- counting ---- */

typedef void operation_fn(struct world *w, int i);

static void measure(struct world *w, operation_fn *operation)
{
	for (int i = 0; i < OPERATIONS; i++)
		operation(w, i);
}

/* Called by this, so that it is one function of that name, for valgrind. */
static void (*volatile measure_ptr)(struct world *w, operation_fn *operation) = measure;

static void world_open(struct world *w)
{
	struct keyspace_options o = { .hash_seed = { 1, 2 }, .value_max = 1 << 28, .root_mode = 0755, .now_ns = 1700000000000000000 };
	static const struct fuse_custom_io io = { .writev = take_answer, .read = no_read };
	const struct fuse_init_in hello = { .major = FUSE_KERNEL_VERSION, .minor = 31, .max_readahead = 131072 };
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);

	rig_init(&w->rig, NULL);
	check(keyspace_new(&o, &w->ks), "keyspace");
	if (persist_open(&w->rig.config, w->ks, &w->rig.port, &w->rig.error, &w->rig.p) < 0)
		errx(1, "%s", w->rig.error.text);
	w->op = (struct op){ .now_ns = o.now_ns };
	w->env = (struct ops_env){ .ks = w->ks, .persist = w->rig.p, .stats = &w->stats };
	if (fuse_opt_add_arg(&args, "cost") < 0 || !(w->se = fuse_session_new(&args, &ops_table, sizeof(ops_table), &w->env)))
		errx(1, "no session");
	fuse_opt_free_args(&args);
	check(fuse_session_custom_io(w->se, &io, open("/dev/null", O_RDWR | O_CLOEXEC)), "session");
	send_message(w, FUSE_INIT, 0, &hello, sizeof(hello), "", 0);
	for (int i = 0; i < OPERATIONS; i++)
		snprintf(w->name[i], sizeof(w->name[i]), "key-%012d", i);
	memset(w->value, 'v', VALUE_LEN);
}

static void world_close(struct world *w)
{
	fuse_session_destroy(w->se);
	check(persist_stop(w->rig.p, FINAL_SAVE_NEVER, false), "stop");
	persist_close(w->rig.p);
	keyspace_free(w->ks);
	reply_free_spare(&w->env);
	rig_fini(&w->rig);
}

static uint64_t log_position(struct world *w)
{
	struct persist_info info;

	persist_get_info(w->rig.p, &info);
	return info.seq_published;
}

static int count_operations(void)
{
	static const struct { const char *name; operation_fn *run; } table[] = {
		{ "store.new", store_new }, { "store.overwrite", store_overwrite }, { "store.append", store_append },
		{ "store.get", store_get }, { "store.stat", store_stat }, { "store.lookup", store_lookup }, { "store.delete", store_delete },
		{ "daemon.new", daemon_new }, { "daemon.overwrite", daemon_overwrite }, { "daemon.append", daemon_append },
		{ "daemon.get", daemon_get }, { "daemon.stat", daemon_stat }, { "daemon.lookup", daemon_lookup }, { "daemon.delete", daemon_delete },
	};
	static struct world w;

	world_open(&w);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		engine_step(w.rig.p);
		uint64_t logged = log_position(&w), allocated = allocations;
		measure_ptr(&w, table[i].run);
		allocated = allocations - allocated;
		printf("%s %.3f %.1f\n", table[i].name, (double)allocated / OPERATIONS, (double)(log_position(&w) - logged) / OPERATIONS);
	}
	world_close(&w);
	return 0;
}

static uint64_t bytes_of_malloc(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static int count_memory(void)
{
	struct keyspace_options o = { .hash_seed = { 1, 2 }, .value_max = 1 << 28, .root_mode = 0755, .now_ns = 1700000000000000000 };
	struct op op = { .now_ns = o.now_ns };
	struct keyspace *ks;
	struct usage usage;
	char name[NAME_LEN + 1], value[VALUE_LEN] = { 0 };
	struct attr a;
	uint64_t before = bytes_of_malloc();

	check(keyspace_new(&o, &ks), "keyspace");
	for (int i = 0; i < KEYS; i++) {
		snprintf(name, sizeof(name), "key-%012d", i);
		check(keyspace_mknod(ks, &op, KEYSPACE_ROOT, name, NAME_LEN, S_IFREG | 0644, &a), "mknod");
		check(keyspace_write(ks, &op, a.id, 0, value, VALUE_LEN), "write");
		keyspace_forget(ks, a.id, 1);
	}
	keyspace_usage(ks, &usage);
	printf("memory.counted %.1f\nmemory.malloc %.1f\n", (double)(usage.bytes_total - usage.bytes_idle) / KEYS,
	       (double)(bytes_of_malloc() - before) / KEYS);
	keyspace_free(ks);
	return 0;
}

static int say_build(void)
{
#if defined(SANITIZED)
	puts("sanitized");
#elif !defined(__OPTIMIZE__)
	puts("not optimized");
#else
	puts("plain");
#endif
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (strcmp(what, "build") == 0)
		return say_build();
	if (strcmp(what, "operations") == 0)
		return count_operations();
	if (strcmp(what, "memory") == 0)
		return count_memory();
	errx(2, "usage: cost build | operations | memory");
}
