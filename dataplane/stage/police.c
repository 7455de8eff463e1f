/* SPDX-License-Identifier: BSD-3-Clause */
/* police: what goes to many, or to the tables thread, is held to the port's limits. */
#include <rte_ether.h>

#include "dataplane/stage/flood.h"

/* A bridged frame goes to many; to which is looked at where the network has snooping. */
static void police_bridged(
        struct worker *worker, struct batch *batch, uint64_t i, const struct segment *segment)
{
	struct port *port = &shared->port[batch->in_port[i]];
	const uint8_t *head = batch->head[i];
	enum flood_class class = !(head[0] & 1)             ? FLOOD_UNKNOWN
	                         : frame_is_broadcast(head) ? FLOOD_BROADCAST
	                                                    : FLOOD_MULTICAST;
	struct token_bucket *bucket =
	        port->own_rate & 1u << class ? &port->class_bucket[class] : &port->flood_bucket;

	if (!token_bucket_take(bucket, worker->now, 1))
		batch_drop(batch, i, PR_DROP_FLOOD_LIMIT);
	else if (class != FLOOD_UNKNOWN &&
	         atomic_load_explicit(&segment->snoop, memory_order_relaxed))
		batch_next(batch, i, PR_STAGE_MULTICAST);
	else
		batch_next(batch, i, PR_STAGE_FLOOD);
}

void stage_police(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_POLICE);

	BATCH_FOREACH (i, mask) {
		const struct segment *segment = &shared->segment[batch->segment[i]];
		struct port *port = &shared->port[batch->in_port[i]];
		bool to_us = !(batch->head[i][0] & 1);
		struct token_bucket *bucket = to_us ? &port->discovery_bucket : &port->flood_bucket;

		if (!segment->routed)
			police_bridged(worker, batch, i, segment);
		else if (!token_bucket_take(bucket, worker->now, 1))
			batch_drop(batch, i, PR_DROP_FLOOD_LIMIT);
		else
			batch_next(batch, i,
			        batch->ethertype[i] == RTE_ETHER_TYPE_IPV6 ? PR_STAGE_ND
			                                                   : PR_STAGE_ARP);
	}
}
