/* ctl_check.c -- see ctl_check.h. */
#include "fs/ctl_check.h"
#include "fs/config.h"
#include "fs/ctl.h"

#include "persist/check.h"

#include <stdio.h>
#include <string.h>

static void print_line(void *ctx, const char *line)
{
	(void)ctx;
	puts(line);
}

static void print_verdict(unsigned found, bool fix, const char *path)
{
	if (found == CHECK_CLEAN)
		puts("clean");
	else if (found == CHECK_FIXED)
		puts("fixed");
	else if (found == CHECK_DAMAGED && !fix)
		printf("damage found; nothing was changed (kvfs-ctl check --fix %s repairs what can be repaired)\n", path);
	else if (found & CHECK_DAMAGED)
		puts("damage is left that can't be repaired here");
}

static int check(const char *path, bool fix)
{
	struct check_options o = { .fix = fix, .say = print_line };
	struct error e = { "" };
	struct config c;
	unsigned found;

	if (config_init(&c) < 0)
		return ctl_complain((enum ctl_exit)CHECK_FAILED, "out of memory");
	o.dbfilename = c.persist.dbfilename;
	o.appenddirname = c.persist.appenddirname;
	o.appendfilename = c.persist.appendfilename;
	found = check_path(path, &o, &e);
	print_verdict(found, fix, path);
	config_fini(&c);
	if (fflush(stdout) != 0)
		return ctl_complain((enum ctl_exit)CHECK_FAILED, "standard output: cannot be written");
	if (e.text[0] != '\0')
		return ctl_complain((enum ctl_exit)found, "%s", e.text);
	return (int)found;
}

int ctl_check(const char *const *words, size_t count)
{
	const char *path = NULL;
	bool fix = false;
	size_t i;

	for (i = 1; i < count; i++) {
		if (strcmp(words[i], "--fix") == 0)
			fix = true;
		else if (path == NULL && words[i][0] != '-')
			path = words[i];
		else
			return ctl_complain((enum ctl_exit)CHECK_USAGE, "check takes one file or directory: kvfs-ctl check [--fix] PATH");
	}
	if (path == NULL)
		return ctl_complain((enum ctl_exit)CHECK_USAGE, "check takes one file or directory: kvfs-ctl check [--fix] PATH");
	return check(path, fix);
}
