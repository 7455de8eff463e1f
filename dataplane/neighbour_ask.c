/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions for neighbours: ARP requests (RFC 826) and neighbour solicitations (RFC 4861 section
 * 7.2.2). Tables thread. */
#include <rte_arp.h>
#include <rte_ether.h>

#include "dataplane/neighbour_control.h"
#include "dataplane/network_control.h"
#include "dataplane/stage/ip6.h"
#include "dataplane/table/neighbour.h"

#define ARP_BYTES     (RTE_ETHER_MIN_LEN - RTE_ETHER_CRC_LEN)
#define SOLICIT_BYTES (L3_OFFSET + IP6_BYTES + 24 + ND_LINK_BYTES)

/* The address of ours in the neighbour's subnet. */
static uint32_t sender_address(const struct neighbour *entry)
{
	const struct dp_port_spec *spec = &port_at(entry->port)->spec;

	for (unsigned n = 0; spec->kind == DP_PORT_ETH && n < spec->n_addresses; n++)
		if (pr_prefix_contains(&spec->addresses[n], &entry->ip))
			return pr_ip4_host(&spec->addresses[n].addr);
	return shared->port[entry->port].own_address;
}

static void fill_request(uint8_t *frame, const struct neighbour *entry, bool unicast)
{
	const struct port *port = &shared->port[entry->port];
	struct rte_ether_hdr *ether = (void *)frame;
	struct rte_arp_hdr *arp = (void *)(ether + 1);

	memset(frame, 0, ARP_BYTES);
	memset(&ether->dst_addr, 0xff, 6);
	if (unicast)
		memcpy(&ether->dst_addr, &entry->mac, 6);
	memcpy(&ether->src_addr, &port->gateway_mac, 6);
	ether->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP);
	arp->arp_hardware = rte_cpu_to_be_16(RTE_ARP_HRD_ETHER);
	arp->arp_protocol = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	arp->arp_hlen = 6;
	arp->arp_plen = 4;
	arp->arp_opcode = rte_cpu_to_be_16(RTE_ARP_OP_REQUEST);
	memcpy(&arp->arp_data.arp_sha, &port->gateway_mac, 6);
	arp->arp_data.arp_sip = rte_cpu_to_be_32(sender_address(entry));
	memcpy(&arp->arp_data.arp_tip, entry->ip.v4, 4);
}

static void fill_solicitation(uint8_t *frame, const struct neighbour *entry, bool unicast)
{
	const struct port *port = &shared->port[entry->port];
	struct pr_ip target = unscoped_ip(&entry->ip);
	uint8_t *ip6 = frame + L3_OFFSET, *icmp = ip6 + IP6_BYTES;

	ip6_fill(ip6, SOLICIT_BYTES - L3_OFFSET - IP6_BYTES, ND_HOP_LIMIT);
	memcpy(ip6 + 8, port->link_local, 16);
	if (unicast)
		memcpy(ip6 + 24, target.v6, 16);
	else
		ip6_solicited_node(ip6 + 24, target.v6);
	memset(icmp, 0, 8);
	icmp[0] = ICMP6_NEIGHBOUR_SOLICIT;
	memcpy(icmp + 8, target.v6, 16);
	nd_link_option(icmp + 24, ND_SOURCE_LINK, port->gateway_mac.b);
	icmp6_finish(ip6, icmp, 24 + ND_LINK_BYTES);
	ip6_multicast_mac(frame, ip6 + 24);
	if (unicast)
		memcpy(frame, &entry->mac, 6);
	memcpy(frame + 6, &port->gateway_mac, 6);
	store_be16(frame + 12, RTE_ETHER_TYPE_IPV6);
}

bool neighbour_ask(const struct neighbour *entry, bool unicast)
{
	bool v6 = entry->ip.family == AF_INET6;
	struct rte_mbuf *m = rte_pktmbuf_alloc(shared->mbufs);
	uint8_t *frame;

	if (!m)
		return false;
	frame = (uint8_t *)rte_pktmbuf_append(m, v6 ? SOLICIT_BYTES : ARP_BYTES);
	(v6 ? fill_solicitation : fill_request)(frame, entry, unicast);
	*mbuf_note(m) = (struct note){
	        .stage = PR_STAGE_TX,
	        .in_port = NO_PORT,
	        .out_port = entry->port,
	        .out_tag = shared->port[entry->port].vlan,
	        .generated = true,
	};
	return tables_inject(0, m);
}
