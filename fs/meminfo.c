#include "fs/meminfo.h"
#include "fs/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	GROUPS_MAX = 32,          /* levels that are looked at; deeper ones than that are passed over */
	TEXT_MAX = 8192,          /* of each file; what is looked for stands before */
};

struct group {
	char *dir;                /* owned; with the root before it */
	bool unified;             /* version 2 */
};

struct meminfo_source {
	char *root;
	struct group group[GROUPS_MAX];
	int groups;
};

/* ---- files of the kernel's ---- */

/* The text of a file, terminated; -1: there is none. */
static int read_text(char *text, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, TEXT_MAX - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	return 0;
}

/* A number at TEXT; "max" and what is none are UINT64_MAX. */
static uint64_t number_at(const char *text)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	return errno || end == text ? UINT64_MAX : n;
}

static uint64_t group_number(const struct group *g, const char *file)
{
	char path[PATH_MAX], text[TEXT_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", g->dir, file) >= sizeof(path) || read_text(text, path) < 0)
		return UINT64_MAX;
	return number_at(text);
}

/* The number behind NAME at the start of a line; 0: none. */
static uint64_t field(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		uint64_t n;

		line += *line == '\n';
		if (strncmp(line, name, len) != 0 || (line[len] != ' ' && line[len] != ':'))
			continue;
		n = number_at(line + len + 1);
		return n == UINT64_MAX ? 0 : n;
	}
	return 0;
}

/* ---- finding the groups ---- */

/* The group's path in its hierarchy, from /proc/self/cgroup: "0::/path", or "4:cpu,memory:/path". */
static bool find_path(const char *text, bool unified, char *path, size_t size)
{
	for (const char *line = text; line; line = strchr(line, '\n')) {
		const char *names, *at;
		size_t names_len, len;

		line += *line == '\n';
		names = strchr(line, ':');
		at = names ? strchr(names + 1, ':') : NULL;
		if (!at)
			return false;
		names++;
		names_len = (size_t)(at - names);
		at++;
		len = strcspn(at, "\n");
		if (unified ? names_len != 0 : !memmem(names, names_len, "memory", 6))
			continue;
		if (len == 0 || len >= size || *at != '/' || memmem(at, len, "/..", 3))
			return false;
		memcpy(path, at, len);
		path[len] = '\0';
		return true;
	}
	return false;
}

struct search {
	struct meminfo_source *s;
	const char *cgroup;       /* text of /proc/self/cgroup */
	int err;
};

/* Each level from the group at PATH below POINT up to POINT itself. */
static int add_levels(struct search *x, const char *point, char *path, bool unified)
{
	struct meminfo_source *s = x->s;

	while (s->groups < GROUPS_MAX) {
		struct group *g = &s->group[s->groups];
		char *slash = strrchr(path, '/');

		if (asprintf(&g->dir, "%s%s%s", s->root, point, path) < 0)
			return -ENOMEM;
		g->unified = unified;
		s->groups++;
		if (!slash)
			break;
		*slash = '\0';
	}
	return 0;
}

static int add_hierarchy(void *ctx, const struct mountinfo *m)
{
	bool unified = strcmp(m->type, "cgroup2") == 0;
	struct search *x = ctx;
	char path[PATH_MAX];
	size_t root_len = strlen(m->root);

	if (!unified && (strcmp(m->type, "cgroup") != 0 || !strstr(m->options, "memory")))
		return 0;
	if (!find_path(x->cgroup, unified, path, sizeof(path)))
		return 0;
	/* A container may see its own part alone. */
	if (strcmp(m->root, "/") == 0)
		root_len = 0;
	else if (strncmp(path, m->root, root_len) != 0 || (path[root_len] != '/' && path[root_len] != '\0'))
		return 0;
	memmove(path, path + root_len, strlen(path + root_len) + 1);
	if (strcmp(path, "/") == 0)
		path[0] = '\0';
	x->err = add_levels(x, m->point, path, unified);
	return x->err;
}

int meminfo_open(const char *root, struct meminfo_source **ret)
{
	struct meminfo_source *s = calloc(1, sizeof(*s));
	char path[PATH_MAX], text[TEXT_MAX];
	struct search x = { .s = s, .cgroup = text };

	if (!s || !(s->root = strdup(root))) {
		free(s);
		return -ENOMEM;
	}
	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	if (read_text(text, path) == 0) {
		snprintf(path, sizeof(path), "%s/proc/self/mountinfo", root);
		mountinfo_each_in(path, add_hierarchy, &x);
	}
	if (x.err < 0) {
		meminfo_close(s);
		return x.err;
	}
	*ret = s;
	return 0;
}

void meminfo_close(struct meminfo_source *s)
{
	if (!s)
		return;
	for (int i = 0; i < s->groups; i++)
		free(s->group[i].dir);
	free(s->root);
	free(s);
}

/* ---- reading ---- */

static void take_smaller(struct meminfo *m, uint64_t limit, uint64_t available)
{
	if (m->total == 0 || limit < m->total)
		m->total = limit;
	if (available < m->available)
		m->available = available;
}

/* What a group could drop. */
static uint64_t droppable(const struct group *g)
{
	char path[PATH_MAX], text[TEXT_MAX];
	uint64_t pages, writing;

	if ((size_t)snprintf(path, sizeof(path), "%s/memory.stat", g->dir) >= sizeof(path) || read_text(text, path) < 0)
		return 0;
	if (g->unified) {
		pages = field(text, "inactive_file") + field(text, "active_file") / 2;
		writing = field(text, "file_writeback");
	} else {
		pages = field(text, "total_inactive_file") + field(text, "total_active_file") / 2;
		writing = field(text, "total_writeback");
	}
	return pages > writing / 2 ? pages - writing / 2 : 0;
}

static void read_group(const struct group *g, struct meminfo *m)
{
	uint64_t limit, used, dropped;

	if (g->unified) {
		uint64_t high = group_number(g, "memory.high");

		limit = group_number(g, "memory.max");
		limit = high < limit ? high : limit;
	} else {
		limit = group_number(g, "memory.limit_in_bytes");
	}
	/* Version 1 says "none" by a number that no machine has. */
	if (limit > UINT64_MAX / 4)
		return;
	used = group_number(g, g->unified ? "memory.current" : "memory.usage_in_bytes");
	if (used == UINT64_MAX)
		return;
	dropped = droppable(g);
	used = used > dropped ? used - dropped : 0;
	take_smaller(m, limit, limit > used ? limit - used : 0);
}

void meminfo_read(const struct meminfo_source *s, struct meminfo *ret)
{
	char path[PATH_MAX], text[TEXT_MAX];

	*ret = (struct meminfo){ .available = UINT64_MAX };
	snprintf(path, sizeof(path), "%s/proc/meminfo", s->root);
	if (read_text(text, path) == 0) {
		ret->system = ret->total = field(text, "MemTotal") * 1024;
		ret->available = field(text, "MemAvailable") * 1024;
	}
	for (int i = 0; i < s->groups; i++)
		read_group(&s->group[i], ret);
	if (ret->total == 0)
		ret->available = 0;
}

uint64_t meminfo_resident(void)
{
	char text[TEXT_MAX];
	unsigned long long size, resident;

	if (read_text(text, "/proc/self/statm") < 0 || sscanf(text, "%llu %llu", &size, &resident) != 2)
		return 0;
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}
