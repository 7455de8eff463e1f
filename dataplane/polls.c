/* SPDX-License-Identifier: BSD-3-Clause */
/* Which worker polls which queue. A change publishes a new list to the workers that it concerns;
 * the others never notice. Tables thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/network_control.h"
#include "dataplane/polls.h"
#include "dataplane/tables.h"
#include "dataplane/worker_idle.h"

struct poll_list *polls_of(unsigned worker)
{
	return atomic_load_explicit(&workers[worker]->polls, memory_order_relaxed);
}

struct poll_list *polls_make(unsigned n)
{
	static uint64_t generation;
	struct poll_list *list;

	if (!n)
		return tables_empty_polls();
	list = malloc(sizeof(*list) + n * sizeof(list->queue[0]));

	if (list) {
		list->generation = ++generation;
		list->n = 0;
	}
	return list;
}

void polls_free(struct poll_list *list)
{
	if (list != tables_empty_polls())
		free(list);
}

void polls_publish(unsigned worker, struct poll_list *list)
{
	struct poll_list *old = polls_of(worker);

	atomic_store_explicit(&workers[worker]->polls, list, memory_order_release);
	worker_wake(workers[worker]);
	if (old != tables_empty_polls())
		tables_retire(free, old);
}

int polls_add(struct device *device)
{
	unsigned length[PR_WORKERS_MAX], owner[QUEUES_POLLED_MAX];
	struct poll_list *lists[PR_WORKERS_MAX] = {0};
	struct placement_workers loads;

	loads_forget(device);
	loads_of_workers(&loads);
	for (unsigned w = 0; w < shared->n_workers; w++)
		length[w] = polls_of(w)->n;
	for (unsigned q = 0; q < device->n_queues; q++) {
		owner[q] = placement_choose(&loads, device->numa, 0);
		length[owner[q]]++;
	}
	for (unsigned q = 0; q < device->n_queues; q++) {
		unsigned w = owner[q];
		const struct poll_list *old = polls_of(w);

		if (!lists[w]) {
			lists[w] = polls_make(length[w]);
			if (!lists[w])
				goto out_of_memory;
			memcpy(lists[w]->queue, old->queue, old->n * sizeof(old->queue[0]));
			lists[w]->n = old->n;
		}
		lists[w]->queue[lists[w]->n].device = device;
		lists[w]->queue[lists[w]->n++].queue = (uint16_t)q;
	}
	for (unsigned w = 0; w < shared->n_workers; w++)
		if (lists[w])
			polls_publish(w, lists[w]);
	return 0;
out_of_memory:
	for (unsigned w = 0; w < shared->n_workers; w++)
		free(lists[w]);
	return -ENOMEM;
}

void polls_remove(const struct device *device)
{
	for (unsigned w = 0; w < shared->n_workers; w++) {
		struct poll_list *old = polls_of(w), *list;
		unsigned kept = 0;

		for (unsigned n = 0; n < old->n; n++)
			kept += old->queue[n].device != device;
		if (kept == old->n)
			continue;
		list = polls_make(kept);
		while (!list) {
			/* Removal may not fail: try again once retired lists are freed. */
			tables_reclaim_wait();
			list = polls_make(kept);
		}
		for (unsigned n = 0; n < old->n && kept; n++)
			if (old->queue[n].device != device)
				list->queue[list->n++] = old->queue[n];
		polls_publish(w, list);
	}
}

uint16_t polls_port(const struct device *device)
{
	struct link link = atomic_load(&device->untagged);

	for (uint16_t p = 0; link.port == NO_PORT && p < PR_PORTS_MAX; p++)
		if (port_at(p)->used && shared->port[p].device == device)
			return p;
	return link.port;
}

unsigned polls_copy(unsigned worker, struct dp_worker_queue *queues, unsigned max)
{
	const struct poll_list *list = polls_of(worker);
	unsigned n;

	for (n = 0; n < list->n && n < max; n++) {
		const struct device *device = list->queue[n].device;
		queues[n].port = polls_port(device);
		queues[n].queue = list->queue[n].queue;
		queues[n].load = load_of(device, list->queue[n].queue);
	}
	return n;
}
