/* SPDX-License-Identifier: BSD-3-Clause */
#include "fib4_private.h"

#include <errno.h>
#include <string.h>

static_assert(offsetof(struct fib4, root) % TABLE_CACHE_LINE == 0, "root starts a line");

static uint32_t make_leaf(uint32_t nexthop, uint8_t len)
{
	return nexthop | (uint32_t)len << FIB4_DEPTH_SHIFT;
}

static uint32_t leaf_depth(uint32_t leaf)
{
	return leaf >> FIB4_DEPTH_SHIFT;
}

static void entry_publish(uint32_t *entry, uint32_t value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

static bool prefix_valid(uint32_t addr, uint8_t len)
{
	return len <= 32 && (len == 32 || !(addr & (UINT32_MAX >> len)));
}

/* Fills path down to `want` as far as nodes exist; returns the deepest level reached. */
static unsigned descend(
        const struct fib4 *fib, uint32_t addr, unsigned want, struct fib4_level path[3])
{
	unsigned level = 0;

	path[0] = fib4_level_root(fib);
	while (level < want) {
		uint32_t entry =
		        fib4_entry_read(&path[level].entries[fib4_level_slot(level, addr)]);

		if (!(entry & FIB4_CHILD))
			break;
		path[++level] = fib4_level_node(fib, entry & ~FIB4_CHILD);
	}
	return level;
}

static uint32_t present_bit(unsigned level, uint32_t addr, uint8_t len)
{
	unsigned rel = len - fib4_level_base(level);

	return 1u << rel | fib4_level_slot(level, addr) >> (fib4_level_bits(level) - rel);
}

/* The longest stored prefix of addr with at most max_len bits; path reaches fib4_level_of(max_len)
 * or ends where the trie does, at `level`. NULL if there is none. */
static struct fib4_slot *covering(const struct fib4 *fib, const struct fib4_level *path,
        unsigned level, uint32_t addr, int max_len)
{
	for (int len = max_len; len >= 0; len--) {
		unsigned at = fib4_level_of((uint8_t)len);

		if (at > level ||
		        !fib4_bit_test(path[at].present, present_bit(at, addr, (uint8_t)len)))
			continue;
		addr &= len ? UINT32_MAX << (32 - len) : 0;
		return fib4_store_find(fib->pool, fib->id, addr, (uint8_t)len);
	}
	return NULL;
}

/* Sets the leaves of depth low..high in entries and in all nodes below them. */
static void paint(const struct fib4 *fib, uint32_t *entries, uint32_t count, uint32_t low,
        uint32_t high, uint32_t leaf)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t entry = fib4_entry_read(&entries[i]);

		if (entry & FIB4_CHILD)
			paint(fib, fib4_node_entries(fib->pool, entry & ~FIB4_CHILD),
			        FIB4_NODE_ENTRIES, low, high, leaf);
		else if (leaf_depth(entry) >= low && leaf_depth(entry) <= high)
			entry_publish(&entries[i], leaf);
	}
}

static void paint_prefix(const struct fib4 *fib, const struct fib4_level *at, unsigned level,
        uint32_t addr, uint8_t len, uint32_t low, uint32_t leaf)
{
	uint32_t count = 1u << (fib4_level_base(level) + fib4_level_bits(level) - len);

	paint(fib, &at->entries[fib4_level_slot(level, addr)], count, low, len, leaf);
}

int fib4_add(struct fib4 *fib, uint32_t addr, uint8_t len, uint32_t nexthop, uint16_t owner)
{
	struct fib4_pool *pool = fib->pool;
	struct fib4_level path[3];
	struct fib4_slot *slot;
	unsigned want, level;

	if (!prefix_valid(addr, len) || !nexthop || nexthop > FIB4_NEXTHOP_MAX)
		return -EINVAL;
	want = fib4_level_of(len);
	level = descend(fib, addr, want, path);
	slot = level == want && fib4_bit_test(path[want].present, present_bit(want, addr, len))
	               ? fib4_store_find(pool, fib->id, addr, len)
	               : NULL;
	if (slot) {
		slot->owner = owner;
		if (slot->nexthop == nexthop)
			return 0;
		slot->nexthop = nexthop;
		paint_prefix(fib, &path[want], want, addr, len, len, make_leaf(nexthop, len));
		return 0;
	}
	if (pool->routes == pool->max_routes || pool->free_count < want - level)
		return -ENOSPC;
	for (; level < want; level++) {
		uint32_t *entry = &path[level].entries[fib4_level_slot(level, addr)];
		uint32_t node = fib4_node_take(pool, fib4_entry_read(entry));

		entry_publish(entry, node | FIB4_CHILD);
		if (level)
			pool->used[path[level].node]++;
		path[level + 1] = fib4_level_node(fib, node);
	}
	slot = fib4_store_insert(pool, fib->id, addr, len);
	slot->nexthop = nexthop;
	slot->owner = owner;
	fib->routes++;
	if (want)
		pool->used[path[want].node]++;
	path[want].present[present_bit(want, addr, len) / 64] |=
	        1ull << present_bit(want, addr, len) % 64;
	paint_prefix(fib, &path[want], want, addr, len, 0, make_leaf(nexthop, len));
	return 0;
}

/* Replaces nodes that nothing needs any more by the leaf that fills them, from `level` up. */
static void collapse(struct fib4 *fib, const struct fib4_level *path, unsigned level, uint32_t addr)
{
	struct fib4_pool *pool = fib->pool;

	for (; level > 0 && --pool->used[path[level].node] == 0; level--) {
		uint32_t leaf = fib4_entry_read(&path[level].entries[0]);

		entry_publish(&path[level - 1].entries[fib4_level_slot(level - 1, addr)], leaf);
		fib4_node_retire(pool, path[level].node);
	}
}

int fib4_del(struct fib4 *fib, uint32_t addr, uint8_t len)
{
	struct fib4_pool *pool = fib->pool;
	struct fib4_level path[3];
	struct fib4_slot *cover;
	unsigned level;
	uint32_t bit;

	if (!prefix_valid(addr, len))
		return -EINVAL;
	level = fib4_level_of(len);
	bit = present_bit(level, addr, len);
	if (descend(fib, addr, level, path) != level || !fib4_bit_test(path[level].present, bit))
		return -ENOENT;
	path[level].present[bit / 64] &= ~(1ull << bit % 64);
	cover = covering(fib, path, level, addr, len - 1);
	paint_prefix(fib, &path[level], level, addr, len, len,
	        cover ? make_leaf(cover->nexthop, cover->len) : 0);
	fib4_store_remove(pool, fib4_store_find(pool, fib->id, addr, len));
	fib->routes--;
	collapse(fib, path, level, addr);
	return 0;
}

static struct fib4_slot *find(const struct fib4 *fib, uint32_t addr, uint8_t len)
{
	return fib4_store_find(fib->pool, fib->id, addr, len);
}

int fib4_get(const struct fib4 *fib, uint32_t addr, uint8_t len, struct fib4_route *route)
{
	const struct fib4_slot *slot;

	if (!prefix_valid(addr, len))
		return -EINVAL;
	slot = find(fib, addr, len);
	if (!slot)
		return -ENOENT;
	if (route)
		*route = fib4_route_of(slot);
	return 0;
}

int fib4_match(const struct fib4 *fib, uint32_t addr, struct fib4_route *route)
{
	struct fib4_level path[3];
	unsigned level = descend(fib, addr, 2, path);
	const struct fib4_slot *slot = covering(fib, path, level, addr, 32);

	if (!slot)
		return -ENOENT;
	*route = fib4_route_of(slot);
	return 0;
}

int fib4_set_mark(struct fib4 *fib, uint32_t addr, uint8_t len, uint8_t mark)
{
	struct fib4_slot *slot;

	if (!prefix_valid(addr, len))
		return -EINVAL;
	slot = find(fib, addr, len);
	if (!slot)
		return -ENOENT;
	slot->mark = mark;
	return 0;
}

struct fib4 *fib4_create(struct fib4_pool *pool, uint16_t id)
{
	struct fib4 *fib = table_alloc(pool->memory, sizeof(*fib));

	if (!fib) {
		errno = ENOMEM;
		return NULL;
	}
	memset(fib, 0, sizeof(*fib));
	fib->nodes = pool->nodes;
	fib->pool = pool;
	fib->id = id;
	return fib;
}

void fib4_destroy(struct fib4 *fib)
{
	if (!fib)
		return;
	fib4_clear(fib, UINT32_MAX);
	table_release(fib->pool->memory, fib);
}
