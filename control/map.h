/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects by name: a hash map whose keys live in its values. Control thread. */
#ifndef PODRAIL_MAP_H
#define PODRAIL_MAP_H

#include <stddef.h>

struct map_slot {
	const char *key; /* NULL: free */
	void *value;
	size_t hash;
};

/* Valid when zeroed. */
struct map {
	struct map_slot *slots;
	size_t size; /* a power of two, or 0 */
	size_t used;
};

/* The value of key, or NULL. */
void *map_get(const struct map *map, const char *key);

/* Adds value; its key must not be there yet and must live as long as the entry does. Returns 0 or
 * -ENOMEM. */
int map_put(struct map *map, const char *key, void *value);

/* Takes the value of key out and returns it, or NULL. */
void *map_remove(struct map *map, const char *key);

/* All values, ordered by key (bytes), in an array that the caller frees; NULL when empty or
 * without memory. Entries may be removed while walking through it. */
void **map_sorted(const struct map *map, size_t *n);

/* Calls destroy for every value and empties the map. */
void map_clear(struct map *map, void (*destroy)(void *value));

#endif
