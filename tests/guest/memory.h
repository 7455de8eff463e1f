/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of a guest: up to eight regions of memfds, between pages that may not be touched. */
#ifndef GUEST_MEMORY_H
#define GUEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGIONS_MAX 8
#define MEMORY_FILL 0xa5 /* what no one has allocated holds, and must still hold at the end */

struct region {
	uint64_t gpa; /* guest physical address: nothing like the user address */
	uint64_t size;
	uint8_t *host; /* its user address in messages as well */
	int fd;
	uint64_t offset;  /* into the file */
	size_t low, high; /* not allocated: [low, high) */
};

struct memory_options {
	uint64_t size; /* bytes in all */
	unsigned regions;
	bool gaps;     /* between the regions, both in guest physical and in user addresses */
	bool one_file; /* all regions are parts of one file, in reverse order */
};

struct extent {
	uint8_t *at;
	size_t size;
};

struct memory {
	struct region regions[REGIONS_MAX];
	unsigned n;
	bool gaps;
	uint8_t *reserved;
	size_t reserved_size;
	unsigned next;      /* the region that memory_take looks at first */
	unsigned straddles; /* taken so far: one at each border */
	struct extent *extents;
	unsigned n_extents;
};

/* Returns 0 or a negative errno. */
int memory_create(struct memory *memory, const struct memory_options *options);
/* Harmless on a zeroed one. */
void memory_destroy(struct memory *memory);

/* size bytes that lie in one region, aligned, each time of the next one. NULL: full. */
void *memory_take(struct memory *memory, size_t size, size_t align);
/* size bytes with their middle on a border between two regions; NULL when no border is left. */
void *memory_take_straddling(struct memory *memory, size_t size);
uint64_t memory_gpa(const struct memory *memory, const void *host);
/* Bytes changed that nobody had allocated. */
uint64_t memory_strays(const struct memory *memory);

#endif
