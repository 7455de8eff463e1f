/* SPDX-License-Identifier: BSD-3-Clause */
/* ingress_check: a pod sends from its own MAC and addresses, unless it was allowed more. Then the
 * packet goes to the bridge, to ARP or to the router. */
#include <netinet/in.h>
#include <rte_arp.h>

#include "dataplane/stage/ip4.h"
#include "dataplane/stage/stage.h"

static inline bool mac_allowed(const struct guard *guard, const uint8_t *mac)
{
	for (unsigned n = 0; n < guard->n_macs; n++)
		if (!memcmp(&guard->macs[n], mac, 6))
			return true;
	return false;
}

static bool ip6_allowed(const struct guard *guard, const uint8_t *source)
{
	static const uint8_t unspecified[16];
	struct pr_ip ip = {.family = AF_INET6};

	/* Duplicate address detection (RFC 4862 5.4.2). */
	if (!memcmp(source, unspecified, 16))
		return true;
	memcpy(ip.v6, source, 16);
	for (unsigned n = 0; n < guard->n_prefix6; n++)
		if (pr_prefix_contains(&guard->prefix6[n], &ip))
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
	if (batch->ethertype[i] == RTE_ETHER_TYPE_IPV6 && guard->check_ip) {
		if (batch->head_length[i] < L3_OFFSET + 40)
			return PR_DROP_TOO_SHORT;
		if (!ip6_allowed(guard, head + L3_OFFSET + 8))
			return PR_DROP_SPOOFED_IP;
	}
	return PR_DROP_COUNT;
}

/* Where a packet of a routed network goes. */
static inline void to_router(struct batch *batch, uint64_t i, const struct port *port)
{
	const uint8_t *head = batch->head[i];

	if (unlikely(memcmp(head, &port->gateway_mac, 6))) {
		if (!(head[0] & 1))
			batch_drop(batch, i, PR_DROP_MAC_NOT_OURS);
		else if (batch->ethertype[i] == RTE_ETHER_TYPE_ARP)
			batch_next(batch, i, PR_STAGE_POLICE);
		else
			/* Broadcasts and multicasts are not routed here. */
			batch_drop(batch, i, PR_DROP_MAC_NOT_OURS);
		return;
	}
	if (likely(batch->ethertype[i] == RTE_ETHER_TYPE_IPV4))
		batch_next(batch, i, PR_STAGE_ROUTE);
	else if (batch->ethertype[i] == RTE_ETHER_TYPE_ARP)
		batch_next(batch, i, PR_STAGE_POLICE);
	else if (batch->ethertype[i] == RTE_ETHER_TYPE_IPV6)
		batch_drop(batch, i, PR_DROP_IPV6_NOT_ROUTED);
	else
		batch_drop(batch, i, PR_DROP_NOT_IP);
}

void stage_ingress_check(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_INGRESS_CHECK);

	(void)worker;
	BATCH_FOREACH (i, mask) {
		const struct port *port = &shared->port[batch->in_port[i]];
		const struct guard *guard =
		        atomic_load_explicit(&port->guard, memory_order_acquire);
		static const uint8_t zero[6];
		const uint8_t *source = batch->head[i] + 6;

		if (unlikely((source[0] & 1) || !memcmp(source, zero, 6))) {
			batch_drop(batch, i, PR_DROP_BAD_SOURCE_MAC);
			continue;
		}
		if (likely(guard != NULL)) {
			enum pr_drop_reason reason = check_one(guard, batch, i);

			if (unlikely(reason != PR_DROP_COUNT)) {
				batch_drop(batch, i, reason);
				continue;
			}
		}
		if (shared->segment[batch->segment[i]].routed)
			to_router(batch, i, port);
		else
			batch_next(batch, i, PR_STAGE_BRIDGE);
	}
}
