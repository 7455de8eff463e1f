/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments: (network, VLAN) pairs and who is in them. Tables thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/network_control.h"
#include "dataplane/tables.h"

uint16_t segment_find(uint16_t network, uint16_t vlan)
{
	for (uint16_t s = 1; s < PR_SEGMENTS_MAX; s++) {
		const struct segment *segment = &shared->segment[s];

		if (segment->used && segment->network == network && segment->vlan == vlan)
			return s;
	}
	return NO_SEGMENT;
}

uint16_t segment_take(uint16_t network, uint16_t vlan)
{
	uint16_t s = segment_find(network, vlan);
	const struct network *net = network_at(network);

	if (s)
		return s;
	for (s = 1; s < PR_SEGMENTS_MAX && shared->segment[s].used; s++)
		;
	if (s == PR_SEGMENTS_MAX)
		return NO_SEGMENT;
	shared->segment[s].network = network;
	shared->segment[s].vlan = vlan;
	shared->segment[s].routed = net->spec.routed;
	shared->segment[s].proxy = net->spec.proxy_arp;
	shared->segment[s].reassemble = net->spec.reassemble;
	shared->segment[s].fib = net->fib;
	shared->segment[s].fib6 = net->fib6;
	shared->segment[s].advertised = net->advertised;
	shared->segment[s].n_members = 0;
	shared->segment[s].link_local = net->spec.link_local & ~(1u << 1); /* never PAUSE */
	shared->segment[s].used = true;
	return s;
}

static void publish_members(struct segment *segment, struct members *members)
{
	const struct members *old = atomic_load_explicit(&segment->members, memory_order_relaxed);

	segment->n_members = members ? members->n : 0;
	atomic_store_explicit(&segment->members, members, memory_order_release);
	if (old)
		tables_retire(free, (void *)(uintptr_t)old);
}

int segment_join(uint16_t s, uint16_t port, uint16_t tag)
{
	struct segment *segment = &shared->segment[s];
	const struct members *old = atomic_load_explicit(&segment->members, memory_order_relaxed);
	unsigned n = old ? old->n : 0;
	struct members *members = malloc(sizeof(*members) + (n + 1) * sizeof(members->member[0]));

	if (!members)
		return -ENOMEM;
	if (n)
		memcpy(members->member, old->member, n * sizeof(old->member[0]));
	members->member[n].port = port;
	members->member[n].tag = tag;
	members->n = (uint16_t)(n + 1);
	publish_members(segment, members);
	return 0;
}

static void free_segment(void *arg)
{
	struct segment *segment = arg;

	/* Somebody may have joined again meanwhile. */
	if (!segment->n_members)
		segment->used = false;
}

void segment_give_back(uint16_t s)
{
	if (!shared->segment[s].routed)
		free_segment(&shared->segment[s]);
}

void segment_leave(uint16_t s, uint16_t port)
{
	struct segment *segment = &shared->segment[s];
	const struct members *old = atomic_load_explicit(&segment->members, memory_order_relaxed);
	struct members *members = NULL;
	unsigned kept = 0;

	for (unsigned n = 0; old && n < old->n; n++)
		kept += old->member[n].port != port;
	if (!old || kept == old->n)
		return;
	if (kept) {
		while (!(members = malloc(sizeof(*members) + kept * sizeof(members->member[0]))))
			tables_reclaim_wait();
		members->n = 0;
		for (unsigned n = 0; n < old->n; n++)
			if (old->member[n].port != port)
				members->member[members->n++] = old->member[n];
	}
	publish_members(segment, members);
	if (!kept && !segment->routed)
		tables_retire(free_segment, segment);
}
