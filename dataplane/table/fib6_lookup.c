/* SPDX-License-Identifier: BSD-3-Clause */
#include "fib6_private.h"

static inline uint32_t load(const uint32_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

/* The next hop of exactly this prefix in a chain, 0: none. */
static inline uint32_t find_in(const struct fib6_pool *pool, uint32_t index, struct fib6_key key,
        uint16_t fib, unsigned len)
{
	for (; index; index = load(&pool->nodes[index].next)) {
		const struct fib6_node *node = &pool->nodes[index];

		if (node->key.high == key.high && node->key.low == key.low && node->fib == fib &&
		        node->len == len)
			return __atomic_load_n(&node->nexthop, __ATOMIC_RELAXED);
	}
	return 0;
}

/* The lengths that one address has still to be looked up with. */
struct lengths {
	uint64_t high[2]; /* bit n: 32 + n */
	uint32_t low;     /* bit n: n */
};

/* Takes the longest; -1: none is left. */
static inline int take_length(struct lengths *lengths)
{
	for (int w = 1; w >= 0; w--) {
		if (lengths->high[w]) {
			int bit = 63 - __builtin_clzll(lengths->high[w]);

			lengths->high[w] ^= UINT64_C(1) << bit;
			return FIB6_TOP_BITS + 64 * w + bit;
		}
	}
	if (lengths->low) {
		int bit = 31 - __builtin_clz(lengths->low);

		lengths->low ^= 1u << bit;
		return bit;
	}
	return -1;
}

static inline void find_lengths(
        const struct fib6 *fib, uint32_t bits, uint32_t bucket, struct lengths *lengths)
{
	const struct fib6_pool *pool = fib->tables;

	lengths->low = __atomic_load_n(&fib->short_lengths, __ATOMIC_ACQUIRE);
	lengths->high[0] = lengths->high[1] = 0;
	for (uint32_t index = load(&pool->top_buckets[bucket]); index;
	        index = load(&pool->tops[index].next)) {
		const struct fib6_top *top = &pool->tops[index];

		if (top->bits != bits || top->fib != fib->id)
			continue;
		lengths->high[0] = __atomic_load_n(&top->lengths[0], __ATOMIC_ACQUIRE);
		lengths->high[1] = __atomic_load_n(&top->lengths[1], __ATOMIC_ACQUIRE);
		return;
	}
}

/* So many removals in a row within single lookups are no longer waited for. */
#define TRIES 64

/* Whether nothing was removed since the count was read. What was removed and missed meanwhile was
 * counted first. */
static inline bool is_settled(const struct fib6 *fib, uint32_t removals)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&fib->removals, __ATOMIC_RELAXED) == removals;
}

static uint32_t lookup(const struct fib6 *fib, const uint8_t addr[16])
{
	const struct fib6_pool *pool = fib->tables;
	struct fib6_key key = fib6_key_of(addr);
	uint32_t bits = (uint32_t)(key.high >> 32), nexthop = 0;
	struct lengths lengths;
	int len;

	find_lengths(fib, bits, fib6_top_hash(pool, bits, fib->id) & pool->top_mask, &lengths);
	while (!nexthop && (len = take_length(&lengths)) >= 0) {
		struct fib6_key masked = fib6_mask(key, (unsigned)len);
		uint32_t bucket =
		        fib6_hash(pool, masked, fib->id, (unsigned)len) & pool->bucket_mask;

		nexthop =
		        find_in(pool, load(&pool->buckets[bucket]), masked, fib->id, (unsigned)len);
	}
	return nexthop;
}

uint32_t fib6_lookup(const struct fib6 *fib, const uint8_t addr[16])
{
	uint32_t nexthop = 0;

	for (unsigned n = 0; n < TRIES; n++) {
		uint32_t removals = load(&fib->removals);

		nexthop = lookup(fib, addr);
		if (is_settled(fib, removals))
			break;
	}
	return nexthop;
}

/* One address of a bulk lookup. */
struct probe {
	struct fib6_key key, masked;
	struct lengths lengths;
	uint32_t bucket, head;
	int len;
};

static inline void probe_at(const struct fib6 *fib, struct probe *probe, unsigned len)
{
	const struct fib6_pool *pool = fib->tables;

	probe->masked = fib6_mask(probe->key, len);
	probe->bucket = fib6_hash(pool, probe->masked, fib->id, len) & pool->bucket_mask;
	__builtin_prefetch(&pool->buckets[probe->bucket]);
}

static inline void load_head(const struct fib6_pool *pool, struct probe *probe)
{
	probe->head = load(&pool->buckets[probe->bucket]);
	__builtin_prefetch(&pool->nodes[probe->head]);
}

/* All addresses have the same lengths to be looked up with: one length after the other. */
static void bulk_same(const struct fib6 *fib, struct probe *probe, uint32_t *nexthop, unsigned n)
{
	struct lengths lengths = probe[0].lengths;
	uint8_t left[FIB6_BULK_MAX];
	unsigned n_left = n;
	int len;

	for (unsigned k = 0; k < n; k++)
		left[k] = (uint8_t)k;
	while (n_left && (len = take_length(&lengths)) >= 0) {
		unsigned still = 0;

		for (unsigned j = 0; j < n_left; j++)
			probe_at(fib, &probe[left[j]], (unsigned)len);
		for (unsigned j = 0; j < n_left; j++)
			load_head(fib->tables, &probe[left[j]]);
		for (unsigned j = 0; j < n_left; j++) {
			uint8_t k = left[j];

			nexthop[k] = find_in(fib->tables, probe[k].head, probe[k].masked, fib->id,
			        (unsigned)len);
			left[still] = k;
			still += !nexthop[k];
		}
		n_left = still;
	}
}

/* Begins the next length of an address; false: it has none left. */
static inline bool probe_next(const struct fib6 *fib, struct probe *probe)
{
	probe->len = take_length(&probe->lengths);
	if (probe->len < 0)
		return false;
	probe_at(fib, probe, (unsigned)probe->len);
	return true;
}

/* Each address has lengths of its own. */
static void bulk_mixed(const struct fib6 *fib, struct probe *probe, uint32_t *nexthop, unsigned n)
{
	uint8_t left[FIB6_BULK_MAX];
	unsigned n_left = 0;

	for (unsigned k = 0; k < n; k++) {
		left[n_left] = (uint8_t)k;
		n_left += probe_next(fib, &probe[k]);
	}
	while (n_left) {
		unsigned still = 0;

		for (unsigned j = 0; j < n_left; j++)
			load_head(fib->tables, &probe[left[j]]);
		for (unsigned j = 0; j < n_left; j++) {
			uint8_t k = left[j];
			struct probe *p = &probe[k];

			nexthop[k] =
			        find_in(fib->tables, p->head, p->masked, fib->id, (unsigned)p->len);
			if (nexthop[k] || !probe_next(fib, p))
				continue;
			left[still++] = k;
		}
		n_left = still;
	}
}

static void lookup_bulk(
        const struct fib6 *fib, const uint8_t *const *addr, uint32_t *nexthop, unsigned n)
{
	const struct fib6_pool *pool = fib->tables;
	struct probe probe[FIB6_BULK_MAX];
	uint32_t different = 0;

	for (unsigned k = 0; k < n; k++) {
		probe[k].key = fib6_key_of(addr[k]);
		nexthop[k] = 0;
		different |= (uint32_t)((probe[k].key.high ^ probe[0].key.high) >> 32);
	}
	/* Nodes have few /32: mostly all addresses of a batch are below one. */
	if (!different) {
		uint32_t bits;

		if (!n)
			return;
		bits = (uint32_t)(probe[0].key.high >> 32);
		find_lengths(fib, bits, fib6_top_hash(pool, bits, fib->id) & pool->top_mask,
		        &probe[0].lengths);
		bulk_same(fib, probe, nexthop, n);
		return;
	}
	for (unsigned k = 0; k < n; k++) {
		probe[k].bucket =
		        fib6_top_hash(pool, (uint32_t)(probe[k].key.high >> 32), fib->id) &
		        pool->top_mask;
		__builtin_prefetch(&pool->top_buckets[probe[k].bucket]);
	}
	for (unsigned k = 0; k < n; k++)
		find_lengths(fib, (uint32_t)(probe[k].key.high >> 32), probe[k].bucket,
		        &probe[k].lengths);
	bulk_mixed(fib, probe, nexthop, n);
}

void fib6_lookup_bulk(
        const struct fib6 *fib, const uint8_t *const *addr, uint32_t *nexthop, unsigned n)
{
	for (unsigned k = 0; k < TRIES; k++) {
		uint32_t removals = load(&fib->removals);

		lookup_bulk(fib, addr, nexthop, n);
		if (is_settled(fib, removals))
			return;
	}
}
