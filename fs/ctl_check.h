/* ctl_check.h -- kvfs-ctl check [--fix] PATH: what of the files there counts, what is damaged where, and what can be made of it. */
#ifndef KVFS_FS_CTL_CHECK_H
#define KVFS_FS_CTL_CHECK_H

#include <stddef.h>

/* WORDS: from "check" on.  Prints what it finds; returns the exit status: fsck's, a sum of enum check_found. */
int ctl_check(const char *const *words, size_t count);

#endif
