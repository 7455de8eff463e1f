/* SPDX-License-Identifier: BSD-3-Clause */
#include "fib6_private.h"

#include <errno.h>

static_assert(sizeof(struct fib6_node) == TABLE_CACHE_LINE, "one line a route");

static int fib6_compare(const struct fib6_node *a, const struct fib6_node *b)
{
	if (a->fib != b->fib)
		return a->fib < b->fib ? -1 : 1;
	if (a->key.high != b->key.high)
		return a->key.high < b->key.high ? -1 : 1;
	if (a->key.low != b->key.low)
		return a->key.low < b->key.low ? -1 : 1;
	return (int)a->len - (int)b->len;
}

RB_PROTOTYPE(fib6_order, fib6_node, order, fib6_compare)
RB_GENERATE(fib6_order, fib6_node, order, fib6_compare)

/* ---- the pool ---- */

static bool take_memory(struct fib6_pool *pool)
{
	const struct table_memory *memory = pool->memory;
	size_t n = (size_t)pool->max + 1;

	pool->own_nodes = table_alloc(memory, n * sizeof(*pool->own_nodes));
	pool->own_tops = table_alloc(memory, n * sizeof(*pool->own_tops));
	pool->own_buckets = table_alloc(memory, ((size_t)pool->bucket_mask + 1) * sizeof(uint32_t));
	pool->own_top_buckets =
	        table_alloc(memory, ((size_t)pool->top_mask + 1) * sizeof(uint32_t));
	pool->free_nodes = table_alloc(memory, n * sizeof(uint32_t));
	pool->free_tops = table_alloc(memory, n * sizeof(uint32_t));
	return pool->own_nodes && pool->own_tops && pool->own_buckets && pool->own_top_buckets &&
	       pool->free_nodes && pool->free_tops;
}

struct fib6_pool *fib6_pool_create(const struct table_memory *memory, uint32_t max_routes,
        uint64_t seed, table_retire_fn retire, void *retire_ctx)
{
	struct fib6_pool *pool;

	if (!max_routes || max_routes > 1u << 26) {
		errno = EINVAL;
		return NULL;
	}
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return NULL;
	pool->memory = memory;
	pool->max = max_routes;
	pool->secret[0] = fib6_mix(seed ^ 0x2d358dccaa6c78a5ull, 0x8bb84b93962eacc9ull);
	pool->secret[1] = fib6_mix(seed ^ 0x4b33a62ed433d4a3ull, 0x4d5a2da51de1aa47ull);
	pool->retire = retire;
	pool->retire_ctx = retire_ctx;
	pool->bucket_mask = table_pow2(max_routes) - 1;
	pool->top_mask = table_pow2(max_routes) - 1;
	RB_INIT(&pool->order);
	if (!take_memory(pool)) {
		fib6_pool_destroy(pool);
		errno = ENOMEM;
		return NULL;
	}
	memset(pool->own_buckets, 0, ((size_t)pool->bucket_mask + 1) * sizeof(uint32_t));
	memset(pool->own_top_buckets, 0, ((size_t)pool->top_mask + 1) * sizeof(uint32_t));
	/* Index 0 is fetched ahead and never looked at. */
	for (uint32_t i = max_routes; i; i--) {
		pool->free_nodes[pool->n_free_nodes++] = i;
		pool->free_tops[pool->n_free_tops++] = i;
	}
	pool->nodes = pool->own_nodes;
	pool->tops = pool->own_tops;
	pool->buckets = pool->own_buckets;
	pool->top_buckets = pool->own_top_buckets;
	return pool;
}

void fib6_pool_destroy(struct fib6_pool *pool)
{
	if (!pool)
		return;
	table_release(pool->memory, pool->own_nodes);
	table_release(pool->memory, pool->own_tops);
	table_release(pool->memory, pool->own_buckets);
	table_release(pool->memory, pool->own_top_buckets);
	table_release(pool->memory, pool->free_nodes);
	table_release(pool->memory, pool->free_tops);
	free(pool);
}

void fib6_pool_stats(const struct fib6_pool *pool, struct fib6_pool_stats *stats)
{
	*stats = (struct fib6_pool_stats){
	        .routes_max = pool->max,
	        .routes = pool->routes,
	        .retired = pool->max - pool->routes - pool->n_free_nodes,
	};
}

static void node_free(void *owner, uint32_t index)
{
	struct fib6_pool *pool = owner;

	pool->free_nodes[pool->n_free_nodes++] = index;
}

static void top_free(void *owner, uint32_t index)
{
	struct fib6_pool *pool = owner;

	pool->free_tops[pool->n_free_tops++] = index;
}

static void retire(struct fib6_pool *pool, table_free_fn free_fn, uint32_t index)
{
	if (pool->retire)
		pool->retire(pool->retire_ctx, free_fn, pool, index);
	else
		free_fn(pool, index);
}

/* ---- chains ---- */

static void store(uint32_t *at, uint32_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

static uint32_t *bucket_of(struct fib6_pool *pool, struct fib6_key key, uint16_t fib, unsigned len)
{
	return &pool->own_buckets[fib6_hash(pool, key, fib, len) & pool->bucket_mask];
}

static struct fib6_node *find(const struct fib6 *fib, struct fib6_key key, unsigned len)
{
	struct fib6_pool *pool = fib->pool;
	uint32_t index = *bucket_of(pool, key, fib->id, len);

	for (; index; index = pool->own_nodes[index].next) {
		struct fib6_node *node = &pool->own_nodes[index];

		if (node->key.high == key.high && node->key.low == key.low &&
		        node->fib == fib->id && node->len == len)
			return node;
	}
	return NULL;
}

static uint32_t *top_bucket_of(struct fib6_pool *pool, uint32_t bits, uint16_t fib)
{
	return &pool->own_top_buckets[fib6_top_hash(pool, bits, fib) & pool->top_mask];
}

static struct fib6_top *find_top(const struct fib6 *fib, uint32_t bits)
{
	struct fib6_pool *pool = fib->pool;
	uint32_t index = *top_bucket_of(pool, bits, fib->id);

	for (; index; index = pool->own_tops[index].next)
		if (pool->own_tops[index].bits == bits && pool->own_tops[index].fib == fib->id)
			return &pool->own_tops[index];
	return NULL;
}

/* The top of an address, made if need be; NULL: none is left. */
static struct fib6_top *need_top(struct fib6 *fib, uint32_t bits)
{
	struct fib6_pool *pool = fib->pool;
	struct fib6_top *top = find_top(fib, bits);
	uint32_t *bucket, index;

	if (top || !pool->n_free_tops)
		return top;
	index = pool->free_tops[--pool->n_free_tops];
	top = &pool->own_tops[index];
	bucket = top_bucket_of(pool, bits, fib->id);
	*top = (struct fib6_top){.bits = bits, .next = *bucket, .fib = fib->id};
	store(bucket, index);
	return top;
}

static void drop_top(struct fib6 *fib, struct fib6_top *top)
{
	struct fib6_pool *pool = fib->pool;
	uint32_t index = (uint32_t)(top - pool->own_tops);
	uint32_t *link = top_bucket_of(pool, top->bits, fib->id);

	while (*link != index)
		link = &pool->own_tops[*link].next;
	store(link, top->next);
	retire(pool, top_free, index);
}

/* ---- lengths: told before a route of that length can be found, and longer than it can ---- */

static bool tell_length(struct fib6 *fib, struct fib6_key key, unsigned len)
{
	unsigned n = len - FIB6_TOP_BITS;
	struct fib6_top *top;

	if (len < FIB6_TOP_BITS) {
		fib->short_count[len]++;
		__atomic_store_n(
		        &fib->short_lengths, fib->short_lengths | 1u << len, __ATOMIC_RELEASE);
		return true;
	}
	top = need_top(fib, (uint32_t)(key.high >> 32));
	if (!top)
		return false;
	top->routes++;
	__atomic_store_n(&top->lengths[n / 64], top->lengths[n / 64] | UINT64_C(1) << (n % 64),
	        __ATOMIC_RELEASE);
	return true;
}

static void forget_length(struct fib6 *fib, struct fib6_key key, unsigned len)
{
	struct fib6_top *top;

	if (len < FIB6_TOP_BITS) {
		if (!--fib->short_count[len])
			__atomic_store_n(&fib->short_lengths, fib->short_lengths & ~(1u << len),
			        __ATOMIC_RELEASE);
		return;
	}
	top = find_top(fib, (uint32_t)(key.high >> 32));
	if (!--top->routes)
		drop_top(fib, top);
}

/* ---- tables ---- */

struct fib6 *fib6_create(struct fib6_pool *pool, uint16_t id)
{
	struct fib6 *fib = table_alloc(pool->memory, sizeof(*fib));

	if (!fib) {
		errno = ENOMEM;
		return NULL;
	}
	memset(fib, 0, sizeof(*fib));
	fib->tables = fib->pool = pool;
	fib->id = id;
	return fib;
}

static struct fib6_node *first_of(const struct fib6 *fib, const struct fib6_node *from)
{
	struct fib6_node *node =
	        RB_NFIND(fib6_order, &fib->pool->order, (struct fib6_node *)(uintptr_t)from);

	return node && node->fib == fib->id ? node : NULL;
}

void fib6_destroy(struct fib6 *fib)
{
	struct fib6_node from = {.fib = fib ? fib->id : 0}, *node;

	if (!fib)
		return;
	while ((node = first_of(fib, &from))) {
		uint8_t addr[16];
		uint64_t words[2] = {
		        __builtin_bswap64(node->key.high), __builtin_bswap64(node->key.low)};

		memcpy(addr, words, sizeof(addr));
		fib6_del(fib, addr, node->len);
	}
	table_release(fib->pool->memory, fib);
}

static int check(const uint8_t addr[16], uint8_t len, struct fib6_key *key)
{
	struct fib6_key masked;

	if (len > 128)
		return -EINVAL;
	*key = fib6_key_of(addr);
	masked = fib6_mask(*key, len);
	return masked.high == key->high && masked.low == key->low ? 0 : -EINVAL;
}

int fib6_add(
        struct fib6 *fib, const uint8_t addr[16], uint8_t len, uint32_t nexthop, uint16_t owner)
{
	struct fib6_pool *pool = fib->pool;
	struct fib6_node *node;
	struct fib6_key key;
	uint32_t *bucket, index;

	if (check(addr, len, &key) || !nexthop || nexthop > FIB6_NEXTHOP_MAX)
		return -EINVAL;
	node = find(fib, key, len);
	if (node) {
		node->owner = owner;
		store(&node->nexthop, nexthop);
		return 0;
	}
	if (!pool->n_free_nodes || !tell_length(fib, key, len))
		return -ENOSPC;
	index = pool->free_nodes[--pool->n_free_nodes];
	node = &pool->own_nodes[index];
	bucket = bucket_of(pool, key, fib->id, len);
	*node = (struct fib6_node){
	        .key = key,
	        .next = *bucket,
	        .nexthop = nexthop,
	        .fib = fib->id,
	        .len = len,
	        .owner = owner,
	};
	RB_INSERT(fib6_order, &pool->order, node);
	store(bucket, index);
	pool->routes++;
	fib->routes++;
	return 0;
}

int fib6_del(struct fib6 *fib, const uint8_t addr[16], uint8_t len)
{
	struct fib6_pool *pool = fib->pool;
	struct fib6_node *node;
	struct fib6_key key;
	uint32_t *link, index;
	int rc = check(addr, len, &key);

	if (rc)
		return rc;
	node = find(fib, key, len);
	if (!node)
		return -ENOENT;
	store(&fib->removals, fib->removals + 1);
	index = (uint32_t)(node - pool->own_nodes);
	link = bucket_of(pool, key, fib->id, len);
	while (*link != index)
		link = &pool->own_nodes[*link].next;
	store(link, node->next);
	RB_REMOVE(fib6_order, &pool->order, node);
	forget_length(fib, key, len);
	pool->routes--;
	fib->routes--;
	retire(pool, node_free, index);
	return 0;
}

/* ---- looking ---- */

static void describe(const struct fib6_node *node, struct fib6_route *route)
{
	uint64_t words[2] = {__builtin_bswap64(node->key.high), __builtin_bswap64(node->key.low)};

	memcpy(route->addr, words, sizeof(route->addr));
	route->len = node->len;
	route->nexthop = node->nexthop;
	route->owner = node->owner;
	route->mark = node->mark;
}

int fib6_get(const struct fib6 *fib, const uint8_t addr[16], uint8_t len, struct fib6_route *route)
{
	const struct fib6_node *node;
	struct fib6_key key;
	int rc = check(addr, len, &key);

	if (rc)
		return rc;
	node = find(fib, key, len);
	if (!node)
		return -ENOENT;
	if (route)
		describe(node, route);
	return 0;
}

int fib6_match(const struct fib6 *fib, const uint8_t addr[16], struct fib6_route *route)
{
	struct fib6_key key = fib6_key_of(addr);

	for (int len = 128; len >= 0; len--) {
		const struct fib6_node *node =
		        find(fib, fib6_mask(key, (unsigned)len), (unsigned)len);

		if (!node)
			continue;
		if (route)
			describe(node, route);
		return 0;
	}
	return -ENOENT;
}

int fib6_set_mark(struct fib6 *fib, const uint8_t addr[16], uint8_t len, uint8_t mark)
{
	struct fib6_node *node;
	struct fib6_key key;
	int rc = check(addr, len, &key);

	if (rc)
		return rc;
	node = find(fib, key, len);
	if (!node)
		return -ENOENT;
	node->mark = mark;
	return 0;
}

unsigned fib6_list(const struct fib6 *fib, const struct fib6_route *after,
        struct fib6_route *routes, unsigned n)
{
	struct fib6_node from = {.fib = fib->id}, *node;
	unsigned count = 0;

	if (after) {
		from.key = fib6_key_of(after->addr);
		from.len = after->len;
	}
	node = first_of(fib, &from);
	if (node && after && !fib6_compare(node, &from))
		node = RB_NEXT(fib6_order, &fib->pool->order, node);
	for (; node && node->fib == fib->id && count < n;
	        node = RB_NEXT(fib6_order, &fib->pool->order, node))
		describe(node, &routes[count++]);
	return count;
}
