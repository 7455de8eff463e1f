/* SPDX-License-Identifier: BSD-3-Clause */
#include "ring.h"

#define AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED  (1u << VRING_PACKED_DESC_F_USED)
#define WRAP  (1u << VRING_PACKED_EVENT_F_WRAP_CTR)

/* Writes the next slot. The first of a publication becomes available last, by its flags. */
static void put(struct ring *ring, uint64_t address, uint32_t length, uint16_t id, unsigned flags)
{
	struct vring_packed_desc *d = &ring->desc.packed[ring->next_avail];

	flags |= ring->avail_wrap ? AVAIL : USED;
	d->addr = address;
	d->len = length;
	d->id = id;
	if (ring->added++ == 0) {
		ring->first_slot = ring->next_avail;
		ring->first_flags = (uint16_t)flags;
	} else {
		__atomic_store_n(&d->flags, (uint16_t)flags, __ATOMIC_RELEASE);
	}
	if (++ring->next_avail == ring->o.size) {
		ring->next_avail = 0;
		ring->avail_wrap = !ring->avail_wrap;
	}
}

static void add_table(
        struct ring *ring, const struct piece *pieces, unsigned n, bool writable, uint16_t id)
{
	struct vring_packed_desc *table = ring->tables[id];

	for (unsigned i = 0; i < n; i++)
		table[i] = (struct vring_packed_desc){
		        .addr = memory_gpa(ring->memory, pieces[i].host),
		        .len = pieces[i].length,
		        .flags = writable ? VRING_DESC_F_WRITE : 0,
		};
	put(ring, memory_gpa(ring->memory, table), (uint32_t)(n * sizeof(*table)), id,
	        VRING_DESC_F_INDIRECT);
}

bool packed_add(
        struct ring *ring, const struct piece *pieces, unsigned n, bool writable, uint16_t id)
{
	if (ring->out[id].indirect) {
		add_table(ring, pieces, n, writable, id);
		return true;
	}
	for (unsigned i = 0; i < n; i++)
		put(ring, memory_gpa(ring->memory, pieces[i].host), pieces[i].length, id,
		        (writable ? VRING_DESC_F_WRITE : 0) | (i + 1 < n ? VRING_DESC_F_NEXT : 0));
	return true;
}

bool packed_publish(struct ring *ring)
{
	uint16_t added = ring->added, flags, event, now, before;

	if (!added)
		return false;
	ring->added = 0;
	__atomic_store_n(
	        &ring->desc.packed[ring->first_slot].flags, ring->first_flags, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	flags = __atomic_load_n(&ring->device_event->flags, __ATOMIC_ACQUIRE);
	if (flags != VRING_PACKED_EVENT_FLAG_DESC || !ring->o.event_index)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	event = *(volatile uint16_t *)&ring->device_event->off_wrap;
	now = ring->next_avail;
	before = (uint16_t)(now - added);
	/* An event of the round before counts from there. */
	if (!!(event & WRAP) != ring->avail_wrap)
		event = (uint16_t)((event & ~WRAP) - ring->o.size);
	else
		event &= (uint16_t)~WRAP;
	return vring_need_event(event, now, before);
}

bool packed_used(const struct ring *ring, uint16_t *id, uint32_t *length)
{
	const struct vring_packed_desc *d = &ring->desc.packed[ring->next_used];
	uint16_t flags = __atomic_load_n(&d->flags, __ATOMIC_ACQUIRE);

	if (!!(flags & AVAIL) != ring->used_wrap || !!(flags & USED) != ring->used_wrap)
		return false;
	*id = d->id;
	*length = d->len;
	return true;
}

void packed_advance(struct ring *ring, uint16_t id)
{
	ring->next_used = (uint16_t)(ring->next_used + ring->out[id].count);
	if (ring->next_used >= ring->o.size) {
		ring->next_used = (uint16_t)(ring->next_used - ring->o.size);
		ring->used_wrap = !ring->used_wrap;
	}
	if (!ring->o.in_order)
		ring->ids[ring->n_ids++] = id;
}

void packed_arm(struct ring *ring, bool on)
{
	uint16_t flags = on ? VRING_PACKED_EVENT_FLAG_ENABLE : VRING_PACKED_EVENT_FLAG_DISABLE;

	if (on && ring->o.event_index) {
		*(volatile uint16_t *)&ring->driver_event->off_wrap =
		        (uint16_t)(ring->next_used | (ring->used_wrap ? WRAP : 0));
		flags = VRING_PACKED_EVENT_FLAG_DESC;
	}
	__atomic_store_n(&ring->driver_event->flags, flags, __ATOMIC_RELEASE);
}
