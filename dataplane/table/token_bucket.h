/* SPDX-License-Identifier: BSD-3-Clause */
/* A token bucket that several workers may take from (RFC 2697's shape with one colour and one
 * bucket: rate and burst in packets).
 *
 * Who writes: `empty` by any worker with a compare and swap; the rest by the tables thread with
 * relaxed stores. Who reads: workers. While a bucket is being changed a batch may see the new rate
 * with the old burst, which harms nobody.
 *
 * Time is a counter of hz ticks a second (the TSC); the caller reads it once a batch. The state is
 * one word: the time at which the bucket was empty if it had filled up since then without a limit.
 * The rate is exact to half a tick a packet: at 3 GHz 2 % at 120 million packets a second. */
#ifndef DATAPLANE_TABLE_TOKEN_BUCKET_H
#define DATAPLANE_TABLE_TOKEN_BUCKET_H

#include <stdbool.h>

#include "memory.h"

#define TOKEN_BUCKET_FRACTION 16

struct token_bucket {
	_Alignas(TABLE_CACHE_LINE) uint64_t empty; /* ticks */
	uint64_t cost;  /* ticks a packet << TOKEN_BUCKET_FRACTION; 0: unlimited */
	uint64_t depth; /* ticks that a full bucket has been filling up for */
};

/* Changes rate (packets a second; 0: unlimited) and burst (packets, at least 1), hz below 2^36.
 * What has been taken already still counts. Tables thread. */
static inline void token_bucket_set(
        struct token_bucket *bucket, uint64_t hz, uint32_t rate, uint32_t burst)
{
	uint64_t cost = rate ? (hz << TOKEN_BUCKET_FRACTION) / rate : 0;
	uint64_t depth;

	if (rate && !cost)
		cost = 1;
	if (!burst)
		burst = 1;
	depth = (uint64_t)(((unsigned __int128)cost * burst) >> TOKEN_BUCKET_FRACTION) + 1;
	__atomic_store_n(&bucket->cost, cost, __ATOMIC_RELAXED);
	__atomic_store_n(&bucket->depth, depth, __ATOMIC_RELAXED);
}

/* A full bucket. Before workers know it. */
static inline void token_bucket_init(
        struct token_bucket *bucket, uint64_t now, uint64_t hz, uint32_t rate, uint32_t burst)
{
	token_bucket_set(bucket, hz, rate, burst);
	bucket->empty = now - bucket->depth;
}

/* Takes up to n (at most 1024 where limited) packets at time now; returns how many may pass. Any
 * worker. */
static inline uint32_t token_bucket_take(struct token_bucket *bucket, uint64_t now, uint32_t n)
{
	uint64_t cost = __atomic_load_n(&bucket->cost, __ATOMIC_RELAXED);
	uint64_t depth = __atomic_load_n(&bucket->depth, __ATOMIC_RELAXED);
	uint64_t half = 1u << (TOKEN_BUCKET_FRACTION - 1);
	uint64_t old = __atomic_load_n(&bucket->empty, __ATOMIC_RELAXED);
	uint64_t empty, price;
	uint32_t granted;

	if (!cost)
		return n;
	do {
		empty = old;
		/* The clocks of two cores may differ a little: behind `empty` is no time at all. */
		if ((int64_t)(now - empty) <= 0)
			return 0;
		if (now - empty > depth)
			empty = now - depth;
		granted = n;
		price = (granted * cost + half) >> TOKEN_BUCKET_FRACTION;
		if (price > now - empty) {
			granted = (uint32_t)((((unsigned __int128)(now - empty))
			                             << TOKEN_BUCKET_FRACTION) /
			                     cost);
			if (!granted)
				return 0;
			if (granted > n)
				granted = n;
			price = (granted * cost + half) >> TOKEN_BUCKET_FRACTION;
		}
	} while (!__atomic_compare_exchange_n(
	        &bucket->empty, &old, empty + price, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return granted;
}

/* Whether there is a packet to take, or no limit. Any worker. */
static inline bool token_bucket_has_any(const struct token_bucket *bucket, uint64_t now)
{
	uint64_t cost = __atomic_load_n(&bucket->cost, __ATOMIC_RELAXED);
	uint64_t empty = __atomic_load_n(&bucket->empty, __ATOMIC_RELAXED);

	return !cost || (int64_t)(now - empty) > (int64_t)(cost >> TOKEN_BUCKET_FRACTION);
}

/* Takes n packets (at most 65536) whether they are there or not: what is missing is a debt, and
 * token_bucket_has_any says no until it is paid. The mean rate is exact however many are taken at a
 * time. Any worker. */
static inline void token_bucket_spend(struct token_bucket *bucket, uint64_t now, uint32_t n)
{
	uint64_t cost = __atomic_load_n(&bucket->cost, __ATOMIC_RELAXED);
	uint64_t depth = __atomic_load_n(&bucket->depth, __ATOMIC_RELAXED);
	uint64_t old = __atomic_load_n(&bucket->empty, __ATOMIC_RELAXED), empty;

	if (!cost || !n)
		return;
	do {
		empty = old;
		if ((int64_t)(now - empty) > (int64_t)depth)
			empty = now - depth;
		empty += (uint64_t)(((unsigned __int128)cost * n) >> TOKEN_BUCKET_FRACTION);
	} while (!__atomic_compare_exchange_n(
	        &bucket->empty, &old, empty, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

#endif
