/* SPDX-License-Identifier: BSD-3-Clause */
/* ingress_check: a pod sends from its own MAC and addresses, unless it was allowed more. Then the
 * packet goes to the bridge, to ARP or to the router. */
#include <rte_arp.h>

#include "dataplane/stage/ip6.h"
#include "dataplane/stage/stage.h"

static inline bool mac_allowed(const struct guard *guard, const uint8_t *mac)
{
	for (unsigned n = 0; n < guard->n_macs; n++)
		if (!memcmp(&guard->macs[n], mac, 6))
			return true;
	return false;
}

static enum pr_drop_reason check_arp(
        const struct guard *guard, const struct batch *batch, uint64_t i)
{
	const struct rte_arp_hdr *arp = (const void *)(batch->head[i] + L3_OFFSET);
	uint32_t sender;

	if (batch->head_length[i] < L3_OFFSET + sizeof(*arp))
		return PR_DROP_ARP_INVALID;
	if (guard->check_mac && !mac_allowed(guard, arp->arp_data.arp_sha.addr_bytes))
		return PR_DROP_SPOOFED_MAC;
	sender = rte_be_to_cpu_32(arp->arp_data.arp_sip);
	/* Sender 0.0.0.0 is an address probe (RFC 5227 2.1.1). */
	if (guard->check_ip && sender && !guard_allows_ip4(guard, sender))
		return PR_DROP_SPOOFED_IP;
	return PR_DROP_COUNT;
}

/* ---- IPv6 ---- */

/* Whether every link-layer address in the options of a neighbour discovery message may be the
 * port's. Options that do not end within the head hide what they are. */
static enum pr_drop_reason check_nd_options(
        const struct guard *guard, const uint8_t *icmp, unsigned from, unsigned room)
{
	while (from < room) {
		unsigned n = room - from < 2 ? 0 : icmp[from + 1] * 8u;

		if (!n || from + n > room)
			return PR_DROP_ND_INVALID;
		if ((icmp[from] == ND_SOURCE_LINK || icmp[from] == ND_TARGET_LINK) &&
		        guard->check_mac && !mac_allowed(guard, icmp + from + 2))
			return PR_DROP_SPOOFED_MAC;
		from += n;
	}
	return PR_DROP_COUNT;
}

/* What a pod says of itself must be true, and it is no router unless it is trusted (RFC 6105). */
static enum pr_drop_reason check_nd(
        const struct guard *guard, const struct batch *batch, uint64_t i, unsigned offset)
{
	const uint8_t *ip6 = batch->head[i] + L3_OFFSET, *icmp = ip6 + offset;
	unsigned room = batch->head_length[i] - L3_OFFSET - offset;
	unsigned total = IP6_BYTES + load_be16(ip6 + 4);
	/* In a routed network nd answers whoever tries to take another's address. */
	bool about_target = icmp[0] == ICMP6_NEIGHBOUR_ADVERTISE ||
	                    (icmp[0] == ICMP6_NEIGHBOUR_SOLICIT && ip6_is_unspecified(ip6 + 8) &&
	                            !shared->segment[batch->segment[i]].routed);

	if (icmp[0] == ICMP6_ROUTER_SOLICIT)
		return total < offset + 8 || total - offset > room
		               ? PR_DROP_ND_INVALID
		               : check_nd_options(guard, icmp, 8, total - offset);
	if (icmp[0] != ICMP6_NEIGHBOUR_ADVERTISE && icmp[0] != ICMP6_NEIGHBOUR_SOLICIT)
		return PR_DROP_ND_ROUTER;
	if (total < offset + 24 || total - offset > room)
		return PR_DROP_ND_INVALID;
	if (guard->check_ip && about_target && !guard_allows_ip6(guard, icmp + 8))
		return PR_DROP_SPOOFED_IP;
	return check_nd_options(guard, icmp, 24, total - offset);
}

/* A checksum that is left to us is written after all checks, by tx: it must lie in its own place,
 * or behind all that was looked at, else it could turn what was let through into what was not. */
static bool offload_is_harmless(
        const struct batch *batch, uint64_t i, const struct ip6_upper *upper)
{
	unsigned at = L3_OFFSET + upper->offset;
	unsigned field = (unsigned)batch->csum_start[i] + batch->csum_offset[i];

	if (!(batch->offload[i] & OFFLOAD_CSUM))
		return true;
	return upper->protocol == IPPROTO_ICMPV6 ? field == at + 2 : field >= at;
}

/* Neighbour discovery behind extension headers is nobody's habit but an attacker's (RFC 7113), and
 * in fragments it is forbidden (RFC 6980). */
static enum pr_drop_reason check_ip6(
        const struct guard *guard, const struct batch *batch, uint64_t i)
{
	const uint8_t *ip6 = batch->head[i] + L3_OFFSET;
	unsigned room = batch->head_length[i] - L3_OFFSET;
	struct ip6_upper upper;

	if (unlikely(batch->head_length[i] < L3_OFFSET + IP6_BYTES))
		return PR_DROP_TOO_SHORT;
	/* From no address: duplicate address detection and what goes with it (RFC 4862 5.4.2). */
	if (guard->check_ip && !guard_allows_ip6(guard, ip6 + 8) && !ip6_is_unspecified(ip6 + 8))
		return PR_DROP_SPOOFED_IP;
	if (likely(ip6[6] == IPPROTO_TCP || ip6[6] == IPPROTO_UDP))
		return PR_DROP_COUNT;
	upper = ip6_find_upper(ip6, room);
	/* Others of a bridged network may see more of it than we do (RFC 7112, RFC 7113). */
	if (!upper.offset && !shared->segment[batch->segment[i]].routed)
		return PR_DROP_HEADER_TOO_LONG;
	if (!offload_is_harmless(batch, i, &upper))
		return PR_DROP_BAD_OFFLOAD;
	if (upper.protocol != IPPROTO_ICMPV6)
		return PR_DROP_COUNT;
	/* The first header of what is behind may be too far away to be seen. */
	if (upper.fragment)
		return PR_DROP_COUNT;
	if (!upper.offset || upper.offset >= room)
		return PR_DROP_ND_INVALID;
	if (!icmp6_is_nd(ip6[upper.offset]))
		return PR_DROP_COUNT;
	return upper.offset == IP6_BYTES ? check_nd(guard, batch, i, IP6_BYTES)
	                                 : PR_DROP_ND_INVALID;
}

/* ---- the rest ---- */

/* A host without an address asks a DHCP server (RFC 2131 4.1); bridged networks only. */
static bool is_dhcp_request(const struct batch *batch, uint64_t i)
{
	const uint8_t *ip = batch->head[i] + L3_OFFSET;

	return !shared->segment[batch->segment[i]].routed &&
	       batch->head_length[i] >= L3_OFFSET + 20 + 8 && ip[0] == 0x45 &&
	       ip[9] == IPPROTO_UDP && load_be32(ip + 12) == 0 &&
	       load_be32(ip + 16) == UINT32_MAX && ip[22] == 0 && ip[23] == 67;
}

static inline enum pr_drop_reason check_one(
        const struct guard *guard, const struct batch *batch, uint64_t i)
{
	const uint8_t *head = batch->head[i];

	if (guard->check_mac && unlikely(!mac_allowed(guard, head + 6)))
		return PR_DROP_SPOOFED_MAC;
	if (likely(batch->ethertype[i] == RTE_ETHER_TYPE_IPV4)) {
		if (!guard->check_ip)
			return PR_DROP_COUNT;
		if (unlikely(batch->head_length[i] < L3_OFFSET + 20))
			return PR_DROP_TOO_SHORT;
		if (unlikely(!guard_allows_ip4(guard, load_be32(head + L3_OFFSET + 12))) &&
		        !is_dhcp_request(batch, i))
			return PR_DROP_SPOOFED_IP;
		return PR_DROP_COUNT;
	}
	if (batch->ethertype[i] == RTE_ETHER_TYPE_ARP)
		return check_arp(guard, batch, i);
	/* Another tag would hide the source address. */
	if (guard->check_ip && (batch->ethertype[i] == RTE_ETHER_TYPE_VLAN ||
	                               batch->ethertype[i] == RTE_ETHER_TYPE_QINQ))
		return PR_DROP_VLAN_NOT_MEMBER;
	if (batch->ethertype[i] == RTE_ETHER_TYPE_IPV6)
		return check_ip6(guard, batch, i);
	return PR_DROP_COUNT;
}

static inline bool is_nd(const struct batch *batch, uint64_t i)
{
	const uint8_t *ip6 = batch->head[i] + L3_OFFSET;

	return batch->head_length[i] > L3_OFFSET + IP6_BYTES && ip6[6] == IPPROTO_ICMPV6 &&
	       icmp6_is_nd(ip6[IP6_BYTES]);
}

/* To ff02::1 and ff02::2, all nodes and all routers: whoever looks for them by echo, and options,
 * of which even one that went to many may want an answer (RFC 4443 section 2.4 e.3). */
static bool is_for_group(const struct batch *batch, uint64_t i)
{
	static const uint8_t group[15] = {0xff, 2};
	const uint8_t *ip6 = batch->head[i] + L3_OFFSET;

	if (batch->head_length[i] <= L3_OFFSET + IP6_BYTES ||
	        memcmp(ip6 + 24, group, sizeof(group)) || (ip6[39] != 1 && ip6[39] != 2))
		return false;
	return ip6[6] == IPPROTO_HOPOPTS || ip6[6] == IPPROTO_DSTOPTS ||
	       (ip6[6] == IPPROTO_ICMPV6 && ip6[IP6_BYTES] == ICMP6_ECHO);
}

/* Reports of multicast listeners, which every host sends (RFC 3810): we forward no multicast. */
static bool is_listener_report(const struct batch *batch, uint64_t i)
{
	const uint8_t *ip6 = batch->head[i] + L3_OFFSET;
	struct ip6_upper upper;

	if (batch->head_length[i] < L3_OFFSET + IP6_BYTES || ip6[6] != IPPROTO_HOPOPTS)
		return false;
	upper = ip6_find_upper(ip6, batch->head_length[i] - L3_OFFSET);
	return upper.protocol == IPPROTO_ICMPV6 && upper.offset && !upper.fragment &&
	       upper.offset < batch->head_length[i] - L3_OFFSET &&
	       ((ip6[upper.offset] >= ICMP6_LISTENER_QUERY &&
	                ip6[upper.offset] <= ICMP6_LISTENER_DONE) ||
	               ip6[upper.offset] == ICMP6_LISTENER_REPORT2);
}

/* Where a packet of a routed network goes that is no simple IP packet to the gateway's MAC. */
static void to_router(struct batch *batch, uint64_t i, const struct port *port)
{
	const uint8_t *head = batch->head[i];
	bool to_us = !memcmp(head, &port->gateway_mac, 6), many = head[0] & 1;

	if (!to_us && !many)
		batch_drop(batch, i, PR_DROP_MAC_NOT_OURS);
	else if (batch->ethertype[i] == RTE_ETHER_TYPE_ARP)
		batch_next(batch, i, PR_STAGE_POLICE);
	else if (batch->ethertype[i] != RTE_ETHER_TYPE_IPV6)
		/* Broadcasts and multicasts are not routed here. */
		batch_drop(batch, i, many ? PR_DROP_MAC_NOT_OURS : PR_DROP_NOT_IP);
	else if (is_nd(batch, i))
		batch_next(batch, i, PR_STAGE_POLICE);
	else if (is_listener_report(batch, i))
		batch_consume(batch, i);
	else if (many && is_for_group(batch, i))
		batch_next(batch, i, PR_STAGE_POLICE);
	else
		batch_drop(batch, i, PR_DROP_MAC_NOT_OURS);
}

/* What is the same for packets of one port and segment, which come in runs. */
struct ingress {
	uint16_t port_index, segment_index;
	const struct port *port;
	const struct guard *guard;
	uint64_t gateway; /* MAC as mac_word gives it */
	bool routed, reassemble;
};

static inline uint64_t mac_word(const uint8_t *mac)
{
	uint32_t low;
	uint16_t high;

	memcpy(&low, mac, sizeof(low));
	memcpy(&high, mac + 4, sizeof(high));
	return (uint64_t)high << 32 | low;
}

static void ingress_of(struct ingress *ingress, uint16_t port, uint16_t segment)
{
	ingress->port_index = port;
	ingress->segment_index = segment;
	ingress->port = &shared->port[port];
	ingress->guard = atomic_load_explicit(&ingress->port->guard, memory_order_acquire);
	ingress->gateway = mac_word((const uint8_t *)&ingress->port->gateway_mac);
	ingress->routed = shared->segment[segment].routed;
	ingress->reassemble = shared->segment[segment].reassemble;
}

void stage_ingress_check(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_INGRESS_CHECK), bridge = 0, route = 0,
	         route6 = 0;
	struct ingress ingress = {.port_index = NO_PORT};
	bool reassemble = false;

	(void)worker;
	BATCH_FOREACH (i, mask) {
		const uint8_t *head = batch->head[i];
		uint64_t source = mac_word(head + 6);

		if (unlikely(batch->in_port[i] != ingress.port_index ||
		             batch->segment[i] != ingress.segment_index)) {
			ingress_of(&ingress, batch->in_port[i], batch->segment[i]);
			reassemble |= ingress.reassemble;
		}
		if (unlikely((source & 1) || !source)) {
			batch_drop(batch, i, PR_DROP_BAD_SOURCE_MAC);
			continue;
		}
		if (likely(ingress.guard != NULL)) {
			enum pr_drop_reason reason = check_one(ingress.guard, batch, i);

			if (unlikely(reason != PR_DROP_COUNT)) {
				batch_drop(batch, i, reason);
				continue;
			}
		}
		if (!ingress.routed)
			bridge |= UINT64_C(1) << i;
		else if (likely(batch->ethertype[i] == RTE_ETHER_TYPE_IPV4 &&
		                 mac_word(head) == ingress.gateway))
			route |= UINT64_C(1) << i;
		else if (batch->ethertype[i] == RTE_ETHER_TYPE_IPV6 &&
		         mac_word(head) == ingress.gateway && !is_nd(batch, i))
			route6 |= UINT64_C(1) << i;
		else
			to_router(batch, i, ingress.port);
	}
	if (unlikely(reassemble))
		reassemble_pick(batch, &route, &route6);
	batch->todo[PR_STAGE_BRIDGE] |= bridge;
	batch->todo[PR_STAGE_ROUTE] |= route;
	batch->todo[PR_STAGE_ROUTE6] |= route6;
}
