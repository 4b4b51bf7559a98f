/* The rename of a directory costs the same whatever is below it: none of the nodes below is looked at (their memory is taken away while it
 * happens), a running snapshot keeps one path and shows all of them where they were.  Counted, not timed.                              */
#include "store/load.h"
#include "store/snapshot.h"
#include "store/tree.h"
#include "tests/lib/tap.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROOT = KEYSPACE_ROOT, BELOW = 10 * NODE_BLOCK, PRESIZED = 1000 * NODE_BLOCK };

static struct op op = { .now_ns = 1000 };

static uint64_t make(struct keyspace *ks, uint64_t dir, const char *name, uint32_t type)
{
	struct attr a;
	int err = type == S_IFDIR ? keyspace_mkdir(ks, &op, dir, name, strlen(name), 0755, &a)
	                          : keyspace_mknod(ks, &op, dir, name, strlen(name), type | 0644, &a);
	if (err)
		abort();
	return a.id;
}

static int move(struct keyspace *ks, uint64_t from_dir, const char *from, uint64_t to_dir, const char *to, unsigned flags)
{
	return keyspace_rename(ks, &op, from_dir, from, strlen(from), to_dir, to, strlen(to), flags);
}

static void fill(struct keyspace *ks, uint64_t dir, int count)
{
	char name[20];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof name, "%d", i);
		make(ks, dir, name, S_IFREG);
	}
}

/* An empty keyspace whose table of nodes is in one piece, and whose names are so thinly spread that no two of them share a bucket. */
static struct keyspace *fresh(void)
{
	struct keyspace_options o = { .hash_seed = { 1, 2 }, .value_max = 1 << 20, .root_mode = 0755, .now_ns = 1 };
	struct keyspace *ks;
	struct loader l;

	if (keyspace_new(&o, &ks) < 0 || loader_init(&l, ks, 0, 0, 1) < 0 || loader_presize(&l, PRESIZED) < 0)
		abort();
	loader_fini(&l);
	return ks;
}

/* ---- without a look at what is below ---- */

/* The blocks that hold nothing but what is in "big": none of them may be read or written. */
static int protect(struct keyspace *ks, uint64_t first)
{
	uint32_t from = (uint32_t)first / NODE_BLOCK + 1, end = ks->nodes.top / NODE_BLOCK;

	return mprotect(node_at(&ks->nodes, from * NODE_BLOCK), (end - from) * NODE_BLOCK * sizeof(struct node), PROT_NONE);
}

enum { LOOKED = 3 };

static void looked(int signal)
{
	(void)signal;
	_exit(LOOKED);
}

static int status_of(pid_t pid)
{
	int status = -1;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_nothing_below(void)
{
	struct keyspace *ks = fresh();
	struct snapshot_totals totals;
	struct snapshot *s;

	uint64_t other = make(ks, ROOT, "other", S_IFDIR);
	make(ks, other, "file", S_IFREG);
	make(ks, other, "dir", S_IFDIR);
	uint64_t big = make(ks, ROOT, "big", S_IFDIR);
	fill(ks, big, BELOW);
	keyspace_lock(ks);
	if (snapshot_begin_locked(ks, &s, &totals) < 0)
		abort();
	keyspace_unlock(ks);
	signal(SIGSEGV, looked);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		if (protect(ks, big) < 0 || move(ks, ROOT, "big", ROOT, "large", 0) || move(ks, ROOT, "large", other, "a longer name", 0) ||
		    move(ks, other, "a longer name", other, "dir", 0) || move(ks, other, "dir", other, "file", RENAME_SWAP) ||
		    move(ks, other, "file", ROOT, "big", 0))
			_exit(1);
		_exit(0);
	}
	is(status_of(pid), 0, "a rename, over another, an exchange: nobody looks at what is below");
	pid = fork();
	if (pid == 0) {
		if (protect(ks, big) < 0)
			_exit(1);
		(void)keyspace_unlink(ks, &op, big, "5000", 4);
		_exit(0);
	}
	is(status_of(pid), LOOKED, "and a look would have been noticed");
	signal(SIGSEGV, SIG_DFL);
	snapshot_end(s);
	keyspace_free(ks);
}

/* ---- what a snapshot keeps ---- */

/* How many of its entries lie below OLD/, and how many nodes it has in all. */
static int count_below(struct snapshot *s, const char *old, int *ret_all)
{
	static struct snapshot_batch b;
	size_t len = strlen(old);
	int found = 0;

	for (*ret_all = 0; snapshot_next(s, &b) == 0 && b.count; *ret_all += b.count)
		for (int i = 0; i < b.count; i++)
			found += b.entry[i].key_len > len && memcmp(b.entry[i].key, old, len) == 0 && b.entry[i].key[len] == '/';
	return found;
}

static uint64_t memory_of_moves(int count)
{
	struct keyspace *ks = fresh();
	struct snapshot_totals totals;
	struct snapshot *s;
	uint64_t peak;
	int all;

	uint64_t into = make(ks, ROOT, "into", S_IFDIR);
	uint64_t big = make(ks, ROOT, "big", S_IFDIR);
	fill(ks, make(ks, big, "sub", S_IFDIR), count);
	keyspace_lock(ks);
	if (snapshot_begin_locked(ks, &s, &totals) < 0)
		abort();
	keyspace_unlock(ks);
	if (move(ks, ROOT, "big", ROOT, "moved", 0) || move(ks, ROOT, "moved", into, "again", 0) || move(ks, ROOT, "into", ROOT, "away", 0) ||
	    move(ks, big, "sub", ROOT, "out", 0))
		abort();
	uint64_t memory = snapshot_memory(s, &peak);
	is(count_below(s, "big/sub", &all), count, "%d nodes below what moved, and moved again, are shown where they were", count);
	is(all, (int)totals.nodes, "and nothing else");
	is((int64_t)snapshot_memory(s, &peak), 0, "no memory is left");
	snapshot_end(s);
	keyspace_free(ks);
	return memory;
}

int main(void)
{
	test_nothing_below();
	uint64_t few = memory_of_moves(1);
	is((int64_t)memory_of_moves(BELOW), (int64_t)few, "memory of a snapshot for it: %" PRIu64 " bytes, one below or many", few);
	return tap_end();
}
