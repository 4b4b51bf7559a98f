/* number_map.h -- from a number that is not 0 to another number.  What links a file has of which node or entry, while it is read or written. */
#ifndef KVFS_PERSIST_NUMBER_MAP_H
#define KVFS_PERSIST_NUMBER_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* {0} is a valid empty one. */
struct number_map {
	struct number_pair { uint64_t key, value; } *pair;  /* open addressing; key 0: free */
	size_t count, cap;          /* cap is 0 or a power of two */
};

void number_map_fini(struct number_map *m);
bool number_map_get(const struct number_map *m, uint64_t key, uint64_t *ret);
/* Adds it, or gives it another value.  -ENOMEM. */
int number_map_set(struct number_map *m, uint64_t key, uint64_t value);

#endif
