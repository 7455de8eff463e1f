/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/placement.h"

#include <stdbool.h>

uint64_t placement_cost(
        const struct placement_workers *workers, unsigned worker, int numa, uint32_t load)
{
	uint64_t cost = (uint64_t)load + PLACEMENT_QUEUE;
	bool foreign = numa >= 0 && workers->numa[worker] >= 0 && workers->numa[worker] != numa;

	return foreign ? cost + cost / 4 : cost;
}

unsigned placement_choose(struct placement_workers *workers, int numa, uint32_t load)
{
	uint64_t least = UINT64_MAX;
	unsigned best = 0;

	for (unsigned w = 0; w < workers->n; w++) {
		uint64_t sum = workers->load[w] + placement_cost(workers, w, numa, load);

		if (sum < least) {
			least = sum;
			best = w;
		}
	}
	workers->load[best] = least;
	return best;
}

static unsigned most_loaded(const struct placement_workers *workers)
{
	unsigned most = 0;

	for (unsigned w = 1; w < workers->n; w++)
		if (workers->load[w] > workers->load[most])
			most = w;
	return most;
}

struct step {
	unsigned queue, to;
	uint64_t larger; /* of the two sums, afterwards */
};

/* The best single move of a queue away from a worker. */
static struct step best_step(const struct placement_workers *workers,
        const struct placed_queue *queues, unsigned n, unsigned from)
{
	struct step best = {.larger = UINT64_MAX};

	for (unsigned q = 0; q < n; q++) {
		uint64_t left;

		if (queues[q].worker != from)
			continue;
		left = workers->load[from] -
		       placement_cost(workers, from, queues[q].numa, queues[q].load);
		for (unsigned w = 0; w < workers->n; w++) {
			uint64_t there;

			if (w == from)
				continue;
			there = workers->load[w] +
			        placement_cost(workers, w, queues[q].numa, queues[q].load);
			if ((there > left ? there : left) < best.larger)
				best = (struct step){q, w, there > left ? there : left};
		}
	}
	return best;
}

void placement_move(struct placement_workers *workers, struct placed_queue *queue, unsigned to)
{
	workers->load[queue->worker] -=
	        placement_cost(workers, queue->worker, queue->numa, queue->load);
	workers->load[to] += placement_cost(workers, to, queue->numa, queue->load);
	queue->worker = (uint16_t)to;
}

unsigned placement_balance(struct placement_workers *workers, struct placed_queue *queues,
        unsigned n, uint64_t gain, unsigned most)
{
	unsigned steps = 0;

	for (unsigned w = 0; w < workers->n; w++)
		workers->load[w] = 0;
	for (unsigned q = 0; q < n; q++)
		workers->load[queues[q].worker] +=
		        placement_cost(workers, queues[q].worker, queues[q].numa, queues[q].load);
	for (; steps < most; steps++) {
		unsigned from = most_loaded(workers);
		struct step step = best_step(workers, queues, n, from);

		if (step.larger == UINT64_MAX || step.larger + gain >= workers->load[from])
			break;
		placement_move(workers, &queues[step.queue], step.to);
	}
	return steps;
}
