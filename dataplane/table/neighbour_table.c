/* SPDX-License-Identifier: BSD-3-Clause */
/* Making and unmaking the neighbour table. */
#include "neighbour_private.h"

static uint32_t or_default(uint32_t value, uint32_t standard)
{
	return value ? value : standard;
}

static void config_fill(struct neighbour_config *c)
{
	c->max = or_default(c->max, 4096);
	c->max_ports = or_default(c->max_ports, 1024);
	c->reachable_ms = or_default(c->reachable_ms, 30000);
	c->probe_ms = or_default(c->probe_ms, 1000);
	c->probes = or_default(c->probes, 3);
	c->failed_ms = or_default(c->failed_ms, 5000);
	c->stale_check_ms = or_default(c->stale_check_ms, 1000);
	c->stale_max_ms = or_default(c->stale_max_ms, 600000);
	c->held_per_neighbour = or_default(c->held_per_neighbour, 16);
	c->held_per_port = or_default(c->held_per_port, 256);
	c->held_max = or_default(c->held_max, 4096);
}

static bool config_valid(const struct neighbour_config *c)
{
	/* probes and held are counted in 8 and 16 bits. */
	return c->max <= 1u << 24 && c->max_ports <= 65536 && c->probes <= 255 &&
	       c->held_per_neighbour <= 65535 && c->held_max <= 1u << 24;
}

static int table_memory_take(struct neighbour_table *table)
{
	const struct neighbour_config *c = &table->config;
	size_t buckets = (size_t)table->hash_mask + 1;

	table->entries = table_alloc(table->memory, c->max * sizeof(*table->entries));
	table->heap = table_alloc(table->memory, c->max * sizeof(*table->heap));
	table->hash = table_alloc(table->memory, buckets * sizeof(*table->hash));
	table->held_blocks = table_alloc(table->memory, c->held_max * sizeof(*table->held_blocks));
	table->held_by_port =
	        table_alloc(table->memory, c->max_ports * sizeof(*table->held_by_port));
	if (!table->entries || !table->heap || !table->hash || !table->held_blocks ||
	        !table->held_by_port)
		return -ENOMEM;
	memset(table->entries, 0, c->max * sizeof(*table->entries));
	memset(table->hash, 0, buckets * sizeof(*table->hash));
	memset(table->held_by_port, 0, c->max_ports * sizeof(*table->held_by_port));
	for (uint32_t i = c->max; i-- > 0;) {
		table->entries[i].heap = NO_TIMER;
		table->entries[i].chain = table->free;
		table->free = &table->entries[i];
	}
	for (uint32_t i = c->held_max; i-- > 0;) {
		table->held_blocks[i].next = table->held_free;
		table->held_free = &table->held_blocks[i];
	}
	return 0;
}

static void table_memory_give(struct neighbour_table *table)
{
	table_release(table->memory, table->entries);
	table_release(table->memory, table->heap);
	table_release(table->memory, table->hash);
	table_release(table->memory, table->held_blocks);
	table_release(table->memory, table->held_by_port);
	table_release(table->memory, table);
}

struct neighbour_table *neighbour_table_create(const struct table_memory *memory,
        const struct neighbour_config *config, const struct neighbour_ops *ops, void *ctx)
{
	struct neighbour_config filled = *config;
	struct neighbour_table *table;

	config_fill(&filled);
	if (!config_valid(&filled)) {
		errno = EINVAL;
		return NULL;
	}
	table = table_alloc(memory, sizeof(*table));
	if (!table) {
		errno = ENOMEM;
		return NULL;
	}
	*table = (struct neighbour_table){
	        .memory = memory,
	        .config = filled,
	        .ops = ops,
	        .ctx = ctx,
	        .hash_mask = table_pow2(filled.max) - 1,
	};
	if (table_memory_take(table)) {
		table_memory_give(table);
		errno = ENOMEM;
		return NULL;
	}
	return table;
}

void neighbour_table_destroy(struct neighbour_table *table)
{
	struct neighbour *entry;
	uint32_t cursor = 0;

	if (!table)
		return;
	while ((entry = neighbour_next(table, &cursor)))
		neighbour_forget(table, entry->network, &entry->ip);
	table_memory_give(table);
}

void neighbour_stats(const struct neighbour_table *table, struct neighbour_stats *stats)
{
	*stats = table->stats;
}

const char *neighbour_state_name(enum neighbour_state state)
{
	static const char *const name[] = {
	        [NEIGHBOUR_FREE] = "free",
	        [NEIGHBOUR_STATIC] = "static",
	        [NEIGHBOUR_INCOMPLETE] = "incomplete",
	        [NEIGHBOUR_REACHABLE] = "reachable",
	        [NEIGHBOUR_STALE] = "stale",
	        [NEIGHBOUR_PROBE] = "probe",
	        [NEIGHBOUR_FAILED] = "failed",
	};

	return name[state];
}
