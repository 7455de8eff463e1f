/* SPDX-License-Identifier: BSD-3-Clause */
#include "ring.h"

static struct vring_desc fill(
        const struct ring *ring, const struct piece *piece, bool writable, bool more, uint16_t next)
{
	return (struct vring_desc){
	        .addr = memory_gpa(ring->memory, piece->host),
	        .len = piece->length,
	        .flags = (uint16_t)((writable ? VRING_DESC_F_WRITE : 0) |
	                            (more ? VRING_DESC_F_NEXT : 0)),
	        .next = more ? next : 0,
	};
}

/* The descriptor behind the one given: any free one, or the neighbour when in order. */
static uint16_t following(struct ring *ring, uint16_t at)
{
	if (ring->o.in_order)
		return (uint16_t)((at + 1) % ring->o.size);
	return ring->ids[--ring->n_ids];
}

static void add_table(
        struct ring *ring, const struct piece *pieces, unsigned n, bool writable, uint16_t id)
{
	struct vring_desc *table = ring->tables[id];

	for (unsigned i = 0; i < n; i++)
		table[i] = fill(ring, &pieces[i], writable, i + 1 < n, (uint16_t)(i + 1));
	ring->desc.split[id] = (struct vring_desc){
	        .addr = memory_gpa(ring->memory, table),
	        .len = (uint32_t)(n * sizeof(*table)),
	        .flags = VRING_DESC_F_INDIRECT,
	};
}

bool split_add(
        struct ring *ring, const struct piece *pieces, unsigned n, bool writable, uint16_t id)
{
	uint16_t at = id, count = ring->out[id].count;

	if (ring->out[id].indirect)
		add_table(ring, pieces, n, writable, id);
	else
		for (unsigned i = 0; i < n; i++) {
			uint16_t next = i + 1 < n ? following(ring, at) : 0;

			ring->desc.split[at] = fill(ring, &pieces[i], writable, i + 1 < n, next);
			at = next;
		}
	ring->next_desc = (uint16_t)((ring->next_desc + count) % ring->o.size);
	ring->avail->ring[ring->next_avail++ % ring->o.size] = id;
	return true;
}

bool split_publish(struct ring *ring)
{
	uint16_t before = ring->published, now = ring->next_avail, event;

	if (before == now)
		return false;
	ring->published = now;
	__atomic_store_n(&ring->avail->idx, now, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!ring->o.event_index)
		return !(*(volatile uint16_t *)&ring->used->flags & VRING_USED_F_NO_NOTIFY);
	event = __atomic_load_n(
	        (uint16_t *)(void *)&ring->used->ring[ring->o.size], __ATOMIC_RELAXED);
	return vring_need_event(event, now, before);
}

bool split_used(const struct ring *ring, uint16_t *id, uint32_t *length)
{
	const struct vring_used_elem *e = &ring->used->ring[ring->next_used % ring->o.size];

	if (__atomic_load_n(&ring->used->idx, __ATOMIC_ACQUIRE) == ring->next_used)
		return false;
	*id = e->id < ring->o.size ? (uint16_t)e->id : UINT16_MAX;
	*length = e->len;
	return true;
}

void split_advance(struct ring *ring, uint16_t id)
{
	ring->next_used++;
	if (ring->o.in_order)
		return;
	for (unsigned n = ring->out[id].count; n; n--) {
		ring->ids[ring->n_ids++] = id;
		id = ring->desc.split[id].next;
	}
}

void split_arm(struct ring *ring, bool on)
{
	if (ring->o.event_index) {
		/* An event far behind is reached by no used index soon. */
		*(volatile uint16_t *)&ring->avail->ring[ring->o.size] =
		        (uint16_t)(on ? ring->next_used : ring->next_used - 1);
		return;
	}
	*(volatile uint16_t *)&ring->avail->flags = on ? 0 : VRING_AVAIL_F_NO_INTERRUPT;
}
