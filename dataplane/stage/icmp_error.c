/* SPDX-License-Identifier: BSD-3-Clause */
/* icmp_error: tells the sender why its packet was refused (RFC 792, RFC 1812 section 4.3), with a
 * packet of our own. The refused packet goes to drop with its reason either way. */
#include <netinet/in.h>

#include "dataplane/stage/error_quote.h"
#include "dataplane/stage/ip4.h"
#include "dataplane/stage/stage.h"

#define ICMP_UNREACHABLE   3
#define ICMP_TIME_EXCEEDED 11
#define DONT_FRAGMENT      0x4000
#define OFFSET_BITS        0x1fff
#define ERROR_MAX          576 /* RFC 1812 4.3.2.3 */
#define IP_BYTES           20
#define ICMP_BYTES         8
#define QUOTE_MAX          (ERROR_MAX - IP_BYTES - ICMP_BYTES)

struct error_kind {
	uint8_t type, code;
	uint16_t mtu;
};

/* Whether this reason is told at all, and how. */
static bool error_for(const struct batch *batch, uint64_t i, struct error_kind *kind)
{
	const uint8_t *ip = batch->head[i] + L3_OFFSET;
	const struct next_hop *hop;

	*kind = (struct error_kind){.type = ICMP_UNREACHABLE};
	switch (batch->reason[i]) {
	case PR_DROP_TTL_EXPIRED:
		kind->type = ICMP_TIME_EXCEEDED;
		return true;
	case PR_DROP_NO_ROUTE:
		return true;
	case PR_DROP_UNREACHABLE:
	case PR_DROP_NEIGHBOUR_FAILED:
		kind->code = 1;
		return true;
	case PR_DROP_LOCAL_UNHANDLED:
		kind->code = ip4_is_source_routed(ip)                       ? 5
		             : ip[9] == IPPROTO_UDP || ip[9] == IPPROTO_TCP ? 3
		                                                            : 2;
		return true;
	case PR_DROP_MTU_EXCEEDED:
		hop = next_hop_get(batch->next_hop[i]);
		kind->code = 4;
		kind->mtu = hop ? hop->mtu : 0;
		/* Segments that can not be made shorter are as bad as a packet that may not. */
		return hop &&
		       (load_be16(ip + 6) & DONT_FRAGMENT || batch->offload[i] & OFFLOAD_TSO);
	default:
		return false;
	}
}

/* RFC 1812 4.3.2.7: never about an ICMP error, a later fragment, or a frame sent to many. */
static bool may_be_told(const struct batch *batch, uint64_t i)
{
	const uint8_t *ip = batch->head[i] + L3_OFFSET;
	unsigned header = (ip[0] & 15) * 4u;

	if (batch->head[i][0] & 1 || load_be16(ip + 6) & OFFSET_BITS)
		return false;
	if (ip[9] != IPPROTO_ICMP)
		return true;
	if (batch->head_length[i] < L3_OFFSET + header + 1u)
		return false;
	switch (ip[header]) {
	case 0:
	case 8:
	case 13:
	case 14:
		return true;
	default:
		return false;
	}
}

static void fill_error(uint8_t *to, const struct batch *batch, uint64_t i, const struct port *port,
        const struct error_kind *kind, unsigned quote)
{
	const uint8_t *head = batch->head[i];
	uint8_t *ip = to + L3_OFFSET, *icmp = ip + IP_BYTES;
	uint16_t sum;

	memcpy(to, head + 6, 6);
	memcpy(to + 6, &port->gateway_mac, 6);
	store_be16(to + 12, RTE_ETHER_TYPE_IPV4);
	memset(ip, 0, IP_BYTES + ICMP_BYTES);
	ip[0] = 0x45;
	ip[1] = 0xc0; /* internetwork control, RFC 1812 4.3.2.5 */
	store_be16(ip + 2, (uint16_t)(IP_BYTES + ICMP_BYTES + quote));
	ip[8] = 64;
	ip[9] = IPPROTO_ICMP;
	store_be32(ip + 12, port->own_address);
	memcpy(ip + 16, head + L3_OFFSET + 12, 4);
	sum = (uint16_t)~ip4_sum20(ip);
	memcpy(ip + 10, &sum, 2);
	icmp[0] = kind->type;
	icmp[1] = kind->code;
	store_be16(icmp + 6, kind->mtu);
	sum = (uint16_t)~bytes_sum(icmp, ICMP_BYTES + quote);
	memcpy(icmp + 2, &sum, 2);
}

/* Returns false when no error could be sent for want of tokens or buffers. */
static bool send_error(struct worker *worker, struct batch *batch, uint64_t i)
{
	const struct port *port = &shared->port[batch->in_port[i]];
	struct error_kind kind;
	struct rte_mbuf *m;
	unsigned quote;

	if (!error_for(batch, i, &kind) || !may_be_told(batch, i) || !port->own_address)
		return true;
	m = error_quote(worker, batch, i, IP_BYTES + ICMP_BYTES, QUOTE_MAX, &quote);
	if (!m)
		return false;
	fill_error(rte_pktmbuf_mtod(m, uint8_t *), batch, i, port, &kind, quote);
	pipeline_answer(worker, batch, i, m);
	return true;
}

void stage_icmp_error(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_ICMP_ERROR);

	BATCH_FOREACH (i, mask) {
		if (!send_error(worker, batch, i))
			batch->reason[i] = PR_DROP_ICMP_LIMIT;
		batch_drop(batch, i, batch->reason[i]);
	}
}
