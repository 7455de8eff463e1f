/* SPDX-License-Identifier: BSD-3-Clause */
/* route6: the checks of RFC 8200 and RFC 4291, then longest-prefix match. Extension headers are the
 * receiver's (RFC 8200 section 4): a router that forwards looks at none. */
#include "dataplane/stage/dispatch.h"
#include "dataplane/stage/ip_header.h"

/* RFC 4291 section 2.5.6: a router does not forward them; to ourselves they are as good as any. */
static void link_local(struct batch *batch, uint64_t i)
{
	const uint8_t *ip6 = batch->head[i] + L3_OFFSET;
	const struct port *port = &shared->port[batch->in_port[i]];
	uint32_t index;
	const struct next_hop *hop;

	if (!memcmp(ip6 + 24, port->link_local, 16)) {
		batch_next(batch, i, PR_STAGE_LOCAL6);
		return;
	}
	if (ip6_is_link_local(ip6 + 24)) {
		/* Somebody else on a link that has nobody else. */
		dispatch_refuse(batch, i, PR_DROP_UNREACHABLE, true);
		return;
	}
	index = fib6_lookup(shared->segment[batch->segment[i]].fib6, ip6 + 24);
	hop = next_hop_get(index);
	batch->next_hop[i] = index;
	if (hop && hop->type == NEXT_HOP_LOCAL)
		batch_next(batch, i, PR_STAGE_LOCAL6);
	else
		dispatch_refuse(batch, i, PR_DROP_BEYOND_SCOPE, true);
}

/* Looks up the entries of one segment in its table, in one go. */
static void route_segment(
        struct batch *batch, const uint8_t *entry, const uint8_t *const *address, unsigned n)
{
	uint32_t index[PR_BATCH];

	fib6_lookup_bulk(shared->segment[batch->segment[entry[0]]].fib6, address, index, n);
	dispatch(batch, entry, index, n, true);
}

/* Entries of one segment after the other: nearly always there is one. */
static void route_segments(
        struct batch *batch, const uint8_t *entry, const uint8_t *const *address, unsigned n)
{
	const uint8_t *own_address[PR_BATCH];
	uint8_t own[PR_BATCH], place[PR_BATCH];
	uint64_t left = dispatch_places(n);

	while (left) {
		unsigned m = dispatch_same_segment(batch, entry, &left, own, place);

		for (unsigned k = 0; k < m; k++)
			own_address[k] = address[place[k]];
		route_segment(batch, own, own_address, m);
	}
}

void stage_route6(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_ROUTE6);
	const uint8_t *address[PR_BATCH];
	uint8_t entry[PR_BATCH];
	unsigned n = 0;

	(void)worker;
	BATCH_FOREACH (i, mask) {
		enum pr_drop_reason reason = ip6_check_header(batch, i);
		const uint8_t *ip6 = batch->head[i] + L3_OFFSET;

		if (unlikely(reason != PR_DROP_COUNT)) {
			batch_drop(batch, i, reason);
		} else if (unlikely(!ip6_is_global(ip6 + 8) || !ip6_is_global(ip6 + 24)) &&
		           (ip6_is_link_local(ip6 + 8) || ip6_is_link_local(ip6 + 24))) {
			link_local(batch, i);
		} else {
			address[n] = ip6 + 24;
			entry[n++] = (uint8_t)i;
		}
	}
	if (n)
		route_segments(batch, entry, address, n);
}
