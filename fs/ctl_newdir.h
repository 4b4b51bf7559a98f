/* ctl_newdir.h -- a directory that appears whole or not at all: it is filled under another name beside its place, and renamed into it when
 * everything in it is on disk.  Its place must be free, or an empty directory. */
#ifndef KVFS_FS_CTL_NEWDIR_H
#define KVFS_FS_CTL_NEWDIR_H

#include "persist/error.h"

struct ctl_newdir {
	char *path;            /* owned; where it will be */
	char *parent, *name;   /* owned; the two parts of it */
	char *temp;            /* owned; its name until then */
	int parent_fd;
	int fd;                /* of the directory itself, mode 0700 */
};

/* Each returns 0, or a negative errno with E set, in which PATH stands. */

int ctl_newdir_begin(const char *path, struct ctl_newdir *d, struct error *e);
/* Syncs the directory (its files were), and puts it in its place, durably. */
int ctl_newdir_commit(struct ctl_newdir *d, struct error *e);
/* Frees; what was not put in its place goes. */
void ctl_newdir_end(struct ctl_newdir *d);

#endif
