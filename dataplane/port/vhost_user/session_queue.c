/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "dataplane/port/vhost_user/ring_io.h"
#include "dataplane/port/vhost_user/session_queue.h"

#define BIT(n)      (UINT64_C(1) << (n))
#define PACKED_WRAP (1u << 15) /* of a packed ring's base */

static bool has(const struct session *session, unsigned feature)
{
	return session->features & BIT(feature);
}

void queue_init(struct session *session, unsigned q)
{
	struct session_queue *queue = &session->queue[q];

	memset(queue, 0, sizeof(*queue));
	queue->kick_fd = queue->err_fd = -1;
	atomic_store(&queue->ring.call_fd, -1);
	queue->fresh = true;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void queue_set_kick(struct session *session, struct session_queue *queue, int fd)
{
	if (queue->ring.watcher)
		session->ops->unwatch(session->arg, queue->ring.watcher - 1u, queue->kick_fd);
	queue->ring.watcher = 0;
	close_fd(queue->kick_fd);
	queue->kick_fd = fd;
}

void queue_reset(struct session *session, unsigned q)
{
	struct session_queue *queue = &session->queue[q];

	queue_set_kick(session, queue, -1);
	close_fd(queue->err_fd);
	close_fd(atomic_load(&queue->ring.call_fd));
	queue_init(session, q);
}

bool session_close_stale(struct session *session)
{
	if (!session->n_stale)
		return true;
	if (!session->ops->grace_over(session->arg, session->stale_token))
		return false;
	while (session->n_stale)
		close(session->stale_fds[--session->n_stale]);
	return true;
}

bool session_can_swap(struct session *session)
{
	return session->n_stale < RINGS_MAX || session_close_stale(session);
}

void queue_swap_call(struct session *session, struct session_queue *queue, int fd)
{
	int old = atomic_exchange_explicit(&queue->ring.call_fd, fd, memory_order_acq_rel);

	if (old < 0)
		return;
	session->stale_fds[session->n_stale++] = old;
	session->stale_token = session->ops->grace_start(session->arg);
}

void queue_unpublish(struct session *session, unsigned q)
{
	struct session_queue *queue = &session->queue[q];

	if (!queue->published)
		return;
	session->ops->publish(session->arg, q, NULL);
	queue->published = false;
	queue->busy = true;
	queue->token = session->ops->grace_start(session->arg);
}

/* Where the next life of the ring goes on: everything taken was given back, so both indexes are
 * one. */
static uint32_t base_of(const struct guest_ring *ring)
{
	if (!ring->is_packed)
		return ring->next_avail;
	return ring->next_avail | (ring->avail_wrap ? PACKED_WRAP : 0) |
	       (uint32_t)ring->next_used << 16 | (ring->used_wrap ? PACKED_WRAP << 16 : 0);
}

bool queue_is_quiet(struct session *session, unsigned q)
{
	struct session_queue *queue = &session->queue[q];

	if (queue->published)
		return false;
	if (!queue->busy)
		return true;
	if (!session->ops->grace_over(session->arg, queue->token))
		return false;
	queue->busy = false;
	queue->base = base_of(&queue->ring);
	queue->has_base = true;
	return true;
}

/* ---- starting ---- */

static void *area(const struct session *session, uint64_t user, uint64_t size, unsigned alignment)
{
	uint8_t *at = user % alignment ? NULL : guest_user_address(session->memory, user, size);

	return (uintptr_t)at % alignment ? NULL : at;
}

/* Each area wholly in one region (virtio 1.1, 2.6 and 2.7.10). */
static bool find_areas(
        const struct session *session, const struct session_queue *queue, struct guest_ring *ring)
{
	uint64_t size = queue->size;

	if (ring->is_packed) {
		ring->desc.packed = area(session, queue->desc, 16 * size, 16);
		ring->driver_event = area(session, queue->avail, 4, 4);
		ring->device_event = area(session, queue->used, 4, 4);
		return ring->desc.packed && ring->driver_event && ring->device_event;
	}
	ring->desc.split = area(session, queue->desc, 16 * size, 16);
	ring->avail = area(session, queue->avail, 6 + 2 * size, 2);
	ring->used = area(session, queue->used, 6 + 8 * size, 4);
	return ring->desc.split && ring->avail && ring->used;
}

struct packed_bits {
	bool avail, used;
};

static struct packed_bits packed_bits(const struct guest_ring *ring, unsigned slot)
{
	uint16_t flags = load16(&ring->desc.packed[slot].flags);

	return (struct packed_bits){
	        flags & 1 << VRING_PACKED_DESC_F_AVAIL, flags & 1 << VRING_PACKED_DESC_F_USED};
}

/* Where a packed ring is to be served on, after whoever served it was killed: QEMU then says the
 * last place that it was ever told. A descriptor waits while its two bits differ, and was used when
 * they are equal (virtio 1.1, 2.7.1); both are of the lap in which that happened. So the place is
 * where those that wait begin or, if all or none do, where the lap changes. Where chains of several
 * descriptors left more than one such place, the base is all that there is. */
static void find_packed_place(struct guest_ring *ring)
{
	struct packed_bits last = packed_bits(ring, ring->size - 1u), bits;
	unsigned begins = 0, changes = 0, place = 0, change = 0;
	bool wait = last.avail != last.used;

	for (unsigned slot = 0; slot < ring->size; slot++, last = bits) {
		bits = packed_bits(ring, slot);
		if (bits.avail != bits.used && last.avail == last.used) {
			begins++;
			place = slot;
		}
		if (slot && bits.avail != last.avail) {
			changes++;
			change = slot;
		}
	}
	if (begins > 1 || (!begins && changes > 1))
		return;
	if (!begins)
		place = change;
	bits = packed_bits(ring, place);
	ring->next_avail = ring->next_used = (uint16_t)place;
	ring->avail_wrap = ring->used_wrap = begins || wait ? bits.avail : !bits.avail;
}

/* A split ring tells itself how far it was served, whoever served it (a daemon that was killed
 * included); of a packed one the front end says it. */
static void set_indexes(struct session_queue *queue, struct guest_ring *ring)
{
	uint32_t base;

	if (!ring->is_packed) {
		ring->next_avail = ring->next_used = load16(&ring->used->idx);
		return;
	}
	/* A new packed ring begins in its first lap, whose counter is 1 (virtio 1.1, 2.7.1). */
	base = queue->has_base ? queue->base : PACKED_WRAP;
	ring->next_avail = ring->next_used = (uint16_t)(base & (PACKED_WRAP - 1));
	ring->avail_wrap = ring->used_wrap = base & PACKED_WRAP;
	if (ring->next_avail >= ring->size)
		ring->next_avail = ring->next_used = 0;
	if (!queue->started)
		find_packed_place(ring);
}

static uint8_t accepted(const struct session *session)
{
	uint8_t accepts = 0;

	if (!has(session, VIRTIO_NET_F_GUEST_CSUM))
		return 0;
	accepts |= OFFLOAD_CSUM;
	if (has(session, VIRTIO_NET_F_GUEST_TSO4))
		accepts |= OFFLOAD_TSO4;
	if (has(session, VIRTIO_NET_F_GUEST_TSO6))
		accepts |= OFFLOAD_TSO6;
	return accepts;
}

static void fill_features(const struct session *session, struct guest_ring *ring)
{
	ring->memory = session->memory;
	ring->is_packed = has(session, VIRTIO_F_RING_PACKED);
	ring->event_index = has(session, VIRTIO_RING_F_EVENT_IDX);
	ring->indirect = has(session, VIRTIO_RING_F_INDIRECT_DESC);
	ring->mergeable = has(session, VIRTIO_NET_F_MRG_RXBUF);
	ring->csum_in = has(session, VIRTIO_NET_F_CSUM);
	ring->accepts = accepted(session);
	ring->header = ring->mergeable || has(session, VIRTIO_F_VERSION_1)
	                       ? sizeof(struct virtio_net_hdr_mrg_rxbuf)
	                       : sizeof(struct virtio_net_hdr);
}

static bool is_ready(struct session *session, unsigned q)
{
	const struct session_queue *queue = &session->queue[q];

	/* Odd queues are those that a guest sends on. */
	return (!(q & 1) || session->ops->may_send(session->arg)) && session->features_set &&
	       session->memory && !atomic_load(&session->memory_broken) && queue->has_size &&
	       queue->has_addr && queue->kicked && !queue->broken &&
	       (queue->enabled || !has(session, VU_F_PROTOCOL_FEATURES));
}

static void say_broken(struct session *session, unsigned q, unsigned error)
{
	char text[160];

	session->queue[q].broken = true;
	session->queue[q].misplaced = error == RING_PLACE;
	snprintf(text, sizeof(text), "queue %u stopped: %s", q, ring_error_text(error));
	session->ops->log(session->arg, LOG_WARNING, text);
}

void queue_refresh(struct session *session, unsigned q)
{
	struct session_queue *queue = &session->queue[q];
	struct guest_ring *ring = &queue->ring;

	if (queue->published || !is_ready(session, q) || !queue_is_quiet(session, q))
		return;
	ring->size = queue->size;
	fill_features(session, ring);
	if ((!ring->is_packed && ring->size & (ring->size - 1)) ||
	        !find_areas(session, queue, ring)) {
		atomic_store(&ring->error, RING_PLACE);
		say_broken(session, q, RING_PLACE);
		return;
	}
	if (queue->fresh)
		set_indexes(queue, ring);
	queue->fresh = false;
	ring->n_taken = ring->taken_slots = 0;
	ring->signalled_valid = false;
	atomic_store(&ring->error, RING_OK);
	ring->kick_fd = queue->kick_fd;
	ring_disarm(ring);
	session->ops->publish(session->arg, q, ring);
	queue->published = queue->started = true;
}

unsigned queue_check(struct session *session, unsigned q)
{
	struct session_queue *queue = &session->queue[q];
	unsigned error = atomic_load_explicit(&queue->ring.error, memory_order_acquire);

	if (likely(error == RING_OK))
		return 0;
	queue_unpublish(session, q);
	atomic_store(&queue->ring.error, RING_OK);
	/* What the memory's end caused is told as that. */
	if (atomic_load(&session->memory_broken)) {
		queue->broken = true;
		return 0;
	}
	if (!queue->broken)
		say_broken(session, q, error);
	return 1;
}
