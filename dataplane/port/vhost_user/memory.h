/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest's memory: the regions of one SET_MEM_TABLE, mapped. */
#ifndef DATAPLANE_PORT_VHOST_USER_MEMORY_H
#define DATAPLANE_PORT_VHOST_USER_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGIONS_MAX 8

struct region {
	uint64_t guest; /* guest physical address of its first byte */
	uint64_t size;
	uint8_t *host;
	uint64_t user; /* the front end's own address of it */
	void *mapping;
	size_t mapped;
	int slot; /* in the table that the SIGBUS handler looks at */
};

/* Immutable while a ring that uses it is published. Made and freed by the guests thread. */
struct guest_memory {
	unsigned n;
	struct region region[REGIONS_MAX];
	/* The SIGBUS handler sets it when a file turns out shorter than it was. Guests thread
	 * reads. */
	_Atomic bool *broken;
};

/* What a front end says about one region (vhost-user, memory region description). */
struct region_request {
	uint64_t guest, size, user, offset;
};

/* Maps regions; the descriptors stay the caller's. *why: a sentence when it fails. NULL: refused.
 */
struct guest_memory *guest_memory_map(const struct region_request *regions, const int *fds,
        unsigned n, _Atomic bool *broken, const char **why);
/* No worker can reach it any more. */
void guest_memory_unmap(struct guest_memory *memory);
/* Installs the handler; once, before the first map. */
int guest_memory_init(void);

/* The host's address of length bytes of guest memory that lie in one region, or NULL. */
static inline uint8_t *guest_address(
        const struct guest_memory *memory, uint64_t address, uint64_t length)
{
	for (unsigned n = 0; n < memory->n; n++) {
		const struct region *region = &memory->region[n];
		uint64_t offset = address - region->guest;

		if (offset < region->size && length <= region->size - offset)
			return region->host + offset;
	}
	return NULL;
}

/* As many of length bytes as lie in address's region; *length says how many. NULL: none. */
static inline uint8_t *guest_piece(
        const struct guest_memory *memory, uint64_t address, uint32_t *length)
{
	for (unsigned n = 0; n < memory->n; n++) {
		const struct region *region = &memory->region[n];
		uint64_t offset = address - region->guest;

		if (offset >= region->size)
			continue;
		if (*length > region->size - offset)
			*length = (uint32_t)(region->size - offset);
		return region->host + offset;
	}
	return NULL;
}

/* The same by the front end's own addresses: where rings are. */
uint8_t *guest_user_address(const struct guest_memory *memory, uint64_t user, uint64_t length);

#endif
