/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DATAPLANE_TABLE_NEIGHBOUR_PRIVATE_H
#define DATAPLANE_TABLE_NEIGHBOUR_PRIVATE_H

#include "neighbour.h"

#define NO_TIMER UINT32_MAX

struct neighbour_held {
	void *packet;
	struct neighbour_held *next;
	uint16_t from;
	uint16_t buffers; /* at least 1: so there are never more of these than held_max */
};

struct neighbour_table {
	const struct table_memory *memory;
	struct neighbour_config config;
	const struct neighbour_ops *ops;
	void *ctx;
	struct neighbour *entries;
	struct neighbour *free;
	struct neighbour **hash;
	uint32_t hash_mask;
	struct neighbour **heap; /* binary heap by due */
	uint32_t heap_count;
	struct neighbour *failed_oldest, *failed_newest;
	struct neighbour_held *held_blocks;
	struct neighbour_held *held_free;
	uint32_t *held_by_port; /* buffers */
	uint32_t held_buffers;
	struct neighbour_stats stats;
};

/* Sets or changes the entry's timer; NEIGHBOUR_NEVER stops it. */
void neighbour_timer_set(struct neighbour_table *table, struct neighbour *entry, uint64_t due);

/* Gives all held packets back, in order. */
void neighbour_held_release(struct neighbour_table *table, struct neighbour *entry);
void neighbour_held_drop(
        struct neighbour_table *table, struct neighbour *entry, enum neighbour_drop reason);
/* Drops those that came from this port. */
void neighbour_held_drop_from(
        struct neighbour_table *table, struct neighbour *entry, uint16_t from);

#endif
