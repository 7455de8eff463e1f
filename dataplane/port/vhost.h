/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user ports on librte_vhost. The guests thread is the library's event thread: its callbacks
 * publish a guest's state in device.guest and never take a lock that is held around a call into the
 * library. */
#ifndef DATAPLANE_PORT_VHOST_H
#define DATAPLANE_PORT_VHOST_H

#include "dataplane/dataplane.h"
#include "dataplane/shared.h"

/* device.guest: bit 0 connected; bits 8..15 queues that the guest receives on and has enabled;
 * bits 16..23 queues that it sends on; bits 32..63 librte_vhost's number. */
#define GUEST_CONNECTED    UINT64_C(1)
#define GUEST_RX_SHIFT     8
#define GUEST_TX_SHIFT     16
#define GUEST_VID_SHIFT    32
#define GUEST_QUEUES(g, s) ((unsigned)((g) >> (s)) & 0xff)

struct vhost_port;

/* Registers the socket; the guest may connect from then on, and its packets are taken once the
 * device is in a poll list. Control thread. Fills device->ops and driver.
 * -ENOENT, -ELOOP, -ENOTDIR, -EADDRINUSE, -EACCES: the socket's path can not be used. */
int vhost_open(struct device *device, const struct dp_port_spec *spec, struct dp_error *error);
/* Unregisters; waits until the guests thread has let go. No worker polls the device any more.
 * Control thread. */
void vhost_close(struct device *device);
/* Lets client ports connect again whose connection was refused. Control thread. */
void vhost_tick(void);
void vhost_state(const struct device *device, struct dp_port_state *state);

#endif
