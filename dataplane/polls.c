/* SPDX-License-Identifier: BSD-3-Clause */
/* Which worker polls which queue. A change publishes a new list to the workers that it concerns;
 * the others never notice. Tables thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/network_control.h"
#include "dataplane/tables.h"

static struct poll_list *current(unsigned worker)
{
	return atomic_load_explicit(&workers[worker]->polls, memory_order_relaxed);
}

static struct poll_list *list_make(unsigned n)
{
	static uint64_t generation;
	struct poll_list *list = malloc(sizeof(*list) + n * sizeof(list->queue[0]));

	if (list) {
		list->generation = ++generation;
		list->n = 0;
	}
	return list;
}

static void list_publish(unsigned worker, struct poll_list *list)
{
	struct poll_list *old = current(worker);

	atomic_store_explicit(&workers[worker]->polls, list, memory_order_release);
	if (old != tables_empty_polls())
		tables_retire(free, old);
}

static unsigned least_loaded(const unsigned *load)
{
	unsigned best = 0;

	for (unsigned w = 1; w < shared->n_workers; w++)
		if (load[w] < load[best])
			best = w;
	return best;
}

int polls_add(struct device *device)
{
	unsigned load[PR_WORKERS_MAX], owner[PR_WORKERS_MAX * PR_QUEUES_MAX];
	struct poll_list *lists[PR_WORKERS_MAX] = {0};

	for (unsigned w = 0; w < shared->n_workers; w++)
		load[w] = current(w)->n;
	for (unsigned q = 0; q < device->n_queues; q++) {
		owner[q] = least_loaded(load);
		load[owner[q]]++;
	}
	for (unsigned q = 0; q < device->n_queues; q++) {
		unsigned w = owner[q];
		const struct poll_list *old = current(w);

		if (!lists[w]) {
			lists[w] = list_make(load[w]);
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
			list_publish(w, lists[w]);
	return 0;
out_of_memory:
	for (unsigned w = 0; w < shared->n_workers; w++)
		free(lists[w]);
	return -ENOMEM;
}

void polls_remove(const struct device *device)
{
	for (unsigned w = 0; w < shared->n_workers; w++) {
		struct poll_list *old = current(w), *list;
		unsigned kept = 0;

		for (unsigned n = 0; n < old->n; n++)
			kept += old->queue[n].device != device;
		if (kept == old->n)
			continue;
		list = kept ? list_make(kept) : tables_empty_polls();
		while (!list) {
			/* Removal may not fail: try again once retired lists are freed. */
			tables_reclaim_wait();
			list = list_make(kept);
		}
		for (unsigned n = 0; n < old->n && kept; n++)
			if (old->queue[n].device != device)
				list->queue[list->n++] = old->queue[n];
		list_publish(w, list);
	}
}

unsigned polls_copy(unsigned worker, uint16_t *ports, uint16_t *queues, unsigned max)
{
	const struct poll_list *list = current(worker);
	unsigned n;

	for (n = 0; n < list->n && n < max; n++) {
		const struct device *device = list->queue[n].device;
		struct link link = atomic_load(&device->untagged);

		ports[n] = link.port;
		for (uint16_t p = 0; ports[n] == NO_PORT && p < PR_PORTS_MAX; p++)
			if (port_at(p)->used && shared->port[p].device == device)
				ports[n] = p;
		queues[n] = list->queue[n].queue;
	}
	return n;
}
