/* SPDX-License-Identifier: BSD-3-Clause */
/* How tables get memory at start and give pieces of it back later. */
#ifndef DATAPLANE_TABLE_MEMORY_H
#define DATAPLANE_TABLE_MEMORY_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define TABLE_CACHE_LINE 64

/* Used by _create and _destroy only. alloc returns 64-byte aligned memory (its content does not
 * matter) or NULL; release takes it back. A NULL struct table_memory means the C library. */
struct table_memory {
	void *(*alloc)(size_t size);
	void (*release)(void *block);
};

/* Gives back one element of a table that readers may still hold. */
typedef void (*table_free_fn)(void *owner, uint32_t index);

/* Called by the writer for an element that is no longer reachable. The implementation calls
 * free_fn(owner, index) on the writer's thread once every reader has passed a quiescent state.
 * It can not fail: at most as many elements as the owner has can be waiting at a time. */
typedef void (*table_retire_fn)(void *ctx, table_free_fn free_fn, void *owner, uint32_t index);

static inline void *table_alloc(const struct table_memory *memory, size_t size)
{
	size = (size + TABLE_CACHE_LINE - 1) & ~(size_t)(TABLE_CACHE_LINE - 1);
	return memory ? memory->alloc(size) : aligned_alloc(TABLE_CACHE_LINE, size);
}

static inline void table_release(const struct table_memory *memory, void *block)
{
	if (!block)
		return;
	if (memory)
		memory->release(block);
	else
		free(block);
}

/* The smallest power of two that is not below n; n at least 1, at most 2^31. */
static inline uint32_t table_pow2(uint32_t n)
{
	return n <= 1 ? 1 : 1u << (32 - __builtin_clz(n - 1));
}

#endif
