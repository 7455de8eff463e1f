/* SPDX-License-Identifier: BSD-3-Clause */
/* A binary heap: the next timer is known at once, a change costs log2 of the entries. */
#include "neighbour_private.h"

static void place(struct neighbour_table *table, uint32_t at, struct neighbour *entry)
{
	table->heap[at] = entry;
	entry->heap = at;
}

static void sift_up(struct neighbour_table *table, uint32_t at)
{
	struct neighbour *entry = table->heap[at];

	while (at && table->heap[(at - 1) / 2]->due > entry->due) {
		place(table, at, table->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	place(table, at, entry);
}

static void sift_down(struct neighbour_table *table, uint32_t at)
{
	struct neighbour *entry = table->heap[at];

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= table->heap_count)
			break;
		if (child + 1 < table->heap_count &&
		        table->heap[child + 1]->due < table->heap[child]->due)
			child++;
		if (table->heap[child]->due >= entry->due)
			break;
		place(table, at, table->heap[child]);
		at = child;
	}
	place(table, at, entry);
}

static void stop(struct neighbour_table *table, struct neighbour *entry)
{
	uint32_t at = entry->heap;
	struct neighbour *last;

	if (at == NO_TIMER)
		return;
	last = table->heap[--table->heap_count];
	entry->heap = NO_TIMER;
	if (last == entry)
		return;
	place(table, at, last);
	sift_up(table, at);
	sift_down(table, last->heap);
}

void neighbour_timer_set(struct neighbour_table *table, struct neighbour *entry, uint64_t due)
{
	entry->due = due;
	if (due == NEIGHBOUR_NEVER) {
		stop(table, entry);
		return;
	}
	if (entry->heap == NO_TIMER)
		place(table, table->heap_count++, entry);
	sift_up(table, entry->heap);
	sift_down(table, entry->heap);
}

uint64_t neighbour_next_timer(const struct neighbour_table *table)
{
	return table->heap_count ? table->heap[0]->due : NEIGHBOUR_NEVER;
}
