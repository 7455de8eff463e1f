/* SPDX-License-Identifier: BSD-3-Clause */
/* route: the checks of RFC 1812 section 5.2.2 and 5.3.7, then longest-prefix match. */
#include "dataplane/stage/dispatch.h"

/* Returns PR_DROP_COUNT if the header is sound. Trims what Ethernet padded. */
static inline enum pr_drop_reason check_header(struct batch *batch, uint64_t i)
{
	const uint8_t *ip = batch->head[i] + L3_OFFSET;
	uint32_t length = batch->length[i] - L3_OFFSET;
	unsigned header, total;
	uint16_t sum;

	if (unlikely(batch->length[i] < L3_OFFSET + 20))
		return PR_DROP_TOO_SHORT;
	header = (ip[0] & 15) * 4u;
	total = load_be16(ip + 2);
	if (unlikely(ip[0] >> 4 != 4 || header < 20 || total < header))
		return PR_DROP_IP_HEADER;
	if (unlikely(total > length || L3_OFFSET + header > batch->head_length[i]))
		return PR_DROP_TOO_SHORT;
	sum = likely(header == 20) ? ip4_sum20(ip) : bytes_sum(ip, header);
	if (unlikely(sum != 0xffff))
		return PR_DROP_IP_CHECKSUM;
	if (unlikely(ip4_is_martian(load_be32(ip + 12)) || ip4_is_martian(load_be32(ip + 16))))
		return PR_DROP_IP_MARTIAN;
	if (total < length) {
		/* What was left to the receiver ends where the packet does. */
		if (unlikely(batch->offload[i]))
			return PR_DROP_IP_HEADER;
		/* A frame of 60 bytes may carry less: what is behind is not ours to pass on. */
		batch_trim(batch, i, L3_OFFSET + total);
	}
	return PR_DROP_COUNT;
}

/* Looks up the entries of one segment in its table, in one go. */
static void route_segment(struct batch *batch, uint16_t segment, const uint8_t *entry,
        const uint32_t *address, unsigned n)
{
	uint32_t index[PR_BATCH];

	fib4_lookup_bulk(shared->segment[segment].fib, address, index, n);
	dispatch(batch, entry, index, n, false);
}

/* Packets of several networks: one after the other. */
static void route_segments(
        struct batch *batch, const uint8_t *entry, const uint32_t *address, unsigned n)
{
	uint32_t own_address[PR_BATCH];
	uint8_t own[PR_BATCH];
	uint64_t left = n < PR_BATCH ? (UINT64_C(1) << n) - 1 : UINT64_MAX;

	while (left) {
		uint16_t segment = batch->segment[entry[__builtin_ctzll(left)]];
		unsigned m = 0;

		BATCH_FOREACH (k, left) {
			if (batch->segment[entry[k]] != segment)
				continue;
			own_address[m] = address[k];
			own[m++] = entry[k];
			left &= ~(UINT64_C(1) << k);
		}
		route_segment(batch, segment, own, own_address, m);
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
		enum pr_drop_reason reason = check_header(batch, i);

		if (unlikely(reason != PR_DROP_COUNT)) {
			batch_drop(batch, i, reason);
			continue;
		}
		address[n] = load_be32(batch->head[i] + L3_OFFSET + 16);
		entry[n++] = (uint8_t)i;
		other |= batch->segment[i] ^ segment;
	}
	if (likely(n && !other))
		route_segment(batch, segment, entry, address, n);
	else if (n)
		route_segments(batch, entry, address, n);
}
