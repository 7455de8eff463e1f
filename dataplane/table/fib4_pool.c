/* SPDX-License-Identifier: BSD-3-Clause */
#include "fib4_private.h"

#include <errno.h>
#include <string.h>

static_assert(sizeof(struct fib4_slot) == 16, "four slots a cache line");
static_assert(sizeof(struct fib4_present) == TABLE_CACHE_LINE, "one line a node");

static uint32_t store_home(const struct fib4_pool *pool, uint16_t fib, uint32_t addr, uint8_t len)
{
	uint64_t key = addr | (uint64_t)fib << 32 | (uint64_t)len << 48;

	/* Prefixes differ mostly in few, high bits of the address: mix before the multiplication
	 * whose top bits are the index. */
	key *= 0xff51afd7ed558ccdull;
	key ^= key >> 32;
	key *= 0x9e3779b97f4a7c15ull;
	return (uint32_t)(key >> pool->slot_shift);
}

struct fib4_slot *fib4_store_find(
        const struct fib4_pool *pool, uint16_t fib, uint32_t addr, uint8_t len)
{
	uint32_t i = store_home(pool, fib, addr, len);

	for (;; i = (i + 1) & pool->slot_mask) {
		struct fib4_slot *slot = &pool->slots[i];

		if (!slot->nexthop)
			return NULL;
		if (slot->addr == addr && slot->fib == fib && slot->len == len)
			return slot;
	}
}

struct fib4_slot *fib4_store_insert(
        struct fib4_pool *pool, uint16_t fib, uint32_t addr, uint8_t len)
{
	uint32_t i = store_home(pool, fib, addr, len);

	while (pool->slots[i].nexthop)
		i = (i + 1) & pool->slot_mask;
	pool->routes++;
	pool->slots[i] = (struct fib4_slot){.addr = addr, .fib = fib, .len = len};
	return &pool->slots[i];
}

void fib4_store_remove(struct fib4_pool *pool, struct fib4_slot *slot)
{
	uint32_t mask = pool->slot_mask;
	uint32_t hole = (uint32_t)(slot - pool->slots);

	/* Close the gap: move back each follower whose home is not behind the hole. */
	for (uint32_t i = (hole + 1) & mask; pool->slots[i].nexthop; i = (i + 1) & mask) {
		struct fib4_slot *next = &pool->slots[i];
		uint32_t home = store_home(pool, next->fib, next->addr, next->len);

		if (((i - home) & mask) >= ((i - hole) & mask)) {
			pool->slots[hole] = *next;
			hole = i;
		}
	}
	pool->slots[hole].nexthop = 0;
	pool->routes--;
}

uint32_t fib4_node_take(struct fib4_pool *pool, uint32_t fill)
{
	uint32_t node = pool->free[--pool->free_count];
	uint32_t *entries = fib4_node_entries(pool, node);

	for (unsigned i = 0; i < FIB4_NODE_ENTRIES; i++)
		__atomic_store_n(&entries[i], fill, __ATOMIC_RELAXED);
	memset(&pool->present[node], 0, sizeof(pool->present[node]));
	pool->used[node] = 0;
	return node;
}

static void node_free(void *owner, uint32_t node)
{
	struct fib4_pool *pool = owner;

	pool->retired--;
	pool->free[pool->free_count++] = node;
}

void fib4_node_retire(struct fib4_pool *pool, uint32_t node)
{
	pool->retired++;
	if (pool->retire)
		pool->retire(pool->retire_ctx, node_free, pool, node);
	else
		node_free(pool, node);
}

static int pool_alloc(struct fib4_pool *pool, uint32_t slots)
{
	size_t n = pool->max_nodes;

	pool->nodes = table_alloc(pool->memory, n * FIB4_NODE_ENTRIES * sizeof(uint32_t));
	pool->present = table_alloc(pool->memory, n * sizeof(*pool->present));
	pool->used = table_alloc(pool->memory, n * sizeof(*pool->used));
	pool->free = table_alloc(pool->memory, n * sizeof(*pool->free));
	pool->slots = table_alloc(pool->memory, slots * sizeof(*pool->slots));
	if (!pool->nodes || !pool->present || !pool->used || !pool->free || !pool->slots)
		return -ENOMEM;
	memset(pool->slots, 0, slots * sizeof(*pool->slots));
	return 0;
}

struct fib4_pool *fib4_pool_create(const struct table_memory *memory, uint32_t max_nodes,
        uint32_t max_routes, table_retire_fn retire, void *retire_ctx)
{
	struct fib4_pool *pool;
	uint32_t slots;

	if (!max_nodes || !max_routes || max_nodes > 1u << 24 || max_routes > 1u << 28) {
		errno = EINVAL;
		return NULL;
	}
	pool = table_alloc(memory, sizeof(*pool));
	if (!pool) {
		errno = ENOMEM;
		return NULL;
	}
	/* Below 3/4 full at most, so that probing stays short and always ends. */
	slots = table_pow2(max_routes + max_routes / 3 + 2);
	*pool = (struct fib4_pool){
	        .memory = memory,
	        .retire = retire,
	        .retire_ctx = retire_ctx,
	        .max_nodes = max_nodes,
	        .max_routes = max_routes,
	        .slot_mask = slots - 1,
	        .slot_shift = 64 - (uint32_t)__builtin_ctz(slots),
	};
	if (pool_alloc(pool, slots)) {
		fib4_pool_destroy(pool);
		errno = ENOMEM;
		return NULL;
	}
	/* The lowest index on top of the stack. */
	for (uint32_t i = 0; i < max_nodes; i++)
		pool->free[i] = max_nodes - 1 - i;
	pool->free_count = max_nodes;
	return pool;
}

void fib4_pool_destroy(struct fib4_pool *pool)
{
	if (!pool)
		return;
	table_release(pool->memory, pool->nodes);
	table_release(pool->memory, pool->present);
	table_release(pool->memory, pool->used);
	table_release(pool->memory, pool->free);
	table_release(pool->memory, pool->slots);
	table_release(pool->memory, pool);
}

void fib4_pool_stats(const struct fib4_pool *pool, struct fib4_pool_stats *stats)
{
	*stats = (struct fib4_pool_stats){
	        .nodes_max = pool->max_nodes,
	        .nodes_free = pool->free_count,
	        .nodes_retired = pool->retired,
	        .routes_max = pool->max_routes,
	        .routes = pool->routes,
	};
}
