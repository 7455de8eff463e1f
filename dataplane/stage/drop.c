/* SPDX-License-Identifier: BSD-3-Clause */
/* drop: the one place where packets die. Each is counted by reason, at the port that refused it. */
#include "dataplane/stage/stage.h"

/* Reasons that speak of the port a packet would have left through. */
static inline bool is_egress(unsigned reason)
{
	return reason == PR_DROP_EGRESS_FULL || reason == PR_DROP_EGRESS_DOWN ||
	       reason == PR_DROP_GUEST_BUFFER;
}

void stage_drop(struct worker *worker, struct batch *batch)
{
	struct counters *counters = &worker->counters;
	struct rte_mbuf *dead[PR_BATCH];
	uint64_t mask = batch_take(batch, PR_STAGE_DROP);
	unsigned n = 0, drops = 0, all = 0;

	BATCH_FOREACH (i, mask) {
		unsigned reason = batch->reason[i];
		uint16_t port;

		all++;
		if (batch->body[i])
			dead[n++] = batch->body[i];
		if (reason >= PR_DROP_COUNT)
			continue;
		drops++;
		counter_add(&counters->drop_reasons[reason], 1);
		port = is_egress(reason) ? batch->out_port[i] : batch->in_port[i];
		if (port != NO_PORT)
			counter_add(&counters->port[port].drops[reason], 1);
	}
	counter_add(&counters->drops, drops);
	counter_add(&counters->consumed, all - drops);
	if (n)
		rte_pktmbuf_free_bulk(dead, n);
}
