/* SPDX-License-Identifier: BSD-3-Clause */
/* What split and packed rings have in common: areas, ids, order. */
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int take_areas(struct ring *ring)
{
	struct memory *m = ring->memory;
	size_t n = ring->o.size;

	if (ring->o.packed) {
		ring->desc.packed = memory_take(m, n * sizeof(struct vring_packed_desc), 16);
		ring->driver_event = memory_take(m, sizeof(*ring->driver_event), 4);
		ring->device_event = memory_take(m, sizeof(*ring->device_event), 4);
		if (!ring->desc.packed || !ring->driver_event || !ring->device_event)
			return -ENOMEM;
		memset(ring->desc.packed, 0, n * sizeof(struct vring_packed_desc));
		memset(ring->driver_event, 0, sizeof(*ring->driver_event));
		memset(ring->device_event, 0, sizeof(*ring->device_event));
		return 0;
	}
	ring->desc.split = memory_take(m, n * sizeof(struct vring_desc), 16);
	ring->avail = memory_take(m, 6 + 2 * n, 2);
	ring->used = memory_take(m, 6 + sizeof(struct vring_used_elem) * n, 4);
	if (!ring->desc.split || !ring->avail || !ring->used)
		return -ENOMEM;
	memset(ring->desc.split, 0, n * sizeof(struct vring_desc));
	memset(ring->avail, 0, 6 + 2 * n);
	memset(ring->used, 0, 6 + sizeof(struct vring_used_elem) * n);
	return 0;
}

static int take_tables(struct ring *ring)
{
	ring->tables = calloc(ring->o.size, sizeof(*ring->tables));
	if (!ring->tables)
		return -ENOMEM;
	for (unsigned i = 0; i < ring->o.size; i++) {
		ring->tables[i] =
		        memory_take(ring->memory, PIECES_MAX * sizeof(struct vring_desc), 16);
		if (!ring->tables[i])
			return -ENOMEM;
	}
	return 0;
}

int ring_create(struct ring *ring, struct memory *memory, const struct ring_options *options)
{
	int rc;

	memset(ring, 0, sizeof(*ring));
	ring->o = *options;
	ring->memory = memory;
	ring->avail_wrap = ring->used_wrap = true;
	ring->batch_last = -1;
	ring->free = ring->n_ids = options->size;
	ring->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ring->call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ring->out = calloc(options->size, sizeof(*ring->out));
	ring->ids = calloc(options->size, sizeof(*ring->ids));
	ring->order = calloc(options->size, sizeof(*ring->order));
	if (ring->kick < 0 || ring->call < 0 || !ring->out || !ring->ids || !ring->order)
		return -ENOMEM;
	/* Any order will do; one that a device may not expect. */
	for (unsigned i = 0; i < options->size; i++)
		ring->ids[i] = (uint16_t)((i * 7919u + 5) % options->size);
	rc = take_areas(ring);
	if (!rc && options->indirect)
		rc = take_tables(ring);
	return rc;
}

void ring_destroy(struct ring *ring)
{
	if (!ring->memory)
		return;
	if (ring->kick >= 0)
		close(ring->kick);
	if (ring->call >= 0)
		close(ring->call);
	free(ring->out);
	free(ring->ids);
	free(ring->order);
	free(ring->tables);
	memset(ring, 0, sizeof(*ring));
}

/* In order, a chain's id is where it begins. */
static uint16_t take_id(struct ring *ring)
{
	if (!ring->o.in_order)
		return ring->ids[--ring->n_ids];
	return ring->o.packed ? ring->next_avail : ring->next_desc;
}

bool ring_add(
        struct ring *ring, const struct piece *pieces, unsigned n, bool writable, uint32_t token)
{
	bool indirect = ring->o.indirect && (n > 1 || ring->adds & 1);
	uint16_t count = indirect ? 1 : (uint16_t)n, id;

	if (ring->free < count)
		return false;
	id = take_id(ring);
	ring->adds++;
	ring->free = (uint16_t)(ring->free - count);
	ring->out[id] = (struct outstanding){token, count, indirect};
	if (ring->o.in_order)
		ring->order[ring->order_tail++ % ring->o.size] = id;
	return (ring->o.packed ? packed_add : split_add)(ring, pieces, n, writable, id);
}

void ring_kick(struct ring *ring)
{
	eventfd_write(ring->kick, 1);
	ring->kicks++;
}

void ring_publish(struct ring *ring)
{
	if ((ring->o.packed ? packed_publish : split_publish)(ring))
		ring_kick(ring);
}

bool ring_has_used(const struct ring *ring)
{
	uint16_t id;
	uint32_t length;

	return ring->batch_last >= 0 ||
	       (ring->o.packed ? packed_used : split_used)(ring, &id, &length);
}

/* In order: the next buffer that was added, and whether the device told its length. */
static bool next_in_order(struct ring *ring, uint16_t *id, uint32_t *length)
{
	uint16_t first = ring->order[ring->order_head % ring->o.size];

	if (ring->batch_last < 0)
		ring->batch_last = *id;
	if (first != (uint16_t)ring->batch_last)
		*length = LENGTH_UNKNOWN;
	else
		ring->batch_last = -1;
	ring->order_head++;
	*id = first;
	return true;
}

int ring_take(struct ring *ring, uint32_t *token, uint32_t *length)
{
	uint16_t id = 0;

	*length = LENGTH_UNKNOWN;
	if (ring->batch_last < 0 && !(ring->o.packed ? packed_used : split_used)(ring, &id, length))
		return 0;
	if (ring->batch_last < 0 && (id >= ring->o.size || !ring->out[id].count))
		return -1;
	if (ring->o.in_order)
		next_in_order(ring, &id, length);
	*token = ring->out[id].token;
	(ring->o.packed ? packed_advance : split_advance)(ring, id);
	ring->free = (uint16_t)(ring->free + ring->out[id].count);
	ring->out[id].count = 0;
	return 1;
}

void ring_arm(struct ring *ring, bool on)
{
	(ring->o.packed ? packed_arm : split_arm)(ring, on);
	/* Ask first, then look whether something has come meanwhile. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

uint32_t ring_base(const struct ring *ring)
{
	uint32_t base = ring->next_used;

	if (!ring->o.packed)
		return base;
	base |= (uint32_t)ring->used_wrap << 15;
	return base | base << 16;
}

unsigned ring_outstanding(const struct ring *ring)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ring->o.size; i++)
		n += ring->out[i].count != 0;
	return n;
}
