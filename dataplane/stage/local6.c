/* SPDX-License-Identifier: BSD-3-Clause */
/* local6: IPv6 packets to the gateway itself. It answers echo (RFC 4443 section 4.2); what else
 * comes goes to icmp6_error, or dies where no answer may be given. */
#include "dataplane/offload.h"
#include "dataplane/stage/ip6_receive.h"
#include "dataplane/stage/stage.h"

/* Takes extension headers off: Ethernet and IPv6 headers move up to the message. */
static void strip_extensions(struct batch *batch, uint64_t i, unsigned bytes)
{
	uint8_t *head = batch->head[i], *ip6;

	memmove(head + bytes, head, L3_OFFSET + IP6_BYTES);
	batch->head[i] = head + bytes;
	batch->length[i] -= bytes;
	batch->head_length[i] = (uint16_t)(batch->head_length[i] - bytes);
	ip6 = batch->head[i] + L3_OFFSET;
	ip6[6] = IPPROTO_ICMPV6;
	store_be16(ip6 + 4, (uint16_t)(load_be16(ip6 + 4) - bytes));
}

/* What was put together goes back in fragments, so a fragment header stays (RFC 8200 section 4.5).
 */
static void strip_all_but_fragment(struct batch *batch, uint64_t i, unsigned bytes)
{
	const uint8_t *ip6 = batch->head[i] + L3_OFFSET;
	struct ip6_fragment found = ip6_find_fragment(ip6, IP6_BYTES + bytes);
	uint8_t header[IP6_FRAGMENT_BYTES] = {IPPROTO_ICMPV6};
	uint8_t *to;

	memcpy(header + 4, ip6 + found.at + 4, 4);
	strip_extensions(batch, i, bytes - IP6_FRAGMENT_BYTES);
	to = batch->head[i] + L3_OFFSET;
	to[6] = IPPROTO_FRAGMENT;
	memcpy(to + IP6_BYTES, header, sizeof(header));
}

/* Takes a sum out of the message's checksum and another one in (RFC 1624). A checksum that was
 * wrong stays wrong. */
static void fix_checksum(uint8_t *icmp, uint16_t gone, uint16_t come)
{
	uint32_t sum;
	uint16_t old;

	memcpy(&old, icmp + 2, 2);
	sum = (uint32_t)(uint16_t)~old + (uint16_t)~gone + come;
	sum = (sum & 0xffff) + (sum >> 16);
	old = (uint16_t) ~(sum + (sum >> 16));
	memcpy(icmp + 2, &old, 2);
}

static void make_echo_answer(struct batch *batch, uint64_t i, unsigned upper)
{
	const struct port *port = &shared->port[batch->in_port[i]];
	uint8_t *head, *ip6, *icmp, source[16];
	uint16_t addresses, type;
	unsigned own = IP6_BYTES;

	if (batch->offload[i] & OFFLOAD_CSUM)
		offload_checksum(batch, i);
	if (unlikely(batch->offload[i] & OFFLOAD_REASSEMBLED)) {
		strip_all_but_fragment(batch, i, upper - IP6_BYTES);
		own = IP6_BYTES + IP6_FRAGMENT_BYTES;
	} else if (upper > IP6_BYTES)
		strip_extensions(batch, i, upper - IP6_BYTES);
	head = batch->head[i];
	ip6 = head + L3_OFFSET;
	icmp = ip6 + own;
	addresses = bytes_sum(ip6 + 8, 32);
	type = bytes_sum(icmp, 2);
	memcpy(head, head + 6, 6);
	memcpy(head + 6, &port->gateway_mac, 6);
	memcpy(source, ip6 + 8, 16);
	/* To a group, each of its members answers from its own address. */
	memcpy(ip6 + 8, ip6_is_multicast(ip6 + 24) ? port->link_local : ip6 + 24, 16);
	memcpy(ip6 + 24, source, 16);
	ip6[7] = 64;
	icmp[0] = ICMP6_ECHO_ANSWER;
	fix_checksum(icmp, addresses, bytes_sum(ip6 + 8, 32));
	fix_checksum(icmp, type, bytes_sum(icmp, 2));
	batch->out_port[i] = batch->in_port[i];
	batch->out_tag[i] = port->vlan;
	batch_next(batch, i, PR_STAGE_TX);
}

static bool is_echo(const uint8_t *ip6, unsigned room, const struct ip6_received *received)
{
	const uint8_t *icmp = ip6 + received->upper;

	return received->upper + (unsigned)ICMP6_BYTES <= room && icmp[0] == ICMP6_ECHO &&
	       icmp[1] == 0;
}

void stage_local6(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_LOCAL6);

	(void)worker;
	BATCH_FOREACH (i, mask) {
		const uint8_t *ip6 = batch->head[i] + L3_OFFSET;
		unsigned room = batch->head_length[i] - (unsigned)L3_OFFSET;
		struct ip6_received received;
		enum ip6_verdict verdict = ip6_receive(ip6, room, &received);

		if (verdict == IP6_TOO_LONG) {
			batch_drop(batch, i, PR_DROP_HEADER_TOO_LONG);
		} else if (verdict == IP6_PROBLEM ||
		           (verdict == IP6_DELIVER && received.protocol != IPPROTO_ICMPV6)) {
			batch->reason[i] = PR_DROP_LOCAL_UNHANDLED;
			batch_next(batch, i, PR_STAGE_ICMP6_ERROR);
		} else if (verdict == IP6_DELIVER && is_echo(ip6, room, &received)) {
			make_echo_answer(batch, i, received.upper);
		} else {
			batch_drop(batch, i, PR_DROP_LOCAL_UNHANDLED);
		}
	}
}
