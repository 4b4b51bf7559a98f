/* floor.c -- floor [-l] MOUNTPOINT: the FUSE filesystem that stores nothing, to measure what any FUSE filesystem costs.
 *
 * A name exists once it was created, so that a client's calls succeed, and has a size; data written is thrown away and zeros
 * are read.  One directory, regular files only.  Stateless opens and infinite timeouts, as kvfs has them.
 * With libfuse's own loop and one thread; -l: with kvfs's loop and its defaults, so that what is left between the two is the
 * keyspace.  It runs in the foreground and ends on SIGTERM or at umount.
 *
 * Locks: one, for the table of names, since kvfs's loop has several readers.                                             */
#include "fs/config.h"
#include "fs/loop.h"

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 1 << 20, NAME_SIZE = 32, FIRST_SLOT_ID = 2 };

struct slot {
	char name[NAME_SIZE];  /* "": free */
	_Atomic off_t size;
};

static struct slot *slots;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const double forever = 1e9;
static char zeros[1 << 20];

/* Where NAME is, or where it would be; -1: no room, or too long. */
static int64_t find(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325u;
	if (strlen(name) >= NAME_SIZE)
		return -1;
	for (const char *p = name; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 0x100000001b3u;
	for (uint64_t i = 0; i < SLOTS; i++) {
		uint64_t at = (hash + i) % SLOTS;
		if (!slots[at].name[0] || !strcmp(slots[at].name, name))
			return (int64_t)at;
	}
	return -1;
}

static struct stat attributes(fuse_ino_t id)
{
	struct stat st = {.st_ino = id, .st_nlink = 1, .st_mode = S_IFREG | 0644, .st_blksize = 4096};
	if (id == FUSE_ROOT_ID) {
		st.st_mode = S_IFDIR | 0755;
		st.st_nlink = 2;
	} else {
		st.st_size = slots[id - FIRST_SLOT_ID].size;
	}
	return st;
}

static void reply_entry(fuse_req_t req, fuse_ino_t id)
{
	struct fuse_entry_param e = {.ino = id, .generation = 1, .attr_timeout = forever, .entry_timeout = forever};
	if (id)
		e.attr = attributes(id);
	fuse_reply_entry(req, &e);
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->want &= ~(unsigned)(FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
	                          FUSE_CAP_SPLICE_MOVE);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent;
	pthread_mutex_lock(&lock);
	int64_t at = find(name);
	bool found = at >= 0 && slots[at].name[0];
	pthread_mutex_unlock(&lock);
	reply_entry(req, found ? (fuse_ino_t)at + FIRST_SLOT_ID : 0);
}

static void op_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	struct stat st = attributes(id);
	(void)fi;
	fuse_reply_attr(req, &st, forever);
}

static void op_setattr(fuse_req_t req, fuse_ino_t id, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	if (id != FUSE_ROOT_ID && (to_set & FUSE_SET_ATTR_SIZE))
		slots[id - FIRST_SLOT_ID].size = attr->st_size;
	op_getattr(req, id, fi);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	(void)parent, (void)mode, (void)rdev;
	pthread_mutex_lock(&lock);
	int64_t at = find(name);
	if (at >= 0) {
		strcpy(slots[at].name, name);  /* find() saw that it fits */
		slots[at].size = 0;
	}
	pthread_mutex_unlock(&lock);
	if (at < 0)
		fuse_reply_err(req, ENOSPC);
	else
		reply_entry(req, (fuse_ino_t)at + FIRST_SLOT_ID);
}

/* The name stays as a grave, so that names behind it in the table are still found. */
static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent;
	pthread_mutex_lock(&lock);
	int64_t at = find(name);
	bool found = at >= 0 && slots[at].name[0];
	if (found)
		memcpy(slots[at].name, "/", 2);
	pthread_mutex_unlock(&lock);
	fuse_reply_err(req, found ? 0 : ENOENT);
}

static void op_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t off, struct fuse_file_info *fi)
{
	off_t left = slots[id - FIRST_SLOT_ID].size - off;
	(void)fi;
	if (left < 0)
		left = 0;
	if (size > (size_t)left)
		size = (size_t)left;
	fuse_reply_buf(req, zeros, size < sizeof zeros ? size : sizeof zeros);
}

static void op_write(fuse_req_t req, fuse_ino_t id, const char *data, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct slot *s = &slots[id - FIRST_SLOT_ID];
	(void)data, (void)fi;
	if (s->size < off + (off_t)size)
		s->size = off + (off_t)size;
	fuse_reply_write(req, size);
}

static void op_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)id, (void)size, (void)off, (void)fi;
	fuse_reply_buf(req, NULL, 0);
}

static void op_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	(void)id, (void)fi;
	fuse_reply_err(req, ENOSYS);
}

static const struct fuse_lowlevel_ops ops = {
    .init = op_init,       .lookup = op_lookup, .getattr = op_getattr, .setattr = op_setattr, .mknod = op_mknod, .unlink = op_unlink,
    .read = op_read,       .write = op_write,   .readdir = op_readdir, .open = op_open,       .opendir = op_open,
};

/* As kvfs runs it (service.c), until the kernel has unmounted or a signal came.  0, or 1 with a word on standard error. */
static int run_kvfs_loop(struct fuse_session *session)
{
	static struct stats stats;
	struct log log;
	struct error e = {0};
	struct config config;
	struct loop *loop;
	if (config_init(&config) < 0 || log_open(&log, "", true, LOG_LEVEL_WARNING, &e) < 0) {
		fprintf(stderr, "floor: %s\n", e.text);
		return 1;
	}
	struct loop_options o = {.threads = config.threads, .spin_us = config.spin_us, .latency = config.latency};
	int err = loop_new(session, &o, &stats, &log, &loop);
	if (err == 0) {
		err = loop_start(loop);
		struct pollfd p = {.fd = loop_ended_fd(loop), .events = POLLIN};
		while (err == 0 && !fuse_session_exited(session) && poll(&p, 1, -1) <= 0)
			continue;
		loop_stop(loop);
		loop_free(loop);
	}
	if (err < 0)
		fprintf(stderr, "floor: %s\n", strerror(-err));
	log_close(&log);
	config_fini(&config);
	return err < 0;
}

int main(int argc, char **argv)
{
	char *fuse_argv[] = {argv[0], "-o", "fsname=floor,subtype=floor,default_permissions", NULL};
	struct fuse_args args = FUSE_ARGS_INIT(3, fuse_argv);
	bool kvfs_loop = argc > 1 && !strcmp(argv[1], "-l");
	int ret = 1;
	if (argc != 2 + kvfs_loop) {
		fprintf(stderr, "usage: floor [-l] MOUNTPOINT\n");
		return 2;
	}
	slots = calloc(SLOTS, sizeof *slots);
	struct fuse_session *session = slots ? fuse_session_new(&args, &ops, sizeof ops, NULL) : NULL;
	if (!session)
		goto out;
	if (fuse_set_signal_handlers(session) != 0)
		goto out_session;
	if (fuse_session_mount(session, argv[argc - 1]) != 0)
		goto out_signals;
	ret = kvfs_loop ? run_kvfs_loop(session) : fuse_session_loop(session) < 0;
	fuse_session_unmount(session);
out_signals:
	fuse_remove_signal_handlers(session);
out_session:
	fuse_session_destroy(session);
out:
	free(slots);
	return ret;
}
