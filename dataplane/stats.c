/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums of counters. Any thread reads; nobody is disturbed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "dataplane/hop_group.h"
#include "dataplane/neighbour_control.h"
#include "dataplane/network_control.h"
#include "dataplane/next_hop.h"
#include "dataplane/port/ports.h"
#include "dataplane/polls.h"
#include "dataplane/tables.h"

/* Counters of worker w, of the tables thread for w == n_workers, NULL behind. */
static const struct counters *writer(unsigned w)
{
	if (w < shared->n_workers)
		return workers[w] ? &workers[w]->counters : tables_counters;
	return w == shared->n_workers ? tables_counters : NULL;
}

void stats_port_sum(uint16_t index, struct dp_port_counters *sum)
{
	const struct counters *from;

	memset(sum, 0, sizeof(*sum));
	for (unsigned w = 0; (from = writer(w)); w++) {
		sum->rx_packets += counter_get(&from->port[index].rx_packets);
		sum->rx_bytes += counter_get(&from->port[index].rx_bytes);
		sum->tx_packets += counter_get(&from->port[index].tx_packets);
		sum->tx_bytes += counter_get(&from->port[index].tx_bytes);
		for (unsigned r = 0; r < PR_DROP_COUNT; r++)
			sum->drops[r] += counter_get(&from->port[index].drops[r]);
	}
}

static int fill_of_tables(void *arg)
{
	struct dp_totals *totals = arg;
	struct fib4_pool_stats fib;
	struct fib6_pool_stats fib6;
	struct reassembly_stats reassembly;
	unsigned ports = 0, networks = 0, segments = 0;

	fib4_pool_stats(shared->fib_pool, &fib);
	fib6_pool_stats(shared->fib6_pool, &fib6);
	for (uint16_t n = 0; n < PR_PORTS_MAX; n++)
		ports += port_at(n)->used;
	for (uint16_t n = 0; n < PR_NETWORKS_MAX; n++)
		networks += network_at(n)->used;
	for (uint16_t n = 1; n < PR_SEGMENTS_MAX; n++)
		segments += shared->segment[n].used;
	totals->routes = (struct dp_table_fill){fib.routes, fib.routes_max};
	totals->routes6 = (struct dp_table_fill){fib6.routes + fib6.retired, fib6.routes_max};
	totals->fib_nodes = (struct dp_table_fill){fib.nodes_max - fib.nodes_free, fib.nodes_max};
	totals->next_hops = (struct dp_table_fill){hops_count(), NEXT_HOPS_MAX - 1};
	totals->fdb = (struct dp_table_fill){shared->fdb->count, shared->fdb->max};
	totals->groups = groups_fill();
	totals->group_buckets = group_buckets_fill();
	totals->neighbours = (struct dp_table_fill){neighbours_count(), neighbours_max()};
	totals->multicast_groups =
	        (struct dp_table_fill){shared->mdb->n_groups, shared->mdb->max_groups};
	totals->multicast_members =
	        (struct dp_table_fill){shared->mdb->n_members, shared->mdb->max_members};
	reassembly_stats(shared->reassembly, &reassembly);
	totals->reassemblies = (struct dp_table_fill){
	        reassembly.datagrams, reassembly_limits(shared->reassembly)->datagrams};
	totals->reassembly_bytes = (struct dp_table_fill){
	        reassembly.bytes, reassembly_limits(shared->reassembly)->bytes};
	totals->ports = (struct dp_table_fill){ports, PR_PORTS_MAX};
	totals->networks = (struct dp_table_fill){networks, PR_NETWORKS_MAX};
	totals->segments = (struct dp_table_fill){segments, PR_SEGMENTS_MAX - 1};
	return 0;
}

void dp_totals(struct dp_totals *totals)
{
	const struct counters *from;
	uint64_t released = 0;

	memset(totals, 0, sizeof(*totals));
	for (unsigned w = 0; (from = writer(w)); w++) {
		totals->in += counter_get(&from->in);
		totals->generated += counter_get(&from->generated);
		totals->replicated += counter_get(&from->replicated);
		totals->fragments += counter_get(&from->fragments);
		totals->out += counter_get(&from->out);
		totals->drops += counter_get(&from->drops);
		totals->consumed += counter_get(&from->consumed);
		totals->merged += counter_get(&from->merged);
		totals->held += counter_get(&from->held);
		released += counter_get(&from->released);
		totals->learn_lost += counter_get(&from->learn_lost);
		totals->multicast_lost += counter_get(&from->multicast_lost);
		for (unsigned r = 0; r < PR_DROP_COUNT; r++)
			totals->drop_reasons[r] += counter_get(&from->drop_reasons[r]);
		for (unsigned s = 0; s < PR_STAGE_COUNT; s++)
			totals->stage_packets[s] += counter_get(&from->stage_packets[s]);
	}
	totals->held -= released;
	totals->mbufs = (struct dp_table_fill){
	        rte_mempool_in_use_count(shared->mbufs), shared->mbufs->size};
	tables_call(fill_of_tables, totals);
}

struct queues_request {
	unsigned worker;
	struct dp_worker_info *info;
};

static int copy_queues(void *arg)
{
	struct queues_request *request = arg;
	struct dp_worker_info *info = request->info;

	info->load = load_of_worker(request->worker);
	info->n_queues = polls_copy(
	        request->worker, info->queue, sizeof(info->queue) / sizeof(info->queue[0]));
	return 0;
}

int dp_worker_info(unsigned index, struct dp_worker_info *info)
{
	struct queues_request request = {index, info};
	const struct worker *worker;
	const struct counters *from;

	if (index >= shared->n_workers)
		return -ENOENT;
	worker = workers[index];
	from = &worker->counters;
	info->cpu = worker->cpu;
	info->numa = worker->numa;
	info->busy_cycles = counter_get(&from->busy_cycles);
	info->idle_cycles = counter_get(&from->idle_cycles);
	info->packets = counter_get(&from->in);
	info->batches = counter_get(&from->batches);
	info->polls = counter_get(&from->full_polls);
	info->sleeping = atomic_load(&worker->sleeping);
	info->tsc_hz = shared->tsc_hz;
	for (unsigned s = 0; s < PR_STAGE_COUNT; s++) {
		info->stage[s].packets = counter_get(&from->sampled_packets[s]);
		info->stage[s].cycles = counter_get(&from->sampled_cycles[s]);
	}
	tables_call(copy_queues, &request);
	return 0;
}
