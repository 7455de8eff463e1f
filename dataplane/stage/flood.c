/* SPDX-License-Identifier: BSD-3-Clause */
/* flood: one copy for each other member of the segment, with a head of its own and a body that they
 * share. The last one gets the packet itself. */
#include "dataplane/stage/stage.h"

static inline bool may_leave(const struct batch *batch, uint64_t i, uint16_t port)
{
	return port != batch->in_port[i] &&
	       !((port_flags(&shared->port[port]) & port_flags(&shared->port[batch->in_port[i]])) &
	               PORT_ISOLATED);
}

static void count_lost_copy(struct worker *worker, const struct batch *batch, uint64_t i)
{
	struct counters *counters = &worker->counters;

	counter_add(&counters->drop_reasons[PR_DROP_NO_MBUF], 1);
	counter_add(&counters->drops, 1);
	counter_add(&counters->port[batch->in_port[i]].drops[PR_DROP_NO_MBUF], 1);
}

static void add_copy(
        struct worker *worker, struct batch *batch, uint64_t i, uint16_t port, uint16_t tag)
{
	uint32_t copy;

	counter_add(&worker->counters.replicated, 1);
	if (unlikely(!batch_share(batch, i))) {
		count_lost_copy(worker, batch, i);
		return;
	}
	copy = pipeline_add_clone(worker, batch, i);
	worker->copies.out_port[copy] = port;
	worker->copies.out_tag[copy] = tag;
}

static void flood_one(struct worker *worker, struct batch *batch, uint64_t i)
{
	const struct members *members = atomic_load_explicit(
	        &shared->segment[batch->segment[i]].members, memory_order_acquire);
	int last = -1;

	for (unsigned n = 0; members && n < members->n; n++) {
		if (!may_leave(batch, i, members->member[n].port))
			continue;
		if (last >= 0)
			add_copy(worker, batch, i, members->member[last].port,
			        members->member[last].tag);
		last = (int)n;
	}
	if (last < 0) {
		batch_drop(batch, i, PR_DROP_FLOOD_EMPTY);
		return;
	}
	batch->out_port[i] = members->member[last].port;
	batch->out_tag[i] = members->member[last].tag;
	batch_next(batch, i, PR_STAGE_TX);
}

void stage_flood(struct worker *worker, struct batch *batch)
{
	uint64_t mask = batch_take(batch, PR_STAGE_FLOOD);

	BATCH_FOREACH (i, mask)
		flood_one(worker, batch, i);
}
