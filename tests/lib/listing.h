/* listing.h -- one line a node, the same whether it was seen through a mount or in a keyspace:
 *
 *      <type d|f|l, s: FIFO, socket, device> <mode octal> <uid> <gid> <size, of files> <mtime ns> <hash of content or target> <path>
 *
 * The lines are for comparing, sorted; bytes of a path that are not printable are written \xHH.                        */
#ifndef KVFS_TESTS_LISTING_H
#define KVFS_TESTS_LISTING_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct listing_node {
	uint32_t mode;            /* with the type */
	uint32_t uid, gid;
	uint64_t size;
	int64_t mtime_ns;
	uint64_t hash;            /* listing_hash() of the content, LISTING_HASH_START for a directory */
	const char *path;
	size_t path_len;
};

#define LISTING_HASH_START 0xcbf29ce484222325u

/* FNV-1a, continued from HASH. */
uint64_t listing_hash(uint64_t hash, const void *data, size_t len);
void listing_print(FILE *to, const struct listing_node *n);

#endif
