/* SPDX-License-Identifier: BSD-3-Clause */
/* One vhost-user port as the guests thread sees it. */
#ifndef DATAPLANE_PORT_VHOST_USER_PORT_H
#define DATAPLANE_PORT_VHOST_USER_PORT_H

#include "dataplane/port/vhost_user/connection.h"
#include "dataplane/port/vhost_user/session.h"
#include "dataplane/port/vhost_user/vhost.h"

struct vhost_port {
	struct device *device; /* constant, as the next five */
	char name[PR_NAME_MAX + 1];
	char socket_name[48]; /* last component of the path */
	int directory;        /* O_PATH */
	bool server;
	int listener; /* server mode */

	/* The guests thread's. */
	struct connection connection;
	struct session session;
	bool attached; /* served */
	bool leaving;  /* the guest is gone, workers may still be in its rings */
	bool paused;   /* its socket is not read: a message waits */
	bool up_told, refusal_told;
	int watch;          /* inotify's number of the directory, -1: none */
	uint64_t try_at_ms; /* client mode: when to connect next, 0: not by time */
	unsigned tries;     /* since something happened */
	uint64_t refused_since_ms;
	uint64_t listen_at_ms; /* server mode: its listener is not looked at until then, 0: it is */
	bool busy; /* client mode: the last try found somebody who has not accepted it yet */

	/* The guests thread writes, anybody reads. */
	_Atomic bool connected;
	_Atomic uint64_t refused, connects, protocol_errors, ring_errors, memory_errors;
};

void port_session_init(struct vhost_port *port, uint16_t queues, uint16_t mtu);

/* A descriptor is the guest's connection from now on. */
void port_connected(struct vhost_port *port, int fd);
/* Reads and handles what there is; goes on with what waited. */
void port_serve(struct vhost_port *port);
/* Deadlines, broken rings, broken memory, ends of leaving. Returns whether it wants to be called
 * again soon. */
bool port_tick(struct vhost_port *port);
/* Lets the guest go. why: NULL when it left by itself. */
void port_disconnect(struct vhost_port *port, const char *why);
/* No guest is there, as far as a try has shown, or it can receive. */
bool port_is_settled(const struct vhost_port *port);
/* True when nothing of a guest is left. */
bool port_is_free(const struct vhost_port *port);

/* Client mode: one try; sets the time of the next. */
void port_connect(struct vhost_port *port);
/* The guest left: soon, but not in a circle with one that leaves as soon as it came. */
void port_try_again(struct vhost_port *port);
/* Its directory changed: try in the next turn of the loop. */
void port_changed(struct vhost_port *port);
/* Server mode: somebody is at the door. */
void port_accept(struct vhost_port *port);

#endif
