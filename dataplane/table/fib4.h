/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv4 longest-prefix match: a 16-8-8 trie per network over one pool of nodes.
 *
 * Who writes: the tables thread, through every function that is not named lookup.
 * Who reads: workers, through fib4_lookup and fib4_lookup_bulk.
 * How it is published: every change of an entry is one 32-bit release store. A new node is filled
 * before the entry that leads to it is stored; a node that is no longer led to is retired through
 * the pool's callback and reused only after that has called back. While a route is added, replaced
 * or removed, each address yields either the old or the new answer, never a third one; addresses
 * of one prefix do not change at the same instant.
 *
 * An entry is a leaf (next hop and the length of the prefix that it comes from) or a node's index.
 * Leaves are pushed down, so a lookup is at most three loads. The price: a change of a short prefix
 * rewrites every entry that it covers, also in nodes below (about 2.5 ns an entry). Callers should
 * change the next hop's content rather than the routes.
 */
#ifndef DATAPLANE_TABLE_FIB4_H
#define DATAPLANE_TABLE_FIB4_H

#include "memory.h"

#include <stdbool.h>

#define FIB4_NEXTHOP_MAX  0xffffffu
#define FIB4_BULK_MAX     64
#define FIB4_ROOT_ENTRIES 65536
#define FIB4_NODE_ENTRIES 256
#define FIB4_CHILD        0x80000000u /* the low 31 bits are a node's index */

struct fib4_pool;

/* What is stored about a prefix. addr is in host order. */
struct fib4_route {
	uint32_t addr;
	uint32_t nexthop;
	uint16_t owner;
	uint8_t len;
	uint8_t mark;
};

struct fib4_pool_stats {
	uint32_t nodes_max;
	uint32_t nodes_free;    /* can be taken now */
	uint32_t nodes_retired; /* wait for readers */
	uint32_t routes_max;
	uint32_t routes;
};

/* One network's table. Workers read nodes and root only; the rest is private to the writer. */
struct fib4 {
	const uint32_t *nodes; /* the pool's, constant after create */
	struct fib4_pool *pool;
	uint32_t routes;
	uint16_t id;
	_Alignas(TABLE_CACHE_LINE) uint32_t root[FIB4_ROOT_ENTRIES];
	uint64_t present[2 * FIB4_ROOT_ENTRIES / 64]; /* see fib4_private.h */
};

/* Takes all memory that the tables of all networks will ever use: 1090 bytes a node (nodes may hold
 * 64-byte aligned hugepage memory) and about 32 bytes a route. retire may be NULL where there are
 * no readers. Returns NULL with errno ENOMEM or EINVAL. */
struct fib4_pool *fib4_pool_create(const struct table_memory *memory, uint32_t max_nodes,
        uint32_t max_routes, table_retire_fn retire, void *retire_ctx);

/* All tables must have been destroyed and nothing may be waiting in retire. Safe on NULL. */
void fib4_pool_destroy(struct fib4_pool *pool);

void fib4_pool_stats(const struct fib4_pool *pool, struct fib4_pool_stats *stats);

/* A table without routes, about 272 KiB. id must differ between the tables of a pool.
 * Returns NULL with errno ENOMEM. */
struct fib4 *fib4_create(struct fib4_pool *pool, uint16_t id);

/* Removes what is left in it, at once, and releases the memory: no reader may hold the table any
 * more. Safe on NULL. To keep the thread's slices short, empty it with fib4_clear first. */
void fib4_destroy(struct fib4 *fib);

/* Removes up to max routes; returns how many it removed (0: the table is empty). */
uint32_t fib4_clear(struct fib4 *fib, uint32_t max);

/* Adds addr/len or replaces its next hop and owner (its mark stays; a new one's is 0).
 * nexthop: 1..FIB4_NEXTHOP_MAX. One route per prefix: who wins between owners is the caller's
 * decision. Returns 0; -EINVAL for host bits, len or nexthop out of range; -ENOSPC when routes or
 * nodes are used up, with nothing changed (retired nodes count as used until they come back). */
int fib4_add(struct fib4 *fib, uint32_t addr, uint8_t len, uint32_t nexthop, uint16_t owner);

/* Returns 0, -ENOENT or -EINVAL. Never needs memory. */
int fib4_del(struct fib4 *fib, uint32_t addr, uint8_t len);

/* The route of exactly this prefix. Returns 0, -ENOENT or -EINVAL; route may be NULL. */
int fib4_get(const struct fib4 *fib, uint32_t addr, uint8_t len, struct fib4_route *route);

/* The longest route that covers addr, as the writer knows it. Returns 0 or -ENOENT. */
int fib4_match(const struct fib4 *fib, uint32_t addr, struct fib4_route *route);

/* Sets the mark byte (mark and sweep). Returns 0, -ENOENT or -EINVAL. */
int fib4_set_mark(struct fib4 *fib, uint32_t addr, uint8_t len, uint8_t mark);

/* Lists up to n routes in the order of address, then length, that come after the prefix of
 * `after` (NULL: from the start), which need not exist: routes may change between calls. Returns
 * how many; fewer than n means the end. Costs about the slots that it passes, so a full listing
 * in pages is linear. */
unsigned fib4_list(const struct fib4 *fib, const struct fib4_route *after,
        struct fib4_route *routes, unsigned n);

/* The next hop of addr (host order), 0 for none. Any thread, inside a read-side section. */
static inline uint32_t fib4_lookup(const struct fib4 *fib, uint32_t addr)
{
	uint32_t entry = __atomic_load_n(&fib->root[addr >> 16], __ATOMIC_ACQUIRE);

	for (unsigned shift = 8; entry & FIB4_CHILD; shift -= 8) {
		size_t node = (size_t)(entry & ~FIB4_CHILD) * FIB4_NODE_ENTRIES;

		entry = __atomic_load_n(
		        &fib->nodes[node + ((addr >> shift) & 0xff)], __ATOMIC_ACQUIRE);
	}
	return entry & FIB4_NEXTHOP_MAX;
}

/* fib4_lookup for n <= FIB4_BULK_MAX addresses, loads of a level in flight together. */
void fib4_lookup_bulk(const struct fib4 *fib, const uint32_t *addr, uint32_t *nexthop, unsigned n);

#endif
