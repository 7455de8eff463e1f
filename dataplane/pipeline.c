/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_cycles.h>

#include "dataplane/stage/stage.h"

static stage_fn *const stage_functions[PR_STAGE_COUNT] = {
        [PR_STAGE_PARSE] = stage_parse,
        [PR_STAGE_INGRESS_CHECK] = stage_ingress_check,
        [PR_STAGE_BRIDGE] = stage_bridge,
        [PR_STAGE_POLICE] = stage_police,
        [PR_STAGE_MULTICAST] = stage_multicast,
        [PR_STAGE_FLOOD] = stage_flood,
        [PR_STAGE_ARP] = stage_arp,
        [PR_STAGE_ND] = stage_nd,
        [PR_STAGE_REASSEMBLE] = stage_reassemble,
        [PR_STAGE_ROUTE] = stage_route,
        [PR_STAGE_ROUTE6] = stage_route6,
        [PR_STAGE_LOCAL] = stage_local,
        [PR_STAGE_LOCAL6] = stage_local6,
        [PR_STAGE_ICMP_ERROR] = stage_icmp_error,
        [PR_STAGE_ICMP6_ERROR] = stage_icmp6_error,
        [PR_STAGE_PUNT] = stage_punt,
        [PR_STAGE_REWRITE] = stage_rewrite,
        [PR_STAGE_TX] = stage_tx,
        [PR_STAGE_DROP] = stage_drop,
};

/* Every stage only sends on to later ones, so one pass is enough. */
static void pipeline_pass(struct worker *worker, struct batch *batch, bool sampled)
{
	struct counters *counters = &worker->counters;

	for (unsigned s = PR_STAGE_PARSE; s < PR_STAGE_COUNT; s++) {
		uint64_t todo = batch->todo[s];
		unsigned n;

		if (!todo)
			continue;
		n = (unsigned)__builtin_popcountll(todo);
		counter_add(&counters->stage_packets[s], n);
		if (sampled) {
			uint64_t before = rte_rdtsc();

			stage_functions[s](worker, batch);
			counter_add(&counters->sampled_cycles[s], rte_rdtsc() - before);
			counter_add(&counters->sampled_packets[s], n);
		} else {
			stage_functions[s](worker, batch);
		}
	}
	batch->count = 0;
	batch->n_spans = 0;
	batch->offloads = batch->mbufs = false;
}

void pipeline_run(struct worker *worker, struct batch *batch)
{
	pipeline_pass(worker, batch, worker->batch_number++ % SAMPLE_EVERY == 0);
	pipeline_flush_copies(worker);
}

uint32_t pipeline_add_clone(struct worker *worker, const struct batch *batch, uint64_t i)
{
	uint32_t copy;

	if (worker->copies.count == PR_BATCH)
		pipeline_flush_copies(worker);
	copy = batch_clone(&worker->copies, batch, i);
	batch_next(&worker->copies, copy, PR_STAGE_TX);
	return copy;
}

static uint32_t add_copy(struct worker *worker, struct rte_mbuf *m)
{
	uint32_t i;

	if (worker->copies.count == PR_BATCH)
		pipeline_flush_copies(worker);
	i = batch_add(&worker->copies, m);
	batch_next(&worker->copies, i, PR_STAGE_TX);
	return i;
}

void pipeline_answer(
        struct worker *worker, const struct batch *batch, uint64_t i, struct rte_mbuf *m)
{
	uint32_t copy = add_copy(worker, m);

	worker->copies.in_port[copy] = batch->in_port[i];
	worker->copies.segment[copy] = batch->segment[i];
	worker->copies.out_port[copy] = batch->in_port[i];
	worker->copies.out_tag[copy] = shared->port[batch->in_port[i]].vlan;
	counter_add(&worker->counters.generated, 1);
}

void pipeline_flush_copies(struct worker *worker)
{
	if (worker->copies.count)
		pipeline_pass(worker, &worker->copies, false);
}
