/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE         4096ULL
#define GPA_BASE     0x740000000ULL
#define GPA_GAP      0x10000000ULL
#define STRADDLE_MAX (80 << 10) /* of each region's ends: kept for buffers across a border */

static int open_files(struct memory *memory, const struct memory_options *options)
{
	int shared = -1;

	for (unsigned i = 0; i < memory->n; i++) {
		struct region *region = &memory->regions[i];

		if (!options->one_file || shared < 0) {
			region->fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
			shared = region->fd;
		} else {
			region->fd = dup(shared);
		}
		if (region->fd < 0)
			return -errno;
		region->offset = options->one_file ? (memory->n - 1 - i) * region->size : 0;
	}
	for (unsigned i = 0; i < memory->n; i++)
		if (ftruncate(memory->regions[i].fd,
		            (off_t)(memory->regions[i].size * (options->one_file ? memory->n : 1))))
			return -errno;
	return 0;
}

static int map_regions(struct memory *memory)
{
	uint64_t gap = memory->gaps ? PAGE : 0, at = PAGE, gpa = GPA_BASE;

	memory->reserved_size = 2 * PAGE + memory->n * (memory->regions[0].size + gap);
	memory->reserved =
	        mmap(NULL, memory->reserved_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory->reserved == MAP_FAILED) {
		memory->reserved = NULL;
		return -errno;
	}
	for (unsigned i = 0; i < memory->n; i++) {
		struct region *region = &memory->regions[i];

		region->host = memory->reserved + at;
		region->gpa = gpa;
		if (mmap(region->host, region->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		            region->fd, (off_t)region->offset) == MAP_FAILED)
			return -errno;
		memset(region->host, MEMORY_FILL, region->size);
		at += region->size + gap;
		gpa += region->size + (memory->gaps ? GPA_GAP : 0);
	}
	return 0;
}

int memory_create(struct memory *memory, const struct memory_options *options)
{
	uint64_t each = options->size / options->regions / PAGE * PAGE;
	int rc;

	memset(memory, 0, sizeof(*memory));
	memory->n = options->regions;
	memory->gaps = options->gaps;
	for (unsigned i = 0; i < memory->n; i++) {
		bool before = i > 0 && !memory->gaps, behind = i + 1 < memory->n && !memory->gaps;

		memory->regions[i].fd = -1;
		memory->regions[i].size = each;
		memory->regions[i].low = before ? STRADDLE_MAX : 0;
		memory->regions[i].high = each - (behind ? STRADDLE_MAX : 0);
		if (memory->regions[i].low >= memory->regions[i].high) {
			memory->n = 0;
			return -EINVAL;
		}
	}
	rc = open_files(memory, options);
	if (!rc)
		rc = map_regions(memory);
	if (rc)
		memory_destroy(memory);
	return rc;
}

void memory_destroy(struct memory *memory)
{
	if (memory->reserved)
		munmap(memory->reserved, memory->reserved_size);
	for (unsigned i = 0; i < memory->n; i++)
		if (memory->regions[i].fd >= 0)
			close(memory->regions[i].fd);
	free(memory->extents);
	memset(memory, 0, sizeof(*memory));
}

static void *note(struct memory *memory, uint8_t *at, size_t size)
{
	struct extent *more = realloc(memory->extents, (memory->n_extents + 1) * sizeof(*more));

	if (!more)
		return NULL;
	memory->extents = more;
	more[memory->n_extents++] = (struct extent){at, size};
	return at;
}

void *memory_take(struct memory *memory, size_t size, size_t align)
{
	for (unsigned i = 0; i < memory->n; i++) {
		struct region *region = &memory->regions[(memory->next + i) % memory->n];
		size_t at = (region->low + align - 1) / align * align;

		if (at + size > region->high)
			continue;
		region->low = at + size;
		memory->next = (memory->next + i + 1) % memory->n;
		return note(memory, region->host + at, size);
	}
	return NULL;
}

void *memory_take_straddling(struct memory *memory, size_t size)
{
	struct region *behind;

	if (memory->gaps || memory->straddles + 1 >= memory->n || size > 2 * STRADDLE_MAX)
		return NULL;
	behind = &memory->regions[++memory->straddles];
	return note(memory, behind->host - size / 2, size);
}

uint64_t memory_gpa(const struct memory *memory, const void *host)
{
	for (unsigned i = 0; i < memory->n; i++) {
		const struct region *region = &memory->regions[i];
		uint64_t at = (uint64_t)((const uint8_t *)host - region->host);

		if (at < region->size)
			return region->gpa + at;
	}
	return 0;
}

static int compare_extents(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static uint64_t strays_between(const uint8_t *from, const uint8_t *to)
{
	static const uint8_t fill[PAGE] = {[0 ... PAGE - 1] = MEMORY_FILL};
	uint64_t strays = 0;

	while (from < to) {
		size_t n = (size_t)(to - from) < PAGE ? (size_t)(to - from) : PAGE;

		if (memcmp(from, fill, n))
			for (size_t i = 0; i < n; i++)
				strays += from[i] != MEMORY_FILL;
		from += n;
	}
	return strays;
}

uint64_t memory_strays(const struct memory *memory)
{
	uint64_t strays = 0;

	qsort(memory->extents, memory->n_extents, sizeof(*memory->extents), compare_extents);
	for (unsigned i = 0; i < memory->n; i++) {
		const struct region *region = &memory->regions[i];
		const uint8_t *at = region->host, *end = region->host + region->size;

		for (unsigned k = 0; k < memory->n_extents; k++) {
			const struct extent *extent = &memory->extents[k];

			if (extent->at + extent->size <= at || extent->at >= end)
				continue;
			if (extent->at > at)
				strays += strays_between(at, extent->at);
			at = extent->at + extent->size;
		}
		if (at < end)
			strays += strays_between(at, end);
	}
	return strays;
}
