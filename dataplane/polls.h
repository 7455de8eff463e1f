/* SPDX-License-Identifier: BSD-3-Clause */
/* Poll lists: which worker polls which queue, and what each queue takes. A queue is in one list at
 * most; what was in another is put into a new one only after a grace period. Tables thread only. */
#ifndef DATAPLANE_POLLS_H
#define DATAPLANE_POLLS_H

#include "dataplane/dataplane.h"
#include "dataplane/placement.h"
#include "dataplane/worker.h"

#define QUEUES_POLLED_MAX 64 /* of a device */

/* Puts the queues of a new device into the lists of the workers that have least to do (-ENOMEM:
 * nothing was changed), or takes them back. */
int polls_add(struct device *device);
void polls_remove(const struct device *device);

/* A worker's list as it is now; it stays until another is published. */
struct poll_list *polls_of(unsigned worker);
/* An empty list with room for n queues; NULL without memory. The caller's until it is published;
 * that of no queues is one for all. */
struct poll_list *polls_make(unsigned n);
/* One that was not published; NULL: nothing. */
void polls_free(struct poll_list *list);
/* Gives a worker its list; the old one is retired. */
void polls_publish(unsigned worker, struct poll_list *list);

/* A port of the device, NO_PORT if none is visible. */
uint16_t polls_port(const struct device *device);
/* Copies a worker's list with the queues' loads; returns its length. */
unsigned polls_copy(unsigned worker, struct dp_worker_queue *queues, unsigned max);

/* ---- loads (loads.c), in millionths of a core, the mean of the last seconds ---- */

/* Once a second: what the queues took since the last time. A worker's busy time is shared out by
 * packets. */
void loads_sample(uint64_t now_ms);
uint32_t load_of(const struct device *device, uint16_t queue);
/* What a worker was busy. */
uint32_t load_of_worker(unsigned worker);
/* The queues' costs summed by worker, and the workers' nodes. */
void loads_of_workers(struct placement_workers *sums);
/* A new device: what its queues took before was another's. */
void loads_forget(const struct device *device);

#endif
