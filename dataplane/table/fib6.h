/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv6 longest-prefix match: one hash table of prefixes for all networks, probed by length, longest
 * first. Which lengths there are is known per network (below /32) and per /32 of a network, so that
 * a lookup probes the few lengths that its own part of the address space has: in a network of pods
 * /128 and /64.
 *
 * Who writes: the tables thread, through every function that is not named lookup.
 * Who reads: workers, through fib6_lookup and fib6_lookup_bulk.
 * How it is published: a route is filled before the 32-bit release store that leads to it, and
 * reused only after the pool's retire has called back; a next hop changes by one store. A lookup
 * that overlaps a removal begins again, for it may have missed what was added before: so each
 * address yields an answer that was right at some moment of the lookup, never a third one. An
 * update touches one route, whatever it covers.
 */
#ifndef DATAPLANE_TABLE_FIB6_H
#define DATAPLANE_TABLE_FIB6_H

#include "memory.h"

#include <stdbool.h>

#define FIB6_NEXTHOP_MAX 0xffffffu
#define FIB6_BULK_MAX    64

struct fib6_pool;

/* What is stored about a prefix. */
struct fib6_route {
	uint8_t addr[16];
	uint32_t nexthop;
	uint16_t owner;
	uint8_t len;
	uint8_t mark;
};

struct fib6_pool_stats {
	uint32_t routes_max;
	uint32_t routes;
	uint32_t retired; /* wait for readers: count as used until they come back */
};

/* One network's table. Workers read the first group only. */
struct fib6 {
	const struct fib6_pool *tables; /* constant after create */
	uint32_t short_lengths;         /* bit n: there may be a prefix of length n < 32 */
	uint32_t removals;              /* counted before each */
	uint16_t id;

	struct fib6_pool *pool;
	uint32_t routes;
	uint32_t short_count[32];
};

/* Takes all memory that the tables of all networks will ever use: about 120 bytes a route. seed:
 * random, so that nobody can choose addresses that collide. retire may be NULL where there are no
 * readers. Returns NULL with errno ENOMEM or EINVAL. */
struct fib6_pool *fib6_pool_create(const struct table_memory *memory, uint32_t max_routes,
        uint64_t seed, table_retire_fn retire, void *retire_ctx);

/* All tables must have been destroyed and nothing may be waiting in retire. Safe on NULL. */
void fib6_pool_destroy(struct fib6_pool *pool);

void fib6_pool_stats(const struct fib6_pool *pool, struct fib6_pool_stats *stats);

/* A table without routes. id must differ between the tables of a pool. NULL with errno ENOMEM. */
struct fib6 *fib6_create(struct fib6_pool *pool, uint16_t id);

/* Removes what is left in it, at once, and releases the memory: no reader may hold the table any
 * more. Safe on NULL. */
void fib6_destroy(struct fib6 *fib);

/* Adds addr/len or replaces its next hop and owner (its mark stays; a new one's is 0).
 * nexthop: 1..FIB6_NEXTHOP_MAX. Returns 0; -EINVAL for host bits, len or nexthop out of range;
 * -ENOSPC when the pool is used up, with nothing changed. */
int fib6_add(
        struct fib6 *fib, const uint8_t addr[16], uint8_t len, uint32_t nexthop, uint16_t owner);

/* Returns 0, -ENOENT or -EINVAL. Never needs memory. */
int fib6_del(struct fib6 *fib, const uint8_t addr[16], uint8_t len);

/* The route of exactly this prefix. Returns 0, -ENOENT or -EINVAL; route may be NULL. */
int fib6_get(const struct fib6 *fib, const uint8_t addr[16], uint8_t len, struct fib6_route *route);

/* The longest route that covers addr, as the writer knows it. Returns 0 or -ENOENT. */
int fib6_match(const struct fib6 *fib, const uint8_t addr[16], struct fib6_route *route);

/* Sets the mark byte (mark and sweep). Returns 0, -ENOENT or -EINVAL. */
int fib6_set_mark(struct fib6 *fib, const uint8_t addr[16], uint8_t len, uint8_t mark);

/* Lists up to n routes in the order of address, then length, that come after the prefix of `after`
 * (NULL: from the start), which need not exist. Returns how many; fewer than n means the end. */
unsigned fib6_list(const struct fib6 *fib, const struct fib6_route *after,
        struct fib6_route *routes, unsigned n);

/* The next hop of addr, 0 for none. Any thread, inside a read-side section. */
uint32_t fib6_lookup(const struct fib6 *fib, const uint8_t addr[16]);

/* fib6_lookup for n <= FIB6_BULK_MAX addresses, one length of each at a time, their loads in flight
 * together. */
void fib6_lookup_bulk(
        const struct fib6 *fib, const uint8_t *const *addr, uint32_t *nexthop, unsigned n);

#endif
