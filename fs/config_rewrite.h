/* config_rewrite.h -- CONFIG REWRITE: the settings as they are now, written back to the ini file the daemon was started with.
 *
 * The file stays its owner's: comments, order, sections, blanks and the spelling of names are kept.  A value is replaced where it differs
 * from what the file says; a setting that the file has not and that is not the default is put behind the last setting of its section (which
 * is made if missing).  Whatever was given by `-o` is a setting like the others.
 *
 * The new text is read back before it counts: what an ini file cannot express (a blank and ';' in a value) is an error, not damage.
 *
 * No locks; by the control thread, as all of config.h.                                                                              */
#ifndef KVFS_FS_CONFIG_REWRITE_H
#define KVFS_FS_CONFIG_REWRITE_H

#include "fs/config.h"
#include "persist/bytes.h"

/* Appends to RET what TEXT becomes, so that config_read_text() finds in it the settings of C.  BASE: what a relative `dir` in it is
 * relative to.  -EINVAL: TEXT cannot be read, or a value cannot be written; -ENOMEM. */
int config_rewrite_text(const struct config *c, const char *text, size_t len, const char *base, struct bytes *ret, struct error *e);

/* The whole of C as an ini file of its own, for `kvfs -T`; `dir` is absolute.  RET is empty before.  -EINVAL: a value cannot be written;
 * -ENOMEM. */
int config_whole_text(const struct config *c, struct bytes *ret, struct error *e);

/* Replaces C's file by its rewritten text: wholly or not at all, also when the power goes; through symbolic links, with its mode and
 * owner.  A file that has gone is made anew.  C has a file.  A negative errno with E set. */
int config_rewrite_file(const struct config *c, struct error *e);

#endif
