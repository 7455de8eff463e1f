/* SPDX-License-Identifier: BSD-3-Clause */
/* What workers run. */
#include "fib4.h"

void fib4_lookup_bulk(const struct fib4 *fib, const uint32_t *addr, uint32_t *nexthop, unsigned n)
{
	const uint32_t *next[FIB4_BULK_MAX];
	uint8_t pending[FIB4_BULK_MAX];
	unsigned left = n;

	for (unsigned i = 0; i < n; i++) {
		next[i] = &fib->root[addr[i] >> 16];
		__builtin_prefetch(next[i]);
		pending[i] = (uint8_t)i;
	}
	for (unsigned shift = 8; left; shift -= 8) {
		unsigned below = 0;

		for (unsigned k = 0; k < left; k++) {
			unsigned i = pending[k];
			uint32_t entry = __atomic_load_n(next[i], __ATOMIC_ACQUIRE);

			if (entry & FIB4_CHILD) {
				size_t node = (size_t)(entry & ~FIB4_CHILD) * FIB4_NODE_ENTRIES;

				next[i] = &fib->nodes[node + ((addr[i] >> shift) & 0xff)];
				__builtin_prefetch(next[i]);
				pending[below++] = (uint8_t)i;
			} else {
				nexthop[i] = entry & FIB4_NEXTHOP_MAX;
			}
		}
		left = below;
	}
}
