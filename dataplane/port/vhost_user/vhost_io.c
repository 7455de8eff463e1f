/* SPDX-License-Identifier: BSD-3-Clause */
/* Receiving from and sending to guests: which queue. Workers only. */
#include <rte_prefetch.h>
#include <rte_spinlock.h>

#include "dataplane/flow_hash.h"
#include "dataplane/port/vhost_user/ring.h"
#include "dataplane/port/vhost_user/vhost.h"
#include "dataplane/worker_idle.h"

static inline struct guest_ring *ring_of(struct device *device, unsigned q)
{
	struct guest_ring *ring = atomic_load_explicit(&device->ring[q], memory_order_acquire);

	return likely(ring != NULL) && likely(atomic_load_explicit(&ring->error,
	                                              memory_order_relaxed) == RING_OK)
	               ? ring
	               : NULL;
}

static unsigned vhost_rx(struct device *device, uint16_t queue, struct batch *batch, unsigned n)
{
	struct guest_ring *ring = ring_of(device, 2u * queue + 1);

	if (!ring)
		return 0;
	n = ring->is_packed ? packed_rx(ring, batch, n) : split_rx(ring, batch, n);
	if (!n)
		return 0;
	if (unlikely(ring->armed))
		ring_disarm(ring);
	batch->source[batch->n_sources++] = ring;
	return n;
}

/* A queue that does not run has nothing to tell; who starts it wakes the workers. */
static bool vhost_arm(struct device *device, uint16_t queue, struct worker *worker)
{
	struct guest_ring *ring = ring_of(device, 2u * queue + 1);
	uint8_t us = (uint8_t)(worker->index + 1);

	if (!ring)
		return true;
	if (ring->kick_fd < 0)
		return false;
	if (ring->watcher != us) {
		/* It came from another worker. */
		if (ring->watcher)
			worker_unwatch(worker_at(ring->watcher - 1u), ring->kick_fd);
		ring->watcher = worker_watch(worker, ring->kick_fd) ? us : 0;
	}
	if (ring->watcher && !ring->armed)
		ring_arm(ring);
	return ring->watcher;
}

static void signal_if_wanted(struct worker *worker, struct guest_ring *ring)
{
	if (ring->is_packed ? packed_wants_signal(ring) : split_wants_signal(ring))
		notifier_signal(&worker->notifier,
		        atomic_load_explicit(&ring->call_fd, memory_order_acquire));
}

/* One fence for all rings of a batch, once their stores have had time to arrive. */
static void signal_all(struct worker *worker)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned n = 0; n < worker->n_published; n++)
		signal_if_wanted(worker, worker->published[n]);
	worker->n_published = 0;
}

static void signal_later(struct worker *worker, struct guest_ring *ring)
{
	if (unlikely(worker->n_published == PUBLISHED_MAX))
		signal_all(worker);
	worker->published[worker->n_published++] = ring;
}

void vhost_finish(struct worker *worker, struct batch *batch)
{
	for (unsigned n = 0; n < batch->n_sources; n++) {
		struct guest_ring *ring = batch->source[n];

		ring->is_packed ? packed_return(ring) : split_return(ring);
		signal_later(worker, ring);
	}
	batch->n_sources = 0;
	if (worker->n_published)
		signal_all(worker);
}

/* One queue, one burst; a lock wherever there are several workers, never two at once. */
static uint64_t send_queue(struct device *device, struct worker *worker, unsigned queue, bool lock,
        struct batch *batch, uint64_t mask)
{
	struct guest_ring *ring = ring_of(device, 2 * queue);
	uint64_t sent;

	if (unlikely(!ring)) {
		BATCH_FOREACH (i, mask)
			batch->reason[i] = PR_DROP_EGRESS_DOWN;
		return 0;
	}
	if (lock)
		rte_spinlock_lock(&device->tx_lock[queue]);
	sent = ring->is_packed ? packed_tx(ring, batch, mask) : split_tx(ring, batch, mask);
	if (!lock) {
		if (likely(sent))
			signal_later(worker, ring);
		return sent;
	}
	if (likely(sent)) {
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		signal_if_wanted(worker, ring);
	}
	rte_spinlock_unlock(&device->tx_lock[queue]);
	return sent;
}

/* Each flow keeps to one queue, whichever worker sends it: a sender's queue may move to another
 * worker while its flows go on. Workers begin at different queues, not to meet at their locks. */
static uint64_t send_spread(struct device *device, struct worker *worker, const uint8_t *queues,
        unsigned n_queues, struct batch *batch, uint64_t mask)
{
	unsigned first = worker->index * n_queues / shared->n_workers;
	uint64_t part[PR_QUEUES_MAX] = {0}, sent = 0;
	bool lock = shared->n_workers > 1;

	BATCH_FOREACH (i, mask)
		part[flow_queue(flow_hash(batch->head[i], batch->head_length[i]), n_queues)] |=
		        UINT64_C(1) << i;
	for (unsigned k = 0; k < n_queues; k++) {
		unsigned q = (first + k) % n_queues;

		if (part[q])
			sent |= send_queue(device, worker, queues[q], lock, batch, part[q]);
	}
	return sent;
}

static uint64_t vhost_tx(
        struct device *device, struct worker *worker, struct batch *batch, uint64_t mask)
{
	uint64_t guest = atomic_load_explicit(&device->guest, memory_order_relaxed);
	unsigned running = GUEST_QUEUES(guest, GUEST_RX_SHIFT);
	uint8_t queues[PR_QUEUES_MAX];
	unsigned n = 0;

	if (likely(running == 1))
		return send_queue(device, worker, 0, shared->n_workers > 1, batch, mask);
	if (unlikely(!running)) {
		BATCH_FOREACH (i, mask)
			batch->reason[i] = PR_DROP_EGRESS_DOWN;
		return 0;
	}
	for (unsigned q = 0; q < PR_QUEUES_MAX; q++)
		if (running & 1u << q)
			queues[n++] = (uint8_t)q;
	return send_spread(device, worker, queues, n, batch, mask);
}

/* The line that says how many buffers the guest has for us: another core wrote it last. */
static void vhost_prepare(struct device *device)
{
	const struct guest_ring *ring = ring_of(device, 0);

	if (ring)
		rte_prefetch0(ring->is_packed ? (const void *)&ring->desc.packed[ring->next_avail]
		                              : (const void *)&ring->avail->idx);
}

static void vhost_approach(struct device *device, uint16_t queue, unsigned turns)
{
	const struct guest_ring *ring;

	if (turns == POLL_AHEAD) {
		rte_prefetch0(device);
		rte_prefetch0(&device->ring[2u * queue + 1]);
		return;
	}
	ring = atomic_load_explicit(&device->ring[2u * queue + 1], memory_order_acquire);
	if (!ring)
		return;
	if (turns > 1) {
		rte_prefetch0(ring);
		rte_prefetch0((const uint8_t *)ring + RTE_CACHE_LINE_SIZE);
	} else {
		rte_prefetch0(ring->is_packed ? (const void *)&ring->desc.packed[ring->next_avail]
		                              : (const void *)&ring->avail->idx);
	}
}

const struct device_ops vhost_ops = {
        .rx = vhost_rx,
        .tx = vhost_tx,
        .prepare = vhost_prepare,
        .approach = vhost_approach,
        .arm = vhost_arm,
};
