/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by fib4.c and fib4_pool.c; everything here belongs to the tables thread.
 *
 * Which prefixes exist is a bitmap per node, numbered like a heap: the prefix of `rel` bits below
 * the node's own, with value v, has bit (1 << rel) | v. So the covering prefix and the order of
 * listing cost a few bit tests, and the hash is asked only for what exists.
 */
#ifndef DATAPLANE_TABLE_FIB4_PRIVATE_H
#define DATAPLANE_TABLE_FIB4_PRIVATE_H

#include "fib4.h"

struct fib4_slot {
	uint32_t addr;
	uint32_t nexthop; /* 0: the slot is empty */
	uint16_t fib;
	uint16_t owner;
	uint8_t len;
	uint8_t mark;
};

struct fib4_present {
	uint64_t word[2 * FIB4_NODE_ENTRIES / 64];
};

struct fib4_pool {
	const struct table_memory *memory;
	table_retire_fn retire;
	void *retire_ctx;
	uint32_t *nodes;              /* FIB4_NODE_ENTRIES each; the only part that workers read */
	struct fib4_present *present; /* by node */
	uint16_t *used;               /* by node: prefixes and children that need it */
	uint32_t *free;               /* stack of free nodes */
	uint32_t free_count;
	uint32_t retired;
	uint32_t max_nodes;
	struct fib4_slot *slots; /* linear probing, no tombstones */
	uint32_t slot_mask;
	uint32_t slot_shift;
	uint32_t routes;
	uint32_t max_routes;
};

struct fib4_slot *fib4_store_find(
        const struct fib4_pool *pool, uint16_t fib, uint32_t addr, uint8_t len);
/* The prefix must not be there and pool->routes must be below max_routes. */
struct fib4_slot *fib4_store_insert(
        struct fib4_pool *pool, uint16_t fib, uint32_t addr, uint8_t len);
void fib4_store_remove(struct fib4_pool *pool, struct fib4_slot *slot);

/* A node with every entry set to fill; pool->free_count must not be 0. */
uint32_t fib4_node_take(struct fib4_pool *pool, uint32_t fill);
void fib4_node_retire(struct fib4_pool *pool, uint32_t node);

static inline uint32_t *fib4_node_entries(const struct fib4_pool *pool, uint32_t node)
{
	return pool->nodes + (size_t)node * FIB4_NODE_ENTRIES;
}

#define FIB4_DEPTH_SHIFT 24
#define FIB4_NO_NODE     UINT32_MAX

/* One step of the trie: the root (node FIB4_NO_NODE) or a node. */
struct fib4_level {
	uint32_t node;
	uint32_t *entries;
	uint64_t *present;
};

static inline unsigned fib4_level_of(uint8_t len)
{
	return len <= 16 ? 0 : len <= 24 ? 1 : 2;
}

static inline unsigned fib4_level_base(unsigned level)
{
	return level ? 8 + 8 * level : 0;
}

static inline unsigned fib4_level_bits(unsigned level)
{
	return level ? 8 : 16;
}

static inline uint32_t fib4_level_slot(unsigned level, uint32_t addr)
{
	return level ? (addr >> (16 - 8 * level)) & 0xff : addr >> 16;
}

static inline uint32_t fib4_entry_read(const uint32_t *entry)
{
	return __atomic_load_n(entry, __ATOMIC_RELAXED);
}

static inline struct fib4_level fib4_level_root(const struct fib4 *fib)
{
	struct fib4 *own = (struct fib4 *)(uintptr_t)fib;

	return (struct fib4_level){
	        .node = FIB4_NO_NODE, .entries = own->root, .present = own->present};
}

static inline struct fib4_level fib4_level_node(const struct fib4 *fib, uint32_t node)
{
	return (struct fib4_level){
	        .node = node,
	        .entries = fib4_node_entries(fib->pool, node),
	        .present = fib->pool->present[node].word,
	};
}

static inline bool fib4_bit_test(const uint64_t *words, uint32_t bit)
{
	return words[bit / 64] >> (bit % 64) & 1;
}

static inline struct fib4_route fib4_route_of(const struct fib4_slot *slot)
{
	return (struct fib4_route){
	        .addr = slot->addr,
	        .nexthop = slot->nexthop,
	        .owner = slot->owner,
	        .len = slot->len,
	        .mark = slot->mark,
	};
}

#endif
