/* SPDX-License-Identifier: BSD-3-Clause */
/* Receiving from and sending to DPDK devices; workers only. */
#include <rte_ethdev.h>

#include "dataplane/port/eth.h"

static unsigned eth_rx(struct device *device, uint16_t queue, struct rte_mbuf **packets, unsigned n)
{
	return rte_eth_rx_burst(device->eth_id, queue, packets, (uint16_t)n);
}

static unsigned eth_tx(
        struct device *device, unsigned worker, struct rte_mbuf **packets, unsigned n)
{
	uint16_t queue = (uint16_t)(worker % device->n_tx);
	bool shared_queue = device->n_tx < shared->n_workers;
	unsigned sent;

	if (shared_queue)
		rte_spinlock_lock(&device->tx_lock[queue % PR_QUEUES_MAX]);
	sent = rte_eth_tx_burst(device->eth_id, queue, packets, (uint16_t)n);
	if (shared_queue)
		rte_spinlock_unlock(&device->tx_lock[queue % PR_QUEUES_MAX]);
	return sent;
}

const struct device_ops eth_ops = {
        .rx = eth_rx,
        .tx = eth_tx,
};
