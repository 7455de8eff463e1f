/* SPDX-License-Identifier: BSD-3-Clause */
/* route: the checks of RFC 1812 section 5.2.2 and 5.3.7, then longest-prefix match. */
#include "dataplane/stage/dispatch.h"
#include "dataplane/stage/ip_header.h"

/* Looks up the entries of one segment in its table, in one go. */
static void route_segment(
        struct batch *batch, const uint8_t *entry, const uint32_t *address, unsigned n)
{
	uint32_t index[PR_BATCH];

	fib4_lookup_bulk(shared->segment[batch->segment[entry[0]]].fib, address, index, n);
	dispatch(batch, entry, index, n, false);
}

/* Packets of several networks: one after the other. */
static void route_segments(
        struct batch *batch, const uint8_t *entry, const uint32_t *address, unsigned n)
{
	uint32_t own_address[PR_BATCH];
	uint8_t own[PR_BATCH], place[PR_BATCH];
	uint64_t left = dispatch_places(n);

	while (left) {
		unsigned m = dispatch_same_segment(batch, entry, &left, own, place);

		for (unsigned k = 0; k < m; k++)
			own_address[k] = address[place[k]];
		route_segment(batch, own, own_address, m);
	}
}

void stage_route(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_ROUTE);
	uint16_t segment = mask ? batch->segment[__builtin_ctzll(mask)] : NO_SEGMENT, other = 0;
	uint32_t address[PR_BATCH];
	uint8_t entry[PR_BATCH];
	unsigned n = 0;

	(void)worker;
	BATCH_FOREACH (i, mask) {
		enum pr_drop_reason reason = ip4_check_header(batch, i);

		if (unlikely(reason != PR_DROP_COUNT)) {
			batch_drop(batch, i, reason);
			continue;
		}
		address[n] = load_be32(batch->head[i] + L3_OFFSET + 16);
		entry[n++] = (uint8_t)i;
		other |= batch->segment[i] ^ segment;
	}
	if (likely(n && !other))
		route_segment(batch, entry, address, n);
	else if (n)
		route_segments(batch, entry, address, n);
}
