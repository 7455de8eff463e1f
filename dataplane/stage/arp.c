/* SPDX-License-Identifier: BSD-3-Clause */
/* arp: in routed networks, answers for the gateway and by proxy (RFC 826, RFC 1027), and news of
 * neighbours for the tables thread. */
#include <rte_arp.h>

#include "dataplane/stage/ip4.h"
#include "dataplane/stage/stage.h"

static bool well_formed(const struct batch *batch, uint64_t i)
{
	const struct rte_arp_hdr *arp = (const void *)(batch->head[i] + L3_OFFSET);

	return batch->head_length[i] >= L3_OFFSET + sizeof(*arp) &&
	       arp->arp_hardware == rte_cpu_to_be_16(RTE_ARP_HRD_ETHER) &&
	       arp->arp_protocol == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) && arp->arp_hlen == 6 &&
	       arp->arp_plen == 4 &&
	       (arp->arp_opcode == rte_cpu_to_be_16(RTE_ARP_OP_REQUEST) ||
	               arp->arp_opcode == rte_cpu_to_be_16(RTE_ARP_OP_REPLY));
}

/* A probe for an address that the sender may take (RFC 5227 2.1.1): an answer by proxy would make
 * it believe that somebody else has it. */
static bool is_own_probe(const struct port *port, const struct rte_arp_hdr *arp)
{
	const struct guard *guard = atomic_load_explicit(&port->guard, memory_order_acquire);

	return !arp->arp_data.arp_sip && guard &&
	       guard_allows_ip4(guard, rte_be_to_cpu_32(arp->arp_data.arp_tip));
}

/* Whether we own the address, or answer for it because its route leads elsewhere. Never for what
 * lies behind the asking port itself: its own address must pass duplicate address detection. On an
 * uplink we are a host: other nodes may have the same gateway addresses. */
static bool answers_for(const struct batch *batch, uint64_t i, const struct rte_arp_hdr *arp)
{
	const struct segment *segment = &shared->segment[batch->segment[i]];
	const struct port *port = &shared->port[batch->in_port[i]];
	uint32_t target = rte_be_to_cpu_32(arp->arp_data.arp_tip);
	const struct next_hop *hop;

	if (ip4_is_martian(target))
		return false;
	hop = next_hop_get(fib4_lookup(segment->fib, target));
	if (!hop)
		return false;
	if (port_flags(port) & PORT_UPLINK)
		return hop->type == NEXT_HOP_LOCAL && hop->port == batch->in_port[i];
	if (hop->type == NEXT_HOP_LOCAL)
		return true;
	if (!segment->proxy || is_own_probe(port, arp))
		return false;
	return (hop->type == NEXT_HOP_FORWARD || hop->type == NEXT_HOP_INCOMPLETE ||
	               hop->type == NEXT_HOP_GLEAN || hop->type == NEXT_HOP_GROUP) &&
	       hop->port != batch->in_port[i];
}

static void tell_sender(struct worker *worker, const struct batch *batch, uint64_t i,
        const struct rte_arp_hdr *arp, bool reply)
{
	struct event event = {
	        .type = EVENT_NEIGHBOUR,
	        .port = batch->in_port[i],
	        .segment = batch->segment[i],
	        .address = pr_ip4_from_host(rte_be_to_cpu_32(arp->arp_data.arp_sip)),
	        .solicited = reply && !(batch->head[i][0] & 1),
	};

	if (!arp->arp_data.arp_sip || arp->arp_data.arp_sha.addr_bytes[0] & 1)
		return;
	memcpy(&event.mac, &arp->arp_data.arp_sha, 6);
	if (!worker_post(worker, &event))
		counter_add(&worker->counters.learn_lost, 1);
}

static void make_reply(struct batch *batch, uint64_t i, struct rte_arp_hdr *arp)
{
	const struct port *port = &shared->port[batch->in_port[i]];
	uint8_t *head = batch->head[i];
	rte_be32_t target = arp->arp_data.arp_tip;

	memcpy(head, head + 6, 6);
	memcpy(head + 6, &port->gateway_mac, 6);
	arp->arp_opcode = rte_cpu_to_be_16(RTE_ARP_OP_REPLY);
	arp->arp_data.arp_tha = arp->arp_data.arp_sha;
	arp->arp_data.arp_tip = arp->arp_data.arp_sip;
	memcpy(&arp->arp_data.arp_sha, &port->gateway_mac, 6);
	arp->arp_data.arp_sip = target;
	batch->out_port[i] = batch->in_port[i];
	batch->out_tag[i] = port->vlan;
	batch_next(batch, i, PR_STAGE_TX);
}

void stage_arp(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_ARP);

	BATCH_FOREACH (i, mask) {
		struct rte_arp_hdr *arp = (void *)(batch->head[i] + L3_OFFSET);

		if (!well_formed(batch, i)) {
			batch_drop(batch, i, PR_DROP_ARP_INVALID);
			continue;
		}
		tell_sender(worker, batch, i, arp,
		        arp->arp_opcode == rte_cpu_to_be_16(RTE_ARP_OP_REPLY));
		/* An announcement asks for nothing: it has done its work. */
		if (arp->arp_opcode == rte_cpu_to_be_16(RTE_ARP_OP_REPLY) ||
		        arp->arp_data.arp_sip == arp->arp_data.arp_tip)
			batch_consume(batch, i);
		else if (answers_for(batch, i, arp))
			make_reply(batch, i, arp);
		else
			batch_drop(batch, i, PR_DROP_ARP_NOT_FOR_US);
	}
}
