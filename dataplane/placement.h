/* SPDX-License-Identifier: BSD-3-Clause */
/* Which worker polls which queue: the decision alone, over plain numbers. Pure functions; any
 * thread. Loads are millionths of a core. */
#ifndef DATAPLANE_PLACEMENT_H
#define DATAPLANE_PLACEMENT_H

#include <stdint.h>

#include <podrail/limits.h>

#define PLACEMENT_CORE 1000000u /* a whole core */
/* What a queue is taken for even if it is silent, so that silent ones are spread, too. */
#define PLACEMENT_QUEUE 1000u

struct placed_queue {
	uint16_t device, queue; /* whose it is: the caller's */
	uint16_t worker;
	int16_t numa;  /* node of the device, -1: unknown */
	uint32_t load; /* what it took lately */
};

struct placement_workers {
	unsigned n;
	int numa[PR_WORKERS_MAX];      /* node, -1: unknown */
	uint64_t load[PR_WORKERS_MAX]; /* sum of the costs of its queues (placement_cost) */
};

/* What a queue costs on a worker: a quarter more where its device is on another node. */
uint64_t placement_cost(
        const struct placement_workers *workers, unsigned worker, int numa, uint32_t load);

/* Gives a queue to a worker, and keeps the sums. */
void placement_move(struct placement_workers *workers, struct placed_queue *queue, unsigned to);

/* The worker for a new queue, whose load is added: where the sum is least. */
unsigned placement_choose(struct placement_workers *workers, int numa, uint32_t load);

/* Moves queues, one after the other, from the worker that has most to where it lowers the larger of
 * the two sums most, as long as it lowers it by more than gain, at most so many times.
 * workers->load is filled from the queues first, and is what it comes to afterwards. Returns how
 * many moves it made. Without nodes and with gain 0 the largest sum is at most 2 - 2 / (n + 1) of
 * the least possible one (Finn and Horowitz, 1979: moves of single jobs). */
unsigned placement_balance(struct placement_workers *workers, struct placed_queue *queues,
        unsigned n, uint64_t gain, unsigned most);

#endif
