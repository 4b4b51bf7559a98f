/* places.c -- whether the files are where the next start will look for them.  Somebody may rename or remove a directory: what is open goes on
 * without an error, but nobody would find it again. */
#include "persist/engine.h"

#include <errno.h>
#include <sys/stat.h>

bool places_dir_is_there(const struct persist *p)
{
	struct stat st, by_name;

	if (stat(p->config.dir, &by_name) < 0)
		return errno != ENOENT && errno != ENOTDIR;
	return fstat(p->dir_fd, &st) < 0 || (st.st_dev == by_name.st_dev && st.st_ino == by_name.st_ino);
}

bool places_log_is_there(const struct persist *p)
{
	return places_dir_is_there(p) && aof_is_there(&p->log, p->dir_fd, p->config.appenddirname);
}

int places_reopen_log(struct persist *p)
{
	if (!places_dir_is_there(p))
		return -ENOENT;
	aof_close(&p->log);
	return switch_open_dir(p);
}
