/* What one call did, seen from both sides: see twin.h. */
#include "tests/lib/twin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static void look(struct seen *s, int dir, const char *path, int flags)
{
	s->err = fstatat(dir, path, &s->st, flags) < 0 ? errno : 0;
}

static void parent_of(const char *path, char *out)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	while (len > 0 && path[len - 1] != '/')
		len--;
	while (len > 1 && path[len - 1] == '/')
		len--;
	memcpy(out, path, len);
	strcpy(out + len, len ? "" : ".");
}

static const char *const view_names[VIEWS] = {
	"the path", "where the path leads", "its directory", "the second path", "where it leads", "its directory", "the descriptor",
	"the second descriptor",
};

void twin_watch(const struct twin *t, int side, const struct call *c, struct seen *views)
{
	const char *uses = twin_ops[c->op].uses;
	int at = twin_at(t, side, c->base), at2 = twin_at(t, side, c->base2);
	char parent[PATH_CAP];

	for (int i = 0; i < VIEWS; i++)
		views[i].err = ENOENT;
	if (strpbrk(uses, "pP")) {
		parent_of(c->path, parent);
		look(&views[0], at, c->path, AT_SYMLINK_NOFOLLOW);
		look(&views[1], at, c->path, 0);
		look(&views[2], at, parent, 0);
	}
	if (strchr(uses, 'q')) {
		parent_of(c->path2, parent);
		look(&views[3], at2, c->path2, AT_SYMLINK_NOFOLLOW);
		look(&views[4], at2, c->path2, 0);
		look(&views[5], at2, parent, 0);
	}
	if (strchr(uses, 's'))
		look(&views[6], t->fd[side][c->slot], "", AT_EMPTY_PATH);
	if (strchr(uses, 't'))
		look(&views[7], t->fd[side][c->slot2], "", AT_EMPTY_PATH);
}

/* A time that a call set is far from now: such a one must be equal.  The others are the clock's. */
static bool is_now(const struct timespec *t)
{
	return t->tv_sec > 1500000000 && t->tv_sec < 4000000000;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	if (is_now(a) || is_now(b))
		return is_now(a) && is_now(b);
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool moved(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec || a->tv_nsec != b->tv_nsec;
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

static bool differs(char *why, size_t cap, const char *what, long long a, long long b)
{
	snprintf(why, cap, "%s: %lld on A, %lld on B", what, a, b);
	return false;
}

bool twin_same_stat(const struct stat *a, const struct stat *b, char *why, size_t cap)
{
	if (a->st_mode != b->st_mode) {
		snprintf(why, cap, "mode: %o on A, %o on B", a->st_mode, b->st_mode);
		return false;
	}
	if (a->st_uid != b->st_uid)
		return differs(why, cap, "uid", a->st_uid, b->st_uid);
	if (a->st_gid != b->st_gid)
		return differs(why, cap, "gid", a->st_gid, b->st_gid);
	if (a->st_nlink != b->st_nlink)
		return differs(why, cap, "nlink", (long long)a->st_nlink, (long long)b->st_nlink);
	if (a->st_rdev != b->st_rdev)
		return differs(why, cap, "rdev", (long long)a->st_rdev, (long long)b->st_rdev);
	if (a->st_size != b->st_size)
		return differs(why, cap, "size", a->st_size, b->st_size);
	if (S_ISFIFO(a->st_mode))
		return true;           /* its times: twin_known.c */
	if (!same_time(&a->st_mtim, &b->st_mtim))
		return differs(why, cap, "mtime", a->st_mtim.tv_sec, b->st_mtim.tv_sec);
	if (!same_time(&a->st_ctim, &b->st_ctim))
		return differs(why, cap, "ctime", a->st_ctim.tv_sec, b->st_ctim.tv_sec);
	return true;
}

static bool moved_unlike(const struct stat *old, const char *what, const bool moves[SIDES], char *why, size_t cap)
{
	snprintf(why, cap, "%s moved on %s only; it was mode %o uid %u gid %u size %lld mtime %lld", what, moves[0] ? "A" : "B", old->st_mode,
	         old->st_uid, old->st_gid, (long long)old->st_size, (long long)old->st_mtim.tv_sec);
	return false;
}

/* Which times a call moved.  The model's clock ticks: a time of the last tick may stand still there, and here not. */
static bool same_moves(const struct twin *t, int view, char *why, size_t cap)
{
	const struct stat *old[SIDES], *now[SIDES];
	bool same[SIDES], m[SIDES], c[SIDES];
	const struct timespec *tick = &t->started;

	for (int i = 0; i < SIDES; i++) {
		if (t->before[i][view].err || t->after[i][view].err)
			return true;
		old[i] = &t->before[i][view].st;
		now[i] = &t->after[i][view].st;
		same[i] = old[i]->st_ino == now[i]->st_ino && (old[i]->st_mode & S_IFMT) == (now[i]->st_mode & S_IFMT);
		m[i] = moved(&old[i]->st_mtim, &now[i]->st_mtim);
		c[i] = moved(&old[i]->st_ctim, &now[i]->st_ctim);
	}
	if (same[0] != same[1])
		return differs(why, cap, "the same object as before", same[0], same[1]);
	if (!same[0] || S_ISFIFO(now[0]->st_mode))
		return true;
	if (m[0] != m[1] && (m[0] || is_before(&old[0]->st_mtim, tick)))
		return moved_unlike(old[1], "mtime", m, why, cap);
	if (c[0] != c[1] && (c[0] || is_before(&old[0]->st_ctim, tick)))
		return moved_unlike(old[1], "ctime", c, why, cap);
	return true;
}

static bool same_view(const struct twin *t, int view, char *why, size_t cap)
{
	const struct seen *a = &t->after[0][view], *b = &t->after[1][view];

	if (a->err != b->err) {
		snprintf(why, cap, "stat: %s on A, %s on B", twin_errno(a->err), twin_errno(b->err));
		return false;
	}
	return a->err || (twin_same_stat(&a->st, &b->st, why, cap) && same_moves(t, view, why, cap));
}

bool twin_check(const struct twin *t, const struct call *c, char *why, size_t cap)
{
	const struct result *a = &t->result[0], *b = &t->result[1];
	char text[256];

	if (a->broken || b->broken) {
		snprintf(why, cap, "%s on %s", a->broken ? a->broken : b->broken, a->broken ? "A" : "B");
		return false;
	}
	if (a->err != b->err || a->ret != b->ret) {
		snprintf(why, cap, "returned %ld %s on A, %ld %s on B", a->ret, twin_errno(a->err), b->ret, twin_errno(b->err));
		return false;
	}
	if (a->size != b->size)
		return differs(why, cap, "bytes read", (long long)a->size, (long long)b->size);
	for (size_t i = 0; i < a->size; i++)
		if (a->data[i] != b->data[i]) {
			snprintf(why, cap, "byte %zu of what was read: %02x on A, %02x on B", i, a->data[i], b->data[i]);
			return false;
		}
	for (int i = 0; c->watched && i < VIEWS; i++)
		if (!same_view(t, i, text, sizeof text)) {
			snprintf(why, cap, "%s: %s", view_names[i], text);
			return false;
		}
	return true;
}
