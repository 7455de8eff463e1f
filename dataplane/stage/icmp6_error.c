/* SPDX-License-Identifier: BSD-3-Clause */
/* icmp6_error: tells the sender why its packet was refused (RFC 4443 sections 2.4 and 3), with a
 * packet of our own. The refused packet goes to drop with its reason either way. */
#include "dataplane/stage/error_quote.h"
#include "dataplane/stage/ip6_receive.h"
#include "dataplane/stage/stage.h"

#define QUOTE_MAX (IP6_MTU_MIN - IP6_BYTES - ICMP6_BYTES) /* RFC 4443 2.4 (c) */

enum code {
	CODE_NO_ROUTE = 0,
	CODE_BEYOND_SCOPE = 2,
	CODE_ADDRESS = 3,
	CODE_PORT = 4,
};

struct error_kind {
	uint8_t type, code;
	uint32_t word; /* MTU or pointer */
};

static bool local_error(const struct batch *batch, uint64_t i, struct error_kind *kind)
{
	struct ip6_received received;

	switch (ip6_receive(batch->head[i] + L3_OFFSET, batch->head_length[i] - (unsigned)L3_OFFSET,
	        &received)) {
	case IP6_DELIVER:
		kind->code = CODE_PORT;
		return true;
	case IP6_PROBLEM:
		*kind = (struct error_kind){ICMP6_PARAMETER, received.code, received.pointer};
		return true;
	default:
		return false;
	}
}

/* Whether this reason is told at all, and how. */
static bool error_for(const struct batch *batch, uint64_t i, struct error_kind *kind)
{
	const struct next_hop *hop;

	*kind = (struct error_kind){.type = ICMP6_UNREACHABLE};
	switch (batch->reason[i]) {
	case PR_DROP_TTL_EXPIRED:
		kind->type = ICMP6_TIME_EXCEEDED;
		return true;
	case PR_DROP_NO_ROUTE:
		kind->code = CODE_NO_ROUTE;
		return true;
	case PR_DROP_BEYOND_SCOPE:
		kind->code = CODE_BEYOND_SCOPE;
		return true;
	case PR_DROP_UNREACHABLE:
	case PR_DROP_NEIGHBOUR_FAILED:
		kind->code = CODE_ADDRESS;
		return true;
	case PR_DROP_LOCAL_UNHANDLED:
		return local_error(batch, i, kind);
	case PR_DROP_MTU_EXCEEDED:
		hop = next_hop_get(batch->next_hop[i]);
		kind->type = ICMP6_PACKET_TOO_BIG;
		kind->word = hop ? hop->mtu : 0;
		return hop;
	default:
		return false;
	}
}

/* RFC 4443 2.4 (e): never about an error or a redirect, a source that is not one node, a packet
 * sent to many but for an option that asks for it. Nor about a later fragment. What may be an error
 * because it can not be seen is taken for one. */
static bool may_be_told(const struct batch *batch, uint64_t i, const struct ip6_upper *upper,
        const struct error_kind *kind)
{
	const uint8_t *ip6 = batch->head[i] + L3_OFFSET;
	bool many = batch->head[i][0] & 1 || ip6_is_multicast(ip6 + 24);
	uint8_t type;

	if (many && !(kind->type == ICMP6_PARAMETER && kind->code == IP6_PROBLEM_OPTION))
		return false;
	if (upper->fragment || ip6_is_multicast(ip6 + 8) || ip6_is_unspecified(ip6 + 8))
		return false;
	if (upper->offset && upper->protocol != IPPROTO_ICMPV6)
		return true;
	if (!upper->offset || batch->head_length[i] <= L3_OFFSET + (unsigned)upper->offset)
		return false;
	type = ip6[upper->offset];
	return type >= ICMP6_FIRST_INFORMATIONAL && type != ICMP6_ND_REDIRECT;
}

static void fill_error(uint8_t *to, const struct batch *batch, uint64_t i, const struct port *port,
        const struct error_kind *kind, unsigned quote)
{
	const uint8_t *head = batch->head[i], *refused = head + L3_OFFSET;
	uint8_t *ip6 = to + L3_OFFSET, *icmp = ip6 + IP6_BYTES;
	bool link = ip6_is_unspecified(port->own_address6) || ip6_is_link_local(refused + 8);

	memcpy(to, head + 6, 6);
	memcpy(to + 6, &port->gateway_mac, 6);
	store_be16(to + 12, RTE_ETHER_TYPE_IPV6);
	ip6_fill(ip6, (uint16_t)(ICMP6_BYTES + quote), 64);
	memcpy(ip6 + 8, link ? port->link_local : port->own_address6, 16);
	memcpy(ip6 + 24, refused + 8, 16);
	icmp[0] = kind->type;
	icmp[1] = kind->code;
	store_be32(icmp + 4, kind->word);
	icmp6_finish(ip6, icmp, ICMP6_BYTES + quote);
}

/* Returns false when no error could be sent for want of tokens or buffers. */
static bool send_error(struct worker *worker, struct batch *batch, uint64_t i)
{
	const struct port *port = &shared->port[batch->in_port[i]];
	struct ip6_upper upper =
	        ip6_find_upper(batch->head[i] + L3_OFFSET, batch->head_length[i] - L3_OFFSET);
	struct error_kind kind;
	struct rte_mbuf *m;
	unsigned quote;

	if (!error_for(batch, i, &kind) || !may_be_told(batch, i, &upper, &kind))
		return true;
	m = error_quote(worker, batch, i, IP6_BYTES + ICMP6_BYTES, QUOTE_MAX, &quote);
	if (!m)
		return false;
	fill_error(rte_pktmbuf_mtod(m, uint8_t *), batch, i, port, &kind, quote);
	pipeline_answer(worker, batch, i, m);
	return true;
}

void stage_icmp6_error(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_ICMP6_ERROR);

	BATCH_FOREACH (i, mask) {
		if (!send_error(worker, batch, i))
			batch->reason[i] = PR_DROP_ICMP_LIMIT;
		batch_drop(batch, i, batch->reason[i]);
	}
}
