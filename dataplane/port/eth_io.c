/* SPDX-License-Identifier: BSD-3-Clause */
/* Receiving from and sending to DPDK devices; workers only. */
#include <rte_ethdev.h>

#include "dataplane/port/eth.h"
#include "dataplane/worker.h"

static unsigned eth_rx(struct device *device, uint16_t queue, struct batch *batch, unsigned n)
{
	struct rte_mbuf *packets[PR_BATCH];

	n = rte_eth_rx_burst(device->eth_id, queue, packets, (uint16_t)n);
	for (unsigned k = 0; k < n; k++)
		rte_prefetch0(rte_pktmbuf_mtod(packets[k], void *));
	for (unsigned k = 0; k < n; k++)
		batch_add(batch, packets[k]);
	return n;
}

static uint64_t eth_tx(
        struct device *device, struct worker *worker, struct batch *batch, uint64_t mask)
{
	uint16_t queue = (uint16_t)(worker->index % device->n_tx);
	bool shared_queue = device->n_tx < shared->n_workers;
	struct rte_mbuf *packets[PR_BATCH];
	uint8_t entry[PR_BATCH];
	unsigned n = 0, sent;
	uint64_t done = 0;

	BATCH_FOREACH (i, mask) {
		struct rte_mbuf *m = batch_mbuf(batch, i);

		if (unlikely(!m)) {
			batch->reason[i] = PR_DROP_NO_MBUF;
		} else if (unlikely(m->nb_segs > 1) && rte_pktmbuf_linearize(m)) {
			batch->reason[i] = PR_DROP_MTU_EXCEEDED;
		} else {
			packets[n] = m;
			entry[n++] = (uint8_t)i;
		}
	}
	if (shared_queue)
		rte_spinlock_lock(&device->tx_lock[queue % PR_QUEUES_MAX]);
	sent = rte_eth_tx_burst(device->eth_id, queue, packets, (uint16_t)n);
	if (shared_queue)
		rte_spinlock_unlock(&device->tx_lock[queue % PR_QUEUES_MAX]);
	for (unsigned k = 0; k < n; k++) {
		if (likely(k < sent)) {
			batch->body[entry[k]] = NULL;
			done |= UINT64_C(1) << entry[k];
		} else {
			batch->reason[entry[k]] = PR_DROP_EGRESS_FULL;
		}
	}
	return done;
}

const struct device_ops eth_ops = {
        .rx = eth_rx,
        .tx = eth_tx,
};
