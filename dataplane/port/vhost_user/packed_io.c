/* SPDX-License-Identifier: BSD-3-Clause */
/* Packed rings (virtio 1.1, 2.7). Workers only. */
#include "dataplane/port/vhost_user/ring_io.h"

#define AVAIL_BIT (1 << VRING_PACKED_DESC_F_AVAIL)
#define USED_BIT  (1 << VRING_PACKED_DESC_F_USED)

/* A place in the ring and how often we have been round. */
struct place {
	uint16_t slot;
	bool wrap;
};

static inline struct place place_after(
        const struct guest_ring *ring, struct place place, unsigned n)
{
	unsigned slot = place.slot + n;

	if (slot < ring->size)
		return (struct place){(uint16_t)slot, place.wrap};
	return (struct place){(uint16_t)(slot - ring->size), !place.wrap};
}

/* 2.7.1: available when its AVAIL bit is ours and its USED bit is not. */
static inline bool is_available(uint16_t flags, bool wrap)
{
	return !(flags & AVAIL_BIT) != wrap && !(flags & USED_BIT) == wrap;
}

static inline struct place avail_place(const struct guest_ring *ring)
{
	return (struct place){ring->next_avail, ring->avail_wrap};
}

/* Walks the chain at a place whose first descriptor is available; slots: how many it has. */
static enum ring_error walk_chain(const struct guest_ring *ring, struct place place, bool writable,
        struct pieces *pieces, uint16_t *slots, uint16_t *id)
{
	*slots = 0;
	while (*slots < CHAIN_MAX && *slots < ring->size) {
		struct descriptor d = packed_descriptor_load(&ring->desc.packed[place.slot]);
		enum ring_error error;

		(*slots)++;
		*id = d.next;
		if (d.flags & VRING_DESC_F_INDIRECT) {
			if (d.flags & VRING_DESC_F_NEXT || *slots > 1)
				return RING_INDIRECT;
			return indirect_table(ring, &d, writable, pieces);
		}
		if (!(d.flags & VRING_DESC_F_WRITE) == writable)
			return RING_ACCESS;
		error = pieces_add(pieces, ring->memory, d.address, d.length);
		if (error || !(d.flags & VRING_DESC_F_NEXT))
			return error;
		place = place_after(ring, place, 1);
	}
	return RING_CHAIN;
}

/* One store of length, id and flags: nobody sees one without the others. */
static inline void use(struct guest_ring *ring, struct place place, uint16_t id, uint32_t length)
{
	uint64_t flags = place.wrap ? AVAIL_BIT | USED_BIT : 0;
	uint64_t *word = (uint64_t *)(void *)&ring->desc.packed[place.slot];

	if (length)
		flags |= VRING_DESC_F_WRITE;
	__atomic_store_n(
	        &word[1], (uint64_t)length | (uint64_t)id << 32 | flags << 48, __ATOMIC_RELEASE);
}

bool packed_wants_signal(struct guest_ring *ring)
{
	uint16_t old = ring->signalled, new = ring->next_used, flags, event;
	bool valid = ring->signalled_valid;

	ring->signalled = new;
	ring->signalled_valid = true;
	flags = load16(&ring->driver_event->flags);
	if (flags == VRING_PACKED_EVENT_FLAG_DISABLE)
		return false;
	if (flags == VRING_PACKED_EVENT_FLAG_DESC && ring->event_index && valid) {
		uint16_t where = load16(&ring->driver_event->off_wrap);

		event = where & 0x7fff;
		if (new <= old)
			old = (uint16_t)(old - ring->size);
		if (ring->used_wrap != where >> VRING_PACKED_EVENT_F_WRAP_CTR)
			event = (uint16_t)(event - ring->size);
		return vring_need_event(event, new, old);
	}
	return true;
}

static inline struct place used_place(const struct guest_ring *ring)
{
	return (struct place){ring->next_used, ring->used_wrap};
}

static inline void set_used(struct guest_ring *ring, struct place place)
{
	ring->next_used = place.slot;
	ring->used_wrap = place.wrap;
}

static enum ring_error take_chain(struct guest_ring *ring, struct batch *batch, struct place place,
        uint16_t *slots, uint16_t *id)
{
	struct pieces pieces;
	enum ring_error error;

	pieces.n = 0;
	pieces.length = 0;
	error = walk_chain(ring, place, false, &pieces, slots, id);
	return error ? error : entry_from_pieces(ring, batch, &pieces);
}

unsigned packed_rx(struct guest_ring *ring, struct batch *batch, unsigned n)
{
	struct place place = avail_place(ring), ahead = place;
	struct descriptor d[PR_BATCH];
	const uint8_t *at[PR_BATCH];
	unsigned looked, k;

	/* A burst of single descriptors, which nearly all are; a chain ends the look ahead. */
	for (looked = 0; looked < n; looked++) {
		d[looked] = packed_descriptor_load(&ring->desc.packed[ahead.slot]);
		if (!is_available(d[looked].flags, ahead.wrap))
			break;
		if (unlikely(d[looked].flags &
		             (VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE)))
			at[looked] = NULL;
		else
			at[looked] =
			        guest_address(ring->memory, d[looked].address, d[looked].length);
		if (unlikely(!at[looked])) {
			looked++;
			break;
		}
		prefetch_in(ring, at[looked], d[looked].length);
		ahead = place_after(ring, ahead, 1);
	}
	batch_prepare(batch, looked);
	for (k = 0; k < looked; k++) {
		uint16_t slots = 1, id = d[k].next;
		enum ring_error error;

		if (unlikely(!at[k] && batch->n_spans > BATCH_SPANS / 2))
			break;
		error = likely(at[k] != NULL) ? entry_from_one(ring, batch, at[k], d[k].length)
		                              : take_chain(ring, batch, place, &slots, &id);
		if (unlikely(error)) {
			ring_fail(ring, error);
			break;
		}
		ring->taken[ring->n_taken].id = id;
		ring->taken[ring->n_taken++].slots = slots;
		ring->taken_slots = (uint16_t)(ring->taken_slots + slots);
		/* More than the ring has: it goes round within one batch. */
		if (unlikely(ring->taken_slots > ring->size)) {
			ring_fail(ring, RING_CHAIN);
			k++;
			place = place_after(ring, place, slots);
			break;
		}
		place = place_after(ring, place, slots);
	}
	ring->next_avail = place.slot;
	ring->avail_wrap = place.wrap;
	return k;
}

void packed_return(struct guest_ring *ring)
{
	struct place first = used_place(ring), place = first;

	if (!ring->n_taken)
		return;
	/* The first one last: the driver looks at them in order, so it sees all or none. */
	for (unsigned k = 0; k < ring->n_taken; k++) {
		if (k)
			use(ring, place, ring->taken[k].id, 0);
		place = place_after(ring, place, ring->taken[k].slots);
	}
	use(ring, first, ring->taken[0].id, 0);
	set_used(ring, place);
	ring->n_taken = 0;
	ring->taken_slots = 0;
}

/* What a burst has filled and not yet shown. */
struct shown {
	struct place place, first;
	uint16_t first_id;
	uint32_t first_length;
	bool any;
};

static inline void show(
        struct guest_ring *ring, struct shown *shown, uint16_t id, uint32_t length, uint16_t slots)
{
	if (!shown->any) {
		shown->any = true;
		shown->first_id = id;
		shown->first_length = length;
	} else {
		use(ring, shown->place, id, length);
	}
	shown->place = place_after(ring, shown->place, slots);
}

/* See split_io.c. Returns slots used, 0 for none. */
static unsigned send_chains(struct guest_ring *ring, struct batch *batch, uint64_t i,
        struct place at, struct shown *shown)
{
	uint32_t total = ring->header + batch->length[i], before, room[PR_BATCH];
	uint16_t id[PR_BATCH], slots[PR_BATCH];
	unsigned n = 0, all = 0;
	struct pieces pieces;

	pieces.n = 0;
	pieces.length = 0;
	batch->reason[i] = PR_DROP_EGRESS_FULL;
	do {
		struct descriptor d = packed_descriptor_load(&ring->desc.packed[at.slot]);
		enum ring_error error;

		if (all >= ring->size || !is_available(d.flags, at.wrap))
			return 0;
		if (n == PR_BATCH || (n && !ring->mergeable)) {
			batch->reason[i] = PR_DROP_GUEST_BUFFER;
			return 0;
		}
		before = pieces.length;
		error = walk_chain(ring, at, true, &pieces, &slots[n], &id[n]);
		if (!error && !n && pieces.length < ring->header)
			error = RING_LENGTH;
		if (unlikely(error))
			return ring_fail(ring, error);
		at = place_after(ring, at, slots[n]);
		all += slots[n];
		/* A chain that goes on over buffers that we have already. */
		if (unlikely(all > ring->size))
			return ring_fail(ring, RING_CHAIN);
		room[n++] = pieces.length - before;
	} while (pieces.length < total);
	if (copy_to_pieces(ring, batch, i, (uint16_t)n, &pieces, total) != total)
		return 0;
	for (unsigned k = 0; k < n; k++) {
		uint32_t part = RTE_MIN(room[k], total);

		show(ring, shown, id[k], part, slots[k]);
		total -= part;
	}
	return all;
}

uint64_t packed_tx(struct guest_ring *ring, struct batch *batch, uint64_t mask)
{
	struct shown shown = {.place = used_place(ring), .first = used_place(ring)};
	unsigned n = (unsigned)__builtin_popcountll(mask), looked, k = 0;
	struct place place = avail_place(ring), ahead = place;
	struct descriptor d[PR_BATCH];
	uint8_t *to[PR_BATCH];
	uint64_t sent = 0;

	for (looked = 0; looked < n; looked++) {
		d[looked] = packed_descriptor_load(&ring->desc.packed[ahead.slot]);
		if (!is_available(d[looked].flags, ahead.wrap))
			break;
		if (unlikely((d[looked].flags & (VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT |
		                                        VRING_DESC_F_WRITE)) != VRING_DESC_F_WRITE))
			break;
		to[looked] = guest_address(ring->memory, d[looked].address, d[looked].length);
		if (unlikely(!to[looked]))
			break;
		rte_prefetch0(to[looked]);
		rte_prefetch0_write(to[looked] + ring->header);
		ahead = place_after(ring, ahead, 1);
	}
	BATCH_FOREACH (i, mask) {
		uint32_t total = ring->header + batch->length[i];
		unsigned slots = 1;

		if (likely(k < looked && d[k].length >= total)) {
			copy_out(ring, batch, i, to[k]);
			show(ring, &shown, d[k].next, total, 1);
		} else {
			slots = send_chains(ring, batch, i, place, &shown);
			if (!slots)
				continue;
		}
		/* Single descriptors again behind a packet that took several: k counts slots. */
		k += slots;
		place = place_after(ring, place, slots);
		sent |= UINT64_C(1) << i;
	}
	if (!shown.any)
		return 0;
	use(ring, shown.first, shown.first_id, shown.first_length);
	set_used(ring, shown.place);
	ring->next_avail = place.slot;
	ring->avail_wrap = place.wrap;
	return sent;
}
