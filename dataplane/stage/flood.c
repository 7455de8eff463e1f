/* SPDX-License-Identifier: BSD-3-Clause */
/* flood: one copy for each other member of the segment. The last one gets the packet itself. */
#include "dataplane/stage/stage.h"

/* A packet of its own with the same bytes, or NULL. Frames that are flooded are few and mostly
 * short: a copy costs less than a chain that half of the devices could not send. */
static struct rte_mbuf *copy_frame(const struct batch *batch, uint64_t i)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(shared->mbufs);
	uint8_t *to;

	if (unlikely(!m))
		return NULL;
	to = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)batch->length[i]);
	if (unlikely(!to)) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	memcpy(to, batch->head[i], batch->length[i]);
	return m;
}

static inline bool may_leave(const struct batch *batch, uint64_t i, uint16_t port)
{
	return port != batch->in_port[i] &&
	       !((port_flags(&shared->port[port]) & port_flags(&shared->port[batch->in_port[i]])) &
	               PORT_ISOLATED);
}

static void add_copy(struct worker *worker, const struct batch *batch, uint64_t i, uint16_t port,
        uint16_t tag, struct rte_mbuf *m)
{
	uint32_t copy = pipeline_add_copy(worker, m);

	worker->copies.in_port[copy] = batch->in_port[i];
	worker->copies.segment[copy] = batch->segment[i];
	worker->copies.tci[copy] = batch->tci[i];
	worker->copies.out_port[copy] = port;
	worker->copies.out_tag[copy] = tag;
}

static void flood_one(struct worker *worker, struct batch *batch, uint64_t i)
{
	const struct members *members = atomic_load_explicit(
	        &shared->segment[batch->segment[i]].members, memory_order_acquire);
	int last = -1;

	for (unsigned n = 0; members && n < members->n; n++) {
		struct rte_mbuf *m;

		if (!may_leave(batch, i, members->member[n].port))
			continue;
		if (last >= 0) {
			m = copy_frame(batch, i);
			if (unlikely(!m)) {
				counter_add(&worker->counters.drop_reasons[PR_DROP_NO_MBUF], 1);
				counter_add(&worker->counters.drops, 1);
				counter_add(&worker->counters.replicated, 1);
				counter_add(&worker->counters.port[batch->in_port[i]]
				                     .drops[PR_DROP_NO_MBUF],
				        1);
			} else {
				counter_add(&worker->counters.replicated, 1);
				add_copy(worker, batch, i, members->member[last].port,
				        members->member[last].tag, m);
			}
		}
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
