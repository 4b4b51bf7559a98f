/* The journal: what is committed comes out in order, and what a dead daemon left is found; whatever the ring holds or the overflow.
 * By reopening its file as the next daemon does, and by writers and a reader that race. */
#include "persist/journal.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BATCHES = 20000, LARGE = JOURNAL_SIZE / 2 + 1 };

static char top[] = "/tmp/kvfs-unit-journal-XXXXXX";
static int data_fd;

static struct journal *open_in(const char *dir)
{
	struct error why = { 0 };
	struct journal *j;

	if (journal_open(dir, data_fd, &why, &j) < 0)
		abort();
	if (why.text[0])
		diag("%s", why.text);
	return j;
}

static uint64_t put(struct journal *j, const char *data, size_t len)
{
	char *p = journal_reserve(j, len);

	if (!p)
		abort();
	memcpy(p, data, len);
	return journal_commit(j, len);
}

static bool next_is(struct journal *j, const char *data, size_t len)
{
	const char *got;
	size_t n = journal_peek(j, UINT64_MAX, &got);
	bool same = n == len && memcmp(got, data, len) == 0;

	journal_consume(j, n);
	return same;
}

static const char *journal_path(const struct journal *j)
{
	static char path[256];

	snprintf(path, sizeof path, "%s/%s", top, journal_name(j));
	return path;
}

static void test_leftover(void)
{
	struct journal *j = open_in(top);
	uint64_t lineage;
	const char *p;
	size_t len;

	journal_reset(j, 7);
	put(j, "one", 3);
	is((int64_t)put(j, "two", 3), 6, "a position counts bytes");
	is((int64_t)journal_kept(j), 6, "what is in the ring is kept");
	ok(journal_reserve(j, 100) != NULL, "a reserve without commit");
	is((int64_t)journal_peek(j, 4, &p), 4, "a limit is kept to");
	journal_consume(j, 3);
	journal_close(j, false);
	j = open_in(top);
	p = journal_leftover(j, &len, &lineage);
	is_bytes(p, p ? len : 0, "two", 3, "the next daemon finds what was not consumed");
	is((int64_t)lineage, 7, "and whose it is");
	journal_close(j, false);
	j = open_in(top);
	ok(journal_leftover(j, &len, &lineage) && len == 3, "as often as it dies before the reset");
	journal_reset(j, 8);
	journal_leftover(j, &len, &lineage);
	is((int64_t)len, 0, "then it is gone");
	journal_close(j, false);
	j = open_in(top);
	journal_leftover(j, &len, &lineage);
	is((int64_t)len, 0, "for the next one too");
	journal_close(j, true);
	ok(rmdir(top) == 0 && mkdir(top, 0700) == 0, "a removed one leaves no file");
}

static void test_overflow(void)
{
	struct journal *j = open_in(top);
	char *big = malloc(JOURNAL_SIZE + 1);
	uint64_t lineage;
	size_t len;

	memset(big, 'b', JOURNAL_SIZE + 1);
	journal_reset(j, 9);
	uint64_t at = put(j, big, LARGE);
	is((int64_t)journal_kept(j), (int64_t)at, "half of the ring is kept");
	put(j, big, LARGE);
	put(j, "small", 5);
	is((int64_t)journal_kept(j), 0, "what the ring can't hold waits for the file, and all behind it");
	ok(next_is(j, big, LARGE), "the ring comes first");
	is((int64_t)journal_kept(j), LARGE, "what was consumed is kept");
	put(j, "more", 4);
	ok(next_is(j, big, LARGE) && next_is(j, "small", 5), "then the overflow");
	put(j, "and more", 8);
	ok(next_is(j, "more", 4) && next_is(j, "and more", 8), "in order");
	at = put(j, big, LARGE);
	is((int64_t)journal_kept(j), (int64_t)at, "emptied, the ring is used again, round its end");
	journal_close(j, false);
	j = open_in(top);
	const char *p = journal_leftover(j, &len, &lineage);
	is_bytes(p, p ? len : 0, big, LARGE, "and what stands across its end is found whole");
	journal_reset(j, 9);
	at = put(j, big, JOURNAL_SIZE);
	is((int64_t)journal_kept(j), JOURNAL_SIZE, "a batch as large as the ring fits");
	put(j, big, JOURNAL_SIZE + 1);
	ok(next_is(j, big, JOURNAL_SIZE) && next_is(j, big, JOURNAL_SIZE + 1), "a larger one overflows");
	journal_close(j, true);
	free(big);
}

static void test_without_ring(const char *dir, const char *what)
{
	struct journal *j = open_in(dir);

	ok(journal_ring_size(j) == 0, "no ring: %s", what);
	journal_reset(j, 1);
	put(j, "one", 3);
	is((int64_t)journal_kept(j), 0, "nothing is kept before it is written");
	ok(next_is(j, "one", 3) && journal_kept(j) == 3, "then it is");
	put(j, "two", 3);
	journal_close(j, true);
}

/* The one file in the journal's directory. */
static char *file_name(void)
{
	struct stat st;
	char *path;

	if (fstat(data_fd, &st) < 0 ||
	    asprintf(&path, "%s/kvfs-%llx-%llx.journal", top, (unsigned long long)st.st_dev, (unsigned long long)st.st_ino) < 0)
		abort();
	return path;
}

static void test_removed(void)
{
	struct journal *j = open_in(top);
	uint64_t lineage;
	size_t len;

	journal_reset(j, 7);
	put(j, "one", 3);
	ok(journal_still_there(j) && journal_kept(j) == 3, "in the ring a batch is kept");
	if (unlinkat(AT_FDCWD, journal_path(j), 0) < 0)
		abort();
	ok(!journal_still_there(j), "somebody removes the ring's file");
	ok(journal_still_there(j), "which is said once");
	is((int64_t)journal_kept(j), 0, "now a batch is kept when it was consumed");
	ok(next_is(j, "one", 3) && journal_kept(j) == 3, "as it is here");
	put(j, "two", 3);
	is((int64_t)journal_kept(j), 3, "and so on");
	struct journal *other = open_in(top);
	journal_close(j, true);
	ok(journal_still_there(other), "its end leaves the file alone that another made since");
	journal_leftover(other, &len, &lineage);
	is((int64_t)len, 0, "in which nothing is");
	journal_close(other, true);
}

static void test_strange_files(void)
{
	char *path = file_name(), *link_path;
	struct journal *j;
	int fd;

	if (asprintf(&link_path, "%s/link", top) < 0)
		abort();
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	close(fd);
	test_without_ring(top, "others may read it");
	ok(unlink(path) == 0 && symlink("/etc/passwd", path) == 0, "a symlink");
	test_without_ring(top, "a symlink");
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ok(link(path, link_path) == 0, "a second name");
	test_without_ring(top, "it has two names");
	unlink(link_path);
	ok(write(fd, "garbage", 7) == 7, "garbage");
	close(fd);
	j = open_in(top);
	uint64_t lineage;
	size_t len;
	journal_leftover(j, &len, &lineage);
	ok(journal_ring_size(j) == JOURNAL_SIZE && len == 0, "a file of another size is made anew");
	journal_close(j, true);
	free(path);
	free(link_path);
}

/* A batch whose bytes come later. */
static uint64_t put_open(struct journal *j, size_t len, char **ret_room, unsigned *ret_number)
{
	*ret_room = journal_may_open(j) ? journal_reserve(j, len) : NULL;
	if (!*ret_room)
		abort();
	return journal_commit_open(j, len, ret_number);
}

static void test_open(const char *dir, const char *what)
{
	struct journal *j = open_in(dir);
	unsigned number, second;
	char *room, *second_room;
	const char *p;

	journal_reset(j, 5);
	put(j, "one", 3);
	is((int64_t)put_open(j, 3, &room, &number), 6, "%s: an open batch has its place", what);
	is((int64_t)put(j, "three", 5), 11, "%s: so has what comes behind it", what);
	ok(journal_kept(j) <= 3, "%s: neither is kept", what);
	is((int64_t)journal_peek(j, UINT64_MAX, &p), 3, "%s: nor leaves the journal", what);
	put_open(j, 4, &second_room, &second);
	memcpy(second_room, "four", 4);
	journal_filled(j, second);
	ok(journal_kept(j) <= 3, "%s: one that is filled before the first changes nothing", what);
	memcpy(room, "two", 3);
	journal_filled(j, number);
	journal_wait_filled(j, 15);
	bool in_ring = journal_ring_size(j);
	ok(journal_kept(j) == (in_ring ? 15u : 0u), "%s: filled, all of it is", what);
	ok(in_ring ? next_is(j, "onetwothreefour", 15)
	           : next_is(j, "one", 3) && next_is(j, "two", 3) && next_is(j, "three", 5) && next_is(j, "four", 4), "%s: and comes in order", what);
	for (int i = 0; i < JOURNAL_OPEN_MAX; i++)
		put_open(j, 1, &room, &number);
	ok(!journal_may_open(j), "%s: so many may be open and no more", what);
	journal_close(j, false);
	if (!in_ring)
		return;
	j = open_in(dir);
	size_t len;
	uint64_t lineage;
	journal_leftover(j, &len, &lineage);
	is((int64_t)len, 0, "%s: what a dead daemon had not filled is not found", what);
	journal_reset(j, 6);
	journal_close(j, true);
}

/* ---- a race ---- */

struct race { struct journal *j; pthread_mutex_t lock; int next; bool fills_later; uint64_t written; };

static size_t length_of(int i)
{
	uint64_t z = (uint64_t)i * 0x9e3779b97f4a7c15u;
	return i % 500 == 7 ? JOURNAL_SIZE / 3 : 1 + (z >> 40) % 3000;
}

static void *write_all(void *arg)
{
	struct race *r = arg;

	for (;;) {
		pthread_mutex_lock(&r->lock);
		int i = r->next++;
		if (i >= BATCHES) {
			pthread_mutex_unlock(&r->lock);
			return NULL;
		}
		size_t len = length_of(i);
		bool later = r->fills_later && i % 3 == 0 && journal_may_open(r->j);
		char *p = journal_reserve(r->j, len);
		unsigned number;
		if (!p)
			abort();
		if (!later)
			memset(p, 'a' + i % 26, len);
		uint64_t end = later ? journal_commit_open(r->j, len, &number) : journal_commit(r->j, len);
		r->written = end;
		pthread_mutex_unlock(&r->lock);
		if (later) {
			memset(p, 'a' + i % 26, len);
			journal_filled(r->j, number);
		}
		if (i % 64 == 0)
			journal_wait_filled(r->j, end);
	}
}

static void test_race(const char *dir, const char *what, int writers)
{
	struct race r = { .j = open_in(dir), .lock = PTHREAD_MUTEX_INITIALIZER, .fills_later = writers > 1 };
	pthread_t writer[3];
	uint64_t wrong = 0;
	size_t into = 0;
	int batch = 0;

	journal_reset(r.j, 3);
	for (int i = 0; i < writers; i++)
		if (pthread_create(&writer[i], NULL, write_all, &r) != 0)
			abort();
	while (batch < BATCHES) {
		const char *p;
		size_t n = journal_peek(r.j, UINT64_MAX, &p);
		for (size_t i = 0; i < n; i++) {
			wrong += p[i] != 'a' + batch % 26;
			if (++into == length_of(batch)) {
				into = 0;
				batch++;
			}
		}
		journal_consume(r.j, n);
		wrong += journal_kept(r.j) < journal_consumed(r.j);
	}
	for (int i = 0; i < writers; i++)
		pthread_join(writer[i], NULL);
	is((int64_t)wrong, 0, "%s: a reader beside the writer sees every byte in order", what);
	ok(journal_consumed(r.j) == r.written && journal_published(r.j) == r.written, "%s: and nothing else", what);
	journal_close(r.j, true);
}

int main(void)
{
	if (!mkdtemp(top))
		abort();
	data_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	test_leftover();
	test_overflow();
	test_without_ring("", "none is wanted");
	test_without_ring("/nowhere/at/all", "no such directory");
	test_removed();
	test_strange_files();
	test_open(top, "ring");
	test_open("", "no ring");
	test_race(top, "ring", 1);
	test_race("", "no ring", 1);
	test_race(top, "ring, open batches", 3);
	test_race("", "no ring, open batches", 3);
	close(data_fd);
	ok(rmdir(top) == 0, "nothing is left");
	return tap_end();
}
