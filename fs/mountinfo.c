#include "fs/mountinfo.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_octal(const char *p)
{
	return p[0] >= '0' && p[0] <= '3' && p[1] >= '0' && p[1] <= '7' && p[2] >= '0' && p[2] <= '7';
}

/* The kernel writes blanks and backslashes as \ooo. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && is_octal(s + 1)) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG]... - TYPE SOURCE SUPER_OPTIONS" */
static bool parse(char *line, struct mountinfo *m)
{
	enum { DEVICE = 2, ROOT = 3, POINT = 4 };
	char *field, *save = NULL, *rest;
	int index = 0;

	rest = strstr(line, " - ");
	if (!rest)
		return false;
	*rest = '\0';
	m->point = m->root = NULL;
	m->major = m->minor = 0;
	for (field = strtok_r(line, " ", &save); field; field = strtok_r(NULL, " ", &save), index++) {
		if (index == DEVICE) {
			char *end;

			m->major = (unsigned)strtoul(field, &end, 10);
			if (*end != ':')
				return false;
			m->minor = (unsigned)strtoul(end + 1, NULL, 10);
		} else if (index == ROOT) {
			unescape(field);
			m->root = field;
		} else if (index == POINT) {
			unescape(field);
			m->point = field;
		}
	}
	m->type = strtok_r(rest + 3, " ", &save);
	field = strtok_r(NULL, " ", &save);
	m->options = strtok_r(NULL, " ", &save);
	if (!m->point || !m->type || !field)
		return false;
	unescape(field);
	m->source = field;
	if (!m->options)
		m->options = "";
	return true;
}

int mountinfo_each(mountinfo_fn *each, void *ctx)
{
	return mountinfo_each_in("/proc/self/mountinfo", each, ctx);
}

int mountinfo_each_in(const char *file, mountinfo_fn *each, void *ctx)
{
	struct mountinfo m;
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;
	int res = 0;
	FILE *f;

	f = fopen(file, "re");
	if (!f)
		return -errno;
	while (res == 0 && (len = getline(&line, &cap, f)) > 0) {
		line[len - (line[len - 1] == '\n')] = '\0';
		if (parse(line, &m))
			res = each(ctx, &m);
	}
	free(line);
	fclose(f);
	return res;
}
