/* SPDX-License-Identifier: BSD-3-Clause */
/* Receiving from and sending to guests; workers only. */
#include <rte_hash_crc.h>
#include <rte_vhost.h>

#include "dataplane/port/vhost.h"
#include "dataplane/port/vhost_io.h"

#define LIBRARY_BURST 32u

static unsigned vhost_rx(
        struct device *device, uint16_t queue, struct rte_mbuf **packets, unsigned n)
{
	uint64_t guest = atomic_load_explicit(&device->guest, memory_order_acquire);

	if (!(GUEST_QUEUES(guest, GUEST_TX_SHIFT) & (1u << queue)))
		return 0;
	return rte_vhost_dequeue_burst((int)(guest >> GUEST_VID_SHIFT), (uint16_t)(2 * queue + 1),
	        shared->mbufs, packets, (uint16_t)n);
}

/* Sends from the front; returns how many the guest took. The library looks at no more than 32
 * packets a call, whatever it is given. */
static unsigned send_queue(struct device *device, uint64_t guest, unsigned queue, bool lock,
        struct rte_mbuf **packets, unsigned n)
{
	unsigned sent = 0, taken, part;

	if (lock)
		rte_spinlock_lock(&device->tx_lock[queue]);
	do {
		part = RTE_MIN(n - sent, LIBRARY_BURST);
		taken = rte_vhost_enqueue_burst((int)(guest >> GUEST_VID_SHIFT),
		        (uint16_t)(2 * queue), packets + sent, (uint16_t)part);
		sent += taken;
	} while (taken == part && sent < n);
	if (lock)
		rte_spinlock_unlock(&device->tx_lock[queue]);
	rte_pktmbuf_free_bulk(packets, sent);
	return sent;
}

/* Addresses of both ends for IPv4 and IPv6, MACs else: all packets of a flow give one value. */
static inline uint32_t flow_hash(const struct rte_mbuf *m)
{
	const uint8_t *head = rte_pktmbuf_mtod(m, const uint8_t *);
	uint64_t a, b;

	if (m->data_len < 34)
		return 0;
	if (head[12] == 0x08 && head[13] == 0x00) {
		memcpy(&a, head + 26, 8);
		b = 0;
		/* Ports too, unless it is a fragment. */
		if (m->data_len >= 38 && head[14] == 0x45 && !((head[20] & 0x3f) | head[21]) &&
		        (head[23] == 6 || head[23] == 17))
			memcpy(&b, head + 34, 4);
	} else {
		memcpy(&a, head, 8);
		memcpy(&b, head + 8, 4);
		b &= 0xffffffff;
	}
	return rte_hash_crc_8byte(a, rte_hash_crc_8byte(b, 0));
}

/* Several queues are ours: each flow keeps to one. Unsent packets end up at the array's end. */
static unsigned send_spread(struct device *device, uint64_t guest, const uint8_t *queues,
        unsigned n_queues, struct rte_mbuf **packets, unsigned n)
{
	struct rte_mbuf *part[PR_BATCH], *unsent[PR_BATCH];
	uint8_t choice[PR_BATCH];
	unsigned sent = 0, kept = 0;

	for (unsigned k = 0; k < n; k++)
		choice[k] = (uint8_t)((flow_hash(packets[k]) >> 8) % n_queues);
	for (unsigned q = 0; q < n_queues; q++) {
		unsigned m = 0, taken;

		for (unsigned k = 0; k < n; k++)
			if (choice[k] == q)
				part[m++] = packets[k];
		if (!m)
			continue;
		taken = send_queue(device, guest, queues[q], false, part, m);
		sent += taken;
		for (unsigned k = taken; k < m; k++)
			unsent[kept++] = part[k];
	}
	memcpy(packets + sent, unsent, kept * sizeof(unsent[0]));
	return sent;
}

/* Worker w owns queues q with q mod W == w; with fewer queues than workers they are shared. */
static unsigned vhost_tx(
        struct device *device, unsigned worker, struct rte_mbuf **packets, unsigned n)
{
	uint64_t guest = atomic_load_explicit(&device->guest, memory_order_acquire);
	unsigned mask = GUEST_QUEUES(guest, GUEST_RX_SHIFT);
	uint8_t enabled[PR_QUEUES_MAX], own[PR_QUEUES_MAX];
	unsigned n_enabled = 0, n_own = 0;

	if (unlikely(!mask))
		return 0;
	if (likely(mask == 1))
		return send_queue(device, guest, 0, shared->n_workers > 1, packets, n);
	for (unsigned q = 0; q < PR_QUEUES_MAX; q++)
		if (mask & 1u << q)
			enabled[n_enabled++] = (uint8_t)q;
	if (n_enabled < shared->n_workers)
		return send_queue(device, guest, enabled[worker % n_enabled], true, packets, n);
	for (unsigned q = worker; q < n_enabled; q += shared->n_workers)
		own[n_own++] = enabled[q];
	if (n_own == 1)
		return send_queue(device, guest, own[0], false, packets, n);
	return send_spread(device, guest, own, n_own, packets, n);
}

const struct device_ops vhost_ops = {
        .rx = vhost_rx,
        .tx = vhost_tx,
};
