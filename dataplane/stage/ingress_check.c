/* SPDX-License-Identifier: BSD-3-Clause */
/* ingress_check: a pod sends from its own MAC and addresses, unless it was allowed more. Then the
 * packet goes to the bridge, to ARP or to the router. */
#include <netinet/in.h>
#include <rte_arp.h>

#include "dataplane/stage/ip4.h"
#include "dataplane/stage/nd_guard.h"
#include "dataplane/stage/stage.h"

static enum pr_drop_reason check_arp(
        const struct guard *guard, const struct batch *batch, uint64_t i)
{
	const struct rte_arp_hdr *arp = (const void *)(batch->head[i] + L3_OFFSET);
	uint32_t sender;

	if (batch->head_length[i] < L3_OFFSET + sizeof(*arp))
		return PR_DROP_ARP_INVALID;
	if (guard->check_mac && !guard_allows_mac(guard, arp->arp_data.arp_sha.addr_bytes))
		return PR_DROP_SPOOFED_MAC;
	sender = rte_be_to_cpu_32(arp->arp_data.arp_sip);
	/* Sender 0.0.0.0 is an address probe (RFC 5227 2.1.1). */
	if (guard->check_ip && sender && !guard_allows_ip4(guard, sender))
		return PR_DROP_SPOOFED_IP;
	return PR_DROP_COUNT;
}

/* A host without an address asks a DHCP server (RFC 2131 4.1); bridged networks only. */
static bool is_dhcp_request(const struct batch *batch, uint64_t i)
{
	const uint8_t *ip = batch->head[i] + L3_OFFSET;

	return !shared->segment[batch->segment[i]].routed &&
	       batch->head_length[i] >= L3_OFFSET + 20 + 8 && ip[0] == 0x45 &&
	       ip[9] == IPPROTO_UDP && load_be32(ip + 12) == 0 &&
	       load_be32(ip + 16) == UINT32_MAX && ip[22] == 0 && ip[23] == 67;
}

static inline enum pr_drop_reason check_ip6(
        const struct guard *guard, const struct batch *batch, uint64_t i)
{
	const uint8_t *ip = batch->head[i] + L3_OFFSET;

	if (unlikely(batch->head_length[i] < L3_OFFSET + IP6_BYTES))
		return PR_DROP_TOO_SHORT;
	/* Source :: is duplicate address detection (RFC 4862 5.4.2). */
	if (guard->check_ip && unlikely(!guard_allows_ip6(guard, ip + IP6_SOURCE)) &&
	        !ip6_is_unspecified(ip + IP6_SOURCE))
		return PR_DROP_SPOOFED_IP;
	if (likely(ip[IP6_NEXT] == IPPROTO_TCP || ip[IP6_NEXT] == IPPROTO_UDP))
		return PR_DROP_COUNT;
	/* In a routed network stage nd looks at what is said to us. */
	if (shared->segment[batch->segment[i]].routed)
		return PR_DROP_COUNT;
	return nd_guard_bridged(guard, batch, i);
}

static inline enum pr_drop_reason check_one(
        const struct guard *guard, const struct batch *batch, uint64_t i)
{
	const uint8_t *head = batch->head[i];

	if (guard->check_mac && unlikely(!guard_allows_mac(guard, head + 6)))
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
	if (likely(batch->ethertype[i] == RTE_ETHER_TYPE_IPV6))
		return check_ip6(guard, batch, i);
	if (batch->ethertype[i] == RTE_ETHER_TYPE_ARP)
		return check_arp(guard, batch, i);
	/* Another tag would hide the source address. */
	if (guard->check_ip && (batch->ethertype[i] == RTE_ETHER_TYPE_VLAN ||
	                               batch->ethertype[i] == RTE_ETHER_TYPE_QINQ))
		return PR_DROP_VLAN_NOT_MEMBER;
	return PR_DROP_COUNT;
}

/* Where a packet of a routed network goes that is not IPv4 to the gateway's MAC. */
static void to_router(struct batch *batch, uint64_t i, const struct port *port)
{
	const uint8_t *head = batch->head[i];

	if (memcmp(head, &port->gateway_mac, 6)) {
		if (!(head[0] & 1))
			batch_drop(batch, i, PR_DROP_MAC_NOT_OURS);
		else if (batch->ethertype[i] == RTE_ETHER_TYPE_ARP)
			batch_next(batch, i, PR_STAGE_POLICE);
		else
			/* Broadcasts and multicasts are not routed here. */
			batch_drop(batch, i, PR_DROP_MAC_NOT_OURS);
		return;
	}
	if (batch->ethertype[i] == RTE_ETHER_TYPE_ARP)
		batch_next(batch, i, PR_STAGE_POLICE);
	else if (batch->ethertype[i] == RTE_ETHER_TYPE_IPV6)
		batch_drop(batch, i, PR_DROP_IPV6_NOT_ROUTED);
	else
		batch_drop(batch, i, PR_DROP_NOT_IP);
}

/* What is the same for packets of one port and segment, which come in runs. */
struct ingress {
	uint16_t port_index, segment_index;
	const struct port *port;
	const struct guard *guard;
	uint64_t gateway; /* MAC as mac_word gives it */
	bool routed;
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
}

void stage_ingress_check(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_INGRESS_CHECK), bridge = 0, route = 0;
	struct ingress ingress = {.port_index = NO_PORT};

	(void)worker;
	BATCH_FOREACH (i, mask) {
		const uint8_t *head = batch->head[i];
		uint64_t source = mac_word(head + 6);

		if (unlikely(batch->in_port[i] != ingress.port_index ||
		             batch->segment[i] != ingress.segment_index))
			ingress_of(&ingress, batch->in_port[i], batch->segment[i]);
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
		else
			to_router(batch, i, ingress.port);
	}
	batch->todo[PR_STAGE_BRIDGE] |= bridge;
	batch->todo[PR_STAGE_ROUTE] |= route;
}
