/* SPDX-License-Identifier: BSD-3-Clause */
/* local6: IPv6 packets to the gateway itself. It answers echo (RFC 4443 section 4.2). */
#include "dataplane/stage/ip6.h"
#include "dataplane/stage/stage.h"

static void make_echo_answer(struct batch *batch, uint64_t i, unsigned offset)
{
	const struct port *port = &shared->port[batch->in_port[i]];
	uint8_t *head = batch->head[i], *ip6 = head + L3_OFFSET, *icmp = ip6 + offset;
	uint8_t source[16];
	uint32_t sum;

	memcpy(head, head + 6, 6);
	memcpy(head + 6, &port->gateway_mac, 6);
	memcpy(source, ip6 + 8, 16);
	memcpy(ip6 + 8, ip6 + 24, 16);
	memcpy(ip6 + 24, source, 16);
	ip6[7] = 64;
	/* The type is the high byte of its word and grows by one: RFC 1624. A checksum that was
	 * wrong stays wrong. */
	icmp[0] = ICMP6_ECHO_ANSWER;
	sum = (uint16_t)~load_be16(icmp + 2) + 0x0100u;
	sum = (uint16_t) ~(sum + (sum >> 16));
	store_be16(icmp + 2, (uint16_t)sum);
	batch->out_port[i] = batch->in_port[i];
	batch->out_tag[i] = port->vlan;
	batch_next(batch, i, PR_STAGE_TX);
}

void stage_local6(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_LOCAL6);

	(void)worker;
	BATCH_FOREACH (i, mask) {
		unsigned room = batch->head_length[i] - L3_OFFSET;
		const uint8_t *ip6 = batch->head[i] + L3_OFFSET;
		struct ip6_upper upper = ip6_find_upper(ip6, room);

		if (!upper.offset) {
			batch_drop(batch, i, PR_DROP_HEADER_TOO_LONG);
		} else if (upper.protocol != IPPROTO_ICMPV6 && upper.protocol != IPPROTO_NONE) {
			batch->reason[i] = PR_DROP_LOCAL_UNHANDLED;
			batch_next(batch, i, PR_STAGE_ICMP6_ERROR);
		} else if (upper.protocol == IPPROTO_ICMPV6 && upper.offset == IP6_BYTES &&
		           room >= IP6_BYTES + ICMP6_BYTES && ip6[IP6_BYTES] == ICMP6_ECHO &&
		           ip6[IP6_BYTES + 1] == 0) {
			make_echo_answer(batch, i, upper.offset);
		} else {
			batch_drop(batch, i, PR_DROP_LOCAL_UNHANDLED);
		}
	}
}
