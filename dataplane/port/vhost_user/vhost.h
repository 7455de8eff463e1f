/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user ports: opened and closed by the control thread, served by the guests thread, polled by
 * workers. How it fits together: docs/vhost-user.md. */
#ifndef DATAPLANE_PORT_VHOST_USER_VHOST_H
#define DATAPLANE_PORT_VHOST_USER_VHOST_H

#include "dataplane/dataplane.h"
#include "dataplane/shared.h"

/* device.guest: bits 0..7 queues that the guest receives on and has running; bits 8..15 queues that
 * it sends on. */
#define GUEST_RX_SHIFT     0
#define GUEST_TX_SHIFT     8
#define GUEST_QUEUES(g, s) ((unsigned)((g) >> (s)) & 0xff)

/* Starts and stops the guests thread. Control thread. */
int guests_start(void);
void guests_stop(void);

/* All ports of an earlier life are there again: their guests may send as soon as those that came
 * can receive. Control thread. */
void guests_open(void);

/* Makes the socket (server mode) or begins to look for it (client mode); a guest's packets are
 * taken once the device is in a poll list. Control thread. Fills device->ops and driver.
 * -ENOENT, -ELOOP, -ENOTDIR, -EADDRINUSE, -EACCES: the socket's path can not be used. */
int vhost_open(struct device *device, const struct dp_port_spec *spec, struct dp_error *error);
/* Returns when neither guest nor worker has anything of it. No worker polls the device any more.
 * Control thread. */
void vhost_close(struct device *device);
void vhost_state(const struct device *device, struct dp_port_state *state);

/* The batch's packets have gone: gives the senders' buffers back, and tells the guests that want to
 * know of it. Worker. */
void vhost_finish(struct worker *worker, struct batch *batch);

extern const struct device_ops vhost_ops;

#endif
