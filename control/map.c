/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/map.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAP_SIZE_MIN 64

/* FNV-1a: keys come from administrators, not from guests. */
static size_t map_hash(const char *key)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *key; key++)
		hash = (hash ^ (uint8_t)*key) * 0x100000001b3;
	return (size_t)(hash ^ hash >> 29);
}

/* The slot that holds key, or the free one where it belongs. */
static size_t map_slot_of(const struct map *map, const char *key, size_t hash)
{
	size_t i = hash & (map->size - 1);

	while (map->slots[i].key && (map->slots[i].hash != hash || strcmp(map->slots[i].key, key)))
		i = (i + 1) & (map->size - 1);
	return i;
}

static int map_grow(struct map *map)
{
	struct map larger = {.size = map->size ? 2 * map->size : MAP_SIZE_MIN, .used = map->used};

	larger.slots = calloc(larger.size, sizeof(*larger.slots));
	if (!larger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < map->size; i++) {
		const struct map_slot *slot = &map->slots[i];

		if (slot->key)
			larger.slots[map_slot_of(&larger, slot->key, slot->hash)] = *slot;
	}
	free(map->slots);
	*map = larger;
	return 0;
}

void *map_get(const struct map *map, const char *key)
{
	return map->size ? map->slots[map_slot_of(map, key, map_hash(key))].value : NULL;
}

int map_put(struct map *map, const char *key, void *value)
{
	size_t hash = map_hash(key);

	if (4 * (map->used + 1) > 3 * map->size && map_grow(map))
		return -ENOMEM;
	map->slots[map_slot_of(map, key, hash)] =
	        (struct map_slot){.key = key, .value = value, .hash = hash};
	map->used++;
	return 0;
}

void *map_remove(struct map *map, const char *key)
{
	size_t mask = map->size - 1, hole;
	void *value;

	if (!map->size)
		return NULL;
	hole = map_slot_of(map, key, map_hash(key));
	value = map->slots[hole].value;
	if (!value)
		return NULL;
	/* Entries behind the hole move up unless that would put them before their home. */
	for (size_t i = (hole + 1) & mask; map->slots[i].key; i = (i + 1) & mask) {
		if (((i - map->slots[i].hash) & mask) < ((i - hole) & mask))
			continue;
		map->slots[hole] = map->slots[i];
		hole = i;
	}
	map->slots[hole] = (struct map_slot){0};
	map->used--;
	return value;
}

static int map_compare(const void *a, const void *b)
{
	return strcmp(((const struct map_slot *)a)->key, ((const struct map_slot *)b)->key);
}

void **map_sorted(const struct map *map, size_t *n)
{
	struct map_slot *slots = calloc(map->used + 1, sizeof(*slots));
	void **values = calloc(map->used + 1, sizeof(*values));
	size_t count = 0;

	*n = 0;
	if (!slots || !values || !map->used) {
		free(slots);
		free(values);
		return NULL;
	}
	for (size_t i = 0; i < map->size; i++) {
		if (map->slots[i].key)
			slots[count++] = map->slots[i];
	}
	qsort(slots, count, sizeof(*slots), map_compare);
	for (size_t i = 0; i < count; i++)
		values[i] = slots[i].value;
	free(slots);
	*n = count;
	return values;
}

void map_clear(struct map *map, void (*destroy)(void *value))
{
	for (size_t i = 0; i < map->size; i++) {
		if (map->slots[i].key)
			destroy(map->slots[i].value);
	}
	free(map->slots);
	*map = (struct map){0};
}
