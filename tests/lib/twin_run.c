/* Making calls: one process, and several beside each other.  See twin.h. */
#include "tests/lib/twin_run.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { OWN_A_TURN = 16, SHARED_A_TURN = 3, COMPARE_EVERY = 2000 };

/* ---- one call ---- */

static void confine(int dir)
{
	if (fchdir(dir) < 0 || chroot(".") < 0)
		err(1, "chroot (twin wants root)");
}

static void become(int who)
{
	gid_t gid = twin_uid[who], more = 1000;

	if (setgroups(who == WHO_OTHER, &more) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(gid, gid, 0) < 0)
		err(1, "become %u", gid);
}

static void unbecome(void)
{
	if (setresuid(0, 0, 0) < 0 || setresgid(0, 0, 0) < 0)
		err(1, "root again");
}

/* The first slot from SLOT on that holds something, of those that the call may use; SLOT when none does. */
static int open_slot(const struct twin *t, const struct call *c, int slot)
{
	int first = c->shared ? OWN_SLOTS : 0, count = c->shared ? SHARED_SLOTS : OWN_SLOTS;

	for (int i = 0; i < count; i++) {
		int at = first + (slot - first + i) % count;
		if (t->fd[0][at] >= 0)
			return at;
	}
	return slot;
}

/* A closed descriptor is an error once in a while, not most of the time. */
static void choose_slots(const struct twin *t, struct call *c)
{
	const char *uses = twin_ops[c->op].uses;

	if (c->index % 16 == 0)
		return;
	if (!strchr(uses, 'm') || twin_ops[c->op].run == do_chmod)
		c->slot = open_slot(t, c, c->slot);
	if (twin_ops[c->op].run != do_dup)
		c->slot2 = open_slot(t, c, c->slot2);
	if (c->base >= 0)
		c->base = open_slot(t, c, c->base);
	if (c->base2 >= 0)
		c->base2 = open_slot(t, c, c->base2);
}

bool twin_make(struct twin *t, struct call *c, char *why, size_t cap)
{
	char *text = t->history[t->made++ % HISTORY];
	size_t len;

	choose_slots(t, c);
	twin_text(t, c, text, TEXT_CAP);
	for (int side = 0; side < SIDES; side++) {
		struct result *r = &t->result[side];
		r->broken = NULL;
		r->size = 0;
		confine(c->shared ? t->shared[side] : t->own[side]);
		if (c->watched)
			twin_watch(t, side, c, t->before[side]);
		if (side == 0)
			clock_gettime(CLOCK_REALTIME_COARSE, &t->started);
		umask(c->umask);
		become(c->who);
		twin_ops[c->op].run(t, side, c, r);
		unbecome();
		if (c->watched) {
			if (fchdir(c->shared ? t->shared[side] : t->own[side]) < 0)
				err(1, "fchdir");
			twin_watch(t, side, c, t->after[side]);
		}
	}
	len = strlen(text);
	snprintf(text + len, TEXT_CAP - len, "  = %ld %s", t->result[0].ret, twin_errno(t->result[0].err));
	if (t->counts)
		__atomic_add_fetch(&t->counts[c->op][t->result[0].err != 0], 1, __ATOMIC_RELAXED);
	if (t->verbose)
		fprintf(stderr, "%s\n", text);
	return twin_check(t, c, why, cap);
}

void twin_init(struct twin *t, const struct twin_run *run, int worker)
{
	memset(t, 0, sizeof *t);
	t->seed = run->seed;
	t->worker = worker;
	t->features = run->features;
	t->verbose = run->verbose;
	t->counts = run->counts;
	for (int side = 0; side < SIDES; side++) {
		t->own[side] = t->shared[side] = -1;
		for (int i = 0; i < SLOTS; i++)
			t->fd[side][i] = -1;
		t->result[side].data = malloc(DATA_CAP);
		if (!t->result[side].data)
			err(1, "twin");
	}
}

void twin_fini(struct twin *t)
{
	for (int side = 0; side < SIDES; side++) {
		for (int i = 0; i < SLOTS; i++)
			if (t->fd[side][i] >= 0)
				close(t->fd[side][i]);
		close(t->own[side]);
		close(t->shared[side]);
		free(t->result[side].data);
	}
}

int twin_subdirectory(int top, const char *name)
{
	int fd;

	umask(0);
	if (mkdirat(top, name, 0777) < 0 && errno != EEXIST)
		err(1, "%s", name);
	fd = openat(top, name, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		err(1, "%s", name);
	return fd;
}

static void tell(struct twin *t, const char *why)
{
	uint64_t first = t->made > HISTORY ? t->made - HISTORY : 0;

	if (!t->verbose)
		for (uint64_t i = first; i < t->made; i++)
			printf("    %s\n", t->history[i % HISTORY]);
	printf("difference: seed %llu worker %d: %s\n", (unsigned long long)t->seed, t->worker, why);
	fflush(stdout);
}

/* The end of a process that may be confined: a sanitizer's own end would look for /proc. */
_Noreturn static void leave(int status)
{
	fflush(stdout);
	_exit(status);
}

/* ---- workers ---- */

/* Reads the token from its own pipe, makes its calls in what all share, and hands the token on. */
static bool take_turn(struct twin *t, const struct twin_run *run, uint64_t turn, char *why, size_t cap)
{
	struct call c;
	char token;

	if (read(run->turn[t->worker][0], &token, 1) != 1)
		leave(2);
	for (uint64_t i = 0; i < SHARED_A_TURN; i++) {
		twin_draw(t, turn * SHARED_A_TURN + i, true, &c);
		if (!twin_make(t, &c, why, cap))
			return false;
	}
	if (write(run->turn[(t->worker + 1) % run->workers][1], "t", 1) != 1)
		leave(2);
	return true;
}

static int work(const struct twin_run *run, int worker)
{
	static struct twin t;
	char why[800], name[20];
	struct call c;
	bool same = true;

	twin_init(&t, run, worker);
	sprintf(name, "w%d", worker);
	for (int side = 0; side < SIDES; side++) {
		t.own[side] = twin_subdirectory(run->top[side], name);
		t.shared[side] = twin_subdirectory(run->top[side], "s");
	}
	for (uint64_t i = 0; same && i < run->calls; i++) {
		if (i == run->stop_at) {
			tell(&t, "stopped here");
			return 1;
		}
		twin_draw(&t, i, false, &c);
		same = twin_make(&t, &c, why, sizeof why);
		if (same && i % OWN_A_TURN == OWN_A_TURN - 1)
			same = take_turn(&t, run, i / OWN_A_TURN, why, sizeof why);
		if (same && (i % COMPARE_EVERY == COMPARE_EVERY - 1 || i + 1 == run->calls))
			same = twin_compare(&t, t.own[0], t.own[1], why, sizeof why);
	}
	if (!same)
		tell(&t, why);
	twin_fini(&t);
	return !same;
}

int twin_workers(struct twin_run *run)
{
	pid_t pid[WORKERS_MAX];
	int status, failed = 0, left = run->workers;

	for (int i = 0; i < run->workers; i++)
		if (pipe(run->turn[i]) < 0)
			err(1, "pipe");
	if (write(run->turn[0][1], "t", 1) != 1)
		err(1, "pipe");
	fflush(stdout);
	for (int i = 0; i < run->workers; i++) {
		pid[i] = fork();
		if (pid[i] < 0)
			err(1, "fork");
		if (pid[i] == 0)
			leave(work(run, i));
	}
	while (left > 0) {
		pid_t who = wait(&status);
		if (who < 0)
			err(1, "wait");
		left--;
		for (int i = 0; i < run->workers; i++)
			if (pid[i] == who)
				pid[i] = 0;
		if (!WIFEXITED(status) || WEXITSTATUS(status)) {
			if (!failed && !WIFEXITED(status))
				printf("a worker died of signal %d\n", WTERMSIG(status));
			failed = 1;
			for (int i = 0; i < run->workers; i++)
				if (pid[i] > 0)
					kill(pid[i], SIGKILL);
		}
	}
	return failed;
}

/* ---- what the least is that still fails ---- */

/* Makes the calls in LIST, in directories of their own: the place in LIST of the one that shows a difference, or COUNT. */
static size_t attempt(const struct twin_run *run, const uint64_t *list, size_t count, bool say)
{
	static int attempts;
	size_t *place = mmap(NULL, sizeof *place, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	size_t result;
	char name[20];
	pid_t pid;

	if (place == MAP_FAILED)
		err(1, "mmap");
	*place = count;
	sprintf(name, "m%d", attempts++);
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid == 0) {
		static struct twin t;
		char why[800];
		struct call c;
		bool same = true;
		size_t i;
		twin_init(&t, run, run->worker);
		for (int side = 0; side < SIDES; side++)
			t.own[side] = twin_subdirectory(run->top[side], name);
		for (i = 0; same && i < count; i++) {
			twin_draw(&t, list[i], false, &c);
			same = twin_make(&t, &c, why, sizeof why);
			if (same && (i % COMPARE_EVERY == COMPARE_EVERY - 1 || i + 1 == count))
				same = twin_compare(&t, t.own[0], t.own[1], why, sizeof why);
		}
		if (!same) {
			*place = i - 1;
			if (say)
				tell(&t, why);
		}
		leave(0);
	}
	waitpid(pid, NULL, 0);
	result = *place;
	munmap(place, sizeof *place);
	return result;
}

/* Leaves out ever smaller parts of the list as long as it still fails without them. */
int twin_minimize(const struct twin_run *run)
{
	uint64_t *list = calloc(run->calls, sizeof *list), *trial = calloc(run->calls, sizeof *trial);
	size_t count, failed;

	if (!list || !trial)
		err(1, "minimize");
	for (size_t i = 0; i < run->calls; i++)
		list[i] = i;
	failed = attempt(run, list, run->calls, true);
	if (failed == run->calls) {
		printf("no difference\n");
		return 0;
	}
	count = failed + 1;
	for (size_t part = count / 2; part > 0; part /= 2)
		for (size_t at = 0; at < count;) {
			size_t end = at + part < count ? at + part : count, n = 0;
			for (size_t i = 0; i < count; i++)
				if (i < at || i >= end)
					trial[n++] = list[i];
			failed = n ? attempt(run, trial, n, false) : n;
			if (failed < n) {
				count = failed + 1;
				memcpy(list, trial, count * sizeof *list);
			} else {
				at = end;
			}
		}
	printf("%zu calls:\n", count);
	attempt(run, list, count, true);
	free(list);
	free(trial);
	return 1;
}
