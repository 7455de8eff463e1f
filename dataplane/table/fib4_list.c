/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading a whole table, page by page, for the tables thread. */
#include "fib4_private.h"

struct listing {
	const struct fib4 *fib;
	uint32_t from; /* an address before which nothing is listed */
	int after_len; /* at `from` itself, only longer prefixes */
	struct fib4_route *routes;
	unsigned n;
	unsigned count;
};

/* The prefixes that start at a slot of this level, shortest first. */
static void list_slot(struct listing *l, const struct fib4_level *at, unsigned level, uint32_t slot,
        uint32_t addr)
{
	unsigned bits = fib4_level_bits(level);
	unsigned rel = slot ? bits - (unsigned)__builtin_ctz(slot) : level ? 1 : 0;

	if (addr < l->from)
		return;
	for (; rel <= bits && l->count < l->n; rel++) {
		uint8_t len = (uint8_t)(fib4_level_base(level) + rel);

		if (!fib4_bit_test(at->present, 1u << rel | slot >> (bits - rel)))
			continue;
		if (addr == l->from && len <= l->after_len)
			continue;
		l->routes[l->count++] =
		        fib4_route_of(fib4_store_find(l->fib->pool, l->fib->id, addr, len));
	}
}

static void list_level(
        struct listing *l, const struct fib4_level *at, unsigned level, uint32_t base)
{
	unsigned shift = 16 - 8 * level;
	uint32_t slots = 1u << fib4_level_bits(level);
	uint32_t slot = base < l->from ? fib4_level_slot(level, l->from) : 0;

	for (; slot < slots && l->count < l->n; slot++) {
		uint32_t addr = base | slot << shift;
		uint32_t entry = fib4_entry_read(&at->entries[slot]);

		list_slot(l, at, level, slot, addr);
		if (entry & FIB4_CHILD) {
			struct fib4_level child = fib4_level_node(l->fib, entry & ~FIB4_CHILD);

			list_level(l, &child, level + 1, addr);
		}
	}
}

unsigned fib4_list(const struct fib4 *fib, const struct fib4_route *after,
        struct fib4_route *routes, unsigned n)
{
	struct fib4_level root = fib4_level_root(fib);
	struct listing l = {.fib = fib, .after_len = -1, .routes = routes, .n = n};

	if (after) {
		l.from = after->addr;
		l.after_len = after->len;
	}
	list_level(&l, &root, 0, 0);
	return l.count;
}

uint32_t fib4_clear(struct fib4 *fib, uint32_t max)
{
	struct fib4_route routes[64];
	struct fib4_route last, *after = NULL;
	uint32_t removed = 0;

	while (removed < max && fib->routes) {
		unsigned n = fib4_list(fib, after, routes, max - removed < 64 ? max - removed : 64);

		if (!n)
			break;
		for (unsigned i = 0; i < n; i++)
			fib4_del(fib, routes[i].addr, routes[i].len);
		last = routes[n - 1];
		after = &last;
		removed += n;
	}
	return removed;
}
