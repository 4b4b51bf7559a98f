/* ctl_keys.h -- which words of a command are keys, and the key behind a path.
 *
 * A word that begins with "/", "./" or "../" is a path: of a file in the mount, absolute or from the working directory.  Anything else is a
 * key as it stands.  A path's last part is not followed, should it be a symlink. */
#ifndef KVFS_FS_CTL_KEYS_H
#define KVFS_FS_CTL_KEYS_H

#include "fs/ctl_mounts.h"

#include <stdbool.h>

struct ctl_keys {
	const char **words;   /* owned: the command with keys only; each is one of the words given or of OWNED */
	char **owned;         /* NULL where the word given will do */
	size_t count;
	const struct ctl_mount *mount;  /* borrowed: where the paths lie */
};

/* Whether a word that the command takes for a key is a path. */
bool ctl_keys_have_path(const char *const *words, size_t count);
/* WORDS, which have a path, with keys in the place of paths; they and M are borrowed by *RET.  All paths lie in one mount.  0, or a negative
 * errno with E set. */
int ctl_keys_resolve(const char *const *words, size_t count, const struct ctl_mounts *m, struct ctl_keys *ret, struct error *e);
void ctl_keys_fini(struct ctl_keys *k);

#endif
