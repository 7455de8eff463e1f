/* SPDX-License-Identifier: BSD-3-Clause */
/* local: packets to the gateway itself. It answers echo (RFC 792, RFC 1122 3.2.2.6). */
#include <netinet/in.h>

#include "dataplane/stage/dispatch.h"
#include "dataplane/stage/stage.h"

#define ICMP_ECHO_REQUEST 8
#define FRAGMENT_BITS     0x3fff /* more fragments, offset */

static void make_echo_reply(struct batch *batch, uint64_t i, unsigned header)
{
	const struct port *port = &shared->port[batch->in_port[i]];
	uint8_t *head = batch->head[i];
	uint8_t *ip = head + L3_OFFSET;
	uint8_t source[4];
	uint32_t sum;

	memcpy(head, head + 6, 6);
	memcpy(head + 6, &port->gateway_mac, 6);
	memcpy(source, ip + 12, 4);
	memcpy(ip + 12, ip + 16, 4);
	memcpy(ip + 16, source, 4);
	ip[8] = 64;
	store_be16(ip + 10, 0);
	sum = (uint16_t)~bytes_sum(ip, header);
	memcpy(ip + 10, &(uint16_t){(uint16_t)sum}, 2);
	/* Type 8 becomes 0: RFC 1624 on its word. A checksum that was wrong stays wrong. */
	ip[header] = 0;
	sum = load_be16(ip + header + 2) + 0x0800u;
	store_be16(ip + header + 2, (uint16_t)(sum + (sum >> 16)));
	batch->out_port[i] = batch->in_port[i];
	batch->out_tag[i] = port->vlan;
	if (unlikely(batch->offload[i] & OFFLOAD_REASSEMBLED) &&
	        batch->length[i] - L3_OFFSET > port->mtu)
		dispatch_fragment(batch, i, batch->gso_size[i]);
	batch_next(batch, i, PR_STAGE_TX);
}

void stage_local(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_LOCAL);

	(void)worker;
	BATCH_FOREACH (i, mask) {
		const uint8_t *ip = batch->head[i] + L3_OFFSET;
		unsigned header = (ip[0] & 15) * 4u;
		bool fragment = load_be16(ip + 6) & FRAGMENT_BITS;

		/* We are on nobody's way: such packets are not sent on (RFC 7126 section 4.3), and
		 * are not for us (RFC 1812 section 5.2.4.1). */
		if (ip[9] == IPPROTO_ICMP && !(header > 20 && ip4_is_source_routed(ip))) {
			if (!fragment && batch->head_length[i] >= L3_OFFSET + header + 8 &&
			        ip[header] == ICMP_ECHO_REQUEST)
				make_echo_reply(batch, i, header);
			else
				batch_drop(batch, i, PR_DROP_LOCAL_UNHANDLED);
			continue;
		}
		batch->reason[i] = PR_DROP_LOCAL_UNHANDLED;
		batch_next(batch, i, PR_STAGE_ICMP_ERROR);
	}
}
