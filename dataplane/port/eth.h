/* SPDX-License-Identifier: BSD-3-Clause */
/* eth devices: anything that DPDK has a driver for. */
#ifndef DATAPLANE_PORT_ETH_H
#define DATAPLANE_PORT_ETH_H

#include "dataplane/dataplane.h"
#include "dataplane/shared.h"

/* Packet buffers that devices' rings must leave to packets under way, and to those that wait. */
#define ETH_BUFFERS_LEFT 2048

/* Probes, configures and starts a device. Control thread. Fills ops, eth_id, n_queues and n_tx.
 * -ENODEV: there is no such device; -ENOTSUP: it can not do what is asked (MTU). */
int eth_open(struct device *device, const struct dp_port_spec *spec, struct dp_error *error);
/* Stops and removes it. No worker polls the device any more. Control thread. */
void eth_close(struct device *device);
void eth_state(const struct device *device, struct dp_port_state *state);
/* The device's own MAC. */
void eth_mac(const struct device *device, struct pr_mac *mac);
/* Whether the device was opened with this device string, or is the one that it names. */
bool eth_is(const struct device *device, const char *text);

extern const struct device_ops eth_ops;

#endif
