/* SPDX-License-Identifier: BSD-3-Clause */
/* What is checked of a header before anything else looks at it: by the routers, and before
 * fragments are put together. Workers only. */
#ifndef DATAPLANE_STAGE_IP_HEADER_H
#define DATAPLANE_STAGE_IP_HEADER_H

#include "dataplane/batch.h"
#include "dataplane/stage/ip6.h"

/* Returns PR_DROP_COUNT if the header is sound (RFC 1812 section 5.2.2). Trims what Ethernet
 * padded. */
static inline enum pr_drop_reason ip4_check_header(struct batch *batch, uint64_t i)
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

/* The same for IPv6 (RFC 8200, RFC 4291). */
static inline enum pr_drop_reason ip6_check_header(struct batch *batch, uint64_t i)
{
	const uint8_t *ip6 = batch->head[i] + L3_OFFSET;
	uint32_t length = batch->length[i] - L3_OFFSET, total;

	if (unlikely(batch->length[i] < L3_OFFSET + IP6_BYTES ||
	             batch->head_length[i] < L3_OFFSET + IP6_BYTES))
		return PR_DROP_TOO_SHORT;
	total = IP6_BYTES + load_be16(ip6 + 4);
	/* Options and yet no payload make a jumbogram (RFC 2675): no link here carries one. */
	if (unlikely(ip6[0] >> 4 != 6 || (total == IP6_BYTES && ip6[6] == IPPROTO_HOPOPTS)))
		return PR_DROP_IP_HEADER;
	if (unlikely(total > length))
		return PR_DROP_TOO_SHORT;
	if (unlikely(!ip6_is_global(ip6 + 8) || !ip6_is_global(ip6 + 24)) &&
	        (ip6_is_martian(ip6 + 8) || ip6_is_martian(ip6 + 24)))
		return PR_DROP_IP_MARTIAN;
	if (total < length) {
		if (unlikely(batch->offload[i]))
			return PR_DROP_IP_HEADER;
		batch_trim(batch, i, L3_OFFSET + total);
	}
	return PR_DROP_COUNT;
}

#endif
