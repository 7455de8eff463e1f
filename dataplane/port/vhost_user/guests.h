/* SPDX-License-Identifier: BSD-3-Clause */
/* The guests thread: one loop over all ports' sockets. Nothing in it waits for one guest. */
#ifndef DATAPLANE_PORT_VHOST_USER_GUESTS_H
#define DATAPLANE_PORT_VHOST_USER_GUESTS_H

#include <stdbool.h>
#include <stdint.h>

struct vhost_port;

/* Runs fn(arg) in the guests thread and returns what it returned. Control thread. */
int guests_call(int (*fn)(void *arg), void *arg);

/* ---- guests thread only ---- */

/* After a start, packets for guests that are not back yet would be lost: those that are back
 * already wait with sending until all who came can receive, at most SETTLE_MS. */
bool guests_settled(void);

/* Milliseconds since start. */
uint64_t guests_now(void);
/* From now on the port is served, or no longer. */
int guests_attach(struct vhost_port *port);
void guests_detach(struct vhost_port *port);
/* Looks at a descriptor of the port: its listener, or its guest's connection. */
void guests_watch(struct vhost_port *port, int fd, bool is_guest);
/* Does not look at the port's listener for some time: somebody is at the door who can not be let
 * in, and would be told of again and again. */
void guests_rest(struct vhost_port *port, uint64_t ms);
/* The guest's connection is not read while a message of it waits. */
void guests_pause(struct vhost_port *port, bool pause);
/* Watches the port's directory for its socket to appear: fills port->watch. */
void guests_watch_directory(struct vhost_port *port);

#endif
