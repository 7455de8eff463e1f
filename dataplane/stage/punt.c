/* SPDX-License-Identifier: BSD-3-Clause */
/* punt: packets that wait for a neighbour go to the tables thread, which holds them. */
#include "dataplane/stage/ip4.h"
#include "dataplane/stage/stage.h"

static struct pr_ip destination_of(const struct batch *batch, uint64_t i, bool v6)
{
	struct pr_ip ip = {.family = v6 ? AF_INET6 : AF_INET};

	memcpy(ip.b, batch->head[i] + L3_OFFSET + (v6 ? 24 : 16), v6 ? 16 : 4);
	return ip;
}

static enum pr_drop_reason punt_one(struct worker *worker, struct batch *batch, uint64_t i)
{
	const struct next_hop *hop = next_hop_get(batch->next_hop[i]);
	struct event event = {
	        .type = EVENT_PUNT,
	        .port = batch->in_port[i],
	        .segment = batch->segment[i],
	        .next_hop = batch->next_hop[i],
	};

	bool v6 = batch->ethertype[i] == RTE_ETHER_TYPE_IPV6;

	if (!hop)
		return PR_DROP_NO_ROUTE;
	if (!token_bucket_take(&shared->port[batch->in_port[i]].punt_bucket, worker->now, 1))
		return PR_DROP_PUNT_FULL;
	event.address = hop->gateway.family ? hop->gateway : destination_of(batch, i, v6);
	/* A long chain of short fragments would hold many times the buffers that it needs. */
	if (unlikely(batch->offload[i] & OFFLOAD_REASSEMBLED) && !batch_compact(batch, i))
		return PR_DROP_NO_MBUF;
	event.packet = batch_mbuf(batch, i);
	if (unlikely(!event.packet))
		return PR_DROP_NO_MBUF;
	*mbuf_note(event.packet) = (struct note){
	        /* Anew: meanwhile anything may have changed. */
	        .stage = v6 ? PR_STAGE_ROUTE6 : PR_STAGE_ROUTE,
	        .worker = (uint8_t)worker->index,
	        .in_port = batch->in_port[i],
	        .out_port = batch->out_port[i],
	        .segment = batch->segment[i],
	        .next_hop = batch->next_hop[i],
	        .offload = batch->offload[i],
	        .csum_start = batch->csum_start[i],
	        .csum_offset = batch->csum_offset[i],
	        .gso_size = batch->gso_size[i],
	        .header_length = batch->header_length[i],
	};
	return worker_post(worker, &event) ? PR_DROP_COUNT : PR_DROP_PUNT_FULL;
}

void stage_punt(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_PUNT);

	BATCH_FOREACH (i, mask) {
		enum pr_drop_reason reason = punt_one(worker, batch, i);

		if (reason != PR_DROP_COUNT)
			batch_drop(batch, i, reason);
		else
			counter_add(&worker->counters.held, 1);
	}
}
