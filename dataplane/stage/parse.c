/* SPDX-License-Identifier: BSD-3-Clause */
/* parse: which port and segment a frame belongs to; takes a VLAN tag off (IEEE 802.1Q). */
#include "dataplane/stage/ip4.h"
#include "dataplane/stage/stage.h"

/* The link of a frame with this VLAN id; 0 is untagged, and priority-tagged (802.1Q 6.9). */
static inline struct link link_of(struct device *device, uint16_t vlan)
{
	const struct link *tagged;

	if (likely(!vlan))
		return atomic_load_explicit(&device->untagged, memory_order_acquire);
	tagged = atomic_load_explicit(&device->tagged, memory_order_acquire);
	return tagged ? tagged[vlan] : (struct link){NO_PORT, NO_SEGMENT};
}

static inline void tag_off(struct batch *batch, uint64_t i)
{
	uint8_t *head = batch->head[i];

	memmove(head + 4, head, 2 * RTE_ETHER_ADDR_LEN);
	batch->head[i] = head + 4;
	batch->length[i] -= 4;
	batch->head_length[i] = (uint16_t)(batch->head_length[i] - 4);
	batch->csum_start[i] = (uint16_t)(batch->csum_start[i] - 4);
	batch->header_length[i] = (uint16_t)(batch->header_length[i] - 4);
}

/* A frame that belongs to nobody is counted at the port of untagged frames: a guest's only one. */
static enum pr_drop_reason refuse(
        struct batch *batch, uint64_t i, struct device *device, enum pr_drop_reason reason)
{
	batch->in_port[i] = atomic_load_explicit(&device->untagged, memory_order_acquire).port;
	return reason;
}

static inline enum pr_drop_reason parse_one(struct batch *batch, uint64_t i)
{
	struct device *device = &shared->device[batch->in_device[i]];
	const uint8_t *head = batch->head[i];
	uint16_t ethertype, vlan = 0;
	struct link link;

	if (unlikely(batch->length[i] < RTE_ETHER_HDR_LEN))
		return refuse(batch, i, device, PR_DROP_TOO_SHORT);
	ethertype = load_be16(head + 12);
	if (ethertype == RTE_ETHER_TYPE_VLAN) {
		if (unlikely(batch->length[i] < RTE_ETHER_HDR_LEN + 4))
			return refuse(batch, i, device, PR_DROP_TOO_SHORT);
		batch->tci[i] = load_be16(head + 14) & 0xf000;
		vlan = load_be16(head + 14) & 0xfff;
		ethertype = load_be16(head + 16);
		tag_off(batch, i);
	}
	batch->ethertype[i] = ethertype;
	link = link_of(device, vlan);
	if (unlikely(link.port == NO_PORT))
		return refuse(batch, i, device, PR_DROP_VLAN_NOT_MEMBER);
	batch->in_port[i] = link.port;
	batch->segment[i] = link.segment;
	/* Of NICs' chains only the first piece is known: no frame of an MTU has several. */
	if (unlikely((batch->body[i] && batch->head_length[i] != batch->length[i]) ||
	             batch_wire_length(batch, i) >
	                     shared->port[link.port].mtu + (uint32_t)RTE_ETHER_HDR_LEN))
		return PR_DROP_MTU_EXCEEDED;
	return PR_DROP_COUNT;
}

void stage_parse(struct worker *worker, struct batch *batch)
{
	struct counters *counters = &worker->counters;
	uint64_t mask = batch_take(batch, PR_STAGE_PARSE), passed = 0;
	uint64_t packets = 0, bytes = 0;
	uint16_t port = NO_PORT;

	BATCH_FOREACH (i, mask) {
		enum pr_drop_reason reason = parse_one(batch, i);

		if (unlikely(reason != PR_DROP_COUNT))
			batch_drop(batch, i, reason);
		else
			passed |= UINT64_C(1) << i;
		if (unlikely(batch->in_port[i] == NO_PORT))
			continue;
		/* Packets of a port come in runs: one addition to its counters a run. */
		if (batch->in_port[i] != port) {
			if (packets) {
				counter_add(&counters->port[port].rx_packets, packets);
				counter_add(&counters->port[port].rx_bytes, bytes);
			}
			port = batch->in_port[i];
			packets = bytes = 0;
		}
		packets++;
		bytes += batch->length[i];
	}
	if (packets) {
		counter_add(&counters->port[port].rx_packets, packets);
		counter_add(&counters->port[port].rx_bytes, bytes);
	}
	batch->todo[PR_STAGE_INGRESS_CHECK] |= passed;
}
