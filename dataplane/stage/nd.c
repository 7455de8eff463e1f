/* SPDX-License-Identifier: BSD-3-Clause */
/* nd: in routed networks, answers for the gateway and by proxy (RFC 4861, RFC 4389), and news of
 * neighbours for the tables thread. */
#include "dataplane/router_advertisement.h"
#include "dataplane/stage/ip6.h"
#include "dataplane/stage/stage.h"

#define TARGET         8  /* offset in solicitation and advertisement */
#define SOLICIT_BYTES  24 /* without options; an advertisement's too */
#define ROUTER_BYTES   8
#define ANSWER_PAYLOAD (SOLICIT_BYTES + ND_LINK_BYTES)

/* A message that was found sound. Pointers are into the head. */
struct nd_message {
	const uint8_t *ip6, *icmp;
	uint32_t length;     /* of the ICMPv6 message */
	const uint8_t *link; /* MAC of its source or target link-layer option, NULL: none */
};

/* Finds the link-layer option of a type. False: an option has length 0 or is cut off. */
static bool read_options(struct nd_message *m, unsigned from, enum nd_option wanted)
{
	m->link = NULL;
	while (from < m->length) {
		unsigned n = m->length - from < 2 ? 0 : m->icmp[from + 1] * 8u;

		if (!n || from + n > m->length)
			return false;
		if (m->icmp[from] == wanted && n == ND_LINK_BYTES)
			m->link = m->icmp + from + 2;
		from += n;
	}
	return true;
}

/* RFC 4861 sections 6.1.1, 7.1.1 and 7.1.2: what a sender without an address may send. */
static bool source_fits(const struct nd_message *m)
{
	uint8_t group[16];

	if (!ip6_is_unspecified(m->ip6 + 8))
		return true;
	if (m->link)
		return false;
	if (m->icmp[0] != ICMP6_NEIGHBOUR_SOLICIT)
		return m->icmp[0] == ICMP6_ROUTER_SOLICIT;
	ip6_solicited_node(group, m->icmp + TARGET);
	return !memcmp(group, m->ip6 + 24, 16);
}

/* RFC 4861 section 7.1.2: what goes to many answers nobody. */
static bool solicited_fits(const struct nd_message *m)
{
	return m->icmp[0] != ICMP6_NEIGHBOUR_ADVERTISE || !(m->icmp[4] & ND_SOLICITED) ||
	       !ip6_is_multicast(m->ip6 + 24);
}

static bool targets_one(const struct nd_message *m)
{
	return m->icmp[0] == ICMP6_ROUTER_SOLICIT || !ip6_is_multicast(m->icmp + TARGET);
}

/* One that was left to us comes from this machine: nothing could change it on its way. */
static bool checksum_is_right(const struct batch *batch, uint64_t i, const struct nd_message *m)
{
	if (batch->offload[i] & OFFLOAD_CSUM)
		return batch->csum_start[i] + batch->csum_offset[i] == L3_OFFSET + IP6_BYTES + 2;
	return ip6_sum(m->ip6, IPPROTO_ICMPV6, m->icmp, m->length) == 0xffff;
}

/* The checks of RFC 4861 that all messages share; the whole message is in the head afterwards. */
static bool read_message(struct batch *batch, uint64_t i, struct nd_message *m)
{
	uint32_t length = batch->length[i] - L3_OFFSET, total;
	unsigned least;

	if (batch->length[i] > batch->head_length[i] && !batch_land(batch, i))
		return false;
	m->ip6 = batch->head[i] + L3_OFFSET;
	m->icmp = m->ip6 + IP6_BYTES;
	total = IP6_BYTES + load_be16(m->ip6 + 4);
	m->length = total - IP6_BYTES;
	least = m->icmp[0] == ICMP6_ROUTER_SOLICIT ? ROUTER_BYTES : SOLICIT_BYTES;
	if (total > length || L3_OFFSET + total > batch->head_length[i] || m->length < least)
		return false;
	return m->ip6[7] == ND_HOP_LIMIT && m->icmp[1] == 0 && checksum_is_right(batch, i, m) &&
	       targets_one(m) && solicited_fits(m) &&
	       read_options(m, least,
	               m->icmp[0] == ICMP6_NEIGHBOUR_ADVERTISE ? ND_TARGET_LINK : ND_SOURCE_LINK) &&
	       source_fits(m);
}

/* ---- news ---- */

/* mac NULL: the message does not say, as answers to unicast questions need not (RFC 4861 7.2.4); it
 * is news only if it confirms that the neighbour is there. */
static void tell(struct worker *worker, const struct batch *batch, uint64_t i,
        const uint8_t address[16], const uint8_t *mac, bool solicited, bool keep)
{
	struct event event = {
	        .type = EVENT_NEIGHBOUR,
	        .port = batch->in_port[i],
	        .segment = batch->segment[i],
	        .address = {.family = AF_INET6},
	        .solicited = solicited,
	        .keep = keep,
	        .confirms = !mac,
	};

	if ((!mac && !solicited) || (mac && mac[0] & 1) || ip6_is_martian(address))
		return;
	memcpy(event.address.v6, address, 16);
	if (mac)
		memcpy(&event.mac, mac, 6);
	if (!worker_post(worker, &event))
		counter_add(&worker->counters.learn_lost, 1);
}

/* RFC 4861 section 7.2.5. */
static void take_advertisement(
        struct worker *worker, struct batch *batch, uint64_t i, const struct nd_message *m)
{
	bool solicited = m->icmp[4] & ND_SOLICITED;

	/* An answer to a question that named its MAC may leave it out (7.2.4); else it says
	 * nothing. */
	if (m->link || solicited)
		tell(worker, batch, i, m->icmp + TARGET, m->link, solicited,
		        !(m->icmp[4] & ND_OVERRIDE));
	batch_consume(batch, i);
}

/* ---- answers ---- */

enum whose {
	NOBODY,
	OURS,
	PROXIED,
};

/* Duplicate address detection of what the sender may take: an answer by proxy would make it believe
 * that somebody else has it. */
static bool proxy_may_answer(const struct port *port, const struct nd_message *m)
{
	const struct guard *guard = atomic_load_explicit(&port->guard, memory_order_acquire);

	return !ip6_is_unspecified(m->ip6 + 8) ||
	       (guard && !guard_allows_ip6(guard, m->icmp + TARGET));
}

/* As for ARP: whether we own the address, or answer for it because its route leads elsewhere. */
static enum whose whose_is(const struct batch *batch, uint64_t i, const struct nd_message *m)
{
	const struct segment *segment = &shared->segment[batch->segment[i]];
	const struct port *port = &shared->port[batch->in_port[i]];
	const uint8_t *target = m->icmp + TARGET;
	const struct next_hop *hop;

	if (!memcmp(target, port->link_local, 16))
		return OURS;
	if (ip6_is_martian(target) || ip6_is_link_local(target))
		return NOBODY;
	hop = next_hop_get(fib6_lookup(segment->fib6, target));
	if (!hop)
		return NOBODY;
	if (port_flags(port) & PORT_UPLINK)
		return hop->type == NEXT_HOP_LOCAL && hop->port == batch->in_port[i] ? OURS
		                                                                     : NOBODY;
	if (hop->type == NEXT_HOP_LOCAL)
		return OURS;
	if (!segment->proxy || hop->port == batch->in_port[i] || !proxy_may_answer(port, m))
		return NOBODY;
	return hop->type == NEXT_HOP_FORWARD || hop->type == NEXT_HOP_INCOMPLETE ||
	                       hop->type == NEXT_HOP_GLEAN || hop->type == NEXT_HOP_GROUP
	               ? PROXIED
	               : NOBODY;
}

/* RFC 4861 section 7.2.4; by proxy without the override flag (7.2.8). In place of the question, but
 * in a head of our own: the question may have been shorter. */
static void make_advertisement(struct batch *batch, uint64_t i, enum whose whose)
{
	static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
	const struct port *port = &shared->port[batch->in_port[i]];
	const uint8_t *question = batch->head[i];
	uint8_t *head = batch->heads[i] + HEAD_ROOM;
	uint8_t *ip6 = head + L3_OFFSET, *icmp = ip6 + IP6_BYTES;
	uint8_t target[16], asker[16];
	bool anonymous;

	memcpy(target, question + L3_OFFSET + IP6_BYTES + TARGET, 16);
	memcpy(asker, question + L3_OFFSET + 8, 16);
	anonymous = ip6_is_unspecified(asker);
	memmove(head, question + 6, 6);
	if (anonymous)
		ip6_multicast_mac(head, all_nodes);
	memcpy(head + 6, &port->gateway_mac, 6);
	store_be16(head + 12, RTE_ETHER_TYPE_IPV6);
	ip6_fill(ip6, ANSWER_PAYLOAD, ND_HOP_LIMIT);
	memcpy(ip6 + 8, whose == OURS ? target : port->link_local, 16);
	memcpy(ip6 + 24, anonymous ? all_nodes : asker, 16);
	memset(icmp, 0, TARGET);
	icmp[0] = ICMP6_NEIGHBOUR_ADVERTISE;
	icmp[4] = (uint8_t)(ND_ROUTER | (anonymous ? 0 : ND_SOLICITED) |
	                    (whose == OURS ? ND_OVERRIDE : 0));
	memcpy(icmp + TARGET, target, 16);
	nd_link_option(icmp + SOLICIT_BYTES, ND_TARGET_LINK, port->gateway_mac.b);
	icmp6_finish(ip6, icmp, ANSWER_PAYLOAD);
	batch->head[i] = head;
	batch->length[i] = batch->head_length[i] = L3_OFFSET + IP6_BYTES + ANSWER_PAYLOAD;
	batch->rest_length[i] = 0;
	batch->n_more[i] = 0;
	batch->offload[i] = 0;
	batch->out_port[i] = batch->in_port[i];
	batch->out_tag[i] = port->vlan;
	batch_next(batch, i, PR_STAGE_TX);
}

static void take_solicitation(
        struct worker *worker, struct batch *batch, uint64_t i, const struct nd_message *m)
{
	enum whose whose = whose_is(batch, i, m);

	if (m->link)
		tell(worker, batch, i, m->ip6 + 8, m->link, false, false);
	if (whose == NOBODY)
		batch_drop(batch, i, PR_DROP_ND_NOT_FOR_US);
	else
		make_advertisement(batch, i, whose);
}

/* RFC 4861 section 6.2.6: to whoever asked, or all when he has no address yet. */
static void take_router_solicitation(
        struct worker *worker, struct batch *batch, uint64_t i, const struct nd_message *m)
{
	const struct advertised *advertised = shared->segment[batch->segment[i]].advertised;
	struct port *port = &shared->port[batch->in_port[i]];
	bool anonymous = ip6_is_unspecified(m->ip6 + 8);
	struct rte_mbuf *answer;

	if (!advertised || port_flags(port) & PORT_UPLINK) {
		batch_drop(batch, i, PR_DROP_ND_NOT_FOR_US);
		return;
	}
	if (!token_bucket_take(&port->icmp_bucket, worker->now, 1)) {
		batch_drop(batch, i, PR_DROP_ICMP_LIMIT);
		return;
	}
	answer = rte_pktmbuf_alloc(shared->mbufs);
	if (!answer || rte_pktmbuf_tailroom(answer) < RA_FRAME_MAX) {
		rte_pktmbuf_free(answer);
		batch_drop(batch, i, PR_DROP_NO_MBUF);
		return;
	}
	rte_pktmbuf_append(answer, ra_fill(rte_pktmbuf_mtod(answer, uint8_t *), port, advertised,
	                                   anonymous ? NULL : m->ip6 + 8, batch->head[i] + 6));
	pipeline_answer(worker, batch, i, answer);
	batch_consume(batch, i);
}

/* To a group that we are in, but no discovery: echo, or options that may want an answer. The header
 * is looked at as route6 would. */
static void take_other(struct batch *batch, uint64_t i)
{
	const uint8_t *ip6 = batch->head[i] + L3_OFFSET;
	uint32_t total = (uint32_t)L3_OFFSET + IP6_BYTES + load_be16(ip6 + 4);

	if (ip6[0] >> 4 != 6 || (total < batch->length[i] && batch->offload[i])) {
		batch_drop(batch, i, PR_DROP_IP_HEADER);
	} else if (total > batch->length[i]) {
		batch_drop(batch, i, PR_DROP_TOO_SHORT);
	} else if (ip6_is_martian(ip6 + 8)) {
		batch_drop(batch, i, PR_DROP_IP_MARTIAN);
	} else {
		batch_trim(batch, i, total);
		batch_next(batch, i, PR_STAGE_LOCAL6);
	}
}

void stage_nd(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_ND);

	BATCH_FOREACH (i, mask) {
		struct nd_message m;

		if (batch->head[i][L3_OFFSET + 6] != IPPROTO_ICMPV6 ||
		        batch->head[i][L3_OFFSET + IP6_BYTES] == ICMP6_ECHO) {
			take_other(batch, i);
			continue;
		}
		/* What another router says of itself or of its routes is not for us. */
		if (batch->head[i][L3_OFFSET + IP6_BYTES] == ICMP6_ROUTER_ADVERTISE ||
		        batch->head[i][L3_OFFSET + IP6_BYTES] == ICMP6_ND_REDIRECT)
			batch_drop(batch, i, PR_DROP_ND_NOT_FOR_US);
		else if (!read_message(batch, i, &m))
			batch_drop(batch, i, PR_DROP_ND_INVALID);
		else if (m.icmp[0] == ICMP6_NEIGHBOUR_ADVERTISE)
			take_advertisement(worker, batch, i, &m);
		else if (m.icmp[0] == ICMP6_NEIGHBOUR_SOLICIT)
			take_solicitation(worker, batch, i, &m);
		else
			take_router_solicitation(worker, batch, i, &m);
	}
}
