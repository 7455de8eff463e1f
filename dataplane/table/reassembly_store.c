/* SPDX-License-Identifier: BSD-3-Clause */
/* The table's memory, and which datagrams of it are free: a stack that any thread takes from. */
#include <string.h>

#include "reassembly_private.h"

uint32_t reassembly_take_free(struct reassembly *table)
{
	uint64_t old = __atomic_load_n(&table->free, __ATOMIC_ACQUIRE), new;

	do {
		uint32_t index = (uint32_t)old;

		if (index == REASSEMBLY_NONE)
			return REASSEMBLY_NONE;
		new = ((old >> 32) + 1) << 32 |
		      __atomic_load_n(&table->datagram[index].next, __ATOMIC_RELAXED);
	} while (!__atomic_compare_exchange_n(
	        &table->free, &old, new, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	return (uint32_t)old;
}

void reassembly_give_free(struct reassembly *table, uint32_t index)
{
	uint64_t old = __atomic_load_n(&table->free, __ATOMIC_RELAXED), new;

	do {
		__atomic_store_n(&table->datagram[index].next, (uint32_t)old, __ATOMIC_RELAXED);
		new = ((old >> 32) + 1) << 32 | index;
	} while (!__atomic_compare_exchange_n(
	        &table->free, &old, new, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
}

/* ---- memory ---- */

uint64_t reassembly_memory(uint32_t datagrams, uint16_t ports)
{
	return sizeof(struct reassembly) +
	       (uint64_t)datagrams * sizeof(struct reassembly_datagram) +
	       (uint64_t)ports * sizeof(struct reassembly_port) + UINT64_C(3) * TABLE_CACHE_LINE;
}

/* Never more than a quarter: that bound holds as well. */
static void set_bounds(
        struct reassembly *table, enum reassembly_bound bound, uint32_t max, uint32_t sure)
{
	table->max[bound] = max;
	table->sure[bound] = sure < max / REASSEMBLY_SHARE ? sure : max / REASSEMBLY_SHARE;
}

struct reassembly *reassembly_create(
        const struct table_memory *memory, const struct reassembly_config *config)
{
	struct reassembly *table = table_alloc(memory, sizeof(*table));

	if (!table)
		return NULL;
	memset(table, 0, sizeof(*table));
	table->memory = memory;
	table->config = *config;
	set_bounds(table, REASSEMBLY_DATAGRAMS, config->datagrams, REASSEMBLY_SURE);
	set_bounds(table, REASSEMBLY_PACKETS, config->packets, REASSEMBLY_PIECES);
	set_bounds(table, REASSEMBLY_BYTES, config->bytes, REASSEMBLY_SURE_BYTES);
	table->datagram = table_alloc(memory, (size_t)config->datagrams * sizeof(*table->datagram));
	table->port = table_alloc(memory, (size_t)config->ports * sizeof(*table->port));
	if (!table->datagram || !table->port) {
		reassembly_destroy(table);
		return NULL;
	}
	table->free = REASSEMBLY_NONE;
	for (uint32_t n = config->datagrams; n-- > 0;)
		reassembly_give_free(table, n);
	memset(table->port, 0, (size_t)config->ports * sizeof(*table->port));
	for (uint32_t p = 0; p < config->ports; p++) {
		table->port[p].oldest = table->port[p].newest = REASSEMBLY_NONE;
		for (unsigned b = 0; b < REASSEMBLY_BUCKETS; b++)
			table->port[p].bucket[b] = REASSEMBLY_NONE;
	}
	return table;
}

void reassembly_destroy(struct reassembly *table)
{
	if (!table)
		return;
	table_release(table->memory, table->datagram);
	table_release(table->memory, table->port);
	table_release(table->memory, table);
}

uint32_t reassembly_port_count(const struct reassembly *table, uint16_t port)
{
	return __atomic_load_n(&table->port[port].count[REASSEMBLY_DATAGRAMS], __ATOMIC_RELAXED);
}

const struct reassembly_config *reassembly_limits(const struct reassembly *table)
{
	return &table->config;
}

void reassembly_stats(const struct reassembly *table, struct reassembly_stats *stats)
{
	stats->datagrams = __atomic_load_n(&table->sum[REASSEMBLY_DATAGRAMS], __ATOMIC_RELAXED);
	stats->packets = __atomic_load_n(&table->sum[REASSEMBLY_PACKETS], __ATOMIC_RELAXED);
	stats->bytes = __atomic_load_n(&table->sum[REASSEMBLY_BYTES], __ATOMIC_RELAXED);
}
