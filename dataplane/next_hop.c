/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_malloc.h>

#include "dataplane/hop_group.h"
#include "dataplane/hop_group_deal.h"
#include "dataplane/liveness.h"
#include "dataplane/neighbour_control.h"
#include "dataplane/next_hop.h"
#include "dataplane/tables.h"

#define HOP_BUCKETS 16384
#define OBJECTS     (NEXT_HOPS_MAX + 8192) /* old ones live until their grace period is over */

static struct {
	struct hop *hop;  /* [NEXT_HOPS_MAX], 0 is unused */
	uint32_t *bucket; /* [HOP_BUCKETS] */
	uint32_t unused, count;
	struct next_hop *objects;
	struct next_hop **unused_objects; /* a stack */
	uint32_t n_unused_objects;
} hops;

int hops_init(void)
{
	hops.hop = rte_zmalloc("hops", sizeof(*hops.hop) * NEXT_HOPS_MAX, 64);
	hops.bucket = rte_zmalloc("hops", sizeof(*hops.bucket) * HOP_BUCKETS, 64);
	hops.objects = rte_zmalloc("hops", sizeof(*hops.objects) * OBJECTS, 64);
	hops.unused_objects = rte_zmalloc("hops", sizeof(*hops.unused_objects) * OBJECTS, 64);
	if (!hops.hop || !hops.bucket || !hops.objects || !hops.unused_objects)
		return -ENOMEM;
	hops.unused = 1;
	for (uint32_t n = 1; n < NEXT_HOPS_MAX; n++)
		hops.hop[n].chain = n + 1 < NEXT_HOPS_MAX ? n + 1 : 0;
	for (uint32_t n = 0; n < OBJECTS; n++)
		hops.unused_objects[n] = &hops.objects[n];
	hops.n_unused_objects = OBJECTS;
	hops.count = 0;
	return 0;
}

void hops_free(void)
{
	rte_free(hops.hop);
	rte_free(hops.bucket);
	rte_free(hops.objects);
	rte_free(hops.unused_objects);
	memset(&hops, 0, sizeof(hops));
}

uint32_t hops_count(void)
{
	return hops.count;
}

const struct hop *hop_at(uint32_t index)
{
	return &hops.hop[index];
}

/* Next hops of one gateway share a bucket, whatever their kind and port. */
static uint32_t *bucket_of(uint16_t network, const struct pr_ip *gateway)
{
	uint32_t words[4] = {0}, hash = (uint32_t)network << 16 ^ network;

	if (gateway->family)
		memcpy(words, gateway->b, pr_ip_bytes(gateway));
	for (unsigned n = 0; n < 4; n++)
		hash = (hash ^ words[n]) * 2654435761u ^ hash >> 15;
	return &hops.bucket[hash * 2654435761u >> 18];
}

_Static_assert(HOP_BUCKETS == 1 << 14, "bucket_of shifts by 32 - 14");

static void free_object(void *object)
{
	hops.unused_objects[hops.n_unused_objects++] = object;
}

static void publish(uint32_t index, const struct next_hop *content)
{
	const struct next_hop *old = next_hop_get(index);
	struct next_hop *object = NULL;

	if (content) {
		/* So many can only be missing if all changed within one grace period. */
		while (!hops.n_unused_objects)
			tables_reclaim_wait();
		object = hops.unused_objects[--hops.n_unused_objects];
		*object = *content;
	}
	atomic_store_explicit(&shared->next_hop[index], object, memory_order_release);
	if (old)
		tables_retire(free_object, (void *)(uintptr_t)old);
}

static void fill_rewrite(
        struct next_hop *content, const struct port *port, const struct pr_mac *mac)
{
	uint16_t ethertype = rte_cpu_to_be_16(
	        content->gateway.family == AF_INET6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);

	memcpy(content->rewrite, mac, 6);
	memcpy(content->rewrite + 6, &port->gateway_mac, 6);
	memcpy(content->rewrite + 12, &ethertype, 2);
}

static void fill_via(struct next_hop *content, const struct hop *hop)
{
	const struct port *port = &shared->port[hop->port];
	struct pr_mac mac;

	switch (neighbour_mac(hop->network, hop->port, &hop->gateway, &mac)) {
	case NEIGHBOUR_KNOWN:
		content->type = NEXT_HOP_FORWARD;
		fill_rewrite(content, port, &mac);
		break;
	case NEIGHBOUR_SILENT:
		content->type = NEXT_HOP_FAILED;
		break;
	default:
		content->type = NEXT_HOP_INCOMPLETE;
	}
}

static void republish(uint32_t index)
{
	const struct hop *hop = &hops.hop[index];
	struct next_hop content = {.index = index, .port = hop->port, .gateway = hop->gateway};

	if (hop->port != NO_PORT) {
		content.mtu = shared->port[hop->port].mtu;
		content.tag = shared->port[hop->port].vlan;
	}
	if (hop->dead) {
		content.type = NEXT_HOP_UNREACHABLE;
		content.port = NO_PORT;
		publish(index, &content);
		return;
	}
	switch (hop->kind) {
	case HOP_VIA:
	case HOP_HOST:
		fill_via(&content, hop);
		break;
	case HOP_GLEAN:
		content.type = NEXT_HOP_GLEAN;
		break;
	case HOP_LOCAL:
		content.type = NEXT_HOP_LOCAL;
		break;
	case HOP_BLACKHOLE:
		content.type = NEXT_HOP_BLACKHOLE;
		break;
	case HOP_GROUP:
		group_fill(&hop->gateway, &content);
		break;
	default:
		content.type = NEXT_HOP_UNREACHABLE;
	}
	publish(index, &content);
}

uint32_t hop_take(enum hop_kind kind, uint16_t network, uint16_t port, const struct pr_ip *gateway)
{
	static const struct pr_ip none;
	uint32_t *bucket, index;
	struct hop *hop;

	gateway = gateway ? gateway : &none;
	bucket = bucket_of(network, gateway);
	for (index = *bucket; index; index = hops.hop[index].chain) {
		hop = &hops.hop[index];
		if (hop->kind == kind && !hop->dead && hop->network == network &&
		        hop->port == port && pr_ip_equal(&hop->gateway, gateway)) {
			hop->references++;
			return index;
		}
	}
	index = hops.unused;
	if (!index)
		return 0;
	hop = &hops.hop[index];
	hops.unused = hop->chain;
	*hop = (struct hop){
	        .kind = (uint8_t)kind,
	        .network = network,
	        .port = port,
	        .gateway = *gateway,
	        .references = 1,
	        .chain = *bucket,
	};
	*bucket = index;
	hops.count++;
	republish(index);
	return index;
}

void hop_set_watch(uint32_t index, uint16_t watch)
{
	hops.hop[index].watch = watch;
}

void hop_hold(uint32_t index)
{
	hops.hop[index].references++;
}

static void free_index(void *arg)
{
	uint32_t index = (uint32_t)(uintptr_t)arg;

	publish(index, NULL);
	hops.hop[index] = (struct hop){.chain = hops.unused};
	hops.unused = index;
	hops.count--;
}

void hop_release(uint32_t index)
{
	struct hop *hop = &hops.hop[index];
	uint32_t *link = bucket_of(hop->network, &hop->gateway);

	if (--hop->references)
		return;
	while (*link != index)
		link = &hops.hop[*link].chain;
	*link = hop->chain;
	if (hop->kind == HOP_GROUP)
		group_released(&hop->gateway);
	hop->kind = HOP_NONE;
	/* Workers may still hold the index from a table that led to it. */
	tables_retire(free_index, (void *)(uintptr_t)index);
}

void hops_neighbour_changed(uint16_t network, const struct pr_ip *address)
{
	for (uint32_t index = *bucket_of(network, address); index; index = hops.hop[index].chain) {
		const struct hop *hop = &hops.hop[index];

		if (hop_is_via(hop) && hop->network == network &&
		        pr_ip_equal(&hop->gateway, address))
			republish(index);
	}
}

void hops_heard(uint16_t network, uint16_t port, const struct pr_ip *address)
{
	for (uint32_t index = *bucket_of(network, address); index; index = hops.hop[index].chain) {
		const struct hop *hop = &hops.hop[index];

		if (hop->watch && hop->network == network && hop->port == port &&
		        pr_ip_equal(&hop->gateway, address))
			liveness_heard(hop->watch);
	}
}

bool hops_used(uint16_t network, const struct pr_ip *address)
{
	bool used = false;

	for (uint32_t index = *bucket_of(network, address); index; index = hops.hop[index].chain) {
		const struct hop *hop = &hops.hop[index];

		if (hop_is_via(hop) && hop->network == network &&
		        pr_ip_equal(&hop->gateway, address))
			used |= atomic_exchange_explicit(
			        &shared->next_hop_used[index], 0, memory_order_relaxed);
	}
	return used;
}

void hops_port_gone(uint16_t port)
{
	for (uint32_t index = 1; index < NEXT_HOPS_MAX; index++) {
		struct hop *hop = &hops.hop[index];

		if (hop->kind == HOP_NONE || hop->dead || hop->port != port)
			continue;
		hop->dead = true;
		hop->port = NO_PORT;
		if (hop->watch)
			liveness_hop_dead(hop->watch);
	}
	/* Before packets are refused, groups send them to others: as many groups as fit in. */
	groups_deal();
	for (uint32_t index = 1; index < NEXT_HOPS_MAX; index++)
		if (hops.hop[index].dead && next_hop_get(index)->type != NEXT_HOP_UNREACHABLE)
			republish(index);
}
