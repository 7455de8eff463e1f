/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets that wait for a neighbour's MAC, bounded per neighbour, per port and in all. */
#include "neighbour_private.h"

static void *unlink_first(struct neighbour_table *table, struct neighbour *entry)
{
	struct neighbour_held *held = entry->first;
	void *packet = held->packet;

	entry->first = held->next;
	if (!entry->first)
		entry->last = NULL;
	entry->held--;
	table->held_by_port[held->from] -= held->buffers;
	table->held_buffers -= held->buffers;
	table->stats.held--;
	held->next = table->held_free;
	table->held_free = held;
	return packet;
}

static void drop(struct neighbour_table *table, struct neighbour *entry, void *packet,
        enum neighbour_drop reason)
{
	table->stats.dropped[reason]++;
	table->ops->drop_held(table->ctx, entry, packet, reason);
}

static void append(struct neighbour_table *table, struct neighbour *entry, void *packet,
        uint16_t from, uint16_t buffers)
{
	struct neighbour_held *held = table->held_free;

	table->held_free = held->next;
	*held = (struct neighbour_held){.packet = packet, .from = from, .buffers = buffers};
	if (entry->last)
		entry->last->next = held;
	else
		entry->first = held;
	entry->last = held;
	entry->held++;
	table->held_by_port[from] += buffers;
	table->held_buffers += buffers;
	table->stats.held++;
	table->stats.held_total++;
}

void neighbour_held_release(struct neighbour_table *table, struct neighbour *entry)
{
	while (entry->first) {
		void *packet = unlink_first(table, entry);

		table->stats.released++;
		table->ops->release_held(table->ctx, entry, packet);
	}
}

void neighbour_held_drop(
        struct neighbour_table *table, struct neighbour *entry, enum neighbour_drop reason)
{
	while (entry->first)
		drop(table, entry, unlink_first(table, entry), reason);
}

void neighbour_held_drop_from(struct neighbour_table *table, struct neighbour *entry, uint16_t from)
{
	/* One turn of the queue: what stays is put back at its end, so the order remains. */
	for (unsigned n = entry->held; n > 0; n--) {
		uint16_t port = entry->first->from, buffers = entry->first->buffers;
		void *packet = unlink_first(table, entry);

		if (port == from) {
			drop(table, entry, packet, NEIGHBOUR_DROP_REMOVED);
		} else {
			append(table, entry, packet, port, buffers);
			table->stats.held_total--;
		}
	}
}

/* Drops the neighbour's oldest packet where that makes room for one from this port. */
static bool make_room(
        struct neighbour_table *table, struct neighbour *entry, uint16_t from, uint16_t buffers)
{
	const struct neighbour_config *max = &table->config;
	bool full = entry->held >= max->held_per_neighbour;
	uint32_t goes = full ? entry->first->buffers : 0;
	uint32_t goes_of_port = full && entry->first->from == from ? goes : 0;

	if (from >= max->max_ports || table->held_buffers - goes + buffers > max->held_max ||
	        table->held_by_port[from] - goes_of_port + buffers > max->held_per_port)
		return false;
	if (full)
		drop(table, entry, unlink_first(table, entry), NEIGHBOUR_DROP_FULL);
	return true;
}

int neighbour_hold(struct neighbour_table *table, struct neighbour *entry, void *packet,
        uint16_t from, uint16_t buffers)
{
	if (neighbour_usable(entry)) {
		table->stats.held_total++;
		table->stats.released++;
		table->ops->release_held(table->ctx, entry, packet);
		return 0;
	}
	if (entry->state == NEIGHBOUR_FAILED) {
		table->stats.held_total++;
		drop(table, entry, packet, NEIGHBOUR_DROP_FAILED);
		return -EHOSTUNREACH;
	}
	if (!make_room(table, entry, from, buffers)) {
		table->stats.held_total++;
		drop(table, entry, packet, NEIGHBOUR_DROP_FULL);
		return -ENOBUFS;
	}
	append(table, entry, packet, from, buffers);
	return 0;
}
