/* ctl_keys.c -- see ctl_keys.h. */
#include "fs/ctl_keys.h"
#include "store/keyname.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The commands that take keys: words 1 up to LAST. */
static const struct key_command {
	const char *name;
	size_t last;
} key_commands[] = {
	{ "expire", 1 }, { "pexpire", 1 }, { "expireat", 1 }, { "pexpireat", 1 }, { "persist", 1 },
	{ "ttl", 1 }, { "pttl", 1 }, { "expiretime", 1 }, { "pexpiretime", 1 }, { "type", 1 }, { "get", 1 }, { "strlen", 1 },
	{ "exists", SIZE_MAX }, { "del", SIZE_MAX }, { "unlink", SIZE_MAX },
};

static size_t last_key(const char *name)
{
	for (size_t i = 0; i < sizeof(key_commands) / sizeof(key_commands[0]); i++) {
		if (strcasecmp(name, key_commands[i].name) == 0)
			return key_commands[i].last;
	}
	return 0;
}

static bool is_path(const char *word)
{
	return word[0] == '/' || strncmp(word, "./", 2) == 0 || strncmp(word, "../", 3) == 0;
}

bool ctl_keys_have_path(const char *const *words, size_t count)
{
	size_t last = last_key(words[0]);

	for (size_t i = 1; i < count && i <= last; i++) {
		if (is_path(words[i]))
			return true;
	}
	return false;
}

/* The absolute form of PATH without symlinks, but for the last part, which need not be there.  NULL: errno. */
static char *resolve(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash + 1;
	char *dir = NULL, *real = NULL, *ret = NULL;

	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return realpath(path, NULL);
	dir = slash > path ? strndup(path, (size_t)(slash - path)) : strdup("/");
	if (dir != NULL)
		real = realpath(dir, NULL);
	if (real != NULL && asprintf(&ret, "%s/%s", strcmp(real, "/") == 0 ? "" : real, name) < 0)
		ret = NULL;
	free(real);
	free(dir);
	return ret;
}

/* What of PATH is behind the mount point; NULL: it lies elsewhere. */
static const char *rest_in(const struct ctl_mount *m, const char *path)
{
	size_t len = strcmp(m->mountpoint, "/") == 0 ? 0 : strlen(m->mountpoint);

	if (strncmp(path, m->mountpoint, len) != 0 || (path[len] != '/' && path[len] != '\0'))
		return NULL;
	return path[len] == '/' ? path + len + 1 : path + len;
}

/* The mount whose mount point is the longest way to PATH; of several there the last one hides the others. */
static const struct ctl_mount *mount_of(const struct ctl_mounts *m, const char *path)
{
	const struct ctl_mount *best = NULL;

	for (size_t i = 0; i < m->count; i++) {
		const struct ctl_mount *one = &m->mount[i];

		if (rest_in(one, path) != NULL && (best == NULL || strlen(one->mountpoint) >= strlen(best->mountpoint)))
			best = one;
	}
	return best;
}

/* *KEY is a path in the keyspace and becomes its key, in place. */
static int key_in_keyspace(const char *path, char **key, struct error *e)
{
	size_t len = strlen(*key), key_len;
	enum keyname_kind kind;
	char *found;
	int err;

	if (len == 0 || keyname_is_path(*key, len))
		return 0;
	found = malloc(len + 1);
	if (found == NULL)
		return error_set(e, -ENOMEM, "out of memory");
	err = keyname_to_key(*key, len, found, &key_len, &kind);
	if (err < 0)
		error_set(e, err, "%s: is no key's path", path);
	else if (memchr(found, 0, key_len))
		err = error_set(e, -EINVAL, "%s: its key holds a NUL byte, which no argument can", path);
	if (err < 0) {
		free(found);
		return err;
	}
	found[key_len] = '\0';
	free(*key);
	*key = found;
	return 0;
}

static int key_of_path(const char *path, const struct ctl_mounts *m, struct ctl_keys *k, char **ret, struct error *e)
{
	char *real = resolve(path);
	const struct ctl_mount *mount;
	const char *root;
	int err = 0;

	if (real == NULL) {
		err = -errno;
		return error_set(e, err, "%s: %s", path, strerrordesc_np(-err));
	}
	mount = mount_of(m, real);
	if (mount == NULL) {
		err = error_set(e, -EXDEV, "%s: is in no kvfs (a key is given without a \"/\" before it)", path);
	} else if (k->mount != NULL && strcmp(k->mount->dir, mount->dir) != 0) {
		err = error_set(e, -EXDEV, "%s: is in another keyspace than the path before it", path);
	} else {
		/* A bind mount shows a part of the keyspace. */
		root = mount->root + 1;
		if (asprintf(ret, "%s%s%s", root, *root != '\0' ? "/" : "", rest_in(mount, real)) < 0)
			err = error_set(e, -ENOMEM, "out of memory");
		else
			err = key_in_keyspace(path, ret, e);
		k->mount = mount;
	}
	free(real);
	return err;
}

int ctl_keys_resolve(const char *const *words, size_t count, const struct ctl_mounts *m, struct ctl_keys *ret, struct error *e)
{
	struct ctl_keys k = { .count = count };
	size_t last = last_key(words[0]);
	int err = 0;

	k.words = calloc(count, sizeof(*k.words));
	k.owned = calloc(count, sizeof(*k.owned));
	if (k.words == NULL || k.owned == NULL) {
		ctl_keys_fini(&k);
		return error_set(e, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < count && err == 0; i++) {
		if (i > 0 && i <= last && is_path(words[i]))
			err = key_of_path(words[i], m, &k, &k.owned[i], e);
		k.words[i] = k.owned[i] != NULL ? k.owned[i] : words[i];
	}
	if (err < 0)
		ctl_keys_fini(&k);
	else
		*ret = k;
	return err;
}

void ctl_keys_fini(struct ctl_keys *k)
{
	for (size_t i = 0; k->owned != NULL && i < k->count; i++)
		free(k->owned[i]);
	free(k->owned);
	free(k->words);
	*k = (struct ctl_keys){ 0 };
}
