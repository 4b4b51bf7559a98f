/* journal.c -- see journal.h. */
#include "persist/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = "kvfsjrn1";

/* In the shared file, as it stands in memory: it never leaves this machine, nor this boot. */
struct header {
	char magic[8];
	uint64_t size;
	uint64_t lineage;
	_Atomic uint64_t tail, head;    /* bytes since the ring was reset */
	_Atomic uint64_t unsure;        /* 1: a sync of the log failed */
};

enum { HEADER_SIZE = 4096 };

struct block {
	struct block *next;
	size_t len, done;
	char data[];
};

struct open_batch {
	bool open;
	bool in_ring;
	uint64_t from, ring_from;       /* its position; and in the ring */
};

static const uint64_t none_open = UINT64_MAX;

/*  C constant after open   S keyspace lock   L log thread   J lock   a atomic  */
struct journal {
	struct header *header;          /* C; its fields: tail L, head S, while batches are open J; NULL without a ring */
	char *ring;                     /* C */
	uint64_t size;                  /* C; 0 without a ring */
	int dir_fd;                     /* C of the journal's directory; -1 */
	char name[64];                  /* C */
	dev_t dev;                      /* C of the ring's file */
	ino_t ino;                      /* C */
	_Atomic bool removed;           /* a, by L: nobody will find it */
	size_t leftover;                /* L bytes found at open; 0 after reset */
	uint64_t leftover_lineage;
	bool left_unsure;               /* L found at open; false after reset */
	_Atomic uint64_t ring_end;      /* a, written under S: where head stands when no batch is open */
	_Atomic uint64_t open_from;     /* a, written under J: position of the first open batch, or none_open */
	struct open_batch open[JOURNAL_OPEN_MAX];  /* J */
	pthread_cond_t filled;          /* J: open_from grew */
	_Atomic uint64_t published;     /* a, written under S */
	_Atomic uint64_t consumed;      /* a, written by L */
	_Atomic bool overflowing;       /* a, set under S and J, cleared by L under J */
	pthread_mutex_t lock;           /* J */
	struct block *first, **last;    /* J */
	struct block *reserved;         /* S: room handed out on the heap */
	char *reserved_ring;            /* S: room handed out in the ring */
};

/* ---- open and close ---- */

/* Opens the file, and trusts it only when it is ours alone. */
static int open_file(struct journal *j, bool *ret_old, struct error *why)
{
	struct stat st;
	int fd = openat(j->dir_fd, j->name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_set(why, -errno, "%s can't be opened", j->name);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1 || (st.st_mode & 077)) {
		close(fd);
		return error_set(why, -EPERM, "%s belongs to somebody else", j->name);
	}
	*ret_old = st.st_size == HEADER_SIZE + JOURNAL_SIZE;
	if (*ret_old)
		return fd;
	/* Reserved, not sparse: a full tmpfs must say so here and not by a SIGBUS later. */
	int err = st.st_size ? -ftruncate(fd, 0) : 0;
	if (!err)
		err = -posix_fallocate(fd, 0, HEADER_SIZE + JOURNAL_SIZE);
	if (err) {
		unlinkat(j->dir_fd, j->name, 0);
		close(fd);
		return error_set(why, err, "there is no room for %d bytes", HEADER_SIZE + JOURNAL_SIZE);
	}
	return fd;
}

static int map_file(struct journal *j, int fd)
{
	size_t total = HEADER_SIZE + 2 * (size_t)JOURNAL_SIZE;
	char *at = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return -errno;
	if (mmap(at, HEADER_SIZE + JOURNAL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
	    mmap(at + HEADER_SIZE + JOURNAL_SIZE, JOURNAL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, HEADER_SIZE) ==
	        MAP_FAILED) {
		int err = -errno;
		munmap(at, total);
		return err;
	}
	j->header = (struct header *)at;
	atomic_init(&j->ring_end, atomic_load(&j->header->head));
	j->ring = at + HEADER_SIZE;
	j->size = JOURNAL_SIZE;
	return 0;
}

static void find_leftover(struct journal *j)
{
	const struct header *h = j->header;
	uint64_t tail = atomic_load(&h->tail), head = atomic_load(&h->head);

	if (memcmp(h->magic, magic, sizeof magic) != 0 || h->size != j->size || tail > head || head - tail > j->size)
		return;
	j->leftover = head - tail;
	j->leftover_lineage = h->lineage;
	j->left_unsure = atomic_load(&h->unsure);
}

static int open_ring(struct journal *j, const char *journal_dir, int dir_fd, struct error *why)
{
	struct stat st;
	bool old = false;

	if (fstat(dir_fd, &st) < 0)
		return error_set(why, -errno, "the data directory can't be read");
	/* Named by what the data directory is, so that the next daemon on it finds the ring whatever path it came by. */
	snprintf(j->name, sizeof j->name, "kvfs-%llx-%llx.journal", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	j->dir_fd = open(journal_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (j->dir_fd < 0)
		return error_set(why, -errno, "it can't be opened");
	int fd = open_file(j, &old, why);
	if (fd < 0)
		return fd;
	int err = fstat(fd, &st) < 0 ? -errno : map_file(j, fd);
	j->dev = st.st_dev;
	j->ino = st.st_ino;
	close(fd);
	if (err)
		return error_set(why, err, "%s can't be mapped", j->name);
	if (old)
		find_leftover(j);
	return 0;
}

int journal_open(const char *journal_dir, int dir_fd, struct error *ret_why, struct journal **ret)
{
	struct journal *j = calloc(1, sizeof *j);
	if (!j)
		return -ENOMEM;
	j->dir_fd = -1;
	j->last = &j->first;
	atomic_init(&j->open_from, none_open);
	pthread_mutex_init(&j->lock, NULL);
	pthread_cond_init(&j->filled, NULL);
	if (journal_dir[0] && open_ring(j, journal_dir, dir_fd, ret_why) < 0)
		error_prepend(ret_why, 0, "journal-dir %s", journal_dir);
	/* What a dead daemon left stays in the ring until somebody resets it. */
	atomic_store(&j->overflowing, j->size == 0 || j->leftover || j->left_unsure);
	*ret = j;
	return 0;
}

const char *journal_leftover(const struct journal *j, size_t *ret_len, uint64_t *ret_lineage)
{
	*ret_len = j->leftover;
	*ret_lineage = j->leftover_lineage;
	return j->leftover ? j->ring + atomic_load(&j->header->tail) % j->size : NULL;
}

void journal_reset(struct journal *j, uint64_t lineage)
{
	j->leftover = 0;
	j->left_unsure = false;
	if (!j->header)
		return;
	/* Died in between: no magic, nothing left. */
	memset(j->header->magic, 0, sizeof j->header->magic);
	atomic_store(&j->header->unsure, 0);
	atomic_store(&j->header->tail, 0);
	atomic_store(&j->header->head, 0);
	atomic_store(&j->ring_end, 0);
	j->header->size = j->size;
	j->header->lineage = lineage;
	atomic_thread_fence(memory_order_seq_cst);
	memcpy(j->header->magic, magic, sizeof magic);
	pthread_mutex_lock(&j->lock);
	if (!j->first)
		atomic_store_explicit(&j->overflowing, false, memory_order_release);
	pthread_mutex_unlock(&j->lock);
}

void journal_set_unsure(struct journal *j, bool unsure)
{
	if (j->header)
		atomic_store(&j->header->unsure, unsure);
}

bool journal_left_unsure(const struct journal *j)
{
	return j->left_unsure;
}

void journal_close(struct journal *j, bool remove)
{
	if (!j)
		return;
	if (j->header) {
		bool keep = j->leftover || atomic_load(&j->header->unsure);
		munmap(j->header, HEADER_SIZE + 2 * (size_t)JOURNAL_SIZE);
		if (remove && !keep && !atomic_load(&j->removed))
			unlinkat(j->dir_fd, j->name, 0);
	}
	if (j->dir_fd >= 0)
		close(j->dir_fd);
	while (j->first) {
		struct block *b = j->first;
		j->first = b->next;
		free(b);
	}
	free(j->reserved);
	pthread_cond_destroy(&j->filled);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

/* ---- writing ---- */

static char *reserve_on_heap(struct journal *j, size_t len)
{
	free(j->reserved);
	j->reserved_ring = NULL;
	j->reserved = malloc(sizeof *j->reserved + len);
	if (!j->reserved)
		return NULL;
	*j->reserved = (struct block){ 0 };
	return j->reserved->data;
}

char *journal_reserve(struct journal *j, size_t len)
{
	if (atomic_load_explicit(&j->overflowing, memory_order_acquire))
		return reserve_on_heap(j, len);
	uint64_t end = atomic_load_explicit(&j->ring_end, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&j->header->tail, memory_order_acquire);
	if (len > j->size - (end - tail))
		return reserve_on_heap(j, len);
	j->reserved_ring = j->ring + end % j->size;
	return j->reserved_ring;
}

/* The position of the first open batch, or none_open; and where head may stand: before the first that is in the ring. */
static uint64_t first_open_locked(const struct journal *j, uint64_t *ret_ring)
{
	uint64_t from = none_open;

	*ret_ring = atomic_load(&j->ring_end);
	for (int i = 0; i < JOURNAL_OPEN_MAX; i++) {
		const struct open_batch *o = &j->open[i];
		if (!o->open)
			continue;
		if (o->from < from)
			from = o->from;
		if (o->in_ring && o->ring_from < *ret_ring)
			*ret_ring = o->ring_from;
	}
	return from;
}

/* Head first: who sees that no batch is open moves it without J. */
static void advance_locked(struct journal *j)
{
	uint64_t ring, from = first_open_locked(j, &ring);

	if (j->header)
		atomic_store_explicit(&j->header->head, ring, memory_order_release);
	atomic_store(&j->open_from, from);
}

static void commit_ring(struct journal *j, size_t len)
{
	uint64_t end = atomic_load_explicit(&j->ring_end, memory_order_relaxed) + len;

	j->reserved_ring = NULL;
	atomic_store_explicit(&j->ring_end, end, memory_order_release);
	if (atomic_load(&j->open_from) == none_open) {
		atomic_store_explicit(&j->header->head, end, memory_order_release);
		return;
	}
	pthread_mutex_lock(&j->lock);
	advance_locked(j);
	pthread_mutex_unlock(&j->lock);
}

static void commit_block(struct journal *j, size_t len)
{
	struct block *b = j->reserved;

	assert(b);
	j->reserved = NULL;
	b->len = len;
	pthread_mutex_lock(&j->lock);
	atomic_store_explicit(&j->overflowing, true, memory_order_release);
	*j->last = b;
	j->last = &b->next;
	pthread_mutex_unlock(&j->lock);
}

uint64_t journal_commit(struct journal *j, size_t len)
{
	uint64_t end = atomic_load_explicit(&j->published, memory_order_relaxed) + len;

	/* First the count, then the bytes: the reader never consumes what is not counted yet. */
	atomic_store(&j->published, end);
	if (j->reserved_ring)
		commit_ring(j, len);
	else
		commit_block(j, len);
	return end;
}

/* ---- open batches ---- */

static int free_number_locked(const struct journal *j)
{
	for (int i = 0; i < JOURNAL_OPEN_MAX; i++)
		if (!j->open[i].open)
			return i;
	return -1;
}

bool journal_may_open(struct journal *j)
{
	pthread_mutex_lock(&j->lock);
	bool may = free_number_locked(j) >= 0;
	pthread_mutex_unlock(&j->lock);
	return may;
}

uint64_t journal_commit_open(struct journal *j, size_t len, unsigned *ret_number)
{
	uint64_t from = atomic_load_explicit(&j->published, memory_order_relaxed);

	pthread_mutex_lock(&j->lock);
	int number = free_number_locked(j);
	assert(number >= 0);
	j->open[number] = (struct open_batch){ .open = true, .in_ring = j->reserved_ring != NULL, .from = from,
	                                       .ring_from = atomic_load_explicit(&j->ring_end, memory_order_relaxed) };
	/* Before it is published: who sees that sees this. */
	if (from < atomic_load(&j->open_from))
		atomic_store(&j->open_from, from);
	pthread_mutex_unlock(&j->lock);
	*ret_number = (unsigned)number;
	return journal_commit(j, len);
}

void journal_filled(struct journal *j, unsigned number)
{
	pthread_mutex_lock(&j->lock);
	assert(number < JOURNAL_OPEN_MAX && j->open[number].open);
	j->open[number].open = false;
	advance_locked(j);
	pthread_cond_broadcast(&j->filled);
	pthread_mutex_unlock(&j->lock);
}

void journal_wait_filled(struct journal *j, uint64_t seq)
{
	if (atomic_load(&j->open_from) >= seq)
		return;
	pthread_mutex_lock(&j->lock);
	while (atomic_load(&j->open_from) < seq)
		pthread_cond_wait(&j->filled, &j->lock);
	pthread_mutex_unlock(&j->lock);
}

uint64_t journal_published(const struct journal *j)
{
	return atomic_load(&j->published);
}

uint64_t journal_consumed(const struct journal *j)
{
	return atomic_load(&j->consumed);
}

uint64_t journal_kept(const struct journal *j)
{
	/* While it overflows, what the ring still holds is kept too, but nobody needs to know it exactly. */
	uint64_t published = atomic_load(&j->published), open_from;
	if (atomic_load(&j->overflowing) || atomic_load(&j->removed))
		return atomic_load(&j->consumed);
	open_from = atomic_load(&j->open_from);
	return published < open_from ? published : open_from;
}

uint64_t journal_ring_size(const struct journal *j)
{
	return j->size;
}

const char *journal_name(const struct journal *j)
{
	return j->name;
}

bool journal_still_there(struct journal *j)
{
	struct stat st;

	if (!j->header || atomic_load(&j->removed))
		return true;
	if (fstatat(j->dir_fd, j->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? errno != ENOENT : st.st_dev == j->dev && st.st_ino == j->ino)
		return true;
	atomic_store(&j->removed, true);
	return false;
}

/* ---- reading ---- */

static size_t ring_filled(const struct journal *j)
{
	if (!j->header || j->leftover)
		return 0;
	return atomic_load_explicit(&j->header->head, memory_order_acquire) - atomic_load_explicit(&j->header->tail, memory_order_relaxed);
}

size_t journal_peek(struct journal *j, uint64_t limit, const char **ret)
{
	uint64_t at = atomic_load(&j->consumed), open_from;

	if (at >= limit)
		return 0;
	journal_wait_filled(j, at + 1);
	open_from = atomic_load(&j->open_from);
	if (limit > open_from)
		limit = open_from;
	size_t len = ring_filled(j);
	if (len) {
		*ret = j->ring + atomic_load_explicit(&j->header->tail, memory_order_relaxed) % j->size;
	} else {
		pthread_mutex_lock(&j->lock);
		/* The ring is looked at again: it may have filled before the writer began to overflow. */
		struct block *b = ring_filled(j) ? NULL : j->first;
		pthread_mutex_unlock(&j->lock);
		if (!b)
			return 0;
		*ret = b->data + b->done;
		len = b->len - b->done;
	}
	return len < limit - at ? len : limit - at;
}

static void consume_block(struct journal *j, size_t len)
{
	struct block *b = j->first;

	b->done += len;
	assert(b->done <= b->len);
	if (b->done < b->len)
		return;
	pthread_mutex_lock(&j->lock);
	j->first = b->next;
	if (!j->first) {
		j->last = &j->first;
		/* Empty here, and empty the ring is: the writer may use it again. */
		if (j->size && !j->leftover && !j->left_unsure)
			atomic_store_explicit(&j->overflowing, false, memory_order_release);
	}
	pthread_mutex_unlock(&j->lock);
	free(b);
}

void journal_consume(struct journal *j, size_t len)
{
	if (!len)
		return;
	/* First the count, then the room: who sees the journal no longer overflowing sees the count that goes with it. */
	atomic_fetch_add(&j->consumed, len);
	if (ring_filled(j))
		atomic_fetch_add_explicit(&j->header->tail, len, memory_order_release);
	else
		consume_block(j, len);
}
