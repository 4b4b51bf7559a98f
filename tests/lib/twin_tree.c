/* Everything below two directories, compared; everything below one, printed: see twin.h. */
#include "tests/lib/twin.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { NAMES_MAX = 512, LIST_CAP = 4096, VALUE_CAP = 65536 };

struct pair { ino_t ino[SIDES]; };
struct walk {
	struct pair *pair;         /* what has several names, or is open */
	size_t count;
	char *why;
	size_t cap;
	unsigned char *data[SIDES];  /* DATA_CAP bytes */
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a + 1, *(char *const *)b + 1);
}

/* Each as a letter for its type, then the name, then NUL. */
int twin_names(int fd, char *buf, size_t cap, size_t *ret_len, const char **ret_broken)
{
	char raw[1000], *text = malloc(cap), *list[NAMES_MAX];
	size_t count = 0, len = 0, out = 0;
	struct stat st;
	ssize_t n;

	if (!text)
		err(1, "names");
	n = lseek(fd, 0, SEEK_SET);
	while (n >= 0 && (n = getdents64(fd, raw, sizeof raw)) > 0)
		for (ssize_t at = 0; at < n; at += ((struct dirent64 *)(raw + at))->d_reclen) {
			const struct dirent64 *d = (struct dirent64 *)(raw + at);
			if (count == NAMES_MAX || len + 260 > cap)
				errx(1, "more names than calls make");
			list[count++] = text + len;
			len += (size_t)sprintf(text + len, "%c%s", 'a' + d->d_type, d->d_name) + 1;
			if (strcmp(d->d_name, "..") && fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			    (st.st_ino != d->d_ino || d->d_type != IFTODT(st.st_mode)))
				*ret_broken = "a listed name is something else by stat";
		}
	if (n == 0) {
		qsort(list, count, sizeof *list, by_name);
		for (size_t i = 0; i < count; i++) {
			if (i && strcmp(list[i] + 1, list[i - 1] + 1) == 0)
				*ret_broken = "a name is listed twice";
			out += (size_t)sprintf(buf + out, "%s", list[i]) + 1;
		}
		*ret_len = out;
	}
	free(text);
	return n < 0 ? -1 : (int)count;
}

static bool fail(struct walk *w, const char *path, const char *what)
{
	snprintf(w->why, w->cap, "%s: %s", path, what);
	return false;
}

/* What are two names of one file on one side must be that on the other. */
static bool same_identity(struct walk *w, const char *path, ino_t a, ino_t b)
{
	for (size_t i = 0; i < w->count; i++)
		if ((w->pair[i].ino[0] == a) != (w->pair[i].ino[1] == b))
			return fail(w, path, "is the same file as another on one side only");
	w->pair = realloc(w->pair, (w->count + 1) * sizeof *w->pair);
	if (!w->pair)
		err(1, "pairs");
	w->pair[w->count++] = (struct pair){ { a, b } };
	return true;
}

static bool same_bytes(struct walk *w, const char *path, const int fd[SIDES])
{
	char text[80];
	ssize_t n[SIDES];

	for (off_t off = 0;; off += n[0]) {
		for (int i = 0; i < SIDES; i++) {
			n[i] = pread(fd[i], w->data[i], DATA_CAP, off);
			if (n[i] < 0)
				return fail(w, path, i ? "can't be read on B" : "can't be read on A");
		}
		if (n[0] != n[1])
			return fail(w, path, "reads have different lengths");
		if (n[0] == 0)
			return true;
		for (ssize_t i = 0; i < n[0]; i++)
			if (w->data[0][i] != w->data[1][i]) {
				snprintf(text, sizeof text, "byte %lld is %02x on A, %02x on B", (long long)(off + i), w->data[0][i], w->data[1][i]);
				return fail(w, path, text);
			}
	}
}

static bool same_content(struct walk *w, const char *path, const int dir[SIDES], const char *name)
{
	int fd[SIDES];
	bool same;

	for (int i = 0; i < SIDES; i++)
		fd[i] = openat(dir[i], name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOATIME);
	same = fd[0] >= 0 && fd[1] >= 0 ? same_bytes(w, path, fd) : fail(w, path, "can't be opened");
	for (int i = 0; i < SIDES; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	return same;
}

/* The attributes of NAME in DIR as text: sorted names, each with its value in hexadecimal. */
static size_t attributes(int dir, const char *name, unsigned char *out)
{
	char list[LIST_CAP], *names[64];
	unsigned char value[VALUE_CAP];
	size_t count = 0, len = 0;
	ssize_t n;

	if (fchdir(dir) < 0)
		err(1, "fchdir");
	n = llistxattr(name, list, sizeof list);
	for (char *p = list; n > 0 && p < list + n && count < 64; p += strlen(p) + 1)
		if (strncmp(p, "user.kvfs.", 10) && strncmp(p, "security.", 9))
			names[count++] = p;
	for (size_t i = 1; i < count; i++)
		for (size_t k = i; k > 0 && strcmp(names[k - 1], names[k]) > 0; k--) {
			char *swap = names[k];
			names[k] = names[k - 1];
			names[k - 1] = swap;
		}
	for (size_t i = 0; i < count; i++) {
		n = lgetxattr(name, names[i], value, sizeof value);
		len += (size_t)sprintf((char *)out + len, " %s=%zd:", names[i], n);
		for (ssize_t k = 0; k < n && len + 3 < DATA_CAP - 300; k++)
			len += (size_t)sprintf((char *)out + len, "%02x", value[k]);
	}
	return len;
}

static bool same_directory(struct walk *w, const char *path, const int dir[SIDES]);

static bool same_below(struct walk *w, const char *path, const int dir[SIDES], const char *name)
{
	int fd[SIDES];
	bool same;

	for (int i = 0; i < SIDES; i++)
		fd[i] = openat(dir[i], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NOATIME);
	same = fd[0] >= 0 && fd[1] >= 0 ? same_directory(w, path, fd) : fail(w, path, "can't be opened");
	for (int i = 0; i < SIDES; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	return same;
}

static bool same_name(struct walk *w, const char *path, const int dir[SIDES], const char *name)
{
	struct stat st[SIDES];
	size_t len[SIDES] = { 0, 0 };
	char text[200];

	for (int i = 0; i < SIDES; i++)
		if (fstatat(dir[i], name, &st[i], AT_SYMLINK_NOFOLLOW) < 0)
			return fail(w, path, "is listed but not there");
	if (!twin_same_stat(&st[0], &st[1], text, sizeof text))
		return fail(w, path, text);
	if (!S_ISDIR(st[0].st_mode) && st[0].st_nlink > 1 && !same_identity(w, path, st[0].st_ino, st[1].st_ino))
		return false;
	for (int i = 0; i < SIDES; i++)
		len[i] = attributes(dir[i], name, w->data[i]);
	if (len[0] != len[1] || memcmp(w->data[0], w->data[1], len[0]))
		return fail(w, path, "has other extended attributes");
	if (S_ISLNK(st[0].st_mode)) {
		for (int i = 0; i < SIDES; i++)
			if (readlinkat(dir[i], name, (char *)w->data[i], DATA_CAP) != st[i].st_size)
				return fail(w, path, "target is not as long as stat says");
		return memcmp(w->data[0], w->data[1], (size_t)st[0].st_size) == 0 || fail(w, path, "has another target");
	}
	if (S_ISREG(st[0].st_mode))
		return same_content(w, path, dir, name);
	return S_ISDIR(st[0].st_mode) ? same_below(w, path, dir, name) : true;
}

static bool same_directory(struct walk *w, const char *path, const int dir[SIDES])
{
	const char *broken = NULL;
	size_t len[SIDES];
	char *list[SIDES], *below;
	bool same = true;

	for (int i = 0; i < SIDES; i++) {
		list[i] = malloc(DATA_CAP);
		if (!list[i] || twin_names(dir[i], list[i], DATA_CAP, &len[i], &broken) < 0)
			err(1, "%s", path);
	}
	if (broken)
		same = fail(w, path, broken);
	else if (len[0] != len[1] || memcmp(list[0], list[1], len[0]))
		same = fail(w, path, "other names");
	for (char *p = list[0]; same && p < list[0] + len[0]; p += strlen(p) + 1)
		if (strcmp(p + 1, ".") && strcmp(p + 1, "..")) {
			if (asprintf(&below, "%s/%s", path, p + 1) < 0)
				err(1, "path");
			same = same_name(w, below, dir, p + 1);
			free(below);
		}
	for (int i = 0; i < SIDES; i++)
		free(list[i]);
	return same;
}

/* What is open, also without a name. */
static bool same_slots(struct walk *w, const struct twin *t)
{
	struct stat st[SIDES];
	char name[40], text[200];

	for (int slot = 0; slot < OWN_SLOTS; slot++) {
		int fd[SIDES] = { t->fd[0][slot], t->fd[1][slot] };
		sprintf(name, "fd %d", slot);
		if (fd[0] < 0 && fd[1] < 0)
			continue;
		if (fstat(fd[0], &st[0]) < 0 || fstat(fd[1], &st[1]) < 0)
			return fail(w, name, "fstat");
		if (!twin_same_stat(&st[0], &st[1], text, sizeof text))
			return fail(w, name, text);
		if (!S_ISDIR(st[0].st_mode) && !same_identity(w, name, st[0].st_ino, st[1].st_ino))
			return false;
		if (S_ISREG(st[0].st_mode) && !(fcntl(fd[0], F_GETFL) & (O_WRONLY | O_PATH)) && !same_bytes(w, name, fd))
			return false;
	}
	return true;
}

bool twin_compare(const struct twin *t, int a, int b, char *why, size_t cap)
{
	struct walk w = { .why = why, .cap = cap };
	int dir[SIDES] = { a, b };
	bool same;

	for (int i = 0; i < SIDES; i++)
		w.data[i] = malloc(DATA_CAP);
	if (!w.data[0] || !w.data[1])
		err(1, "compare");
	same = same_directory(&w, "", dir) && (!t || same_slots(&w, t));
	for (int i = 0; i < SIDES; i++)
		free(w.data[i]);
	free(w.pair);
	return same;
}

/* ---- one side ---- */

static uint64_t hash_of(int dir, const char *name)
{
	unsigned char buf[8192];
	uint64_t h = 0xcbf29ce484222325u;
	int fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
	ssize_t n;

	while ((n = read(fd, buf, sizeof buf)) > 0)
		for (ssize_t i = 0; i < n; i++)
			h = (h ^ buf[i]) * 0x100000001b3u;
	close(fd);
	return n < 0 ? 0 : h;
}

static void dump_name(int dir, const char *path, const char *name, const struct stat *st)
{
	static unsigned char text[DATA_CAP];
	ssize_t len = 0;

	printf("%s: %o %u %u links %lu dev %lx size %lld mtime %lld.%09ld ctime %lld.%09ld", path, st->st_mode, st->st_uid, st->st_gid,
	       S_ISDIR(st->st_mode) ? 0 : (unsigned long)st->st_nlink, (unsigned long)st->st_rdev,
	       S_ISDIR(st->st_mode) ? 0LL : (long long)st->st_size, (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
	       (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
	len = (ssize_t)attributes(dir, name, text);
	printf("%.*s", (int)len, (char *)text);
	if (S_ISREG(st->st_mode))
		printf(" bytes %016llx", (unsigned long long)hash_of(dir, name));
	if (S_ISLNK(st->st_mode) && (len = readlinkat(dir, name, (char *)text, sizeof text)) >= 0)
		printf(" -> %.*s", (int)len, (char *)text);
	printf("\n");
}

static int each_below(int dir, const char *path, bool dump)
{
	char *list = malloc(DATA_CAP), *below;
	const char *broken = NULL;
	size_t len = 0;
	struct stat st;
	int fd, status = 0;

	if (!list || twin_names(dir, list, DATA_CAP, &len, &broken) < 0)
		err(1, "%s", path);
	for (char *p = list; p < list + len; p += strlen(p) + 1) {
		if (strcmp(p + 1, ".") == 0 || strcmp(p + 1, "..") == 0)
			continue;
		if (fstatat(dir, p + 1, &st, AT_SYMLINK_NOFOLLOW) < 0 || asprintf(&below, "%s/%s", path, p + 1) < 0)
			err(1, "%s", path);
		if (dump)
			dump_name(dir, below, p + 1, &st);
		if (S_ISDIR(st.st_mode) || (!dump && S_ISREG(st.st_mode))) {
			fd = openat(dir, p + 1, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
			if (fd < 0 || (!dump && fsync(fd) < 0))
				err(1, "%s", below);
			if (S_ISDIR(st.st_mode))
				status |= each_below(fd, below, dump);
			close(fd);
		}
		free(below);
	}
	free(list);
	return status | (broken != NULL);
}

int twin_dump(int dir)
{
	return each_below(dir, "", true);
}

int twin_sync(int dir)
{
	return fsync(dir) | each_below(dir, "", false);
}
