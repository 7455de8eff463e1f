/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the IPv6 table share. */
#ifndef DATAPLANE_TABLE_FIB6_PRIVATE_H
#define DATAPLANE_TABLE_FIB6_PRIVATE_H

#include "fib6.h"

#include <string.h>

#include <bsd/sys/tree.h>

#define FIB6_TOP_BITS 32

struct fib6_key {
	uint64_t high, low; /* host order */
};

/* A route. Index 0 is none. Readers look at the first 32 bytes. */
struct fib6_node {
	struct fib6_key key; /* host bits clear; constant while readers may see it */
	uint32_t next;       /* of the hash chain; atomic */
	uint32_t nexthop;    /* atomic */
	uint16_t fib;
	uint8_t len;
	uint8_t mark;
	uint16_t owner;
	uint16_t pad;
	RB_ENTRY(fib6_node) order;
} __attribute__((aligned(64)));

/* The part of a network's address space below one /32: which lengths from 32 to 128 there may be in
 * it. Bits are set before a route of that length is reachable, and all cleared when the last route
 * is gone, with the top itself. */
struct fib6_top {
	uint32_t bits;       /* of the address */
	uint32_t next;       /* atomic */
	uint64_t lengths[2]; /* atomic; bit n: 32 + n. 96 is the highest: length 128 */
	uint16_t fib;
	uint16_t pad;
	uint32_t routes; /* writer */
};

struct fib6_pool {
	/* Readers. */
	const struct fib6_node *nodes;
	const uint32_t *buckets; /* of routes */
	const struct fib6_top *tops;
	const uint32_t *top_buckets;
	uint32_t bucket_mask, top_mask;
	uint64_t secret[2]; /* of the hash */

	/* The writer. */
	const struct table_memory *memory;
	table_retire_fn retire;
	void *retire_ctx;
	struct fib6_node *own_nodes;
	struct fib6_top *own_tops;
	uint32_t *own_buckets, *own_top_buckets;
	uint32_t *free_nodes, *free_tops; /* stacks */
	uint32_t n_free_nodes, n_free_tops;
	uint32_t max, routes;
	RB_HEAD(fib6_order, fib6_node) order;
};

static inline struct fib6_key fib6_key_of(const uint8_t addr[16])
{
	struct fib6_key key;

	memcpy(&key, addr, sizeof(key));
	key.high = __builtin_bswap64(key.high);
	key.low = __builtin_bswap64(key.low);
	return key;
}

static inline struct fib6_key fib6_mask(struct fib6_key key, unsigned len)
{
	if (len <= 64) {
		key.low = 0;
		key.high = len ? key.high & ~UINT64_C(0) << (64 - len) : 0;
	} else {
		key.low &= ~UINT64_C(0) << (128 - len);
	}
	return key;
}

static inline uint64_t fib6_mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint32_t fib6_hash(
        const struct fib6_pool *pool, struct fib6_key key, uint16_t fib, unsigned len)
{
	uint64_t salt = ((uint64_t)fib << 16 | len) * 0x9e3779b97f4a7c15ull;

	/* One of the factors is 0 only for whoever knows the secrets. */
	return (uint32_t)fib6_mix(key.high ^ pool->secret[0], key.low ^ pool->secret[1] ^ salt);
}

static inline uint32_t fib6_top_hash(const struct fib6_pool *pool, uint32_t bits, uint16_t fib)
{
	return (uint32_t)fib6_mix((uint64_t)bits << 16 ^ fib ^ pool->secret[0],
	        0xe7037ed1a0b428dbull ^ pool->secret[1]);
}

#endif
