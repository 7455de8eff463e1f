/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <rte_ethdev.h>

#include "frame.h"

#define DESCRIPTORS 1024u
#define POOL_CACHE  256u

static unsigned all_queues(const struct devices *d)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->n; i++)
		n += d->port[i].queues;
	return n;
}

static int make_pools(struct devices *d, const struct options *o, char *error, size_t size)
{
	uint16_t room = 2048 + RTE_PKTMBUF_HEADROOM, rx_room;
	unsigned n = all_queues(d) * (DESCRIPTORS + DEVICE_BURST) + 2 * POOL_CACHE;

	for (unsigned i = 0; i < o->n_sizes; i++) {
		uint16_t need = (uint16_t)(o->sizes[i] + 128 + RTE_PKTMBUF_HEADROOM);

		room = need > room ? need : room;
	}
	rx_room = o->rx_room ? (uint16_t)(o->rx_room + RTE_PKTMBUF_HEADROOM) : room;
	d->rx_pool = rte_pktmbuf_pool_create("rx", n, POOL_CACHE, 0, rx_room, SOCKET_ID_ANY);
	d->tx_pool = rte_pktmbuf_pool_create("tx", n, POOL_CACHE,
	        RTE_ALIGN(sizeof(struct frame_slot), RTE_MBUF_PRIV_ALIGN), room, SOCKET_ID_ANY);
	if (o->segments > 1)
		d->segment_pool = rte_pktmbuf_pool_create("segments", n * (o->segments - 1),
		        POOL_CACHE, 0, (uint16_t)(room / o->segments + RTE_PKTMBUF_HEADROOM),
		        SOCKET_ID_ANY);
	if (d->rx_pool && d->tx_pool && (d->segment_pool || o->segments <= 1))
		return 0;
	snprintf(error, size, "no memory for 2 x %u buffers of %u bytes: give more with --memory",
	        n, room);
	return -ENOMEM;
}

static void largest_frame(const struct options *o, uint16_t *mtu)
{
	*mtu = 1500;
	for (unsigned i = 0; i < o->n_sizes; i++) {
		if (o->sizes[i] > *mtu + 14)
			*mtu = (uint16_t)(o->sizes[i] - 14);
	}
}

static int start(struct device *dev, const struct devices *d, const struct options *o)
{
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf = {0};
	uint16_t mtu, rx = DESCRIPTORS, tx = DESCRIPTORS;
	int rc = rte_eth_dev_info_get(dev->ethdev, &info);

	if (rc)
		return rc;
	largest_frame(o, &mtu);
	if (mtu > 1500)
		conf.rxmode.mtu = mtu;
	if (o->rx_room)
		conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
	if (o->segments > 1)
		conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	/* a virtio-user port that serves its socket reconnects in its link-state interrupt */
	conf.intr_conf.lsc = !!(*info.dev_flags & RTE_ETH_DEV_INTR_LSC);
	rc = rte_eth_dev_configure(dev->ethdev, dev->queues, dev->queues, &conf);
	if (!rc)
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(dev->ethdev, &rx, &tx);
	for (uint16_t q = 0; !rc && q < dev->queues; q++) {
		rc = rte_eth_rx_queue_setup(dev->ethdev, q, rx, SOCKET_ID_ANY, NULL, d->rx_pool);
		if (!rc)
			rc = rte_eth_tx_queue_setup(dev->ethdev, q, tx, SOCKET_ID_ANY, NULL);
	}
	if (!rc)
		rc = rte_eth_dev_start(dev->ethdev);
	if (rc)
		return rc;
	dev->started = true;
	rte_eth_promiscuous_enable(dev->ethdev); /* not all devices can, nor need to */
	return 0;
}

/* Finds the ethdev of the vdev and what it has. */
static int find(struct device *dev, struct port_options *port, char *error, size_t size)
{
	struct rte_eth_dev_info info;
	struct rte_ether_addr mac;
	char name[64];
	unsigned n = (unsigned)strcspn(port->devargs, ",");
	unsigned queues = port->queues ? port->queues : OPTIONS_QUEUES;

	snprintf(name, sizeof(name), "%.*s", (int)n, port->devargs);
	if (rte_eth_dev_get_port_by_name(name, &dev->ethdev) ||
	        rte_eth_dev_info_get(dev->ethdev, &info)) {
		snprintf(error, size, "port %s is no Ethernet device", name);
		return -ENODEV;
	}
	/* memif and others report as many queues as there could ever be */
	if (!port->queues && !strstr(port->devargs, "queues=") && !strstr(port->devargs, "qpairs="))
		queues = 1;
	queues = queues < info.max_rx_queues ? queues : info.max_rx_queues;
	dev->queues = (uint16_t)(queues < info.max_tx_queues ? queues : info.max_tx_queues);
	if (pr_mac_is_zero(&port->mac) && !rte_eth_macaddr_get(dev->ethdev, &mac))
		memcpy(port->mac.b, mac.addr_bytes, 6);
	return 0;
}

int devices_open(struct devices *d, struct options *o, char *error, size_t size)
{
	int rc;

	memset(d, 0, sizeof(*d));
	for (; d->n < o->n_ports; d->n++) {
		rc = find(&d->port[d->n], &o->ports[d->n], error, size);
		if (rc)
			return rc;
	}
	rc = make_pools(d, o, error, size);
	for (unsigned i = 0; !rc && i < d->n; i++) {
		rc = start(&d->port[i], d, o);
		if (rc)
			snprintf(error, size, "port %s can not be started: %s", o->ports[i].devargs,
			        rte_strerror(-rc));
	}
	return rc;
}

void devices_close(struct devices *d)
{
	for (unsigned i = 0; i < d->n; i++) {
		if (d->port[i].started)
			rte_eth_dev_stop(d->port[i].ethdev);
		rte_eth_dev_close(d->port[i].ethdev);
	}
	rte_mempool_free(d->segment_pool);
	rte_mempool_free(d->tx_pool);
	rte_mempool_free(d->rx_pool);
	memset(d, 0, sizeof(*d));
}

unsigned devices_up(const struct devices *d)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->n; i++) {
		struct rte_eth_link link;

		if (!rte_eth_link_get_nowait(d->port[i].ethdev, &link) &&
		        link.link_status == RTE_ETH_LINK_UP)
			n++;
	}
	return n;
}

static void fill(struct rte_mempool *pool, void *mixed, void *object, unsigned index)
{
	struct rte_mbuf *m = object;
	struct frame_slot *slot = rte_mbuf_to_priv(m);

	(void)pool;
	frame_slot_init(slot, (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM,
	        m->buf_len - RTE_PKTMBUF_HEADROOM, index);
	slot->mixed = *(bool *)mixed;
}

void devices_fill(struct devices *d, bool mixed)
{
	rte_mempool_obj_iter(d->tx_pool, fill, &mixed);
}
