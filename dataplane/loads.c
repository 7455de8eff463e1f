/* SPDX-License-Identifier: BSD-3-Clause */
/* What queues and workers take. Tables thread. */
#include <string.h>

#include <rte_cycles.h>

#include "dataplane/polls.h"

#define SAMPLE_MS 1000

static struct queue_load {
	uint64_t generation; /* of the list in which packets were counted */
	uint32_t packets;    /* at the last sample */
	uint32_t fresh;      /* packets since then */
	uint32_t load;
} loads[PR_PORTS_MAX][QUEUES_POLLED_MAX];

static struct {
	uint64_t busy_cycles, tsc; /* at the last sample */
	uint32_t load;
} worker_loads[PR_WORKERS_MAX];

static uint64_t sampled_ms;

static struct queue_load *place_of(const struct device *device, uint16_t queue)
{
	return &loads[device->index][queue % QUEUES_POLLED_MAX];
}

uint32_t load_of(const struct device *device, uint16_t queue)
{
	return place_of(device, queue)->load;
}

uint32_t load_of_worker(unsigned worker)
{
	return worker_loads[worker].load;
}

void loads_forget(const struct device *device)
{
	memset(loads[device->index], 0, sizeof(loads[device->index]));
}

void loads_of_workers(struct placement_workers *sums)
{
	sums->n = shared->n_workers;
	for (unsigned w = 0; w < shared->n_workers; w++)
		sums->numa[w] = worker_at(w)->numa;
	for (unsigned w = 0; w < shared->n_workers; w++) {
		const struct poll_list *list = polls_of(w);

		sums->load[w] = 0;
		for (unsigned n = 0; n < list->n; n++)
			sums->load[w] += placement_cost(sums, w, list->queue[n].device->numa,
			        load_of(list->queue[n].device, list->queue[n].queue));
	}
}

/* Millionths of a core that a worker was busy since the last time. */
static uint32_t busy_share(unsigned w)
{
	uint64_t busy = counter_get(&worker_at(w)->counters.busy_cycles), now = rte_rdtsc();
	uint64_t cycles = busy - worker_loads[w].busy_cycles, all = now - worker_loads[w].tsc;
	uint64_t share = all ? (uint64_t)((double)cycles / (double)all * PLACEMENT_CORE) : 0;

	worker_loads[w].busy_cycles = busy;
	worker_loads[w].tsc = now;
	return (uint32_t)RTE_MIN(share, (uint64_t)PLACEMENT_CORE);
}

static uint32_t mean(uint32_t old, uint64_t fresh)
{
	return (uint32_t)((old + fresh) / 2);
}

static void sample_worker(unsigned w)
{
	const struct poll_order *order = &worker_at(w)->polling;
	const struct poll_list *list = polls_of(w);
	uint64_t generation = __atomic_load_n(&order->generation, __ATOMIC_ACQUIRE), all = 0;
	uint32_t share = busy_share(w);

	worker_loads[w].load = mean(worker_loads[w].load, share);
	/* It has not looked at its new list yet. */
	if (list->n && generation != list->generation)
		return;
	for (unsigned n = 0; n < list->n; n++) {
		struct queue_load *q = place_of(list->queue[n].device, list->queue[n].queue);
		uint32_t packets = __atomic_load_n(&order->queue[n].packets, __ATOMIC_RELAXED);

		/* A list's counters begin at 0. */
		q->fresh = q->generation == generation ? packets - q->packets : packets;
		q->generation = generation;
		q->packets = packets;
		all += q->fresh;
	}
	for (unsigned n = 0; n < list->n; n++) {
		struct queue_load *q = place_of(list->queue[n].device, list->queue[n].queue);

		q->load = mean(q->load, all ? (uint64_t)share * q->fresh / all : 0);
	}
}

void loads_sample(uint64_t now_ms)
{
	if (now_ms - sampled_ms < SAMPLE_MS)
		return;
	sampled_ms = now_ms;
	for (unsigned w = 0; w < shared->n_workers; w++)
		if (worker_at(w))
			sample_worker(w);
}
