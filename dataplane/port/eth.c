/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include "dataplane/port/eth.h"
#include "dataplane/tables.h"

#define DESCRIPTORS 512

struct eth_device {
	char devargs[256];
	char name[RTE_ETH_NAME_MAX_LEN]; /* devargs up to the first comma */
	unsigned buffers;                /* that its rings may hold */
};

/* Packet buffers that the rings of all devices may hold. Control thread. */
static unsigned buffers_taken;

static int fail(struct dp_error *error, int rc, const char *field, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

static int fail(struct dp_error *error, int rc, const char *field, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	error->code = rc == -ENOSPC ? PR_ERR_FULL : PR_ERR_UNUSABLE;
	snprintf(error->field, sizeof(error->field), "%s", field);
	return rc;
}

bool eth_is(const struct device *device, const char *text)
{
	const struct eth_device *eth = device->driver;

	return device->ops == &eth_ops && (!strcmp(eth->devargs, text) || !strcmp(eth->name, text));
}

static void spread_flows(struct rte_eth_conf *conf, const struct rte_eth_dev_info *info)
{
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	conf->rx_adv_conf.rss_conf.rss_hf =
	        info->flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);
	if (!conf->rx_adv_conf.rss_conf.rss_hf)
		conf->rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
}

static int set_up_queues(struct device *device)
{
	uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS;
	int socket = rte_eth_dev_socket_id(device->eth_id);
	int rc = rte_eth_dev_adjust_nb_rx_tx_desc(device->eth_id, &rx, &tx);

	for (uint16_t q = 0; !rc && q < device->n_queues; q++)
		rc = rte_eth_rx_queue_setup(
		        device->eth_id, q, rx, (unsigned)socket, NULL, shared->mbufs);
	for (uint16_t q = 0; !rc && q < device->n_tx; q++)
		rc = rte_eth_tx_queue_setup(device->eth_id, q, tx, (unsigned)socket, NULL);
	return rc;
}

/* Full rings must not starve the other ports of buffers. */
static int take_buffers(struct device *device, const char *name, struct dp_error *error)
{
	struct eth_device *eth = device->driver;
	unsigned needed = (device->n_queues + device->n_tx) * DESCRIPTORS;

	if (buffers_taken + needed + ETH_BUFFERS_LEFT > shared->mbufs->size)
		return fail(error, -ENOSPC, "device",
		        "device %.100s may hold %u packet buffers and %u of %u are promised: raise "
		        "limits.mbufs, or give it fewer queues",
		        name, needed, buffers_taken + ETH_BUFFERS_LEFT, shared->mbufs->size);
	eth->buffers = needed;
	buffers_taken += needed;
	return 0;
}

/* Drivers say how long a packet may be, or its payload, or both. */
static uint32_t max_mtu(const struct rte_eth_dev_info *info)
{
	if (info->max_mtu == UINT16_MAX && info->max_rx_pktlen > RTE_ETHER_HDR_LEN)
		return RTE_MIN(info->max_rx_pktlen - RTE_ETHER_HDR_LEN - RTE_ETHER_CRC_LEN,
		        (uint32_t)UINT16_MAX);
	return info->max_mtu;
}

static int configure(struct device *device, const struct dp_port_spec *spec, struct dp_error *error)
{
	struct rte_eth_conf conf = {.rxmode = {.mtu = spec->mtu}};
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(device->eth_id, &info);
	unsigned wanted = spec->queues ? spec->queues : shared->n_workers;

	if (rc)
		return fail(error, rc, "device", "device %.100s tells nothing of itself: %s",
		        spec->device, strerror(-rc));
	if (spec->mtu > max_mtu(&info))
		return fail(error, -ENOTSUP, "mtu", "device %.100s carries an MTU of at most %u",
		        spec->device, max_mtu(&info));
	device->n_queues = (uint16_t)RTE_MIN(wanted, (unsigned)info.max_rx_queues);
	device->numa = (int16_t)rte_eth_dev_socket_id(device->eth_id);
	device->n_tx = (uint16_t)RTE_MIN(shared->n_workers, (unsigned)info.max_tx_queues);
	rc = take_buffers(device, spec->device, error);
	if (rc)
		return rc;
	if (device->n_queues > 1)
		spread_flows(&conf, &info);
	rc = rte_eth_dev_configure(device->eth_id, device->n_queues, device->n_tx, &conf);
	if (!rc)
		rc = set_up_queues(device);
	if (!rc)
		rc = rte_eth_dev_start(device->eth_id);
	if (rc)
		return fail(error, rc < 0 ? rc : -EIO, "device",
		        "device %.100s can not be started with %u and %u queues and MTU %u: %s",
		        spec->device, device->n_queues, device->n_tx, spec->mtu, strerror(-rc));
	/* Frames to pods' and gateways' MACs are not the device's own. Drivers without either
	 * function take everything anyway. */
	rte_eth_promiscuous_enable(device->eth_id);
	rte_eth_allmulticast_enable(device->eth_id);
	return 0;
}

static int probe(struct device *device, struct eth_device *eth, struct dp_error *error)
{
	int rc;

	if (!rte_eth_dev_get_port_by_name(eth->name, &device->eth_id))
		return fail(error, -EBUSY, "device", "device %.100s is in use already", eth->name);
	rc = rte_dev_probe(eth->devargs);
	if (rc == -ENOSPC || rte_eth_dev_count_avail() == RTE_MAX_ETHPORTS)
		return fail(error, -ENOSPC, "device", "this DPDK has room for %u devices",
		        RTE_MAX_ETHPORTS);
	if (rc || rte_eth_dev_get_port_by_name(eth->name, &device->eth_id))
		return fail(error, -ENODEV, "device",
		        "device %.150s can not be opened: give a PCI address that is bound to "
		        "vfio-pci, "
		        "or devargs of a driver, like net_af_packet0,iface=eth1",
		        eth->devargs);
	return 0;
}

static void remove_device(struct device *device)
{
	struct eth_device *eth = device->driver;
	struct rte_eth_dev_info info;

	buffers_taken -= eth->buffers;
	rte_eth_dev_stop(device->eth_id);
	if (rte_eth_dev_info_get(device->eth_id, &info))
		info.device = NULL;
	rte_eth_dev_close(device->eth_id);
	if (info.device)
		rte_dev_remove(info.device);
}

int eth_open(struct device *device, const struct dp_port_spec *spec, struct dp_error *error)
{
	struct eth_device *eth = calloc(1, sizeof(*eth));
	int rc;

	if (!eth)
		return -ENOMEM;
	snprintf(eth->devargs, sizeof(eth->devargs), "%s", spec->device);
	snprintf(eth->name, sizeof(eth->name), "%.*s", (int)strcspn(spec->device, ","),
	        spec->device);
	device->driver = eth;
	device->ops = &eth_ops;
	atomic_store(&device->guest, 1);
	rc = probe(device, eth, error);
	if (!rc) {
		rc = configure(device, spec, error);
		if (rc)
			remove_device(device);
	}
	if (rc) {
		device->driver = NULL;
		free(eth);
	}
	return rc;
}

void eth_close(struct device *device)
{
	if (!device->driver)
		return;
	remove_device(device);
	free(device->driver);
	device->driver = NULL;
}

void eth_state(const struct device *device, struct dp_port_state *state)
{
	struct rte_eth_link link = {0};

	state->up = rte_eth_link_get_nowait(device->eth_id, &link) == 0 && link.link_status;
	state->connected = state->up;
	state->active_queues = (uint8_t)device->n_queues;
	state->queues = (uint8_t)device->n_queues;
	state->numa = (char)rte_eth_dev_socket_id(device->eth_id);
}

void eth_mac(const struct device *device, struct pr_mac *mac)
{
	struct rte_ether_addr address;

	if (rte_eth_macaddr_get(device->eth_id, &address) == 0)
		memcpy(mac, &address, sizeof(*mac));
}
