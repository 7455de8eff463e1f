/* SPDX-License-Identifier: BSD-3-Clause */
/* Split rings (virtio 1.1, 2.6). Workers only. */
#include "dataplane/port/vhost_user/ring_io.h"

static inline uint16_t mask_of(const struct guest_ring *ring)
{
	return (uint16_t)(ring->size - 1);
}

/* How many buffers the driver has made available since we last took one. */
static inline uint16_t available(struct guest_ring *ring, bool *broken)
{
	uint16_t index = __atomic_load_n(&ring->avail->idx, __ATOMIC_ACQUIRE);
	uint16_t n = (uint16_t)(index - ring->next_avail);

	*broken = n > ring->size;
	return n;
}

/* The event fields lie behind the rings (2.6.6.1, 2.6.8.1). */
static inline uint16_t *used_event(const struct guest_ring *ring)
{
	return &ring->avail->ring[ring->size];
}

static enum ring_error walk_chain(
        const struct guest_ring *ring, uint16_t id, bool writable, struct pieces *pieces)
{
	for (unsigned walked = 0; walked < CHAIN_MAX && walked < ring->size; walked++) {
		struct descriptor d;
		enum ring_error error;

		if (id >= ring->size)
			return RING_ID;
		d = descriptor_load(&ring->desc.split[id]);
		if (d.flags & VRING_DESC_F_INDIRECT) {
			if (d.flags & VRING_DESC_F_NEXT)
				return RING_INDIRECT;
			return indirect_table(ring, &d, writable, pieces);
		}
		if (!(d.flags & VRING_DESC_F_WRITE) == writable)
			return RING_ACCESS;
		error = pieces_add(pieces, ring->memory, d.address, d.length);
		if (error || !(d.flags & VRING_DESC_F_NEXT))
			return error;
		id = d.next;
	}
	return RING_CHAIN;
}

static enum ring_error take_chain(struct guest_ring *ring, struct batch *batch, uint16_t id)
{
	struct pieces pieces;
	enum ring_error error;

	pieces.n = 0;
	pieces.length = 0;
	error = walk_chain(ring, id, false, &pieces);
	return error ? error : entry_from_pieces(ring, batch, &pieces);
}

unsigned split_rx(struct guest_ring *ring, struct batch *batch, unsigned n)
{
	struct descriptor d[PR_BATCH];
	const uint8_t *at[PR_BATCH];
	uint16_t id[PR_BATCH], mask = mask_of(ring);
	bool broken;
	uint16_t waiting = available(ring, &broken);
	unsigned k;

	if (!waiting)
		return 0;
	if (unlikely(broken))
		return ring_fail(ring, RING_INDEX);
	n = RTE_MIN(n, (unsigned)waiting);
	for (k = 0; k < n; k++) {
		id[k] = load16(&ring->avail->ring[(ring->next_avail + k) & mask]);
		if (unlikely(id[k] > mask)) {
			n = k;
			ring_fail(ring, RING_ID);
			break;
		}
		rte_prefetch0(&ring->desc.split[id[k]]);
	}
	for (k = 0; k < n; k++) {
		d[k] = descriptor_load(&ring->desc.split[id[k]]);
		at[k] = likely(!(d[k].flags &
		                 (VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE)))
		                ? guest_address(ring->memory, d[k].address, d[k].length)
		                : NULL;
		if (likely(at[k] != NULL)) {
			prefetch_in(ring, at[k], d[k].length);
		}
	}
	batch_prepare(batch, n);
	for (k = 0; k < n; k++) {
		enum ring_error error;

		if (unlikely(!at[k] && batch->n_spans > BATCH_SPANS / 2))
			break;
		error = likely(at[k] != NULL) ? entry_from_one(ring, batch, at[k], d[k].length)
		                              : take_chain(ring, batch, id[k]);
		if (unlikely(error)) {
			ring_fail(ring, error);
			break;
		}
		ring->taken[ring->n_taken++].id = id[k];
	}
	ring->next_avail = (uint16_t)(ring->next_avail + k);
	return k;
}

bool split_wants_signal(struct guest_ring *ring)
{
	uint16_t old = ring->signalled;
	bool valid = ring->signalled_valid;

	if (!ring->event_index)
		return !(load16(&ring->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	ring->signalled = ring->next_used;
	ring->signalled_valid = true;
	return !valid || vring_need_event(load16(used_event(ring)), ring->next_used, old);
}

static void publish(struct guest_ring *ring, uint16_t n)
{
	ring->next_used = (uint16_t)(ring->next_used + n);
	__atomic_store_n(&ring->used->idx, ring->next_used, __ATOMIC_RELEASE);
}

static inline void use(struct guest_ring *ring, uint16_t at, uint16_t id, uint32_t length)
{
	struct vring_used_elem *element = &ring->used->ring[at & mask_of(ring)];
	uint64_t old, new = (uint64_t)length << 32 | id;

	memcpy(&old, element, sizeof(old));
	if (old != new)
		memcpy(element, &new, sizeof(new));
}

void split_return(struct guest_ring *ring)
{
	uint16_t n = ring->n_taken;

	for (unsigned k = 0; k < n; k++)
		use(ring, (uint16_t)(ring->next_used + k), ring->taken[k].id, 0);
	ring->n_taken = 0;
	if (n)
		publish(ring, n);
}

/* A packet that needs more than one descriptor: as many buffers as it takes when they are
 * mergeable, else one. Returns how many buffers, 0 for none: then reason says why. */
static unsigned send_chains(struct guest_ring *ring, struct batch *batch, uint64_t i, uint16_t at,
        uint16_t waiting, uint16_t used_at)
{
	uint32_t total = ring->header + batch->length[i], before;
	uint32_t room[PR_BATCH];
	uint16_t id[PR_BATCH];
	struct pieces pieces;
	unsigned n = 0;

	pieces.n = 0;
	pieces.length = 0;
	batch->reason[i] = PR_DROP_EGRESS_FULL;
	do {
		enum ring_error error;

		if (n == waiting)
			return 0;
		if (n == PR_BATCH || (n && !ring->mergeable)) {
			batch->reason[i] = PR_DROP_GUEST_BUFFER;
			return 0;
		}
		before = pieces.length;
		id[n] = load16(&ring->avail->ring[(at + n) & mask_of(ring)]);
		error = walk_chain(ring, id[n], true, &pieces);
		if (!error && !n && pieces.length < ring->header)
			error = RING_LENGTH;
		if (unlikely(error))
			return ring_fail(ring, error);
		room[n++] = pieces.length - before;
	} while (pieces.length < total);
	if (copy_to_pieces(ring, batch, i, (uint16_t)n, &pieces, total) != total)
		return 0;
	for (unsigned k = 0; k < n; k++) {
		uint32_t part = RTE_MIN(room[k], total);

		use(ring, (uint16_t)(used_at + k), id[k], part);
		total -= part;
	}
	return n;
}

uint64_t split_tx(struct guest_ring *ring, struct batch *batch, uint64_t mask)
{
	unsigned n = (unsigned)__builtin_popcountll(mask), k = 0;
	struct descriptor d[PR_BATCH];
	uint16_t id[PR_BATCH], last = mask_of(ring), at = ring->next_avail;
	uint8_t *to[PR_BATCH];
	uint64_t sent = 0;
	bool broken;
	uint16_t waiting = available(ring, &broken);

	if (unlikely(broken)) {
		ring_fail(ring, RING_INDEX);
		waiting = 0;
	}
	n = RTE_MIN(n, (unsigned)waiting);
	for (k = 0; k < n; k++) {
		id[k] = load16(&ring->avail->ring[(at + k) & last]);
		rte_prefetch0(&ring->desc.split[id[k] & last]);
	}
	for (k = 0; k < n; k++) {
		d[k] = descriptor_load(&ring->desc.split[id[k] & last]);
		to[k] = likely(id[k] <= last &&
		                (d[k].flags & (VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT |
		                                      VRING_DESC_F_WRITE)) == VRING_DESC_F_WRITE)
		                ? guest_address(ring->memory, d[k].address, d[k].length)
		                : NULL;
		if (likely(to[k] != NULL)) {
			rte_prefetch0(to[k]);
			rte_prefetch0_write(to[k] + ring->header);
		}
	}
	k = 0;
	BATCH_FOREACH (i, mask) {
		uint32_t total = ring->header + batch->length[i];

		if (likely(k < n && to[k] && d[k].length >= total)) {
			copy_out(ring, batch, i, to[k]);
			use(ring, (uint16_t)(ring->next_used + k), id[k], total);
			k++;
		} else {
			/* What was looked at is behind us once a packet took several. */
			unsigned taken = send_chains(ring, batch, i, (uint16_t)(at + k),
			        (uint16_t)(waiting - k), (uint16_t)(ring->next_used + k));

			if (!taken)
				continue;
			k += taken;
		}
		sent |= UINT64_C(1) << i;
	}
	ring->next_avail = (uint16_t)(at + k);
	if (k)
		publish(ring, (uint16_t)k);
	return sent;
}
